//! `shadegrad study`: trains the paper's six networks with several seeds and compares them with its table in a report,
//! or trains and reports on any networks that have a recipe.

use super::train::Reporter;
use super::{DataOption, DeviceOption, INTERRUPTED, cache, model_help, stop_on_ctrl_c};
use crate::cli::output::{counted, duration, errln, out, outln, percent};
use clap::Args;
use shadegrad::data::{DataPair, Source};
use shadegrad::ranks::Collective;
use shadegrad::run::Validation;
use shadegrad::study::{
    ANN_EPOCHS, Cases, Choice, Common, DESCENT, Descent, EPOCHS, FinishedRun, HELD_OUT, Job, Participant,
    ReportOptions, Study, StudyEvent, Subjects, Trained, Tried,
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

/// Default number of seeds.
const SEEDS: u64 = 5;

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Options {
    #[arg(value_name = "MODEL", value_delimiter = ',', help = format!(
        "Networks to train instead of the paper's, each by its own recipe: {}",
        model_help()
    ), conflicts_with_all = ["cases", "comparisons", "learning_rate", "momentum", "schedule", "choose"])]
    models: Vec<String>,
    #[arg(long = "models", value_name = "MODEL,...", value_delimiter = ',', hide = true, conflicts_with_all = [
        "models", "cases", "comparisons", "learning_rate", "momentum", "schedule", "choose",
    ])]
    named: Vec<String>,
    /// The paper's networks to train: 2, 1-6, 1,3-5
    #[arg(long, default_value = "1-6")]
    cases: Cases,
    /// Number of runs per network, with the seeds 1 to N
    #[arg(long, value_name = "N", default_value_t = SEEDS, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Passes over the training set [default: 15, as in the paper; of MODEL, what its recipe says]
    #[arg(short, long, value_name = "N")]
    epochs: Option<usize>,
    /// Learning rate of the paper's networks; --choose finds the best one on held-out images
    #[arg(short, long, default_value_t = DESCENT.learning_rate)]
    learning_rate: f32,
    /// Momentum of the paper's networks, from 0 (plain gradient descent) to below 1
    #[arg(long, default_value_t = DESCENT.momentum)]
    momentum: f32,
    /// Learning-rate schedule of the paper's networks
    #[arg(long, value_enum, default_value_t = DESCENT.schedule)]
    schedule: ScheduleKind,
    /// Evaluate the epochs of MODEL on a share (0.1) or number (5000) of training images held out by each seed
    ///
    /// Without it epochs are evaluated on the test set. Held-out images are for choosing among networks.
    #[arg(long, value_name = "test|SPLIT", conflicts_with = "pictures")]
    validation: Option<Validation>,
    #[command(flatten)]
    data: DataOption,
    #[command(flatten)]
    device: DeviceOption,
    /// Folder of the study, with its runs and its report; finished runs in it are kept, interrupted ones are continued
    #[arg(short, long, value_name = "DIR", default_value = "study")]
    out: PathBuf,
    /// Also train the systems that the paper compares itself with
    ///
    /// These are a feed-forward network with four hidden layers, LeNet-5, and case 2 with the quadratic cost.
    #[arg(long)]
    comparisons: bool,
    /// Passes over the training set for the feed-forward network of --comparisons
    #[arg(long, value_name = "N", default_value_t = ANN_EPOCHS, requires = "comparisons")]
    ann_epochs: usize,
    /// Choose learning rate and momentum from a grid, on images held out of the training set, instead of the study
    ///
    /// The grid is tried on the first of --cases. The result goes to choice/ in the folder of the study.
    #[arg(long, conflicts_with_all = ["seeds", "learning_rate", "momentum", "comparisons", "pictures", "report_only"])]
    choose: bool,
    /// Number of training images that --choose holds out
    #[arg(long, value_name = "N", default_value_t = HELD_OUT, requires = "choose")]
    held_out: usize,
    /// Also show the images that each network gets most wrong; do not publish such a report, it contains images of the data set
    #[arg(long)]
    pictures: bool,
    /// Train nothing: write the report on the finished runs, even while another process trains
    #[arg(long)]
    report_only: bool,
    /// Train the runs together with other processes that are given the same command, here or on other machines
    ///
    /// Each takes a run that no other is training, until all are finished, and the last one to end writes the report.
    /// The folder of the study must be one that all machines see, with locks that hold between them. Runs that a process
    /// left unfinished are continued by the others.
    #[arg(long, conflicts_with_all = ["choose", "report_only"])]
    share: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

