//! A compiled network on a device: the same sections, run by shaders, by the CPU, or by the reference.
//!
//! Everything that waits is async and nothing here blocks a browser; the binary blocks on it.

mod banks;
mod check;
mod profile;

pub use check::NotFinite;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::fast::{self, Instructions, Team};
use crate::gpu::{AdapterChoice, Gpu, Memory, OpenedGpu, Program, Recording, missing_driver_remedy};
use crate::memory::{self, bytes_of};
use crate::network::{Compiled, DataTensors};
use crate::ops::{self, ChooseKernel, KernelConfig, Step};
use crate::plan::{Pass, Plan, Region, TensorId};
use crate::reference;
use crate::tune::KernelChoices;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

/// What `--device` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The CPU, with so many threads; if not given, as many as it has cores.
    Cpu(Option<usize>),
    /// The reference, on the CPU.
    Reference,
    /// A GPU or a driver that acts as one; the CPU if `auto` finds none.
    Adapter(AdapterChoice),
}

impl Default for DeviceChoice {
    /// The device that `auto` takes.
    fn default() -> Self {
        DeviceChoice::Adapter(AdapterChoice::Auto)
    }
}

impl fmt::Display for DeviceChoice {
    /// As `--device` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Cpu(None) => f.write_str("cpu"),
            DeviceChoice::Cpu(Some(threads)) => write!(f, "cpu:{threads}"),
            DeviceChoice::Reference => f.write_str("reference"),
            DeviceChoice::Adapter(AdapterChoice::Auto) => f.write_str("auto"),
            DeviceChoice::Adapter(AdapterChoice::Index(index)) => index.fmt(f),
            DeviceChoice::Adapter(AdapterChoice::Name(name)) => f.write_str(name),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(threads) = text.trim().strip_prefix("cpu:") {
            let count = threads.parse().ok().filter(|count| (1..=Team::MOST_THREADS).contains(count));
            return count.map(|count| DeviceChoice::Cpu(Some(count))).ok_or_else(|| {
                let most = Team::MOST_THREADS;
                Error::Usage(format!("cpu:THREADS: expected from 1 to {most} threads, got `{threads}`"))
            });
        }
        Ok(match text.trim() {
            "" => {
                let choices = "auto, cpu, reference, a number or a part of a name";
                return Err(Error::Usage(format!("the device is empty; give {choices}")));
            }
            "auto" => DeviceChoice::Adapter(AdapterChoice::Auto),
            "cpu" => DeviceChoice::Cpu(None),
            "reference" => DeviceChoice::Reference,
            other => DeviceChoice::Adapter(match other.parse() {
                Ok(index) => AdapterChoice::Index(index),
                Err(_) => AdapterChoice::Name(other.to_string()),
            }),
        })
    }
}

/// An open device; clones share it.
#[derive(Clone)]
pub struct Device {
    kind: Kind,
    choices: Arc<KernelChoices>,
    /// What was taken, for people and for `run.toml`.
    pub description: String,
    /// What the user should know about it.
    pub notice: Option<String>,
}

#[derive(Clone)]
enum Kind {
    Gpu(Arc<Gpu>),
    Cpu(Arc<Team>),
    Reference,
}

impl Device {
    /// Opens what was asked for.
    pub async fn open(choice: &DeviceChoice) -> Result<Device> {
        let adapter = match choice {
            DeviceChoice::Cpu(threads) => return Device::cpu(*threads, Instructions::best(), None),
            DeviceChoice::Reference => {
                let description = "CPU reference".to_string();
                return Ok(Device { kind: Kind::Reference, choices: no_choices(), description, notice: None });
            }
            DeviceChoice::Adapter(adapter) => adapter,
        };
        match Gpu::open(adapter, Step::FIELDS).await? {
            Some(opened) => Ok(Device::opened(opened)),
            None => {
                let notice = format!("no GPU driver found, running on the CPU; {}", missing_driver_remedy());
                Device::cpu(None, Instructions::best(), Some(notice))
            }
        }
    }

