//! Which kernels a run uses, and when untried ones are tried: before the first step, and between two epochs.

use super::observer::Reporter;
use crate::clock::Instant;
use crate::error::{Error, Result};
use crate::files::{Links, check_own_file};
use crate::gpu::Gpu;
use crate::machine::Device;
use crate::network::Compiled;
use crate::ranks::Collective;
use crate::run::folder::TUNE_FILE;
use crate::tune::{Cache, Effort, KernelChoices, TuneProgress, Tuner};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Longest time that tuning may delay a run: before its first step, and between two epochs.
const PATIENCE: Duration = Duration::from_secs(5);

/// Share of the training time that may be spent on tuning between epochs.
const SHARE: f64 = 0.1;

/// Which kernels to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tuning {
    /// The best guess for the kind of device.
    Off,
    /// The fastest known kernels on this device, after at most five seconds of trying untried ones.
    #[default]
    Cached,
    /// The fastest kernels, after trying all of them again.
    Full,
    /// The kernels in the `tune.toml` of another run, given the file or the run folder: for equal bits.
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

impl fmt::Display for Tuning {
    /// Writes the text that parses to the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tuning::Off => f.write_str("off"),
            Tuning::Cached => f.write_str("cached"),
            Tuning::Full => f.write_str("full"),
            Tuning::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// An event while kernels are tried.
#[derive(Clone, Copy)]
pub enum TuningEvent<'a> {
    /// A candidate is tried.
    Tried(TuneProgress<'a>),
    /// No more candidates are tried.
    Done,
    /// A kernel is wrong on this device, or the results cannot be saved.
    Warning(&'a str),
}

/// Receives tuning events.
type Tell<'t> = dyn FnMut(TuningEvent<'_>) + 't;

impl Tuning {
    /// The device with the kernels that this setting chooses for a network. Results are kept in the folder `cache`, if
    /// given.
    ///
    /// # Errors
    ///
    /// Those of the device and of the named file.
    pub async fn apply(
        &self,
        device: &Device,
        compiled: &Compiled,
        cache: Option<&Path>,
        tell: &mut Tell<'_>,
    ) -> Result<Device> {
        Ok(self.choose(device, compiled, (cache, Hurry::No), tell).await?.0)
    }

    /// Like [`Tuning::apply`], for a run that is about to start: with [`Tuning::Cached`], nothing is tried if every
    /// pass has a measurement. Also returns the candidates that are left untried.
    pub(super) async fn begin<'a>(
        &self,
        device: &'a Device,
        compiled: &'a Compiled,
        cache: Option<&Path>,
        reporter: &mut Reporter<'_, '_>,
    ) -> Result<(Device, Option<Untried<'a>>)> {
        self.choose(device, compiled, (cache, Hurry::Yes), &mut |event| reporter.tuning(event)).await
    }

    /// Like [`Tuning::apply`], as one of several ranks: the first rank with each device chooses for all that have the same.
    pub(super) async fn apply_on(
        &self,
        ranks: &dyn Collective,
        device: &Device,
        compiled: &Compiled,
        cache: Option<&Path>,
        reporter: &mut Reporter<'_, '_>,
    ) -> Result<Device> {
        let devices = ranks.gather(device.identity().as_bytes())?;
        let chooser = devices.iter().position(|other| *other == devices[ranks.rank()]).unwrap_or(ranks.rank());
        let own = if chooser == ranks.rank() {
            self.apply(device, compiled, cache, &mut |event| reporter.tuning(event)).await.map(Some)
        } else {
            Ok(None)
        };
        let own = ranks.together(own)?;
        let json = match &own {
            Some(device) => serde_json::to_string(device.choices()).unwrap_or_default(),
            None => String::new(),
        };
        let all = ranks.gather(json.as_bytes())?;
        match own {
            Some(device) => Ok(device),
            None if device.gpu().is_none() => Ok(device.clone()),
            None => {
                let problem = |error| Error::Run(format!("the kernels that rank {chooser} has chosen: {error}"));
                device.with_choices(serde_json::from_slice(&all[chooser]).map_err(problem)?)
            }
        }
    }

    async fn choose<'a>(
        &self,
        device: &'a Device,
        compiled: &'a Compiled,
        (cache, hurry): (Option<&Path>, Hurry),
        tell: &mut Tell<'_>,
    ) -> Result<(Device, Option<Untried<'a>>)> {
        let effort = match self {
            Tuning::Off => return Ok((device.clone(), None)),
            Tuning::Cached => Effort::Within(PATIENCE),
            Tuning::Full => Effort::Full,
            Tuning::File(path) => {
                let of_run = path.is_dir().then(|| path.join(TUNE_FILE));
                of_run.as_deref().map_or(Ok(()), |file| check_own_file(file, Links::Follow))?;
                let path = of_run.as_ref().unwrap_or(path);
                return Ok((device.with_choices(KernelChoices::read(path)?)?, None));
            }
        };
        let Some(gpu) = device.gpu() else { return Ok((device.clone(), None)) };
        let (tuner, cache) = try_kernels(gpu, compiled, Cache::open(cache, gpu), (effort, hurry), tell).await?;
        let choices = tuner.choices()?;
        let device = device.with_choices(choices.clone())?;
        let untried = (tuner.left() > 0).then(|| Untried::new(gpu, tuner, cache, choices));
        Ok((device, untried))
    }
}

