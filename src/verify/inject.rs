//! The test of the verifier itself: fault injection. Kernels are broken on purpose, one fault at a time, and each must
//! be detected.
//!
//! A fault changes the dispatches of a pass as a wrong kernel or a wrong driver would: an element, a constant, an
//! operand or the order of commands. The intact pass must succeed first, so that a failure is due to the fault.

use super::functions::Function;
use super::launch::{mirrored, plain};
use super::{Check, Finding, training};
use crate::error::{Error, Result};
use crate::gpu::{Command, Constant, Dispatch, Gpu, KernelSpec, Operand, Recording, ShaderFile, Variant, Work};
use crate::machine::{Device, DeviceChoice};
use crate::ops::{
    Activation, KernelConfig, KernelForm, Op, Tile, activation, adam, clip, conv2d, dense, dropout, pool2d, sgd,
};
use crate::plan::{Element, Plan};
use crate::shape::{Padding, Window2d};
use crate::table::{Align, Table};
use crate::wgsl;

/// The outcome of one injected fault.
#[derive(Clone, Debug)]
pub struct Injected {
    /// Description of the fault.
    pub what: &'static str,
    /// The pass that was broken.
    pub pass: String,
    /// How the verifier noticed the fault. `None`: it did not.
    pub seen: Option<String>,
}

/// One fault.
struct Break {
    what: &'static str,
    op: Box<dyn Op>,
    /// The operands, as in [`Check::what`].
    operands: &'static str,
    config: KernelConfig,
    /// Changes the dispatches. The `Check` tells where the largest element is. Gives whether it found what it is meant
    /// to change.
    apply: fn(&mut Recording, &Check) -> bool,
}

/// Injects every fault, one at a time. `observer` gets the number of faults done, their total and the next one's name.
pub async fn inject(choice: &DeviceChoice, observer: &mut dyn FnMut(usize, usize, &str)) -> Result<Vec<Injected>> {
    let mut device = Device::open(choice).await?;
    let breaks = breaks()?;
    let tasks = training::tasks();
    let total = breaks.len() + 1 + tasks.len();
    let mut injected = Vec::new();
    for (index, broken) in breaks.iter().enumerate() {
        observer(index, total, broken.what);
        let Some(gpu) = device.gpu() else {
            return Err(Error::Usage("faults are injected into shaders; choose a device that runs shaders".into()));
        };
        let finding = broken.run(gpu).await?;
        // After its first error a device keeps reporting it.
        if matches!(finding, Some(Finding::Device(_))) {
            device = Device::open(choice).await?;
        }
        let seen = finding.map(|finding| finding.to_string());
        injected.push(Injected { what: broken.what, pass: broken.op.name().to_string(), seen });
    }
    let what = "a function computed with too little precision";
    observer(breaks.len(), total, what);
    if let Some(gpu) = device.gpu() {
        let seen = Function::coarse().sweep(gpu, 1 << 12).await?.finding;
        injected.push(Injected { what, pass: "exp".into(), seen });
    }
    let what = "learning rate of one step in ten, off by 1 %";
    for (index, task) in tasks.iter().enumerate() {
        observer(breaks.len() + 1 + index, total, what);
        let mut steps = task.steps();
        steps[4].learning_rate *= 1.01;
        let seen = task.check(&device, &steps).await.err().map(|finding| finding.to_string());
        injected.push(Injected { what, pass: format!("training, {}", task.name), seen });
    }
    Ok(injected)
}

/// A table with one row for each fault.
pub fn injected_table(injected: &[Injected]) -> Table {
    let mut table = Table::new(["fault", "pass", "", ""], [Align::Left; 4]);
    for Injected { what, pass, seen } in injected {
        let [result, finding] = match seen {
            Some(finding) => ["detected", finding.lines().next().unwrap_or_default()],
            None => ["MISSED", ""],
        };
        table.row([what.to_string(), pass.clone(), result.to_string(), finding.to_string()]);
    }
    table
}

impl Break {
    /// Runs the intact and the broken pass. Gives how the fault was noticed, or `None` if it was not.
    async fn run(&self, gpu: &Gpu) -> Result<Option<Finding>> {
        let problem = |why: String| Error::Device(format!("{}: {}: {why}", self.op.name(), self.what));
        let checks = self.op.checks();
        let check = checks.iter().find(|check| check.what == self.operands);
        let check = check.ok_or_else(|| problem(format!("there are no {} operands", self.operands)))?;
        let judge = async |recording| {
            let outputs = check.case.on_gpu(gpu, recording).await?;
            check.expected.judge(&outputs)
        };
        let mut recording = check.case.recording(&self.config)?;
        judge(recording.clone()).await.map_err(|finding| problem(format!("fails without the fault: {finding}")))?;
        if !(self.apply)(&mut recording, check) {
            return Err(problem("there is nothing to break".into()));
        }
        Ok(judge(recording).await.err())
    }
}

