//! Trains convolutional networks with hand-written WGSL compute shaders, through [`wgpu`], on any Vulkan, Metal or DX12
//! GPU, or with native code on the CPU.
//!
//! Every operation exists three times: as shaders, as fast code for the CPU, and as plain loops that say what both must
//! compute. [`prelude`] has what most programs use. What waits for a device is `async`, so that a page in a browser can use
//! it; elsewhere the same names with `_blocking` behind wait by themselves.
//!
//! # Train my own images
//!
//! A [`data::Dataset`] is made of arrays, of bytes or of `f32` from 0 to 1. It is checked once, when it is made.
//!
//! ```no_run
//! use shadegrad::prelude::*;
//! use std::ops::ControlFlow;
//!
//! # fn main() -> shadegrad::Result<()> {
//! # let (images, labels, test_images, test_labels) = (vec![0_u8; 784], vec![0_u8], vec![0_u8; 784], vec![0_u8]);
//! let train = Dataset::new(images, labels, [28, 28, 1], 10)?;
//! let test = Dataset::new(test_images, test_labels, [28, 28, 1], 10)?;
//! let data = DataPair::new(train, test)?;
//!
//! let network = Network::builder("small", [28, 28, 1])
//!     .conv2d(8, 3)
//!     .relu()
//!     .max_pool2d(2)
//!     .flatten()
//!     .dense(10)
//!     .build()?;
//!
//! let device = Device::open_blocking(&DeviceChoice::default())?;
//! let options = TrainOptions { epochs: 3, ..TrainOptions::default() };
//! let mut trainer = Trainer::new(&device, &network, &data, options, None)?;
//! trainer.run_blocking(&mut |event: Event<'_>| {
//!     if let Event::Epoch(report, _) = event {
//!         println!("epoch {}: {:.2} %", report.epoch, report.val_accuracy * 100.0);
//!     }
//!     Ok(ControlFlow::Continue(()))
//! })?;
//! trainer.weights_blocking()?.save(trainer.network(), "small.safetensors".as_ref())?;
//! # Ok(())
//! # }
//! ```
//!
//! Files in the MNIST format are read by [`data::Source::Folder`]. [`network::Network::builder`] has every kind of layer,
//! with the defaults of network files. `examples/train_arrays.rs` is a whole program.
//!
//! # Train a preset
//!
//! A network carries the recipe that it is trained by, and a [`run`] keeps everything in a folder: what was run, what it
//! reached, its weights, and checkpoints to go on from.
//!
//! ```no_run
//! use shadegrad::prelude::*;
//! use std::ops::ControlFlow;
//!
//! # fn main() -> shadegrad::Result<()> {
//! let mut options = RunOptions::new("best")?; // a preset, or a file that ends in .toml
//! options.data = Source::Folder("data/mnist".into());
//! let run = Run::start_blocking(options, &mut |event: RunEvent<'_>| {
//!     if let RunEvent::Epoch(report) = event {
//!         println!("epoch {}: {:.2} %", report.epoch, report.val_accuracy * 100.0);
//!     }
//!     Ok(ControlFlow::Continue(()))
//! })?;
//! println!("the run is in {}", run.folder.display());
//! # Ok(())
//! # }
//! ```
//!
//! [`Run::resume`](run::Run::resume) goes on with a run that was interrupted, to the same bits. [`network::PRESETS`] lists the
//! presets; the best reads 99.7 % of MNIST. `network.recipe.complete()` gives the training options of a recipe, which
//! [`train::Trainer`] takes as well: `examples/train_preset.rs`.
//!
//! # Predict
//!
//! ```no_run
//! use shadegrad::prelude::*;
//! use shadegrad::data::prepare::prepare;
//! use std::path::Path;
//!
//! # fn main() -> shadegrad::Result<()> {
//! let (network, weights) = Weights::open(Path::new("small.safetensors"))?;
//! let device = Device::open_blocking(&"auto".parse()?)?;
//! let mut predictor = Predictor::new(&device, &network, &weights)?;
//!
//! // A picture is brought to the form of the training images.
//! let image = prepare(Path::new("assets/digits/seven.png"), network.input, &network.picture_form())?;
//! println!("{:.3?}", predictor.predict_blocking(&image)?);
//!
//! // Many images that have that form already, in few submits.
//! let images = [vec![0; 784], quantized(&[0.5; 784])?];
//! for probabilities in predictor.predict_batch_blocking(&images)? {
//!     println!("{probabilities:.3?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`evaluate::evaluate`] gives loss, accuracy and confusion on images with labels.
//!
//! # Check my GPU
//!
//! [`verify::verify`], which is `shadegrad verify`, runs every kernel in every variant against the reference. Each error is
//! given as a share of the bound that is derived for it, and [`verify::Report`] is what a bug report to a driver's makers
//! needs.
//!
//! # Check my own shader
//!
//! A `.wgsl` file is checked as any of the passes here, on the same cases and within the same bounds:
//!
//! ```no_run
//! use shadegrad::prelude::*;
//! use std::path::Path;
//!
//! # fn main() -> shadegrad::Result<()> {
//! let device = Device::open_blocking(&DeviceChoice::default())?;
//! let report = OwnKernel::open(Path::new("mine.wgsl"), "conv2d.forward")?.verify_blocking(&device)?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! [`verify::own`] says what the file must look like: buffers are bound by the names of the formula, and sizes are constants.
//! `shadegrad verify --kernel mine.wgsl --as conv2d.forward` does the same.
//!
//! # Read a kernel beside its reference
//!
//! Each operation has one name, and a module of it in [`ops`] that opens with its formula. `shaders/conv2d/forward_naive.wgsl`
//! computes one output an invocation, as the formula reads; `src/ops/conv2d/cpu.rs` is the reference in plain loops;
//! `shaders/conv2d/forward.wgsl` is the fast one. `examples/one_op.rs` runs an operation both ways and compares. [`map`]
//! walks through a whole training step, and says which module does what.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `cli`, on by default | the program `shadegrad`, and all other features |
//! | `images` | pictures as input (`data::prepare`), contact sheets of samples as output (`data::sheet`) |
//! | `fetch` | downloads of data sets (`data::fetch`) |
//! | `report` | drawings as SVG (`picture`, `profile::roofline`) |
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

#[cfg(not(target_arch = "wasm32"))]
mod blocking;
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
pub mod map;
pub mod memory;
pub mod network;
pub mod ops;
mod options;
#[cfg(feature = "report")]
pub mod picture;
pub mod plan;
pub mod prelude;
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

/// The listings of README, compiled with the documentation's own.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeListings;
