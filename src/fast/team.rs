use super::buffer::Buffer;
use super::threads::Threads;
use crate::error::{Error, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The vector instructions that loops are compiled for; which of them a CPU has is found out when the program runs.
#[derive(Clone, Copy, Debug)]
pub struct Instructions(pulp::Arch);

impl Instructions {
    /// The widest that this CPU has.
    pub fn best() -> Instructions {
        Instructions(pulp::Arch::new())
    }

    /// All instructions that this CPU has, from plain to widest.
    pub fn all() -> Vec<Instructions> {
        let mut all = vec![Instructions(pulp::Arch::Scalar)];
        #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
        {
            all.extend(pulp::x86::V3::try_new().map(|simd| Instructions(pulp::Arch::V3(simd))));
            all.extend(pulp::x86::V4::try_new().map(|simd| Instructions(pulp::Arch::V4(simd))));
        }
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        all.push(Instructions::best());
        all
    }

    /// Name of the instructions: `AVX-512`.
    pub fn name(self) -> &'static str {
        match self.0 {
            pulp::Arch::Scalar => "no vector instructions",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            pulp::Arch::V3(_) => "AVX2",
            #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
            pulp::Arch::V4(_) => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            _ => "NEON",
            #[cfg(not(target_arch = "aarch64"))]
            #[allow(unreachable_patterns, reason = "some architectures have no other variant")]
            _ => "vector instructions",
        }
    }

    /// Runs `work` compiled for these instructions; what it calls must be inlined.
    pub(crate) fn run<W: pulp::WithSimd>(self, work: W) -> W::Output {
        self.0.dispatch(work)
    }

    /// Runs a closure by these instructions: see [`vectorized`].
    pub(crate) fn vectorize<T>(self, work: impl FnOnce() -> T) -> T {
        self.0.dispatch(Loops(work))
    }
}

/// Plain loops, which the compiler makes vectors of. The closure is inlined, and taken as `FnOnce` on the way: behind a call
/// of any other kind it would be compiled for the plainest instructions.
macro_rules! vectorized {
    ($team:expr, $work:expr) => {
        $team.instructions.vectorize(
            #[inline(always)]
            || $work,
        )
    };
}
pub(crate) use vectorized;

struct Loops<F>(F);

impl<T, F: FnOnce() -> T> pulp::WithSimd for Loops<F> {
    type Output = T;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> T {
        (self.0)()
    }
}

/// The threads that share a pass, and the memory that they work in.
///
/// Every pass divides its work so that no sum depends on how many threads there are: results have the same bits for any
/// number of them.
pub struct Team {
    threads: Threads,
    pub(crate) instructions: Instructions,
    /// One a thread.
    own: Vec<Mutex<Buffer>>,
    shared: Mutex<Buffer>,
    /// Held by who walks a plan.
    turn: Mutex<()>,
}

impl Team {
    /// Most threads that can be asked for.
    pub const MOST_THREADS: usize = 1024;

    /// A team of so many threads, by default as many as there are cores.
    pub fn new(threads: Option<usize>, instructions: Instructions) -> Result<Team> {
        if let Some(threads) = threads.filter(|threads| !(1..=Team::MOST_THREADS).contains(threads)) {
            return Err(Error::Usage(format!("expected from 1 to {} threads, got {threads}", Team::MOST_THREADS)));
        }
        let threads = Threads::start(threads)?;
        let own = (0..threads.count()).map(|_| Mutex::default()).collect();
        Ok(Team { threads, instructions, own, shared: Mutex::default(), turn: Mutex::default() })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.own.len()
    }

    /// `2 threads, AVX-512`
    pub fn description(&self) -> String {
        let threads = self.threads();
        let s = if threads == 1 { "" } else { "s" };
        format!("{threads} thread{s}, {}", self.instructions.name())
    }

    /// Runs `work` on one of the threads, so that what it does in parallel is done by the others too. Callers wait for each
    /// other: a thread that waits for its part of one walk might else begin another, and wait there for memory that itself
    /// holds.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.threads.run(work)
    }

    /// The calling thread's memory. Nothing parallel may begin while it is held: this thread might be given more of it.
    pub(crate) fn own(&self) -> MutexGuard<'_, Buffer> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        self.own[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory for all threads.
    pub(crate) fn shared(&self) -> MutexGuard<'_, Buffer> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Into how many parts `items` are cut, so that every thread gets some and the last does not wait long: items a
    /// part, at least `least`.
    pub(crate) fn part(&self, items: usize, least: usize) -> usize {
        const PARTS_A_THREAD: usize = 4;
        if self.threads() == 1 {
            return items.max(1);
        }
        items.div_ceil(self.threads() * PARTS_A_THREAD).max(least).max(1)
    }
}
