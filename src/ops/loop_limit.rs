//! The limit on loop iterations per invocation.

use crate::error::{Error, Result};

/// Largest number of iterations that llvmpipe allows for all loops of an invocation together; after that it silently
/// leaves the loops. Every iteration of every nested loop counts, as do those of loops with constant bounds that are
/// not unrolled.
pub(super) const MOST_ITERATIONS: usize = 65_535;

/// Checks that a kernel stays within the limit. Networks for images come nowhere near it, so it applies to all devices.
///
/// # Errors
///
/// [`Error::Network`]; its message says that `what` would take too many iterations and suggests `remedy`.
pub(super) fn check_iterations(iterations: usize, what: &str, remedy: &str) -> Result<()> {
    if iterations <= MOST_ITERATIONS {
        return Ok(());
    }
    Err(Error::Network(format!(
        "{what} would take {iterations} loop iterations on the device, but drivers may stop after {MOST_ITERATIONS}; \
         use {remedy}"
    )))
}
