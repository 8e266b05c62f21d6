//! Runs one pass on the GPU and on the CPU, in every variant, and the reference in f64, from the same f32 inputs.
//!
//! Outputs start poisoned with NaN and every storage has a guard tail that must survive, because a driver's robustness
//! hides stray indices. Bounds are the caller's: a claim, with the reason beside it.
#![allow(dead_code)]

pub mod inspect;

use shadegrad::fast::{self, Instructions, Team};
use shadegrad::gpu::{AdapterChoice, Command, Gpu, MAX_GROUPS, Memory, Operand, Program, Recording};
use shadegrad::ops::{self, Form, Op, OperandSource, Settings, Step, Tile};
use shadegrad::plan::{Element, Plan, Region, TensorId};
use shadegrad::reference::Machine;
use std::sync::{Arc, OnceLock};

/// Half the spacing of f32 at 1, twice over: engine bounds count in this u.
pub const U: f64 = f32::EPSILON as f64;

const GUARD: usize = 64;
const GUARD_BITS: u32 = 0xdead_beef;
const POISON_BITS: u32 = 0x7fc0_dead;

/// The device of all tests: `$SHADEGRAD_TEST_DEVICE` (a part of a name), else what `auto` takes.
pub fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| match pollster::block_on(Gpu::open(&adapter(), Step::FIELDS)) {
        Ok(Some(opened)) => opened.gpu,
        Ok(None) => panic!("no GPU driver: {}", shadegrad::gpu::missing_driver_remedy()),
        Err(error) => panic!("{error}"),
    })
}

/// The adapter of [`gpu`].
pub fn adapter() -> AdapterChoice {
    std::env::var("SHADEGRAD_TEST_DEVICE").map_or(AdapterChoice::Auto, AdapterChoice::Name)
}

/// The CPU's variants: all vector instructions that it has, and several numbers of threads for each. What they work in is
/// kept from case to case, as it is from pass to pass.
pub fn teams() -> &'static [(String, Arc<Team>)] {
    static TEAMS: OnceLock<Vec<(String, Arc<Team>)>> = OnceLock::new();
    TEAMS.get_or_init(|| {
        let all = Instructions::all().into_iter().flat_map(|instructions| [1, 2, 5].map(|n| (instructions, n)));
        let team = |(instructions, threads)| {
            let team = Team::new(Some(threads), instructions).unwrap();
            (team.description(), Arc::new(team))
        };
        all.map(team).collect()
    })
}

/// The content of a tensor.
#[derive(Clone, Debug)]
pub enum Values {
    Real(Vec<f32>),
    Int(Vec<u32>),
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Values::Real(values)
    }
}
impl From<Vec<u32>> for Values {
    fn from(values: Vec<u32>) -> Self {
        Values::Int(values)
    }
}

impl Values {
    fn bits(&self) -> Vec<u32> {
        match self {
            Values::Real(values) => values.iter().map(|v| v.to_bits()).collect(),
            Values::Int(values) => values.clone(),
        }
    }
    fn element(&self) -> Element {
        match self {
            Values::Real(_) => Element::Real,
            Values::Int(_) => Element::Int,
        }
    }
    fn len(&self) -> usize {
        match self {
            Values::Real(values) => values.len(),
            Values::Int(values) => values.len(),
        }
    }
}

