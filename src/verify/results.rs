//! The results of a verification so far: one row for each kernel and variant.

use super::Check;
use super::expected::Finding;
use super::item::Item;
use super::launch::Launch;
use super::only::Shape;
use super::report::{Failure, KernelRow};
use super::run::VerifyOptions;
use crate::known_bad::KnownBad;
use std::collections::BTreeMap;

/// The results so far.
pub(super) struct Results<'a> {
    options: &'a VerifyOptions,
    known: KnownBad,
    rows: Vec<KernelRow>,
    /// The first failure of each kernel, by kernel, variant and hash of the shaders.
    launches: BTreeMap<String, (Launch, Option<String>)>,
}

impl<'a> Results<'a> {
    /// The results before the first case.
    pub fn new(options: &'a VerifyOptions, known: KnownBad) -> Results<'a> {
        Results { options, known, rows: Vec::new(), launches: BTreeMap::new() }
    }

    /// Records the outcome of a check of an item in one of its variants.
    pub fn case(
        &mut self,
        of: (&str, &str),
        launch: Option<&Launch>,
        outcome: Result<f64, Finding>,
        item: &Item,
        check: &Check,
        variant: usize,
    ) {
        let seed = match item.shape {
            Shape::Random(_) => format!(" --seed {}", self.options.seed),
            Shape::Listed(_) => String::new(),
        };
        let only = format!("{}:{}:{variant}{seed}", item.name, item.shape);
        self.enter(of, launch, outcome, (&format!("{:?}", item.op), check.what), only);
    }

    /// Records the outcome of a case in the row of its kernel and variant.
    pub fn enter(
        &mut self,
        (kernel, variant): (&str, &str),
        launch: Option<&Launch>,
        outcome: Result<f64, Finding>,
        (operation, operands): (&str, &str),
        only: String,
    ) {
        let index = match self.rows.iter().position(|row| row.kernel == kernel && row.variant == variant) {
            Some(index) => index,
            None => {
                let known_bad = launch.and_then(|launch| self.known.judged(launch)).map(|entry| entry.reason.clone());
                let (kernel, variant) = (kernel.to_string(), variant.to_string());
                self.rows.push(KernelRow { kernel, variant, cases: 0, worst: 0.0, failures: Vec::new(), known_bad });
                self.rows.len() - 1
            }
        };
        let row = &mut self.rows[index];
        row.cases += 1;
        let finding = match outcome {
            Ok(worst) => {
                row.worst = row.worst.max(worst);
                None
            }
            Err(finding) => {
                let finding = finding.to_string();
                let repeat = format!("{} --only {only}", self.options.repeat);
                let (operation, operands) = (operation.to_string(), operands.to_string());
                row.failures.push(Failure { operation, operands, finding: finding.clone(), repeat });
                Some(finding)
            }
        };
        if let Some(launch) = launch {
            let key = format!("{launch}, {}", launch.sources);
            let (_, wrong) = self.launches.entry(key).or_insert_with(|| (launch.clone(), None));
            *wrong = wrong.take().or(finding);
        }
    }

    /// Kernels that failed and that no known bad entry covers, each with its first failure.
    pub fn found(&self) -> impl Iterator<Item = (&Launch, &str)> {
        let wrong = self.launches.values().filter_map(|(launch, why)| Some((launch, why.as_deref()?)));
        wrong.filter(|(launch, _)| self.known.judged(launch).is_none())
    }

    /// Kernels that passed all of their cases.
    pub fn right(&self) -> impl Iterator<Item = &Launch> {
        self.launches.values().filter(|(_, wrong)| wrong.is_none()).map(|(launch, _)| launch)
    }

    /// A note for each kernel that was expected to fail and passed.
    pub fn notes(&self) -> Vec<String> {
        let passed = self.rows.iter().filter(|row| row.failures.is_empty());
        let note = |row: &KernelRow| {
            let reason = row.known_bad.as_ref()?;
            Some(format!("{} {} passes, although it is listed as known bad: {reason}", row.kernel, row.variant))
        };
        passed.filter_map(note).collect()
    }

    /// The rows, grouped by kernel, with kernels in the order in which they first appeared.
    pub fn sorted(&self) -> Vec<KernelRow> {
        let first = |row: &KernelRow| self.rows.iter().position(|other| other.kernel == row.kernel);
        let mut rows = self.rows.clone();
        rows.sort_by_key(first);
        rows
    }
}
