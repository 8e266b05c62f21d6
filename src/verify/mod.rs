//! Whether this device computes what it should: every kernel in every variant, against the reference.
//!
//! A room of [`crate::ops`] says in its `cases.rs` what an operation is verified on ([`Verify`]): operands, and what must
//! come out, as equal numbers or within a bound that has a reason. [`verify`] takes each operation at shapes that kernels
//! are likely to get wrong ([`edge_cases`](crate::ops::edge_cases)) and in every variant that the tuner may choose ([`variants`]);
//! then ten steps of training, then the functions that the driver brings ([`functions`]). What comes of it is a
//! [`Report`], which one can attach to a driver's bug. [`inject`] breaks kernels on purpose, and sees whether all of this
//! notices.

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

/// What an operation is verified on: `cases.rs`.
pub trait Verify {
    /// Cases of this very operation, at its own shape: operands, and what must come out.
    fn checks(&self) -> Vec<Check>;
}

/// A case, and what must come out.
pub struct Check {
    /// What its operands are: `whole`, `random`, …
    pub what: &'static str,
    /// The pass with its operands.
    pub case: Case,
    /// The outputs that must come of it.
    pub expected: Expected,
}

impl Check {
    /// Equal numbers: see [`Expected::exact`].
    pub fn exact(what: &'static str, case: Case) -> Check {
        Check { what, expected: Expected::exact(&case), case }
    }

    /// Within a bound: see [`Expected::within`].
    pub fn within(what: &'static str, case: Case, bound: impl Fn(&str, &[f64]) -> Vec<f64>) -> Check {
        Check { what, expected: Expected::within(&case, bound), case }
    }

    /// Of a pass that is sums of products, with `activation` behind or before it: small whole numbers, whose sums are
    /// exact in any order, unless the activation rounds; and random ones, within the bound of an output.
    pub fn sums(activation: Activation, whole: Case, random: Case, bound: impl Fn(&str) -> Vec<f64>) -> Vec<Check> {
        let mut checks = Vec::new();
        if matches!(activation, Activation::Identity | Activation::Relu) {
            checks.push(Check::exact("whole", whole));
        }
        checks.push(Check::within("random", random, |output, _| bound(output)));
        checks
    }
}
