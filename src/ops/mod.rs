//! The operations: one room each, with `mod.rs` (what it is), `gpu.rs` (how it is launched), `cpu.rs` (what it computes),
//! `fast.rs` (how a CPU computes it fast) and `cases.rs` (what all of them are verified on).
//!
//! An [`Op`] is one pass with its shapes, the entry of a [`crate::plan::Plan`]. A room has one for each of its passes. A
//! [`Layer`] (`layer.rs`) is what networks are made of; it records the passes on a [`Tape`].
//!
//! This file is the table of rooms and of layers. A new room is added here, and nowhere else in the library.

pub mod activation;
pub mod adam;
pub mod augment;
pub mod average;
pub mod batch_norm;
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
mod kernel_config;
mod launch;
mod layer;
mod matrix;
mod naive;
mod op;
mod operand;
mod record;
mod step;
mod tape;
mod turns;

pub use activation::Activation;
pub(crate) use cases::drawn_at;
pub use cases::{drawn, edge_cases};
pub(crate) use config::LARGEST as LARGEST_SETTING;
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

/// A room, with what it is verified on.
struct Room {
    name: &'static str,
    /// How often it draws a shape beside the others: windows, whose shapes differ in most ways, most often.
    share: usize,
    /// Its passes at shapes that kernels are likely to get wrong, the most telling first.
    edge_cases: fn() -> Vec<Box<dyn Op>>,
    /// Its passes at a random shape.
    drawn: fn(&mut Draw) -> Vec<Box<dyn Op>>,
}

/// Every room that has passes.
const ROOMS: &[Room] = &[
    Room { name: "conv2d", share: 5, edge_cases: conv2d::edge_cases, drawn: conv2d::drawn },
    Room { name: "dense", share: 2, edge_cases: dense::edge_cases, drawn: dense::drawn },
    Room { name: "pool2d", share: 4, edge_cases: pool2d::edge_cases, drawn: pool2d::drawn },
    Room { name: "activation", share: 1, edge_cases: activation::edge_cases, drawn: activation::drawn },
    Room { name: "batch_norm", share: 2, edge_cases: batch_norm::edge_cases, drawn: batch_norm::drawn },
    Room { name: "dropout", share: 1, edge_cases: dropout::edge_cases, drawn: dropout::drawn },
    Room { name: "softmax", share: 1, edge_cases: softmax::edge_cases, drawn: softmax::drawn },
    Room { name: "score", share: 1, edge_cases: score::edge_cases, drawn: score::drawn },
    Room { name: "gather_batch", share: 1, edge_cases: gather_batch::edge_cases, drawn: gather_batch::drawn },
    Room { name: "augment", share: 1, edge_cases: augment::edge_cases, drawn: augment::drawn },
    Room { name: "sgd", share: 1, edge_cases: sgd::edge_cases, drawn: sgd::drawn },
    Room { name: "adam", share: 1, edge_cases: adam::edge_cases, drawn: adam::drawn },
    Room { name: "clip", share: 1, edge_cases: clip::edge_cases, drawn: clip::drawn },
    Room { name: "average", share: 1, edge_cases: average::edge_cases, drawn: average::drawn },
];

/// Every kind of layer. Network files, their error messages and help read it.
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
