//! A network's weights, and how they are kept in a file.
//!
//! The file is a safetensors file in PyTorch's layout, so that `load_state_dict(load_file(path))` of the equivalent
//! `nn.Sequential` takes it as it is: convolutions `[K,C,R,S]`, dense layers `[O,I]`, where the features of a flattened
//! image are in the order C,H,W. The network itself is in the header, so one file is enough to evaluate and to predict.

use super::{Network, NetworkParameter};
use crate::data::replace_file;
use crate::error::{Error, Result};
use crate::ops::Parameter;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// Largest file that is read: twice the largest tensor.
const LARGEST_FILE: u64 = 1 << 31;

/// Keys of the header's metadata.
const FORMAT: &str = "format";
const NAME: &str = "shadegrad.name";
const NETWORK: &str = "shadegrad.network";

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

    /// Reads weights together with their network, which the header holds.
    pub fn open(path: &Path) -> Result<(Network, Weights)> {
        let bytes = read(path)?;
        let text = network_text(&bytes).map_err(|problem| Error::file(path, problem))?;
        let network = Network::from_toml(&format!("{} (the network in its header)", path.display()), &text)?;
        let weights = Weights::from_bytes(&bytes, &network).map_err(|problem| Error::file(path, problem))?;
        Ok((network, weights))
    }

    /// The file's bytes: the same for the same weights.
    ///
    /// Written here rather than by the `safetensors` crate, whose metadata is a hash map in random order. The format:
    /// length of the header as a `u64`, the header as JSON, the tensors one behind the other, all little-endian.
    pub fn to_bytes(&self, network: &Network) -> Vec<u8> {
        let mut header = BTreeMap::new();
        let metadata =
            BTreeMap::from([(FORMAT, "pt".into()), (NAME, network.name.clone()), (NETWORK, network.to_toml())]);
        header.insert("__metadata__".to_string(), serde_json::json!(metadata));
        let mut data = Vec::new();
        for (NetworkParameter { key, parameter, .. }, values) in network.parameters().iter().zip(&self.values) {
            let start = data.len();
            data.extend(to_torch(parameter, values).iter().flat_map(|value| value.to_le_bytes()));
            let entry = serde_json::json!({
                "dtype": "F32", "shape": parameter.torch_shape, "data_offsets": [start, data.len()],
            });
            header.insert(key.clone(), entry);
        }
        let mut text = serde_json::json!(header).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text);
        bytes.extend(data);
        bytes
    }

    /// The weights of a network in a file's bytes; the message of an error says expected and got.
    pub fn from_bytes(bytes: &[u8], network: &Network) -> Result<Weights, String> {
        let tensors = parse(bytes)?;
        let parameters = network.parameters();
        let known: BTreeSet<&str> = parameters.iter().map(|of| of.key.as_str()).collect();
        let found: BTreeSet<&str> = tensors.names().into_iter().collect();
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
        let values = parameters.iter().map(|of| read_parameter(&tensors, of)).collect::<Result<_, String>>()?;
        Ok(Weights { values })
    }
}

fn parse(bytes: &[u8]) -> Result<SafeTensors<'_>, String> {
    SafeTensors::deserialize(bytes).map_err(|error| format!("not a whole safetensors file: {error}"))
}

/// The network's TOML in the header.
fn network_text(bytes: &[u8]) -> Result<String, String> {
    parse(bytes)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(NETWORK)).cloned();
    text.ok_or_else(|| format!("expected the network in the header's `{NETWORK}`, got none; name the network as well"))
}

fn read_parameter(tensors: &SafeTensors<'_>, of: &NetworkParameter) -> Result<Vec<f32>, String> {
    let NetworkParameter { key, tensor, parameter, .. } = of;
    let place = format!("tensor `{key}` ({tensor})");
    let found = tensors.tensor(key).map_err(|error| format!("{place}: {error}"))?;
    if found.dtype() != Dtype::F32 {
        return Err(format!("{place}: expected dtype F32, got {:?}", found.dtype()));
    }
    if found.shape() != parameter.torch_shape {
        return Err(format!("{place}: expected shape {:?}, got {:?}", parameter.torch_shape, found.shape()));
    }
    let (numbers, _) = found.data().as_chunks::<4>();
    let values: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        return Err(format!("{place}: expected finite weights, got {} at index {index}", values[index]));
    }
    Ok(from_torch(parameter, &values))
}

/// For each value in PyTorch's order, where it lies in ours.
fn torch_order(parameter: &Parameter) -> Vec<usize> {
    let Parameter { axes, order, .. } = parameter;
    let stride = |axis: usize| axes[axis + 1..].iter().product::<usize>();
    let mut places = vec![0];
    for axis in order {
        let steps = (0..axes[*axis]).map(|i| i * stride(*axis));
        places = places.iter().flat_map(|place| steps.clone().map(move |step| place + step)).collect();
    }
    places
}

fn to_torch(parameter: &Parameter, ours: &[f32]) -> Vec<f32> {
    torch_order(parameter).into_iter().map(|place| ours[place]).collect()
}

fn from_torch(parameter: &Parameter, theirs: &[f32]) -> Vec<f32> {
    let mut ours = vec![0.0; theirs.len()];
    for (place, value) in torch_order(parameter).into_iter().zip(theirs) {
        ours[place] = *value;
    }
    ours
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).map_err(Error::io("read", path))?.len();
    if size > LARGEST_FILE {
        return Err(Error::file(path, format!("expected at most {LARGEST_FILE} bytes of weights, got {size}")));
    }
    std::fs::read(path).map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests;