/// Trains and reports. If there are several ranks, all take part in the training, and rank 0 prints and writes the
/// report.
pub fn run(options: &Options, ranks: &dyn Collective) -> Result<ExitCode> {
    let is_quiet = options.quiet || !ranks.leads();
    if options.choose || options.report_only {
        options.check_alone(ranks)?;
    }
    let source = options.data.source(is_quiet || options.report_only);
    let mut study = ranks.together(options.checked_study(source))?;
    if !ranks.is_alone() {
        study.common.device = Some(ranks.together(options.device.choice().for_rank(ranks.on_node()))?);
    }
    if options.choose {
        return choose(options, &mut study);
    }
    if options.report_only {
        return report(options, &mut study, &Trained::default()).map(|()| ExitCode::SUCCESS);
    }
    let prepared = study.prepare().and_then(|data| introduce(&study, &data, is_quiet));
    ranks.together(prepared)?;
    let participant = enter(options, &study, ranks)?;
    let mut trained = train(&study, &participant, is_quiet, ranks)?;
    let last = ranks.together(participant.leave(ranks))?;
    if trained.is_interrupted {
        if ranks.leads() {
            errln!(
                "interrupted; finished runs are kept, and so is the current one\nto continue, give the same command \
                 again; with --report-only it writes the report on what is finished"
            );
        }
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let concluded = match (closed_pipe(&mut trained), last) {
        (Some(error), _) => Err(error),
        (None, Some(_last)) => conclude(options, &mut study, &trained),
        (None, None) if ranks.leads() => leave_to_others(options, &study, &trained),
        (None, None) => Ok(()),
    };
    ranks.together(concluded).map(|()| ExitCode::SUCCESS)
}

/// The error of a run that could not print: a reader that has closed the pipe does not want a report either.
fn closed_pipe(trained: &mut Trained) -> Option<Error> {
    let is_closed =
        |error: &mut Error| matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe);
    trained.error.take_if(is_closed)
}

/// Writes the report. If not all runs are finished, this is an error, which says why.
fn conclude(options: &Options, study: &mut Study, trained: &Trained) -> Result<()> {
    let reported = report(options, study, trained);
    let problems = problems(trained, study.jobs()?.len());
    match (problems.is_empty(), reported) {
        (true, reported) => reported,
        (false, Ok(())) => Err(Error::Run(format!("{problems}; the report says which"))),
        (false, Err(error)) => Err(Error::Run(format!("{problems}; {error}"))),
    }
}

/// Ends a process that leaves the report to others, which are still at work.
fn leave_to_others(options: &Options, study: &Study, trained: &Trained) -> Result<()> {
    let problems = problems(trained, study.jobs()?.len());
    if !problems.is_empty() {
        return Err(Error::Run(format!("{problems}; the last process to end writes the report")));
    }
    if !options.quiet {
        outln!("another process is still at work in this study; the last one to end writes the report")?;
    }
    Ok(())
}

