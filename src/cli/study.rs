//! `shadegrad study`: the paper's six networks with several seeds, and a report that puts them beside its table; or any
//! networks that carry a recipe, and a report on them.

use super::train::Reporter;
use super::{DataOption, DeviceOption, INTERRUPTED, cache, model_help, stop_on_ctrl_c};
use crate::cli::output::{counted, errln, out, outln, percent};
use clap::Args;
use shadegrad::data::{DataPair, Source};
use shadegrad::lock::Lock;
use shadegrad::run::Validation;
use shadegrad::study::Trained;
use shadegrad::study::{
    ANN_EPOCHS, Cases, Choice, Common, DESCENT, Descent, EPOCHS, FinishedRun, HELD_OUT, Job, ReportOptions, Study,
    StudyEvent, Subjects, Tried, duration,
};
use shadegrad::table::grouped;
use shadegrad::text::shell_word;
use shadegrad::train::{OptionError, ScheduleKind};
use shadegrad::{Error, Result};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Seeds of a study.
const SEEDS: u64 = 5;

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Options {
    /// Which of the paper's networks: 2, 1-6, 1,3-5
    #[arg(long, default_value = "1-6")]
    cases: Cases,
    #[arg(long, value_name = "MODEL,...", value_delimiter = ',', help = format!(
        "Train these networks instead, each by its own recipe, and report on them alone. {}; what its [training] does not \
         say is as `train` has it",
        model_help()
    ), conflicts_with_all = ["cases", "comparisons", "learning_rate", "momentum", "schedule", "choose"])]
    models: Vec<String>,
    /// How often each is trained: with the seeds from 1 to this
    #[arg(long, value_name = "N", default_value_t = SEEDS, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Passes over the training set [default: 15, as in the paper; with --models what each recipe says]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Step of gradient descent; `--choose` says which is best on held-out images
    #[arg(long, default_value_t = DESCENT.learning_rate)]
    learning_rate: f32,
    /// Share of the former step that is kept, from 0 (plain gradient descent) to below 1
    #[arg(long, default_value_t = DESCENT.momentum)]
    momentum: f32,
    /// How the learning rate changes from step to step
    #[arg(long, value_enum, default_value_t = DESCENT.schedule)]
    schedule: ScheduleKind,
    /// Evaluate the epochs of --models on a number (5000) or share (0.1) of training images that each seed holds out, and
    /// not on the test set: to choose among networks
    #[arg(long, value_name = "test|SPLIT", requires = "models", conflicts_with = "pictures")]
    validation: Option<Validation>,
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    device: DeviceOption,
    /// The folder of the study: runs and report. What is there already is kept and gone on with
    #[arg(long, value_name = "DIR", default_value = "study")]
    out: PathBuf,
    /// Train the systems too that the paper compares itself with: a feed-forward network of four hidden layers,
    /// LeNet-5, and case 2 with the quadratic cost
    #[arg(long)]
    comparisons: bool,
    /// Passes over the training set of the feed-forward network
    #[arg(long, value_name = "N", default_value_t = ANN_EPOCHS, requires = "comparisons")]
    ann_epochs: usize,
    /// Try a grid of learning rates and momenta instead, on the first of --cases, judged by images held out of the
    /// training set, and write what was chosen to choice/ in the folder of the study
    #[arg(long, conflicts_with_all = ["seeds", "learning_rate", "momentum", "comparisons", "pictures", "report_only"])]
    choose: bool,
    /// Training images that --choose holds out
    #[arg(long, value_name = "N", default_value_t = HELD_OUT, requires = "choose")]
    held_out: usize,
    /// Draw the digits that each network is worst at, too. They are images of the data set: such a report is not for
    /// publishing
    #[arg(long)]
    pictures: bool,
    /// Write the report of what is finished, and train nothing; also while another process trains
    #[arg(long)]
    report_only: bool,
    /// Print nothing but errors
    #[arg(long)]
    quiet: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let source = options.data.source(options.quiet || options.report_only);
    let mut study = options.study(source)?;
    for job in study.jobs()? {
        job.options.check()?;
    }
    if options.choose {
        return choose(options, &mut study);
    }
    let jobs = study.jobs()?.len();
    let trained = if options.report_only { Trained::default() } else { train(options, &mut study)? };
    if trained.is_interrupted {
        errln!(
            "interrupted; finished runs are kept, and so is the one under way\nto go on: the same command again; with \
             --report-only it writes the report of what is there"
        );
        return Ok(ExitCode::from(INTERRUPTED));
    }
    // A reader that has seen enough wants no report either.
    if let Some(Error::Io { source, .. }) = &trained.error
        && source.kind() == ErrorKind::BrokenPipe
    {
        return trained.error.map_or(Ok(ExitCode::FAILURE), Err);
    }
    let reported = report(options, &mut study, &trained);
    let problems = problems(&trained, jobs);
    match (problems.is_empty(), reported) {
        (true, reported) => reported.map(|()| ExitCode::SUCCESS),
        (false, Ok(())) => Err(Error::Run(format!("{problems}; the report says which"))),
        (false, Err(error)) => Err(Error::Run(format!("{problems}; {error}"))),
    }
}

