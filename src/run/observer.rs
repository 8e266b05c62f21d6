//! What a run tells while it goes on.

use super::TuningEvent;
use crate::data::DataPair;
use crate::error::Result;
use crate::machine::Device;
use crate::network::Network;
use crate::train::{EpochReport, Recovery, StepsReport, TrainOptions};
use std::ops::ControlFlow;
use std::path::Path;

/// Something that happens in a run, in this order.
#[non_exhaustive]
pub enum RunEvent<'a> {
    /// The device is open.
    Opened(&'a Device),
    /// Network and data have been read.
    Loaded {
        /// What is trained.
        network: &'a Network,
        /// What it is trained on and evaluated with.
        data: &'a DataPair,
    },
    /// Something that is good to know.
    Note(&'a str),
    /// Something that is wrong, though the run goes on: files that were damaged, a kernel that was refused.
    Warning(&'a str),
    /// Why the weights of a run that goes on may differ in some bits from those of a run without the interruption.
    BitsMayDiffer(&'a str),
    /// On a software driver, once: how fast the CPU engine and the shaders train this network on this machine.
    CpuSpeed {
        /// Images per second of the CPU engine.
        cpu: f64,
        /// Images per second of the shaders.
        shaders: f64,
    },
    /// Kernels are tried before the first step.
    Tuning(TuningEvent<'a>),
    /// A run goes on.
    Resumed {
        /// Steps that are done.
        step: usize,
        /// The file that it goes on from.
        checkpoint: &'a Path,
    },
    /// The first step comes next.
    Started {
        /// The folder of the run.
        folder: &'a Path,
        /// How it is trained.
        options: &'a TrainOptions,
    },
    /// Some steps are done.
    Steps(&'a StepsReport<'a>),
    /// A line that was written to `metrics.jsonl`.
    Metric(&'a str),
    /// An epoch is done and evaluated, and its weights are written.
    Epoch(&'a EpochReport),
    /// The device was lost and opened anew.
    Recovered(&'a Recovery<'a>),
}

/// Who hears what a run does. It ends the run by [`ControlFlow::Break`] or by an error.
pub type RunObserver<'o> = dyn FnMut(RunEvent<'_>) -> Result<ControlFlow<()>> + 'o;

/// Tells an observer, and remembers whether it wants the run to end.
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

    /// What is wrong with the observer shows at the next event that can fail.
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
