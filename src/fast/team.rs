use super::buffer::Buffer;
use super::threads::Threads;
use crate::error::{Error, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A set of vector instructions that loops are compiled for; whether the CPU has them is detected at run time.
#[derive(Clone, Copy, Debug)]
pub struct Instructions(pulp::Arch);

impl Instructions {
    /// The widest instructions that this CPU has.
    pub fn best() -> Instructions {
        Instructions(pulp::Arch::new())
    }

    /// All sets of instructions that this CPU has, from scalar to the widest.
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

    /// Runs `work` compiled for these instructions; every function that it calls must be inlined.
    pub(crate) fn run<W: pulp::WithSimd>(self, work: W) -> W::Output {
        self.0.dispatch(work)
    }

    /// Runs a closure compiled for these instructions: see [`vectorized`].
    pub(crate) fn vectorize<T>(self, work: impl FnOnce() -> T) -> T {
        self.0.dispatch(Loops(work))
    }
}

/// Runs plain loops that the compiler vectorizes for the instructions of a team. The work must be an inlined closure,
/// passed as `FnOnce`: behind any other call it would be compiled for the baseline instructions only.
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

/// Number of cores of this machine, as far as it is known.
fn cores() -> Option<usize> {
    #[cfg(unix)]
    #[expect(unsafe_code, reason = "the standard library counts only the cores that this process may use")]
    {
        // SAFETY: the call takes a number and returns one.
        let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
        usize::try_from(online).ok().filter(|online| *online > 0)
    }
    #[cfg(not(unix))]
    None
}

fn share_of(usable: usize, cores: Option<usize>, processes: usize) -> usize {
    match cores {
        Some(cores) if usable < cores => usable,
        _ => (usable / processes.max(1)).max(1),
    }
}

/// The threads that share the work of a pass, and their working memory.
///
/// Every pass divides its work so that no sum depends on the number of threads: results are bitwise the same for any
/// number.
pub struct Team {
    threads: Threads,
    pub(crate) instructions: Instructions,
    /// Working memory of each thread.
    own: Vec<Mutex<Buffer>>,
    shared: Mutex<Buffer>,
    /// Held while a plan runs.
    running: Mutex<()>,
}

impl Team {
    /// Largest number of threads.
    pub const MOST_THREADS: usize = 1024;

    /// Number of threads for one of `processes` processes on this machine: an equal share of the cores, or all that the
    /// process may use if its launcher has assigned it some.
    pub fn share(processes: usize) -> usize {
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        share_of(usable, cores(), processes)
    }

    /// Starts a team of `threads` threads, by default one per core.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the number is out of range, [`Error::Device`] when threads cannot be started.
    pub fn new(threads: Option<usize>, instructions: Instructions) -> Result<Team> {
        if let Some(threads) = threads.filter(|threads| !(1..=Team::MOST_THREADS).contains(threads)) {
            return Err(Error::Usage(format!("expected from 1 to {} threads, got {threads}", Team::MOST_THREADS)));
        }
        let threads = Threads::start(threads)?;
        let own = (0..threads.count()).map(|_| Mutex::default()).collect();
        Ok(Team { threads, instructions, own, shared: Mutex::default(), running: Mutex::default() })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.own.len()
    }

    /// Number of threads and instructions in words: `2 threads, AVX-512`.
    pub fn description(&self) -> String {
        let threads = self.threads();
        let s = if threads == 1 { "" } else { "s" };
        format!("{threads} thread{s}, {}", self.instructions.name())
    }

    /// Runs `work` on one of the threads, so that its parallel parts use all of them. Only one caller runs at a time.
    /// Otherwise a thread that waits for others could steal work of another caller, and deadlock on working memory that
    /// it holds itself.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.threads.run(work)
    }

    /// Working memory of the calling thread. No parallel work may start while it is held: the thread could steal work
    /// that needs it as well, and deadlock.
    pub(crate) fn own(&self) -> MutexGuard<'_, Buffer> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        self.own[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Working memory shared by all threads.
    pub(crate) fn shared(&self) -> MutexGuard<'_, Buffer> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of items per part, at least `least`, when `items` items are divided among the threads: several parts per
    /// thread, so that no thread waits long for the last one.
    pub(crate) fn part(&self, items: usize, least: usize) -> usize {
        const PARTS_PER_THREAD: usize = 4;
        if self.threads() == 1 {
            return items.max(1);
        }
        items.div_ceil(self.threads() * PARTS_PER_THREAD).max(least).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_divided_among_processes() {
        assert_eq!([1, 2, 3, 4, 9].map(|processes| share_of(8, Some(8), processes)), [8, 4, 2, 2, 1]);
        // A launcher has bound the process to two cores: that is its share.
        assert_eq!(share_of(2, Some(8), 4), 2);
        assert_eq!(share_of(8, None, 4), 2);
        assert!(Team::share(1) >= 1 && Team::share(1000) >= 1);
    }
}
