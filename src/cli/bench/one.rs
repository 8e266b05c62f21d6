//! `shadegrad bench one`: trains a network on a device for some seconds, in a separate process.

use super::system::{self, Processors};
use super::{noise, train_options};
use crate::cli::DeviceOption;
use crate::cli::output::outln;
use crate::cli::signals::end_at_once;
use crate::cli::tune::TuneOption;
use clap::Args;
use serde::{Deserialize, Serialize};
use shadegrad::network::Network;
use shadegrad::train::{Event, Trainer};
use shadegrad::{Error, Result};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    #[arg(value_name = "MODEL")]
    model: String,
    #[command(flatten)]
    device: DeviceOption,
    #[command(flatten)]
    tune: TuneOption,
    #[arg(long)]
    seconds: f64,
    #[arg(long = "batch-size")]
    batch: usize,
    /// End when standard input does: with the process that holds its other end
    #[arg(long)]
    end_with_input: bool,
}

/// A measurement, which the child prints and the parent reads. Times are in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// Description of the device.
    pub device: String,
    /// Time to find the driver and open the device.
    pub open_seconds: f64,
    /// Time to compile the plan and its kernels, and to upload the data.
    pub compile_seconds: f64,
    /// Time to choose kernels, on a GPU.
    pub tune_seconds: Option<f64>,
    /// Time to the end of the first step, in which the driver may finish compiling.
    pub first_step_seconds: f64,
    /// Images trained on in the steady state.
    pub images: usize,
    /// Duration of the steady state.
    pub seconds: f64,
    /// Steps of the steady state.
    pub steps: usize,
    /// Peak memory of the host, in bytes.
    pub peak_memory: Option<u64>,
    /// Number of processors that other programs kept busy meanwhile.
    pub others: Option<f64>,
}

/// Duration of the warm-up between the first step and the steady state, as a share of the measuring time; at most a
/// second.
const WARM_UP: f64 = 0.5;

pub fn run(options: &Options) -> Result<ExitCode> {
    if options.end_with_input {
        end_with_input()?;
    }
    let network = Network::open(&options.model)?;
    let train_options = train_options(&network, options.batch)?;
    let data = noise(&network, options.batch)?;

    let start = Instant::now();
    let device = options.device.open(true)?;
    let open_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let device = options.tune.apply(&device, &train_options.compile(&network, &data)?, true)?;
    let tune_seconds = device.gpu().map(|_| start.elapsed().as_secs_f64());
    let start = Instant::now();
    let mut trainer = Trainer::new(&device, &network, &data, train_options, None)?;
    let compile_seconds = start.elapsed().as_secs_f64();

    let mut watch = Watch::new(options);
    pollster::block_on(trainer.run(&mut |event| Ok(watch.see(&event))))?;
    let measured = Measured {
        device: device.description.clone(),
        open_seconds,
        compile_seconds,
        tune_seconds,
        first_step_seconds: watch.first_step_seconds,
        images: watch.steps * options.batch,
        seconds: watch.seconds,
        steps: watch.steps,
        peak_memory: system::peak_memory(),
        others: watch.processors.and_then(|before| before.others_since()),
    };
    let line = serde_json::to_string(&measured).map_err(|error| Error::Usage(format!("the measurement: {error}")))?;
    outln!("{line}")?;
    Ok(ExitCode::SUCCESS)
}

/// Ends the program when standard input closes: the process at its other end has ended, for whatever reason.
fn end_with_input() -> Result<()> {
    let watch = || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        end_at_once();
    };
    let spawned = std::thread::Builder::new().name("end with input".into()).spawn(watch);
    spawned.map(|_| ()).map_err(|error| Error::Device(format!("cannot start a thread: {error}")))
}

/// Adds up the time of steps once the device is warm. It uses the trainer's clock, which excludes evaluation.
struct Watch {
    wanted: f64,
    batch: usize,
    start: Instant,
    first_step_seconds: f64,
    /// Time in this epoch at the last event.
    epoch_seconds: f64,
    is_warm: bool,
    processors: Option<Processors>,
    seconds: f64,
    steps: usize,
}

impl Watch {
    fn new(options: &Options) -> Watch {
        Watch {
            wanted: options.seconds,
            batch: options.batch,
            start: Instant::now(),
            first_step_seconds: 0.0,
            epoch_seconds: 0.0,
            is_warm: false,
            processors: None,
            seconds: 0.0,
            steps: 0,
        }
    }

    fn see(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        let Event::Steps(report) = event else {
            self.epoch_seconds = 0.0;
            return ControlFlow::Continue(());
        };
        let epoch_seconds = (report.done * self.batch) as f64 / report.images_per_second;
        if self.is_warm {
            self.seconds += epoch_seconds - self.epoch_seconds;
            self.steps += report.losses.len();
        }
        self.epoch_seconds = epoch_seconds;
        let since_start = self.start.elapsed().as_secs_f64();
        if report.first_step == 1 {
            self.first_step_seconds = since_start;
        }
        if !self.is_warm && since_start - self.first_step_seconds >= (WARM_UP * self.wanted).min(1.0) {
            self.is_warm = true;
            self.processors = Processors::read();
        }
        if self.seconds >= self.wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
