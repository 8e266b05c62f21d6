//! Runs: training, and everything that belongs to it besides the steps.
//!
//! Each run has its own folder with a record of its settings (`run.toml`), its results (`metrics.jsonl`,
//! `confusion.csv`), the kernels that it uses (`tune.toml`), its weights and its checkpoints. However it was ended, it
//! can be resumed from its last checkpoint and reaches the same bits as without the interruption. Nothing is printed
//! here: user interfaces observe a run through its events ([`RunEvent`]).
//!
//! To train without a folder, use [`crate::train::Trainer`].

mod folder;
pub mod metrics;
mod observer;
mod options;
mod record;
mod session;
mod tuning;
mod validation;

pub use folder::{
    RunFolder, discard, folder_of, has_begun, has_record, is_locked, lock, lock_warning, newest, open_model,
    open_model_as, read_confusion, read_epochs, try_lock, try_share_lock,
};
pub use observer::{RunEvent, RunObserver};
pub use options::{RunChanges, RunOptions};
pub use record::{RunCommand, RunRecord};
pub use tuning::{Tuning, TuningEvent, tune_all};
pub use validation::Validation;

use crate::data::form::Form;
use crate::data::scale::Scale;
use crate::data::{DataPair, remarks};
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::machine::{Device, DeviceChoice};
use crate::network::{Network, Weights};
use crate::profile::{Ceilings, Profile};
use crate::ranks::{Alone, Collective};
use crate::text::counted;
use crate::train::{Checkpoint, Lowest, OptionError, Progress, Restored, Trainer};
use observer::Reporter;
use session::Session;
use std::path::{Path, PathBuf};

/// The outcome of a run that has ended or was interrupted.
#[derive(Debug)]
pub struct Run {
    /// Folder of the run.
    pub folder: PathBuf,
    /// Why the run ended.
    pub end: RunEnd,
    /// How far the run got.
    pub progress: Progress,
    /// The last evaluation; `None` only if the run was interrupted before its first one.
    pub evaluation: Option<Evaluation>,
    /// Cost of each dispatch of a step, if requested, and on a GPU the device's ceilings.
    pub profile: Option<(Profile, Option<Ceilings>)>,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RunEnd {
    /// All epochs or steps are done.
    Finished,
    /// The validation loss has not fallen since this epoch, for as many epochs as the patience allows.
    StoppedEarly(Lowest),
    /// The observer ended the run. It can be resumed.
    Interrupted,
}

impl Run {
    /// Trains a network in a new folder.
    ///
    /// # Errors
    ///
    /// Problems with the options, the network, the data or the device are found before the folder is created; the error
    /// of a run that fails later says how it can be resumed.
    pub async fn start(options: RunOptions, observer: &mut RunObserver<'_>) -> Result<Run> {
        Run::start_on(&Alone, options, observer).await
    }

    /// Like [`Run::start`], as one of several ranks, all of which must call this with the same options. Each loads the
    /// data and opens a device; rank 0 writes the folder.
    ///
    /// # Errors
    ///
    /// Those of [`Run::start`]; [`Error::Ranks`] if all ranks know of the error.
    pub async fn start_on(
        ranks: &dyn Collective,
        mut options: RunOptions,
        observer: &mut RunObserver<'_>,
    ) -> Result<Run> {
        ranks.together(options.check())?;
        if options.profile && (!ranks.is_alone() || options.training.accumulate > 1) {
            let problem = OptionError::new("profile", "times a batch that one device computes at once; leave it out");
            return ranks.together(Err(Error::Option(problem)));
        }
        options.training.every_step = options.log_every == 1;
        let mut reporter = Reporter::new(observer);
        let Material { network, initial, data, full_scale } =
            ranks.together(Material::load(&options, ranks.leads()))?;
        let opened = open(ranks, &options.device, &mut reporter).await?;
        reporter.tell(RunEvent::Loaded { network: &network, data: &data })?;
        for remark in remarks::remarks(&data, full_scale) {
            reporter.note(&remark)?;
        }
        let cpu_speed = if ranks.is_alone() { session::cpu_speed(&options, &opened, &network, &data) } else { None };
        let compiled = ranks.together(options.training.compile_for(&network, &data, ranks.ranks()))?;
        let cache = options.cache.as_deref();
        let (device, untried) = match ranks.is_alone() {
            true => options.tuning.begin(&opened, &compiled, cache, &mut reporter).await?,
            false => (options.tuning.apply_on(ranks, &opened, &compiled, cache, &mut reporter).await?, None),
        };
        let mut trainer = Trainer::new_on(ranks, &device, &network, &data, options.training.clone(), initial.as_ref())?;
        let folder = if ranks.leads() { create(&options, &mut trainer, &data).await.map(Some) } else { Ok(None) };
        let folder = ranks.together(folder)?;
        if let Some(warning) = folder.as_ref().and_then(RunFolder::lock_warning) {
            reporter.warn(&warning)?;
        }
        let session = Session { folder, log_every: options.log_every, profile: options.profile, cpu_speed, untried };
        session.train(trainer, &mut reporter).await
    }

