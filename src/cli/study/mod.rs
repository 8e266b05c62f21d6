//! `shadegrad study`: the paper's six networks with several seeds, and a report that puts them beside its table.
//!
//! Each training is what `shadegrad train` does with the same options, in a run folder of its own. What is finished is
//! kept and what was interrupted goes on, so the study can be ended and begun again at any time; the report tells of
//! what is there.

mod choose;
mod curves;
mod figures;
mod heat;
mod marker;
mod page;
mod paper;
mod pictures;
mod plan;
mod report;
mod runs;
mod statistics;
mod table;
mod work;

use super::run_folder;
use super::train::{self, Ended};
use super::{DataOption, DeviceOption, INTERRUPTED};
use choose::Choice;
use clap::Args;
use plan::{Cases, Subject};
use report::{Entry, Report};
use runs::{Common, Job, State};
use shadegrad::data::{DataPair, Source};
use shadegrad::table::{Align, Table, grouped};
use shadegrad::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// Of the runs: what `--choose --cases 2` has found, by 5,000 images held out of MNIST's training set
/// (`assets/study/choice/`).
const LEARNING_RATE: f32 = 0.1;
const MOMENTUM: f32 = 0.5;

/// Seeds of a study, and of a choice.
const SEEDS: u64 = 5;

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Options {
    /// Which of the paper's networks: 2, 1-6, 1,3-5
    #[arg(long, default_value = "1-6")]
    cases: Cases,
    /// How often each is trained: with the seeds from 1 to this
    #[arg(long, value_name = "N", default_value_t = SEEDS, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Passes over the training set [default: 15, as in the paper; with --choose 3]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Step of gradient descent; `--choose` says which is best on held-out images
    #[arg(long, default_value_t = LEARNING_RATE)]
    learning_rate: f32,
    /// Share of the former step that is kept, from 0 (plain gradient descent) to below 1
    #[arg(long, default_value_t = MOMENTUM)]
    momentum: f32,
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
    #[arg(long, value_name = "N", default_value_t = paper::ANN_EPOCHS, requires = "comparisons")]
    ann_epochs: usize,
    /// Try a grid of learning rates and momenta instead, on the first of --cases, judged by images held out of the
    /// training set, and write what was chosen to choice/ in the folder of the study
    #[arg(long, conflicts_with_all = ["seeds", "learning_rate", "momentum", "comparisons", "pictures", "report_only"])]
    choose: bool,
    /// Training images that --choose holds out
    #[arg(long, value_name = "N", default_value_t = choose::HELD_OUT, requires = "choose")]
    held_out: usize,
    /// Draw the digits that each case is worst at, too. They are images of the data set: such a report is not for
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
    let epochs = options.epochs.unwrap_or(if options.choose { choose::EPOCHS } else { paper::EPOCHS });
    let source = options.data.source(options.quiet || options.report_only);
    let cases = plan::cases(&options.cases.0, epochs);
    let mut common = options.common(&source);
    options.check(&cases, &common)?;
    if options.choose {
        return choose_only(options, &cases, &mut common, &source);
    }
    let comparisons = if options.comparisons { plan::comparisons(epochs, options.ann_epochs) } else { Vec::new() };
    if !options.report_only && train_all(options, &cases, &comparisons, &mut common, &source)? {
        eprintln!(
            "interrupted; finished runs are kept, and so is the one under way\nto go on: the same command again; with \
             --report-only it writes the report of what is there"
        );
        return Ok(ExitCode::from(INTERRUPTED));
    }
    report(options, cases, comparisons, &mut common, &source)?;
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn common(&self, source: &Source) -> Common {
        let data = match source {
            Source::Builtin { .. } => "builtin".to_string(),
            Source::Folder(folder) => folder.display().to_string(),
        };
        Common { data, device: self.device.device.as_ref().map(ToString::to_string), checksum: None }
    }

    /// Every value inside its range, before anything is read; the message names the option.
    fn check(&self, cases: &[Subject], common: &Common) -> Result<()> {
        for job in cases.iter().take(1).flat_map(|subject| self.jobs_of(subject)).take(1) {
            train::Options::parse(&job.arguments(common), &job.title)?.train_options()?;
        }
        match self.ann_epochs {
            0 => Err(Error::Usage("--ann-epochs must be at least 1, got 0".into())),
            _ => Ok(()),
        }
    }

    fn jobs_of(&self, subject: &Subject) -> Vec<Job> {
        subject.jobs(self.seeds, self.learning_rate, self.momentum, &self.out)
    }

    /// With everything that decides the numbers, whether it was given or not.
    fn command(&self, common: &Common, epochs: usize) -> String {
        let cases: Vec<String> = self.cases.0.iter().map(usize::to_string).collect();
        let mut command = format!(
            "shadegrad study --cases {} --seeds {} --epochs {epochs} --learning-rate {} --momentum {} --data {}",
            cases.join(","),
            self.seeds,
            self.learning_rate,
            self.momentum,
            quoted(&common.data)
        );
        if let Some(device) = &common.device {
            command += &format!(" --device {}", quoted(device));
        }
        if self.comparisons {
            command += &format!(" --comparisons --ann-epochs {}", self.ann_epochs);
        }
        if self.pictures {
            command += " --pictures";
        }
        command
    }
}

