//! Checks of a plan and its recordings without running them: every kernel is valid WGSL, stays within the limits of
//! every WebGPU device, and has an operand with the right name for each binding; and everything that is read from a
//! storage or a texture was last written for this reader, even though tensors share memory.

use shadegrad::gpu::{Binding, BindingKind, Command, Constant, Dispatch, Mirrors, Module, Operand, Recording};
use shadegrad::network::Compiled;
use shadegrad::ops::Step;
use shadegrad::plan::{Pass, TensorId};
use shadegrad::storage::Region;
use std::collections::HashMap;

/// Limits that every WebGPU device has.
const INVOCATIONS: u32 = 256;
const STORAGE_BUFFERS: usize = 8;
const WORKGROUP_BYTES: u32 = 16 << 10;
const GROUPS: u32 = 65_535;

/// In elements: 256 bytes, the alignment of a binding's offset.
const ALIGNMENT: usize = 64;

/// Modules by the sources of their kernels, since presets share many.
#[derive(Default)]
pub struct Inspector {
    modules: HashMap<String, Module>,
}

impl Inspector {
    /// Number of different kernels that were inspected.
    pub fn kernels(&self) -> usize {
        self.modules.len()
    }

    /// The first problem in a recording.
    pub fn inspect(&mut self, recording: &Recording) -> Result<(), String> {
        for dispatch in recording.dispatches() {
            let key = format!("{:?}", dispatch.kernel);
            if !self.modules.contains_key(&key) {
                let module = dispatch.kernel.module().map_err(|error| format!("{}: {error}", dispatch.label))?;
                self.modules.insert(key.clone(), module);
            }
            let checked = check(dispatch, &self.modules[&key]);
            checked.map_err(|problem| format!("{} ({}): {problem}", dispatch.label, dispatch.kernel.name()))?;
        }
        mirrors_are_fresh(recording, &Mirrors::new(&[recording]))
    }
}

/// Everything that a pass of a section reads was written by an earlier pass, or is `known` to the host, and was not
/// overwritten since. Known tensors are also intact at the end. No pass reads and writes the same storage.
pub fn tensors_survive(compiled: &Compiled, passes: &[&Pass]) -> Result<(), String> {
    let plan = &compiled.plan;
    let name = |id: TensorId| &plan.get(id).name;
    let known = known(compiled);
    let banks: Vec<TensorId> = banks(compiled).collect();
    // Parameters are parts of their bank.
    let clash = |a: TensorId, b: TensorId| {
        a != b && plan.get(a).region.overlaps(&plan.get(b).region) && !banks.contains(&a) && !banks.contains(&b)
    };
    let mut there = known.clone();
    for pass in passes {
        for id in &pass.inputs {
            expect(there.contains(id), || {
                format!("{}: `{}` is not there any more, or not yet", pass.label, name(*id))
            })?;
            let storage = plan.get(*id).region.storage;
            let written = pass.outputs.iter().find(|output| plan.get(**output).region.storage == storage);
            expect(written.is_none(), || format!("{}: reads and writes the storage of `{}`", pass.label, name(*id)))?;
        }
        for id in &pass.outputs {
            there.retain(|other| !clash(*id, *other));
            there.push(*id);
        }
    }
    match known.iter().find(|id| !there.contains(id)) {
        Some(lost) => Err(format!("`{}` is overwritten, though it is known", name(*lost))),
        None => Ok(()),
    }
}

/// All tensors that the host may read and write, and that survive from step to step.
pub fn known(compiled: &Compiled) -> Vec<TensorId> {
    let tensors = &compiled.tensors;
    let sets = [tensors.train, tensors.test].into_iter().flatten();
    let sets = sets.flat_map(|set| [set.images, set.labels, set.order]);
    let scores = tensors.scores.into_iter().flat_map(|scores| {
        [scores.targets, scores.loss, scores.prediction, scores.losses, scores.correct, scores.predictions]
    });
    let parameters =
        tensors.parameters.iter().chain(&tensors.eval_parameters).chain(&tensors.parameter_gradients).copied();
    let others = [tensors.x, tensors.logits].into_iter().chain(tensors.probabilities);
    banks(compiled).chain(parameters).chain(others).chain(sets).chain(scores).collect()
}