    /// Resumes the run in a folder, or from one of its checkpoints. It reaches exactly the bits that it would have
    /// reached without the interruption, if the device and its kernels are those of the checkpoint.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if the data is not what the run was trained on, [`Error::File`] if the folder is not a run
    /// folder, and [`Error::Option`] if a change contradicts what is already done.
    pub async fn resume(run: &Path, changes: RunChanges, observer: &mut RunObserver<'_>) -> Result<Run> {
        Run::resume_on(&Alone, run, changes, observer).await
    }

    /// Like [`Run::resume`], as one of several ranks, all of which must call this with the same changes. Rank 0 reads the
    /// folder, and sends the others what they need of it. The bits are those of an uninterrupted run if the number of
    /// ranks is that of the checkpoint, too.
    ///
    /// # Errors
    ///
    /// Those of [`Run::resume`]; [`Error::Ranks`] if all ranks know of the error.
    pub async fn resume_on(
        ranks: &dyn Collective,
        run: &Path,
        changes: RunChanges,
        observer: &mut RunObserver<'_>,
    ) -> Result<Run> {
        let mut reporter = Reporter::new(observer);
        let found = if ranks.leads() { Found::read(run).map(Some) } else { Ok(None) };
        let Found { mut folder, mut record, mut checkpoint, path } = Found::share(ranks, ranks.together(found)?)?;
        if let Some(warning) = folder.as_ref().and_then(RunFolder::lock_warning) {
            reporter.warn(&warning)?;
        }
        let log_every = changes.log_every.unwrap_or(record.command.log_every);
        ranks.together(changes.apply(&mut checkpoint, log_every))?;
        let data = ranks.together(data_of(&record, &changes, &checkpoint))?;
        let asked = changes.device.as_ref().unwrap_or(&record.command.device);
        let opened = open(ranks, asked, &mut reporter).await?;
        if checkpoint.ranks != ranks.ranks() {
            reporter.tell(RunEvent::BitsMayDiffer(&format!(
                "the checkpoint was made by {}, and {} resume it: the weights may differ in some bits",
                counted(checkpoint.ranks, "rank"),
                ranks.ranks()
            )))?;
        }
        reporter.tell(RunEvent::Loaded { network: &checkpoint.network, data: &data })?;
        let device = with_kernels_of(ranks, &checkpoint, &changes, opened, &data, &mut reporter).await?;
        let (step, training) = (checkpoint.state.progress.step, checkpoint.options.clone());
        let trainer = Trainer::resume_on(ranks, &device, checkpoint, &data)?;
        if let Some(folder) = folder.as_mut().filter(|_| !trainer.is_finished()) {
            if let Some(damage) = folder.cut_back(trainer.progress())? {
                reporter.warn(&damage)?;
            }
            record.resume(step, &training, &device);
            folder.write_record(&record)?;
        }
        tracing::info!(checkpoint = %path.display(), step, "run resumed");
        reporter.tell(RunEvent::Resumed { step, checkpoint: &path })?;
        // A resumed run keeps its kernels, and the speed of the CPU was reported when the run started.
        let session = Session { folder, log_every, profile: changes.profile, cpu_speed: None, untried: None };
        session.train(trainer, &mut reporter).await
    }
}

/// What a new run loads from files.
struct Material {
    network: Network,
    initial: Option<Weights>,
    data: DataPair,
    /// The byte value that pixels are divided by.
    full_scale: u8,
}

impl Material {
    /// Loads the files; only rank 0, which leads, needs the initial weights and writes to the folder.
    fn load(options: &RunOptions, leads: bool) -> Result<Material> {
        let mut network = options.network.clone();
        let mut initial = None;
        if leads {
            RunFolder::check_free(options.out.as_deref())?;
            initial = options.init.as_ref().map(|path| Weights::load(path, &network)).transpose()?;
        }
        let mut data = options.validation.divide(options.data.load()?, options.training.seed)?;
        remarks::check(&data)?;
        let full_scale = options.scale.apply(&mut data);
        network.form = Some(Form::measure(&data.train, full_scale, options.data.is_emnist()));
        Ok(Material { network, initial, data, full_scale })
    }
}

/// What a run that is resumed has left behind.
struct Found {
    /// The folder; `None` on ranks other than 0.
    folder: Option<RunFolder>,
    record: RunRecord,
    checkpoint: Checkpoint,
    /// The file that the checkpoint was read from.
    path: PathBuf,
}

impl Found {
    fn read(run: &Path) -> Result<Found> {
        let (folder, restored) = RunFolder::resume(run)?;
        let record = RunRecord::read(folder.path())?;
        let Restored { checkpoint, path } = restored;
        let same = record.check_same_run(&checkpoint.network, &checkpoint.options);
        same.map_err(|problem| Error::file(&path, problem))?;
        Ok(Found { folder: Some(folder), record, checkpoint, path })
    }

