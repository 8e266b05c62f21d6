//! The report of checking a shader.

use crate::error::{Error, Result};
use crate::ops::Op;
use crate::table::grouped;
use crate::verify::Finding;
use serde::Serialize;
use std::fmt;

/// Failures that the text of a report shows.
const SHOWN: usize = 3;

/// The results of checking a shader.
#[derive(Clone, Debug, Serialize)]
pub struct KernelReport {
    /// Path of the shader file.
    pub kernel: String,
    /// The pass that it was checked as.
    pub pass: String,
    /// The device that it ran on.
    pub device: String,
    /// Constants of the file that were set for each shape.
    pub constants: Vec<&'static str>,
    /// Outputs that were compared.
    pub outputs: Vec<&'static str>,
    /// Number of shapes.
    pub shapes: usize,
    /// Edge cases that were skipped, because the shader does not declare their settings or their sums are too long.
    pub left_out: usize,
    /// Number of cases: shapes with their operands, each run twice.
    pub cases: usize,
    /// The worst error relative to its bound, over the cases that passed; 0 if all results were equal.
    pub worst: f64,
    /// The cases that failed.
    pub failures: Vec<KernelFailure>,
}

/// A case that failed.
#[derive(Clone, Debug, Serialize)]
pub struct KernelFailure {
    /// The pass and its shape.
    pub operation: String,
    /// The operands: `whole` for small whole numbers, `random`.
    pub operands: String,
    /// The first wrong element with expected and actual value, or the other reason for the failure.
    pub finding: String,
}

impl KernelReport {
    pub(super) fn new(kernel: &str, pass: &str, device: &str) -> KernelReport {
        KernelReport {
            kernel: kernel.into(),
            pass: pass.into(),
            device: device.into(),
            constants: Vec::new(),
            outputs: Vec::new(),
            shapes: 0,
            left_out: 0,
            cases: 0,
            worst: 0.0,
            failures: Vec::new(),
        }
    }

    /// Records the outcome of a case. A lost device or a shader that the device refuses is returned as an error.
    pub(super) fn enter(&mut self, op: &dyn Op, what: &str, outcome: Result<f64, Finding>) -> Result<()> {
        self.cases += 1;
        let finding = match outcome {
            Ok(worst) => {
                self.worst = self.worst.max(worst);
                return Ok(());
            }
            Err(Finding::Device(error @ (Error::Shader(_) | Error::DeviceLost(_)))) => return Err(error),
            Err(finding @ Finding::Guard(_)) => {
                format!(
                    "{finding}: buffers are longer than their tensors; compare indices with COUNT, not with arrayLength"
                )
            }
            Err(finding) => finding.to_string(),
        };
        self.failures.push(KernelFailure { operation: format!("{op:?}"), operands: what.into(), finding });
        Ok(())
    }

    /// Whether a case failed.
    pub fn failed(&self) -> bool {
        !self.failures.is_empty()
    }
}

impl fmt::Display for KernelReport {
    /// The shader and pass, the first failures, and the result in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KernelReport { kernel, pass, device, .. } = self;
        writeln!(f, "{kernel} as {pass} on {device}")?;
        let constants = if self.constants.is_empty() { "none".to_string() } else { self.constants.join(" ") };
        writeln!(f, "compared: {}; constants set: {constants}", self.outputs.join(" "))?;
        if self.left_out > 0 {
            let left_out = self.left_out;
            writeln!(f, "{left_out} edge cases skipped: their settings are not declared, or their sums are too long")?;
        }
        for KernelFailure { operation, operands, finding } in self.failures.iter().take(SHOWN) {
            writeln!(f, "\nFAIL {operation}, {operands}\n  {finding}")?;
        }
        if let more @ 1.. = self.failures.len().saturating_sub(SHOWN) {
            writeln!(f, "  and {more} more cases")?;
        }
        let (cases, shapes) = (grouped(self.cases as u64), grouped(self.shapes as u64));
        let result = match (self.failures.len(), self.worst) {
            (0, 0.0) => "all equal".to_string(),
            (0, worst) => format!("pass, worst error {worst:.3} of its bound"),
            (failed, _) => format!("{failed} FAIL"),
        };
        write!(f, "\n{cases} cases at {shapes} shapes, each run twice: {result}")
    }
}
