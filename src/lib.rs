//! Trains convolutional networks with hand-written WGSL compute shaders, through [`wgpu`], on any Vulkan, Metal or DX12
//! GPU.
//!
//! Every operation exists three times: as shaders, as fast code for the CPU, and as plain loops that say what both must
//! compute. A network is compiled once to a list of passes; a training step walks that list, on any side.
//!
//! # One training step
//!
//! The way of the data through the preset `case2`, in the order of `shadegrad plan case2`. Labels are
//! `<layer>.<pass>`; `dw`, `db`, `dx` and `dy` are the gradients of `w`, `b`, `x` and `y`.
//!
//! | label | what happens | where |
//! |---|---|---|
//! | | files, or the built-in generator, become bytes: 0 is background, 255 ink | [`data`] |
//! | | the bytes go to the device once; each epoch sends a new order of them | [`train`], [`data::order`] |
//! | `batch.gather` | the order picks a batch: bytes become numbers from 0 to 1; with `--augment`, distorted by maps that `batch.augment` has drawn | [`ops::gather_batch`], [`ops::augment`] |
//! | `conv1.forward` | convolution, bias and ReLU | [`ops::conv2d`], [`ops::activation`] |
//! | `pool1.forward` | maximum of each window | [`ops::pool2d`] |
//! | `conv2.forward`, `pool2.forward` | the same, smaller and deeper | |
//! | `dropout1.forward` | some values become 0, drawn by seed and step | [`ops::dropout`] |
//! | | flatten is only another shape for the same numbers | [`ops::flatten`] |
//! | `dense1.forward`, `dropout2.forward`, `dense2.forward` | ten scores an image | [`ops::dense`] |
//! | `loss.cross_entropy` | softmax, loss, prediction, and the gradient of the scores | [`ops::softmax`] |
//! | `score` | the batch's loss and correct predictions are added up | [`ops::score`] |
//! | `dense2.backward_weight`, `dense2.backward_bias`, … | `dw`, `db` and `dx` of a layer | [`ops::dense`] |
//! | `dropout2.backward` … `conv1.backward_weight` | the same names in reverse | [`ops`] |
//! | `sgd.update` | one dispatch updates all weights; `adam.update` with Adam; on request `clip.scale` before, `average.update` behind | [`ops::sgd`], [`ops::adam`], [`ops::clip`], [`ops::average`] |
//! | | losses and counts, a few bytes, are read back and reported | [`train::Event`] |
//! | | after an epoch the network is evaluated, and the run can go on from here | [`evaluate`], [`mod@checkpoint`] |
//!
//! # The modules
//!
//! [`network`] checks a chain of layers and compiles it to a [`plan::Plan`] and its [`plan::Pass`]es, whose tensors take turns in memory. [`ops`] holds the
//! operations, one module each: `mod.rs` says what it is, `gpu.rs` launches it, `fast.rs` computes it fast on the CPU, and
//! `cpu.rs` readably. [`gpu`] speaks to wgpu and knows no neural network; [`mod@tune`] chooses among its kernels. [`fast`]
//! runs the same passes on the CPU, and [`mod@reference`] runs their readable form. [`machine`] puts a compiled network on
//! any of them. [`train`] and [`evaluate`] drive a machine. [`mod@profile`] says what each dispatch of a step costs,
//! [`mod@cpu_speed`] what the CPU would do in the place of a software driver, and [`mod@verify`] whether the kernels are
//! right on this device; what is known to be wrong is in [`known_bad`]. [`mod@picture`] draws, and
//! [`text`] makes strings of unknown origin safe to show.
//!
//! # Example
//!
//! ```no_run
//! use shadegrad::data::{Source, prepare::prepare};
//! use shadegrad::evaluate::Predictor;
//! use shadegrad::machine::Device;
//! use shadegrad::network::Network;
//! use shadegrad::train::{Event, TrainOptions, Trainer};
//! use std::{ops::ControlFlow, path::Path};
//!
//! # fn main() -> shadegrad::Result<()> {
//! pollster::block_on(async {
//!     let device = Device::open(&"auto".parse()?).await?;
//!     let network = Network::open("case2")?;
//!     let data = Source::Builtin { seed: 1 }.load()?;
//!     let mut trainer = Trainer::new(&device, &network, &data, TrainOptions::default(), None)?;
//!     let observer = &mut |event: Event<'_>| {
//!         if let Event::Epoch(report, _) = event {
//!             println!("epoch {}: {:.2} %", report.epoch, report.val_accuracy * 100.0);
//!         }
//!         Ok(ControlFlow::Continue(()))
//!     };
//!     trainer.run(observer).await?;
//!     let weights = trainer.weights().await?;
//!     let form = trainer.network().picture_form();
//!     let image = prepare(Path::new("assets/digits/seven.png"), network.input, &form)?;
//!     let probabilities = Predictor::new(&device, &network, &weights)?.predict(&image).await?;
//!     println!("{probabilities:.3?}");
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `cli`, on by default | the program `shadegrad`, and all other features |
//! | `images` | pictures as input (`data::prepare`), contact sheets of samples as output (`data::sheet`) |
//! | `fetch` | downloads of data sets (`data::fetch`) |
//! | `report` | drawings as SVG and PNG (`picture`, `profile::roofline`) |
//! | `local-time` | dates in the time zone of the user ([`clock`]); else they are in UTC |
//!
//! Without any of them there is everything from data in memory and in the MNIST format to trained weights, checkpoints,
//! tuning and verification. So the library compiles for browsers too (`wasm32-unknown-unknown`). There all that waits is
//! async, the CPU has one thread, what reads or writes a file gives an error, and [`cpu_speed`](mod@cpu_speed), which blocks,
//! is not there.

// No panic reaches a user, and what is printed is up to the program. Tests may do both.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)
)]

pub mod clock;
#[cfg(not(target_arch = "wasm32"))]
pub mod cpu_speed;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod fast;
pub mod files;
pub mod gpu;
mod kept;
pub mod known_bad;
mod lifetime;
pub mod lock;
pub mod machine;
pub mod memory;
pub mod network;
pub mod ops;
mod options;
#[cfg(feature = "report")]
pub mod picture;
pub mod plan;
pub mod profile;
pub mod reference;
#[cfg(not(target_arch = "wasm32"))]
pub mod run;
pub mod shape;
pub mod storage;
#[cfg(feature = "report")]
pub mod study;
pub mod table;
pub mod text;
pub mod train;
pub mod tune;
pub mod verify;
pub mod version;
pub use error::{Error, Result};
