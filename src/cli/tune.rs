//! `shadegrad tune`, and the `--tune` of other commands.

use super::DeviceOption;
use clap::Args;
use indicatif::ProgressBar;
use shadegrad::machine::Device;
use shadegrad::network::{CompileOptions, Compiled, Network};
use shadegrad::train::TrainOptions;
use shadegrad::tune::{self, Cache, Choices, Effort, Progress, Tuned};
use shadegrad::{Error, Result};
use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

/// How long a run may be kept waiting. The candidate that is being tried is finished, which takes another second or two
/// on a driver that compiles slowly.
const PATIENCE: Duration = Duration::from_secs(5);

/// `--tune`
#[derive(Args)]
pub struct TuneOption {
    /// Which kernels are taken: the best guess for the device (off), what was found to be fastest here, and for what was
    /// never tried some seconds of trying (cached), everything tried anew (full), or the choices in the tune.toml of
    /// another run, for equal bits (FILE)
    #[arg(
        long,
        value_name = "off|cached|full|FILE",
        default_value = "cached",
        env = "SHADEGRAD_TUNE",
        hide_env = true
    )]
    tune: Tuning,
}

#[derive(Clone, Debug)]
enum Tuning {
    Off,
    Cached,
    Full,
    File(PathBuf),
}

impl FromStr for Tuning {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" => return Err("give off, cached, full, or the tune.toml of a run".into()),
            "off" => Tuning::Off,
            "cached" => Tuning::Cached,
            "full" => Tuning::Full,
            file => Tuning::File(file.into()),
        })
    }
}

impl fmt::Display for TuneOption {
    /// As it was given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tune {
            Tuning::Off => f.write_str("off"),
            Tuning::Cached => f.write_str("cached"),
            Tuning::Full => f.write_str("full"),
            Tuning::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl TuneOption {
    /// Whether the choices of a file were asked for.
    pub fn is_file(&self) -> bool {
        matches!(self.tune, Tuning::File(_))
    }

    /// The device with the kernels of its choice for this network.
    pub fn apply(&self, device: &Device, compiled: &Compiled, silent: bool) -> Result<Device> {
        let effort = match &self.tune {
            Tuning::Off => return Ok(device.clone()),
            Tuning::Cached => Effort::Within(PATIENCE),
            Tuning::Full => Effort::Full,
            Tuning::File(path) => {
                let path = if path.is_dir() { path.join(super::run_folder::TUNE_FILE) } else { path.clone() };
                return device.with_choices(Choices::read(&path)?);
            }
        };
        match run(device, compiled, effort, silent)? {
            Some((choices, _)) => device.with_choices(choices),
            None => Ok(device.clone()),
        }
    }
}

/// Tunes if the device has kernels to choose from. A cache that cannot be written is no reason to stop.
fn run(device: &Device, compiled: &Compiled, effort: Effort, silent: bool) -> Result<Option<(Choices, Vec<Tuned>)>> {
    let Some(gpu) = device.gpu() else { return Ok(None) };
    let mut cache = Cache::open(Cache::folder().as_deref(), gpu);
    let mut reporter = Reporter { silent, bar: None };
    let tuned = pollster::block_on(tune::tune(gpu, compiled, &mut cache, effort, &mut |p| reporter.show(p)))?;
    reporter.clear();
    for tuned in tuned.1.iter().filter(|tuned| !tuned.cached) {
        for (settings, why) in &tuned.entry.refused {
            eprintln!("warning: {}: the kernel {settings} is wrong on this device and was refused: {why}", tuned.label);
        }
    }
    if let Err(error) = cache.save() {
        eprintln!("warning: what was tuned is not kept: {error}");
    }
    Ok(Some(tuned))
}

/// A line that changes on a terminal, one that does not elsewhere.
struct Reporter {
    silent: bool,
    bar: Option<ProgressBar>,
}

impl Reporter {
    fn show(&mut self, progress: Progress<'_>) {
        if self.silent {
            return;
        }
        if progress.candidate == 1 {
            if std::io::stderr().is_terminal() {
                self.bar = Some(ProgressBar::new_spinner());
            } else {
                eprintln!("tuning: trying up to {} kernels; what is found is kept", progress.candidates);
            }
        }
        if let Some(bar) = &self.bar {
            let Progress { candidate, candidates, label, settings } = progress;
            bar.set_message(format!("tuning {candidate}/{candidates}  {label}  {settings}"));
            bar.tick();
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[derive(Args)]
pub struct Options {
    /// A preset (case1 … case6, lenet5, mlp) or a network file that ends in .toml
    model: String,
    /// Images a step
    #[arg(long, default_value_t = 100)]
    batch_size: usize,
    #[command(flatten)]
    device: DeviceOption,
    /// Write the choices, for `train --tune FILE`
    #[arg(long, value_name = "FILE.toml")]
    out: Option<PathBuf>,
}

/// Tries everything and prints what came of it.
pub fn command(options: &Options) -> Result<ExitCode> {
    let network = Network::open(&options.model)?;
    let compiled = network.compile(&CompileOptions {
        batch: options.batch_size,
        train_images: options.batch_size,
        momentum: TrainOptions::default().momentum,
        ..CompileOptions::default()
    })?;
    let device = options.device.open(false)?;
    let Some((choices, tuned)) = run(&device, &compiled, Effort::Full, false)? else {
        return Err(Error::Usage(
            "only devices that run shaders can be tuned, not the CPU; see `shadegrad devices`".into(),
        ));
    };
    if tuned.is_empty() {
        println!("{}: no pass is large enough for a choice to matter", network.name);
    }
    print!("{}", tune::table(&tuned));
    if let Some(path) = &options.out {
        choices.save(path)?;
        println!("\nthe choices are in {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
