//! What each dispatch of a step costs, beside what the device can do at best.
//!
//! A [`Profile`] has a row for each command of a recording, in its order: the copies to mirrors too. Its times are
//! compared with [`Ceilings`], which two kernels measure on the same device.

mod ceiling;
#[cfg(feature = "report")]
pub mod roofline;

pub use ceiling::{Ceiling, Ceilings, copy, multiply_add};

use crate::table::{Align, Table};
use serde::Serialize;

/// How a profile was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimedBy {
    /// The device's clock, a compute pass for each dispatch.
    Timestamps,
    /// The host's clock, each command repeated alone.
    Repetition,
    /// The host's clock, pass by pass: the CPU.
    Host,
}

/// A command of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `<layer>.<pass>`, as `shadegrad plan` has it; copies end in `.copy`.
    pub label: String,
    /// Which kernel, or what is copied.
    pub kernel: String,
    /// Median over the replays.
    pub seconds: f64,
    /// Multiplications and additions; 0 where they are not counted.
    pub flops: u64,
    /// Bytes that it must read or write at least once.
    pub bytes: u64,
}

/// A step, command by command.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// How the dispatches were timed.
    pub timed_by: TimedBy,
    /// Steps that were timed command by command.
    pub replays: usize,
    /// Seconds of a whole step, when nothing is timed within it.
    pub step_seconds: f64,
    /// In the order of the step.
    pub rows: Vec<Row>,
}

impl Row {
    /// Multiplications and additions a second; nothing where none are counted or the clock has not moved.
    pub fn flops_per_second(&self) -> Option<f64> {
        (self.flops > 0 && self.seconds > 0.0).then(|| self.flops as f64 / self.seconds)
    }

    /// Bytes a second.
    pub fn bytes_per_second(&self) -> Option<f64> {
        (self.bytes > 0 && self.seconds > 0.0).then(|| self.bytes as f64 / self.seconds)
    }

    /// Multiplications and additions a byte: where it stands on a roofline.
    pub fn intensity(&self) -> Option<f64> {
        (self.flops > 0 && self.bytes > 0).then(|| self.flops as f64 / self.bytes as f64)
    }
}

impl Profile {
    /// Seconds of all rows together.
    pub fn sum(&self) -> f64 {
        self.rows.iter().map(|row| row.seconds).sum()
    }

    /// For people: a line for each row, then the sum beside the whole step, then the ceilings.
    pub fn table(&self, ceilings: Option<&Ceilings>) -> String {
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
                // A clock too coarse for every row says zero for all.
                percent(row.seconds / sum.max(f64::MIN_POSITIVE)),
                rate(flops),
                share(flops, ceilings.map(|peak| peak.flops_per_second)),
                rate(bytes),
                share(bytes, ceilings.map(|peak| peak.bytes_per_second)),
            ]);
        }
        let whole = self.step_seconds;
        let mut text = table.render();
        text += &format!("\n{} ms in {} rows; a step as a whole takes {} ms", ms(sum), self.rows.len(), ms(whole));
        text += &format!("; {}, median of {}\n", self.timed_by.describe(), self.replays);
        if let Some(peak) = ceilings {
            let (flops, bytes) = (peak.flops_per_second * 1e-9, peak.bytes_per_second * 1e-9);
            text += &format!(
                "peak, as measured: {} GFLOP/s multiplying and adding in registers, {} GB/s from buffer to buffer\n",
                significant(flops),
                significant(bytes)
            );
        }
        text
    }

    /// For programs: an object with everything that the table has, in seconds, flops and bytes.
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
            "sum_seconds": self.sum(), "ceilings": ceilings, "rows": rows.collect::<Vec<_>>(),
        })
    }
}

impl TimedBy {
    fn describe(self) -> &'static str {
        match self {
            TimedBy::Timestamps => "by the device's timestamps",
            TimedBy::Repetition => "each repeated alone, by the host's clock",
            TimedBy::Host => "by the host's clock",
        }
    }
}

fn ms(seconds: f64) -> String {
    format!("{:.3}", seconds * 1e3)
}

/// A share as "12.3 %"; tiny ones as "0.0 %".
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Three significant digits: 1234 as it is, 12.3, 0.123.
fn significant(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