/// A tensor of a case: its name in the operation and its content before the pass. An output that the pass only writes
/// is left out, or listed as [`Values::Int`] zeros if it holds integers.
pub type Given = (&'static str, Values);

/// What came out for one output tensor.
#[derive(Clone, Debug)]
pub struct Output {
    pub name: &'static str,
    pub bits: Vec<u32>,
}

impl Output {
    pub fn real(&self) -> Vec<f32> {
        self.bits.iter().map(|bits| f32::from_bits(*bits)).collect()
    }
}

/// One pass with its operands, ready to run anywhere.
pub struct Case {
    plan: Plan,
    pass: shadegrad::plan::Pass,
    given: Vec<(TensorId, Values)>,
    outputs: Vec<(&'static str, TensorId, Element)>,
    pub step: Step,
}

impl Case {
    pub fn new(op: impl Op + 'static, given: Vec<Given>) -> Case {
        let mut plan = Plan::default();
        let mut bound = Vec::new();
        let mut outputs = Vec::new();
        let find = |name: &str| given.iter().find(|(n, _)| *n == name).map(|(_, values)| values.clone());
        let mut inputs = Vec::new();
        for (name, len) in op.inputs() {
            let values = find(name).unwrap_or_else(|| panic!("{}: no values for {name}", op.name()));
            assert_eq!(values.len(), len, "{}: length of {name}", op.name());
            let id = plan.tensor(name, &[len], values.element());
            bound.push((id, values));
            inputs.push(id);
        }
        let mut written = Vec::new();
        for (name, len) in op.outputs() {
            let values = find(name).unwrap_or_else(|| Values::Real(vec![f32::from_bits(POISON_BITS); len]));
            assert_eq!(values.len(), len, "{}: length of {name}", op.name());
            let id = plan.tensor(name, &[len], values.element());
            outputs.push((name, id, values.element()));
            bound.push((id, values));
            written.push(id);
        }
        let pass = plan.pass(op.name(), op, &inputs, &written);
        let step = Step { seed_low: 7, seed_high: 11, step: 3, count: u32::MAX, learning_rate: 0.1, ..Step::default() };
        Case { plan, pass, given: bound, outputs, step }
    }

    pub fn with_step(mut self, step: Step) -> Case {
        self.step = step;
        self
    }

    /// The reference in f64; integer outputs come as numbers.
    pub fn expected(&self) -> Vec<(&'static str, Vec<f64>)> {
        let mut machine = Machine::<f64>::new(&self.plan);
        for (id, values) in &self.given {
            let region = self.plan.get(*id).region;
            match values {
                Values::Real(values) => {
                    for (to, from) in machine.real(region).iter_mut().zip(values) {
                        *to = f64::from(*from);
                    }
                }
                Values::Int(values) => machine.int(region).copy_from_slice(values),
            }
        }
        machine.run(&self.plan, &self.pass, self.step);
        let read = |(name, id, element): &(&'static str, TensorId, Element)| {
            let region = self.plan.get(*id).region;
            let values = match element {
                Element::Real => machine.real(region).to_vec(),
                Element::Int => machine.int(region).iter().map(|v| f64::from(*v)).collect(),
            };
            (*name, values)
        };
        self.outputs.clone().iter().map(read).collect()
    }

    /// The reference in f32.
    pub fn expected_f32(&self) -> Vec<(&'static str, Vec<f32>)> {
        let mut machine = Machine::<f32>::new(&self.plan);
        for (id, values) in &self.given {
            let region = self.plan.get(*id).region;
            match values {
                Values::Real(values) => machine.real(region).copy_from_slice(values),
                Values::Int(values) => machine.int(region).copy_from_slice(values),
            }
        }
        machine.run(&self.plan, &self.pass, self.step);
        let real = self.outputs.iter().filter(|(_, _, element)| *element == Element::Real).cloned().collect::<Vec<_>>();
        real.iter().map(|(name, id, _)| (*name, machine.real(self.plan.get(*id).region).to_vec())).collect()
    }

    /// Runs on the GPU in one variant. Fails if a guard or an input has changed.
    pub fn run(&self, settings: &Settings) -> Vec<Output> {
        self.run_tampered(settings, |_| ())
    }

    /// Runs what `tamper` makes of the recording, so that checks can be seen to fail.
    pub fn run_tampered(&self, settings: &Settings, tamper: impl FnOnce(&mut Recording)) -> Vec<Output> {
        let gpu = gpu();
        let mut recording = Recording::new();
        ops::record(&self.plan, &self.pass, settings, &mut recording).unwrap();
        widen(&mut recording);
        tamper(&mut recording);
        let storages: Vec<(String, usize)> =
            self.plan.storages.iter().map(|s| (s.name.clone(), s.len.next_multiple_of(4) + GUARD)).collect();
        let memory = Memory::new(gpu, &storages, &[&recording], size_of::<Step>()).unwrap();
        let program = Program::new(gpu, &memory, &recording).unwrap();
        let whole = |region: Region| Region { len: region.len.next_multiple_of(4) + GUARD, ..region };
        for (id, values) in &self.given {
            let region = self.plan.get(*id).region;
            let mut bits = values.bits();
            // What rounds up to a whole vec4 is nobody's: it may be written.
            bits.resize(region.len.next_multiple_of(4), 0);
            bits.resize(region.len.next_multiple_of(4) + GUARD, GUARD_BITS);
            memory.write(gpu, whole(region), bytemuck::cast_slice(&bits));
        }
        program.submit(gpu, &memory, &[self.step]).unwrap();
        let read = |id: TensorId| -> Vec<u32> {
            let region = whole(self.plan.get(id).region);
            let bytes = pollster::block_on(memory.read(gpu, region)).unwrap();
            bytemuck::cast_slice::<u8, u32>(&bytes).to_vec()
        };
        let mut outputs = Vec::new();
        for (id, values) in &self.given {
            let tensor = self.plan.get(*id);
            let bits = read(*id);
            let guard = &bits[tensor.region.len.next_multiple_of(4)..];
            assert!(guard.iter().all(|b| *b == GUARD_BITS), "{}: guard of {} written", self.pass.label, tensor.name);
            let content = bits[..tensor.region.len].to_vec();
            match self.outputs.iter().find(|(_, output, _)| output == id) {
                Some((name, _, _)) => outputs.push(Output { name, bits: content }),
                None => assert!(content == values.bits(), "{}: input {} written", self.pass.label, tensor.name),
            }
        }
        outputs
    }

    /// Runs on the CPU in one variant. Inputs cannot change there, and nothing outside of an output can be reached.
    pub fn run_fast(&self, team: &Arc<Team>) -> Vec<Output> {
        let mut machine = fast::Machine::new(team.clone(), &self.plan);
        for (id, values) in &self.given {
            let region = self.plan.get(*id).region;
            match values {
                Values::Real(values) => machine.real(region).copy_from_slice(values),
                Values::Int(values) => machine.int(region).copy_from_slice(values),
            }
        }
        machine.run(&self.plan, std::slice::from_ref(&self.pass), &[self.step]);
        let read = |(name, id, element): &(&'static str, TensorId, Element)| {
            let region = self.plan.get(*id).region;
            let bits = match element {
                Element::Real => machine.real(region).iter().map(|v| v.to_bits()).collect(),
                Element::Int => machine.int(region).to_vec(),
            };
            Output { name, bits }
        };
        self.outputs.iter().map(read).collect()
    }

    /// Runs every variant, on the GPU and on the CPU; there the bits must not depend on the number of threads.
    pub fn run_everywhere(&self) -> Vec<(String, Vec<Output>)> {
        let on_gpu = variants().into_iter().map(|(variant, settings)| (variant.to_string(), self.run(&settings)));
        let mut all: Vec<_> = on_gpu.collect();
        let mut one_thread = Vec::new();
        for (variant, team) in teams() {
            let got = self.run_fast(team);
            if team.threads() == 1 {
                one_thread = got.clone();
            }
            for (got, one) in got.iter().zip(&one_thread) {
                assert!(got.bits == one.bits, "{} {variant}: {} depends on the threads", self.pass.label, got.name);
            }
            all.push((variant.clone(), got));
        }
        all
    }

    /// Runs every variant and compares with the f64 reference. `bound` gives, for an output's name and its expected
    /// values, the largest error allowed of each element.
    pub fn check(&self, bound: impl Fn(&str, &[f64]) -> Vec<f64>) {
        let expected = self.expected();
        for (variant, got) in self.run_everywhere() {
            self.judge(&variant, &got, &expected, &bound);
        }
    }

    /// Compares what one variant gave with the f64 reference.
    pub fn judge(
        &self,
        variant: &str,
        got: &[Output],
        expected: &[(&'static str, Vec<f64>)],
        bound: impl Fn(&str, &[f64]) -> Vec<f64>,
    ) {
        assert_eq!(got.len(), expected.len(), "{}: number of outputs", self.pass.label);
        for ((name, expected), output) in expected.iter().zip(got) {
            assert_eq!(*name, output.name);
            let integer = self.outputs.iter().any(|(n, _, element)| n == name && *element == Element::Int);
            let values: Vec<f64> = if integer {
                output.bits.iter().map(|b| f64::from(*b)).collect()
            } else {
                output.real().iter().map(|v| f64::from(*v)).collect()
            };
            compare(&format!("{} {variant} {name}", self.pass.label), &values, expected, &bound(name, expected));
        }
    }

    /// Every variant must give the bits of the f32 reference: for small-integer inputs, whose sums are exact.
    pub fn check_exact(&self) {
        for (variant, got) in self.run_everywhere() {
            self.judge_exact(&variant, &got);
        }
    }

    /// Compares what one variant gave with the f32 reference.
    pub fn judge_exact(&self, variant: &str, got: &[Output]) {
        for (name, expected) in self.expected_f32() {
            let output = got.iter().find(|output| output.name == name).unwrap();
            for (i, (got, want)) in output.real().iter().zip(&expected).enumerate() {
                // -0 and 0 are the same sum.
                assert!(got == want, "{} {variant} {name}[{i}]: got {got}, expected {want}", self.pass.label);
            }
        }
    }
}

/// Fails unless every |got - expected| <= bound; a NaN anywhere fails. Prints the worst error as a share of its bound.
pub fn compare(what: &str, got: &[f64], expected: &[f64], bound: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}: lengths");
    assert_eq!(got.len(), bound.len(), "{what}: bounds");
    let mut worst = 0.0f64;
    for (i, ((got, expected), bound)) in got.iter().zip(expected).zip(bound).enumerate() {
        let error = (got - expected).abs();
        assert!(error <= *bound, "{what}[{i}]: got {got}, expected {expected}, error {error:e} over bound {bound:e}");
        if *bound > 0.0 {
            worst = worst.max(error / bound);
        }
    }
    println!("{what}: worst error {worst:.3} of its bound");
}

/// The variants a pass may run in on the GPU: forms, operand sources, tiles, folded grids; 64-bit words where the
/// device has them.
pub fn variants() -> Vec<(&'static str, Settings)> {
    let register = Settings {
        form: Form::Register,
        operands: OperandSource::Buffer,
        tile: Tile { rows: 8, columns4: 2, across: 2, down: 4 },
        busy_groups: 64,
        wide: false,
        max_groups: MAX_GROUPS,
    };
    let staged = Settings { form: Form::Staged, ..register };
    let mut variants = vec![
        ("naive", Settings { form: Form::Naive, ..register }),
        ("register 4x4, textures", Settings { wide: gpu().has_64_bit(), ..mirrored() }),
        ("register 4x4, buffers", plain()),
        ("register 8x8, folded grid, much split", Settings { busy_groups: 1000, max_groups: 3, ..register }),
        (
            "staged 4x4, much split",
            Settings { tile: Tile { rows: 4, columns4: 1, across: 4, down: 4 }, busy_groups: 1000, ..staged },
        ),
    ];
    if let Some(lanes @ (8 | 16)) = gpu().lanes() {
        let subgroup = Settings::subgroup(lanes);
        let sliding = Settings::sliding(lanes);
        variants.extend([
            ("sliding, textures", sliding),
            (
                "sliding, few rows, wide, buffers, much split",
                Settings {
                    operands: OperandSource::Buffer,
                    tile: Tile::sliding(lanes, 4, 8),
                    busy_groups: 1000,
                    max_groups: 3,
                    ..sliding
                },
            ),
            ("subgroup 4x32, textures", Settings { tile: Tile::subgroup(lanes, 4, 1), ..subgroup }),
            (
                "subgroup 4x64, buffers, much split",
                Settings {
                    operands: OperandSource::Buffer,
                    tile: Tile::subgroup(lanes, 4, 2),
                    busy_groups: 1000,
                    max_groups: 3,
                    ..subgroup
                },
            ),
        ]);
    }
    variants
}

/// Small register tiles on buffers: quickly compiled.
pub fn plain() -> Settings {
    let tile = Tile { rows: 4, columns4: 1, across: 8, down: 8 };
    let operands = OperandSource::Buffer;
    Settings { form: Form::Register, operands, tile, wide: false, busy_groups: 512, max_groups: MAX_GROUPS }
}

/// The same on texture mirrors.
pub fn mirrored() -> Settings {
    Settings { operands: OperandSource::Texture, ..plain() }
}

/// Lets every buffer operand reach into its storage's guard, so that a stray store lands there instead of being clamped.
fn widen(recording: &mut Recording) {
    for command in &mut recording.commands {
        if let Command::Dispatch(dispatch) = command {
            for (_, operand) in dispatch.reads.iter_mut().chain(&mut dispatch.writes) {
                if let Operand::Buffer(region) = operand {
                    region.len = region.len.next_multiple_of(4) + GUARD;
                }
            }
        }
    }
}

/// Values in [-1, 1), the same in every run.
pub fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Whole numbers from -`most` to `most`.
pub fn integers(len: usize, most: u32, seed: u64) -> Vec<f32> {
    random(len, seed)
        .into_iter()
        .map(|v| (v * (most as f32 + 0.5)).round().clamp(-(most as f32), most as f32))
        .collect()
}

/// The bound of a dot product of `terms` terms in any order, from `magnitude`, the sum of absolute terms.
pub fn dot_bound(terms: usize, magnitude: &[f64]) -> Vec<f64> {
    let k = (terms + 2) as f64;
    magnitude.iter().map(|m| k * U / (1.0 - k * U) * m + k * f64::from(f32::MIN_POSITIVE)).collect()
}
