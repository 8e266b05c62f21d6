//! What a verification found: a table for people, JSON and Markdown for whoever has to mend the driver.

use super::functions::Sweep;
use crate::error::{Error, Result};
use crate::files::replace_file;
use crate::gpu::Gpu;
use crate::machine::Device;
use crate::table::{Align, Table, grouped};
use crate::text::{markdown, markdown_block, markdown_code};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Failures of a kernel that the table is followed by.
const MOST_FAILURES: usize = 3;

/// A kernel in a variant, over all of its cases.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRow {
    /// `conv2d/forward`; on the CPU the pass, `conv2d.forward`.
    pub kernel: String,
    /// Which of the variants of the kernel.
    pub variant: String,
    /// Cases that were run, each twice.
    pub cases: usize,
    /// The worst error as a share of its bound, over the cases that passed; 0 if all were equal.
    pub worst: f64,
    /// Cases that failed.
    pub failures: Vec<Failure>,
    /// Why it was expected to fail, if it was.
    pub known_bad: Option<String>,
}

/// A case that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The operation with its shape.
    pub operation: String,
    /// What its operands are.
    pub operands: String,
    /// What is wrong with the result.
    pub finding: String,
    /// The command that runs this case alone.
    pub repeat: String,
}

impl KernelRow {
    /// Whether something is wrong that nobody knew of.
    pub fn failed(&self) -> bool {
        !self.failures.is_empty() && self.known_bad.is_none()
    }

    fn result(&self) -> &'static str {
        match (self.failures.is_empty(), &self.known_bad) {
            (true, None) => "pass",
            (false, None) => "FAIL",
            (false, Some(_)) => "known bad",
            (true, Some(_)) => "pass, though known as bad",
        }
    }
}

/// What was verified.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceRecord {
    /// The device in a line.
    pub description: String,
    /// The adapter's name.
    pub adapter: String,
    /// Vendor and device, as PCI numbers them.
    pub ids: [u32; 2],
    /// `discrete GPU`, `software`, …
    pub kind: String,
    /// `vulkan`, `metal`, `dx12`
    pub backend: String,
    /// Driver and version.
    pub driver: String,
    /// Invocations of a subgroup, least and most.
    pub subgroup: [u32; 2],
    /// Whether kernels may use 64-bit integers.
    pub has_64_bit: bool,
}

impl DeviceRecord {
    /// The record of an open device; the CPU has a description alone.
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

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this program.
    pub shadegrad: &'static str,
    /// Version of the graphics library.
    pub wgpu: &'static str,
    /// Operating system and processor.
    pub system: String,
    /// When the verification began.
    pub started: String,
    /// The command that did it.
    pub command: String,
    /// What was verified.
    pub device: DeviceRecord,
    /// Kernels and variants.
    pub rows: Vec<KernelRow>,
    /// Functions of the driver.
    pub functions: Vec<Sweep>,
    /// Shapes that were drawn at random, beside the listed edge cases.
    pub random_shapes: usize,
    /// The seed that they were drawn by.
    pub seed: u64,
    /// Entries of the list of what is known to be wrong that passed, and other remarks.
    pub notes: Vec<String>,
    /// Whether it was stopped before the end.
    pub interrupted: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Report {
    /// Whether something is wrong that nobody knew of.
    pub fn failed(&self) -> bool {
        self.rows.iter().any(KernelRow::failed) || self.functions.iter().any(|sweep| sweep.finding.is_some())
    }

    /// Cases of all rows.
    pub fn cases(&self) -> usize {
        self.rows.iter().map(|row| row.cases).sum()
    }

    /// Kernels, functions, then every failure with its command.
    pub fn text(&self) -> String {
        let mut text = self.kernels_table();
        if !self.functions.is_empty() {
            text += "\n";
            text += &self.functions_table();
        }
        for row in &self.rows {
            for failure in row.failures.iter().take(MOST_FAILURES) {
                text += &format!("\n{} {}: {}, {}\n", row.result(), name(row), failure.operation, failure.operands);
                text += &format!("  {}\n  {}\n", failure.finding, failure.repeat);
            }
            if let more @ 1.. = row.failures.len().saturating_sub(MOST_FAILURES) {
                text += &format!("  and {more} cases more, which are in the report (--report FILE)\n");
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
            text += &format!("\n{shapes} of the shapes were drawn at random; `--seed {seed}` draws them again\n");
        }
        text += &format!("\n{}\n", self.verdict());
        text
    }

    /// One line for all of it.
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

    fn kernels_table(&self) -> String {
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
        table.render()
    }

    fn functions_table(&self) -> String {
        use Align::{Left, Right};
        let heading = ["function", "range", "inputs", "worst ULP", "worst", "of what is granted", ""];
        let mut table = Table::new(heading, [Left, Left, Right, Right, Right, Left, Left]);
        for sweep in &self.functions {
            let result = if sweep.finding.is_none() { "pass" } else { "FAIL" };
            let ulp = sweep.worst_ulp;
            let ulp = if ulp < 1e4 { format!("{ulp:.2}") } else { format!("{ulp:.1e}") };
            let inputs = sweep.inputs.to_string();
            let [function, range, grant, result] = [sweep.function, sweep.range, sweep.grant, result].map(String::from);
            table.row([function, range, inputs, ulp, format!("{:.3}", sweep.worst), grant, result]);
        }
        table.render()
    }

    /// Where a report of this name is written: `<path>.json` and `<path>.md`, in place of .json, .md or .txt if it ends so.
    pub fn paths(path: &Path) -> [PathBuf; 2] {
        let ends_so = path.extension().is_some_and(|ending| ["json", "md", "txt"].iter().any(|one| ending == *one));
        let stem = if ends_so { path.with_extension("") } else { path.to_path_buf() };
        ["json", "md"].map(|ending| stem.with_added_extension(ending))
    }

    /// Writes both. Gives their paths.
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
             started | {started} |\n| command | {} |\n\nA kernel's worst error is a share of the bound that is derived for it; \
             `equal`: every bit.\n\n{}",
            self.shadegrad,
            self.wgpu,
            markdown_code(&self.command, true),
            markdown_block(&self.text())
        )
    }
}

fn name(row: &KernelRow) -> String {
    if row.variant.is_empty() { row.kernel.clone() } else { format!("{}, {}", row.kernel, row.variant) }
}
