//! What a run says on the terminal: its start, a bar, a line an epoch, and the last words.

use crate::cli::cpu_hint;
use crate::cli::output::{confusion_table, errln, grouped, outln, percent};
use crate::cli::progress::Bar;
use crate::cli::stop_on_ctrl_c;
use crate::cli::tune::TuningBar;
use shadegrad::Result;
use shadegrad::data::{DataPair, remarks};
use shadegrad::machine::Device;
use shadegrad::network::Network;
use shadegrad::run::{Run, RunEnd, RunEvent};
use shadegrad::text::one_line;
use shadegrad::train::{EpochReport, Lowest, Recipe, Recovery, StepsReport};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Hears what a run does.
pub struct Reporter {
    json: bool,
    quiet: bool,
    /// What stands before the bar where another command trains, which is then all that is to be seen.
    title: Option<String>,
    /// What of the options is from the network's file.
    pub recipe: Recipe,
    epochs: usize,
    /// The one that the bar shows.
    epoch: usize,
    bar: Bar,
    tuning: TuningBar,
    /// Set by Ctrl-C, from the first step on.
    stop: Option<Arc<AtomicBool>>,
}

impl Reporter {
    pub fn new(quiet: bool, json: bool) -> Reporter {
        Reporter {
            json,
            quiet,
            title: None,
            recipe: Recipe::default(),
            epochs: 0,
            epoch: 0,
            bar: Bar::default(),
            tuning: TuningBar::new(quiet || json),
            stop: None,
        }
    }

    /// One that shows a bar behind a title and nothing else.
    pub fn with_title(title: &str) -> Reporter {
        Reporter { title: Some(title.to_string()), ..Reporter::new(true, false) }
    }

    pub fn hear(&mut self, event: &RunEvent<'_>) -> Result<ControlFlow<()>> {
        match *event {
            RunEvent::Opened(device) => self.opened(device),
            RunEvent::Loaded { network, data } => self.loaded(network, data),
            RunEvent::Note(text) => self.note(&format!("note: {text}")),
            RunEvent::Warning(text) => self.say(&format!("warning: {text}")),
            RunEvent::BitsMayDiffer(text) if !self.quiet => self.say(&format!("warning: {text}")),
            RunEvent::CpuSpeed { cpu, shaders } => self.note(&cpu_hint::words(cpu, shaders)),
            RunEvent::Tuning(event) => self.tuning.hear(event),
            RunEvent::Resumed { step, checkpoint } => {
                self.note(&format!("resumed after step {step}, from {}", checkpoint.display()));
            }
            RunEvent::Started { options, .. } => self.started(options.epochs),
            RunEvent::Steps(report) => self.steps(report),
            RunEvent::Metric(line) if self.json && !self.quiet => outln!("{line}")?,
            RunEvent::Epoch(report) => self.epoch(report)?,
            RunEvent::Recovered(recovery) => self.recovered(recovery),
            _ => {}
        }
        let stops = self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
        Ok(if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn is_silent(&self) -> bool {
        self.quiet || self.json
    }

    fn opened(&self, device: &Device) {
        self.note(&format!("device: {}", device.description));
        if let Some(notice) = &device.notice {
            self.note(&format!("note: {notice}"));
        }
    }

    fn loaded(&self, network: &Network, data: &DataPair) {
        let grouped = |count: usize| grouped(count as u64);
        let (training, validation) = (grouped(data.train.len()), grouped(data.test.len()));
        self.note(&format!("data: {}, {training} training and {validation} validation images", data.source));
        self.note(&format!("network: {}, {} parameters", network.name, grouped(network.parameter_count())));
        if !self.recipe.is_empty() {
            let Recipe { origin, .. } = &self.recipe;
            self.note(&format!("training: {} (of {origin}; options on the command line win)", self.recipe));
        }
    }

    /// From here on Ctrl-C ends the run between two steps.
    fn started(&mut self, epochs: usize) {
        self.stop = Some(stop_on_ctrl_c());
        self.epochs = epochs;
        // A bar is drawn past what keeps control characters from the terminal, and takes braces for fields.
        let plain = |title: &String| format!("{}  ", one_line(title).replace('{', "{{").replace('}', "}}"));
        let title = self.title.as_ref().map_or_else(String::new, plain);
        let template = title + "epoch {prefix} {bar:28} {pos}/{len} steps  {msg}  {eta} left";
        self.bar = Bar::new(&template, !self.is_silent() || self.title.is_some());
    }

    fn steps(&mut self, report: &StepsReport<'_>) {
        if report.epoch != self.epoch {
            self.epoch = report.epoch;
            self.bar.begin(report.steps as u64, || format!("{}/{}", report.epoch, self.epochs));
        }
        self.bar.show(report.done as u64, || {
            format!("loss {:.4}  {:.0} images/s", report.epoch_loss, report.images_per_second)
        });
    }

    fn epoch(&self, report: &EpochReport) -> Result<()> {
        if self.is_silent() {
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
        self.bar.aside(|| outln!("{line}"))
    }

    fn recovered(&self, recovery: &Recovery<'_>) {
        let Recovery { problem, times, step, most_steps, device } = recovery;
        self.say(&format!(
            "warning: {problem}\nopened {} anew ({times} of 3); going on from step {step}, with at most {most_steps} steps \
             a submit",
            device.description
        ));
    }

    /// A line that is not needed.
    fn note(&self, line: &str) {
        if !self.is_silent() {
            self.say(line);
        }
    }

    fn say(&self, line: &str) {
        self.bar.aside(|| errln!("{line}"));
    }

    /// Takes the bar away.
    pub fn clear(&mut self) {
        self.bar.clear();
        self.tuning.clear();
    }

    /// What has been reached, and what could be done with it. `is_first` is true of a run that was told no data.
    pub fn conclude(&self, run: &Run, is_first: bool) -> Result<()> {
        if self.is_silent() {
            return Ok(());
        }
        let Run { folder, progress, evaluation, .. } = run;
        if let RunEnd::StoppedEarly(Lowest { epoch, val_loss }) = run.end {
            let after = progress.epochs;
            outln!("stopped after epoch {after}: the validation loss was lowest in epoch {epoch}, {val_loss:.4}")?;
        }
        if let Some((profile, ceilings)) = &run.profile {
            outln!("\n{}", profile.table(ceilings.as_ref()))?;
        }
        let Some(evaluation) = evaluation else { return Ok(()) };
        let path = folder.display();
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
        if is_first {
            outln!(
                "  shadegrad data fetch mnist && shadegrad train --data data/mnist --epochs 15   (the paper's settings)"
            )?;
        }
        if let Some(remark) = remarks::one_answer(&evaluation.confusion) {
            errln!("note: {remark}");
        }
        Ok(())
    }
}