    /// Sends what rank 0 has read to all others.
    fn share(ranks: &dyn Collective, own: Option<Found>) -> Result<Found> {
        if ranks.is_alone()
            && let Some(own) = own
        {
            return Ok(own);
        }
        let bytes = ranks.from_first(&own.as_ref().map_or_else(Vec::new, |own| own.checkpoint.to_bytes()))?;
        match own {
            Some(Found { folder, record, checkpoint, path }) => {
                let record = RunRecord::share(ranks, Some(record))?;
                Ok(Found { folder, record, checkpoint, path })
            }
            None => {
                let path = PathBuf::from("the checkpoint of rank 0");
                let checkpoint = Checkpoint::from_bytes(&bytes, &path)?;
                Ok(Found { folder: None, record: RunRecord::share(ranks, None)?, checkpoint, path })
            }
        }
    }
}

/// The data of a run that is resumed.
fn data_of(record: &RunRecord, changes: &RunChanges, checkpoint: &Checkpoint) -> Result<DataPair> {
    let source = changes.data.clone().map_or_else(|| record.source(), Ok)?;
    let mut data = record.command.validation.divide(source.load()?, checkpoint.options.seed)?;
    Scale::By(checkpoint.network.picture_form().full_scale).apply(&mut data);
    Ok(data)
}

/// Opens the device of this rank, and reports the devices of all.
async fn open(ranks: &dyn Collective, choice: &DeviceChoice, reporter: &mut Reporter<'_, '_>) -> Result<Device> {
    let opened = match choice.for_rank(ranks.on_node()) {
        Ok(choice) => Device::open(&choice).await,
        Err(error) => Err(error),
    };
    let opened = ranks.together(opened)?;
    reporter.tell(RunEvent::Opened(&opened))?;
    if !ranks.is_alone() {
        let all = ranks.gather(opened.description.as_bytes())?;
        let all: Vec<String> = all.into_iter().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
        reporter.tell(RunEvent::Ranks(&all))?;
    }
    Ok(opened)
}

/// Creates the folder of a run, with the files that it has before its first step.
async fn create(options: &RunOptions, trainer: &mut Trainer<'_>, data: &DataPair) -> Result<RunFolder> {
    let network = trainer.network().name.clone();
    let mut folder = RunFolder::create(options.out.as_deref(), &network)?;
    tracing::info!(folder = %folder.path().display(), network, data = data.source, "run started");
    match begin(&mut folder, options, trainer, data).await {
        Ok(()) => Ok(folder),
        Err(error) => {
            folder.abandon();
            Err(error)
        }
    }
}

/// Writes the files that a run has before its first step.
async fn begin(folder: &mut RunFolder, options: &RunOptions, trainer: &mut Trainer<'_>, data: &DataPair) -> Result<()> {
    let checkpoint = trainer.checkpoint().await?;
    folder.write_record(&RunRecord::new(options, trainer, data, &checkpoint.data)?)?;
    if trainer.device().gpu().is_some() {
        folder.write_choices(trainer.device().choices())?;
    }
    folder.write_weights(trainer.network(), checkpoint.state.model())?;
    folder.write_checkpoint(&checkpoint)
}

/// The device with the kernels of the checkpoint. If the checkpoint was made on another device, the kernels are tuned
/// for this one, and equal bits are not guaranteed.
async fn with_kernels_of(
    ranks: &dyn Collective,
    checkpoint: &Checkpoint,
    changes: &RunChanges,
    device: Device,
    data: &DataPair,
    reporter: &mut Reporter<'_, '_>,
) -> Result<Device> {
    let RunChanges { tuning, cache, .. } = changes;
    if matches!(tuning, Tuning::File(_)) {
        let problem = OptionError::new("tune", "FILE cannot be used with ").field("resume");
        return ranks.together(Err(Error::Option(problem.and(": a run keeps the kernels that it was begun with"))));
    }
    let (now, this) = (device.identity(), env!("CARGO_PKG_VERSION"));
    let (before, program) = (crate::text::brief(&checkpoint.device), crate::text::brief(&checkpoint.program));
    if program != this {
        reporter.tell(RunEvent::BitsMayDiffer(&format!(
            "the run was begun by shadegrad {program}, this is {this}: the weights may differ in some bits"
        )))?;
    }
    let own = match &checkpoint.choices {
        _ if checkpoint.device != now => None,
        None => Some(device.clone()),
        Some(choices) => Some(device.with_choices(choices.clone())?),
    };
    // The checkpoint holds the device and the kernels of rank 0.
    if !ranks.any(own.is_none())? {
        return Ok(own.unwrap_or(device));
    }
    reporter.tell(RunEvent::BitsMayDiffer(&match &own {
        None => format!("the checkpoint was made on {before}, this is {now}: the weights may differ in some bits"),
        Some(_) => {
            format!("another rank is not on {before}, as in the checkpoint: the weights may differ in some bits")
        }
    }))?;
    let compiled = checkpoint.options.compile_for(&checkpoint.network, data, ranks.ranks())?;
    let tuned = tuning.apply_on(ranks, &device, &compiled, cache.as_deref(), reporter).await?;
    Ok(own.unwrap_or(tuned))
}
