//! Ranks: the processes that train one network together, each on a device of its own.
//!
//! A batch is divided among the ranks. Each computes the gradients of its slice, a [`Collective`] adds them up, and
//! each applies the same update ([`crate::train`]). Ranks are numbered from 0; rank 0 writes all files and talks to the
//! user.
//!
//! Sums are added in the order of the ranks, so they have the same bits on every rank and in every run with the same
//! number of ranks.

#[cfg(feature = "mpi")]
mod mpi;

#[cfg(feature = "mpi")]
pub use mpi::Mpi;

use crate::error::{Error, Result};
use crate::text::brief;

/// What ranks exchange. Every rank must call the same functions in the same order; a call returns when all ranks have
/// made it.
///
/// A rank that fails with any error but [`Error::Ranks`] makes no more calls, so the others would wait for it: whoever
/// runs the ranks must end them.
pub trait Collective {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn ranks(&self) -> usize;

    /// The position of this process among those on the same machine.
    fn on_node(&self) -> OnNode;

    /// What every rank gives, in the order of the ranks.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if the ranks cannot be reached, or the data is too large for one message.
    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>>;

    /// Replaces `values` by their sum over all ranks, added in the order of the ranks. `values` must have the same
    /// length on every rank.
    ///
    /// # Errors
    ///
    /// Those of [`Collective::gather`].
    fn sum(&self, values: &mut [f32]) -> Result<()> {
        let all = self.gather(bytemuck::cast_slice(values))?;
        add_in_order(all.iter().map(Vec::as_slice), values)
    }

    /// Replaces `values` by those of rank 0. `values` must have the same length on every rank.
    ///
    /// # Errors
    ///
    /// Those of [`Collective::gather`].
    fn broadcast(&self, values: &mut [f32]) -> Result<()> {
        let own = if self.rank() == 0 { bytemuck::cast_slice(values) } else { &[] };
        let all = self.gather(own)?;
        add_in_order(all.iter().take(1).map(Vec::as_slice), values)
    }
}

/// The position of a process among those on the same machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnNode {
    /// Its number among them, from 0.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
}

/// A single process, with nobody to exchange anything with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Collective for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn ranks(&self) -> usize {
        1
    }

    fn on_node(&self) -> OnNode {
        OnNode { rank: 0, ranks: 1 }
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![own.to_vec()])
    }

    fn sum(&self, _: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn broadcast(&self, _: &mut [f32]) -> Result<()> {
        Ok(())
    }
}

impl dyn Collective + '_ {
    /// Whether there is no other process.
    pub fn is_alone(&self) -> bool {
        self.ranks() == 1
    }

    /// Whether this is rank 0, which writes all files and talks to the user.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// Whether a condition holds on at least one rank.
    ///
    /// # Errors
    ///
    /// Those of [`Collective::gather`].
    pub fn any(&self, own: bool) -> Result<bool> {
        if self.is_alone() {
            return Ok(own);
        }
        Ok(self.gather(&[u8::from(own)])?.concat().contains(&1))
    }

    /// A number that rank 0 decides.
    ///
    /// # Errors
    ///
    /// Those of [`Collective::gather`].
    pub fn of_first(&self, own: usize) -> Result<usize> {
        if self.is_alone() {
            return Ok(own);
        }
        let all = self.gather(&(own as u64).to_le_bytes())?;
        let first = all.first().and_then(|bytes| bytes.as_slice().try_into().ok()).map(u64::from_le_bytes);
        first.map(|number| number as usize).ok_or_else(out_of_step)
    }

    /// Bytes that rank 0 gives; those of the other ranks are ignored.
    ///
    /// # Errors
    ///
    /// Those of [`Collective::gather`].
    pub fn from_first(&self, own: &[u8]) -> Result<Vec<u8>> {
        let mut all = self.gather(if self.leads() { own } else { &[] })?;
        if all.is_empty() { Err(out_of_step()) } else { Ok(all.swap_remove(0)) }
    }

    /// The result of a step that each rank takes for itself: if it failed on one, it has failed on all.
    ///
    /// # Errors
    ///
    /// [`Error::Ranks`] on every rank. It names the first rank that failed, unless that is rank 0 or all ranks failed
    /// alike.
    pub fn together<T>(&self, own: Result<T>) -> Result<T> {
        if self.is_alone() {
            return own;
        }
        let problem = own.as_ref().err().map(ToString::to_string);
        // The byte in front tells an empty message from success.
        let message = problem.map_or_else(Vec::new, |problem| [b"!", problem.as_bytes()].concat());
        let all = self.gather(&message)?;
        let Some(rank) = all.iter().position(|message| !message.is_empty()) else { return own };
        let text = String::from_utf8_lossy(&all[rank][1..]);
        let is_of_all = rank == 0 || all.iter().all(|message| *message == all[rank]);
        Err(match own {
            Err(error) if is_of_all => Error::Ranks(Box::new(error)),
            _ if is_of_all => Error::of_all_ranks(text),
            _ => Error::of_all_ranks(format!("rank {rank}: {text}")),
        })
    }

    /// Fails unless every rank has the same value: `what` names it, and the error the first rank that differs, with the
    /// first line that does.
    ///
    /// # Errors
    ///
    /// [`Error::Ranks`] on every rank.
    pub fn check_same(&self, what: &str, own: &str, remedy: &str) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let all = self.gather(own.as_bytes())?;
        let Some(rank) = all.iter().position(|other| *other != all[0]) else { return Ok(()) };
        let [first, other] = [0, rank].map(|rank| String::from_utf8_lossy(&all[rank]));
        let (mut first, mut other) = (first.lines(), other.lines());
        let line = |line: Option<&str>| line.map_or("nothing".to_string(), |line| format!("`{}`", brief(line.trim())));
        let (expected, got) = loop {
            match (first.next(), other.next()) {
                (Some(one), Some(same)) if one == same => {}
                (one, differs) => break (line(one), line(differs)),
            }
        };
        Err(Error::of_all_ranks(format!(
            "rank {rank} has another {what} than rank 0: expected {expected}, got {got}; {remedy}"
        )))
    }
}