    /// Fails where nothing was asked for and there is no driver: [`Device::open`] then gives the CPU, which is no answer to
    /// a question about drivers. `instead` says what `--device cpu` would do.
    pub async fn require_driver(choice: &DeviceChoice, instead: &str) -> Result<()> {
        let DeviceChoice::Adapter(adapter @ AdapterChoice::Auto) = choice else { return Ok(()) };
        match crate::gpu::adapter(adapter).await? {
            Some(_) => Ok(()),
            None => {
                let remedy = missing_driver_remedy();
                Err(Error::Device(format!("no GPU driver found; {remedy}{instead}")))
            }
        }
    }

    fn opened(opened: OpenedGpu) -> Device {
        Device {
            notice: opened.software.then(software_notice),
            description: opened.description,
            choices: Arc::new(KernelConfig::of(&opened.gpu).into()),
            kind: Kind::Gpu(Arc::new(opened.gpu)),
        }
    }

    /// The same device opened anew, with the same choice of kernels. What was on it is lost, and its memory is given back.
    pub async fn reopen(&self) -> Result<Device> {
        let Some(gpu) = self.gpu() else { return Ok(self.clone()) };
        gpu.destroy();
        // What it has to say of that is known.
        let _ = gpu.finish("giving the device back").await;
        match gpu.reopen().await? {
            Some(opened) => Device::opened(opened).with_choices(self.choices().clone()),
            None => Err(Error::DeviceLost(format!("{} is there no more", self.description))),
        }
    }

    /// The CPU, with chosen vector instructions.
    pub fn cpu(threads: Option<usize>, instructions: Instructions, notice: Option<String>) -> Result<Device> {
        let team = Team::new(threads, instructions)?;
        let description = format!("CPU, {}", team.description());
        Ok(Device { kind: Kind::Cpu(Arc::new(team)), choices: no_choices(), description, notice })
    }

    /// The GPU, if this is one.
    pub fn gpu(&self) -> Option<&Gpu> {
        match &self.kind {
            Kind::Gpu(gpu) => Some(gpu),
            Kind::Cpu(_) | Kind::Reference => None,
        }
    }

    /// What decides the bits of its results, as far as the program knows: the adapter with its driver, or the CPU's vector
    /// instructions.
    pub fn identity(&self) -> String {
        match &self.kind {
            Kind::Gpu(_) | Kind::Reference => self.description.clone(),
            Kind::Cpu(team) => format!("CPU, {}", team.instructions.name()),
        }
    }

    /// How passes are recorded for this device: the best guess for it, unless it was told better.
    pub fn choices(&self) -> &KernelChoices {
        &self.choices
    }

    /// The same device, with these choices for every machine that is made on it.
    pub fn with_choices(&self, choices: KernelChoices) -> Result<Device> {
        if let Some(gpu) = self.gpu() {
            for (label, config) in choices.all() {
                config.check_fit(gpu).map_err(|problem| {
                    Error::Usage(format!("the choice of {label} does not fit this device: {problem}; tune again"))
                })?;
            }
        }
        Ok(Device { choices: Arc::new(choices), ..self.clone() })
    }
}

/// What the user should know of a software driver.
fn software_notice() -> String {
    "this is a software driver: the shaders run on the CPU, far slower than on a GPU; `--device cpu` runs native code \
     instead, usually several times as fast (`shadegrad bench` compares them)"
        .to_string()
}

/// Of a device that runs no shaders.
fn no_choices() -> Arc<KernelChoices> {
    Arc::new(KernelConfig::software().into())
}

/// One of the lists of a [`Compiled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// A training step.
    Train,
    /// An evaluation step.
    Evaluate,
    /// The passes of a prediction.
    Predict,
}

/// Words that are written at once, so that a data set is not held twice more.
const PIECE: usize = 1 << 18;

/// Steps that a CPU takes at once: enough to make the wait between two runs of them short.
const MOST_STEPS: usize = 64;

impl Section {
    /// The passes of the section.
    pub fn of(self, compiled: &Compiled) -> &[Pass] {
        match self {
            Section::Train => &compiled.train,
            Section::Evaluate => &compiled.evaluate,
            Section::Predict => &compiled.predict,
        }
    }
}

