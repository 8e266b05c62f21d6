//! A compiled network on a device: its passes run as shaders, as native code on the CPU, or as the reference.
//!
//! Everything that waits is async, so nothing here blocks a browser; the command-line program blocks on it.

mod banks;
mod check;
mod exchange;
mod profile;

pub use check::NotFinite;

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::fast::{self, Instructions, Team};
use crate::gpu::{AdapterChoice, Gpu, Memory, OpenedGpu, Program, Readback, Recording, missing_driver_remedy};
use crate::memory::{self, bytes_of};
use crate::network::{Compiled, DataTensors};
use crate::ops::{self, ChooseKernel, KernelConfig, Step};
use crate::plan::{Exchange, Pass, Plan, Region, TensorId};
use crate::ranks::OnNode;
use crate::reference;
use crate::tune::KernelChoices;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

/// The device requested by `--device`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The CPU engine, with this many threads; by default one per core.
    Cpu(Option<usize>),
    /// The reference, which runs on the CPU.
    Reference,
    /// A GPU or a software driver; `auto` falls back to the CPU if there is none.
    Adapter(AdapterChoice),
}

impl Default for DeviceChoice {
    /// The choice `auto`.
    fn default() -> Self {
        DeviceChoice::Adapter(AdapterChoice::Auto)
    }
}

impl DeviceChoice {
    /// The choice of one of several processes on a machine. Of a list separated by commas it is the entry of the process;
    /// `auto` takes adapters of the best type in turns, and `cpu` an equal share of the cores.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when a list does not have as many entries as there are processes.
    pub fn for_rank(&self, node: OnNode) -> Result<DeviceChoice> {
        let OnNode { rank: number, ranks: processes } = node;
        Ok(match self.entry(node)? {
            choice if processes == 1 => choice,
            DeviceChoice::Cpu(None) => DeviceChoice::Cpu(Some(Team::share(processes))),
            DeviceChoice::Adapter(AdapterChoice::Auto) => {
                DeviceChoice::Adapter(AdapterChoice::InTurn { number, processes })
            }
            choice => choice,
        })
    }

    /// The entry of a process, if this is a list.
    fn entry(&self, node: OnNode) -> Result<DeviceChoice> {
        // A name of a device may contain commas, too.
        let DeviceChoice::Adapter(AdapterChoice::Name(text)) = self else { return Ok(self.clone()) };
        let entries: Vec<&str> = text.split(',').collect();
        let is_no_name = |entry: &str| {
            let choice = entry.parse::<DeviceChoice>();
            choice.is_ok_and(|choice| !matches!(choice, DeviceChoice::Adapter(AdapterChoice::Name(_))))
        };
        let is_name = node.ranks == 1 && !entries.iter().all(|entry| is_no_name(entry));
        match entries.get(node.rank) {
            _ if entries.len() == 1 || is_name => Ok(self.clone()),
            Some(entry) if entries.len() == node.ranks => entry.parse(),
            _ => Err(Error::Usage(format!(
                "the device `{text}` is a list of {} devices, but {} on this machine; give one for each, or one for all",
                entries.len(),
                if node.ranks == 1 { "one process runs".to_string() } else { format!("{} processes run", node.ranks) }
            ))),
        }
    }
}

impl fmt::Display for DeviceChoice {
    /// The value of `--device` that makes this choice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Cpu(None) => f.write_str("cpu"),
            DeviceChoice::Cpu(Some(threads)) => write!(f, "cpu:{threads}"),
            DeviceChoice::Reference => f.write_str("reference"),
            DeviceChoice::Adapter(AdapterChoice::Auto | AdapterChoice::InTurn { .. }) => f.write_str("auto"),
            DeviceChoice::Adapter(AdapterChoice::Index(index)) => index.fmt(f),
            DeviceChoice::Adapter(AdapterChoice::Name(name)) => f.write_str(name),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // A list of devices, or a name with a comma in it.
        if text.contains(',') {
            return Ok(DeviceChoice::Adapter(AdapterChoice::Name(text.trim().to_string())));
        }
        if let Some(threads) = text.trim().strip_prefix("cpu:") {
            let count = threads.parse().ok().filter(|count| (1..=Team::MOST_THREADS).contains(count));
            return count.map(|count| DeviceChoice::Cpu(Some(count))).ok_or_else(|| {
                let most = Team::MOST_THREADS;
                Error::Usage(format!("cpu:THREADS: expected from 1 to {most} threads, got `{threads}`"))
            });
        }
        Ok(match text.trim() {
            "" => {
                let choices = "auto, cpu, reference, an index or part of a name";
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
    /// Name and kind of the device, for output and for `run.toml`.
    pub description: String,
    /// A notice about the device to show to the user.
    pub notice: Option<String>,
}

#[derive(Clone)]
enum Kind {
    Gpu(Arc<Gpu>),
    Cpu(Arc<Team>),
    Reference,
}

impl Device {
    /// Opens the requested device.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when it does not exist or cannot be opened, [`Error::Usage`] when the choice is not valid.
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
                let threads = match adapter {
                    AdapterChoice::InTurn { processes, .. } => Some(Team::share(*processes)),
                    _ => None,
                };
                let notice = format!("no GPU driver found, running on the CPU; {}", missing_driver_remedy());
                Device::cpu(threads, Instructions::best(), Some(notice))
            }
        }
    }

