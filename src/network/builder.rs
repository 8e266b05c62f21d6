//! Builds a network in Rust instead of a file: with the same layers, settings, defaults and names.
//!
//! The settings of each layer are collected in a table, as a file would have it, and are parsed in the same way. So
//! each default and range is defined once, and the errors are the same.

use super::{Initializer, LayerEntry, Network};
use crate::error::{Error, Result};
use crate::ops::batch_norm::BatchNorm;
use crate::ops::conv2d::Conv2d;
use crate::ops::dense::Dense;
use crate::ops::dropout::Dropout;
use crate::ops::flatten::Flatten;
use crate::ops::pool2d::Pool2d;
use crate::ops::softmax::Cost;
use crate::ops::{LayerKind, activation::ActivationLayer};
use crate::shape::Padding;
use std::marker::PhantomData;
use toml::{Table, Value};

/// A sequence of layers from which a [`Network`] is built; see [`Network::builder`].
///
/// `Last` is the type of the layer added last, which the setters apply to: a stride can be set after a convolution or a
/// pool, and is a compile error after a `dense` layer.
///
/// ```compile_fail
/// # use shadegrad::network::Network;
/// let _ = Network::builder("wrong", [28, 28, 1]).flatten().dense(10).stride(2);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct NetworkBuilder<Last = NoLayer> {
    name: String,
    input: [usize; 3],
    loss: Cost,
    initializer: Initializer,
    layers: Vec<Draft>,
    last: PhantomData<Last>,
}

/// Type of the last layer of a [`NetworkBuilder`] without layers.
#[derive(Clone, Copy, Debug)]
pub enum NoLayer {}

/// A layer as in a file.
#[derive(Clone, Debug)]
struct Draft {
    kind: &'static str,
    name: Option<String>,
    settings: Table,
}

/// Rows and columns: `3` for three of each, or `[3, 5]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsAndColumns([usize; 2]);

impl From<usize> for RowsAndColumns {
    fn from(both: usize) -> Self {
        RowsAndColumns([both, both])
    }
}

impl From<[usize; 2]> for RowsAndColumns {
    fn from(rows_and_columns: [usize; 2]) -> Self {
        RowsAndColumns(rows_and_columns)
    }
}

/// The same number of zeros on every side.
impl From<usize> for Padding {
    fn from(zeros: usize) -> Self {
        Padding::Explicit([zeros, zeros])
    }
}

/// The numbers of zeros above and below, and on the left and right.
impl From<[usize; 2]> for Padding {
    fn from(zeros: [usize; 2]) -> Self {
        Padding::Explicit(zeros)
    }
}

