//! Events that a run reports while it trains.

use super::TuningEvent;
use crate::data::DataPair;
use crate::error::Result;
use crate::machine::Device;
use crate::network::Network;
use crate::train::{EpochReport, Recovery, StepsReport, TrainOptions};
use std::ops::ControlFlow;
use std::path::Path;

/// An event of a run. The variants are roughly in order of occurrence.
#[non_exhaustive]
pub enum RunEvent<'a> {
    /// The device was opened.
    Opened(&'a Device),
    /// Descriptions of the devices of all ranks, if there are several.
    Ranks(&'a [String]),
    /// The network and the data were loaded.
    Loaded {
        /// The network to be trained.
        network: &'a Network,
        /// The data to train on and to evaluate with.
        data: &'a DataPair,
    },
    /// Information for the user.
    Note(&'a str),
    /// A problem that does not end the run: damaged files, a rejected kernel.
    Warning(&'a str),
    /// Why the weights of a resumed run may differ in some bits from those of an uninterrupted run.
    BitsMayDiffer(&'a str),
    /// On a software driver, once: the training speeds of the CPU engine and of the shaders for this network on this
    /// machine.
    CpuSpeed {
        /// Images per second with the CPU engine.
        cpu: f64,
        /// Images per second with the shaders.
        shaders: f64,
    },
    /// Progress in trying kernels before the first step.
    Tuning(TuningEvent<'a>),
    /// A run was resumed.
    Resumed {
        /// Number of steps done so far.
        step: usize,
        /// The checkpoint file that the run was resumed from.
        checkpoint: &'a Path,
    },
    /// The first step follows.
    Started {
        /// The folder of the run.
        folder: &'a Path,
        /// The training options.
        options: &'a TrainOptions,
    },
    /// Some steps were done.
    Steps(&'a StepsReport<'a>),
    /// A line was written to `metrics.jsonl`.
    Metric(&'a str),
    /// An epoch was finished and evaluated, and its weights were written.
    Epoch(&'a EpochReport),
    /// The device was lost and reopened.
    Recovered(&'a Recovery<'a>),
}

/// Receives the events of a run. It ends the run by returning [`ControlFlow::Break`] or an error.
pub type RunObserver<'o> = dyn FnMut(RunEvent<'_>) -> Result<ControlFlow<()>> + 'o;

/// Passes events to an observer, and remembers whether it wants the run to end.
pub(super) struct Reporter<'o, 'f> {
    observer: &'o mut RunObserver<'f>,
    pub wants_end: bool,
}

impl<'o, 'f> Reporter<'o, 'f> {
    pub fn new(observer: &'o mut RunObserver<'f>) -> Self {
        Reporter { observer, wants_end: false }
    }

    pub fn tell(&mut self, event: RunEvent<'_>) -> Result<()> {
        self.wants_end |= (self.observer)(event)?.is_break();
        Ok(())
    }

    pub fn note(&mut self, text: &str) -> Result<()> {
        self.tell(RunEvent::Note(text))
    }

    pub fn warn(&mut self, text: &str) -> Result<()> {
        self.tell(RunEvent::Warning(text))
    }

    /// Reports a tuning event. An error of the observer is ignored here; it shows at the next event that can fail.
    pub fn tuning(&mut self, event: TuningEvent<'_>) {
        let _ = match event {
            TuningEvent::Warning(text) => self.warn(text),
            event => self.tell(RunEvent::Tuning(event)),
        };
    }

    pub fn flow(&self) -> ControlFlow<()> {
        if self.wants_end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
