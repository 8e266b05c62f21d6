//! The report of a verification: a table for the terminal, and JSON and Markdown for the developers of the driver.

use super::functions::Sweep;
use crate::error::{Error, Result};
use crate::files::replace_file;
use crate::gpu::Gpu;
use crate::machine::Device;
use crate::table::{Align, Page, Table, grouped};
use crate::text::{markdown, markdown_block, markdown_code};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Failures of each kernel that are printed below the table.
const MOST_FAILURES: usize = 3;

/// A kernel in one variant, over all of its cases.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRow {
    /// For example `conv2d/forward`; on the CPU the pass, `conv2d.forward`.
    pub kernel: String,
    /// Variant of the kernel.
    pub variant: String,
    /// Cases that were run, each twice.
    pub cases: usize,
    /// The worst error relative to its bound, over the cases that passed; 0 if all results were equal.
    pub worst: f64,
    /// The cases that failed.
    pub failures: Vec<Failure>,
    /// The reason why it was expected to fail, if it was.
    pub known_bad: Option<String>,
}

/// A case that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The operation and its shape.
    pub operation: String,
    /// Kind of the operands.
    pub operands: String,
    /// What is wrong with the result.
    pub finding: String,
    /// The command that runs only this case.
    pub repeat: String,
}

impl KernelRow {
    /// Whether a case failed and the kernel is not listed as known bad.
    pub fn failed(&self) -> bool {
        !self.failures.is_empty() && self.known_bad.is_none()
    }

    fn result(&self) -> &'static str {
        match (self.failures.is_empty(), &self.known_bad) {
            (true, None) => "pass",
            (false, None) => "FAIL",
            (false, Some(_)) => "known bad",
            (true, Some(_)) => "pass, but listed as known bad",
        }
    }
}

/// The device that was verified.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceRecord {
    /// One-line description of the device.
    pub description: String,
    /// The adapter's name.
    pub adapter: String,
    /// PCI identifiers of vendor and device.
    pub ids: [u32; 2],
    /// For example `discrete GPU` or `software`.
    pub kind: String,
    /// Graphics API: `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Smallest and largest size of a subgroup, in invocations.
    pub subgroup: [u32; 2],
    /// Whether kernels may use 64-bit integers.
    pub has_64_bit: bool,
}

impl DeviceRecord {
    /// The record of an open device; a CPU has only a description.
    pub fn of(device: &Device) -> DeviceRecord {
        let description = device.description.clone();
        let of = |gpu: &Gpu| DeviceRecord {
            adapter: gpu.info.name.clone(),
            ids: [gpu.info.vendor, gpu.info.device],
            kind: gpu.type_name().to_string(),
            backend: gpu.info.backend.to_string(),
            driver: gpu.driver(),
            subgroup: [gpu.info.subgroup_min_size, gpu.info.subgroup_max_size],
            has_64_bit: gpu.has_64_bit(),
            description: description.clone(),
        };
        device.gpu().map(of).unwrap_or_else(|| DeviceRecord {
            adapter: "CPU".into(),
            ids: [0, 0],
            kind: "CPU".into(),
            backend: "native code".into(),
            driver: String::new(),
            subgroup: [0, 0],
            has_64_bit: true,
            description: description.clone(),
        })
    }
}

/// The results of a verification.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this program.
    pub shadegrad: &'static str,
    /// Version of wgpu.
    pub wgpu: &'static str,
    /// Operating system and processor.
    pub system: String,
    /// When the verification began.
    pub started: String,
    /// The command line.
    pub command: String,
    /// The device that was verified.
    pub device: DeviceRecord,
    /// Results for each kernel and variant.
    pub rows: Vec<KernelRow>,
    /// Results for the driver's built-in functions.
    pub functions: Vec<Sweep>,
    /// Number of shapes that were drawn at random, in addition to the listed edge cases.
    pub random_shapes: usize,
    /// The seed of the random shapes.
    pub seed: u64,
    /// Listed known bad kernels that passed, and other remarks.
    pub notes: Vec<String>,
    /// Whether the verification was stopped before its end.
    pub interrupted: bool,
    /// Duration in seconds.
    pub seconds: f64,
}

impl Report {
    /// Whether anything failed that is not listed as known bad.
    pub fn failed(&self) -> bool {
        self.rows.iter().any(KernelRow::failed) || self.functions.iter().any(|sweep| sweep.finding.is_some())
    }

    /// Number of cases over all rows.
    pub fn cases(&self) -> usize {
        self.rows.iter().map(|row| row.cases).sum()
    }

    /// The report as text: the tables, then every failure with the command that repeats it.
    pub fn text(&self) -> Page {
        let mut page = Page::from(self.kernels_table());
        if !self.functions.is_empty() {
            page.text("\n");
            page.table(self.functions_table());
        }
        page.text(self.findings());
        page
    }

