//! Networks: validated chains of layers with known shapes.
//!
//! A network is read from a TOML file or a preset (`file.rs`, `presets.rs`) or built in Rust (`builder.rs`), gets
//! initial weights (`initialize.rs`) or weights from a file (`weights.rs`), and is compiled to a plan (`compile.rs`),
//! the list of passes that a step executes. `summary.rs` and `listing.rs` print it.

mod builder;
mod compile;
mod file;
mod initialize;
mod listing;
mod name;
mod optimizer_state;
mod options;
mod presets;
mod summary;
pub(crate) mod tensors;
mod update;
pub(crate) mod weights;

pub use builder::{NetworkBuilder, NoLayer, RowsAndColumns, Slides};
pub use compile::{Compiled, DataTensors, KnownTensors, ScoreTensors};
pub use initialize::Initializer;
pub use name::safe_name;
pub use optimizer_state::OptimizerState;
pub use options::CompileOptions;
pub use presets::{PRESETS, Preset};
pub use summary::StepFlops;
pub use weights::Weights;

use crate::data::Dataset;
use crate::data::form::Form;
use crate::error::{Error, Result};
use crate::memory::bytes_of;
use crate::ops::softmax::Cost;
use crate::ops::{Layer, LayerKind, Parameter};
use crate::options::Recipe;
use crate::shape::Shape;
use std::collections::HashMap;
use std::sync::Arc;

/// Most values in one parameter, or in the activation of one image: 1 GiB of `f32`.
const LARGEST_TENSOR: usize = 1 << 28;

/// Most layers of a network, including activations.
pub const MOST_LAYERS: usize = 65_535;

/// A chain of layers from an image to one score for each class.
#[derive(Clone, Debug)]
pub struct Network {
    /// Name in reports and files: 1 to 32 letters, digits, `_` or `-`.
    pub name: String,
    /// Height, width and channels of an image.
    pub input: [usize; 3],
    /// Default loss function for training.
    pub loss: Cost,
    /// Distribution of the initial weights.
    pub initializer: Initializer,
    /// The layers in order, including activations.
    pub layers: Vec<NetworkLayer>,
    /// Default training options from the network's file.
    pub recipe: Recipe,
    /// The look of the images that it was trained on. `None` if it was not trained, or trained by another program.
    pub form: Option<Form>,
}

/// A layer at its position in a network.
#[derive(Clone, Debug)]
pub struct NetworkLayer {
    /// Name of the layer, unique in the network: `conv1`.
    pub name: String,
    /// Kind and settings of the layer.
    pub layer: Arc<dyn Layer>,
    /// Shape of its input.
    pub input: Shape,
    /// Shape of its output.
    pub output: Shape,
    /// Shape of the input before any flatten.
    unflattened: Shape,
}

/// A parameter at its position in a network.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkParameter {
    /// Name in the equivalent `nn.Sequential` of PyTorch: `0.weight`.
    pub key: String,
    /// Name in plans and formulas: `conv1.w`.
    pub tensor: String,
    /// Index of its layer.
    pub layer: usize,
    /// Its shapes, and the order of its dimensions in files.
    pub parameter: Parameter,
}

/// A layer that is not yet part of a network.
#[derive(Clone, Debug)]
pub struct LayerEntry {
    /// Number of its table in the file, from 1, for errors: a layer and the activation given with it share one.
    pub number: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Kind and settings of the layer.
    pub layer: Arc<dyn Layer>,
}

impl Network {
    /// Makes a network of these layers; the first problem is returned as an error with expected and actual values.
    pub fn new(
        name: impl Into<String>,
        input: [usize; 3],
        loss: Cost,
        initializer: Initializer,
        entries: Vec<LayerEntry>,
    ) -> Result<Network> {
        let (name, recipe) = (name.into(), Recipe::default());
        name::check(&name).map_err(|problem| Error::Network(format!("name: {problem}")))?;
        let mut network = Network { name, input, loss, initializer, layers: Vec::new(), recipe, form: None };
        check_count(entries.len())?;
        if input.iter().any(|size| !(1..=crate::ops::LARGEST_SETTING).contains(size)) {
            let [height, width, channels] = input;
            return Err(Error::Network(format!(
                "input: expected height, width and channels from 1 to {}, got {height}x{width}x{channels}",
                crate::ops::LARGEST_SETTING
            )));
        }
        let mut shape = Shape::Image(input);
        let mut unflattened = shape;
        check_size("input", "values per image", shape.len())?;
        let names = names(&entries)?;
        for (name, LayerEntry { number, layer, .. }) in names.into_iter().zip(entries) {
            let place = format!("layer {number} ({} `{name}`)", layer.kind());
            let output = layer.output(shape).map_err(|problem| Error::Network(format!("{place}: {problem}")))?;
            check_size(&place, "values per image", output.len())?;
            for parameter in layer.parameters(shape, unflattened) {
                check_size(&place, &format!("values in its {}", parameter.name), parameter.len())?;
            }
            // Features keep the shape of their image as long as there is one feature for each of its values.
            let behind = match output {
                Shape::Flat(_) if layer.keeps_places() => unflattened,
                _ => output,
            };
            network.layers.push(NetworkLayer { name, layer, input: shape, output, unflattened });
            (shape, unflattened) = (output, behind);
        }
        network.check_end(unflattened)?;
        Ok(network)
    }