/// A compiled network with its storages on a device.
pub struct Machine {
    /// What is run.
    pub compiled: Compiled,
    backend: Backend,
}

enum Backend {
    Gpu { gpu: Arc<Gpu>, memory: Box<Memory>, programs: [Program; 3] },
    Cpu(fast::CpuBackend),
    Reference(reference::ReferenceBackend<f32>),
}

impl Machine {
    /// Allocates everything and compiles every kernel: a step creates nothing.
    pub fn new(device: &Device, compiled: Compiled) -> Result<Machine> {
        Machine::with_config(device, compiled, device.choices())
    }

    /// The same with chosen kernels.
    pub fn with_config(device: &Device, compiled: Compiled, config: &impl ChooseKernel) -> Result<Machine> {
        let gpu = match &device.kind {
            Kind::Gpu(gpu) => gpu,
            Kind::Cpu(team) => {
                let machine = fast::CpuBackend::new(team.clone(), &compiled.plan)?;
                return Ok(Machine { compiled, backend: Backend::Cpu(machine) });
            }
            Kind::Reference => {
                let len = compiled.plan.storages.iter().map(|storage| storage.len).sum();
                memory::check_room(bytes_of::<f32>(len), fast::TENSORS)?;
                let machine = reference::ReferenceBackend::new(&compiled.plan);
                return Ok(Machine { compiled, backend: Backend::Reference(machine) });
            }
        };
        let recordings =
            [&compiled.train, &compiled.evaluate, &compiled.predict].map(|passes| recording(&compiled, passes, config));
        let [train, evaluate, predict] = recordings;
        let recordings = [train?, evaluate?, predict?];
        let storages: Vec<_> = compiled.plan.storages.iter().map(|s| (s.name.clone(), s.len)).collect();
        let memory = Memory::new(gpu, &storages, &recordings.each_ref(), size_of::<Step>())?;
        let [train, evaluate, predict] = recordings.each_ref().map(|recording| Program::new(gpu, &memory, recording));
        let programs = [train?, evaluate?, predict?];
        Ok(Machine { compiled, backend: Backend::Gpu { gpu: gpu.clone(), memory: Box::new(memory), programs } })
    }

    /// Most steps that [`Machine::run`] takes at once.
    pub fn most_steps(&self) -> usize {
        match self.backend {
            Backend::Gpu { .. } => Memory::UNIFORMS,
            Backend::Cpu(_) => MOST_STEPS,
            Backend::Reference(_) => 1,
        }
    }