    /// Every failure with the command that repeats it, the notes, and the verdict.
    fn findings(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            for failure in row.failures.iter().take(MOST_FAILURES) {
                text += &format!("\n{} {}: {}, {}\n", row.result(), name(row), failure.operation, failure.operands);
                text += &format!("  {}\n  {}\n", failure.finding, failure.repeat);
            }
            if let more @ 1.. = row.failures.len().saturating_sub(MOST_FAILURES) {
                text += &format!("  and {more} more cases; `--report FILE` lists them all\n");
            }
        }
        for finding in self.functions.iter().filter_map(|sweep| sweep.finding.as_ref()) {
            text += &format!("\nFAIL {finding}\n");
        }
        for note in &self.notes {
            text += &format!("\nnote: {note}\n");
        }
        if self.random_shapes > 0 {
            let (shapes, seed) = (grouped(self.random_shapes as u64), self.seed);
            text += &format!("\n{shapes} of the shapes were drawn at random; `--seed {seed}` repeats them\n");
        }
        text += &format!("\n{}\n", self.verdict());
        text
    }

    /// The result in one line.
    pub fn verdict(&self) -> String {
        let failed = self.rows.iter().filter(|row| row.failed()).count();
        let functions = self.functions.iter().filter(|sweep| sweep.finding.is_some()).count();
        let cases = self.cases();
        let seconds = self.seconds;
        let ended = if self.interrupted { "interrupted: " } else { "" };
        match failed + functions {
            0 => format!("{ended}{cases} cases, each run twice, in {seconds:.0} s: all pass"),
            _ => format!(
                "{ended}{cases} cases, each run twice, in {seconds:.0} s: {failed} of {} kernels and {functions} of {} \
                 functions FAIL",
                self.rows.len(),
                self.functions.len()
            ),
        }
    }

    fn kernels_table(&self) -> Table {
        use Align::{Left, Right};
        let heading = ["kernel", "variant", "cases", "worst", ""];
        let mut table = Table::new(heading, [Left, Left, Right, Right, Left]);
        let mut above = "";
        for row in &self.rows {
            let kernel = if row.kernel == above { "" } else { &row.kernel };
            let worst = if row.worst == 0.0 { "equal".to_string() } else { format!("{:.3}", row.worst) };
            let result = row.result().to_string();
            table.row([kernel.to_string(), row.variant.clone(), row.cases.to_string(), worst, result]);
            above = &row.kernel;
        }
        table
    }

    fn functions_table(&self) -> Table {
        use Align::{Left, Right};
        let heading = ["function", "range", "inputs", "worst ULP", "worst", "error allowed", ""];
        let mut table = Table::new(heading, [Left, Left, Right, Right, Right, Left, Left]);
        for sweep in &self.functions {
            let result = if sweep.finding.is_none() { "pass" } else { "FAIL" };
            let ulp = sweep.worst_ulp;
            let ulp = if ulp < 1e4 { format!("{ulp:.2}") } else { format!("{ulp:.1e}") };
            let inputs = sweep.inputs.to_string();
            let [function, range, grant, result] = [sweep.function, sweep.range, sweep.grant, result].map(String::from);
            table.row([function, range, inputs, ulp, format!("{:.3}", sweep.worst), grant, result]);
        }
        table
    }

    /// The report as JSON, with the overall result.
    ///
    /// # Errors
    ///
    /// [`Error::Run`] if it cannot be written as JSON, which is a defect of the program.
    pub fn json(&self) -> Result<serde_json::Value> {
        let mut json = serde_json::to_value(self).map_err(|error| Error::Run(error.to_string()))?;
        json["failed"] = self.failed().into();
        json["cases"] = self.cases().into();
        Ok(json)
    }

    /// The two files that a report is written to: `<path>.json` and `<path>.md`. A suffix of .json, .md or .txt is
    /// replaced.
    pub fn paths(path: &Path) -> [PathBuf; 2] {
        let ends_so = path.extension().is_some_and(|ending| ["json", "md", "txt"].iter().any(|one| ending == *one));
        let stem = if ends_so { path.with_extension("") } else { path.to_path_buf() };
        ["json", "md"].map(|ending| stem.with_added_extension(ending))
    }

    /// Writes both files and gives their paths.
    pub fn save(&self, path: &Path) -> Result<[PathBuf; 2]> {
        let paths = Report::paths(path);
        let json = serde_json::to_string_pretty(self).map_err(|error| Error::file(&paths[0], error.to_string()))?;
        replace_file(&paths[0], |file| file.write_all(json.as_bytes()))?;
        replace_file(&paths[1], |file| file.write_all(self.markdown().as_bytes()))?;
        Ok(paths)
    }

    fn markdown(&self) -> String {
        let DeviceRecord { description, adapter, ids, kind, backend, driver, subgroup, has_64_bit } = &self.device;
        let [vendor, device] = ids;
        let [least, most] = subgroup;
        let [description, adapter, kind, backend, driver, verdict, system, started] =
            [description, adapter, kind, backend, driver, &self.verdict(), &self.system, &self.started]
                .map(|it| markdown(it));
        format!(
            "# shadegrad verify: {description}\n\n| | |\n|---|---|\n| verdict | {verdict} |\n| adapter | {adapter} \
             ({vendor:#06x}:{device:#06x}, {kind}) |\n| backend | {backend} |\n| driver | {driver} |\n| subgroups | {least} \
             to {most} |\n| 64-bit integers | {has_64_bit} |\n| versions | shadegrad {}, wgpu {} |\n| system | {system} |\n| \
             started | {started} |\n| command | {} |\n\nThe worst error of a kernel is relative to the bound derived for it; \
             `equal` means no error.\n\n{}",
            self.shadegrad,
            self.wgpu,
            markdown_code(&self.command, true),
            markdown_block(&self.text().to_string())
        )
    }
}

fn name(row: &KernelRow) -> String {
    if row.variant.is_empty() { row.kernel.clone() } else { format!("{}, {}", row.kernel, row.variant) }
}