    /// Checks that `auto` finds a driver, for commands that need one: [`Device::open`] would fall back to the CPU.
    /// Other choices always pass.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when there is no driver; `instead` is appended to its message, and may suggest `--device cpu`.
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
        tracing::info!(device = opened.description, "device opened");
        Device {
            notice: None,
            description: opened.description,
            choices: Arc::new(KernelConfig::of(&opened.gpu).into()),
            kind: Kind::Gpu(Arc::new(opened.gpu)),
        }
    }

    /// Closes the device, which frees its memory, and opens it again with the same choice of kernels. Everything that
    /// was on it is lost.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] when the device is no longer available.
    pub async fn reopen(&self) -> Result<Device> {
        let Some(gpu) = self.gpu() else { return Ok(self.clone()) };
        gpu.destroy();
        // The error it reports, that the device was destroyed, is expected.
        let _ = gpu.finish("closing the device").await;
        match gpu.reopen().await? {
            Some(opened) => Device::opened(opened).with_choices(self.choices().clone()),
            None => Err(Error::DeviceLost(format!("{} is no longer available", self.description))),
        }
    }

    /// The CPU engine, with the given vector instructions; by default one thread per core.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the number of threads is out of range, [`Error::Device`] when threads cannot be started.
    pub fn cpu(threads: Option<usize>, instructions: Instructions, notice: Option<String>) -> Result<Device> {
        let team = Team::new(threads, instructions)?;
        let description = format!("CPU, {}", team.description());
        tracing::debug!(device = description, "CPU engine started");
        Ok(Device { kind: Kind::Cpu(Arc::new(team)), choices: no_choices(), description, notice })
    }

    /// The GPU, if the device is one.
    pub fn gpu(&self) -> Option<&Gpu> {
        match &self.kind {
            Kind::Gpu(gpu) => Some(gpu),
            Kind::Cpu(_) | Kind::Reference => None,
        }
    }

    /// Identifies what determines the exact bits of the results, as far as the program knows: the adapter with its
    /// driver, or the CPU's vector instructions.
    pub fn identity(&self) -> String {
        match &self.kind {
            Kind::Gpu(_) | Kind::Reference => self.description.clone(),
            Kind::Cpu(team) => format!("CPU, {}", team.instructions.name()),
        }
    }

    /// The kernel configurations for this device: defaults for its kind, unless [`Device::with_choices`] has set
    /// others.
    pub fn choices(&self) -> &KernelChoices {
        &self.choices
    }

    /// The same device, with these kernel configurations for every machine that is created on it.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when a configuration does not fit the device.
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

/// Placeholder choices for a device that runs no shaders.
fn no_choices() -> Arc<KernelChoices> {
    Arc::new(KernelConfig::software().into())
}

/// One of the lists of passes of a [`Compiled`] network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// A training step.
    Train,
    /// The passes of a training step that compute the gradients, before the update.
    Gradients,
    /// An evaluation step.
    Evaluate,
    /// The passes of a prediction.
    Predict,
}

/// Number of words written at a time, so that uploading a data set does not need further copies of all of it.
const PIECE: usize = 1 << 18;

/// Most steps that the CPU engine runs per call: enough that the overhead between calls is small.
const MOST_STEPS: usize = 64;

impl Section {
    /// The passes of the section.
    pub fn of(self, compiled: &Compiled) -> &[Pass] {
        match self {
            Section::Train => &compiled.train,
            Section::Gradients => &compiled.train[..compiled.update],
            Section::Evaluate => &compiled.evaluate,
            Section::Predict => &compiled.predict,
        }
    }

    /// The index of the program that contains its passes.
    fn program(self) -> usize {
        match self {
            Section::Train | Section::Gradients => 0,
            Section::Evaluate => 1,
            Section::Predict => 2,
        }
    }
}

/// A compiled network with its storages on a device.
pub struct Machine {
    /// The network that is run.
    pub compiled: Compiled,
    backend: Backend,
}

enum Backend {
    Gpu { gpu: Arc<Gpu>, memory: Box<Memory>, programs: [Program; 3], readbacks: Vec<Readback> },
    Cpu(fast::CpuBackend),
    Reference(reference::ReferenceBackend<f32>),
}

