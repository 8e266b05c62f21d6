//! What must come out of a case, and the comparison with what did.

use super::case::{Case, Output};
use crate::error::Error;
use crate::plan::Element;

/// What is wrong with a result.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// An element is too far from what was expected, or no number.
    #[error("{output}[{index}]: got {got}, expected {expected}, error {error:e} over bound {bound:e}")]
    Wrong {
        /// Name of the output.
        output: String,
        /// Number of the element.
        index: usize,
        /// What came out.
        got: f64,
        /// What the reference says.
        expected: f64,
        /// How far they are apart.
        error: f64,
        /// How far they may be.
        bound: f64,
    },
    /// The numbers of elements do not agree.
    #[error("{what}: lengths {got}, {expected} and {bound} of what came out, what was expected, and its bounds")]
    Lengths {
        /// What was compared.
        what: String,
        /// Elements that came out.
        got: usize,
        /// Elements of the reference.
        expected: usize,
        /// Elements with a bound.
        bound: usize,
    },
    /// Something was written behind the end of a tensor.
    #[error("guard of {0} written")]
    Guard(String),
    /// An input has changed.
    #[error("input {0} written")]
    Input(String),
    /// The same run again gave other bits.
    #[error("{output}[{index}]: another run gave other bits, {second:#010x} instead of {first:#010x}")]
    Unsteady {
        /// Name of the output.
        output: String,
        /// Number of the element.
        index: usize,
        /// Bits of the first run.
        first: u32,
        /// Bits of the second.
        second: u32,
    },
    /// The CPU's bits depend on how many threads there are.
    #[error("{0} depends on the threads")]
    Threads(String),
    /// The device refused or failed.
    #[error(transparent)]
    Device(#[from] Error),
}

/// What must come out: for each output its values and the largest error allowed of each.
#[derive(Clone, Debug)]
pub struct Expected(Vec<(&'static str, Vec<f64>, Vec<f64>)>);

impl Expected {
    /// Equal numbers: what the reference gives in f32. For inputs whose sums are exact, in any order. (-0 and 0 are the
    /// same sum.)
    pub fn exact(case: &Case) -> Expected {
        let outputs = case.reference::<f32>().into_iter();
        Expected(outputs.map(|(name, values)| (name, values.clone(), vec![0.0; values.len()])).collect())
    }

    /// What the reference gives in f64, from the same f32 inputs. `bound` says, for an output's name and its expected
    /// values, the largest error allowed of each element.
    pub fn within(case: &Case, bound: impl Fn(&str, &[f64]) -> Vec<f64>) -> Expected {
        let outputs = case.reference::<f64>().into_iter();
        let with_bound = |(name, values): (&'static str, Vec<f64>)| {
            let bound = bound(name, &values);
            (name, values, bound)
        };
        Expected(outputs.map(with_bound).collect())
    }

    /// The values of the first output of this name.
    pub fn values(&self, name: &str) -> Option<&[f64]> {
        self.0.iter().find(|(known, _, _)| *known == name).map(|(_, values, _)| values.as_slice())
    }

    /// Nothing but the outputs of these names.
    pub(super) fn of(mut self, names: &[&str]) -> Expected {
        self.0.retain(|(name, ..)| names.contains(name));
        self
    }

    /// The worst error as a share of its bound, 0 where all are equal; or the first thing that is wrong.
    pub fn judge(&self, got: &[Output]) -> Result<f64, Finding> {
        if got.len() != self.0.len() {
            let (what, bound) = ("number of outputs".to_string(), self.0.len());
            return Err(Finding::Lengths { what, got: got.len(), expected: self.0.len(), bound });
        }
        let mut worst = 0.0f64;
        for ((name, values, bound), output) in self.0.iter().zip(got) {
            worst = worst.max(compare(name, &output.values(), values, bound)?);
        }
        Ok(worst)
    }
}

/// Compares element by element; a NaN anywhere fails. Gives the worst error as a share of its bound.
pub fn compare(what: &str, got: &[f64], expected: &[f64], bound: &[f64]) -> Result<f64, Finding> {
    if got.len() != expected.len() || got.len() != bound.len() {
        let (got, expected, bound) = (got.len(), expected.len(), bound.len());
        return Err(Finding::Lengths { what: what.to_string(), got, expected, bound });
    }
    let mut worst = 0.0f64;
    for (index, ((got, expected), bound)) in got.iter().zip(expected).zip(bound).enumerate() {
        let error = (got - expected).abs();
        let within = error <= *bound;
        if !within {
            let (output, got, expected, bound) = (what.to_string(), *got, *expected, *bound);
            return Err(Finding::Wrong { output, index, got, expected, error, bound });
        }
        if *bound > 0.0 {
            worst = worst.max(error / bound);
        }
    }
    Ok(worst)
}

impl Output {
    /// The elements as numbers, of whatever type they are.
    pub fn values(&self) -> Vec<f64> {
        let value = |bits: &u32| match self.element {
            Element::Real => f64::from(f32::from_bits(*bits)),
            Element::Int => f64::from(*bits),
        };
        self.bits.iter().map(value).collect()
    }
}
