//! What Linux says of processes and processors. Elsewhere there is nothing to read, and nothing is claimed.

use std::fs;
use std::time::Instant;

/// Most memory that this process has held at once, in bytes: `VmHWM`.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

/// Processors that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Ticks of `/proc` in a second: 100 on every Linux that a program can meet.
const TICKS: f64 = 100.0;

/// Readings shorter than this are mostly rounding.
const LEAST_SECONDS: f64 = 0.4;

/// A reading of the processors' clocks.
pub struct Processors {
    at: Instant,
    /// Ticks that all processors have worked, for anyone.
    busy: u64,
    /// Ticks that they have worked for this process.
    own: u64,
}

impl Processors {
    /// Now.
    pub fn read() -> Option<Processors> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let all = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = all.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        // user nice system idle iowait irq softirq steal; guests are part of user.
        let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|index| ticks.get(*index)).sum();
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        // The name, in brackets, may hold spaces; utime and stime are the 12th and 13th fields after it.
        let (_, fields) = own.rsplit_once(')')?;
        let own = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Some(Processors { at: Instant::now(), busy, own })
    }

    /// How many processors others have kept busy since, on average; nothing after too short a time.
    pub fn others_since(&self) -> Option<f64> {
        let now = Processors::read()?;
        let seconds = (now.at - self.at).as_secs_f64();
        let others = (now.busy - self.busy).saturating_sub(now.own - self.own);
        (seconds >= LEAST_SECONDS).then(|| others as f64 / TICKS / seconds)
    }
}

/// Share of the processors that others may use before it is said.
const BUSY: f64 = 0.1;

/// What is to be said of a machine on which others kept so many processors busy.
pub fn busy(others: f64) -> Option<String> {
    let cores = cores();
    (others > BUSY * cores as f64).then(|| {
        format!("the machine was busy: other programs used {others:.1} of {cores} processors while this one measured")
    })
}
