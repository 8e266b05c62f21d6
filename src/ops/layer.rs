//! A layer of a network: its settings, what it makes of shapes, its parameters, and how it records its passes.
//!
//! Layers form a chain. Each records its own forward and backward passes on a [`Tape`]; the network walks the list
//! there and back. The table of their kinds is [`OPS`], in `mod.rs`.
//!
//! The contract of the backward walk: the gradient `dy` that reaches a layer is already the one before the activation
//! that made `y`. Whoever produces `dx` therefore multiplies it by the derivative of the activation that made `x`, which
//! is [`Flow::producer`] (equation 8 is split between two layers this way).

use super::config::{keys, read};
use super::{Activation, OPS, Tape, pool2d};
use crate::plan::TensorId;
use crate::shape::Shape;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;

/// One layer, by its settings. It knows neither its name nor its place: those come as a [`Site`].
pub trait Layer: Debug + Send + Sync {
    /// Its kind in network files, an entry of [`OPS`]: `conv2d`.
    fn kind(&self) -> &'static str;
    /// Its settings in a few words: `32 filters 3x3, stride 1, valid`.
    fn describe(&self) -> String;
    /// Its settings as network files have them, without `type` and `name`.
    fn settings(&self) -> toml::Table;
    /// The shape that it makes of `input`; the message of an error says expected and got.
    fn output(&self, input: Shape) -> Result<Shape, String>;
    /// What it learns, and what it keeps from step to step. `unflattened` is `input` as it was before any `flatten`, since
    /// PyTorch orders a flattened image by channel first.
    fn parameters(&self, _input: Shape, _unflattened: Shape) -> Vec<Parameter> {
        Vec::new()
    }
    /// Whether each value of `y` is that of `x` in the same place, or comes of it.
    fn keeps_places(&self) -> bool {
        false
    }
    /// For layers that take mean and variance of a batch while training: of how many values of each image in each channel.
    fn batch_statistics(&self, _input: Shape) -> Option<usize> {
        None
    }
    /// For layers that are nothing but an activation: which. The layer before may compute it in its epilogue.
    fn activation(&self) -> Option<Activation> {
        None
    }
    /// Whether this layer computes [`Site::activation`] in its epilogue.
    fn fuses_activation(&self) -> bool {
        false
    }
    /// Records `x -> y` and returns `y`; a layer that changes nothing returns `x` itself.
    fn forward(&self, tape: &mut Tape<'_>, at: &Site<'_>, x: TensorId) -> TensorId;
    /// Records the gradients of the parameters and, if [`Flow::wants_dx`], that of `x`, which it returns. Not called
    /// where [`Layer::forward`] returned `x`.
    fn backward(&self, tape: &mut Tape<'_>, at: &Site<'_>, flow: &Flow) -> Option<TensorId>;
}

/// Where a layer stands.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Unique in its network, and the first half of labels and tensor names: `conv1`.
    pub name: &'a str,
    /// Position in the network's list of layers, from 0.
    pub index: usize,
    /// Shape of `x`, of one image.
    pub input: Shape,
    /// Shape of `y`, of one image.
    pub output: Shape,
    /// f for the epilogue; the identity unless [`Layer::fuses_activation`].
    pub activation: Activation,
    /// Tensors of the parameters, in the order of [`Layer::parameters`].
    pub parameters: &'a [TensorId],
    /// Gradients of the parameters, in the same order; empty unless training.
    pub gradients: &'a [TensorId],
}

impl Site<'_> {
    /// `conv1.forward` of `forward`.
    pub fn label(&self, pass: &str) -> String {
        format!("{}.{pass}", self.name)
    }
}

/// What is known of a layer when the walk comes back.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Input of the layer.
    pub x: TensorId,
    /// Output of the layer.
    pub y: TensorId,
    /// The gradient of `y`, taken before the activation that made `y`.
    pub dy: TensorId,
    /// The activation that made `x`: `dx` is multiplied by its derivative.
    pub producer: Activation,
    /// Whether a layer before has something to learn.
    pub wants_dx: bool,
}

