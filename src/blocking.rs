//! Blocking counterparts of the main `async` functions. Each blocks the calling thread until its `async` form is done,
//! and has the same name followed by `_blocking`.
//!
//! A web page must not block, so these do not exist in browsers; the `async` forms work everywhere.

use crate::data::Dataset;
use crate::error::Result;
use crate::evaluate::{self, Evaluation, Predictor};
use crate::gpu::{Gpu, Recording};
use crate::machine::{Device, DeviceChoice};
use crate::network::{Network, Weights};
use crate::run::{Run, RunChanges, RunObserver, RunOptions};
use crate::train::{Event, Outcome, Trainer};
use crate::tune::{self, Effort, Tuner, WrongResult};
use crate::verify::own::{KernelReport, OwnKernel};
use crate::verify::{self, Case, Finding, Output, Report};
use pollster::block_on;
use std::ops::ControlFlow;
use std::path::Path;

impl Device {
    /// Like [`Device::open`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Device::open`].
    pub fn open_blocking(choice: &DeviceChoice) -> Result<Device> {
        block_on(Device::open(choice))
    }
}

impl Trainer<'_> {
    /// Like [`Trainer::run`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Trainer::run`].
    pub fn run_blocking(&mut self, observer: &mut dyn FnMut(Event<'_>) -> Result<ControlFlow<()>>) -> Result<Outcome> {
        block_on(self.run(observer))
    }

    /// Like [`Trainer::weights`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Trainer::weights`].
    pub fn weights_blocking(&mut self) -> Result<Weights> {
        block_on(self.weights())
    }
}

impl Run {
    /// Like [`Run::start`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Run::start`].
    pub fn start_blocking(options: RunOptions, observer: &mut RunObserver<'_>) -> Result<Run> {
        block_on(Run::start(options, observer))
    }

    /// Like [`Run::resume`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Run::resume`].
    pub fn resume_blocking(run: &Path, changes: RunChanges, observer: &mut RunObserver<'_>) -> Result<Run> {
        block_on(Run::resume(run, changes, observer))
    }
}

impl Predictor {
    /// Like [`Predictor::predict`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Predictor::predict`].
    pub fn predict_blocking(&mut self, image: &[u8]) -> Result<Vec<f32>> {
        block_on(self.predict(image))
    }

    /// Like [`Predictor::predict_batch`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Predictor::predict_batch`].
    pub fn predict_batch_blocking<I: AsRef<[u8]>>(&mut self, images: &[I]) -> Result<Vec<Vec<f32>>> {
        block_on(self.predict_batch(images))
    }
}

/// Like [`evaluate::evaluate`], but blocks until it is done.
///
/// # Errors
///
/// The errors of [`evaluate::evaluate`].
pub fn evaluate_blocking(device: &Device, network: &Network, weights: &Weights, set: &Dataset) -> Result<Evaluation> {
    block_on(evaluate::evaluate(device, network, weights, set))
}

/// Like [`evaluate::logits`], but blocks until it is done.
///
/// # Errors
///
/// The errors of [`evaluate::logits`].
pub fn logits_blocking(device: &Device, network: &Network, weights: &Weights, set: &Dataset) -> Result<Vec<f32>> {
    block_on(evaluate::logits(device, network, weights, set))
}

/// Like [`verify::verify`], but blocks until it is done.
///
/// # Errors
///
/// The errors of [`verify::verify`].
pub fn verify_blocking(
    options: &verify::VerifyOptions,
    observer: &mut dyn FnMut(verify::VerifyProgress<'_>) -> ControlFlow<()>,
) -> Result<Report> {
    block_on(verify::verify(options, observer))
}

impl Case {
    /// Like [`Case::on_gpu`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Case::on_gpu`].
    pub fn on_gpu_blocking(&self, gpu: &Gpu, recording: Recording) -> Result<Vec<Output>, Finding> {
        block_on(self.on_gpu(gpu, recording))
    }
}

impl OwnKernel {
    /// Like [`OwnKernel::verify`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`OwnKernel::verify`].
    pub fn verify_blocking(&self, device: &Device) -> Result<KernelReport> {
        block_on(self.verify(device))
    }
}

impl Tuner<'_> {
    /// Like [`Tuner::go_on`], but blocks until it is done.
    ///
    /// # Errors
    ///
    /// The errors of [`Tuner::go_on`].
    pub fn go_on_blocking(
        &mut self,
        gpu: &Gpu,
        effort: Effort,
        progress: &mut dyn FnMut(tune::TuneProgress<'_>),
    ) -> Result<Vec<WrongResult>> {
        block_on(self.go_on(gpu, effort, progress))
    }
}
