//! Memory that may not be to be had. Large amounts are asked for here, so that the answer is an error which says how much
//! was needed; everywhere else a failed allocation ends the program.

use crate::error::{Error, Result};
use bytemuck::Zeroable;

/// Bytes that are left over for everything small when an amount is said to be there.
const SPARE: u64 = 8 << 20;

/// So many zeros. Large amounts are not touched before they are written to.
///
/// # Errors
///
/// [`Error::Memory`] when they cannot be had; `what` says in it what they were for.
pub(crate) fn zeros<T: Zeroable>(len: usize, what: &str) -> Result<Vec<T>> {
    bytemuck::allocation::try_zeroed_vec(len).map_err(|()| lacking(bytes_of::<T>(len), what))
}

/// A copy of some values.
///
/// # Errors
///
/// [`Error::Memory`] when the memory cannot be had; `what` says in it what it was for.
pub(crate) fn copied<T: Copy>(values: &[T], what: &str) -> Result<Vec<T>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(values.len()).map_err(|_| lacking(bytes_of::<T>(values.len()), what))?;
    copy.extend_from_slice(values);
    Ok(copy)
}

/// Whether so many bytes could be had now, for what is about to be allocated by code that would end the program if they
/// could not.
///
/// # Errors
///
/// [`Error::Memory`] when they cannot be had; `what` says in it what they are for.
pub fn check_room(bytes: u64, what: &str) -> Result<()> {
    let amount = usize::try_from(bytes.saturating_add(SPARE)).ok();
    let mut room = Vec::<u8>::new();
    match amount.map(|amount| room.try_reserve_exact(amount)) {
        Some(Ok(())) => {
            // What is never used might else not be asked for at all.
            std::hint::black_box(&mut room);
            Ok(())
        }
        _ => Err(lacking(bytes, what)),
    }
}

/// The error of memory that cannot be had.
pub(crate) fn lacking(bytes: u64, what: &str) -> Error {
    Error::Memory(format!(
        "not enough memory: {bytes} bytes ({}) are needed for {what}, and the system does not give them",
        crate::table::bytes(bytes)
    ))
}

/// Bytes of so many elements.
pub(crate) fn bytes_of<T>(len: usize) -> u64 {
    (len as u64).saturating_mul(size_of::<T>() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_said_in_bytes() {
        assert_eq!(zeros::<f32>(3, "three").unwrap(), [0.0; 3]);
        check_room(1 << 20, "a MiB").unwrap();
        // More than any address space has.
        let expected = "not enough memory: 4611686018427387904 bytes (4294967296.00 GiB) are needed for dense1.w, and the \
                        system does not give them";
        assert_eq!(zeros::<f32>(1 << 60, "dense1.w").unwrap_err().to_string(), expected);
        assert_eq!(check_room(1 << 62, "dense1.w").unwrap_err().to_string(), expected);
        assert!(matches!(check_room(u64::MAX, "all"), Err(Error::Memory(_))));
        assert!(matches!(zeros::<u64>(usize::MAX, "all"), Err(Error::Memory(_))));
    }
}
