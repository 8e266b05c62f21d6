//! The training of a run, and the files that it writes.

use super::observer::Reporter;
use super::tuning::{Remark, Untried};
use super::{Run, RunEnd, RunEvent, RunFolder, RunOptions, metrics};
use crate::cpu_speed::cpu_speed as measure_cpu_speed;
use crate::data::DataPair;
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::machine::Device;
use crate::network::Network;
use crate::profile::{Ceilings, Profile};
use crate::train::{EpochReport, Event, Trainer};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

/// Training time after which the speed of the shaders is compared with that of the CPU, unless an epoch ends earlier:
/// the first steps are slow, because the driver compiles kernels.
const SETTLED_SECONDS: f64 = 30.0;

/// What a run does besides its steps.
pub(super) struct Session<'a> {
    /// The folder of the run; `None` on ranks other than 0, which write nothing.
    pub folder: Option<RunFolder>,
    /// Steps between two lines of `metrics.jsonl`.
    pub log_every: usize,
    /// Whether to profile a step at the end.
    pub profile: bool,
    /// Images per second with the CPU engine, to be compared with the shaders during the first epoch.
    pub cpu_speed: Option<f64>,
    /// Kernels that there was no time to try before the first step.
    pub untried: Option<Untried<'a>>,
}

impl Session<'_> {
    /// Trains until the run is complete or the observer ends it.
    pub async fn train(mut self, mut trainer: Trainer<'_>, reporter: &mut Reporter<'_, '_>) -> Result<Run> {
        let (network, options) = (trainer.network().clone(), trainer.options().clone());
        if let Some(folder) = &self.folder {
            reporter.tell(RunEvent::Started { folder: folder.path(), options: &options })?;
        }
        let evaluation = self.epochs(&mut trainer, &network, reporter).await;
        let evaluation = evaluation.map_err(|error| self.explain(error))?;
        let end = match trainer.stopped_early() {
            _ if !trainer.is_finished() => RunEnd::Interrupted,
            Some(lowest) => RunEnd::StoppedEarly(lowest),
            None => RunEnd::Finished,
        };
        self.conclude(&mut trainer, &network, evaluation.as_ref(), end).await?;
        let mut profile = None;
        if self.profile && self.folder.is_some() && end != RunEnd::Interrupted {
            profile = Some(self.profile(&mut trainer, reporter).await?);
        }
        let folder = self.folder.map_or_else(PathBuf::new, |folder| folder.path().to_path_buf());
        Ok(Run { folder, end, progress: trainer.progress().clone(), evaluation, profile })
    }

    /// Writes the files that a run leaves behind.
    async fn conclude(
        &mut self,
        trainer: &mut Trainer<'_>,
        network: &Network,
        evaluation: Option<&Evaluation>,
        end: RunEnd,
    ) -> Result<()> {
        let Some(folder) = &mut self.folder else { return Ok(()) };
        if let Some(evaluation) = evaluation {
            folder.write_confusion(evaluation).map_err(|error| folder.explain(error))?;
        }
        if end == RunEnd::Interrupted {
            let checkpoint = trainer.checkpoint().await?;
            folder.write_weights(network, checkpoint.state.model())?;
            return folder.write_checkpoint(&checkpoint);
        }
        folder.prune_checkpoints().map_err(|error| folder.explain(error))?;
        match end {
            RunEnd::StoppedEarly(lowest) => folder.record_early_stop(trainer.progress().epochs, lowest),
            _ => Ok(()),
        }
    }

    /// Adds to an error how the run can be resumed.
    fn explain(&self, error: Error) -> Error {
        match &self.folder {
            Some(folder) => folder.explain(error),
            None => error,
        }
    }

    /// Trains epoch by epoch, and tries remaining kernels between epochs. Returns the last evaluation.
    async fn epochs(
        &mut self,
        trainer: &mut Trainer<'_>,
        network: &Network,
        reporter: &mut Reporter<'_, '_>,
    ) -> Result<Option<Evaluation>> {
        let mut evaluation = None;
        if trainer.agree(reporter.flow())?.is_break() {
            return Ok(evaluation);
        }
        let batch_size = trainer.options().batch_size;
        loop {
            let mut done: Option<EpochReport> = None;
            let pauses = self.untried.is_some();
            let outcome = trainer
                .run(&mut |event| {
                    self.hear(&event, network, batch_size, reporter)?;
                    if let Event::Epoch(report, _) = event {
                        done = Some(report.clone());
                    }
                    let pauses = pauses && done.is_some();
                    Ok(if pauses { ControlFlow::Break(()) } else { reporter.flow() })
                })
                .await?;
            evaluation = outcome.evaluation.or(evaluation);
            // Another rank may have ended the run.
            let is_pause = pauses && done.is_some();
            let goes_on = !trainer.is_finished() && !reporter.wants_end && is_pause;
            if let Some(report) = done.filter(|_| pauses) {
                self.between_epochs(&report, goes_on, reporter).await?;
            }
            if !goes_on {
                break;
            }
        }
        Ok(evaluation)
    }

    /// Writes an event to the files, and reports it to the observer.
    fn hear(
        &mut self,
        event: &Event<'_>,
        network: &Network,
        batch_size: usize,
        reporter: &mut Reporter<'_, '_>,
    ) -> Result<()> {
        match event {
            Event::Steps(report) => {
                let seconds = (report.done * batch_size) as f64 / report.images_per_second;
                if seconds >= SETTLED_SECONDS {
                    self.compare_with_cpu(report.images_per_second, reporter)?;
                }
                for line in metrics::step_lines(report, self.log_every) {
                    self.write_metric(&line, reporter)?;
                }
                reporter.tell(RunEvent::Steps(report))
            }
            Event::Epoch(report, weights) => {
                self.write_metric(&metrics::epoch_line(report), reporter)?;
                if let Some(folder) = &self.folder {
                    folder.write_weights(network, weights)?;
                }
                reporter.tell(RunEvent::Epoch(report))?;
                self.compare_with_cpu(report.images_per_second, reporter)
            }
            Event::Checkpoint(checkpoint) => match &mut self.folder {
                Some(folder) => folder.write_checkpoint(checkpoint),
                None => Ok(()),
            },
            Event::Recovery(recovery) => reporter.tell(RunEvent::Recovered(recovery)),
        }
    }

    /// Appends a line to `metrics.jsonl`, and reports it.
    fn write_metric(&mut self, line: &str, reporter: &mut Reporter<'_, '_>) -> Result<()> {
        if let Some(folder) = &mut self.folder {
            folder.write_metric(line)?;
        }
        reporter.tell(RunEvent::Metric(line))
    }

    /// Reports once how the speed of the shaders compares with that of the CPU engine.
    fn compare_with_cpu(&mut self, shaders: f64, reporter: &mut Reporter<'_, '_>) -> Result<()> {
        match self.cpu_speed.take() {
            Some(cpu) => reporter.tell(RunEvent::CpuSpeed { cpu, shaders }),
            None => Ok(()),
        }
    }

    /// Tries kernels for the next run, if the training continues.
    async fn between_epochs(
        &mut self,
        epoch: &EpochReport,
        goes_on: bool,
        reporter: &mut Reporter<'_, '_>,
    ) -> Result<()> {
        if let Some(untried) = self.untried.as_mut().filter(|_| goes_on) {
            for remark in untried.go_on(Duration::from_secs_f64(epoch.seconds)).await {
                match remark {
                    Remark::Note(text) => reporter.note(&text)?,
                    Remark::Warning(text) => reporter.warn(&text)?,
                }
            }
        }
        Ok(())
    }

    /// Measures the cost of each dispatch of a step, and adds the result to `metrics.jsonl`.
    async fn profile(
        &mut self,
        trainer: &mut Trainer<'_>,
        reporter: &mut Reporter<'_, '_>,
    ) -> Result<(Profile, Option<Ceilings>)> {
        let profile = trainer.profile().await?;
        let ceilings = Ceilings::of(trainer.device()).await?;
        let line = metrics::profile_line(profile.json(ceilings.as_ref()));
        self.write_metric(&line, reporter)?;
        Ok((profile, ceilings))
    }
}

/// Images per second with the CPU engine if the shaders run on a software driver; `None` on a real GPU, or if the speed
/// is not wanted or could not be measured.
pub(super) fn cpu_speed(options: &RunOptions, device: &Device, network: &Network, data: &DataPair) -> Option<f64> {
    device.gpu().filter(|gpu| options.compare_with_cpu && gpu.is_software())?;
    let speed = measure_cpu_speed(options.cache.as_deref(), network, &options.training, data).ok()??;
    Some(speed.images_per_second)
}