/// `--choose`
fn choose_only(options: &Options, cases: &[Subject], common: &mut Common, source: &Source) -> Result<ExitCode> {
    let Some(subject) = cases.first() else { unreachable!("--cases has a case") };
    let mut like = subject.job(1, LEARNING_RATE, MOMENTUM, &options.out);
    like.held_out = Some(options.held_out);
    let jobs = choose::jobs(&like, &options.out);
    let mut data = source.load()?;
    let (train, test) = data.train.hold_out(options.held_out, like.seed)?;
    (data.train, data.test) = (train, test);
    common.checksum = Some(data.checksum());
    work::examine(&jobs, common)?;
    introduce(options, &data)?;
    let _lock = enter(options)?;
    match choose::choose(&jobs, common, &options.out, options.quiet)? {
        None => {
            eprintln!("interrupted; what was tried is kept\nto go on: the same command again");
            Ok(ExitCode::from(INTERRUPTED))
        }
        Some(Choice { learning_rate, momentum, .. }) => {
            if !options.quiet {
                println!("chosen: --learning-rate {learning_rate} --momentum {momentum}");
                println!("the table is in {}", options.out.join("choice/choice.md").display());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Trains what is missing, every network with one seed before any with the next, so that a study that is ended early
/// has something of each. Whether it was interrupted.
fn train_all(
    options: &Options,
    cases: &[Subject],
    comparisons: &[Subject],
    common: &mut Common,
    source: &Source,
) -> Result<bool> {
    let mut jobs: Vec<Job> = cases.iter().chain(comparisons).flat_map(|subject| options.jobs_of(subject)).collect();
    jobs.sort_by_key(|job| job.seed);
    work::examine(&jobs, common)?;
    let data = source.load()?;
    common.checksum = Some(data.checksum());
    work::examine(&jobs, common)?;
    introduce(options, &data)?;
    drop(data);
    let _lock = enter(options)?;
    Ok(matches!(work::train(&jobs, common, options.quiet)?, Ended::Interrupted(_)))
}

/// Says what is trained on and by what, which the runs themselves do not.
fn introduce(options: &Options, data: &DataPair) -> Result<()> {
    if !options.quiet {
        let images = |count: usize| grouped(count as u64);
        let (training, validation) = (images(data.train.len()), images(data.test.len()));
        eprintln!("data: {}, {training} training and {validation} validation images", data.source);
    }
    options.device.open(options.quiet).map(|_| ())
}

/// Makes the folder of the study, and keeps others from training in it.
fn enter(options: &Options) -> Result<std::fs::File> {
    std::fs::create_dir_all(&options.out).map_err(Error::io("create", &options.out))?;
    run_folder::lock(&options.out, "another process is at work in this study; --report-only looks at it meanwhile")
}

/// Writes the report, and says the most important of it.
fn report(
    options: &Options,
    cases: Vec<Subject>,
    comparisons: Vec<Subject>,
    common: &mut Common,
    source: &Source,
) -> Result<()> {
    let epochs = cases.first().map_or(paper::EPOCHS, |subject| subject.epochs);
    let mut pictures = None;
    if options.pictures {
        let data = source.load()?;
        // What is drawn must be what was judged.
        common.checksum = Some(data.checksum());
        pictures = Some((options.device.open(true)?, data.test));
    }
    let common = &*common;
    let entries = |subjects: Vec<Subject>| -> Result<Vec<Entry>> {
        subjects.into_iter().map(|subject| entry(options, subject, common)).collect()
    };
    let (cases, comparisons) = (entries(cases)?, entries(comparisons)?);
    let train_command = cases.first().map_or_else(String::new, |entry| {
        let job = entry.subject.job(1, options.learning_rate, options.momentum, &options.out);
        let arguments = job.arguments(common);
        let words: Vec<String> = arguments.iter().map(|argument| quoted(&argument.to_string_lossy())).collect();
        format!("shadegrad train {}", words.join(" "))
    });
    let report = Report {
        out: &options.out,
        cases,
        comparisons,
        learning_rate: options.learning_rate,
        momentum: options.momentum,
        choice: Choice::read(&options.out)?,
        command: options.command(common, epochs),
        train_command,
        pictures,
    };
    report.write()?;
    if !options.quiet {
        print!("\n{}", summary(&report));
        println!("\nthe report is in {}", options.out.join("report.html").display());
    }
    Ok(())
}

fn entry(options: &Options, subject: Subject, common: &Common) -> Result<Entry> {
    let (mut runs, mut missing) = (Vec::new(), Vec::new());
    for job in options.jobs_of(&subject) {
        match job.examine(common)? {
            State::Finished(run) => runs.push(*run),
            State::Unfinished(done) => missing.push(format!("seed {}: {done} of {} epochs", job.seed, job.epochs)),
            State::Missing | State::Unbegun => missing.push(format!("seed {}: not begun", job.seed)),
        }
    }
    Ok(Entry { subject, runs, missing })
}

/// Final accuracy and test loss of every network, beside what is printed.
fn summary(report: &Report<'_>) -> String {
    use Align::{Left, Right};
    let heading = ["", "n", "final validation", "reported", "difference", "test loss", "reported", "difference"];
    let mut table = Table::new(heading, [Left, Right, Right, Right, Right, Right, Right, Right]);
    for Entry { subject, runs, .. } in report.cases.iter().chain(&report.comparisons) {
        let row = table::Row::new(&subject.key, &subject.title, runs, subject.printed);
        let [.., accuracy, loss] = &row.cells;
        table.row([
            row.title.clone(),
            row.n.to_string(),
            accuracy.ours(),
            accuracy.paper(),
            accuracy.difference(),
            loss.ours(),
            loss.paper(),
            loss.difference(),
        ]);
    }
    table.render()
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:=,+@".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
