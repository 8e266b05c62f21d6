//! The threads of a [`super::Team`]: a thread pool, or in a browser, which cannot start threads, the calling thread.

use crate::error::Result;

/// Threads that share the parallel work of [`Threads::run`].
#[cfg(not(target_arch = "wasm32"))]
pub(super) struct Threads(rayon::ThreadPool);

#[cfg(not(target_arch = "wasm32"))]
impl Threads {
    /// Starts `count` threads, or one per core.
    pub fn start(count: Option<usize>) -> Result<Threads> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count.unwrap_or(0))
            .thread_name(|index| format!("shadegrad {index}"))
            .build()
            .map_err(|error| crate::Error::Device(format!("cannot start threads: {error}")))?;
        // Threads reserve address space when they first allocate. Having them allocate now keeps later checks of the
        // available memory accurate.
        pool.broadcast(|_| std::hint::black_box(vec![0_u8; 1]));
        Ok(Threads(pool))
    }

    /// Number of threads.
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Runs `work` on one of the threads, and its parallel parts on all of them.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

/// The calling thread.
#[cfg(target_arch = "wasm32")]
pub(super) struct Threads;

#[cfg(target_arch = "wasm32")]
impl Threads {
    /// Starts no threads, regardless of the number requested: results are bitwise the same for any number.
    pub fn start(_: Option<usize>) -> Result<Threads> {
        Ok(Threads)
    }

    /// Number of threads, which is one.
    pub fn count(&self) -> usize {
        1
    }

    /// Runs `work`. Its parallel parts run on the calling thread as well, because rayon cannot start any other.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        work()
    }
}
