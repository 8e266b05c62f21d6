//! Process and processor statistics from Linux; on other systems there are none.

use std::fs;
use std::time::Instant;

/// Peak memory of this process, in bytes: `VmHWM`.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Number of processors that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Ticks per second in `/proc`: 100 on every Linux in practice.
const TICKS: f64 = 100.0;

/// Shortest useful interval in seconds: shorter readings are mostly rounding errors.
const LEAST_SECONDS: f64 = 0.4;

/// A reading of the processor time counters.
pub struct Processors {
    at: Instant,
    /// Ticks that all processors have worked, for any process.
    busy: u64,
    /// Ticks that they have worked for this process.
    own: u64,
}

impl Processors {
    /// Reads the current counters.
    pub fn read() -> Option<Processors> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let all = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = all.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        // user nice system idle iowait irq softirq steal; guests are part of user.
        let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| ticks.get(*index)).sum();
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        // The name, in parentheses, may contain spaces; utime and stime are the 12th and 13th fields after it.
        let (_, fields) = own.rsplit_once(')')?;
        let own = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Processors { at: Instant::now(), busy, own })
    }

    /// Average number of processors that other programs have kept busy since this reading; `None` if it is too recent.
    pub fn others_since(&self) -> Option<f64> {
        let now = Processors::read()?;
        let seconds = (now.at - self.at).as_secs_f64();
        let others = (now.busy - self.busy).saturating_sub(now.own - self.own);
        (seconds >= LEAST_SECONDS).then(|| others as f64 / TICKS / seconds)
    }
}

/// Share of the processors that others may use without a warning.
const BUSY: f64 = 0.1;

/// A warning about a machine on which other programs kept this many processors busy.
pub fn busy(others: f64) -> Option<String> {
    let cores = cores();
    (others > BUSY * cores as f64).then(|| {
        format!("the machine was busy: other programs used {others:.1} of {cores} processors while this one measured")
    })
}
