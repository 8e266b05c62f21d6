//! The rows of a comparison, as a table and as JSON.

use super::compare::Target;
use super::one::Measured;
use super::system;
use serde::Serialize;
use shadegrad::table::{Align, Page, Table, bytes, grouped};

/// A model on a device, with its measurements.
pub struct Row {
    pub model: String,
    pub target: Target,
    runs: Vec<Measured>,
    problem: Option<String>,
}

/// Statistics of several measurements.
#[derive(Clone, Copy, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Row {
    pub fn new(model: String, target: Target) -> Row {
        Row { model, target, runs: Vec::new(), problem: None }
    }

    /// Adds a measurement, or keeps the first error.
    pub fn add(&mut self, measured: Result<Measured, String>) {
        match measured {
            Ok(measured) => self.runs.push(measured),
            Err(problem) => {
                self.problem.get_or_insert(problem);
            }
        }
    }

    /// The first error.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// A progress line.
    pub fn progress(&self, measured: &Result<Measured, String>) -> String {
        let what = match measured {
            Ok(measured) => format!("{} images/s", rate(images_per_second(measured))),
            Err(_) => "failed".to_string(),
        };
        format!("{} on {}: {what}", self.model, self.target.name)
    }

    fn spread(&self, of: impl Fn(&Measured) -> f64) -> Option<Spread> {
        let mut values: Vec<f64> = self.runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = |index: usize| values[index.min(values.len() - 1)];
        let half = values.len() / 2;
        let median = if values.len() % 2 == 1 { middle(half) } else { (middle(half - 1) + middle(half)) / 2.0 };
        Some(Spread { median, min, max })
    }

    /// Largest peak memory of any measurement, in bytes.
    fn peak_memory(&self) -> Option<u64> {
        self.runs.iter().filter_map(|run| run.peak_memory).max()
    }

    /// Largest number of processors that other programs used during a measurement.
    fn others(&self) -> Option<f64> {
        self.runs.iter().filter_map(|run| run.others).max_by(f64::total_cmp)
    }

    /// Speed relative to the first device of the same model.
    fn ratio(&self, rows: &[Row]) -> Option<f64> {
        let first = rows.iter().find(|row| row.model == self.model)?;
        Some(self.spread(images_per_second)?.median / first.spread(images_per_second)?.median)
    }
}

fn images_per_second(run: &Measured) -> f64 {
    run.images as f64 / run.seconds
}

fn step_seconds(run: &Measured) -> f64 {
    run.seconds / run.steps as f64
}

/// Images per second: a whole number, unless below 20.
fn rate(rate: f64) -> String {
    if rate < 20.0 { format!("{rate:.2}") } else { grouped(rate.round() as u64) }
}

/// The table for people, with notes.
pub fn page(rows: &[Row]) -> Page {
    use Align::{Left, Right};
    let heading = [
        "model",
        "device",
        "images/s",
        "min..max",
        "ms/step",
        "open",
        "compile",
        "tune",
        "first step",
        "memory",
        "ratio",
    ];
    let align = [Left, Left, Right, Right, Right, Right, Right, Right, Right, Right, Right];
    let mut table = Table::new(heading, align);
    let dash = || "-".to_string();
    let nothing = |row: &Row| if row.problem.is_some() { "failed".to_string() } else { dash() };
    for row in rows {
        let ms = |of: fn(&Measured) -> f64| row.spread(of).map_or_else(dash, |of| format!("{:.0} ms", of.median * 1e3));
        let speed = row.spread(images_per_second);
        let step = row.spread(step_seconds).map_or_else(dash, |step| format!("{:.2}", step.median * 1e3));
        let tune = row.spread(|run| run.tune_seconds.unwrap_or(f64::NAN)).filter(|tune| !tune.median.is_nan());
        table.row([
            row.model.clone(),
            row.target.name.clone(),
            speed.map_or_else(|| nothing(row), |speed| rate(speed.median)),
            speed.map_or_else(dash, |speed| format!("{}..{}", rate(speed.min), rate(speed.max))),
            step,
            ms(|run| run.open_seconds),
            ms(|run| run.compile_seconds),
            tune.map_or_else(dash, |tune| format!("{:.0} ms", tune.median * 1e3)),
            ms(|run| run.first_step_seconds),
            row.peak_memory().map_or_else(dash, bytes),
            row.ratio(rows).map_or_else(dash, |ratio| format!("{ratio:.2}")),
        ]);
    }
    let mut page = Page::from(table);
    for warning in warnings(rows) {
        page.text(format!("\nnote: {warning}\n"));
    }
    page
}

/// Warnings that the measured speeds may be too low.
fn warnings(rows: &[Row]) -> Vec<String> {
    let most = rows.iter().filter_map(Row::others).max_by(f64::total_cmp);
    most.and_then(system::busy).into_iter().collect()
}

/// The results for programs; times in seconds, memory in bytes.
pub fn json(rows: &[Row], seconds: f64, repeats: usize, batch: usize) -> serde_json::Value {
    let row = |row: &Row| {
        serde_json::json!({
            "model": row.model, "device": row.target.name,
            "images_per_second": row.spread(images_per_second), "step_seconds": row.spread(step_seconds),
            "open_seconds": row.spread(|run| run.open_seconds),
            "compile_seconds": row.spread(|run| run.compile_seconds),
            "tune_seconds": row.spread(|run| run.tune_seconds.unwrap_or(f64::NAN)).filter(|tune| !tune.median.is_nan()),
            "first_step_seconds": row.spread(|run| run.first_step_seconds),
            "peak_memory": row.peak_memory(), "busy_processors_of_others": row.others(),
            "ratio": row.ratio(rows), "error": row.problem(), "runs": row.runs,
        })
    };
    serde_json::json!({
        "shadegrad": env!("CARGO_PKG_VERSION"), "processors": system::cores(), "seconds": seconds,
        "repeats": repeats, "batch": batch, "rows": rows.iter().map(row).collect::<Vec<_>>(),
        "warnings": warnings(rows),
    })
}
