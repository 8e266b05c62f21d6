//! A device that was lost (reset, put to sleep, given a new driver, out of memory) is opened anew, and the run goes on from
//! its last checkpoint, with less work in each submit.

use super::{Event, Observer, Recovery, Trainer, put};
use crate::error::{Error, Result};
use std::ops::ControlFlow;
use std::time::Duration;

/// How often a run may open its device anew.
const MOST: usize = 3;

/// Before a device is tried again that could not be opened: a driver may be starting.
const PAUSE: Duration = Duration::from_secs(1);

impl Trainer<'_> {
    /// Opens the device anew and goes back to the last checkpoint. Fails if that was done too often.
    pub(super) async fn recover(
        &mut self,
        mut problem: String,
        observer: &mut Observer<'_>,
    ) -> Result<ControlFlow<()>> {
        loop {
            if self.recoveries == MOST {
                return Err(Error::DeviceLost(format!(
                    "{problem}\nthe device was opened anew {MOST} times in this run"
                )));
            }
            self.recoveries += 1;
            self.most_steps = (self.run_length / 2).max(1);
            self.run_length = self.most_steps;
            match self.rebuild().await {
                Ok(()) => break,
                Err(Error::DeviceLost(again)) => problem = again,
                Err(other) => return Err(other),
            }
            if cfg!(not(target_arch = "wasm32")) {
                std::thread::sleep(PAUSE);
            }
        }
        observer(Event::Recovery(Recovery {
            problem: &problem,
            times: self.recoveries,
            step: self.progress.step,
            most_steps: self.most_steps,
            device: &self.device,
        }))
    }

    async fn rebuild(&mut self) -> Result<()> {
        self.device = self.device.reopen().await?;
        (self.machine, self.scores) = put(&self.device, &self.saved, self.data)?;
        self.saved.device = self.device.identity();
        self.go_back()
    }
}