/// Describes what went wrong with runs, if anything.
fn problems(trained: &Trained, jobs: usize) -> String {
    let all = counted(jobs, "run");
    let diverged = Some(trained.diverged.len()).filter(|count| *count > 0);
    let diverged = diverged.map(|count| format!("{count} of {all} diverged: a loss or a weight was not finite"));
    let failed =
        trained.failed.first().map(|(_, problem)| format!("{} of {all} failed: {problem}", trained.failed.len()));
    let error = trained.error.as_ref().map(|error| format!("not all of {all} were tried: {error}"));
    [diverged, failed, error].into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// `--choose`: chooses learning rate and momentum from a grid, on held-out images.
fn choose(options: &Options, study: &mut Study) -> Result<ExitCode> {
    let (grid, data) = study.prepare_choice(options.held_out)?;
    introduce(study, &data, options.quiet)?;
    drop(data);
    let participant = study.enter()?;
    warn(&participant);
    let mut reporter = StudyReporter::new(options.quiet);
    let chosen = pollster::block_on(study.choose(&grid, options.held_out, &mut |event| reporter.hear(event)));
    reporter.clear();
    match chosen? {
        None => {
            errln!("interrupted; what was tried is kept\nto continue, give the same command again");
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

/// Trains the missing runs. With several ranks, the result is that of all of them.
fn train(study: &Study, participant: &Participant, is_quiet: bool, ranks: &dyn Collective) -> Result<Trained> {
    let mut reporter = StudyReporter::new(is_quiet);
    reporter.shows_runs = ranks.leads();
    let trained = pollster::block_on(study.train(participant, &mut |event| reporter.hear(event)));
    reporter.clear();
    study.gather(ranks.together(trained)?, ranks)
}

/// Prints the data and the device, which the runs themselves do not.
fn introduce(study: &Study, data: &DataPair, is_quiet: bool) -> Result<()> {
    if !is_quiet {
        let images = |count: usize| grouped(count as u64);
        let (training, validation) = (images(data.train.len()), images(data.test.len()));
        errln!("data: {}, {training} training and {validation} validation images", data.source);
    }
    DeviceOption { device: study.common.device.clone() }.open(is_quiet).map(|_| ())
}

fn enter(options: &Options, study: &Study, ranks: &dyn Collective) -> Result<Participant> {
    let participant = match (ranks.is_alone(), options.share) {
        (true, false) => study.enter()?,
        (true, true) => study.share()?,
        (false, _) => study.enter_as_rank(ranks)?,
    };
    warn(&participant);
    Ok(participant)
}

fn warn(participant: &Participant) {
    if let Some(warning) = &participant.warning {
        errln!("warning: {warning}");
    }
}

/// Writes the report, and prints its main results.
fn report(options: &Options, study: &mut Study, trained: &Trained) -> Result<()> {
    let device = DeviceOption { device: study.common.device.clone() };
    let pictures = options.pictures.then(|| device.open(true)).transpose()?;
    let report =
        ReportOptions { command: options.command(study), train_commands: options.train_commands(study)?, pictures };
    let summary = study.report(trained, report)?;
    if !options.quiet {
        out!("\n{summary}")?;
        outln!("\nthe report is in {}", options.out.join("report.html").display())?;
    }
    Ok(())
}

/// Prints a line per run, and a bar for the current one.
struct StudyReporter {
    is_quiet: bool,
    /// Whether the bar and the warnings of the current run are shown.
    shows_runs: bool,
    run: Option<Reporter>,
    is_waiting: bool,
}

impl StudyReporter {
    fn new(is_quiet: bool) -> StudyReporter {
        stop_on_ctrl_c();
        StudyReporter { is_quiet, shows_runs: true, run: None, is_waiting: false }
    }

    fn hear(&mut self, event: StudyEvent<'_>) -> Result<ControlFlow<()>> {
        match event {
            StudyEvent::Kept { done, of } => {
                self.say(&format!("finished and kept: {done} of {}", counted(of, "run")))?;
            }
            StudyEvent::Begins { job, epochs } => {
                if epochs > 0 {
                    self.say(&format!(
                        "{}  continues after {epochs} of {}",
                        job.title,
                        counted(job.epochs(), "epoch")
                    ))?;
                }
                self.is_waiting = false;
                self.run = self.shows_runs.then(|| Reporter::with_title(&job.title));
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
            StudyEvent::Elsewhere { job, run, done, of } => {
                let reached = reached(run);
                self.say(&format!("{}  {reached}  ({done} of {}, by another process)", job.title, counted(of, "run")))?;
            }
            StudyEvent::Waits { job } if !self.is_waiting => {
                self.is_waiting = true;
                self.say(&format!(
                    "waiting for {}, which another process trains; if that ends early, the run is continued here",
                    job.title
                ))?;
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
    /// Fails for an option that is not for several ranks.
    fn check_alone(&self, ranks: &dyn Collective) -> Result<()> {
        if ranks.is_alone() {
            return Ok(());
        }
        let option = if self.choose { "--choose" } else { "--report-only" };
        Err(Error::Ranks(Box::new(Error::Usage(format!(
            "{option} is for one process: start it without an MPI launcher"
        )))))
    }

    /// The study, all of whose trainings have valid options.
    fn checked_study(&self, source: Source) -> Result<Study> {
        let study = self.study(source)?;
        study.jobs()?.iter().try_for_each(|job| job.options.check())?;
        Ok(study)
    }

    fn study(&self, source: Source) -> Result<Study> {
        if self.ann_epochs == 0 {
            return Err(Error::Option(OptionError::new("ann_epochs", "must be at least 1, got 0")));
        }
        let validation = self.validation.unwrap_or(Validation::Test);
        let models = self.models();
        if models.is_empty() && self.validation.is_some() {
            let problem = OptionError::new("validation", "is for networks that are named: give a MODEL");
            return Err(Error::Option(problem));
        }
        let subjects = match models {
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

    /// The networks to train instead of the paper's.
    fn models(&self) -> &[String] {
        if self.models.is_empty() { &self.named } else { &self.models }
    }

    /// How the paper's networks are trained.
    fn descent(&self) -> Descent {
        Descent { learning_rate: self.learning_rate, momentum: self.momentum, schedule: self.schedule }
    }

    /// Number of epochs for the paper's networks.
    fn paper_epochs(&self) -> usize {
        self.epochs.unwrap_or(EPOCHS)
    }

    /// The command with all options that decide the results, whether they were given or not.
    fn command(&self, study: &Study) -> String {
        let mut words = match self.models().is_empty() {
            true => self.of_paper(),
            false => self.of_models(),
        };
        words.extend(self.places(study, true));
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
        let mut words = vec![format!(
            "{} --seeds {}",
            self.models().iter().map(|model| shell_word(model)).collect::<Vec<_>>().join(" "),
            self.seeds
        )];
        words.extend(self.beside_recipes());
        words
    }

    /// The commands that train each network alone, with the first seed.
    fn train_commands(&self, study: &Study) -> Result<Vec<String>> {
        let command = |job: &Job, subject: &shadegrad::study::Subject| {
            let mut words = vec!["shadegrad train".to_string(), shell_word(&job.options.model)];
            if self.models().is_empty() {
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
            words.extend(self.places(study, false));
            words.join(" ")
        };
        // Runs with the first seed come first, in the order of the networks.
        Ok(study.jobs()?.iter().zip(study.subjects.all()).map(|(job, subject)| command(job, subject)).collect())
    }

    /// Options that apply to given networks besides their recipes.
    fn beside_recipes(&self) -> Vec<String> {
        let epochs = self.epochs.map(|epochs| format!("--epochs {epochs}"));
        let validation = self.validation.map(|validation| format!("--validation {validation}"));
        epochs.into_iter().chain(validation).collect()
    }

    /// Data and device. A list of devices is for the study as a whole, not for one of its runs.
    fn places(&self, study: &Study, is_whole: bool) -> Vec<String> {
        let device =
            self.device.device.as_ref().map(ToString::to_string).filter(|text| is_whole || !text.contains(','));
        let device = device.map(|device| format!("--device {}", shell_word(&device)));
        [Some(format!("--data {}", shell_word(&study.common.data_name()))), device].into_iter().flatten().collect()
    }
}
