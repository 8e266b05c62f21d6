//! Fallible allocation. Large amounts of memory are allocated here, so that a failure is an error that says how much
//! was needed; everywhere else a failed allocation aborts the program.

use crate::error::{Error, Result};
use bytemuck::Zeroable;

/// Bytes that must remain free for small allocations when [`check_room`] succeeds.
const SPARE: u64 = 8 << 20;

/// `len` zeros. The pages of a large vector are not touched until they are written to.
///
/// # Errors
///
/// [`Error::Memory`] when the allocation fails; its message says that the memory was needed for `what`.
pub(crate) fn zeros<T: Zeroable>(len: usize, what: &str) -> Result<Vec<T>> {
    bytemuck::allocation::try_zeroed_vec(len).map_err(|()| lacking(bytes_of::<T>(len), what))
}

/// A copy of `values`.
///
/// # Errors
///
/// [`Error::Memory`] when the allocation fails; its message says that the memory was needed for `what`.
pub(crate) fn copied<T: Copy>(values: &[T], what: &str) -> Result<Vec<T>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(values.len()).map_err(|_| lacking(bytes_of::<T>(values.len()), what))?;
    copy.extend_from_slice(values);
    Ok(copy)
}

/// Checks that `bytes` bytes could be allocated now, ahead of code that would abort the program if they could not.
///
/// # Errors
///
/// [`Error::Memory`] when they could not; its message says that the memory is needed for `what`.
pub fn check_room(bytes: u64, what: &str) -> Result<()> {
    let amount = usize::try_from(bytes.saturating_add(SPARE)).ok();
    let mut room = Vec::<u8>::new();
    match amount.map(|amount| room.try_reserve_exact(amount)) {
        Some(Ok(())) => {
            // Keeps the optimizer from removing an allocation that is never used.
            std::hint::black_box(&mut room);
            Ok(())
        }
        _ => Err(lacking(bytes, what)),
    }
}

/// The error of a failed allocation of `bytes` bytes for `what`.
pub(crate) fn lacking(bytes: u64, what: &str) -> Error {
    Error::Memory(format!(
        "not enough memory: {bytes} bytes ({}) are needed for {what}, but the system could not provide them",
        crate::table::bytes(bytes)
    ))
}

/// Size in bytes of `len` elements of type `T`.
pub(crate) fn bytes_of<T>(len: usize) -> u64 {
    (len as u64).saturating_mul(size_of::<T>() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_allocation_is_reported_in_bytes() {
        assert_eq!(zeros::<f32>(3, "three").unwrap(), [0.0; 3]);
        check_room(1 << 20, "a MiB").unwrap();
        // Larger than any address space.
        let expected = "not enough memory: 4611686018427387904 bytes (4294967296.00 GiB) are needed for dense1.w, but the \
                        system could not provide them";
        assert_eq!(zeros::<f32>(1 << 60, "dense1.w").unwrap_err().to_string(), expected);
        assert_eq!(check_room(1 << 62, "dense1.w").unwrap_err().to_string(), expected);
        assert!(matches!(check_room(u64::MAX, "all"), Err(Error::Memory(_))));
        assert!(matches!(zeros::<u64>(usize::MAX, "all"), Err(Error::Memory(_))));
    }
}
