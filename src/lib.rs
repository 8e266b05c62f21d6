//! Trains convolutional networks with hand-written WGSL compute shaders, through [`wgpu`], on any Vulkan, Metal or DX12
//! GPU, or with native code on the CPU.
//!
//! Every operation exists three times: as shaders, as fast code for the CPU, and as plain loops that define what both
//! must compute. [`prelude`] has what most programs use. Functions that wait for a device are `async`, so that a web
//! page can call them; on other platforms each has a blocking counterpart whose name ends in `_blocking`.
//!
//! # Train on your own images
//!
//! A [`data::Dataset`] is built from arrays of bytes, or of `f32` from 0 to 1. It is validated once, when it is
//! created.
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
//! [`data::Source::Folder`] reads files in the MNIST format. [`network::Network::builder`] has every kind of layer,
//! with the same defaults as network files. `examples/train_arrays.rs` is a complete program.
//!
//! # Train a preset
//!
//! A network carries the recipe that it is trained with, and a [`run`] keeps everything in a folder: its settings, its
//! results, its weights, and checkpoints to resume from.
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
//! [`Run::resume`](run::Run::resume) resumes an interrupted run; the result is the same to the bit.
//! [`network::PRESETS`] lists the presets; the best reaches 99.7 % accuracy on MNIST. `network.recipe.complete()` gives
//! the training options of a recipe, for use with [`train::Trainer`]: see `examples/train_preset.rs`.
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
//! // Converts a picture to the form of the training images.
//! let image = prepare(Path::new("assets/digits/seven.png"), network.input, &network.picture_form())?;
//! println!("{:.3?}", predictor.predict_blocking(&image)?);
//!
//! // Many images that already have that form, in few submits.
//! let images = [vec![0; 784], quantized(&[0.5; 784])?];
//! for probabilities in predictor.predict_batch_blocking(&images)? {
//!     println!("{probabilities:.3?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`evaluate::evaluate`] computes the loss, the accuracy and the confusion matrix on labelled images.
//!
//! # Check your GPU
//!
//! [`verify::verify`], which is also the command `shadegrad verify`, runs every variant of every kernel against the
//! reference. Each error is given as a fraction of the bound derived for it, and [`verify::Report`] holds what a bug
//! report to a driver's vendor needs.
//!
//! # Check your own shader
//!
//! A `.wgsl` file can be checked as any of the passes here, on the same cases and within the same bounds:
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
//! [`verify::own`] documents what the file must look like: buffers are bound by the names in the formula, and sizes are
//! constants.
//! `shadegrad verify --kernel mine.wgsl --as conv2d.forward` does the same.
//!
//! # Read a kernel beside its reference
//!
//! Each operation has one name, and a module of that name in [`ops`] that opens with its formula.
//! `shaders/conv2d/forward_naive.wgsl` computes one output per invocation, directly from the formula;
//! `src/ops/conv2d/cpu.rs` is the reference in plain loops; `shaders/conv2d/forward.wgsl` is the fast kernel.
//! `examples/one_op.rs` runs an operation both ways and compares the results. [`map`] walks through a whole training
//! step and tells which module does what.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `cli`, on by default | the program `shadegrad`, and all other features |
//! | `images` | pictures as input (`data::prepare`), contact sheets of samples as output (`data::sheet`) |
//! | `fetch` | downloads of data sets (`data::fetch`) |
//! | `report` | charts as SVG (`picture`, `profile::roofline`) |
//! | `mpi` | several devices that train one network, as processes of MPI ([`ranks`]); needs an MPI library to build |
//! | `local-time` | dates in the user's time zone ([`clock`]) instead of UTC |
//!
//! Without any of them, the library goes from data in memory or in the MNIST format to trained weights, with
//! checkpoints, tuning and verification. In that form it also compiles for browsers (`wasm32-unknown-unknown`). There,
//! every function that waits is async, the CPU engine has one thread, functions that read or write files return an
//! error, and [`cpu_speed`](mod@cpu_speed), which blocks, does not exist.

// The library must not panic, and leaves printing to the program that uses it. Tests may do both.
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
pub mod ranks;
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
