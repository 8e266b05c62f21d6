//! Named tensors in a safetensors file, written here and read with the `safetensors` crate.
//!
//! The crate keeps metadata in a hash map, in random order; written here, the same weights always give the same bytes.
//! The format: length of the header as a `u64`, the header as JSON, then the tensors one after the other, all
//! little-endian. A file may be sealed: its metadata then holds the SHA-256 of the whole file, computed with 64 zeros
//! in place of the checksum.

use super::{Network, NetworkParameter, OptimizerState, Weights};
use crate::data::hex;
use crate::memory;
use crate::ops::Parameter;
use safetensors::{Dtype, SafeTensors};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Keys of the header's metadata.
pub(crate) const FORMAT: &str = "format";
pub(crate) const NAME: &str = "shadegrad.name";
pub(crate) const NETWORK: &str = "shadegrad.network";
pub(crate) const FORM: &str = "shadegrad.form";
pub(crate) const SEAL: &str = "shadegrad.sha256";

/// A counter in PyTorch's batch norm, which PyTorch accepts as missing; nothing depends on it.
const PYTORCH_COUNT: &str = ".num_batches_tracked";

/// Prefix of the keys of weights that are still being trained.
const TRAINED: &str = "trained.";

/// Placeholder for the checksum while it is computed.
pub(crate) const UNSEALED: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A file that is being assembled.
pub(crate) struct TensorFile {
    metadata: BTreeMap<&'static str, String>,
    tensors: serde_json::Map<String, serde_json::Value>,
    data: Vec<u8>,
}

impl TensorFile {
    /// A file with a network and, if known, the form of its images, but no tensors yet.
    pub fn new(network: &Network) -> TensorFile {
        let metadata =
            BTreeMap::from([(FORMAT, "pt".into()), (NAME, network.name.clone()), (NETWORK, network.to_toml())]);
        let mut file = TensorFile { metadata, tensors: serde_json::Map::new(), data: Vec::new() };
        if let Some(Ok(text)) = network.form.as_ref().map(serde_json::to_string) {
            file.note(FORM, text);
        }
        file
    }

    /// Adds an entry to the metadata.
    pub fn note(&mut self, key: &'static str, text: String) {
        self.metadata.insert(key, text);
    }

    /// Adds a tensor for each parameter, in PyTorch's layout.
    pub fn push(&mut self, network: &Network, weights: &Weights) {
        self.push_prefixed("", network, weights, |_| true);
    }

    /// Adds the weights being trained, for files in which the tensors without a prefix are their average.
    pub fn push_trained(&mut self, network: &Network, weights: &Weights) {
        self.push_prefixed(TRAINED, network, weights, |_| true);
    }

    /// Adds an optimizer state.
    pub fn push_optimizer_state(&mut self, optimizer_state: OptimizerState, network: &Network, values: &Weights) {
        self.push_prefixed(&prefix(optimizer_state), network, values, |parameter| optimizer_state.is_of(parameter));
    }

    fn push_prefixed(
        &mut self,
        prefix: &str,
        network: &Network,
        weights: &Weights,
        is_in: impl Fn(&Parameter) -> bool,
    ) {
        let parameters = network.parameters();
        let wanted = parameters.iter().zip(&weights.values).filter(|(of, _)| is_in(&of.parameter));
        self.data.reserve_exact(weights.values.iter().map(|values| size_of_val(values.as_slice())).sum());
        for (NetworkParameter { key, parameter, .. }, values) in wanted {
            let start = self.data.len();
            in_torch_order(parameter, |place| self.data.extend(values[place].to_le_bytes()));
            let entry =
                json!({"dtype": "F32", "shape": parameter.torch_shape, "data_offsets": [start, self.data.len()]});
            self.tensors.insert(format!("{prefix}{key}"), entry);
        }
    }

    /// The bytes of the file; the same for the same content.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut header = self.tensors.clone();
        header.insert("__metadata__".into(), json!(self.metadata));
        let mut text = json!(header).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut bytes = Vec::with_capacity(size_of::<u64>() + text.len() + self.data.len());
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text);
        bytes.extend(&self.data);
        bytes
    }

    /// The bytes of the file with a checksum of all of it.
    pub fn into_sealed_bytes(mut self) -> Vec<u8> {
        self.note(SEAL, UNSEALED.into());
        seal(self.to_bytes())
    }
}

/// Prefix of the keys of an optimizer state.
fn prefix(optimizer_state: OptimizerState) -> String {
    format!("{}.", optimizer_state.name())
}

/// Replaces the zeros by the checksum.
pub(crate) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let seal = checksum(&bytes);
    match seal_place(&bytes) {
        Some(at) => bytes[at..at + seal.len()].copy_from_slice(seal.as_bytes()),
        None => unreachable!("the header of a file to be sealed has a place for it"),
    }
    bytes
}

/// The contents of a file: its tensors and metadata.
pub(crate) struct Parsed<'a> {
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
}

