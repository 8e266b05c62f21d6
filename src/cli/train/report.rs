//! What a run says while it trains: the lines of `metrics.jsonl`, a bar, and the last words.

use super::Options;
use crate::cli::output::{confusion_table, errln, grouped, outln, percent};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use shadegrad::Result;
use shadegrad::evaluate::Evaluation;
use shadegrad::text::one_line;
use shadegrad::train::{EpochReport, Progress, Recovery, StepsReport};
use std::io::IsTerminal;
use std::path::Path;

#[derive(Serialize)]
struct StepLine {
    kind: &'static str,
    step: usize,
    epoch: usize,
    loss: f64,
}

/// A line for every N-th step.
pub fn step_lines(report: &StepsReport<'_>, every: usize) -> Vec<String> {
    let numbered = report.losses.iter().enumerate().map(|(index, loss)| (report.first_step + index, *loss));
    numbered
        .filter(|(step, _)| step.is_multiple_of(every))
        .map(|(step, loss)| json(&StepLine { kind: "step", step, epoch: report.epoch, loss }))
        .collect()
}

#[derive(Serialize)]
struct EpochLine<'a> {
    kind: &'static str,
    #[serde(flatten)]
    report: &'a EpochReport,
}

/// The line of an epoch.
pub fn epoch_line(report: &EpochReport) -> String {
    json(&EpochLine { kind: "epoch", report })
}

/// The line of a profile.
pub fn profile_line(profile: serde_json::Value) -> String {
    json(&ProfileLine { kind: "profile", profile })
}

#[derive(Serialize)]
struct ProfileLine {
    kind: &'static str,
    #[serde(flatten)]
    profile: serde_json::Value,
}

fn json(line: &impl Serialize) -> String {
    match serde_json::to_string(line) {
        Ok(text) => text,
        Err(error) => unreachable!("numbers and words: {error}"),
    }
}

/// What the user sees meanwhile: a bar within the epoch on a terminal, a line an epoch anywhere.
pub struct Reporter {
    json: bool,
    quiet: bool,
    epochs: usize,
    /// The one that the bar shows.
    epoch: usize,
    bar: Option<ProgressBar>,
}

impl Reporter {
    pub fn new(options: &Options, epochs: usize) -> Reporter {
        let wanted = (!options.silent() || options.title.is_some()) && std::io::stderr().is_terminal();
        // A bar is drawn past what keeps control characters from the terminal, and takes braces for fields.
        let plain = |title: &String| format!("{}  ", one_line(title).replace('{', "{{").replace('}', "}}"));
        let title = options.title.as_ref().map_or_else(String::new, plain);
        let style = title + "epoch {prefix} {bar:28} {pos}/{len} steps  {msg}  {eta} left";
        let bar = wanted.then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template(&style) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar
        });
        Reporter { json: options.json, quiet: options.quiet, epochs, epoch: 0, bar }
    }

    /// A line of `metrics.jsonl`, for `--json`.
    pub fn json_line(&self, line: &str) -> Result<()> {
        if self.json && !self.quiet {
            outln!("{line}")?;
        }
        Ok(())
    }

    /// Moves the bar.
    pub fn steps(&mut self, report: &StepsReport<'_>) {
        let Some(bar) = &self.bar else { return };
        if report.epoch != self.epoch {
            self.epoch = report.epoch;
            bar.reset();
            bar.set_length(report.steps as u64);
            bar.set_prefix(format!("{}/{}", report.epoch, self.epochs));
        }
        bar.set_position(report.done as u64);
        bar.set_message(format!("loss {:.4}  {:.0} images/s", report.epoch_loss, report.images_per_second));
    }

    /// The line of an epoch, for people.
    pub fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        if self.quiet || self.json {
            return Ok(());
        }
        let line = format!(
            "epoch {:>2}/{}  train loss {:.4}  accuracy {}  val loss {:.4}  accuracy {}  {:.0} images/s",
            report.epoch,
            self.epochs,
            report.train_loss,
            percent(report.train_accuracy),
            report.val_loss,
            percent(report.val_accuracy),
            report.images_per_second
        );
        match &self.bar {
            Some(bar) => bar.suspend(|| outln!("{line}")),
            None => outln!("{line}"),
        }
    }

    /// A device that was lost.
    pub fn recovery(&self, recovery: &Recovery<'_>) {
        let Recovery { problem, times, step, most_steps, device } = recovery;
        let warning = format!(
            "warning: {problem}\nopened {} anew ({times} of 3); going on from step {step}, with at most {most_steps} steps \
             a submit",
            device.description
        );
        self.say(&warning);
    }

    /// A line that is not needed.
    pub fn note(&self, line: &str) {
        if !self.quiet && !self.json {
            self.say(line);
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| errln!("{line}")),
            None => errln!("{line}"),
        }
    }

    /// Takes the bar away.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// What has been reached, and what could be done with it.
pub fn conclude(builtin: bool, evaluation: &Evaluation, progress: &Progress, run: &Path) -> Result<()> {
    let path = run.display();
    outln!("\n{}", confusion_table(evaluation))?;
    outln!(
        "reached {} of {} validation images after {} steps",
        percent(evaluation.accuracy()),
        grouped(evaluation.images()),
        grouped(progress.step as u64)
    )?;
    outln!("the run is in {path}\n\nwhat to try next:")?;
    outln!("  shadegrad predict {path} assets/digits/seven.png")?;
    outln!("  shadegrad evaluate {path}")?;
    if builtin {
        outln!(
            "  shadegrad data fetch mnist && shadegrad train --data data/mnist --epochs 15   (the paper's settings)"
        )?;
    }
    Ok(())
}
