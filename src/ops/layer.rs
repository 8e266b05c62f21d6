//! A layer of a network: its settings, its output shape, its parameters, and how it records its passes.
//!
//! Layers form a chain. Each records its own forward and backward passes on a [`Tape`]; the network goes through the
//! list forward and then in reverse. The table of the kinds of layers is [`OPS`], in `mod.rs`.
//!
//! The contract of the backward pass: the gradient `dy` that a layer receives is already the gradient before the
//! activation that produced `y`. A layer that computes `dx` therefore multiplies it by the derivative of the activation
//! that produced `x`, which is [`Flow::producer`]. In this way, equation 8 of the paper is split between two layers.
//! Likewise, if the layer that produced `x` has also dropped elements of it, the elements of `dx` are dropped.

use super::config::{keys, read};
use super::dropout::Mask;
use super::{Activation, OPS, Tape, pool2d};
use crate::plan::TensorId;
use crate::shape::Shape;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;

/// One layer, defined by its settings. Its name and its position in a network are given by a [`Site`].
pub trait Layer: Debug + Send + Sync {
    /// Its kind in network files, an entry of [`OPS`]: `conv2d`.
    fn kind(&self) -> &'static str;
    /// Its settings in a few words: `32 filters 3x3, stride 1, valid`.
    fn describe(&self) -> String;
    /// Its settings as in network files, without `type` and `name`.
    fn settings(&self) -> toml::Table;
    /// The shape of its output for an input of shape `input`.
    ///
    /// # Errors
    ///
    /// A message that gives the expected and the actual shape or size.
    fn output(&self, input: Shape) -> Result<Shape, String>;
    /// The parameters that it learns or keeps from step to step. `unflattened` is the shape of the input before any
    /// `flatten`, because PyTorch flattens images in channel-first order.
    fn parameters(&self, _input: Shape, _unflattened: Shape) -> Vec<Parameter> {
        Vec::new()
    }
    /// Whether each value of `y` depends on the value of `x` at the same position only.
    fn keeps_places(&self) -> bool {
        false
    }
    /// For layers that normalize by the mean and variance of a batch while training: the number of values per image and
    /// channel.
    fn batch_statistics(&self, _input: Shape) -> Option<usize> {
        None
    }
    /// The number of images of which a slice of a batch must begin at a multiple, so that the layer draws the same random
    /// numbers as in the whole batch.
    fn rows_per_slice(&self, _input: Shape) -> usize {
        1
    }
    /// For layers that are only an activation: the activation. The preceding layer may compute it in its epilogue.
    fn activation(&self) -> Option<Activation> {
        None
    }
    /// Whether the layer computes [`Site::activation`] in its epilogue.
    fn fuses_activation(&self) -> bool {
        false
    }
    /// For layers that are only a dropout at this index of their network: the elements that they drop. The preceding layer
    /// may drop them in its epilogue.
    fn dropout(&self, _index: usize, _input: Shape) -> Option<Mask> {
        None
    }
    /// Whether the layer drops the elements of [`Site::dropout`] in its epilogue.
    fn fuses_dropout(&self) -> bool {
        false
    }
    /// Whether the layer drops the elements of [`Flow::dropout`] from `dx`.
    fn undoes_dropout(&self) -> bool {
        false
    }
    /// Whether the layer returns `x` itself as `y`.
    fn passes_on(&self) -> bool {
        false
    }
    /// Records the forward pass from `x` to `y` and returns `y`; a layer that changes nothing returns `x` itself.
    fn forward(&self, tape: &mut Tape<'_>, at: &Site<'_>, x: TensorId) -> TensorId;
    /// Records the passes that compute the gradients of the parameters and, if [`Flow::wants_dx`], the gradient of `x`,
    /// which it returns. Not called if [`Layer::forward`] returned `x`.
    fn backward(&self, tape: &mut Tape<'_>, at: &Site<'_>, flow: &Flow) -> Option<TensorId>;
}

/// The position of a layer in a network, with its shapes and tensors.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Name of the layer, unique in its network; the first half of labels and tensor names: `conv1`.
    pub name: &'a str,
    /// Index in the network's list of layers, from 0.
    pub index: usize,
    /// Shape of `x`, for one image.
    pub input: Shape,
    /// Shape of `y`, for one image.
    pub output: Shape,
    /// Activation f of the epilogue; the identity unless [`Layer::fuses_activation`].
    pub activation: Activation,
    /// Elements of `y` that are dropped after that; none unless [`Layer::fuses_dropout`].
    pub dropout: Option<Mask>,
    /// Tensors of the parameters, in the order of [`Layer::parameters`].
    pub parameters: &'a [TensorId],
    /// Gradients of the parameters, in the same order; empty unless training.
    pub gradients: &'a [TensorId],
}

