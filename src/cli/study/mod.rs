//! `shadegrad study`: the paper's six networks with several seeds, and a report that puts them beside its table; or any
//! networks that carry a recipe, and a report on them.
//!
//! Each training is what `shadegrad train` does with the same options, in a run folder of its own. What is finished is
//! kept and what was interrupted goes on, so the study can be ended and begun again at any time; the report tells of
//! what is there.

mod choose;
mod curves;
mod figures;
mod heat;
mod marker;
mod models;
mod options;
mod page;
mod paper;
mod pictures;
mod plan;
mod report;
mod runs;
mod statistics;
mod table;
mod work;

use super::output::{counted, errln, out, outln};
use super::train::Validation;
use super::{INTERRUPTED, run_folder};
use choose::Choice;
pub use options::Options;
use options::Subjects;
use plan::{Descent, Schedule, Subject};
use report::{Entry, Frame};
use runs::{Common, Job, State};
use shadegrad::data::{DataPair, Share, Source};
use shadegrad::lock::Lock;
use shadegrad::table::grouped;
use shadegrad::text::shell_word;
use shadegrad::{Error, Result};
use std::io::ErrorKind;
use std::process::ExitCode;
use work::Trained;

/// Of the paper's networks: what `--choose --cases 2 --epochs 3 --schedule constant` has found, by 5,000 images held out of
/// MNIST's training set, and the schedule that is better on those (`assets/study/choice/`).
const DESCENT: Descent = Descent { learning_rate: 0.1, momentum: 0.5, schedule: Schedule::Cosine };

pub fn run(options: &Options) -> Result<ExitCode> {
    let source = options.data.source(options.quiet || options.report_only);
    let mut common = options.common(&source);
    let subjects = options.subjects()?;
    options.check(&subjects, &common)?;
    if options.choose {
        return choose_only(options, &mut common, &source);
    }
    let jobs = options.jobs(&subjects);
    let mut trained = Trained::default();
    if !options.report_only {
        trained = train_all(options, &jobs, &mut common, &source)?;
    }
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
    let reported = report(options, subjects, &trained, &mut common, &source);
    let problems = problems(&trained, jobs.len());
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
fn choose_only(options: &Options, common: &mut Common, source: &Source) -> Result<ExitCode> {
    let cases = plan::cases(&options.cases.0, options.paper_epochs(), options.descent());
    let Some(subject) = cases.first() else { unreachable!("--cases has a case") };
    let held_out = options.held_out;
    let grid = choose::grid(subject, options.descent().schedule, held_out, &options.out);
    let data = common.read(source, Validation::HeldOut(Share::Count(held_out)), choose::SEED)?;
    work::examine(grid.iter().map(|point| &point.job), common)?;
    introduce(options, &data)?;
    let _lock = enter(options)?;
    match choose::choose(&grid, held_out, common, &options.out, options.quiet)? {
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
fn train_all(options: &Options, jobs: &[Job], common: &mut Common, source: &Source) -> Result<Trained> {
    work::examine(jobs, common)?;
    let data = common.read(source, options.validation(), options.seeds)?;
    work::examine(jobs, common)?;
    introduce(options, &data)?;
    drop(data);
    let _lock = enter(options)?;
    Ok(work::train(jobs, common, options.quiet))
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

/// Makes the folder of the study, and keeps others from training in it.
fn enter(options: &Options) -> Result<Lock> {
    std::fs::create_dir_all(&options.out).map_err(Error::io("create", &options.out))?;
    run_folder::lock(&options.out, "another process is at work in this study; --report-only looks at it meanwhile")
}

/// Writes the report, and says the most important of it.
fn report(
    options: &Options,
    subjects: Subjects,
    trained: &Trained,
    common: &mut Common,
    source: &Source,
) -> Result<()> {
    let mut pictures = None;
    if options.pictures {
        // What is drawn must be what was judged.
        let data = common.read(source, options.validation(), options.seeds)?;
        pictures = Some((options.device.open(true)?, data.test));
    }
    let common = &*common;
    let entries = |subjects: Vec<Subject>| -> Result<Vec<Entry>> {
        subjects.into_iter().map(|subject| entry(options, subject, trained, common)).collect()
    };
    let frame = Frame { out: &options.out, command: options.command(common), pictures };
    let summary = match subjects {
        Subjects::Paper { cases, comparisons } => {
            let train_command = cases.first().map_or_else(String::new, |subject| {
                let arguments = subject.job(1, &options.out).arguments(common);
                let words: Vec<String> =
                    arguments.iter().map(|argument| shell_word(&argument.to_string_lossy())).collect();
                format!("shadegrad train {}", words.join(" "))
            });
            let (cases, comparisons) = (entries(cases)?, entries(comparisons)?);
            let (descent, choice) = (options.descent(), Choice::read(&options.out)?);
            report::paper::Report { frame, cases, comparisons, descent, choice, train_command }.write()?
        }
        Subjects::Models(models) => {
            let commands = models.iter().map(|subject| options.train_command(&subject.model, common)).collect();
            report::models::Report { frame, models: entries(models)?, commands }.write()?
        }
    };
    if !options.quiet {
        out!("\n{summary}")?;
        outln!("\nthe report is in {}", options.out.join("report.html").display())?;
    }
    Ok(())
}

fn entry(options: &Options, subject: Subject, trained: &Trained, common: &Common) -> Result<Entry> {
    let (mut runs, mut missing) = (Vec::new(), Vec::new());
    for job in subject.jobs(options.seeds, &options.out) {
        let what = match job.examine(common)? {
            State::Finished(run) => {
                runs.push(*run);
                continue;
            }
            State::Unfinished(done) if trained.diverged.contains(&job.folder) => {
                format!("the loss or a weight was not finite in epoch {}", done + 1)
            }
            State::Unfinished(done) => format!("{done} of {}", counted(job.epochs, "epoch")),
            State::Missing | State::Unbegun => "not begun".to_string(),
        };
        let failed = trained.failed.iter().find(|(folder, _)| *folder == job.folder);
        let why = failed.map_or_else(String::new, |(_, problem)| format!(", then it failed: {problem}"));
        missing.push(format!("seed {}: {what}{why}", job.seed));
    }
    Ok(Entry { subject, runs, missing })
}
