//! The operations, one module each: `mod.rs` defines the operation, `gpu.rs` launches its kernels, `cpu.rs` is the
//! reference, `fast.rs` is the fast implementation on the CPU, and `cases.rs` holds the cases that all of them are
//! verified on.
//!
//! An [`Op`] is one pass of an operation with its shapes, an entry of a [`crate::plan::Plan`]. A module has an `Op` for
//! each of its passes. Networks are made of layers: a [`Layer`] (`layer.rs`) records the passes on a [`Tape`].
//!
//! This file holds the tables of operations and of layers, which the rest of the library reads. Equation numbers in the
//! modules refer to the paper that the presets `case1` to `case6` come from: Dhumne et al., *Recognition of Handwritten
//! Digit using Convolutional Neural Network using Python and Tensorflow*.

pub mod accumulate;
pub mod activation;
pub mod adam;
pub mod augment;
pub mod average;
pub mod batch_norm;
pub mod classifier;
pub mod clip;
pub mod conv2d;
pub mod dense;
pub mod dropout;
pub mod flatten;
pub mod gather_batch;
pub mod pool2d;
pub mod score;
pub mod sgd;
pub mod softmax;

mod cases;
pub(crate) mod config;
mod epilogue;
mod joined;
mod kernel_config;
mod launch;
mod layer;
mod loop_limit;
mod matrix;
mod naive;
mod op;
mod operand;
mod record;
mod step;
mod tape;

pub use activation::Activation;
pub(crate) use cases::drawn_at;
pub use cases::{drawn, edge_cases};
pub(crate) use config::LARGEST as LARGEST_SETTING;
pub use joined::{Joined, joined};
pub use kernel_config::{ChooseKernel, KernelConfig, KernelForm, OperandSource, Tile};
pub use layer::{Flow, Layer, LayerKind, Parameter, Site, Start};
use op::with_producer;
pub use op::{Compute, Op, Record, Reference};
pub use record::{Recorder, record};
pub use step::Step;
pub use tape::Tape;

use crate::verify::draw::Draw;
use activation::ActivationLayer;
use pool2d::Pool2d;
use std::sync::Arc;

/// An operation with the cases that it is verified on.
struct Operation {
    name: &'static str,
    /// Number of random shapes per round: more for operations whose shapes vary in more ways.
    share: usize,
    /// Its passes at shapes that kernels are likely to get wrong, the most revealing first.
    edge_cases: fn() -> Vec<Box<dyn Op>>,
    /// Its passes at a random shape.
    drawn: fn(&mut Draw) -> Vec<Box<dyn Op>>,
}

/// Every operation that has passes.
const OPERATIONS: &[Operation] = &[
    Operation { name: "conv2d", share: 5, edge_cases: conv2d::edge_cases, drawn: conv2d::drawn },
    Operation { name: "dense", share: 2, edge_cases: dense::edge_cases, drawn: dense::drawn },
    Operation { name: "pool2d", share: 4, edge_cases: pool2d::edge_cases, drawn: pool2d::drawn },
    Operation { name: "activation", share: 1, edge_cases: activation::edge_cases, drawn: activation::drawn },
    Operation { name: "batch_norm", share: 2, edge_cases: batch_norm::edge_cases, drawn: batch_norm::drawn },
    Operation { name: "dropout", share: 1, edge_cases: dropout::edge_cases, drawn: dropout::drawn },
    Operation { name: "softmax", share: 1, edge_cases: softmax::edge_cases, drawn: softmax::drawn },
    Operation { name: "classifier", share: 1, edge_cases: classifier::edge_cases, drawn: classifier::drawn },
    Operation { name: "score", share: 1, edge_cases: score::edge_cases, drawn: score::drawn },
    Operation { name: "gather_batch", share: 1, edge_cases: gather_batch::edge_cases, drawn: gather_batch::drawn },
    Operation { name: "augment", share: 1, edge_cases: augment::edge_cases, drawn: augment::drawn },
    Operation { name: "sgd", share: 1, edge_cases: sgd::edge_cases, drawn: sgd::drawn },
    Operation { name: "adam", share: 1, edge_cases: adam::edge_cases, drawn: adam::drawn },
    Operation { name: "clip", share: 1, edge_cases: clip::edge_cases, drawn: clip::drawn },
    Operation { name: "accumulate", share: 1, edge_cases: accumulate::edge_cases, drawn: accumulate::drawn },
    Operation { name: "average", share: 1, edge_cases: average::edge_cases, drawn: average::drawn },
];

/// Every kind of layer, for reading network files, for their error messages and for help texts.
pub const OPS: &[LayerKind] = &[
    LayerKind::of::<conv2d::Conv2d>("conv2d", "conv").with_activation(),
    LayerKind::pool("max_pool2d", |settings| Pool2d::read(pool2d::Kind::Max, settings)),
    LayerKind::pool("min_pool2d", |settings| Pool2d::read(pool2d::Kind::Min, settings)),
    LayerKind::pool("average_pool2d", |settings| Pool2d::read(pool2d::Kind::Average, settings)),
    LayerKind::pool("l2_pool2d", |settings| Pool2d::read(pool2d::Kind::L2, settings)),
    LayerKind::of::<dense::Dense>("dense", "dense").with_activation(),
    LayerKind::of::<batch_norm::BatchNorm>("batch_norm", "norm").with_activation(),
    LayerKind::plain("relu", |_| Ok(Arc::new(ActivationLayer(Activation::Relu)))),
    LayerKind::plain("sigmoid", |_| Ok(Arc::new(ActivationLayer(Activation::Sigmoid)))),
    LayerKind::plain("tanh", |_| Ok(Arc::new(ActivationLayer(Activation::Tanh)))),
    LayerKind::of::<dropout::Dropout>("dropout", "dropout"),
    LayerKind::plain("flatten", |_| Ok(Arc::new(flatten::Flatten))),
];