/// Replaces `sum` by the sum of parts, added from the first to the last.
fn add_in_order<'p>(parts: impl Iterator<Item = &'p [u8]>, sum: &mut [f32]) -> Result<()> {
    for (index, part) in parts.enumerate() {
        if part.len() != size_of_val(sum) {
            return Err(out_of_step());
        }
        for (sum, value) in sum.iter_mut().zip(bytemuck::pod_collect_to_vec::<u8, f32>(part)) {
            *sum = if index == 0 { value } else { *sum + value };
        }
    }
    Ok(())
}

fn out_of_step() -> Error {
    Error::Run("the ranks are out of step: another rank has sent something else; do all run the same program?".into())
}

/// What a launcher such as `mpirun` or `srun` says about this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The number of this process, from 0.
    pub rank: usize,
    /// The number of processes that were started together.
    pub ranks: usize,
}

/// Names of the environment variables in which launchers say the number of a process and how many there are: Open MPI,
/// MPICH and Intel MPI (and Slurm with PMI-2), MVAPICH, and Slurm with any other kind of PMI.
const LAUNCHERS: [[&str; 2]; 4] = [
    ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
    ["PMI_RANK", "PMI_SIZE"],
    ["MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"],
    ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"],
];

/// What the launcher says, given a way to read environment variables; `None` for a program that was started alone.
pub fn launched(read: impl Fn(&str) -> Option<String>) -> Option<Launched> {
    let number = |name: &str| read(name)?.trim().parse().ok();
    let said = |[rank, ranks]: [&str; 2]| Some(Launched { rank: number(rank)?, ranks: number(ranks)? });
    LAUNCHERS.into_iter().filter_map(said).find(|launched| launched.rank < launched.ranks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_recognized() {
        let with = |set: &'static [(&str, &str)]| {
            launched(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string()))
        };
        assert_eq!(with(&[]), None);
        let third = Some(Launched { rank: 2, ranks: 4 });
        assert_eq!(with(&[("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "4")]), third);
        assert_eq!(with(&[("PMI_RANK", "2"), ("PMI_SIZE", "4")]), third);
        assert_eq!(with(&[("SLURM_PROCID", "2"), ("SLURM_STEP_NUM_TASKS", "4")]), third);
        // A batch script of Slurm, in which nothing was started by srun.
        assert_eq!(with(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")]), None);
        assert_eq!(with(&[("PMI_RANK", "x"), ("PMI_SIZE", "4")]), None);
        assert_eq!(with(&[("PMI_RANK", "4"), ("PMI_SIZE", "4")]), None);
        let both = [("PMI_RANK", ""), ("PMI_SIZE", ""), ("SLURM_PROCID", "2"), ("SLURM_STEP_NUM_TASKS", "4")];
        assert_eq!(launched(|name| both.iter().find(|(known, _)| *known == name).map(|(_, v)| v.to_string())), third);
    }

    #[test]
    fn sums_are_added_in_order() {
        let parts = [[1e8f32, 1.0], [-1e8, 2.0], [0.25, 3.0]];
        let mut sum = [9.0f32; 2];
        add_in_order(parts.iter().map(|part| bytemuck::cast_slice(part)), &mut sum).unwrap();
        assert_eq!(sum, [0.25, 6.0]);
        let short: &[u8] = &[0; 4];
        assert!(add_in_order([short].into_iter(), &mut sum).is_err());
    }

    #[test]
    fn one_process_agrees_with_itself() {
        let alone: &dyn Collective = &Alone;
        let mut values = [1.5f32, -2.0];
        alone.sum(&mut values).unwrap();
        alone.broadcast(&mut values).unwrap();
        assert_eq!(values, [1.5, -2.0]);
        assert!(alone.is_alone() && alone.leads() && alone.any(true).unwrap() && !alone.any(false).unwrap());
        assert_eq!((alone.of_first(7).unwrap(), alone.from_first(b"x").unwrap()), (7, b"x".to_vec()));
        let error = alone.together::<()>(Err(Error::NotFinite("a loss".into()))).unwrap_err();
        assert!(matches!(error, Error::NotFinite(_)), "the error keeps its kind");
    }
}
