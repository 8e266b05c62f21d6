//! The weights of a network, and the files that hold them.
//!
//! The file is a safetensors file in PyTorch's layout, so that the equivalent `nn.Sequential` can read it with
//! `load_state_dict(load_file(path))`: convolutions `[K,C,R,S]`, dense layers `[O,I]`, with the features of a flattened
//! image in the order C,H,W. The header also holds the network and the form of the images that it was trained on, so
//! one file is enough to evaluate and predict.

use super::Network;
use super::tensors::{self, FORM, NETWORK, Parsed, TensorFile};
use crate::data::form::Form;
use crate::error::{Error, Result};
use crate::files::{read_file, replace_file};
use crate::memory;
use std::io::Write;
use std::path::Path;

/// Largest file that is read: four times the largest tensor.
const LARGEST_FILE: u64 = 1 << 32;

/// The values of all parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The values of each parameter in the order of [`Network::parameters`], in this program's layout: `[R,S,C,K]`,
    /// `[I,O]`, `[K]`.
    pub values: Vec<Vec<f32>>,
}

impl Weights {
    /// Size in memory, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.values.iter().map(|values| memory::bytes_of::<f32>(values.len())).sum()
    }

    /// Fails if there is not enough memory for [`Weights::to_bytes`].
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] if there is not enough.
    pub fn check_room(&self) -> Result<()> {
        // The values put together, and the file made from them.
        memory::check_room(2 * self.bytes(), "a file of the weights")
    }

    /// Writes a safetensors file. An existing file with that name stays intact until the new one is complete.
    pub fn save(&self, network: &Network, path: &Path) -> Result<()> {
        self.check_room()?;
        replace_file(path, |file| file.write_all(&self.to_bytes(network)))
    }

    /// Reads the weights of a known network.
    pub fn load(path: &Path, network: &Network) -> Result<Weights> {
        let bytes = read(path)?;
        Weights::from_bytes(&bytes, network).map_err(|problem| Error::file(path, problem))
    }

    /// Reads weights with the network in the header of a weights file or checkpoint.
    pub fn open(path: &Path) -> Result<(Network, Weights)> {
        Weights::open_bytes(&read(path)?, path)
    }

    /// Reads weights with their network from the bytes of a file; `origin` is named in errors.
    pub fn open_bytes(bytes: &[u8], origin: &Path) -> Result<(Network, Weights)> {
        let said = |problem| Error::file(origin, problem);
        let file = tensors::parse(bytes).map_err(said)?;
        let network = network_of(origin, &file)?.ok_or_else(|| {
            said("the file does not say which network its weights belong to; name the network".into())
        })?;
        let weights = file.weights(&network).map_err(said)?;
        Ok((network, weights))
    }

    /// Reads the weights of a known network from a file that need not hold it.
    ///
    /// # Errors
    ///
    /// Those of [`Weights::load`], and [`Error::File`] if the file holds another network: the same weights may fit
    /// both, but be meaningful in only one of them.
    pub fn open_as(path: &Path, network: &Network) -> Result<Weights> {
        let bytes = read(path)?;
        let said = |problem| Error::file(path, problem);
        let file = tensors::parse(&bytes).map_err(said)?;
        if let Some(own) = network_of(path, &file)? {
            let named = Network { name: own.name.clone(), ..network.clone() };
            if named.to_toml() != own.to_toml() {
                return Err(said(format!(
                    "the file holds a network, `{}`, that differs from `{}`; use the network in the file",
                    own.name, network.name
                )));
            }
        }
        file.weights(network).map_err(said)
    }

    /// The bytes of the file; the same for the same weights.
    pub fn to_bytes(&self, network: &Network) -> Vec<u8> {
        let mut file = TensorFile::new(network);
        file.push(network, self);
        file.to_bytes()
    }

    /// The weights of a network in the bytes of a file; an error message has expected and actual values.
    pub fn from_bytes(bytes: &[u8], network: &Network) -> Result<Weights, String> {
        tensors::parse(bytes)?.weights(network)
    }
}

/// The network in a file's header, if it has one; files from PyTorch do not. `path` is the path of the file.
pub(crate) fn network_of(path: &Path, file: &Parsed<'_>) -> Result<Option<Network>> {
    let Some(text) = file.note(NETWORK) else { return Ok(None) };
    let network = Network::from_header(&format!("{} (the network in its header)", path.display()), text)?;
    Ok(Some(Network { form: form_of(path, file, &network)?, ..network }))
}

/// The form of the images that the weights in a file were trained on, if its header has it.
fn form_of(path: &Path, file: &Parsed<'_>, network: &Network) -> Result<Option<Form>> {
    let Some(text) = file.note(FORM) else { return Ok(None) };
    let said = |problem: String| Error::file(path, format!("the header's `{FORM}`: {problem}"));
    let form: Form = serde_json::from_str(text).map_err(|error| said(error.to_string()))?;
    form.validate(network.input).map_err(said)?;
    Ok(Some(form))
}

/// Reads a file of tensors, unless it is too large.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    read_file(path, LARGEST_FILE)
}

#[cfg(test)]
mod tests;
