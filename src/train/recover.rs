//! Recovery from a lost device (reset, suspended, driver updated, out of memory): it is reopened, and the run continues
//! from its last checkpoint with less work in each submit.

use super::{Event, Observer, Recovery, Trainer, put};
use crate::error::{Error, Result};
use std::ops::ControlFlow;
use std::time::Duration;

/// How often a run may reopen its device.
const MOST: usize = 3;

/// Pause before another attempt to open a device: its driver may be starting.
const PAUSE: Duration = Duration::from_secs(1);

impl Trainer<'_> {
    /// Reopens the device and returns to the last checkpoint. Fails if that has happened too often.
    pub(super) async fn recover(
        &mut self,
        mut problem: String,
        observer: &mut Observer<'_>,
    ) -> Result<ControlFlow<()>> {
        loop {
            if self.recoveries == MOST {
                return Err(Error::DeviceLost(format!(
                    "{problem}\nthe device was already reopened {MOST} times in this run"
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
