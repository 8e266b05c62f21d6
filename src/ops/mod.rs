//! The operations: one room each, with `mod.rs` (what it is), `gpu.rs` (how it is launched), `cpu.rs` (what it computes),
//! `fast.rs` (how a CPU computes it fast) and `cases.rs` (what all of them are verified on).
//!
//! An [`Op`] is one pass with its shapes, the entry of a [`crate::plan::Plan`]. A room has one for each of its passes. A
//! [`Layer`] (`layer.rs`) is what networks are made of; it records the passes on a [`Tape`].

pub mod activation;
pub mod adam;
pub mod augment;
pub mod average;
pub mod batch_norm;
pub mod clip;
pub(crate) mod config;
pub mod conv2d;
pub mod dense;
pub mod dropout;
pub mod flatten;
pub mod gather_batch;
mod layer;
mod matrix;
mod naive;
mod operand;
pub mod pool2d;
mod record;
pub mod score;
pub mod sgd;
pub mod softmax;
mod tape;

pub use activation::Activation;
pub(crate) use config::LARGEST as LARGEST_SETTING;
pub use layer::{Flow, Layer, LayerKind, OPS, Parameter, Site, Start};
pub use record::{ChooseKernel, KernelConfig, KernelForm, OperandSource, Recorder, Tile, record};
pub use tape::Tape;

use crate::error::Result;
use crate::fast::Fast;
use crate::reference::{Real, Tensors};
use crate::verify::{Verify, draw::Draw};
use std::any::Any;
use std::fmt::Debug;

/// What changes from step to step: `struct Step` in `shaders/shared/step.wgsl`, which is compared with this one when a
/// kernel is created.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// Low half of the run's seed.
    pub seed_low: u32,
    /// High half of it.
    pub seed_high: u32,
    /// Number of the step, from 0, over the whole run: what dropout and augmentation draw by.
    pub step: u32,
    /// Position in the data order of the batch's first image.
    pub first: u32,
    /// Images in the batch; rows behind them are padding, whose gradient is zero.
    pub count: u32,
    /// Where the step's loss and correct count go.
    pub slot: u32,
    /// eta of equations 4 and 5.
    pub learning_rate: f32,
    /// c1 of [`adam`]; 1 elsewhere.
    pub first_correction: f32,
    /// c2 of it.
    pub second_correction: f32,
    /// Makes 48 bytes with the next two: some devices want a multiple of 16.
    pub reserved: u32,
    /// See `reserved`.
    pub reserved_2: u32,
    /// See `reserved`.
    pub reserved_3: u32,
}

impl Step {
    /// Name, offset and type of each member.
    pub const FIELDS: &'static [crate::gpu::Field] = &[
        ("seed_low", std::mem::offset_of!(Step, seed_low), "u32"),
        ("seed_high", std::mem::offset_of!(Step, seed_high), "u32"),
        ("step", std::mem::offset_of!(Step, step), "u32"),
        ("first", std::mem::offset_of!(Step, first), "u32"),
        ("count", std::mem::offset_of!(Step, count), "u32"),
        ("slot", std::mem::offset_of!(Step, slot), "u32"),
        ("learning_rate", std::mem::offset_of!(Step, learning_rate), "f32"),
        ("first_correction", std::mem::offset_of!(Step, first_correction), "f32"),
        ("second_correction", std::mem::offset_of!(Step, second_correction), "f32"),
        ("reserved", std::mem::offset_of!(Step, reserved), "u32"),
        ("reserved_2", std::mem::offset_of!(Step, reserved_2), "u32"),
        ("reserved_3", std::mem::offset_of!(Step, reserved_3), "u32"),
    ];
}

impl Step {
    /// The steps of an epoch over `images` images: a step for each batch, of which the last may be smaller. `done` steps
    /// lie before it.
    pub fn epoch(images: usize, batch: usize, done: usize, seed: u64, learning_rate: f32) -> Vec<Step> {
        let firsts = (0..images).step_by(batch.max(1)).enumerate();
        let step = |(slot, first): (usize, usize)| Step {
            seed_low: seed as u32,
            seed_high: (seed >> 32) as u32,
            step: (done + slot) as u32,
            first: first as u32,
            count: batch.min(images - first) as u32,
            slot: slot as u32,
            learning_rate,
            first_correction: 1.0,
            second_correction: 1.0,
            ..Step::default()
        };
        firsts.map(step).collect()
    }
}

