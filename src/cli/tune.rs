//! `shadegrad tune`, and the `--tune` of other commands.

use super::{BatchOption, DeviceOption, cache};
use crate::cli::output::{errln, out, outln};
use crate::cli::progress::Bar;
use clap::Args;
use shadegrad::files::check_place;
use shadegrad::machine::Device;
use shadegrad::network::{CompileOptions, Compiled, Network};
use shadegrad::run::{Tuning, TuningEvent, tune_all};
use shadegrad::tune::{self, TuneProgress};
use shadegrad::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// `--tune`
#[derive(Args)]
pub struct TuneOption {
    /// Which kernels are taken: the best guess for the device (off); what was found to be fastest here, after at most five
    /// seconds of trying what was never tried, and `train` tries the rest between epochs, for the next run (cached);
    /// everything tried anew (full); or the choices in the tune.toml of another run, for equal bits (FILE)
    #[arg(
        long,
        value_name = "off|cached|full|FILE",
        default_value = "cached",
        env = "SHADEGRAD_TUNE",
        hide_env = true
    )]
    pub tune: Tuning,
}

impl TuneOption {
    /// The device with the kernels of its choice for this network.
    pub fn apply(&self, device: &Device, compiled: &Compiled, silent: bool) -> Result<Device> {
        let mut bar = TuningBar::new(silent);
        pollster::block_on(self.tune.apply(device, compiled, cache::folder().as_deref(), &mut |event| bar.hear(event)))
    }
}

/// A line that changes on a terminal, one that does not elsewhere.
pub struct TuningBar {
    is_silent: bool,
    bar: Bar,
}

impl TuningBar {
    pub fn new(is_silent: bool) -> TuningBar {
        TuningBar { is_silent, bar: Bar::default() }
    }

    pub fn hear(&mut self, event: TuningEvent<'_>) {
        match event {
            TuningEvent::Tried(progress) => self.tried(progress),
            TuningEvent::Done => self.clear(),
            TuningEvent::Warning(text) => errln!("warning: {text}"),
        }
    }

    fn tried(&mut self, TuneProgress { candidate, candidates, label, config }: TuneProgress<'_>) {
        if candidate == 1 {
            self.bar = Bar::new("{spinner} {msg}", !self.is_silent);
            if !self.is_silent && !self.bar.is_shown() {
                errln!("tuning: trying up to {candidates} kernels; what is found is kept");
            }
        }
        self.bar.show(candidate as u64, || format!("tuning {candidate}/{candidates}  {label}  {config}"));
    }

    pub fn clear(&mut self) {
        self.bar.clear();
    }
}

#[derive(Args)]
pub struct Options {
    #[arg(help = crate::cli::model_help())]
    model: String,
    #[command(flatten)]
    batch: BatchOption,
    #[command(flatten)]
    device: DeviceOption,
    /// Write the choices, for `train --tune FILE`
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
}

/// Tries everything and prints what came of it.
pub fn command(options: &Options) -> Result<ExitCode> {
    options.out.as_deref().map_or(Ok(()), check_place)?;
    let network = Network::open(&options.model)?;
    let step = options.batch.compile_options(&network)?;
    let compiled = network.compile(&CompileOptions { train_images: step.batch, ..step })?;
    pollster::block_on(Device::require_driver(&options.device.choice(), "; the CPU has nothing to tune"))?;
    let device = options.device.open(false)?;
    let Some(gpu) = device.gpu() else {
        return Err(Error::Usage(
            "only devices that run shaders can be tuned, not the CPU; see `shadegrad devices`".into(),
        ));
    };
    let mut bar = TuningBar::new(false);
    let tuner = pollster::block_on(tune_all(gpu, &compiled, cache::folder().as_deref(), &mut |event| bar.hear(event)))?;
    let tuned = tuner.tuned();
    if tuned.is_empty() {
        outln!("{}: no pass is large enough for a choice to matter", network.name)?;
    }
    out!("{}", tune::table(&tuned))?;
    if let Some(path) = &options.out {
        tuner.choices()?.save(path)?;
        outln!("\nthe choices are in {}", path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}
