//! Which kernels are fastest here: a handful of candidates for each matrix pass, tried on the device itself.
//!
//! A candidate ([`KernelConfig`](crate::ops::KernelConfig): form, tile, operands, split) is run on small whole numbers, whose sums are exact in any
//! order, and must give the right bits before its time counts: those of the CPU engine, or where the two differ those of
//! the reference, which then says which of them is wrong. One that is known to be wrong here
//! ([`KnownBad`](crate::known_bad::KnownBad)) is not even tried. What was found is kept in the user's cache folder ([`Cache`]) by adapter, driver,
//! shape and shader text; the choices of a run are a small file ([`KernelChoices`]) that another run can be pinned to: other
//! tiles add in another order, so equal bits need equal choices.
//!
//! For the same reason a run keeps the kernels that it began with. A [`Tuner`] can go on between its epochs, on a device of
//! its own, but what it finds there is for the next run.

mod cache;
mod candidates;
mod choices;
mod contest;
mod refuse;
mod trial;
mod tuner;

pub use cache::{Cache, Measured};
pub use candidates::{candidates, candidates_from};
pub use choices::KernelChoices;
pub use trial::{Outputs, Trial, Verdict};
pub use tuner::{Effort, TuneProgress, Tuned, Tuner, WrongResult};

use crate::table::{Align, Table};

/// Everything that was tried, a line each.
pub fn table(tuned: &[Tuned]) -> String {
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
    table.render()
}
