//! The tuner finds the fastest kernels on a device: it tries a few candidates for each pass of the matrix engine.
//!
//! A candidate ([`KernelConfig`](crate::ops::KernelConfig): form, tile, operands, split) is run on small whole numbers,
//! whose sums are exact in any order. Its time counts only if it gives the right bits: those of the CPU engine or, if
//! the two differ, those of the reference, which then decides which of them is wrong. Kernels known to be wrong on the
//! device ([`KnownBad`](crate::known_bad::KnownBad)) are not tried. Results are kept in the user's cache folder
//! ([`Cache`]) by adapter, driver, shape and shader text. The choices of a run are a small file ([`KernelChoices`])
//! that another run can be pinned to: other tiles add in another order, so identical results need identical choices.
//!
//! For the same reason a run keeps the kernels that it started with. A [`Tuner`] can continue between its epochs, on a
//! device of its own, but its findings apply to the next run only.

mod cache;
mod candidates;
mod choices;
mod contest;
mod model;
mod refuse;
mod trial;
mod tuner;

pub use cache::{Cache, Measured};
pub use candidates::{candidates, candidates_from};
pub use choices::KernelChoices;
pub use contest::MOST_STAGED;
pub use trial::{Outputs, Trial, Verdict};
pub use tuner::{Effort, TuneProgress, Tuned, Tuner, WrongResult};

use crate::table::{Align, Table};

/// Everything that was tried, for programs; times are in seconds.
pub fn json(tuned: &[Tuned]) -> serde_json::Value {
    let pass = |Tuned { label, flops, entry, .. }: &Tuned| {
        let tried = entry.tried.iter().map(|(config, seconds)| {
            serde_json::json!({"kernel": config.to_string(), "seconds": seconds, "chosen": *config == entry.config})
        });
        let refused: Vec<String> = entry.refused.iter().map(|(config, _)| config.to_string()).collect();
        serde_json::json!({
            "pass": label, "flops": flops, "tried": tried.collect::<Vec<_>>(), "refused": refused,
        })
    };
    tuned.iter().map(pass).collect()
}

/// A table of everything that was tried, one row for each candidate.
pub fn table(tuned: &[Tuned]) -> Table {
    use Align::{Left, Right};
    let mut table = Table::new(["pass", "kernel", "ms", "GFLOP/s", ""], [Left, Left, Right, Right, Left]);
    for Tuned { label, flops, entry, .. } in tuned {
        let mut label = label.clone();
        for (config, seconds) in &entry.tried {
            let chosen = if *config == entry.config { "chosen" } else { "" };
            let (ms, rate) = (seconds * 1e3, *flops as f64 / seconds / 1e9);
            let cells = [format!("{ms:.2}"), format!("{rate:.1}"), chosen.to_string()];
            let [ms, rate, chosen] = cells;
            table.row([std::mem::take(&mut label), config.to_string(), ms, rate, chosen]);
        }
        for (config, _) in &entry.refused {
            let [ms, rate] = ["–", "–"].map(String::from);
            table.row([std::mem::take(&mut label), config.to_string(), ms, rate, "refused".to_string()]);
        }
    }
    table
}
