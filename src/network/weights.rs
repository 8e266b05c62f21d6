//! A network's weights, and how they are kept in a file.
//!
//! The file is a safetensors file in PyTorch's layout, so that `load_state_dict(load_file(path))` of the equivalent
//! `nn.Sequential` takes it as it is: convolutions `[K,C,R,S]`, dense layers `[O,I]`, where the features of a flattened
//! image are in the order C,H,W. The network itself is in the header, and the form of the images that it was trained on, so
//! one file is enough to evaluate and to predict.

use super::Network;
use super::tensors::{self, FORM, NETWORK, Parsed, TensorFile};
use crate::data::form::Form;
use crate::error::{Error, Result};
use crate::files::{read_file, replace_file};
use std::io::Write;
use std::path::Path;

/// Largest file that is read: four times the largest tensor.
const LARGEST_FILE: u64 = 1 << 32;

/// The values of all parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// In the order of [`Network::parameters`] and in our layout: `[R,S,C,K]`, `[I,O]`, `[K]`.
    pub values: Vec<Vec<f32>>,
}

impl Weights {
    /// Writes a safetensors file. A file of that name stays whole until the new one is complete.
    pub fn save(&self, network: &Network, path: &Path) -> Result<()> {
        replace_file(path, |file| file.write_all(&self.to_bytes(network)))
    }

    /// Reads the weights of a network that is known already.
    pub fn load(path: &Path, network: &Network) -> Result<Weights> {
        let bytes = read(path)?;
        Weights::from_bytes(&bytes, network).map_err(|problem| Error::file(path, problem))
    }

    /// Reads weights together with their network, which the header holds: of a weights file or of a checkpoint.
    pub fn open(path: &Path) -> Result<(Network, Weights)> {
        Weights::open_bytes(&read(path)?, path)
    }

    /// The same from a file's bytes; `origin` says in errors where they are from.
    pub fn open_bytes(bytes: &[u8], origin: &Path) -> Result<(Network, Weights)> {
        let file = tensors::parse(bytes).map_err(|problem| Error::file(origin, problem))?;
        let network = network_of(origin, &file)?;
        let weights = file.weights(&network).map_err(|problem| Error::file(origin, problem))?;
        Ok((network, weights))
    }

    /// The file's bytes: the same for the same weights.
    pub fn to_bytes(&self, network: &Network) -> Vec<u8> {
        let mut file = TensorFile::new(network);
        file.push(network, self);
        file.to_bytes()
    }

    /// The weights of a network in a file's bytes; the message of an error says expected and got.
    pub fn from_bytes(bytes: &[u8], network: &Network) -> Result<Weights, String> {
        tensors::parse(bytes)?.weights(network)
    }
}

/// The network in a file's header. `path` is where the file is from.
pub(crate) fn network_of(path: &Path, file: &Parsed<'_>) -> Result<Network> {
    let text = file.note(NETWORK).ok_or_else(|| {
        let problem = format!("expected the network in the header's `{NETWORK}`, got none; name the network as well");
        Error::file(path, problem)
    })?;
    let network = Network::from_toml(&format!("{} (the network in its header)", path.display()), text)?;
    Ok(Network { form: form_of(path, file, &network)?, ..network })
}

/// The form of the images that the weights in a file were trained on, if its header says so.
fn form_of(path: &Path, file: &Parsed<'_>, network: &Network) -> Result<Option<Form>> {
    let Some(text) = file.note(FORM) else { return Ok(None) };
    let said = |problem: String| Error::file(path, format!("the header's `{FORM}`: {problem}"));
    let form: Form = serde_json::from_str(text).map_err(|error| said(error.to_string()))?;
    form.validate(network.input).map_err(said)?;
    Ok(Some(form))
}

/// A file of tensors, if it is not too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    read_file(path, LARGEST_FILE)
}

#[cfg(test)]
mod tests;