impl Parsed<'_> {
    /// An entry of the metadata.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The values of a network's parameters; other tensors are an error.
    pub fn weights(&self, network: &Network) -> Result<Weights, String> {
        let parameters = network.parameters();
        let known: BTreeSet<&str> = parameters.iter().map(|of| of.key.as_str()).collect();
        let beside = OptimizerState::ALL.map(prefix);
        let is_weight = |name: &&str| {
            let is_beside = beside.iter().any(|prefix| name.starts_with(prefix.as_str()));
            !name.starts_with(TRAINED) && !is_beside && !name.ends_with(PYTORCH_COUNT)
        };
        let names = self.tensors.names().into_iter().filter(is_weight);
        let found: BTreeSet<&str> = names.collect();
        let list = |names: Vec<&&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let missing: Vec<_> = known.difference(&found).collect();
        let surplus: Vec<_> = found.difference(&known).collect();
        if !missing.is_empty() || !surplus.is_empty() {
            let mut problem =
                format!("not weights of `{}`: expected {} tensors, got {}", network.name, known.len(), found.len());
            if !missing.is_empty() {
                problem += &format!("; missing {}", list(missing));
            }
            if !surplus.is_empty() {
                problem += &format!("; surplus {}", list(surplus));
            }
            return Err(problem);
        }
        self.prefixed("", network, |_| true)
    }

    /// The weights being trained, from files in which the tensors without a prefix are their average.
    pub fn trained(&self, network: &Network) -> Result<Weights, String> {
        self.prefixed(TRAINED, network, |_| true)
    }

    /// An optimizer state.
    pub fn optimizer_state(&self, optimizer_state: OptimizerState, network: &Network) -> Result<Weights, String> {
        self.prefixed(&prefix(optimizer_state), network, |parameter| optimizer_state.is_of(parameter))
    }

    /// Parameters that the state does not exist for are zeros.
    fn prefixed(&self, prefix: &str, network: &Network, is_in: impl Fn(&Parameter) -> bool) -> Result<Weights, String> {
        let read = |of: &NetworkParameter| match is_in(&of.parameter) {
            true => read_parameter(&self.tensors, &format!("{prefix}{}", of.key), of),
            false => zeros(of),
        };
        Ok(Weights { values: network.parameters().iter().map(read).collect::<Result<_, String>>()? })
    }
}

/// Parses the bytes of a file and verifies its checksum if it is sealed. Error messages give expected and actual
/// values.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed<'_>, String> {
    let whole = |error| format!("not a complete safetensors file: {error}");
    let tensors = SafeTensors::deserialize(bytes).map_err(whole)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(whole)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    if let Some(seal) = metadata.get(SEAL) {
        check_seal(bytes, seal)?;
    }
    Ok(Parsed { tensors, metadata })
}

fn check_seal(bytes: &[u8], seal: &str) -> Result<(), String> {
    let found = seal_place(bytes).filter(|at| bytes.get(*at..at + UNSEALED.len()) == Some(seal.as_bytes()));
    let Some(at) = found else {
        return Err(format!("damaged: expected a checksum of 64 digits, got {seal:?}"));
    };
    let parts = [&bytes[..at], UNSEALED.as_bytes(), &bytes[at + UNSEALED.len()..]];
    let got = hex(&parts.iter().fold(Sha256::new(), Digest::chain_update).finalize());
    // A fuzzer cannot guess a checksum, and should reach the code after this check.
    if got == seal || cfg!(fuzzing) { Ok(()) } else { Err(format!("damaged: expected the checksum {seal}, got {got}")) }
}

/// Position of the checksum's digits. Quotes within texts of the header are escaped, so nothing else matches.
fn seal_place(bytes: &[u8]) -> Option<usize> {
    let key = format!("\"{SEAL}\":\"");
    bytes.windows(key.len()).position(|window| window == key.as_bytes()).map(|at| at + key.len())
}

fn checksum(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn read_parameter(tensors: &SafeTensors<'_>, key: &str, of: &NetworkParameter) -> Result<Vec<f32>, String> {
    let NetworkParameter { tensor, parameter, .. } = of;
    let place = format!("tensor `{key}` ({tensor})");
    let found = tensors.tensor(key).map_err(|error| format!("{place}: {error}"))?;
    if found.dtype() != Dtype::F32 {
        return Err(format!("{place}: expected dtype F32, got {:?}", found.dtype()));
    }
    if found.shape() != parameter.torch_shape {
        return Err(format!("{place}: expected shape {:?}, got {:?}", parameter.torch_shape, found.shape()));
    }
    let (numbers, _) = found.data().as_chunks::<4>();
    let mut numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
    if let Some((index, value)) = numbers.clone().enumerate().find(|(_, value)| !value.is_finite()) {
        return Err(format!("{place}: expected finite weights, got {value} at index {index}"));
    }
    let mut ours = zeros(of)?;
    in_torch_order(parameter, |place| ours[place] = numbers.next().unwrap_or_default());
    Ok(ours)
}

/// A zero for each value of a parameter.
fn zeros(of: &NetworkParameter) -> Result<Vec<f32>, String> {
    memory::zeros(of.parameter.len(), &of.tensor).map_err(|error| error.to_string())
}

/// Calls `visit` for each value in PyTorch's order, with its index in this program's layout.
fn in_torch_order(parameter: &Parameter, mut visit: impl FnMut(usize)) {
    let Parameter { axes, order, .. } = parameter;
    let step = |axis: usize| axes[axis + 1..].iter().product::<usize>();
    let loops: Vec<(usize, usize)> = order.iter().map(|axis| (axes[*axis], step(*axis))).collect();
    nested(&loops, 0, &mut visit);
}

/// Nested loops, outermost first, given by the number of iterations and the index increment of each.
fn nested(loops: &[(usize, usize)], place: usize, visit: &mut impl FnMut(usize)) {
    match loops {
        [] => visit(place),
        [(times, step), inner @ ..] => (0..*times).for_each(|i| nested(inner, place + i * step, visit)),
    }
}
