//! `shadegrad tune`, the `--tune` of other commands, and what `train` goes on to tune between epochs.

use super::{BatchOption, DeviceOption};
use crate::cli::output::{errln, out, outln};
use clap::Args;
use indicatif::ProgressBar;
use shadegrad::files::{Links, check_own_file, check_place};
use shadegrad::gpu::Gpu;
use shadegrad::machine::Device;
use shadegrad::network::{CompileOptions, Compiled, Network};
use shadegrad::tune::{self, Cache, Effort, KernelChoices, TuneProgress, Tuner};
use shadegrad::{Error, Result};
use std::fmt;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long a run may be kept waiting, before its first step and between two epochs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Share of the time of training that may go into tuning between epochs.
const SHARE: f64 = 0.1;

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
        Ok(self.choose(device, compiled, Rushed::No, silent)?.0)
    }

    /// The same, with what there was no time for: if the network has been met before, all that is not known yet.
    pub fn begin<'a>(
        &self,
        device: &'a Device,
        compiled: &'a Compiled,
        silent: bool,
    ) -> Result<(Device, Option<Rest<'a>>)> {
        self.choose(device, compiled, Rushed::Yes, silent)
    }

    fn choose<'a>(
        &self,
        device: &'a Device,
        compiled: &'a Compiled,
        rushed: Rushed,
        silent: bool,
    ) -> Result<(Device, Option<Rest<'a>>)> {
        let effort = match &self.tune {
            Tuning::Off => return Ok((device.clone(), None)),
            Tuning::Cached => Effort::Within(PATIENCE),
            Tuning::Full => Effort::Full,
            Tuning::File(path) => {
                let of_run = path.is_dir().then(|| path.join(super::run_folder::TUNE_FILE));
                of_run.as_deref().map_or(Ok(()), |file| check_own_file(file, Links::Follow))?;
                let path = of_run.as_ref().unwrap_or(path);
                return Ok((device.with_choices(KernelChoices::read(path)?)?, None));
            }
        };
        let Some(gpu) = device.gpu() else { return Ok((device.clone(), None)) };
        let (tuner, cache) = run(gpu, compiled, open_cache(gpu), (effort, rushed), silent)?;
        let choices = tuner.choices()?;
        let device = device.with_choices(choices.clone())?;
        let rest = (tuner.left() > 0).then(|| Rest::new(gpu, tuner, cache, choices));
        Ok((device, rest))
    }
}

/// Whether somebody waits who would rather begin with what is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rushed {
    Yes,
    No,
}

fn open_cache(gpu: &Gpu) -> Cache {
    Cache::open(Cache::folder().as_deref(), gpu)
}

/// Tunes. A cache that cannot be written is no reason to stop.
fn run<'a>(
    gpu: &Gpu,
    compiled: &'a Compiled,
    mut cache: Cache,
    (effort, rushed): (Effort, Rushed),
    silent: bool,
) -> Result<(Tuner<'a>, Cache)> {
    let mut tuner = Tuner::new(gpu, compiled, &cache)?;
    let waits = rushed == Rushed::Yes && effort != Effort::Full && tuner.has_met_all();
    let effort = if waits { Effort::Within(Duration::ZERO) } else { effort };
    let mut reporter = Reporter { silent, bar: None };
    let wrong = pollster::block_on(tuner.go_on(gpu, effort, &mut |progress| reporter.show(progress)));
    reporter.clear();
    for wrong in wrong? {
        errln!("warning: {wrong}");
    }
    tuner.remember(&mut cache);
    if let Err(error) = cache.save() {
        errln!("warning: what was tuned is not kept: {error}");
    }
    Ok((tuner, cache))
}

/// What there was no time for before the first step. It is tried between epochs and kept for the next run; this one stays
/// with the kernels that it began with, which its `tune.toml` names.
pub struct Rest<'a> {
    gpu: &'a Gpu,
    tuner: Tuner<'a>,
    cache: Cache,
    /// Those of this run.
    choices: KernelChoices,
    trained: Duration,
    spent: Duration,
    is_over: bool,
}

