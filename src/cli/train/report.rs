//! What a run prints: its start, a bar, a table with a row per epoch, and the result.

use crate::cli::cpu_hint;
use crate::cli::output::{duration, errln, grouped, outln, percent, print_confusion, print_page};
use crate::cli::program;
use crate::cli::progress::Bar;
use crate::cli::stop_on_ctrl_c;
use crate::cli::tune::TuningBar;
use shadegrad::Result;
use shadegrad::data::{DataPair, remarks};
use shadegrad::machine::Device;
use shadegrad::network::Network;
use shadegrad::run::{Run, RunEnd, RunEvent, read_epochs};
use shadegrad::text::{one_line, shell_word};
use shadegrad::train::{EpochReport, Lowest, Recipe, Recovery, StepsReport, TrainOptions};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Observes a run and prints its progress.
pub struct Reporter {
    json: bool,
    quiet: bool,
    /// The title in front of the bar, if another command trains; nothing but the bar is shown then.
    title: Option<String>,
    /// The options that come from the network's file.
    pub recipe: Recipe,
    /// The options of the run.
    options: TrainOptions,
    begun: Instant,
    /// The epoch that the bar shows.
    epoch: usize,
    /// Whether the heading of the epoch table has been printed.
    has_heading: bool,
    /// Number of epochs that this process has trained, and their duration in seconds, including evaluation.
    trained: (usize, f64),
    bar: Bar,
    tuning: TuningBar,
    /// Whether nothing is printed, because another process does.
    listens_only: bool,
    /// Set by Ctrl-C; available from the first step on.
    stop: Option<Arc<AtomicBool>>,
}

impl Reporter {
    pub fn new(quiet: bool, json: bool) -> Reporter {
        Reporter {
            json,
            quiet,
            title: None,
            recipe: Recipe::default(),
            options: TrainOptions::default(),
            begun: Instant::now(),
            epoch: 0,
            has_heading: false,
            trained: (0, 0.0),
            bar: Bar::default(),
            tuning: TuningBar::new(quiet || json),
            listens_only: false,
            stop: None,
        }
    }

    /// A reporter that shows only a bar with a title.
    pub fn with_title(title: &str) -> Reporter {
        Reporter { title: Some(title.to_string()), ..Reporter::new(true, false) }
    }

    /// Only tells from now on when the run is to end, and prints nothing, because another process does.
    pub fn listens_only(&mut self) {
        self.listens_only = true;
        self.stop = Some(stop_on_ctrl_c());
    }

