//! Verifies that a device computes correctly: every kernel in every variant, against the reference.
//!
//! Each operation of [`crate::ops`] defines in its `cases.rs` what it is verified on ([`Verify`]): operands and
//! expected outputs, either exact or within a bound that has a reason. [`verify`] runs every operation at shapes that
//! kernels are likely to get wrong ([`edge_cases`](crate::ops::edge_cases)) and in every variant that the tuner may
//! choose ([`variants`]), then ten training steps, then the driver's built-in functions ([`functions`]). The result is
//! a [`Report`] that can be attached to a bug report for the driver. [`inject`] breaks kernels on purpose and shows
//! whether all of this detects it.

mod bounds;
mod case;
pub mod draw;
mod expected;
pub mod functions;
mod inject;
mod item;
mod launch;
mod only;
pub mod own;
mod products;
mod report;
mod results;
mod run;
mod session;
pub mod training;
mod values;

#[cfg(not(target_arch = "wasm32"))]
pub use crate::blocking::verify_blocking;
pub(crate) use bounds::{TINY, activation_error};
pub use bounds::{U, dot_bound};
pub use case::{Case, Given, Output, Values};
pub use expected::{Expected, Finding, compare};
pub use inject::{Injected, inject, injected_table, recordings};
pub use launch::{Launch, every_form, mirrored, plain, variants};
pub use only::Only;
pub(crate) use products::Products;
pub use report::{DeviceRecord, Failure, KernelRow, Report};
pub use run::{Extent, VerifyOptions, VerifyProgress, verify};
pub use values::{Operands, integers, random};

use crate::ops::Activation;

/// The cases that an operation is verified on, defined in its `cases.rs`.
pub trait Verify {
    /// Cases of this operation at its own shape: operands and expected outputs.
    fn checks(&self) -> Vec<Check>;
}

/// A case and its expected outputs.
pub struct Check {
    /// Kind of the operands: `whole`, `random`, …
    pub what: &'static str,
    /// The pass and its operands.
    pub case: Case,
    /// The expected outputs.
    pub expected: Expected,
}

impl Check {
    /// Expects exact results: see [`Expected::exact`].
    pub fn exact(what: &'static str, case: Case) -> Check {
        Check { what, expected: Expected::exact(&case), case }
    }

    /// Expects results within a bound: see [`Expected::within`].
    pub fn within(what: &'static str, case: Case, bound: impl Fn(&str, &[f64]) -> Vec<f64>) -> Check {
        Check { what, expected: Expected::within(&case, bound), case }
    }

    /// Checks of a pass that sums products and applies `activation` after or before it. Small whole numbers, whose sums
    /// are exact in any order, must match exactly unless the activation rounds; random numbers must be within `bound`,
    /// which takes the name of an output.
    pub fn sums(activation: Activation, whole: Case, random: Case, bound: impl Fn(&str) -> Vec<f64>) -> Vec<Check> {
        let mut checks = Vec::new();
        if matches!(activation, Activation::Identity | Activation::Relu) {
            checks.push(Check::exact("whole", whole));
        }
        checks.push(Check::within("random", random, |output, _| bound(output)));
        checks
    }
}
