//! The one limit of loops: what a driver gives an invocation.

use crate::error::{Error, Result};

/// What llvmpipe gives all loops of an invocation together; then it leaves them, and says nothing. Nested loops count
/// each turn of each, and loops of constant trips that it has not unrolled count too.
pub(super) const MOST_TURNS: usize = 65_535;

/// Refuses a kernel that would need more turns than a driver gives, because `what` is too large; `remedy` says what to use
/// instead. Nothing that a network for images wants comes near, so it is refused on every device.
pub(super) fn check_turns(turns: usize, what: &str, remedy: &str) -> Result<()> {
    if turns <= MOST_TURNS {
        return Ok(());
    }
    Err(Error::Network(format!(
        "{what} would take {turns} turns of a loop on the device, and drivers may end it after {MOST_TURNS}; use {remedy}"
    )))
}