impl Flow {
    /// The inputs of a backward pass: `own`, and `x` where its derivative is needed.
    pub(crate) fn with_producer(&self, own: &[TensorId]) -> Vec<TensorId> {
        let mut inputs = own.to_vec();
        if self.producer != Activation::Identity {
            inputs.push(self.x);
        }
        inputs
    }
}

/// Something that is learned, or kept from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `weight`, `bias` or `running_mean`, as PyTorch calls it.
    pub name: &'static str,
    /// Our dimensions, slowest first: `[R,S,C,K]`, `[I,O]` or `[K]`.
    pub shape: Vec<usize>,
    /// Our dimensions, with a flattened image's I in its parts: `[H,W,C,O]`.
    pub axes: Vec<usize>,
    /// PyTorch's order of [`Parameter::axes`]: its axis `i` is our axis `order[i]`.
    pub order: Vec<usize>,
    /// PyTorch's dimensions: `[K,C,R,S]`, `[O,I]` or `[K]`.
    pub torch_shape: Vec<usize>,
    /// Values before the first step.
    pub start: Start,
    /// Whether gradients change it. What the forward pass keeps for evaluation has none, and no optimizer touches it.
    pub is_learned: bool,
}

/// What the values of a parameter are before the first step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Drawn by the network's [`crate::network::Initializer`]: inputs that one output sums, and outputs that one input
    /// reaches.
    Drawn([usize; 2]),
    /// The same number everywhere.
    Constant(f32),
}

impl Parameter {
    /// One number a channel, from zero.
    pub fn bias(channels: usize) -> Parameter {
        let shape = vec![channels];
        Parameter {
            name: "bias",
            axes: shape.clone(),
            order: vec![0],
            torch_shape: shape.clone(),
            shape,
            start: Start::Constant(0.0),
            is_learned: true,
        }
    }

    /// The name in formulas and tensor names: `w`, `b`, else that of the parameter.
    pub fn symbol(&self) -> &'static str {
        match self.name {
            "weight" => "w",
            "bias" => "b",
            name => name,
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One kind of layer.
pub struct LayerKind {
    /// `type` in network files.
    pub name: &'static str,
    /// What its layers are called where they are not named: `conv` gives `conv1`, `conv2`, …
    pub stem: &'static str,
    /// Whether `activation = "relu"` may stand among its settings, for a layer behind it.
    pub takes_activation: bool,
    /// The settings that it knows.
    pub keys: fn() -> &'static [&'static str],
    /// A layer from its settings; the message of an error names the key, says expected and got.
    pub read: ReadLayer,
}

/// Reads a layer from its settings.
pub(super) type ReadLayer = fn(toml::Table) -> Result<Arc<dyn Layer>, String>;

impl LayerKind {
    /// The kind of this name.
    pub fn find(name: &str) -> Option<&'static LayerKind> {
        OPS.iter().find(|kind| kind.name == name)
    }

    /// A kind whose settings are the fields of `L`.
    pub(super) const fn of<L: Layer + DeserializeOwned + 'static>(name: &'static str, stem: &'static str) -> LayerKind {
        LayerKind { name, stem, takes_activation: false, keys: keys::<L>, read: read_layer::<L> }
    }

    /// One of the kinds of pools.
    pub(super) const fn pool(name: &'static str, read: ReadLayer) -> LayerKind {
        LayerKind { name, stem: "pool", takes_activation: false, keys: keys::<pool2d::Settings>, read }
    }

    /// A kind that has no settings.
    pub(super) const fn plain(name: &'static str, read: ReadLayer) -> LayerKind {
        LayerKind { name, stem: name, takes_activation: false, keys: || &[], read }
    }

    /// The kind with `activation` among its settings.
    pub(super) const fn with_activation(self) -> LayerKind {
        LayerKind { takes_activation: true, ..self }
    }
}

fn read_layer<L: Layer + DeserializeOwned + 'static>(table: toml::Table) -> Result<Arc<dyn Layer>, String> {
    Ok(Arc::new(read::<L>(table)?))
}
