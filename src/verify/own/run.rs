//! Runs the cases of a shader, each as one dispatch.

use super::passes::Key;
use super::{KernelReport, LAUNCH, OwnKernel};
use crate::data::order::mix;
use crate::error::{Error, Result};
use crate::gpu::{
    BindingKind, Constant, Dispatch, Gpu, KernelSpec, MAX_GROUPS, Module, Operand, Recording, Variant, Work, fold,
};
use crate::machine::Device;
use crate::ops::{self, Op};
use crate::verify::{Case, Check, Expected};

/// Random passes that are drawn at most to find enough of one kind.
const MOST_DRAWN: usize = 20_000;

/// Terms of the longest sum that a shader is run on with one invocation per output: software drivers silently leave a
/// loop after 65,535 iterations.
const MOST_TERMS: u64 = 1 << 15;

impl OwnKernel {
    /// Runs every case on the device and compares it with the reference. The shader runs on a newly opened device with
    /// all of wgpu's runtime checks on, so that a failure there does not affect others.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if there is no GPU and no driver, [`Error::Shader`] if the shader does not fit the pass or the
    /// driver refuses it, and [`Error::Usage`] if no case is left.
    pub async fn verify(&self, device: &Device) -> Result<KernelReport> {
        let Some(gpu) = device.gpu() else {
            let (what, remedy) = (&device.description, crate::gpu::missing_driver_remedy());
            return Err(Error::Device(format!(
                "a shader needs a GPU or a software driver, and this is {what}; {remedy}"
            )));
        };
        let mut gpu = gpu.open_again().await?;
        gpu.has_foreign_kernels = true;
        let (cases, left_out) = self.cases()?;
        let mut report = KernelReport::new(self.source.path, self.pass.name, &device.description);
        report.left_out = left_out;
        for op in &cases {
            for check in op.checks() {
                self.check(&gpu, &**op, check, &mut report).await?;
            }
            report.shapes += 1;
        }
        Ok(report)
    }

    /// The pass at every shape that the shader supports, and the number of edge cases that it does not.
    fn cases(&self) -> Result<(Vec<Box<dyn Op>>, usize)> {
        if self.has_sizes() {
            let one = self.one().map_err(|problem| Error::Usage(format!("shape of {}: {problem}", self.pass.name)))?;
            self.check_bindings(&*one)?;
            return Ok((vec![one], 0));
        }
        let of_pass = |op: &dyn Op| op.name() == self.pass.name;
        let mut cases: Vec<Box<dyn Op>> = ops::edge_cases().into_iter().filter(|op| of_pass(&**op)).collect();
        let all = cases.len();
        cases.retain(|op| self.takes(&**op));
        let left_out = all - cases.len();
        let drawn = ops::drawn(mix(self.seed, 0), MOST_DRAWN).map(|(_, op)| op).filter(|op| of_pass(&**op));
        cases.extend(drawn.filter(|op| self.takes(&**op)).take(self.random_shapes));
        if let Some(first) = cases.first() {
            self.check_bindings(&**first)?;
            return Ok((cases, left_out));
        }
        // If no case is left, the bindings may be the reason.
        self.check_bindings(&*self.default_op()?)?;
        let settings = self.pass.keys.iter().filter(|key| key.is_setting && !self.declares(key.name));
        let settings: Vec<&str> = settings.map(|key| key.name).collect();
        Err(Error::Usage(format!(
            "{}: no case of {} applies: declare its settings ({}) in the shader, or give a shape",
            self.source.path,
            self.pass.name,
            settings.join(", ")
        )))
    }

    /// Whether the shader supports this case: each setting has the value asked for, or is declared, or has its default;
    /// sums are short enough for the loops of all drivers; and the bindings match.
    fn takes(&self, op: &dyn Op) -> bool {
        let constants = (self.pass.constants)(op).unwrap_or_default();
        let is_so = |key: &Key| {
            let value = constants.iter().find(|(name, _)| *name == key.name).map(|(_, value)| *value);
            match self.asked(key.name) {
                Some(asked) => value == Some(asked),
                None => self.declares(key.name) || value == Some(key.default),
            }
        };
        let first = op.outputs().first().map_or(1, |(_, len)| *len) as u64;
        self.pass.keys.iter().filter(|key| key.is_setting).all(is_so)
            && op.flops() / 2 / first.max(1) <= MOST_TERMS
            && self.check_bindings(op).is_ok()
    }

