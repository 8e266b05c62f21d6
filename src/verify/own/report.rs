//! What came of checking a shader.

use crate::error::{Error, Result};
use crate::ops::Op;
use crate::table::grouped;
use crate::verify::Finding;
use serde::Serialize;
use std::fmt;

/// Failures that the text of a report shows.
const SHOWN: usize = 3;

/// What came of all cases of a shader.
#[derive(Clone, Debug, Serialize)]
pub struct KernelReport {
    /// Path of the shader file.
    pub kernel: String,
    /// The pass that it was checked as.
    pub pass: String,
    /// The device that it ran on.
    pub device: String,
    /// Constants of the file that were set to the numbers of each shape.
    pub constants: Vec<&'static str>,
    /// Outputs that were compared.
    pub outputs: Vec<&'static str>,
    /// Shapes that were tried.
    pub shapes: usize,
    /// Edge cases that the shader was not asked for, because it does not declare their settings.
    pub left_out: usize,
    /// Cases that were run, each twice: shapes with their operands.
    pub cases: usize,
    /// The worst error as a share of its bound, over the cases that passed; 0 if all were equal.
    pub worst: f64,
    /// The cases that failed.
    pub failures: Vec<KernelFailure>,
}

/// A case that failed.
#[derive(Clone, Debug, Serialize)]
pub struct KernelFailure {
    /// The pass with its shape.
    pub operation: String,
    /// The operands: `whole` for small whole numbers, `random`.
    pub operands: String,
    /// The element that is wrong, with expected and got, or what else is.
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

    /// Enters what came of a case. A device that is gone, or a shader that it refuses, is the end.
    pub(super) fn enter(&mut self, op: &dyn Op, what: &str, outcome: Result<f64, Finding>) -> Result<()> {
        self.cases += 1;
        let finding = match outcome {
            Ok(worst) => {
                self.worst = self.worst.max(worst);
                return Ok(());
            }
            Err(Finding::Device(error @ (Error::Shader(_) | Error::DeviceLost(_)))) => return Err(error),
            Err(finding @ Finding::Guard(_)) => {
                format!("{finding}: a buffer is longer than its tensor; compare indices with COUNT, not arrayLength")
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
    /// What was checked, the first failures, and one line for all of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KernelReport { kernel, pass, device, .. } = self;
        writeln!(f, "{kernel} as {pass} on {device}")?;
        let constants = if self.constants.is_empty() { "none".to_string() } else { self.constants.join(" ") };
        writeln!(f, "compared: {}; constants set: {constants}", self.outputs.join(" "))?;
        if self.left_out > 0 {
            let left_out = self.left_out;
            writeln!(f, "{left_out} edge cases left out: their settings are not declared, or their sums are too long")?;
        }
        for KernelFailure { operation, operands, finding } in self.failures.iter().take(SHOWN) {
            writeln!(f, "\nFAIL {operation}, {operands}\n  {finding}")?;
        }
        if let more @ 1.. = self.failures.len().saturating_sub(SHOWN) {
            writeln!(f, "  and {more} cases more")?;
        }
        let (cases, shapes) = (grouped(self.cases as u64), grouped(self.shapes as u64));
        let result = match (self.failures.len(), self.worst) {
            (0, 0.0) => "all equal".to_string(),
            (0, worst) => format!("pass, the worst error {worst:.3} of its bound"),
            (failed, _) => format!("{failed} FAIL"),
        };
        write!(f, "\n{cases} cases at {shapes} shapes, each run twice: {result}")
    }
}