impl Machine {
    /// Allocates all device memory and compiles every kernel, so that steps need not.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when there is not enough memory, and errors of the device.
    pub fn new(device: &Device, compiled: Compiled) -> Result<Machine> {
        Machine::with_config(device, compiled, device.choices())
    }

    /// Like [`Machine::new`], with the given kernel configurations.
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
        let sections = [Section::Train, Section::Evaluate, Section::Predict];
        let recordings = sections.map(|section| recording(&compiled, section.of(&compiled), config));
        let [train, evaluate, predict] = recordings;
        let recordings = [train?, evaluate?, predict?];
        let storages: Vec<_> = compiled.plan.storages.iter().map(|s| (s.name.clone(), s.len)).collect();
        let memory = Memory::new(gpu, &storages, &recordings.each_ref(), size_of::<Step>())?;
        let [train, evaluate, predict] = recordings.each_ref().map(|recording| Program::new(gpu, &memory, recording));
        let programs = [train?, evaluate?, predict?];
        let readback = |exchange: &Exchange| {
            let tensors = exchange.tensors.iter().map(|id| compiled.plan.get(*id));
            let (names, regions): (Vec<_>, Vec<_>) =
                tensors.map(|tensor| (tensor.name.as_str(), tensor.region)).unzip();
            Readback::new(gpu, &names.join(", "), regions)
        };
        let readbacks = compiled.exchanges.iter().map(readback).collect::<Result<_>>()?;
        let (gpu, memory) = (gpu.clone(), Box::new(memory));
        Ok(Machine { compiled, backend: Backend::Gpu { gpu, memory, programs, readbacks } })
    }

    /// Largest useful number of steps per call of [`Machine::run`].
    pub fn most_steps(&self) -> usize {
        match self.backend {
            Backend::Gpu { .. } => Memory::UNIFORMS,
            Backend::Cpu(_) => MOST_STEPS,
            Backend::Reference(_) => 1,
        }
    }

    /// Runs a section once for each step. On a GPU, the work has only been submitted when this returns.
    pub fn run(&mut self, section: Section, steps: &[Step]) -> Result<()> {
        let passes = section.of(&self.compiled);
        match &mut self.backend {
            Backend::Gpu { gpu, memory, programs, .. } => {
                let program = &programs[section.program()];
                let commands = program.commands_of(0..passes.len());
                for chunk in steps.chunks(Memory::UNIFORMS) {
                    program.submit_ranges(gpu, memory, chunk, |_| commands.clone())?;
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

    /// Runs training steps, each given as the parts of its batch: the update follows the last part. On a GPU, the work
    /// has only been submitted when this returns.
    ///
    /// # Errors
    ///
    /// Those of [`Machine::run`].
    pub fn run_parts(&mut self, steps: &[Vec<Step>]) -> Result<()> {
        let parts: Vec<(Step, Section)> = steps.iter().flat_map(|parts| sections(parts)).collect();
        let Backend::Gpu { gpu, memory, programs, .. } = &self.backend else {
            // Steps in a row share the cost of a call.
            for parts in parts.chunk_by(|one, next| one.1 == next.1) {
                self.run(parts[0].1, &parts.iter().map(|(step, _)| *step).collect::<Vec<_>>())?;
            }
            return Ok(());
        };
        let program = &programs[Section::Train.program()];
        let commands = |section: Section| program.commands_of(0..section.of(&self.compiled).len());
        for chunk in parts.chunks(Memory::UNIFORMS) {
            let steps: Vec<Step> = chunk.iter().map(|(step, _)| *step).collect();
            program.submit_ranges(gpu, memory, &steps, |slot| commands(chunk[slot].1))?;
        }
        Ok(())
    }

    /// Waits until all submitted work is done.
    pub async fn finish(&self) -> Result<()> {
        match &self.backend {
            Backend::Gpu { gpu, .. } => gpu.finish("running the network").await,
            Backend::Cpu(_) | Backend::Reference(_) => Ok(()),
        }
    }

    /// Uploads a data set to the device, in its own order.
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

    /// Overwrites the first elements of a tensor of floating-point numbers.
    pub fn write(&mut self, id: TensorId, values: &[f32]) {
        let region = self.region(id, 0..values.len());
        match &mut self.backend {
            Backend::Gpu { gpu, memory, .. } => memory.write(gpu, region, bytemuck::cast_slice(values)),
            Backend::Cpu(machine) => machine.real(region).copy_from_slice(values),
            Backend::Reference(machine) => machine.real(region).copy_from_slice(values),
        }
    }

    /// Overwrites the first elements of a tensor of integers.
    pub fn write_int(&mut self, id: TensorId, values: &[u32]) {
        self.write_int_at(id, 0, values);
    }

    /// Overwrites the first bytes of a tensor of integers: four bytes per word, the first in the lowest bits.
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

    /// Reads part of a tensor of floating-point numbers.
    pub async fn read(&mut self, id: TensorId, part: Range<usize>) -> Result<Vec<f32>> {
        let region = self.region(id, part);
        match &mut self.backend {
            Backend::Gpu { gpu, memory, .. } => Ok(bytemuck::pod_collect_to_vec(&memory.read(gpu, region).await?)),
            Backend::Cpu(machine) => memory::copied(machine.real(region), READ),
            Backend::Reference(machine) => memory::copied(machine.real(region), READ),
        }
    }

    /// Reads part of a tensor of integers.
    pub async fn read_int(&mut self, id: TensorId, part: Range<usize>) -> Result<Vec<u32>> {
        let region = self.region(id, part);
        match &mut self.backend {
            Backend::Gpu { gpu, memory, .. } => Ok(bytemuck::pod_collect_to_vec(&memory.read(gpu, region).await?)),
            Backend::Cpu(machine) => memory::copied(machine.int(region), READ),
            Backend::Reference(machine) => memory::copied(machine.int(region), READ),
        }
    }
}

/// What [`Machine::read`] allocates memory for, as errors name it.
const READ: &str = "a copy of a tensor";

/// Runs one pass of the reference after checking that there is memory for its working copies: all of its tensors in
/// `f64`, and one rearranged copy of its largest input.
fn run_reference(machine: &mut reference::ReferenceBackend<f32>, plan: &Plan, pass: &Pass, step: Step) -> Result<()> {
    let len = |id: &TensorId| plan.get(*id).region.len;
    let largest = pass.inputs.iter().map(len).max().unwrap_or_default();
    let all: usize = pass.inputs.iter().chain(&pass.outputs).map(len).sum();
    memory::check_room(bytes_of::<f64>(all + largest), &pass.label)?;
    machine.run(plan, pass, step);
    Ok(())
}

/// The parts of a batch, each with the section that it runs: the last part is followed by the update.
pub fn sections(parts: &[Step]) -> impl Iterator<Item = (Step, Section)> {
    let last = parts.len().saturating_sub(1);
    let section = move |index: usize| if index == last { Section::Train } else { Section::Gradients };
    parts.iter().enumerate().map(move |(index, step)| (*step, section(index)))
}

/// Records the dispatches of a section.
pub fn recording(compiled: &Compiled, passes: &[Pass], config: &impl ChooseKernel) -> Result<Recording> {
    let mut recording = Recording::new();
    let exchanges = if compiled.is_training(passes) { compiled.exchanges.as_slice() } else { &[] };
    let mut index = 0;
    for joined in compiled.joined(passes, config) {
        for exchange in exchanges.iter().filter(|exchange| exchange.before == index) {
            exchange.tensors.iter().for_each(|id| recording.overwritten(&compiled.plan.get(*id).region));
        }
        joined.passes.iter().for_each(|_| recording.mark());
        let first = &joined.passes[0];
        ops::record(&compiled.plan, joined.pass(), config.config(&first.label), &mut recording)?;
        index += joined.passes.len();
    }
    Ok(recording)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_its_entry_of_a_list() {
        let of = |text: &str, rank: usize, ranks: usize| {
            let choice = text.parse::<DeviceChoice>().unwrap().for_rank(OnNode { rank, ranks });
            choice.map(|choice| choice.to_string()).map_err(|error| error.to_string())
        };
        assert_eq!([0, 1, 2].map(|rank| of("0,cpu:2,auto", rank, 3).unwrap()), ["0", "cpu:2", "auto"]);
        let in_turn = DeviceChoice::default().for_rank(OnNode { rank: 1, ranks: 2 }).unwrap();
        let expected = AdapterChoice::InTurn { number: 1, processes: 2 };
        assert_eq!(in_turn, DeviceChoice::Adapter(expected));
        assert!(of("cpu", 0, 2).unwrap().starts_with("cpu:"));
        assert_eq!([0, 1].map(|rank| of("cpu:3", rank, 2).unwrap()), ["cpu:3", "cpu:3"]);
        // Alone, it is the name of a device.
        assert_eq!(of("LLVM 15.0.6, 256 bits", 0, 1).unwrap(), "LLVM 15.0.6, 256 bits");
        for (ranks, says) in [
            (1, "is a list of 3 devices, but one process runs"),
            (2, "is a list of 3 devices, but 2 processes run"),
            (4, "is a list of 3 devices, but 4 processes run"),
        ] {
            assert!(of("0,1,cpu", 0, ranks).unwrap_err().contains(says));
        }
        assert!(of("0,cpu:0", 1, 2).unwrap_err().contains("expected from 1 to 1024 threads"));
    }
}
