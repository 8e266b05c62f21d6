//! [`Mpi`]: ranks started by an MPI launcher, which exchange messages through the MPI library of the machine.

use super::{Collective, OnNode};
use crate::error::{Error, Result};
use ::mpi::Threading;
use ::mpi::datatype::{Partition, PartitionMut};
use ::mpi::environment::Universe;
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::*;
use std::cell::RefCell;
use std::ops::Range;

/// The processes that `mpirun`, `mpiexec` or `srun` has started together.
pub struct Mpi {
    world: SimpleCommunicator,
    rank: usize,
    ranks: usize,
    on_node: OnNode,
    /// What other ranks have sent of this rank's part of a sum; kept, because a sum is needed in every step.
    received: RefCell<Vec<f32>>,
    // Dropped last, which ends MPI.
    _universe: Universe,
}

impl Mpi {
    /// Connects to the other ranks. To be called once, on the thread that makes all other calls.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if MPI was started before, or supports no threads beside the one that calls it.
    pub fn start() -> Result<Mpi> {
        let started = ::mpi::initialize_with_threading(Threading::Funneled);
        let (universe, threading) = started.ok_or_else(|| Error::Run("MPI was started twice".into()))?;
        if threading < Threading::Funneled {
            return Err(Error::Run(
                "this MPI library supports no threads beside the one that calls it (MPI_THREAD_FUNNELED); use one \
                 that was built with threads"
                    .into(),
            ));
        }
        let world = universe.world();
        let (rank, ranks) = (world.rank() as usize, world.size() as usize);
        let node = world.split_shared(world.rank());
        let on_node = OnNode { rank: node.rank() as usize, ranks: node.size() as usize };
        Ok(Mpi { world, rank, ranks, on_node, received: RefCell::default(), _universe: universe })
    }

    /// Ends all ranks at once, with exit status 1: for an error that the other ranks do not know of, and would wait
    /// for this rank forever.
    pub fn abort(&self) -> ! {
        self.world.abort(1)
    }

    /// Name and version of the MPI library, in one line: `Open MPI v4.1.4`.
    pub fn library() -> String {
        let text = ::mpi::environment::library_version().unwrap_or_default();
        text.split([',', '\n', '\0']).next().unwrap_or_default().trim().to_string()
    }

    /// The part of a sum of `len` values that a rank adds up.
    fn part(&self, len: usize, rank: usize) -> Range<usize> {
        let chunk = len.div_ceil(self.ranks);
        (rank * chunk).min(len)..((rank + 1) * chunk).min(len)
    }
}

impl Drop for Mpi {
    /// After a panic the other ranks wait for this one, which must not wait for them.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort()
        }
    }
}

/// A length as MPI counts it.
fn count(len: usize) -> Result<i32> {
    i32::try_from(len).map_err(|_| Error::Run(format!("{len} values are too many for one MPI message")))
}

/// Where each of these lengths begins, if they follow each other.
fn starts(lengths: &[i32]) -> Result<Vec<i32>> {
    let mut at = 0i32;
    let start = |length: &i32| {
        let start = at;
        at = at
            .checked_add(*length)
            .ok_or_else(|| Error::Run("the messages of all ranks are too long for MPI".into()))?;
        Ok(start)
    };
    lengths.iter().map(start).collect()
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn on_node(&self) -> OnNode {
        self.on_node
    }

    fn gather(&self, own: &[u8]) -> Result<Vec<Vec<u8>>> {
        // The address of an empty vector is 1, which Open MPI takes for `MPI_IN_PLACE`.
        let nothing = [0];
        let own = if own.is_empty() { &nothing[..0] } else { own };
        let mut lengths = vec![0i32; self.ranks];
        self.world.all_gather_into(&count(own.len())?, &mut lengths[..]);
        let starts = starts(&lengths)?;
        let total: usize = lengths.iter().map(|length| *length as usize).sum();
        let mut all = vec![0u8; total.max(1)];
        self.world.all_gather_varcount_into(own, &mut PartitionMut::new(&mut all[..total], &lengths[..], &starts[..]));
        let part = |(start, length): (&i32, &i32)| all[*start as usize..(*start + *length) as usize].to_vec();
        Ok(starts.iter().zip(&lengths).map(part).collect())
    }

    /// Each rank adds up its own part of the values, in the order of the ranks, and sends the result to the others.
    /// This moves as much data as a ring all-reduce, whose order MPI does not promise.
    fn sum(&self, values: &mut [f32]) -> Result<()> {
        let parts: Vec<Range<usize>> = (0..self.ranks).map(|rank| self.part(values.len(), rank)).collect();
        let lengths = parts.iter().map(|part| count(part.len())).collect::<Result<Vec<_>>>()?;
        let begins = starts(&lengths)?;
        let own = parts[self.rank].clone();
        let received_lengths = vec![count(own.len())?; self.ranks];
        let received_begins = starts(&received_lengths)?;
        let mut received = self.received.borrow_mut();
        received.resize(own.len() * self.ranks, 0.0);
        self.world.all_to_all_varcount_into(
            &Partition::new(&*values, &lengths[..], &begins[..]),
            &mut PartitionMut::new(&mut received[..], &received_lengths[..], &received_begins[..]),
        );
        let (sum, others) = received.split_at_mut(own.len());
        for other in others.chunks_exact(own.len().max(1)) {
            sum.iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
        }
        self.world.all_gather_varcount_into(&*sum, &mut PartitionMut::new(values, &lengths[..], &begins[..]));
        Ok(())
    }

    fn broadcast(&self, values: &mut [f32]) -> Result<()> {
        self.world.process_at_rank(0).broadcast_into(values);
        Ok(())
    }
}