impl<'a> Rest<'a> {
    fn new(gpu: &'a Gpu, tuner: Tuner<'a>, cache: Cache, choices: KernelChoices) -> Rest<'a> {
        Rest { gpu, tuner, cache, choices, trained: Duration::ZERO, spent: Duration::ZERO, is_over: false }
    }

    /// Goes on after an epoch that took so long, if enough of the time is left for another candidate. Nothing that goes
    /// wrong here ends the run: it is said, and nothing more is tried.
    pub fn go_on(&mut self, epoch: Duration, say: &mut dyn FnMut(&str)) {
        self.trained += epoch;
        let limit = self.trained.mul_f64(SHARE).saturating_sub(self.spent).min(PATIENCE);
        if self.is_over || !self.tuner.can_go_on(limit) {
            return;
        }
        let start = Instant::now();
        let done = self.try_within(limit, say);
        self.spent += start.elapsed();
        if let Err(error) = &done {
            say(&format!("warning: nothing more is tuned in this run: {error}"));
        } else if self.tuner.left() == 0 {
            say(&self.conclusion());
        }
        self.is_over = done.is_err() || self.tuner.left() == 0;
    }

    /// On a device of its own: a fault of this one would end the training. What it holds is freed with it.
    fn try_within(&mut self, limit: Duration, say: &mut dyn FnMut(&str)) -> Result<()> {
        let wrong = pollster::block_on(async {
            let gpu = self.gpu.open_again().await?;
            self.tuner.go_on(&gpu, Effort::Within(limit), &mut |_| ()).await
        });
        self.tuner.remember(&mut self.cache);
        self.cache.save()?;
        for wrong in wrong? {
            say(&format!("warning: {wrong}"));
        }
        Ok(())
    }

    fn conclusion(&self) -> String {
        let what = match self.tuner.gain_over(&self.choices).map(|gain| (100.0 * gain).round()) {
            Some(percent) if percent >= 1.0 => {
                format!("in the next run of this network the matrix passes take {percent} % less time")
            }
            Some(_) => "this run has the fastest kernels that were tried".to_string(),
            None => "the next run of this network begins with what was found".to_string(),
        };
        format!("tuning is complete: {what}")
    }
}

/// A line that changes on a terminal, one that does not elsewhere.
struct Reporter {
    silent: bool,
    bar: Option<ProgressBar>,
}

impl Reporter {
    fn show(&mut self, progress: TuneProgress<'_>) {
        if self.silent {
            return;
        }
        if progress.candidate == 1 {
            if std::io::stderr().is_terminal() {
                self.bar = Some(ProgressBar::new_spinner());
            } else {
                errln!("tuning: trying up to {} kernels; what is found is kept", progress.candidates);
            }
        }
        if let Some(bar) = &self.bar {
            let TuneProgress { candidate, candidates, label, config } = progress;
            bar.set_message(format!("tuning {candidate}/{candidates}  {label}  {config}"));
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
    let (tuner, _) = run(gpu, &compiled, open_cache(gpu), (Effort::Full, Rushed::No), false)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const NETWORK: &str = "input = [14, 14, 8]\nlayers = [{ type = 'conv2d', filters = 16, kernel = 3 },\n\
                           { type = 'conv2d', filters = 16, kernel = 3 }, { type = 'flatten' }, { type = 'dense', units = 4 }]";

    fn compiled() -> Compiled {
        let options = CompileOptions { batch: 32, train_images: 64, slots: 2, ..CompileOptions::default() };
        Network::from_toml("small", NETWORK).unwrap().compile(&options).unwrap()
    }

    fn device() -> Device {
        let asked = std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into());
        pollster::block_on(Device::open(&asked.parse().unwrap())).unwrap()
    }

    /// As after a start that had no time to try anything.
    fn rest<'a>(gpu: &'a Gpu, compiled: &'a Compiled, folder: &Path) -> Rest<'a> {
        let cache = Cache::open(Some(folder), gpu);
        let tuner = Tuner::new(gpu, compiled, &cache).unwrap();
        let choices = tuner.choices().unwrap();
        Rest::new(gpu, tuner, cache, choices)
    }

    #[test]
    fn a_network_that_was_met_before_begins_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (device, compiled) = (device(), compiled());
        let gpu = device.gpu().unwrap();
        let left = |rushed: Rushed| {
            let cache = Cache::open(Some(folder.path()), gpu);
            let known = Tuner::new(gpu, &compiled, &cache).unwrap();
            let (before, met) = (known.left(), known.has_met_all());
            // Enough for one candidate.
            let effort = (Effort::Within(Duration::from_millis(1)), rushed);
            (before, met, run(gpu, &compiled, cache, effort, true).unwrap().0.left())
        };
        // One of each pass, whoever waits, as they come first.
        let passes = Tuner::new(gpu, &compiled, &Cache::open(None, gpu)).unwrap().passes();
        for _ in 0..passes {
            let (before, met, after) = left(Rushed::Yes);
            assert!(!met && after == before - 1);
        }
        let (before, met, after) = left(Rushed::Yes);
        assert!(met && before > 0 && after == before, "{before} left, then {after}");
        assert_eq!(left(Rushed::No).2, before - 1);
    }