    pub fn hear(&mut self, event: &RunEvent<'_>) -> Result<ControlFlow<()>> {
        match *event {
            _ if self.listens_only => {}
            RunEvent::Opened(device) => self.opened(device),
            RunEvent::Ranks(devices) => self.ranks(devices),
            RunEvent::Loaded { network, data } => self.loaded(network, data),
            RunEvent::Note(text) => self.note(&format!("note: {text}")),
            RunEvent::Warning(text) => self.say(&format!("warning: {text}")),
            RunEvent::BitsMayDiffer(text) if !self.quiet => self.say(&format!("warning: {text}")),
            RunEvent::CpuSpeed { cpu, shaders } => {
                if let Some(words) = cpu_hint::words(cpu, shaders) {
                    self.note(&words);
                }
            }
            RunEvent::Tuning(event) => self.tuning.hear(event),
            RunEvent::Resumed { step, checkpoint } => {
                self.note(&format!("resumed after step {step}, from {}", checkpoint.display()));
            }
            RunEvent::Started { options, .. } => self.started(options),
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

    fn ranks(&self, devices: &[String]) {
        let mut kinds: Vec<(&str, Vec<String>)> = Vec::new();
        for (rank, device) in devices.iter().enumerate() {
            match kinds.iter_mut().find(|(known, _)| known == device) {
                Some((_, ranks)) => ranks.push(rank.to_string()),
                None => kinds.push((device, vec![rank.to_string()])),
            }
        }
        if let [_] = kinds[..] {
            return self.note(&format!("ranks: {}, each on a device of this kind", devices.len()));
        }
        for (device, ranks) in kinds {
            let many = if ranks.len() == 1 { "rank" } else { "ranks" };
            self.note(&format!("{many} {} of {}: {device}", ranks.join(", "), devices.len()));
        }
    }

    fn loaded(&self, network: &Network, data: &DataPair) {
        let grouped = |count: usize| grouped(count as u64);
        let (training, validation) = (grouped(data.train.len()), grouped(data.test.len()));
        self.note(&format!("data: {}, {training} training and {validation} validation images", data.source));
        self.note(&format!("network: {}, {} parameters", network.name, grouped(network.parameter_count())));
        if !self.recipe.is_empty() {
            let Recipe { origin, .. } = &self.recipe;
            self.note(&format!("recipe: {} (from {origin}; command-line options override it)", self.recipe));
        }
    }

    /// Prepares for the first step. From here on, Ctrl-C ends the run between two steps.
    fn started(&mut self, options: &TrainOptions) {
        self.stop = Some(stop_on_ctrl_c());
        self.options = options.clone();
        self.begun = Instant::now();
        // The bar is not printed through `output`, which sanitizes control characters, and its template treats braces
        // as fields.
        let plain = |title: &String| format!("{}  ", one_line(title).replace('{', "{{").replace('}', "}}"));
        let title = self.title.as_ref().map_or_else(String::new, plain);
        let template = title + "{prefix} {wide_bar} step {pos}/{len}  {msg}";
        self.bar = Bar::new(&template, !self.is_silent() || self.title.is_some());
    }

    fn steps(&mut self, report: &StepsReport<'_>) {
        if report.epoch != self.epoch {
            self.epoch = report.epoch;
            self.bar.begin(report.steps as u64, || format!("epoch {}/{}", report.epoch, self.options.epochs));
        }
        self.bar.show(report.done as u64, || {
            let speed = format!("loss {:.4}  {:.0} images/s", report.epoch_loss, report.images_per_second);
            let seconds =
                |steps: usize| steps.saturating_mul(self.options.batch_size) as f64 / report.images_per_second;
            // The first steps are slow, because the driver compiles kernels.
            if self.trained.0 == 0 && seconds(report.done) < SETTLED_SECONDS {
                return speed;
            }
            format!("{speed}  {} left", duration(seconds(self.steps_left(report))))
        });
    }

    /// Steps until the run ends, unless early stopping ends it before.
    fn steps_left(&self, report: &StepsReport<'_>) -> usize {
        let TrainOptions { epochs, max_steps, .. } = self.options;
        let done = (report.epoch - 1) * report.steps + report.done;
        let all = epochs.saturating_mul(report.steps).min(max_steps.unwrap_or(usize::MAX));
        all.saturating_sub(done)
    }

    /// Prints a row of the epoch table, of at most 70 columns.
    fn epoch(&mut self, report: &EpochReport) -> Result<()> {
        self.trained = (self.trained.0 + 1, self.begun.elapsed().as_secs_f64());
        if self.is_silent() {
            return Ok(());
        }
        let has_heading = std::mem::replace(&mut self.has_heading, true);
        let (trained, seconds) = self.trained;
        let epochs_left = self.options.epochs.saturating_sub(report.epoch);
        let row = [
            format!("{}/{}", report.epoch, self.options.epochs),
            format!("{:.4}", report.train_loss),
            percent(report.train_accuracy),
            format!("{:.4}", report.val_loss),
            percent(report.val_accuracy),
            grouped(report.images_per_second.round() as u64),
            if epochs_left == 0 { String::new() } else { duration(seconds / trained as f64 * epochs_left as f64) },
        ];
        self.bar.aside(|| {
            if !has_heading {
                outln!("{}", epoch_row(&EPOCH_HEADING.map(String::from)))?;
            }
            outln!("{}", epoch_row(&row))
        })
    }

    fn recovered(&self, recovery: &Recovery<'_>) {
        let Recovery { problem, times, step, most_steps, device } = recovery;
        self.say(&format!(
            "warning: {problem}\nreopened {} ({times} of 3); continuing from step {step}, with at most {most_steps} steps \
             per submit",
            device.description
        ));
    }

    /// Prints a line, unless the run is silent.
    fn note(&self, line: &str) {
        if !self.is_silent() {
            self.say(line);
        }
    }

    fn say(&self, line: &str) {
        self.bar.aside(|| errln!("{line}"));
    }

    /// Removes the bar.
    pub fn clear(&mut self) {
        self.bar.clear();
        self.tuning.clear();
    }

    /// Prints the results, and what to do with them. `is_first` is set for a new run without MODEL and `--data`.
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
            outln!("")?;
            print_page(&profile.table(ceilings.as_ref()), &[])?;
        }
        let Some(evaluation) = evaluation else { return Ok(()) };
        outln!("")?;
        print_confusion(evaluation)?;
        outln!(
            "\nreached {} of {} validation images after {} steps, in {}",
            percent(evaluation.accuracy()),
            grouped(evaluation.images()),
            grouped(progress.step as u64),
            duration(self.begun.elapsed().as_secs_f64())
        )?;
        self.name_best(run)?;
        let path = shell_word(&folder.to_string_lossy());
        outln!("the run is in {path}")?;
        if let Some(remark) = remarks::learned_nothing(&evaluation.confusion, self.options.learning_rate) {
            errln!("note: {remark}");
        }
        let program = program::name();
        outln!("\nwhat to try next:")?;
        outln!("  {program} predict {path} --sample")?;
        outln!("  {program} evaluate {path}")?;
        if is_first {
            outln!("  {program} data fetch mnist && {program} train case2 -d data/mnist")?;
        }
        Ok(())
    }

    /// Names the best epoch and its checkpoint, if it is not the last epoch.
    fn name_best(&self, run: &Run) -> Result<()> {
        // A damaged file is not worth an error at the end of the training.
        let Ok(epochs) = read_epochs(&run.folder) else { return Ok(()) };
        let best = run.progress.best.and_then(|best| epochs.iter().find(|epoch| epoch.step == best.step));
        let checkpoint = run.folder.join("checkpoints/best.safetensors");
        match best {
            Some(best) if best.epoch < run.progress.epochs && checkpoint.is_file() => outln!(
                "the best epoch was {} with {}: {}",
                best.epoch,
                percent(best.val_accuracy),
                shell_word(&checkpoint.to_string_lossy())
            ),
            _ => Ok(()),
        }
    }
}

/// Training time after which the remaining time is estimated from the speed.
const SETTLED_SECONDS: f64 = 5.0;

const EPOCH_HEADING: [&str; 7] = ["epoch", "train loss", "train acc", "val loss", "val acc", "images/s", "left"];

fn epoch_row(cells: &[String; 7]) -> String {
    let [epoch, train_loss, train_accuracy, val_loss, val_accuracy, speed, left] = cells;
    let row = format!(
        "{epoch:>7}  {train_loss:>10}  {train_accuracy:>9}  {val_loss:>8}  {val_accuracy:>9}  {speed:>8}  {left:>11}"
    );
    row.trim_end().to_string()
}