/// The storages of all parameters, and the part of each with the learned values.
fn banks(compiled: &Compiled) -> impl Iterator<Item = TensorId> {
    let tensors = &compiled.tensors;
    let optimizer_states = tensors.optimizer_states.iter().map(|(_, id)| *id);
    let learned = compiled.plan.tensors.iter().enumerate().filter(|(_, tensor)| tensor.name.ends_with(".learned"));
    let learned = learned.map(|(index, _)| TensorId(index));
    [tensors.weights].into_iter().chain(tensors.gradients).chain(optimizer_states).chain(learned)
}

/// Dispatches use only the tensors of their pass, so that checks of passes also hold for dispatches.
pub fn operands_are_of_their_pass(compiled: &Compiled, passes: &[&Pass], recording: &Recording) -> Result<(), String> {
    for dispatch in recording.dispatches() {
        let own =
            |pass: &&&Pass| dispatch.label == pass.label || dispatch.label.starts_with(&format!("{}.", pass.label));
        let pass = passes.iter().find(own).ok_or_else(|| format!("{}: of no pass", dispatch.label))?;
        for (name, operand) in dispatch.reads.iter().chain(&dispatch.writes) {
            if let Operand::Buffer(region) | Operand::Mirror(region) = operand {
                let mut tensors = pass.inputs.iter().chain(&pass.outputs).map(|id| compiled.plan.get(*id).region);
                let found = tensors.any(|tensor| tensor == *region);
                expect(found, || format!("{}: `{name}` is no tensor of the pass", dispatch.label))?;
            }
        }
    }
    Ok(())
}

fn expect(fine: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if fine { Ok(()) } else { Err(problem()) }
}

fn check(dispatch: &Dispatch, module: &Module) -> Result<(), String> {
    let size = module.workgroup_size;
    expect((1..=INVOCATIONS).contains(&size), || format!("{size} invocations a workgroup"))?;
    let [x, y] = dispatch.groups;
    expect((1..=GROUPS).contains(&x) && (1..=GROUPS).contains(&y), || format!("a grid of {x} x {y}"))?;
    let bytes = workgroup_bytes(module);
    expect(bytes <= WORKGROUP_BYTES, || format!("{bytes} bytes of workgroup memory"))?;
    let buffers = module.bindings.iter().filter(|b| matches!(b.kind, BindingKind::Read | BindingKind::ReadWrite));
    let buffers = buffers.count();
    expect(buffers <= STORAGE_BUFFERS, || format!("{buffers} storage buffers"))?;

    // If the grid is counted by `shared/linear.wgsl`, it must reach the last item and fold as the kernel expects.
    let constant = |name: &str| dispatch.kernel.constants.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    if let Some(Constant::U32(count)) = constant("COUNT") {
        let invocations = u64::from(x) * u64::from(y) * u64::from(size);
        expect(invocations >= u64::from(count), || format!("{invocations} invocations for {count} items"))?;
        expect(invocations < 2 * u64::from(count) + 128 * u64::from(y), || {
            format!("{invocations} invocations are too many for {count} items")
        })?;
    }
    if let Some(Constant::U32(groups_x)) = constant("GROUPS_X") {
        expect(groups_x == x, || format!("GROUPS_X is {groups_x}, but there are {x} workgroups in x"))?;
    }

    let widths = module.naga.types.iter().filter_map(|(_, ty)| ty.inner.scalar_width());
    let wide = dispatch.kernel.sources.iter().any(|source| source.path.ends_with("_wide.wgsl"));
    expect(wide || widths.into_iter().all(|width| width <= 4), || "a 64-bit type".to_string())?;

    bindings(dispatch, &module.bindings)?;
    uniform(module)?;
    regions(dispatch)
}

fn workgroup_bytes(module: &Module) -> u32 {
    let variables = module.naga.global_variables.iter().map(|(_, variable)| variable);
    let shared = variables.filter(|variable| variable.space == naga::AddressSpace::WorkGroup);
    shared.map(|variable| module.naga.types[variable.ty].inner.size(module.naga.to_ctx())).sum()
}

