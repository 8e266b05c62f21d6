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
use crate::machine::Device;
use crate::network::{Network, Weights};
use crate::profile::{Ceilings, Profile};
use crate::train::{Checkpoint, Lowest, OptionError, Progress, Trainer};
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
    pub async fn start(mut options: RunOptions, observer: &mut RunObserver<'_>) -> Result<Run> {
        options.check()?;
        options.training.every_step = options.log_every == 1;
        let mut reporter = Reporter::new(observer);
        let Material { network, initial, data, full_scale } = Material::load(&options)?;
        let opened = Device::open(&options.device).await?;
        reporter.tell(RunEvent::Opened(&opened))?;
        reporter.tell(RunEvent::Loaded { network: &network, data: &data })?;
        for remark in remarks::remarks(&data, full_scale) {
            reporter.note(&remark)?;
        }
        let cpu_speed = session::cpu_speed(&options, &opened, &network, &data);
        let compiled = options.training.compile(&network, &data)?;
        let (device, untried) =
            options.tuning.begin(&opened, &compiled, options.cache.as_deref(), &mut reporter).await?;
        let mut trainer = Trainer::new(&device, &network, &data, options.training.clone(), initial.as_ref())?;
        let mut folder = RunFolder::create(options.out.as_deref(), &network.name)?;
        tracing::info!(folder = %folder.path().display(), network = network.name, data = data.source, "run started");
        if let Err(error) = begin(&mut folder, &options, &mut trainer, &data).await {
            folder.abandon();
            return Err(error);
        }
        if let Some(warning) = folder.lock_warning() {
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
        let mut reporter = Reporter::new(observer);
        let (mut folder, restored) = RunFolder::resume(run)?;
        if let Some(warning) = folder.lock_warning() {
            reporter.warn(&warning)?;
        }
        let mut record = RunRecord::read(folder.path())?;
        let mut checkpoint = restored.checkpoint;
        let same = record.check_same_run(&checkpoint.network, &checkpoint.options);
        same.map_err(|problem| Error::file(&restored.path, problem))?;
        let log_every = changes.log_every.unwrap_or(record.command.log_every);
        changes.apply(&mut checkpoint, log_every)?;
        let source = changes.data.clone().map_or_else(|| record.source(), Ok)?;
        let mut data = record.command.validation.divide(source.load()?, checkpoint.options.seed)?;
        Scale::By(checkpoint.network.picture_form().full_scale).apply(&mut data);
        let opened = Device::open(changes.device.as_ref().unwrap_or(&record.command.device)).await?;
        reporter.tell(RunEvent::Opened(&opened))?;
        reporter.tell(RunEvent::Loaded { network: &checkpoint.network, data: &data })?;
        let device = with_kernels_of(&checkpoint, &changes, opened, &data, &mut reporter).await?;
        let (step, training) = (checkpoint.state.progress.step, checkpoint.options.clone());
        let trainer = Trainer::resume(&device, checkpoint, &data)?;
        if !trainer.is_finished() {
            if let Some(damage) = folder.cut_back(trainer.progress())? {
                reporter.warn(&damage)?;
            }
            record.resume(step, &training, &device);
            folder.write_record(&record)?;
        }
        tracing::info!(folder = %folder.path().display(), step, "run resumed");
        reporter.tell(RunEvent::Resumed { step, checkpoint: &restored.path })?;
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
    fn load(options: &RunOptions) -> Result<Material> {
        RunFolder::check_free(options.out.as_deref())?;
        let mut network = options.network.clone();
        let initial = options.init.as_ref().map(|path| Weights::load(path, &network)).transpose()?;
        let mut data = options.validation.divide(options.data.load()?, options.training.seed)?;
        remarks::check(&data)?;
        let full_scale = options.scale.apply(&mut data);
        network.form = Some(Form::measure(&data.train, full_scale, options.data.is_emnist()));
        Ok(Material { network, initial, data, full_scale })
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
    checkpoint: &Checkpoint,
    changes: &RunChanges,
    device: Device,
    data: &DataPair,
    reporter: &mut Reporter<'_, '_>,
) -> Result<Device> {
    let RunChanges { tuning, cache, .. } = changes;
    if matches!(tuning, Tuning::File(_)) {
        let problem = OptionError::new("tune", "FILE cannot be used with ").field("resume");
        return Err(Error::Option(problem.and(": a run keeps the kernels that it was begun with")));
    }
    let (now, this) = (device.identity(), env!("CARGO_PKG_VERSION"));
    let (before, program) = (crate::text::brief(&checkpoint.device), crate::text::brief(&checkpoint.program));
    if program != this {
        reporter.tell(RunEvent::BitsMayDiffer(&format!(
            "the run was begun by shadegrad {program}, this is {this}: the weights may differ in some bits"
        )))?;
    }
    if checkpoint.device == now {
        return checkpoint.choices.clone().map_or(Ok(device.clone()), |choices| device.with_choices(choices));
    }
    reporter.tell(RunEvent::BitsMayDiffer(&format!(
        "the checkpoint was made on {before}, this is {now}: the weights may differ in some bits"
    )))?;
    let compiled = checkpoint.options.compile(&checkpoint.network, data)?;
    tuning.apply(&device, &compiled, cache.as_deref(), &mut |event| reporter.tuning(event)).await
}