/// Tries every kernel of a network again, and keeps the results in the folder `cache`, if given.
///
/// # Errors
///
/// Those of the device.
pub async fn tune_all<'a>(
    gpu: &Gpu,
    compiled: &'a Compiled,
    cache: Option<&Path>,
    tell: &mut Tell<'_>,
) -> Result<Tuner<'a>> {
    Ok(try_kernels(gpu, compiled, Cache::open(cache, gpu), (Effort::Full, Hurry::No), tell).await?.0)
}

/// Whether a run is waiting that would rather start with known kernels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hurry {
    Yes,
    No,
}

/// Tries kernels. If the cache cannot be written, that is only a warning.
async fn try_kernels<'a>(
    gpu: &Gpu,
    compiled: &'a Compiled,
    mut cache: Cache,
    (effort, hurry): (Effort, Hurry),
    tell: &mut Tell<'_>,
) -> Result<(Tuner<'a>, Cache)> {
    let mut tuner = Tuner::new(gpu, compiled, &cache)?;
    let waits = hurry == Hurry::Yes && effort != Effort::Full && tuner.has_met_all();
    let effort = if waits { Effort::Within(Duration::ZERO) } else { effort };
    let wrong = tuner.go_on(gpu, effort, &mut |progress| tell(TuningEvent::Tried(progress))).await;
    tell(TuningEvent::Done);
    for wrong in wrong? {
        tell(TuningEvent::Warning(&wrong.to_string()));
    }
    tuner.remember(&mut cache);
    if let Err(error) = cache.save() {
        tell(TuningEvent::Warning(&format!("what was tuned is not kept: {error}")));
    }
    Ok((tuner, cache))
}

/// A message after trying kernels between two epochs.
#[derive(Debug, PartialEq)]
pub(super) enum Remark {
    /// All candidates have been tried.
    Note(String),
    /// A problem that does not end the run.
    Warning(String),
}

/// Candidates that there was no time to try before the first step. They are tried between epochs, and the results are
/// kept for the next run; this run keeps the kernels that it started with, which its `tune.toml` names.
pub(super) struct Untried<'a> {
    gpu: &'a Gpu,
    tuner: Tuner<'a>,
    cache: Cache,
    /// The kernels of this run.
    choices: KernelChoices,
    trained: Duration,
    spent: Duration,
    is_over: bool,
}