/// Each binding has exactly one operand with its name, in the right list and of the right kind, and no operand is left
/// over.
fn bindings(dispatch: &Dispatch, bindings: &[Binding]) -> Result<(), String> {
    let own: Vec<&Binding> = bindings.iter().filter(|binding| binding.group == 0).collect();
    for pair in own.windows(2) {
        expect(pair[0].index != pair[1].index, || format!("`{}` and `{}` share an index", pair[0].name, pair[1].name))?;
    }
    for binding in &own {
        let (list, other) = match binding.kind {
            BindingKind::ReadWrite => (&dispatch.writes, &dispatch.reads),
            BindingKind::Read | BindingKind::Texture => (&dispatch.reads, &dispatch.writes),
            BindingKind::Uniform => return Err(format!("`{}` is a uniform in group 0", binding.name)),
        };
        let named = |list: &[(&str, Operand)]| {
            list.iter().filter(|(name, _)| *name == binding.name).map(|(_, operand)| *operand).collect::<Vec<_>>()
        };
        let [operand] = named(list)[..] else {
            return Err(format!("`{}` ({:?}) has {} operands", binding.name, binding.kind, named(list).len()));
        };
        expect(named(other).is_empty(), || format!("`{}` is read and written", binding.name))?;
        let is_texture = binding.kind == BindingKind::Texture;
        expect(is_texture == matches!(operand, Operand::Mirror(_)), || {
            format!("`{}` is {:?}, its operand {operand:?}", binding.name, binding.kind)
        })?;
    }
    let operands = dispatch.reads.len() + dispatch.writes.len();
    expect(operands == own.len(), || format!("{operands} operands for {} bindings", own.len()))
}

/// The per-step uniform is in group 1 and laid out as on the host.
fn uniform(module: &Module) -> Result<(), String> {
    let shared: Vec<&Binding> = module.bindings.iter().filter(|binding| binding.group != 0).collect();
    match shared[..] {
        [] => return Ok(()),
        [Binding { group: 1, index: 0, kind: BindingKind::Uniform, .. }] => {}
        _ => return Err(format!("expected at most a uniform at @group(1) @binding(0), got {shared:?}")),
    }
    let fields: Vec<_> = module.uniform.iter().map(|(name, at, ty)| (name.as_str(), *at, ty.as_str())).collect();
    expect(fields == Step::FIELDS, || format!("the uniform is {fields:?}, expected {:?}", Step::FIELDS))
}

/// No buffer is both read and written, no part of a buffer is written twice, and every region can be bound.
fn regions(dispatch: &Dispatch) -> Result<(), String> {
    let buffer = |operand: &Operand| match operand {
        Operand::Buffer(region) => Some(Some(region.storage)),
        Operand::Scratch(_) => Some(None),
        Operand::Mirror(_) => None,
    };
    let overlap = |a: &Operand, b: &Operand| match (a, b) {
        (Operand::Buffer(a), Operand::Buffer(b)) => a.overlaps(b),
        _ => buffer(a) == buffer(b),
    };
    let reads: Vec<_> = dispatch.reads.iter().filter_map(|(_, operand)| buffer(operand)).collect();
    for (index, (_, written)) in dispatch.writes.iter().enumerate() {
        let twice = dispatch.writes[..index].iter().any(|(_, other)| overlap(other, written));
        expect(!buffer(written).is_some_and(|buffer| reads.contains(&buffer)), || {
            format!("reads and writes the buffer of {written:?}")
        })?;
        expect(!twice, || format!("writes a part of {written:?} twice"))?;
    }
    for (name, operand) in dispatch.reads.iter().chain(&dispatch.writes) {
        if let Operand::Buffer(Region { offset, len, .. }) = operand {
            expect(offset.is_multiple_of(ALIGNMENT), || format!("`{name}` starts at element {offset}"))?;
            expect(*len > 0, || format!("`{name}` is empty"))?;
        }
    }
    Ok(())
}

/// A texture copy that is read was made after its region was last written, and its texture was not reused since.
pub fn mirrors_are_fresh(recording: &Recording, mirrors: &Mirrors) -> Result<(), String> {
    let mut fresh: Vec<Region> = Vec::new();
    for command in &recording.commands {
        match command {
            Command::Mirror { region, label } => {
                let texture = mirrors.texture(region);
                let bytes = texture.and_then(|texture| mirrors.textures().nth(texture)).unwrap_or(0);
                expect(bytes >= 4 * region.len as u64, || format!("{label}: a texture of {bytes} bytes is too small"))?;
                fresh.retain(|other| mirrors.texture(other) != texture);
                fresh.push(*region);
            }
            Command::Dispatch(dispatch) => {
                for (name, operand) in &dispatch.reads {
                    if let Operand::Mirror(region) = operand {
                        let stale = || format!("{}: the mirror of `{name}` is stale", dispatch.label);
                        expect(fresh.contains(region), stale)?;
                    }
                }
                for (_, operand) in &dispatch.writes {
                    if let Operand::Buffer(written) = operand {
                        fresh.retain(|region| !region.overlaps(written));
                    }
                }
            }
        }
    }
    Ok(())
}
