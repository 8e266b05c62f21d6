//! `shadegrad tune`, and the `--tune` option of other commands.

use super::{BatchOption, DeviceOption, RUNS, RequiredModel, cache};
use crate::cli::output::{BAD, GOOD, errln, outln, print_page};
use crate::cli::progress::Bar;
use clap::Args;
use shadegrad::files::check_place;
use shadegrad::machine::Device;
use shadegrad::network::{CompileOptions, Compiled};
use shadegrad::run::{Tuning, TuningEvent, newest, tune_all};
use shadegrad::tune::{self, TuneProgress};
use shadegrad::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `--tune`
#[derive(Args)]
pub struct TuneOption {
    /// Which kernels to use: off, cached, full, or those of a tune.toml or another run, for equal bits
    ///
    /// off takes the best guess for the kind of device. cached takes what was fastest on this device before, and tries what
    /// was never tried for at most five seconds; `train` tries the rest between epochs, for the next run. full tries
    /// everything anew. A run folder (`latest` for the newest) or a tune.toml file gives the kernels of that run.
    #[arg(long, value_name = "off|cached|full|RUN", default_value = "cached", env = "SHADEGRAD_TUNE", hide_env = true)]
    pub tune: Tuning,
}

impl TuneOption {
    /// The setting that was asked for, with the folder of the newest run in place of `latest`.
    pub fn get(&self) -> Result<Tuning> {
        match &self.tune {
            Tuning::File(path) if path == Path::new("latest") && !path.exists() => {
                Ok(Tuning::File(newest(Path::new(RUNS))?))
            }
            tuning => Ok(tuning.clone()),
        }
    }

    /// The device with the kernels that the setting chooses for this network.
    pub fn apply(&self, device: &Device, compiled: &Compiled, silent: bool) -> Result<Device> {
        let mut bar = TuningBar::new(silent);
        pollster::block_on(
            self.get()?.apply(device, compiled, cache::folder().as_deref(), &mut |event| bar.hear(event)),
        )
    }
}

/// A line that is updated on a terminal, and printed once elsewhere.
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
            self.bar = Bar::new("{spinner} {wide_msg}", !self.is_silent);
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
    #[command(flatten)]
    model: RequiredModel,
    #[command(flatten)]
    batch: BatchOption,
    #[command(flatten)]
    device: DeviceOption,
    /// Write the choices to a file, for `train --tune FILE`
    #[arg(short, long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Tries all kernels and prints the results.
pub fn command(options: &Options) -> Result<ExitCode> {
    options.out.as_deref().map_or(Ok(()), check_place)?;
    let network = options.model.open()?;
    let step = options.batch.compile_options(&network)?;
    let compiled = network.compile(&CompileOptions { train_images: step.batch, ..step })?;
    pollster::block_on(Device::require_driver(&options.device.choice(), "; the CPU has nothing to tune"))?;
    let device = options.device.open(options.json)?;
    let Some(gpu) = device.gpu() else {
        return Err(Error::Usage(
            "only devices that run shaders can be tuned, not the CPU; see `shadegrad devices`".into(),
        ));
    };
    let mut bar = TuningBar::new(options.json);
    let tuner = pollster::block_on(tune_all(gpu, &compiled, cache::folder().as_deref(), &mut |event| bar.hear(event)))?;
    let tuned = tuner.tuned();
    if options.json {
        outln!("{}", tune::json(&tuned))?;
    } else {
        if tuned.is_empty() {
            outln!("{}: no pass is large enough for a choice to matter", network.name)?;
        }
        print_page(&tune::table(&tuned).into(), &[("chosen", GOOD), ("refused", BAD)])?;
    }
    if let Some(path) = &options.out {
        tuner.choices()?.save(path)?;
        if !options.json {
            outln!("\nthe choices are in {}", path.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