impl<'a> Untried<'a> {
    fn new(gpu: &'a Gpu, tuner: Tuner<'a>, cache: Cache, choices: KernelChoices) -> Untried<'a> {
        Untried { gpu, tuner, cache, choices, trained: Duration::ZERO, spent: Duration::ZERO, is_over: false }
    }

    /// Continues after an epoch of this duration, if enough time is left for another candidate. A failure does not end
    /// the run: it is reported, and nothing more is tried.
    pub(super) async fn go_on(&mut self, epoch: Duration) -> Vec<Remark> {
        self.trained += epoch;
        let limit = self.trained.mul_f64(SHARE).saturating_sub(self.spent).min(PATIENCE);
        if self.is_over || !self.tuner.can_go_on(limit) {
            return Vec::new();
        }
        let start = Instant::now();
        let done = self.try_within(limit).await;
        self.spent += start.elapsed();
        self.is_over = done.is_err() || self.tuner.left() == 0;
        match done {
            Err(error) => vec![Remark::Warning(format!("nothing more is tuned in this run: {error}"))],
            Ok(wrong) => {
                let conclusion = self.is_over.then(|| Remark::Note(self.conclusion()));
                wrong.into_iter().map(Remark::Warning).chain(conclusion).collect()
            }
        }
    }

    /// Tries candidates on a separate device, because a fault of the run's device would end the training. Memory is
    /// freed with the device. Returns descriptions of wrong results.
    async fn try_within(&mut self, limit: Duration) -> Result<Vec<String>> {
        let gpu = self.gpu.open_again().await?;
        let wrong = self.tuner.go_on(&gpu, Effort::Within(limit), &mut |_| ()).await;
        self.tuner.remember(&mut self.cache);
        self.cache.save()?;
        Ok(wrong?.iter().map(ToString::to_string).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{CompileOptions, Network};

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

    /// The state after a start that had no time to try anything.
    fn untried<'a>(gpu: &'a Gpu, compiled: &'a Compiled, folder: &Path) -> Untried<'a> {
        let cache = Cache::open(Some(folder), gpu);
        let tuner = Tuner::new(gpu, compiled, &cache).unwrap();
        let choices = tuner.choices().unwrap();
        Untried::new(gpu, tuner, cache, choices)
    }

    #[test]
    fn a_network_that_was_met_before_begins_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (device, compiled) = (device(), compiled());
        let gpu = device.gpu().unwrap();
        let left = |hurry: Hurry| {
            let cache = Cache::open(Some(folder.path()), gpu);
            let known = Tuner::new(gpu, &compiled, &cache).unwrap();
            let (before, met) = (known.left(), known.has_met_all());
            // Enough time for one candidate.
            let effort = (Effort::Within(Duration::from_millis(1)), hurry);
            (before, met, pollster::block_on(try_kernels(gpu, &compiled, cache, effort, &mut |_| ())).unwrap().0.left())
        };
        // The first candidates are one per pass, even if a run is waiting.
        let passes = Tuner::new(gpu, &compiled, &Cache::open(None, gpu)).unwrap().passes();
        for _ in 0..passes {
            let (before, met, after) = left(Hurry::Yes);
            assert!(!met && after == before - 1);
        }
        let (before, met, after) = left(Hurry::Yes);
        assert!(met && before > 0 && after == before, "{before} left, then {after}");
        assert_eq!(left(Hurry::No).2, before - 1);
    }

    #[test]
    fn the_rest_is_tried_between_epochs() {
        let folder = tempfile::tempdir().unwrap();
        let (device, compiled) = (device(), compiled());
        let gpu = device.gpu().unwrap();
        let mut rest = untried(gpu, &compiled, folder.path());
        let all = rest.tuner.left();
        let mut said = Vec::new();
        // First no time at all; then the longest delay allowed, however long the epoch was.
        said.extend(pollster::block_on(rest.go_on(Duration::ZERO)));
        assert_eq!((rest.tuner.left(), rest.spent), (all, Duration::ZERO));
        let mut pauses = 0;
        while !rest.is_over {
            let before = rest.tuner.left();
            said.extend(pollster::block_on(rest.go_on(Duration::from_secs(10_000))));
            assert!(rest.tuner.left() < before && pauses < all, "{} left", rest.tuner.left());
            pauses += 1;
            // The results are available at once to the next run.
            let known = Tuner::new(gpu, &compiled, &Cache::open(Some(folder.path()), gpu)).unwrap();
            assert_eq!(known.left(), rest.tuner.left());
        }
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(matches!(&said[0], Remark::Note(text) if text.starts_with("tuning is complete: ")), "{said:?}");
        let spent = rest.spent;
        assert_eq!(pollster::block_on(rest.go_on(Duration::from_secs(10_000))), []);
        assert_eq!(rest.spent, spent);
    }

    #[test]
    fn a_tenth_of_the_time_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let (device, compiled) = (device(), compiled());
        let mut rest = untried(device.gpu().unwrap(), &compiled, folder.path());
        let all = rest.tuner.left();
        // The duration of a candidate is not known yet: one is tried, and later epochs make up for it.
        assert_eq!(pollster::block_on(rest.go_on(Duration::from_millis(10))), []);
        assert_eq!(rest.tuner.left(), all - 1);
        assert_eq!(pollster::block_on(rest.go_on(rest.spent)), []);
        assert_eq!(pollster::block_on(rest.go_on(rest.spent)), []);
        assert_eq!(rest.tuner.left(), all - 1);
        pollster::block_on(rest.go_on(rest.spent * 1000));
        assert!(rest.tuner.left() < all - 1);
    }

    #[test]
    fn what_goes_wrong_is_said_and_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "in the way").unwrap();
        let (device, compiled) = (device(), compiled());
        let mut rest = untried(device.gpu().unwrap(), &compiled, &file);
        let mut said = Vec::new();
        for _ in 0..2 {
            said.extend(pollster::block_on(rest.go_on(Duration::from_millis(10))));
        }
        assert!(rest.is_over && said.len() == 1, "{said:?}");
        let Remark::Warning(text) = &said[0] else { panic!("{said:?}") };
        assert!(text.starts_with("nothing more is tuned in this run: ") && text.contains("file"), "{text}");
    }

    #[test]
    fn the_last_line_claims_what_was_measured() {
        let folder = tempfile::tempdir().unwrap();
        let (device, compiled) = (device(), compiled());
        let gpu = device.gpu().unwrap();
        let mut rest = untried(gpu, &compiled, folder.path());
        assert!(rest.conclusion().ends_with("begins with what was found"), "nothing was measured");
        pollster::block_on(rest.tuner.go_on(gpu, Effort::Within(PATIENCE * 100), &mut |_| ())).unwrap();
        rest.choices = rest.tuner.choices().unwrap();
        assert!(rest.conclusion().ends_with("this run has the fastest kernels that were tried"));
        // Choose the slowest kernel for one pass.
        let tuned = rest.tuner.tuned().swap_remove(0);
        let slowest = tuned.entry.tried.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        rest.choices.passes.insert(tuned.label, slowest.0);
        let gain = 100.0 * rest.tuner.gain_over(&rest.choices).unwrap();
        if gain >= 1.0 {
            assert!(rest.conclusion().ends_with(&format!("take {gain:.0} % less time")), "{}", rest.conclusion());
        }
    }
}