    /// Checks the last layer; `unflattened` is its output shape before any flatten.
    fn check_end(&self, unflattened: Shape) -> Result<()> {
        let Some(last) = self.layers.last() else {
            return Err(Error::Network("expected at least one layer ([[layers]] in a file), got none".into()));
        };
        let place = format!("last layer ({} `{}`)", last.layer.kind(), last.name);
        match last.output {
            Shape::Image(_) => Err(Error::Network(format!(
                "{place}: expected one score for each class at the end, got an image of {}; \
                 end with `flatten` and a `dense` layer",
                last.output
            ))),
            Shape::Flat(classes) if classes < 2 => {
                Err(Error::Network(format!("{place}: expected at least 2 classes at the end, got {classes}")))
            }
            Shape::Flat(_) if self.parameter_count() == 0 => Err(Error::Network(
                "expected at least one layer with weights (conv2d, dense, batch_norm), got none".into(),
            )),
            // The order is that of channels or of positions alone, as in PyTorch.
            Shape::Flat(_) => match unflattened {
                Shape::Image([height, width, channels]) if height * width > 1 && channels > 1 => {
                    Err(Error::Network(format!(
                        "{place}: expected scores that `flatten` has not taken from several positions and channels at \
                         once, got those of an image of {unflattened}: they would be numbered by row, column and \
                         channel, but by channel, row and column in PyTorch; put a `dense` layer after `flatten`, or \
                         reduce the image to one position (with a pool of {height}x{width}) or to one channel before it"
                    )))
                }
                _ => Ok(()),
            },
        }
    }

    /// Number of classes: the width of the last layer.
    pub fn classes(&self) -> usize {
        self.layers.last().map_or(0, |last| last.output.len())
    }

    /// All learned parameters, and other values that are kept from step to step, in the order of the layers.
    pub fn parameters(&self) -> Vec<NetworkParameter> {
        let of_layer = |(index, at): (usize, &NetworkLayer)| {
            let place = |parameter: Parameter| NetworkParameter {
                key: format!("{index}.{}", parameter.name),
                tensor: format!("{}.{}", at.name, parameter.symbol()),
                layer: index,
                parameter,
            };
            at.layer.parameters(at.input, at.unflattened).into_iter().map(place).collect::<Vec<_>>()
        };
        self.layers.iter().enumerate().flat_map(of_layer).collect()
    }

    /// Fails if the images or classes of a data set do not fit the network, with expected and actual values.
    pub fn check_fit(&self, set: &Dataset) -> Result<()> {
        if set.shape() != self.input {
            let shape = |[height, width, channels]: [usize; 3]| format!("{height}x{width}x{channels}");
            return Err(Error::Network(format!(
                "network `{}` expects images of {}, but the {} set has {}",
                self.name,
                shape(self.input),
                set.name(),
                shape(set.shape())
            )));
        }
        if set.classes() > self.classes() {
            return Err(Error::Network(format!(
                "network `{}` has {} classes, but the {} set has {}",
                self.name,
                self.classes(),
                set.name(),
                set.classes()
            )));
        }
        Ok(())
    }

    /// The form that pictures need: that of the images that the network was trained on or, if unknown, that of MNIST.
    pub fn picture_form(&self) -> Form {
        self.form.clone().unwrap_or_else(|| Form::mnist(self.input))
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> usize {
        let parameters = self.parameters();
        parameters.iter().filter(|of| of.parameter.is_learned).map(|of| of.parameter.len()).sum()
    }

    /// Size of all parameters in bytes.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.parameters().iter().map(|of| bytes_of::<f32>(of.parameter.len())).sum()
    }
}

fn check_count(layers: usize) -> Result<()> {
    if layers > MOST_LAYERS {
        return Err(Error::Network(format!(
            "expected at most {MOST_LAYERS} layers, including activations, got {layers}"
        )));
    }
    Ok(())
}

fn check_size(place: &str, what: &str, size: usize) -> Result<()> {
    if size > LARGEST_TENSOR {
        return Err(Error::Network(format!("{place}: expected at most {LARGEST_TENSOR} {what}, got {size}")));
    }
    Ok(())
}

/// The names of the layers: as given, or by kind and count.
fn names(entries: &[LayerEntry]) -> Result<Vec<String>> {
    let mut counts = HashMap::new();
    // The layer number of each name.
    let mut taken = HashMap::new();
    let mut names: Vec<String> = Vec::new();
    for LayerEntry { number, name, layer } in entries {
        let kind = layer.kind();
        let stem = LayerKind::find(kind).map_or(kind, |kind| kind.stem);
        let count = counts.entry(stem).or_insert(0);
        *count += 1;
        let name = name.clone().unwrap_or_else(|| format!("{stem}{count}"));
        name::check(&name).map_err(|problem| Error::Network(format!("layer {number} ({kind}): {problem}")))?;
        if let Some(first) = taken.insert(name.clone(), number) {
            return Err(Error::Network(format!(
                "layer {number} ({kind} `{name}`): expected a unique name, got that of layer {first}; \
                 layers without a name are named by kind and count"
            )));
        }
        names.push(name);
    }
    Ok(names)
}