    /// Runs a section once for each step. On a GPU it has only been submitted when this returns.
    pub fn run(&mut self, section: Section, steps: &[Step]) -> Result<()> {
        let passes = section.of(&self.compiled);
        match &mut self.backend {
            Backend::Gpu { gpu, memory, programs } => {
                for chunk in steps.chunks(Memory::UNIFORMS) {
                    programs[section as usize].submit(gpu, memory, chunk)?;
                }
            }
            Backend::Cpu(machine) => machine.run(&self.compiled.plan, passes, steps)?,
            Backend::Reference(machine) => {
                for step in steps {
                    for pass in passes {
                        run_reference(machine, &self.compiled.plan, pass, *step)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits for everything submitted.
    pub async fn finish(&self) -> Result<()> {
        match &self.backend {
            Backend::Gpu { gpu, .. } => gpu.finish("running the network").await,
            Backend::Cpu(_) | Backend::Reference(_) => Ok(()),
        }
    }

    /// Puts a data set on the device, in its own order.
    pub fn load_set(&mut self, to: &DataTensors, set: &Dataset) {
        self.write_bytes(to.images, set.images());
        for first in (0..set.len()).step_by(PIECE) {
            let labels = &set.labels()[first..set.len().min(first + PIECE)];
            let order: Vec<u32> = (first as u32..).take(labels.len()).collect();
            self.write_int_at(to.order, first, &order);
            let labels: Vec<u32> = labels.iter().map(|label| u32::from(*label)).collect();
            self.write_int_at(to.labels, first, &labels);
        }
    }

    fn region(&self, id: TensorId, part: Range<usize>) -> Region {
        let region = self.compiled.plan.get(id).region;
        debug_assert!(part.end <= region.len);
        Region { offset: region.offset + part.start, len: part.len(), ..region }
    }

    /// Overwrites the first numbers of a tensor.
    pub fn write(&mut self, id: TensorId, values: &[f32]) {
        let region = self.region(id, 0..values.len());
        match &mut self.backend {
            Backend::Gpu { gpu, memory, .. } => memory.write(gpu, region, bytemuck::cast_slice(values)),
            Backend::Cpu(machine) => machine.real(region).copy_from_slice(values),
            Backend::Reference(machine) => machine.real(region).copy_from_slice(values),
        }
    }

    /// Overwrites the first integers of a tensor.
    pub fn write_int(&mut self, id: TensorId, values: &[u32]) {
        self.write_int_at(id, 0, values);
    }

    /// Overwrites the first bytes of an integer tensor: four to a word, the first in the lowest bits.
    pub fn write_bytes(&mut self, id: TensorId, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<4>();
        for (index, piece) in words.chunks(PIECE).enumerate() {
            let words: Vec<u32> = piece.iter().map(|word| u32::from_le_bytes(*word)).collect();
            self.write_int_at(id, index * PIECE, &words);
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            self.write_int_at(id, words.len(), &[u32::from_le_bytes(last)]);
        }
    }

    fn write_int_at(&mut self, id: TensorId, first: usize, values: &[u32]) {
        let region = self.region(id, first..first + values.len());
        match &mut self.backend {
            Backend::Gpu { gpu, memory, .. } => memory.write(gpu, region, bytemuck::cast_slice(values)),
            Backend::Cpu(machine) => machine.int(region).copy_from_slice(values),
            Backend::Reference(machine) => machine.int(region).copy_from_slice(values),
        }
    }

    /// A part of a tensor of numbers.
    pub async fn read(&mut self, id: TensorId, part: Range<usize>) -> Result<Vec<f32>> {
        let region = self.region(id, part);
        match &mut self.backend {
            Backend::Gpu { gpu, memory, .. } => Ok(bytemuck::pod_collect_to_vec(&memory.read(gpu, region).await?)),
            Backend::Cpu(machine) => memory::copied(machine.real(region), READ),
            Backend::Reference(machine) => memory::copied(machine.real(region), READ),
        }
    }

    /// A part of a tensor of integers.
    pub async fn read_int(&mut self, id: TensorId, part: Range<usize>) -> Result<Vec<u32>> {
        let region = self.region(id, part);
        match &mut self.backend {
            Backend::Gpu { gpu, memory, .. } => Ok(bytemuck::pod_collect_to_vec(&memory.read(gpu, region).await?)),
            Backend::Cpu(machine) => memory::copied(machine.int(region), READ),
            Backend::Reference(machine) => memory::copied(machine.int(region), READ),
        }
    }
}

/// What [`Machine::read`] needs memory for, in errors.
const READ: &str = "a copy of a tensor";

/// Runs one pass of the reference, if there is memory for what it puts aside meanwhile: copies in `f64` of all its tensors,
/// and one more of its largest input, rearranged.
fn run_reference(machine: &mut reference::ReferenceBackend<f32>, plan: &Plan, pass: &Pass, step: Step) -> Result<()> {
    let len = |id: &TensorId| plan.get(*id).region.len;
    let largest = pass.inputs.iter().map(len).max().unwrap_or_default();
    let all: usize = pass.inputs.iter().chain(&pass.outputs).map(len).sum();
    memory::check_room(bytes_of::<f64>(all + largest), &pass.label)?;
    machine.run(plan, pass, step);
    Ok(())
}

/// The dispatches of a section.
pub fn recording(compiled: &Compiled, passes: &[Pass], config: &impl ChooseKernel) -> Result<Recording> {
    let mut recording = Recording::new();
    for pass in passes {
        ops::record(&compiled.plan, pass, config.config(&pass.label), &mut recording)?;
    }
    Ok(recording)
}