fn dispatches(recording: &mut Recording) -> impl Iterator<Item = &mut Dispatch> {
    recording.commands.iter_mut().filter_map(|command| match command {
        Command::Dispatch(dispatch) => Some(dispatch),
        Command::Mirror { .. } => None,
    })
}

/// Changes a constant of the first dispatch that has it.
fn change(recording: &mut Recording, name: &str, change: impl FnOnce(Constant) -> Constant) -> bool {
    let mut constants = dispatches(recording).flat_map(|dispatch| &mut dispatch.kernel.constants);
    let found = constants.find(|(known, _)| *known == name);
    found.map(|(_, value)| *value = change(*value)).is_some()
}

/// Adds to an integer constant.
fn add(recording: &mut Recording, name: &str, by: i32) -> bool {
    change(recording, name, |value| match value {
        Constant::U32(value) => Constant::U32(value.wrapping_add_signed(by)),
        other => other,
    })
}

/// Multiplies a floating-point constant.
fn scale(recording: &mut Recording, name: &str, by: f32) -> bool {
    change(recording, name, |value| match value {
        Constant::F32(value) => Constant::F32(value * by),
        other => other,
    })
}

/// Appends a dispatch of one invocation of `kernel`, on an operand that the last dispatch writes or reads.
fn append(recording: &mut Recording, name: &str, kernel: KernelSpec, scratch: Option<usize>) -> bool {
    let operands = recording.dispatches().last().map(|last| [last.writes.clone(), last.reads.clone()].concat());
    let Some((_, operand)) = operands.unwrap_or_default().into_iter().find(|(known, _)| *known == name) else {
        return false;
    };
    let mut writes = vec![("words", operand)];
    writes.extend(scratch.map(|len| ("runs", Operand::Scratch(len))));
    recording.dispatch(single(kernel, writes));
    true
}

/// A kernel that sets and flips bits of one element.
fn flip(index: usize, set: u32, flip: u32) -> KernelSpec {
    let kernel = KernelSpec::new([wgsl!("verify/flip.wgsl")]);
    kernel.set_all([("INDEX", index as u32), ("SET", set), ("FLIP", flip)])
}

/// A kernel that adds the number of times it has run to one element, in units of the last place.
fn drift(index: usize) -> KernelSpec {
    KernelSpec::new([wgsl!("verify/drift.wgsl")]).set("INDEX", index)
}

/// Every kernel that only this module uses, on tensors that nothing else uses: for tests that look at all shaders.
pub fn recordings() -> Vec<Recording> {
    let mut plan = Plan::default();
    let words = plan.tensor("words", &[64], Element::Int);
    let words = Operand::Buffer(plan.get(words).region);
    let mut recording = Recording::new();
    for (kernel, runs) in [(flip(0, 0, 1), None), (drift(0), Some(4))] {
        let mut writes = vec![("words", words)];
        writes.extend(runs.map(|len| ("runs", Operand::Scratch(len))));
        recording.dispatch(single(kernel, writes));
    }
    vec![recording, Function::coarse().recording(1024).2]
}

/// A dispatch of one invocation.
fn single(kernel: KernelSpec, writes: Vec<(&'static str, Operand)>) -> Dispatch {
    let (label, cost) = ("verify.break".to_string(), Work::default());
    Dispatch { label, kernel, reads: Vec::new(), writes, groups: [1, 1], cost, variant: Variant::default() }
}

/// Index of the largest element of an output.
fn largest(check: &Check, name: &str) -> usize {
    let values = check.expected.values(name).unwrap_or_default().iter().enumerate();
    values.max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs())).map_or(0, |(index, _)| index)
}

/// Removes the first barrier from the matrix engine's shader. Subgroups that run in lockstep would still win the race,
/// as they do on some GPUs, so the half of the workgroup that loads the operands is delayed.
fn without_barrier(recording: &mut Recording) -> bool {
    const BARRIER: &str = "workgroupBarrier();";
    const PART: &str = "for (var k = first; k < end; k += DEPTH) {";
    // Xorshift never maps a nonzero number to 0, but no compiler can prove that and drop the loop.
    const LATE: &str = "
        if local < ACROSS * DOWN / 2u {
            var late = local + k + 1u;
            for (var i = 0u; i < 5000u; i++) {
                late ^= late << 13u;
                late ^= late >> 17u;
                late ^= late << 5u;
            }
            if late == 0u {
                left_tile[0] = vec4<f32>(1.0);
            }
        }";
    for source in dispatches(recording).flat_map(|dispatch| &mut dispatch.kernel.sources) {
        if source.text.contains(BARRIER) && source.text.contains(PART) {
            let text = source.text.replacen(BARRIER, "", 1).replacen(PART, &format!("{PART}{LATE}"), 1);
            // A source lives as long as the program. This leak happens once per run.
            let text = text.leak();
            *source =
                Box::leak(Box::new(ShaderFile { path: "shaders/shared/matrix_staged.wgsl without a barrier", text }));
            return true;
        }
    }
    false
}

