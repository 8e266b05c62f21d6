//! The expected outputs of a case, and the comparison with the actual ones.

use super::case::{Case, Output};
use crate::error::Error;
use crate::plan::Element;

/// A reason why a result is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// An element is not a number, or too far from the expected value.
    #[error("{output}[{index}]: got {got}, expected {expected}, error {error:e} over bound {bound:e}")]
    Wrong {
        /// Name of the output.
        output: String,
        /// Index of the element.
        index: usize,
        /// The value that was computed.
        got: f64,
        /// The value of the reference.
        expected: f64,
        /// Distance between the two.
        error: f64,
        /// Largest distance allowed.
        bound: f64,
    },
    /// The numbers of elements differ.
    #[error("{what}: {got} results, {expected} expected values and {bound} bounds")]
    Lengths {
        /// What was compared.
        what: String,
        /// Number of results.
        got: usize,
        /// Number of expected values.
        expected: usize,
        /// Number of bounds.
        bound: usize,
    },
    /// The pass wrote past the end of a tensor.
    #[error("{0} was written past its end")]
    Guard(String),
    /// The pass wrote to an input.
    #[error("input {0} was overwritten")]
    Input(String),
    /// A second run of the same case gave different bits.
    #[error("{output}[{index}]: a second run gave different bits, {second:#010x} instead of {first:#010x}")]
    Unsteady {
        /// Name of the output.
        output: String,
        /// Index of the element.
        index: usize,
        /// Bits of the first run.
        first: u32,
        /// Bits of the second.
        second: u32,
    },
    /// The CPU's result depends on the number of threads.
    #[error("{0} depends on the number of threads")]
    Threads(String),
    /// The device reported an error.
    #[error(transparent)]
    Device(#[from] Error),
}

/// The expected values of each output, and the largest error allowed for each element.
#[derive(Clone, Debug)]
pub struct Expected(Vec<(&'static str, Vec<f64>, Vec<f64>)>);

impl Expected {
    /// Expects exactly the reference's f32 results. For inputs whose sums are exact in any order. (-0 and 0 are equal.)
    pub fn exact(case: &Case) -> Expected {
        let outputs = case.reference::<f32>().into_iter();
        Expected(outputs.map(|(name, values)| (name, values.clone(), vec![0.0; values.len()])).collect())
    }

    /// Expects the reference's f64 results, computed from the same f32 inputs. `bound` takes an output's name and its
    /// expected values, and gives the largest error allowed for each element.
    pub fn within(case: &Case, bound: impl Fn(&str, &[f64]) -> Vec<f64>) -> Expected {
        let outputs = case.reference::<f64>().into_iter();
        let with_bound = |(name, values): (&'static str, Vec<f64>)| {
            let bound = bound(name, &values);
            (name, values, bound)
        };
        Expected(outputs.map(with_bound).collect())
    }

    /// The expected values of the first output of this name, if there is one.
    pub fn values(&self, name: &str) -> Option<&[f64]> {
        self.0.iter().find(|(known, _, _)| *known == name).map(|(_, values, _)| values.as_slice())
    }

    /// Keeps only the outputs with these names.
    pub(super) fn of(mut self, names: &[&str]) -> Expected {
        self.0.retain(|(name, ..)| names.contains(name));
        self
    }

    /// The worst error relative to its bound, 0 if all elements are equal; or the first thing that is wrong.
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

/// Compares element by element; any NaN fails. Gives the worst error relative to its bound.
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
    /// The elements as numbers, whatever their type.
    pub fn values(&self) -> Vec<f64> {
        let value = |bits: &u32| match self.element {
            Element::Real => f64::from(f32::from_bits(*bits)),
            Element::Int => f64::from(*bits),
        };
        self.bits.iter().map(value).collect()
    }
}
