//! The threads of a [`super::Team`]: a pool of its own, or in a browser, where no thread can be started, the calling one.

use crate::error::Result;

/// Threads that share the parallel parts of what [`Threads::run`] is given.
#[cfg(not(target_arch = "wasm32"))]
pub(super) struct Threads(rayon::ThreadPool);

#[cfg(not(target_arch = "wasm32"))]
impl Threads {
    /// Starts so many, or as many as there are cores.
    pub fn start(count: Option<usize>) -> Result<Threads> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count.unwrap_or(0))
            .thread_name(|index| format!("shadegrad {index}"))
            .build()
            .map_err(|error| crate::Error::Device(format!("cannot start threads: {error}")))?;
        // Threads reserve address space when they first allocate. From here on that is taken, and what is said to be left
        // over stays so.
        pool.broadcast(|_| std::hint::black_box(vec![0_u8; 1]));
        Ok(Threads(pool))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Runs `work` on one of them, and what it does in parallel on all.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

/// The calling thread.
#[cfg(target_arch = "wasm32")]
pub(super) struct Threads;

#[cfg(target_arch = "wasm32")]
impl Threads {
    /// Starts none, however many are asked for: results have the same bits for any number.
    pub fn start(_: Option<usize>) -> Result<Threads> {
        Ok(Threads)
    }

    /// One.
    pub fn count(&self) -> usize {
        1
    }

    /// Runs `work`. Where it is parallel, rayon takes the calling thread too, because it can start no other.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        work()
    }
}
