//! The time of each dispatch of a step, compared with the peak rates of the device.
//!
//! A [`Profile`] has a row for each command of a recording, in order, including the copies to mirrors. Its rates are
//! compared with [`Ceilings`], which two kernels measure on the same device.

mod ceiling;
#[cfg(feature = "report")]
pub mod roofline;

pub use ceiling::{Ceiling, Ceilings, copy, multiply_add};

use crate::table::{Align, Page, Table};
use serde::Serialize;

/// The clock and the method of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimedBy {
    /// The device's clock, with a compute pass for each dispatch.
    Timestamps,
    /// The host's clock, with each command repeated in isolation.
    Repetition,
    /// The host's clock, pass by pass, on the CPU.
    Host,
}

/// A command of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Label of the command, as in `shadegrad plan`: `<layer>.<pass>`, or for a copy `<layer>.<pass>.copy`.
    pub label: String,
    /// Name of the kernel, or of the tensor that is copied.
    pub kernel: String,
    /// Seconds per run, as the median over the replays.
    pub seconds: f64,
    /// Multiplications and additions; 0 where they are not counted.
    pub flops: u64,
    /// Bytes that must be read or written at least once.
    pub bytes: u64,
}

/// The profile of a step, command by command.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// How the commands were timed.
    pub timed_by: TimedBy,
    /// Number of steps that were timed command by command.
    pub replays: usize,
    /// Seconds per step, measured over whole steps.
    pub step_seconds: f64,
    /// Seconds that the host spends per step on encoding and submitting it; `None` where the host itself computes. The
    /// device idles during that time only before the first steps of a run, and if it needs less time for a step.
    pub host_seconds: Option<f64>,
    /// The commands, in the order of the step.
    pub rows: Vec<Row>,
}

impl Row {
    /// Multiplications and additions per second; `None` if they are not counted or the measured time is 0.
    pub fn flops_per_second(&self) -> Option<f64> {
        (self.flops > 0 && self.seconds > 0.0).then(|| self.flops as f64 / self.seconds)
    }

    /// Bytes per second; `None` if the measured time is 0.
    pub fn bytes_per_second(&self) -> Option<f64> {
        (self.bytes > 0 && self.seconds > 0.0).then(|| self.bytes as f64 / self.seconds)
    }

    /// Arithmetic intensity: multiplications and additions per byte; `None` if they are not counted.
    pub fn intensity(&self) -> Option<f64> {
        (self.flops > 0 && self.bytes > 0).then(|| self.flops as f64 / self.bytes as f64)
    }
}

impl Profile {
    /// Seconds of all rows together.
    pub fn sum(&self) -> f64 {
        self.rows.iter().map(|row| row.seconds).sum()
    }

    /// The profile as a table for people: a line per row, then the sum and the time of a whole step, then the ceilings.
    pub fn table(&self, ceilings: Option<&Ceilings>) -> Page {
        use Align::{Left, Right};
        let heading = ["pass", "kernel", "ms", "of step", "GFLOP/s", "of peak", "GB/s", "of peak"];
        let mut table = Table::new(heading, [Left, Left, Right, Right, Right, Right, Right, Right]);
        let rate = |rate: Option<f64>| rate.map_or("-".into(), |rate| significant(rate * 1e-9));
        let share = |rate: Option<f64>, peak: Option<f64>| match (rate, peak) {
            (Some(rate), Some(peak)) => percent(rate / peak),
            _ => "-".into(),
        };
        let sum = self.sum();
        for row in &self.rows {
            let (flops, bytes) = (row.flops_per_second(), row.bytes_per_second());
            table.row([
                row.label.clone(),
                row.kernel.clone(),
                format!("{:.3}", row.seconds * 1e3),
                // With a very coarse clock, all rows can be zero.
                percent(row.seconds / sum.max(f64::MIN_POSITIVE)),
                rate(flops),
                share(flops, ceilings.map(|peak| peak.flops_per_second)),
                rate(bytes),
                share(bytes, ceilings.map(|peak| peak.bytes_per_second)),
            ]);
        }
        let whole = self.step_seconds;
        let mut text =
            format!("\n{} ms in {} rows; a step as a whole takes {} ms", ms(sum), self.rows.len(), ms(whole));
        if let Some(host) = self.host_seconds {
            text += &format!(", the host {} ms to encode it", ms(host));
        }
        text += &format!("; {}, median of {}\n", self.timed_by.describe(), self.replays);
        if let Some(peak) = ceilings {
            let (flops, bytes) = (peak.flops_per_second * 1e-9, peak.bytes_per_second * 1e-9);
            text += &format!(
                "measured peak: {} GFLOP/s in registers, {} GB/s from buffer to buffer\n",
                significant(flops),
                significant(bytes)
            );
        }
        let mut page = Page::from(table);
        page.text(text);
        page
    }

    /// The profile as JSON for programs: the content of the table, in seconds, flops and bytes.
    pub fn json(&self, ceilings: Option<&Ceilings>) -> serde_json::Value {
        let rows = self.rows.iter().map(|row| {
            let (flops, bytes) = (row.flops_per_second(), row.bytes_per_second());
            serde_json::json!({
                "label": row.label, "kernel": row.kernel, "seconds": row.seconds, "flops": row.flops,
                "bytes": row.bytes, "flops_per_second": flops, "bytes_per_second": bytes,
                "flops_share": flops.zip(ceilings).map(|(rate, peak)| rate / peak.flops_per_second),
                "bytes_share": bytes.zip(ceilings).map(|(rate, peak)| rate / peak.bytes_per_second),
            })
        });
        serde_json::json!({
            "timed_by": self.timed_by, "replays": self.replays, "step_seconds": self.step_seconds,
            "host_seconds": self.host_seconds,
            "sum_seconds": self.sum(), "ceilings": ceilings, "rows": rows.collect::<Vec<_>>(),
        })
    }
}

impl TimedBy {
    fn describe(self) -> &'static str {
        match self {
            TimedBy::Timestamps => "timed by the device's timestamps",
            TimedBy::Repetition => "timed by the host's clock, each command repeated in isolation",
            TimedBy::Host => "timed by the host's clock",
        }
    }
}

fn ms(seconds: f64) -> String {
    format!("{:.3}", seconds * 1e3)
}

/// A fraction as a percentage with one decimal: `12.3 %`.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A number with three significant digits: 12.3, 0.123; numbers from 100 on without decimals: 1234.
fn significant(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