fn number(value: usize) -> Value {
    // Stays far above every range, so that the error reports the number as too large.
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

fn pair(RowsAndColumns([rows, columns]): RowsAndColumns) -> Value {
    Value::Array(vec![number(rows), number(columns)])
}

impl Network {
    /// Builds a network layer by layer, from an image of `input` (height, width, channels) to one score for each class.
    /// The defaults are those of network files: stride 1 and no padding for convolutions, a pool's stride equal to its
    /// size, cross-entropy loss, and weights drawn from the Glorot uniform distribution.
    ///
    /// ```
    /// use shadegrad::network::Network;
    /// use shadegrad::shape::Padding;
    ///
    /// let network = Network::builder("small", [28, 28, 1])
    ///     .conv2d(8, 3)
    ///     .relu()
    ///     .max_pool2d(2)
    ///     .conv2d(16, [3, 5])
    ///     .stride(2)
    ///     .padding(Padding::Same)
    ///     .batch_norm()
    ///     .relu()
    ///     .dropout(0.25)
    ///     .flatten()
    ///     .dense(10)
    ///     .named("scores")
    ///     .build()?;
    /// assert_eq!(network.classes(), 10);
    /// assert_eq!(Network::from_toml("small.toml", &network.to_toml())?.to_toml(), network.to_toml());
    /// # Ok::<(), shadegrad::Error>(())
    /// ```
    pub fn builder(name: impl Into<String>, input: [usize; 3]) -> NetworkBuilder {
        NetworkBuilder {
            name: name.into(),
            input,
            loss: Cost::CrossEntropy,
            initializer: Initializer::default(),
            layers: Vec::new(),
            last: PhantomData,
        }
    }
}

impl<Last> NetworkBuilder<Last> {
    /// Default loss function for training; cross-entropy if not set.
    pub fn loss(mut self, loss: Cost) -> Self {
        self.loss = loss;
        self
    }

    /// Distribution of the initial weights; [`Initializer::GlorotUniform`] if not set.
    pub fn initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = initializer;
        self
    }

    /// A convolution with a kernel of `kernel` pixels (`3` or `[rows, columns]`). The stride is 1 and there is no
    /// padding unless set by [`stride`](NetworkBuilder::stride) and [`padding`](NetworkBuilder::padding).
    pub fn conv2d(self, filters: usize, kernel: impl Into<RowsAndColumns>) -> NetworkBuilder<Conv2d> {
        self.layer("conv2d", [("filters", number(filters)), ("kernel", pair(kernel.into()))])
    }

    /// The largest value in each window of `size` pixels (`2` or `[rows, columns]`); the stride equals the size unless
    /// set.
    pub fn max_pool2d(self, size: impl Into<RowsAndColumns>) -> NetworkBuilder<Pool2d> {
        self.layer("max_pool2d", [("size", pair(size.into()))])
    }

    /// The smallest value in each window; sizes as in [`NetworkBuilder::max_pool2d`].
    pub fn min_pool2d(self, size: impl Into<RowsAndColumns>) -> NetworkBuilder<Pool2d> {
        self.layer("min_pool2d", [("size", pair(size.into()))])
    }

    /// The mean of each window; sizes as in [`NetworkBuilder::max_pool2d`].
    pub fn average_pool2d(self, size: impl Into<RowsAndColumns>) -> NetworkBuilder<Pool2d> {
        self.layer("average_pool2d", [("size", pair(size.into()))])
    }

    /// The root of the sum of squares of each window; sizes as in [`NetworkBuilder::max_pool2d`].
    pub fn l2_pool2d(self, size: impl Into<RowsAndColumns>) -> NetworkBuilder<Pool2d> {
        self.layer("l2_pool2d", [("size", pair(size.into()))])
    }

    /// A fully connected layer. An image must first pass through [`NetworkBuilder::flatten`].
    pub fn dense(self, units: usize) -> NetworkBuilder<Dense> {
        self.layer("dense", [("units", number(units))])
    }

    /// Batch normalisation; [`momentum`](NetworkBuilder::momentum) is 0.1 and [`epsilon`](NetworkBuilder::epsilon) 1e-5
    /// unless set.
    pub fn batch_norm(self) -> NetworkBuilder<BatchNorm> {
        self.layer("batch_norm", [])
    }

    /// Adds a ReLU, `max(x, 0)`.
    pub fn relu(self) -> NetworkBuilder<ActivationLayer> {
        self.layer("relu", [])
    }

    /// Adds a sigmoid, `1 / (1 + exp(-x))`.
    pub fn sigmoid(self) -> NetworkBuilder<ActivationLayer> {
        self.layer("sigmoid", [])
    }

    /// Adds a hyperbolic tangent.
    pub fn tanh(self) -> NetworkBuilder<ActivationLayer> {
        self.layer("tanh", [])
    }

    /// Drops each value with this probability during training. It must be at least 0 and less than 1.
    pub fn dropout(self, rate: f64) -> NetworkBuilder<Dropout> {
        self.layer("dropout", [("rate", Value::Float(rate))])
    }

    /// Turns an image into a vector of features.
    pub fn flatten(self) -> NetworkBuilder<Flatten> {
        self.layer("flatten", [])
    }

    fn layer<const N: usize, Next>(
        mut self,
        kind: &'static str,
        settings: [(&'static str, Value); N],
    ) -> NetworkBuilder<Next> {
        let settings = settings.into_iter().map(|(key, value)| (key.to_string(), value)).collect();
        self.layers.push(Draft { kind, name: None, settings });
        let NetworkBuilder { name, input, loss, initializer, layers, .. } = self;
        NetworkBuilder { name, input, loss, initializer, layers, last: PhantomData }
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        if let Some(last) = self.layers.last_mut() {
            last.settings.insert(key.into(), value);
        }
        self
    }

    /// Builds the network.
    ///
    /// # Errors
    ///
    /// [`Error::Network`] for the first layer that does not fit, with expected and actual values.
    pub fn build(self) -> Result<Network> {
        let NetworkBuilder { name, input, loss, initializer, layers, .. } = self;
        let entries = layers.into_iter().enumerate().map(|(index, layer)| layer.entry(index + 1));
        let entries = entries.collect::<Result<Vec<_>, String>>();
        let entries = entries.map_err(|problem| Error::Network(format!("network `{name}`: {problem}")))?;
        Network::new(name.clone(), input, loss, initializer, entries).map_err(|error| match error {
            Error::Network(problem) => Error::Network(format!("network `{name}`: {problem}")),
            other => other,
        })
    }
}

impl<Last: crate::ops::Layer> NetworkBuilder<Last> {
    /// Names the last layer. Other layers are named by kind and count: `conv1`, `conv2`, `dense1`.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        if let Some(last) = self.layers.last_mut() {
            last.name = Some(name.into());
        }
        self
    }
}

/// Layers that slide a window over an image.
pub trait Slides: sealed::Slides {}

impl Slides for Conv2d {}
impl Slides for Pool2d {}

mod sealed {
    pub trait Slides {}
    impl Slides for super::Conv2d {}
    impl Slides for super::Pool2d {}
}

impl<Last: Slides> NetworkBuilder<Last> {
    /// Stride of the last layer's window: `2` or `[rows, columns]`.
    pub fn stride(self, stride: impl Into<RowsAndColumns>) -> Self {
        self.set("stride", pair(stride.into()))
    }
}

impl NetworkBuilder<Conv2d> {
    /// Zero padding of the last convolution: [`Padding::Same`], or the number of zeros (`1` or `[rows, columns]`).
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        let value = match padding.into() {
            Padding::Valid => "valid".into(),
            Padding::Same => "same".into(),
            Padding::Explicit(zeros) => pair(zeros.into()),
        };
        self.set("padding", value)
    }
}

impl NetworkBuilder<BatchNorm> {
    /// Weight of a batch in the running mean and variance, at least 0 and less than 1.
    pub fn momentum(self, momentum: f64) -> Self {
        self.set("momentum", Value::Float(momentum))
    }

    /// Added to the variance, greater than 0.
    pub fn epsilon(self, epsilon: f64) -> Self {
        self.set("epsilon", Value::Float(epsilon))
    }
}

impl Draft {
    /// The layer with number `number`, from 1, which starts the message of an error.
    fn entry(self, number: usize) -> Result<LayerEntry, String> {
        let Draft { kind, name, settings } = self;
        let Some(known) = LayerKind::find(kind) else { unreachable!("`{kind}` is a kind of layer") };
        let layer = (known.read)(settings).map_err(|problem| {
            let name = name.as_ref().map(|name| format!(" `{}`", crate::text::brief(name))).unwrap_or_default();
            format!("layer {number} ({kind}{name}): {problem}")
        })?;
        Ok(LayerEntry { number, name, layer })
    }
}

#[cfg(test)]
mod tests;