/// What went wrong with runs, if anything did.
fn problems(trained: &Trained, jobs: usize) -> String {
    let all = counted(jobs, "run");
    let diverged = Some(trained.diverged.len()).filter(|count| *count > 0);
    let diverged = diverged.map(|count| format!("{count} of {all} diverged: a loss or a weight was not finite"));
    let failed =
        trained.failed.first().map(|(_, problem)| format!("{} of {all} failed: {problem}", trained.failed.len()));
    let error = trained.error.as_ref().map(|error| format!("not all of {all} were tried: {error}"));
    [diverged, failed, error].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// `--choose`
fn choose(options: &Options, study: &mut Study) -> Result<ExitCode> {
    let (grid, data) = study.prepare_choice(options.held_out)?;
    introduce(options, &data)?;
    drop(data);
    let _lock = enter(study)?;
    let mut reporter = StudyReporter::new(options.quiet);
    let chosen = pollster::block_on(study.choose(&grid, options.held_out, &mut |event| reporter.hear(event)));
    reporter.clear();
    match chosen? {
        None => {
            errln!("interrupted; what was tried is kept\nto go on: the same command again");
            Ok(ExitCode::from(INTERRUPTED))
        }
        Some(Choice { learning_rate, momentum, .. }) => {
            if !options.quiet {
                outln!("chosen: --learning-rate {learning_rate} --momentum {momentum}")?;
                outln!("the table is in {}", options.out.join("choice/choice.md").display())?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Trains what is missing.
fn train(options: &Options, study: &mut Study) -> Result<Trained> {
    introduce(options, &study.prepare()?)?;
    let _lock = enter(study)?;
    let mut reporter = StudyReporter::new(options.quiet);
    let trained = pollster::block_on(study.train(&mut |event| reporter.hear(event)));
    reporter.clear();
    trained
}

/// Says what is trained on and by what, which the runs themselves do not.
fn introduce(options: &Options, data: &DataPair) -> Result<()> {
    if !options.quiet {
        let images = |count: usize| grouped(count as u64);
        let (training, validation) = (images(data.train.len()), images(data.test.len()));
        errln!("data: {}, {training} training and {validation} validation images", data.source);
    }
    options.device.open(options.quiet).map(|_| ())
}

fn enter(study: &Study) -> Result<Lock> {
    let (lock, warning) = study.enter()?;
    if let Some(warning) = warning {
        errln!("warning: {warning}");
    }
    Ok(lock)
}

/// Writes the report, and says the most important of it.
fn report(options: &Options, study: &mut Study, trained: &Trained) -> Result<()> {
    let pictures = options.pictures.then(|| options.device.open(true)).transpose()?;
    let report =
        ReportOptions { command: options.command(study), train_commands: options.train_commands(study)?, pictures };
    let summary = study.report(trained, report)?;
    if !options.quiet {
        out!("\n{summary}")?;
        outln!("\nthe report is in {}", options.out.join("report.html").display())?;
    }
    Ok(())
}

/// A line for each run, and a bar for the one that is under way.
struct StudyReporter {
    is_quiet: bool,
    run: Option<Reporter>,
}

impl StudyReporter {
    fn new(is_quiet: bool) -> StudyReporter {
        stop_on_ctrl_c();
        StudyReporter { is_quiet, run: None }
    }

    fn hear(&mut self, event: StudyEvent<'_>) -> Result<ControlFlow<()>> {
        match event {
            StudyEvent::Kept { done, of } => {
                self.say(&format!("finished and kept: {done} of {}", counted(of, "run")))?;
            }
            StudyEvent::Begins { job, epochs } => {
                if epochs > 0 {
                    self.say(&format!("{}  goes on after {epochs} of {}", job.title, counted(job.epochs(), "epoch")))?;
                }
                self.run = Some(Reporter::with_title(&job.title));
            }
            StudyEvent::Run { event, .. } => {
                if let Some(run) = &mut self.run {
                    let _ = run.hear(event)?;
                }
            }
            StudyEvent::Diverged { job, problem } => self.say(&format!("{}  diverged: {problem}", job.title))?,
            StudyEvent::Failed { job, problem } => self.say(&format!("{}  failed: {problem}", job.title))?,
            StudyEvent::Finished { job, run, done, of } => {
                self.say(&format!("{}  {}  ({done} of {})", job.title, reached(run), counted(of, "run")))?;
            }
            StudyEvent::Tried { job, point } => self.say(&format!("{}  {}", job.title, tried(point)))?,
            _ => {}
        }
        let stops = stop_on_ctrl_c().load(Ordering::Relaxed);
        Ok(if stops { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn say(&mut self, line: &str) -> Result<()> {
        self.clear();
        if self.is_quiet { Ok(()) } else { outln!("{line}") }
    }

    fn clear(&mut self) {
        if let Some(mut run) = self.run.take() {
            run.clear();
        }
    }
}

fn reached(run: &FinishedRun) -> String {
    let last = run.last();
    format!(
        "{}  accuracy {}  loss {:.4}  {}  {} images/s",
        counted(last.epoch, "epoch"),
        percent(last.val_accuracy),
        last.val_loss,
        duration(run.seconds()),
        grouped(last.images_per_second.round() as u64)
    )
}

fn tried(point: &Tried) -> String {
    point.reached.map_or_else(
        || "diverged".to_string(),
        |reached| format!("accuracy {}  loss {:.4}", percent(reached.accuracy), reached.loss),
    )
}

impl Options {
    fn study(&self, source: Source) -> Result<Study> {
        if self.ann_epochs == 0 {
            return Err(Error::Option(OptionError::new("ann_epochs", "must be at least 1, got 0")));
        }
        let validation = self.validation.unwrap_or(Validation::Test);
        let subjects = match self.models.as_slice() {
            [] => {
                let ann_epochs = self.comparisons.then_some(self.ann_epochs);
                Subjects::paper(&self.cases, self.paper_epochs(), ann_epochs, self.descent())?
            }
            models => Subjects::models(models, self.epochs, validation)?,
        };
        let mut common = Common::new(source, self.device.device.clone());
        common.cache = cache::folder();
        Ok(Study { subjects, seeds: self.seeds, out: self.out.clone(), common })
    }

    /// How the paper's networks are trained.
    fn descent(&self) -> Descent {
        Descent { learning_rate: self.learning_rate, momentum: self.momentum, schedule: self.schedule }
    }

    /// Epochs of the paper's networks.
    fn paper_epochs(&self) -> usize {
        self.epochs.unwrap_or(EPOCHS)
    }

    /// The command with everything that decides the numbers, whether it was given or not.
    fn command(&self, study: &Study) -> String {
        let mut words = match self.models.is_empty() {
            true => self.of_paper(),
            false => self.of_models(),
        };
        words.extend(places(&study.common));
        if self.pictures {
            words.push("--pictures".to_string());
        }
        format!("shadegrad study {}", words.join(" "))
    }

    fn of_paper(&self) -> Vec<String> {
        let cases: Vec<String> = self.cases.0.iter().map(usize::to_string).collect();
        let Descent { learning_rate, momentum, .. } = self.descent();
        let schedule = clap::ValueEnum::to_possible_value(&self.schedule);
        let schedule = schedule.map_or_else(String::new, |value| value.get_name().to_string());
        let mut words = vec![
            format!("--cases {} --seeds {} --epochs {}", cases.join(","), self.seeds, self.paper_epochs()),
            format!("--learning-rate {learning_rate} --momentum {momentum} --schedule {schedule}"),
        ];
        if self.comparisons {
            words.push(format!("--comparisons --ann-epochs {}", self.ann_epochs));
        }
        words
    }

    fn of_models(&self) -> Vec<String> {
        let mut words = vec![format!("--models {} --seeds {}", shell_word(&self.models.join(",")), self.seeds)];
        words.extend(self.beside_recipes());
        words
    }

    /// For each network the command that trains it alone, with the first seed.
    fn train_commands(&self, study: &Study) -> Result<Vec<String>> {
        let command = |job: &Job, subject: &shadegrad::study::Subject| {
            let mut words = vec!["shadegrad train --model".to_string(), shell_word(&job.options.model)];
            if self.models.is_empty() {
                let mut recipe = subject.recipe.clone();
                recipe.length.epochs = Some(subject.epochs);
                words.push(format!("--seed {}", job.seed()));
                words.extend(recipe.texts().map(|(key, value)| format!("--{} {value}", key.replace('_', "-"))));
                words.extend(subject.loss.map(|loss| format!("--loss {}", loss.name())));
                words.push(format!("--out {}", shell_word(&job.folder.to_string_lossy())));
            } else {
                words.push(format!("--seed {}", job.seed()));
                words.extend(self.beside_recipes());
            }
            words.extend(places(&study.common));
            words.join(" ")
        };
        // Those of the first seed come first, in the order of the networks.
        Ok(study.jobs()?.iter().zip(study.subjects.all()).map(|(job, subject)| command(job, subject)).collect())
    }

    /// What `--models` is told of the trainings beside their recipes.
    fn beside_recipes(&self) -> Vec<String> {
        let epochs = self.epochs.map(|epochs| format!("--epochs {epochs}"));
        let validation = self.validation.map(|validation| format!("--validation {validation}"));
        epochs.into_iter().chain(validation).collect()
    }
}

fn places(common: &Common) -> Vec<String> {
    let device = common.device.as_ref().map(|device| format!("--device {}", shell_word(&device.to_string())));
    [Some(format!("--data {}", shell_word(&common.data_name()))), device].into_iter().flatten().collect()
}