    #[test]
    fn the_rest_is_tried_between_epochs() {
        let folder = tempfile::tempdir().unwrap();
        let (device, compiled) = (device(), compiled());
        let gpu = device.gpu().unwrap();
        let mut rest = rest(gpu, &compiled, folder.path());
        let all = rest.tuner.left();
        let mut said = Vec::new();
        // No time for anything; then for as much as a user may be kept waiting, however long the epoch was.
        rest.go_on(Duration::ZERO, &mut |line| said.push(line.to_string()));
        assert_eq!((rest.tuner.left(), rest.spent), (all, Duration::ZERO));
        let mut pauses = 0;
        while !rest.is_over {
            let before = rest.tuner.left();
            rest.go_on(Duration::from_secs(10_000), &mut |line| said.push(line.to_string()));
            assert!(rest.tuner.left() < before && pauses < all, "{} left", rest.tuner.left());
            pauses += 1;
            // What was found is there at once, for whoever starts next.
            let known = Tuner::new(gpu, &compiled, &Cache::open(Some(folder.path()), gpu)).unwrap();
            assert_eq!(known.left(), rest.tuner.left());
        }
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("tuning is complete: "), "{said:?}");
        let spent = rest.spent;
        rest.go_on(Duration::from_secs(10_000), &mut |line| panic!("{line}"));
        assert_eq!(rest.spent, spent);
    }

    #[test]
    fn a_tenth_of_the_time_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let (device, compiled) = (device(), compiled());
        let mut rest = rest(device.gpu().unwrap(), &compiled, folder.path());
        let all = rest.tuner.left();
        // How long one takes is not known yet: one is tried, and is paid for by the epochs after it.
        rest.go_on(Duration::from_millis(10), &mut |line| panic!("{line}"));
        assert_eq!(rest.tuner.left(), all - 1);
        rest.go_on(rest.spent, &mut |line| panic!("{line}"));
        rest.go_on(rest.spent, &mut |line| panic!("{line}"));
        assert_eq!(rest.tuner.left(), all - 1);
        rest.go_on(rest.spent * 1000, &mut |_| ());
        assert!(rest.tuner.left() < all - 1);
    }

    #[test]
    fn what_goes_wrong_is_said_and_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let (device, compiled) = (device(), compiled());
        let mut rest = rest(device.gpu().unwrap(), &compiled, &file);
        let mut said = Vec::new();
        for _ in 0..2 {
            rest.go_on(Duration::from_millis(10), &mut |line| said.push(line.to_string()));
        }
        assert!(rest.is_over && said.len() == 1, "{said:?}");
        assert!(
            said[0].starts_with("warning: nothing more is tuned in this run: ") && said[0].contains("file"),
            "{said:?}"
        );
    }

    #[test]
    fn the_last_line_claims_what_was_measured() {
        let folder = tempfile::tempdir().unwrap();
        let (device, compiled) = (device(), compiled());
        let gpu = device.gpu().unwrap();
        let mut rest = rest(gpu, &compiled, folder.path());
        assert!(rest.conclusion().ends_with("begins with what was found"), "nothing was measured");
        pollster::block_on(rest.tuner.go_on(gpu, Effort::Within(PATIENCE * 100), &mut |_| ())).unwrap();
        rest.choices = rest.tuner.choices().unwrap();
        assert!(rest.conclusion().ends_with("this run has the fastest kernels that were tried"));
        // Of one pass the slowest.
        let tuned = rest.tuner.tuned().swap_remove(0);
        let slowest = tuned.entry.tried.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        rest.choices.passes.insert(tuned.label, slowest.0);
        let gain = 100.0 * rest.tuner.gain_over(&rest.choices).unwrap();
        if gain >= 1.0 {
            assert!(rest.conclusion().ends_with(&format!("take {gain:.0} % less time")), "{}", rest.conclusion());
        }
    }
}