impl Site<'_> {
    /// Label of a pass or tensor of the layer: `conv1.forward` for `forward`.
    pub fn label(&self, pass: &str) -> String {
        format!("{}.{pass}", self.name)
    }
}

/// The tensors of a layer's backward pass.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Input of the layer.
    pub x: TensorId,
    /// Output of the layer.
    pub y: TensorId,
    /// Gradient of `y`, before the activation that produced `y`.
    pub dy: TensorId,
    /// The activation that produced `x`: `dx` is multiplied by its derivative.
    pub producer: Activation,
    /// The elements of `x` that the layer before dropped: they are dropped from `dx` too. None unless
    /// [`Layer::undoes_dropout`].
    pub dropout: Option<Mask>,
    /// Whether `dx` is needed, because an earlier layer has parameters to learn.
    pub wants_dx: bool,
}

impl Flow {
    /// The inputs of a backward pass: `own`, and `x` if the derivative of the producer needs it.
    pub(crate) fn with_producer(&self, own: &[TensorId]) -> Vec<TensorId> {
        let mut inputs = own.to_vec();
        if self.producer != Activation::Identity {
            inputs.push(self.x);
        }
        inputs
    }
}

/// A tensor that a layer learns or keeps from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name in PyTorch: `weight`, `bias`, `running_mean` or `running_var`.
    pub name: &'static str,
    /// Dimensions, the slowest-varying first: `[R,S,C,K]`, `[I,O]` or `[K]`.
    pub shape: Vec<usize>,
    /// Dimensions in which a flattened image is split into its own dimensions: `[H,W,C,O]` instead of `[I,O]`.
    pub axes: Vec<usize>,
    /// Permutation of [`Parameter::axes`] to PyTorch's order: axis `i` in PyTorch is axis `order[i]` here.
    pub order: Vec<usize>,
    /// Dimensions in PyTorch: `[K,C,R,S]`, `[O,I]` or `[K]`.
    pub torch_shape: Vec<usize>,
    /// Initial values.
    pub start: Start,
    /// Whether gradients change it. Running statistics, which the forward pass keeps for evaluation, have no gradient
    /// and are not changed by the optimizer.
    pub is_learned: bool,
}

/// Initial values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Random values from the network's [`crate::network::Initializer`], given the fan-in and the fan-out.
    Drawn([usize; 2]),
    /// The same value everywhere.
    Constant(f32),
}

impl Parameter {
    /// A bias: one value per channel, initially zero.
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

    /// Name in formulas and tensor names: `w` for weights, `b` for biases, otherwise [`Parameter::name`].
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
    /// Value of `type` in network files.
    pub name: &'static str,
    /// Stem of default names: `conv` gives `conv1`, `conv2`, …
    pub stem: &'static str,
    /// Whether its settings may include `activation = "relu"`, which adds an activation layer after it.
    pub takes_activation: bool,
    /// Keys of its settings.
    pub keys: fn() -> &'static [&'static str],
    /// Reads a layer from its settings; the message of an error names the key and gives the expected and the actual
    /// value.
    pub read: ReadLayer,
}

/// Reads a layer from its settings.
pub(super) type ReadLayer = fn(toml::Table) -> Result<Arc<dyn Layer>, String>;

impl LayerKind {
    /// The kind with this name.
    pub fn find(name: &str) -> Option<&'static LayerKind> {
        OPS.iter().find(|kind| kind.name == name)
    }

    /// A kind whose settings are the fields of `L`.
    pub(super) const fn of<L: Layer + DeserializeOwned + 'static>(name: &'static str, stem: &'static str) -> LayerKind {
        LayerKind { name, stem, takes_activation: false, keys: keys::<L>, read: read_layer::<L> }
    }

    /// A kind of pooling layer.
    pub(super) const fn pool(name: &'static str, read: ReadLayer) -> LayerKind {
        LayerKind { name, stem: "pool", takes_activation: false, keys: keys::<pool2d::Settings>, read }
    }

    /// A kind without settings.
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