/// One pass of an operation, with its shapes.
pub trait Op: Any + Debug + Send + Sync + Record + Reference + Fast + Verify {
    /// `conv2d.backward_weight`
    fn name(&self) -> &'static str;
    /// Names, as the formulas have them, and lengths of what is read.
    fn inputs(&self) -> Vec<(&'static str, usize)>;
    /// Names and lengths of what is written. May be read as well, if the formula says so (`sgd`).
    fn outputs(&self) -> Vec<(&'static str, usize)>;
    /// Multiplications and additions, where they are worth counting.
    fn flops(&self) -> u64 {
        0
    }
    /// Operands of which the pass touches a part only, or which it both reads and writes: name, and how many elements
    /// are read or written. All others are touched once, as a whole.
    fn touched(&self) -> Vec<(&'static str, usize)> {
        Vec::new()
    }
}

/// How an operation is launched: `gpu.rs`.
pub trait Record {
    /// Appends its dispatches.
    fn record(&self, to: &mut Recorder<'_>) -> Result<()>;
}

/// What an operation computes: `cpu.rs`, one implementation for all number types.
pub trait Compute {
    /// Reads the inputs, writes the outputs.
    fn compute<F: Real>(&self, tensors: &mut Tensors<'_, F>);
}

/// [`Compute`] without its type parameter, so that a plan can hold any operation.
pub trait Reference {
    /// In `f32`.
    fn run_f32(&self, tensors: &mut Tensors<'_, f32>);
    /// In `f64`.
    fn run_f64(&self, tensors: &mut Tensors<'_, f64>);
    /// Itself.
    fn as_reference(&self) -> &dyn Reference;
}

impl<T: Compute> Reference for T {
    fn run_f32(&self, tensors: &mut Tensors<'_, f32>) {
        self.compute(tensors);
    }
    fn run_f64(&self, tensors: &mut Tensors<'_, f64>) {
        self.compute(tensors);
    }
    fn as_reference(&self) -> &dyn Reference {
        self
    }
}

/// Every pass at shapes that kernels are likely to get wrong; of each pass the most telling first. A room's share is in its
/// `cases.rs`.
pub fn edge_cases() -> Vec<Box<dyn Op>> {
    let rooms = [
        conv2d::edge_cases(),
        dense::edge_cases(),
        pool2d::edge_cases(),
        activation::edge_cases(),
        batch_norm::edge_cases(),
        dropout::edge_cases(),
        softmax::edge_cases(),
        score::edge_cases(),
        gather_batch::edge_cases(),
        augment::edge_cases(),
        sgd::edge_cases(),
        adam::edge_cases(),
        clip::edge_cases(),
        average::edge_cases(),
    ];
    rooms.into_iter().flatten().collect()
}

/// Draws the passes of one room at a shape.
type DrawPasses = fn(&mut Draw) -> Vec<Box<dyn Op>>;

/// What is drawn for each room, and how often beside the others: windows, whose shapes differ in most ways, most often.
const DRAWN: [(&str, usize, DrawPasses); 14] = [
    ("conv2d", 5, conv2d::drawn),
    ("dense", 2, dense::drawn),
    ("pool2d", 4, pool2d::drawn),
    ("activation", 1, activation::drawn),
    ("batch_norm", 2, batch_norm::drawn),
    ("dropout", 1, dropout::drawn),
    ("softmax", 1, softmax::drawn),
    ("score", 1, score::drawn),
    ("gather_batch", 1, gather_batch::drawn),
    ("augment", 1, augment::drawn),
    ("sgd", 1, sgd::drawn),
    ("adam", 1, adam::drawn),
    ("clip", 1, clip::drawn),
    ("average", 1, average::drawn),
];

/// Passes at shapes drawn at random by a seed, about `count` of them, each with its number among those of its room: the
/// same seed and number make the same pass, however many are drawn. See [`crate::verify::draw`].
pub fn drawn(seed: u64, count: usize) -> impl Iterator<Item = (usize, Box<dyn Op>)> {
    let of_room = move |number: usize, room: &str, draw_passes: DrawPasses| {
        draw_passes(&mut Draw::new(seed, room, number)).into_iter().map(move |op| (number, op))
    };
    // In one round every room draws as often as its share says.
    let a_round: usize = DRAWN.into_iter().map(|(room, share, passes)| share * of_room(0, room, passes).count()).sum();
    let rounds = count.div_ceil(a_round);
    DRAWN.into_iter().flat_map(move |(room, share, passes)| {
        (0..rounds * share).flat_map(move |number| of_room(number, room, passes))
    })
}

/// Those of number `number` of every room.
pub fn drawn_at(seed: u64, number: usize) -> impl Iterator<Item = Box<dyn Op>> {
    DRAWN.into_iter().flat_map(move |(room, _, draw_passes)| draw_passes(&mut Draw::new(seed, room, number)))
}

/// The inputs of a backward pass that multiplies by f'(x): `x` is among them unless f is the identity.
fn with_producer(
    producer: Activation,
    len: usize,
    mut inputs: Vec<(&'static str, usize)>,
) -> Vec<(&'static str, usize)> {
    if producer != Activation::Identity {
        inputs.push(("x", len));
    }
    inputs
}