    /// Checks that every binding is a tensor of the pass, declared as it is used, and that at least one is an output.
    fn check_bindings(&self, op: &dyn Op) -> Result<()> {
        let module = self.module(op, 1, 1)?;
        let (reads, writes) = (op.inputs(), op.outputs());
        let names =
            |tensors: &[(&'static str, usize)]| tensors.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
        let formula = format!("{} reads `{}` and writes `{}`", self.pass.name, names(&reads), names(&writes));
        let said = |problem: String| Err(Error::Shader(format!("{}: {problem}; {formula}", self.source.path)));
        let known = |tensors: &[(&'static str, usize)], name: &str| tensors.iter().any(|(known, _)| *known == name);
        for binding in module.bindings.iter().filter(|binding| binding.group == 0) {
            let name = &binding.name;
            match binding.kind {
                BindingKind::Uniform | BindingKind::Texture => {
                    return said(format!("binding `{name}` is not a storage buffer"));
                }
                BindingKind::Read | BindingKind::ReadWrite if known(&writes, name) => {
                    if binding.kind == BindingKind::Read && !known(&reads, name) {
                        return said(format!("binding `{name}` is an output but is declared `read`"));
                    }
                }
                BindingKind::Read | BindingKind::ReadWrite if !known(&reads, name) => {
                    return said(format!("the pass has no tensor `{name}`"));
                }
                BindingKind::Read | BindingKind::ReadWrite => {}
            }
        }
        if self.outputs(&module, op).is_empty() {
            return said("no output has a binding".into());
        }
        Ok(())
    }

    /// The outputs that the shader writes, in the order of the pass.
    fn outputs(&self, module: &Module, op: &dyn Op) -> Vec<(&'static str, usize)> {
        let is_bound = |name: &str| {
            module.bindings.iter().any(|binding| binding.name == name && binding.kind == BindingKind::ReadWrite)
        };
        op.outputs().into_iter().filter(|(name, _)| is_bound(name)).collect()
    }

    /// The shader with the constants of a case.
    fn spec(&self, op: &dyn Op, count: usize, groups_x: u32) -> KernelSpec {
        let constants = (self.pass.constants)(op).unwrap_or_default().into_iter();
        let launch = LAUNCH.into_iter().zip([Constant::from(count), Constant::from(groups_x)]);
        KernelSpec::new([self.source]).set_all(constants.chain(launch).filter(|(name, _)| self.declares(name)))
    }

    fn module(&self, op: &dyn Op, count: usize, groups_x: u32) -> Result<Module> {
        self.spec(op, count, groups_x).module()
    }

    /// Runs one case and records its outcome.
    async fn check(&self, gpu: &Gpu, op: &dyn Op, check: Check, report: &mut KernelReport) -> Result<()> {
        let dispatch = self.dispatch(op, &check.case)?;
        let constants = dispatch.kernel.constants.iter().map(|(name, _)| *name).filter(|name| !LAUNCH.contains(name));
        report.constants = constants.collect();
        let written: Vec<&'static str> = dispatch.writes.iter().map(|(name, _)| *name).collect();
        let outputs: Vec<&'static str> =
            op.outputs().into_iter().map(|(name, _)| name).filter(|name| written.contains(name)).collect();
        report.outputs.clone_from(&outputs);
        let mut recording = Recording::new();
        recording.dispatch(dispatch);
        let outcome = check.case.on_gpu(gpu, recording).await;
        let judged = outcome.and_then(|mut got| {
            got.retain(|output| outputs.contains(&output.name));
            Expected::of(check.expected, &outputs).judge(&got)
        });
        report.enter(op, check.what, judged)
    }

    /// The dispatch of a case.
    fn dispatch(&self, op: &dyn Op, case: &Case) -> Result<Dispatch> {
        let module = self.module(op, 1, 1)?;
        let len = self.outputs(&module, op).first().map_or(1, |(_, len)| *len);
        // INVOCATIONS may depend on the constants of this case, so it is known only now.
        let module = self.module(op, len, 1)?;
        let count = self.invocations(&module)?.unwrap_or(len);
        let groups = fold(count.div_ceil(module.workgroup_size.max(1) as usize), MAX_GROUPS);
        if groups[1] > 1 && !self.declares("GROUPS_X") {
            return Err(Error::Shader(format!(
                "{}: {count} invocations need more than {MAX_GROUPS} workgroups of {}, so that they form several rows: \
                 declare `const GROUPS_X = 1u;` and number workgroups by `group.y * GROUPS_X + group.x`",
                self.source.path, module.workgroup_size
            )));
        }
        let tensors = case.tensors();
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for binding in module.bindings.iter().filter(|binding| binding.group == 0) {
            let tensor = tensors.iter().find(|(name, ..)| *name == binding.name);
            let Some((name, region, _)) = tensor else { continue };
            let to = if binding.kind == BindingKind::ReadWrite { &mut writes } else { &mut reads };
            to.push((*name, Operand::Buffer(*region)));
        }
        let kernel = self.spec(op, count, groups[0]);
        Ok(Dispatch {
            label: self.source.path.to_string(),
            kernel,
            reads,
            writes,
            groups,
            cost: Work::default(),
            variant: Variant::default(),
        })
    }

    /// The value of `const INVOCATIONS`, if the file declares it.
    fn invocations(&self, module: &Module) -> Result<Option<usize>> {
        if !self.declares("INVOCATIONS") {
            return Ok(None);
        }
        let naga = &module.naga;
        let constant = naga.constants.iter().find(|(_, constant)| constant.name.as_deref() == Some("INVOCATIONS"));
        let literal = constant.map(|(_, constant)| &naga.global_expressions[constant.init]);
        match literal {
            Some(naga::Expression::Literal(naga::Literal::U32(count))) if *count > 0 => Ok(Some(*count as usize)),
            _ => Err(Error::Shader(format!(
                "{}: INVOCATIONS: expected a positive number of type u32, as in `const INVOCATIONS: u32 = 64u;`",
                self.source.path
            ))),
        }
    }
}
