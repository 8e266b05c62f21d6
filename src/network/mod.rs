//! A network: a chain of layers, checked and with every shape known.
//!
//! It comes from a TOML file or a preset (`file.rs`, `presets.rs`), is given initial weights
//! (`initialize.rs`) or those of a file (`weights.rs`), and is compiled to a plan (`compile.rs`), the list of passes that
//! a step walks. `summary.rs` and `listing.rs` print it.

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

/// Most values in one parameter, or in one image's activation: 1 GiB of `f32`.
const LARGEST_TENSOR: usize = 1 << 28;

/// Most layers of a network, activations among them.
pub const MOST_LAYERS: usize = 65_535;

/// A chain of layers from an image to one score for each class.
#[derive(Clone, Debug)]
pub struct Network {
    /// What it is called in reports and files: 1 to 32 letters, digits, `_` or `-`.
    pub name: String,
    /// Height, width and channels of an image.
    pub input: [usize; 3],
    /// What training minimises, unless it is told otherwise.
    pub loss: Cost,
    /// How weights are drawn.
    pub initializer: Initializer,
    /// In order, activations among them.
    pub layers: Vec<NetworkLayer>,
    /// What its file says of its training.
    pub recipe: Recipe,
    /// How the images look that it was trained on. Not known of one that was not trained, or by another program.
    pub form: Option<Form>,
}

/// A layer in its place.
#[derive(Clone, Debug)]
pub struct NetworkLayer {
    /// Name of the layer, unique in the network: `conv1`.
    pub name: String,
    /// Kind and settings of the layer.
    pub layer: Arc<dyn Layer>,
    /// Shape that reaches it.
    pub input: Shape,
    /// Shape that it makes of it.
    pub output: Shape,
    /// `input` as it was before any flatten.
    unflattened: Shape,
}

/// A parameter in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkParameter {
    /// As the equivalent `nn.Sequential` of PyTorch calls it: `0.weight`.
    pub key: String,
    /// As plan and formulas call it: `conv1.w`.
    pub tensor: String,
    /// Position of its layer.
    pub layer: usize,
    /// Shapes and order.
    pub parameter: Parameter,
}

/// A layer that is not in its place yet.
#[derive(Clone, Debug)]
pub struct LayerEntry {
    /// Number of its table in the file, from 1, for errors: a layer and the activation that it mentions share one.
    pub number: usize,
    /// Its name, if it has been given one.
    pub name: Option<String>,
    /// Kind and settings of the layer.
    pub layer: Arc<dyn Layer>,
}

impl Network {
    /// A network of these layers; the first thing that does not fit is an error that says expected and got.
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
        check_size("input", "values an image", shape.len())?;
        let names = names(&entries)?;
        for (name, LayerEntry { number, layer, .. }) in names.into_iter().zip(entries) {
            let place = format!("layer {number} ({} `{name}`)", layer.kind());
            let output = layer.output(shape).map_err(|problem| Error::Network(format!("{place}: {problem}")))?;
            check_size(&place, "values an image", output.len())?;
            for parameter in layer.parameters(shape, unflattened) {
                check_size(&place, &format!("values in its {}", parameter.name), parameter.len())?;
            }
            // Features keep their image as long as there is one feature for each of its values.
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

    /// `unflattened` is what the last layer makes as it was before any flatten.
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
            Shape::Flat(_) if self.parameter_count() == 0 => {
                Err(Error::Network("expected a layer that learns (conv2d, dense, batch_norm), got none".into()))
            }
            // Their order is that of channels or of places alone, which PyTorch shares.
            Shape::Flat(_) => match unflattened {
                Shape::Image([height, width, channels]) if height * width > 1 && channels > 1 => {
                    Err(Error::Network(format!(
                        "{place}: expected scores that `flatten` has not taken from several places and channels at \
                         once, got those of an image of {unflattened}: they would be numbered by row, column and \
                         channel, but by channel, row and column in PyTorch; put a `dense` layer behind `flatten`, or \
                         bring the image to one place (with a pool of {height}x{width}) or to one channel before it"
                    )))
                }
                _ => Ok(()),
            },
        }
    }

    /// Width of the last layer.
    pub fn classes(&self) -> usize {
        self.layers.last().map_or(0, |last| last.output.len())
    }

    /// All that it learns, and what else it keeps from step to step, in the order of the layers.
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

    /// Whether a data set can be what this network looks at; says expected and got.
    pub fn check_fit(&self, set: &Dataset) -> Result<()> {
        if set.shape() != self.input {
            let shape = |[height, width, channels]: [usize; 3]| format!("{height}x{width}x{channels}");
            return Err(Error::Network(format!(
                "network `{}` expects images of {}, the {} set has {}",
                self.name,
                shape(self.input),
                set.name(),
                shape(set.shape())
            )));
        }
        if set.classes() > self.classes() {
            return Err(Error::Network(format!(
                "network `{}` tells {} classes apart, the {} set has {}",
                self.name,
                self.classes(),
                set.name(),
                set.classes()
            )));
        }
        Ok(())
    }

    /// How pictures must look for it: like the images that it was trained on, or, if that is not known, like MNIST's.
    pub fn picture_form(&self) -> Form {
        self.form.clone().unwrap_or_else(|| Form::mnist(self.input))
    }

    /// Number of values that it learns.
    pub fn parameter_count(&self) -> usize {
        let parameters = self.parameters();
        parameters.iter().filter(|of| of.parameter.is_learned).map(|of| of.parameter.len()).sum()
    }

    /// Bytes of all its parameters' values.
    pub(crate) fn weight_bytes(&self) -> u64 {
        self.parameters().iter().map(|of| bytes_of::<f32>(of.parameter.len())).sum()
    }
}

fn check_count(layers: usize) -> Result<()> {
    if layers > MOST_LAYERS {
        return Err(Error::Network(format!(
            "expected at most {MOST_LAYERS} layers, activations among them, got {layers}"
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

/// The layers' names: as given, else by kind and count.
fn names(entries: &[LayerEntry]) -> Result<Vec<String>> {
    let mut counts = HashMap::new();
    // The number of the layer that has a name.
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
                "layer {number} ({kind} `{name}`): expected a name of its own, got that of layer {first}; \
                 layers without a name are called by kind and count"
            )));
        }
        names.push(name);
    }
    Ok(names)
}
