//! Checkpoints: a run in one file, from which training continues as if it had never stopped.
//!
//! A checkpoint is a safetensors file with the weights, the optimizer state and, in its header, the network and
//! everything else that the next step depends on. `evaluate`, `predict` and PyTorch can read it as a weights file. The
//! header also holds a checksum of the whole file, so that truncated files and files with flipped bits are rejected.
//! [`Checkpoints`] manages the checkpoints of a run.

mod folder;

pub use folder::{Checkpoints, Restored};

use super::{Progress, State, TrainOptions};
use crate::error::{Error, Result};
use crate::files::replace_file;
use crate::memory;
use crate::network::tensors::{self, Parsed, SEAL, TensorFile};
use crate::network::{Network, OptimizerState, Weights, weights};
use crate::text::brief;
use crate::tune::KernelChoices;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// Version of the format below and of what it implies: how the order of the images and the dropout masks are drawn.
const VERSION: u32 = 2;

/// Key of the [`Header`] in the metadata of the file's header.
const CHECKPOINT: &str = "shadegrad.checkpoint";

/// Everything that is needed to resume a run, except for its data.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The version of shadegrad that wrote it. Results of other versions may differ in their last bits.
    pub program: String,
    /// The network.
    pub network: Network,
    /// The training options.
    pub options: TrainOptions,
    /// The checksum of the data, [`crate::data::DataPair::checksum`].
    pub data: String,
    /// The device, as given by [`crate::machine::Device::identity`]. Results of other devices may differ in their last
    /// bits.
    pub device: String,
    /// The kernel configurations that the run is pinned to, on devices that have kernels.
    pub choices: Option<KernelChoices>,
    /// The number of ranks that trained together. Results of another number may differ in their last bits.
    pub ranks: usize,
    /// Weights, optimizer state and progress.
    pub state: State,
}

/// Everything but the tensors and the network, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    program: String,
    options: TrainOptions,
    data: String,
    device: String,
    choices: Option<KernelChoices>,
    #[serde(default = "crate::options::one")]
    ranks: usize,
    progress: Progress,
}

/// The fields that can be read from a header of any version.
#[derive(Deserialize)]
struct AnyHeader {
    version: u32,
    program: String,
}

impl Checkpoint {
    /// Whether these weights have the best evaluation of the run so far.
    pub fn is_best(&self) -> bool {
        let Progress { best, step, .. } = &self.state.progress;
        best.is_some_and(|best| best.step == *step)
    }

    /// The same run in another state.
    pub(crate) fn with_state(&self, state: State) -> Checkpoint {
        let Checkpoint { program, network, options, data, device, choices, ranks, state: _ } = self;
        Checkpoint {
            program: program.clone(),
            network: network.clone(),
            options: options.clone(),
            data: data.clone(),
            device: device.clone(),
            choices: choices.clone(),
            ranks: *ranks,
            state,
        }
    }

    /// Fails if there is not enough memory for [`Checkpoint::to_bytes`].
    fn check_room(&self) -> Result<()> {
        let State { weights, optimizer_states, .. } = &self.state;
        let values = optimizer_states.iter().map(|(_, values)| values).chain([weights]);
        // The values put together, and the file made from them.
        memory::check_room(2 * values.map(Weights::bytes).sum::<u64>(), "a checkpoint")
    }

    /// Writes a file. An existing file with that name stays intact until the new one is complete and on disk.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be written, [`Error::Memory`] if there is not enough memory to put it together.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.check_room()?;
        let bytes = self.to_bytes();
        replace_file(path, |file| file.write_all(&bytes))
    }

    /// Reads a file written by [`Checkpoint::save`].
    pub fn load(path: &Path) -> Result<Checkpoint> {
        Checkpoint::from_bytes(&weights::read(path)?, path)
    }

    /// Fails if a file written by [`Checkpoint::save`] is damaged.
    pub(crate) fn check(path: &Path) -> Result<()> {
        let bytes = weights::read(path)?;
        let checked = tensors::parse(&bytes).and_then(|file| header(&file).map(|_| ()));
        checked.map_err(|problem| Error::file(path, problem))
    }

    /// Reads a checkpoint from the bytes of a file; `origin` is named in errors.
    pub fn from_bytes(bytes: &[u8], origin: &Path) -> Result<Checkpoint> {
        let said = |problem| Error::file(origin, problem);
        let file = tensors::parse(bytes).map_err(said)?;
        let header = header(&file).map_err(said)?;
        let network = weights::network_of(origin, &file)?;
        let network = network.ok_or_else(|| said("the header has no network".into()))?;
        Checkpoint::assemble(header, network, &file).map_err(said)
    }

    /// The bytes of the file; equal checkpoints give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Checkpoint { network, state, .. } = self;
        let header = Header {
            version: VERSION,
            program: self.program.clone(),
            options: self.options.clone(),
            data: self.data.clone(),
            device: self.device.clone(),
            choices: self.choices.clone(),
            ranks: self.ranks,
            progress: state.progress.clone(),
        };
        let mut file = TensorFile::new(network);
        match serde_json::to_string(&header) {
            Ok(text) => file.note(CHECKPOINT, text),
            Err(error) => unreachable!("numbers and words: {error}"),
        }
        // A reader that takes the file as a weights file gets the weights that were evaluated.
        file.push(network, state.model());
        for (optimizer_state, values) in &state.optimizer_states {
            match optimizer_state {
                OptimizerState::Average => file.push_trained(network, &state.weights),
                _ => file.push_optimizer_state(*optimizer_state, network, values),
            }
        }
        file.into_sealed_bytes()
    }

    fn assemble(header: Header, network: Network, file: &Parsed<'_>) -> Result<Checkpoint, String> {
        let Header { program, options, data, device, choices, ranks, progress, .. } = header;
        options.validate().map_err(|error| error.to_string())?;
        for (label, config) in choices.iter().flat_map(KernelChoices::all) {
            config.validate().map_err(|problem| format!("{label}: {problem}"))?;
        }
        let weights = file.weights(&network)?;
        // The memory for the copies made below.
        memory::check_room(2 * weights.bytes(), "a checkpoint").map_err(|error| error.to_string())?;
        let needed = if progress.step > 0 { OptimizerState::needed(&options.step) } else { Vec::new() };
        let trained = if needed.contains(&OptimizerState::Average) { file.trained(&network)? } else { weights.clone() };
        let read = |optimizer_state| match optimizer_state {
            OptimizerState::Average => Ok((optimizer_state, weights.clone())),
            _ => Ok((optimizer_state, file.optimizer_state(optimizer_state, &network)?)),
        };
        let optimizer_states = needed.into_iter().map(read).collect::<Result<_, String>>()?;
        let weights = trained;
        let state = State { weights, optimizer_states, progress };
        Ok(Checkpoint { program, network, options, data, device, choices, ranks, state })
    }
}

/// The header of an undamaged file.
fn header(file: &Parsed<'_>) -> Result<Header, String> {
    let (Some(text), Some(_)) = (file.note(CHECKPOINT), file.note(SEAL)) else {
        return Err("not a checkpoint: weights alone cannot be resumed; start a new run from them instead".into());
    };
    let problem = |error: serde_json::Error| format!("not a readable checkpoint: {error}");
    let AnyHeader { version, program } = serde_json::from_str(text).map_err(problem)?;
    if version != VERSION {
        return Err(format!(
            "a checkpoint of shadegrad {} in format {version}; this version reads format {VERSION}",
            brief(&program)
        ));
    }
    serde_json::from_str(text).map_err(problem)
}

#[cfg(test)]
mod tests;