/// Replaces a part of the text of the first shader that contains it.
fn replace(recording: &mut Recording, from: &str, to: &str) -> bool {
    let mut sources = dispatches(recording).flat_map(|dispatch| &mut dispatch.kernel.sources);
    let Some(source) = sources.find(|source| source.text.contains(from)) else { return false };
    // A source lives as long as the program. These leaks happen once per run.
    let path = format!("{} with `{to}` for `{from}`", source.path).leak();
    *source = Box::leak(Box::new(ShaderFile { path, text: source.text.replacen(from, to, 1).leak() }));
    true
}

/// Moves the first copy to a texture behind all other commands.
fn copy_late(recording: &mut Recording) -> bool {
    let is_copy = |command: &Command| matches!(command, Command::Mirror { .. });
    let first = recording.commands.iter().position(is_copy);
    first.map(|at| recording.commands.remove(at)).map(|copy| recording.commands.push(copy)).is_some()
}

fn breaks() -> Result<Vec<Break>> {
    let (register, textures) = (plain(), mirrored());
    let split = KernelConfig { busy_groups: 1000, ..register };
    let staged = KernelConfig {
        form: KernelForm::Staged,
        tile: Tile { rows: 4, columns4: 1, across: 16, down: 16 },
        ..register
    };
    // Too large for two buffers.
    let wide = KernelConfig { tile: Tile { rows: 16, columns4: 2, across: 16, down: 16 }, ..staged };
    let parts = KernelConfig { busy_groups: 1000, ..staged };
    let folded = KernelConfig { max_groups: 3, ..register };
    let Some(geometry) = dense::Geometry::edge_cases().next() else {
        return Err(Error::Device("no dense shapes".into()));
    };
    let deep = dense::Geometry { batch: 64, inputs: 256, outputs: 64 };
    let Some(window) = conv2d::Geometry::edge_cases().next() else {
        return Err(Error::Device("no conv2d shapes".into()));
    };
    // 841 places: not a multiple of any depth, and enough for more parts than one invocation adds.
    let places = conv2d::Geometry {
        window: Window2d::new(1, [31, 31, 4], [3, 3], [1, 1], Padding::Valid).map_err(Error::Network)?,
        filters: 12,
    };
    let pool = Window2d::new(2, [6, 8, 8], [2, 2], [2, 2], Padding::Valid).map_err(Error::Network)?;
    let dense = |geometry| {
        Box::new(dense::Forward { geometry, activation: Activation::Identity, dropout: None }) as Box<dyn Op>
    };
    let conv = || {
        Box::new(conv2d::Forward { geometry: window, activation: Activation::Identity, dropout: None }) as Box<dyn Op>
    };
    let pooled = || {
        Box::new(pool2d::Forward { window: pool, kind: pool2d::Kind::Max, keeps_m: false, dropout: None })
            as Box<dyn Op>
    };
    let gradient = || Box::new(conv2d::BackwardWeight { geometry: places }) as Box<dyn Op>;
    let relu = || Box::new(activation::Forward { activation: Activation::Relu, len: 1009 }) as Box<dyn Op>;
    let tanh = || Box::new(activation::Backward { activation: Activation::Tanh, len: 257 }) as Box<dyn Op>;
    let drop = || {
        Box::new(dropout::Forward { len: 1009, mask: dropout::Mask { rate: 0.5, layer: 2, width: 1009 } })
            as Box<dyn Op>
    };
    let update = || {
        Box::new(sgd::Update { len: 257, momentum: 0.5, nesterov: false, weight_decay: 0.25, clipped: false })
            as Box<dyn Op>
    };
    let moments = || {
        let (beta1, beta2) = (0.9, 0.99);
        Box::new(adam::Update {
            len: 257,
            beta1,
            beta2,
            epsilon: 1e-3,
            weight_decay: 0.01,
            decoupled: true,
            clipped: false,
        }) as Box<dyn Op>
    };
    let norm = || Box::new(clip::Scale { len: 5001, most: 0.5 }) as Box<dyn Op>;
    let of = |what, op, operands, config, apply| Break { what, op, operands, config, apply };
    Ok(vec![
        of("last bit of an element of an exact sum", dense(geometry), "whole", register, |recording, check| {
            append(recording, "product", flip(largest(check, "y"), 0, 1), None)
        }),
        of("one element, off by 1 %", dense(geometry), "random", register, |recording, check| {
            append(recording, "product", flip(largest(check, "y"), 0, 1 << 16), None)
        }),
        of("an element that is NaN", dense(geometry), "random", register, |recording, _| {
            append(recording, "product", flip(100, 0x7fc0_0000, 0), None)
        }),
        of("last workgroup not run", relu(), "random", register, |recording, _| {
            dispatches(recording).last().map(|last| last.groups[0] -= 1).is_some()
        }),
        of("a store past the end", relu(), "random", register, |recording, _| {
            append(recording, "y", flip(1012, 0, 1), None)
        }),
        of("a store into an input", relu(), "random", register, |recording, _| {
            append(recording, "x", flip(0, 0, 1), None)
        }),
        of("different bits in every run", relu(), "random", register, |recording, _| {
            append(recording, "y", drift(500), Some(4))
        }),
        of("wrong stride", conv(), "whole", register, |recording, _| add(recording, "STRIDE_H", -1)),
        of("wrong stride", pooled(), "random", register, |recording, _| add(recording, "STRIDE_W", 1)),
        of("wrong row length", dense(geometry), "whole", register, |recording, _| add(recording, "INPUTS4", 1)),
        of("missing padding", conv(), "whole", register, |recording, _| {
            change(recording, "PADDED", |_| Constant::Bool(false))
        }),
        of("four terms missing from a sum", dense(geometry), "whole", register, |recording, _| add(recording, "K", -4)),
        of("a missing barrier", dense(deep), "whole", staged, |recording, _| without_barrier(recording)),
        of("a missing barrier between the turns of one buffer", dense(deep), "whole", wide, |recording, _| {
            replace(recording, "if BUFFERS == 1u {\n            workgroupBarrier();", "if BUFFERS == 1u {")
        }),
        of("one buffer in place of two", dense(deep), "whole", staged, |recording, _| {
            replace(recording, "buffer = (buffer + 1u) % BUFFERS;", "buffer = 0u;")
        }),
        of("pieces of an operand stored without the gaps", dense(deep), "whole", staged, |recording, _| {
            replace(recording, "at.y * LEFT_FOUR", "at.y * 4u * BLOCK_ROWS4")
        }),
        of("a stale copy of the left operand", dense(geometry), "whole", textures, |recording, _| copy_late(recording)),
        of("a missing part of a split sum", dense(deep), "whole", split, |recording, _| add(recording, "PARTS", -1)),
        of("a bias gradient with terms past the end", gradient(), "whole", staged, |recording, _| {
            replace(recording, "min(DEPTH, end - k)", "DEPTH")
        }),
        of("a bias gradient without the terms of an invocation", gradient(), "whole", staged, |recording, _| {
            replace(recording, "lane = 1u; lane < BIAS_LANES", "lane = 2u; lane < BIAS_LANES")
        }),
        of("a bias gradient in the wrong row of its part", gradient(), "whole", parts, |recording, _| {
            replace(recording, "PRODUCT_ROWS + M)", "PRODUCT_ROWS + M - 1u)")
        }),
        of("a missing part of a sum in a tree", gradient(), "whole", parts, |recording, _| add(recording, "PARTS", -1)),
        of("a missing barrier in a tree", gradient(), "whole", parts, |recording, _| {
            replace(recording, "others /= 2u) {\n        workgroupBarrier();", "others /= 2u) {")
        }),
        of("wrong row length of a folded grid", relu(), "random", folded, |recording, _| add(recording, "GROUPS_X", 1)),
        of("two operands swapped", tanh(), "random", register, |recording, _| {
            dispatches(recording)
                .last()
                .map(|last| {
                    let [first, second, ..] = &mut last.reads[..] else { return };
                    std::mem::swap(&mut first.0, &mut second.0);
                })
                .is_some()
        }),
        of("dropout drawn for another layer", drop(), "random", register, |recording, _| add(recording, "LAYER", 1)),
        of("momentum, off by 0.1 %", update(), "random", register, |recording, _| scale(recording, "MOMENTUM", 1.001)),
        of("decay rate of a moment, off by 0.1 %", moments(), "random", register, |recording, _| {
            scale(recording, "BETA2", 1.001)
        }),
        of("a missing part of a norm", norm(), "whole", register, |recording, _| add(recording, "PACKS", -1)),
        of("weight decay, off by 1 %", moments(), "random", register, |recording, _| {
            scale(recording, "DECOUPLED_DECAY", 1.01)
        }),
    ])
}
