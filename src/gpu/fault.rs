//! Errors that a device reports outside of the call that caused them, and whether the device is lost.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long to wait for submitted work. The system resets a GPU that hangs within seconds, but a software driver may
/// just be slow.
const PATIENCE: Duration = Duration::from_secs(600);

/// Errors that the device has reported since it was opened.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Reported>>);

#[derive(Default)]
struct Reported {
    /// The first error.
    first: Option<String>,
    /// Why the device can no longer be used, although another could be. Later errors only follow from this one.
    lost: Option<String>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Reported> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an error of the device.
    pub fn report(&self, error: &wgpu::Error) {
        let message = explain(error);
        let mut reported = self.lock();
        if matches!(error, wgpu::Error::OutOfMemory { .. }) {
            reported.lost.get_or_insert(message.clone());
        }
        reported.first.get_or_insert(message);
    }

    /// Records the loss of the device.
    pub fn report_loss(&self, reason: wgpu::DeviceLostReason, message: &str) {
        let message = if message.is_empty() { "no reason given" } else { message };
        self.lock().lost.get_or_insert(format!("the device was lost ({reason:?}: {message})"));
    }

    /// Whether any error has been reported.
    pub fn any(&self) -> bool {
        let reported = self.lock();
        reported.first.is_some() || reported.lost.is_some()
    }

    /// Returns the error that was reported, if any. `during` names the activity in its message.
    pub fn check(&self, during: &str) -> Result<()> {
        let reported = self.lock();
        match (&reported.lost, &reported.first) {
            (Some(lost), _) => Err(Error::DeviceLost(format!("{during}: {lost}"))),
            (None, Some(first)) => Err(Error::Device(format!("{during}: {first}"))),
            (None, None) => Ok(()),
        }
    }
}

/// Waits until all submitted work is done, and runs pending callbacks.
pub(super) fn wait(device: &wgpu::Device, during: &str) -> Result<()> {
    poll(during, || device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(PATIENCE) }))
}

/// Waits until a submission and those before it are done, and runs pending callbacks.
pub(super) fn wait_for(device: &wgpu::Device, submission: wgpu::SubmissionIndex, during: &str) -> Result<()> {
    poll(during, || device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(PATIENCE) }))
}

/// Runs pending callbacks without waiting.
pub(super) fn run_callbacks(device: &wgpu::Device, during: &str) -> Result<()> {
    poll(during, || device.poll(wgpu::PollType::Poll))
}

thread_local! {
    static POLLING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is polling the device. wgpu 30 panics if it finds the device lost while polling. The
/// panic is caught and becomes an [`Error::DeviceLost`], so a panic hook need not report it.
pub fn is_polling() -> bool {
    POLLING.get()
}

fn poll(during: &str, poll: impl FnOnce() -> Result<wgpu::PollStatus, wgpu::PollError>) -> Result<()> {
    POLLING.set(true);
    let polled = catch_unwind(AssertUnwindSafe(poll));
    POLLING.set(false);
    match polled {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(wgpu::PollError::Timeout)) => {
            Err(Error::DeviceLost(format!("{during}: the device has not answered in {} seconds", PATIENCE.as_secs())))
        }
        Ok(Err(error)) => Err(Error::Device(format!("{during}: {error}"))),
        Err(_) => Err(Error::DeviceLost(format!("{during}: the device was lost while waiting for it"))),
    }
}

/// The error with all its causes in one line; wgpu includes the label of the kernel or buffer in them.
fn explain(error: &wgpu::Error) -> String {
    let mut message = match error {
        wgpu::Error::OutOfMemory { .. } => "out of memory".to_string(),
        wgpu::Error::Validation { .. } => "validation error".to_string(),
        wgpu::Error::Internal { .. } => "internal error".to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        message.push_str(": ");
        message.push_str(inner.to_string().trim());
        cause = inner.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_device_is_told_apart_from_other_errors() {
        let lost = |error: Error| matches!(error, Error::DeviceLost(_));
        assert!(poll("waiting", || Ok(wgpu::PollStatus::QueueEmpty)).is_ok());
        assert!(lost(poll("waiting", || Err(wgpu::PollError::Timeout)).unwrap_err()));
        assert!(!lost(poll("waiting", || Err(wgpu::PollError::WrongSubmissionIndex(2, 1))).unwrap_err()));
        // The message of this panic in the output of the test is expected.
        let error = poll("waiting", || panic!("Error in Device::poll: Parent device is lost")).unwrap_err();
        assert_eq!(error.to_string(), "waiting: the device was lost while waiting for it");
        assert!(lost(error) && !is_polling());
    }

    #[test]
    fn a_loss_outweighs_what_follows_from_it() {
        let source = || Box::new(std::fmt::Error);
        let faults = Faults::default();
        assert!(!faults.any());
        faults.check("nothing").unwrap();
        faults.report(&wgpu::Error::Validation { source: source(), description: String::new() });
        assert!(faults.any() && matches!(faults.check("a"), Err(Error::Device(_))));
        faults.report_loss(wgpu::DeviceLostReason::Unknown, "reset");
        let error = faults.check("b").unwrap_err();
        assert!(matches!(error, Error::DeviceLost(_)));
        assert_eq!(error.to_string(), "b: the device was lost (Unknown: reset)");

        let faults = Faults::default();
        faults.report(&wgpu::Error::OutOfMemory { source: source() });
        let error = faults.check("allocating").unwrap_err();
        assert!(matches!(error, Error::DeviceLost(_)) && error.to_string().starts_with("allocating: out of memory"));
    }
}
