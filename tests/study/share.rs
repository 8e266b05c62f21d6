//! `study --share`, and a study that ranks train: several processes, each run trained once, one report.

use super::models::{WILD, place_with};
use super::*;
use shadegrad::data::Source;
use shadegrad::ranks::{Collective, OnNode};
use shadegrad::run::Validation;
use shadegrad::study::{Common, Participant, Study, StudyEvent, Subjects};
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::process::{Child, Output};
use std::sync::{Barrier, Mutex};

const REPORTED: &str = "the report is in st/report.html";

/// A line for a run that another process has finished.
const ELSEWHERE: &str = "by another process)";

fn start(place: &Place, study: &str) -> Child {
    place.command(study).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Standard output of a process that must succeed.
fn end(child: Child) -> String {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert!(status.success(), "{status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(100), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a process that shares the study holds while it trains a run: the study's lock, and that of the run.
fn hold(place: &Place, run: &str) -> [fs::File; 2] {
    fs::create_dir_all(place.path("st/runs")).unwrap();
    let options = fs::File::options().create(true).append(true).read(true).clone();
    let files = ["st/.lock".to_string(), format!("st/runs/.{run}.lock")];
    let [study, run] = files.map(|file| options.open(place.path(&file)).unwrap());
    study.lock_shared().unwrap();
    run.lock().unwrap();
    [study, run]
}

/// The weights of the runs are those of an undisturbed study in `undisturbed/`, the report is complete, and nothing is
/// left of the sharing.
fn assert_undisturbed(place: &Place, runs: &[&str]) {
    for run in runs {
        for file in ["model.safetensors", "confusion.csv"] {
            let of = |out: &str| fs::read(place.path(&format!("{out}/runs/{run}/{file}"))).unwrap();
            assert!(of("st") == of("undisturbed"), "{run}: {file} differs");
        }
    }
    assert!(read(place, "st/table1.csv") == read(place, "undisturbed/table1.csv"), "table1.csv differs");
    assert!(!read(place, "st/report.html").contains("not complete"));
    let names = fs::read_dir(place.path("st/runs")).unwrap().map(|entry| entry.unwrap().file_name());
    let hidden: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with('.')).collect();
    assert!(hidden.is_empty(), "{hidden:?} left behind");
}

#[test]
fn each_run_is_trained_once_and_one_report_is_written() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 4 --seeds 4 --epochs 3");
    place.stdout(&study.replace("--out st", "--out undisturbed"));
    let printed = [(); 3].map(|()| start(&place, &format!("{study} --share"))).map(end);
    let lines: Vec<&str> = printed.iter().flat_map(|printed| printed.lines()).collect();
    for seed in 1..=4 {
        let title = format!("case4 seed {seed}  3 epochs ");
        let own = lines.iter().filter(|line| line.starts_with(&title) && !line.contains(ELSEWHERE));
        assert_eq!(own.count(), 1, "seed {seed}: {printed:#?}");
    }
    let reports = printed.iter().filter(|printed| printed.contains(REPORTED)).count();
    let left = printed.iter().filter(|printed| printed.contains("the last one to end writes the report")).count();
    assert_eq!((reports, left), (1, 2), "{printed:#?}");
    assert_undisturbed(&place, &["case4-seed1", "case4-seed2", "case4-seed3", "case4-seed4"]);
}

#[test]
fn a_run_is_left_to_its_process_and_taken_up_when_that_ends() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 4 --seeds 2 --epochs 2");
    place.stdout(&study.replace("--out st", "--out undisturbed"));
    let lock = hold(&place, "case4-seed1");
    let child = start(&place, &format!("{study} --share"));
    wait_until("seed 2", || place.path("st/runs/case4-seed2/confusion.csv").exists());
    // Nothing is left to do but to wait.
    std::thread::sleep(Duration::from_secs(3));
    assert!(!place.path("st/runs/case4-seed1").exists() && !place.path("st/report.html").exists());
    drop(lock);
    let printed = end(child);
    let at = |text: &str| printed.find(text).unwrap_or_else(|| panic!("no `{text}` in {printed}"));
    let waiting = at("waiting for case4 seed 1, which another process trains");
    assert!(at("case4 seed 2  2 epochs") < waiting && waiting < at("case4 seed 1  2 epochs"), "{printed}");
    assert!(printed.contains(REPORTED), "{printed}");
    assert_undisturbed(&place, &["case4-seed1", "case4-seed2"]);
}

/// `train --resume` knows nothing of studies, but locks the folder of its run.
#[test]
fn a_run_that_train_continues_is_left_to_it() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 4 --seeds 2 --epochs 2 --schedule constant");
    let train = TRAIN.replace("cosine", "constant") + " --data data --model case4";
    place.stdout(&format!("{train} --epochs 1 --seed 1 --out st/runs/case4-seed1"));
    let run = fs::File::options().append(true).open(place.path("st/runs/case4-seed1/.lock")).unwrap();
    run.lock().unwrap();
    let child = start(&place, &format!("{study} --share"));
    wait_until("seed 2", || place.path("st/runs/case4-seed2/confusion.csv").exists());
    assert_eq!(epochs(&place, "case4-seed1").len(), 1);
    drop(run);
    let printed = end(child);
    assert!(printed.contains("case4 seed 1  continues after 1 of 2 epochs"), "{printed}");
}

/// A process is killed in the middle of a run, another takes it up, and the weights are those of an undisturbed study.
#[test]
#[cfg(unix)]
fn the_run_of_a_killed_process_is_taken_up() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 2 --seeds 2 --epochs 12");
    place.stdout(&study.replace("--out st", "--out undisturbed"));
    let mut killed = start(&place, &format!("{study} --share"));
    let metrics = place.path("st/runs/case2-seed1/metrics.jsonl");
    wait_until("an epoch", || fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 1));
    // It stands still, so that the other process finds it in the middle of its run.
    let stopped = Command::new("kill").args(["-STOP", &killed.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    let mut other = start(&place, &format!("{study} --share"));
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let first: Vec<String> = lines.by_ref().take_while(|line| !line.starts_with("waiting for case2 seed 1")).collect();
    assert!(first.len() == 1 && first[0].starts_with("case2 seed 2  12 epochs"), "{first:?}");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let rest = lines.collect::<Vec<_>>().join("\n");
    assert!(rest.contains("case2 seed 1  continues after ") && rest.contains(REPORTED), "{rest}");
    end(other);
    assert_undisturbed(&place, &["case2-seed1", "case2-seed2"]);
}

#[test]
fn a_study_that_is_shared_and_one_that_is_not_keep_each_other_out() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 4 --seeds 2 --epochs 1");
    let shared = format!("{study} --share");
    let busy = "st: another process is training in this study";
    let lock = hold(&place, "case4-seed1");
    let child = start(&place, &shared);
    wait_until("seed 2", || place.path("st/runs/case4-seed2/confusion.csv").exists());
    let refused = place.run(&study);
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && stderr.contains(busy), "{stderr}");
    place.stdout(&format!("{study} --report-only --quiet"));
    drop(lock);
    end(child);

    let alone = fs::File::options().append(true).open(place.path("st/.lock")).unwrap();
    alone.lock().unwrap();
    place.refuses(1, &shared, &[busy]);
    place.refuses(2, &format!("{shared} --choose"), &["cannot be used with"]);
}

/// Other processes do not try a run again that has diverged, and the report names it, whoever writes it.
#[test]
fn a_run_that_diverges_is_tried_by_one_process() {
    let place = place_with("wild.toml", WILD);
    let study = format!("{STUDY} wild.toml tiny.toml --seeds 1 --epochs 1 --share");
    let held = hold(&place, "tiny-seed1");
    let first = start(&place, &study);
    let note = place.path("st/runs/.wild-seed1.diverged");
    wait_until("the first run diverges", || note.exists());
    fs::write(&note, "as another process has written").unwrap();
    let second = start(&place, &study);
    // Neither ends while the other run is trained by somebody else.
    std::thread::sleep(Duration::from_secs(3));
    drop(held);
    let outputs = [first, second].map(|child| child.wait_with_output().unwrap());
    let texts =
        |output: &Output| [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    let [[first, first_error], [second, second_error]] = [texts(&outputs[0]), texts(&outputs[1])];
    assert!(outputs.iter().all(|output| output.status.code() == Some(1)), "{first_error}\n{second_error}");
    assert!(first.contains("wild seed 1  diverged: ") && !first.contains("as another"), "{first}");
    assert!(second.contains("wild seed 1  diverged: as another process has written"), "{second}");
    let errors = [first_error, second_error];
    assert!(errors.iter().all(|error| error.contains("1 of 2 runs diverged")), "{errors:?}");
    for says in ["the report says which", "the last process to end writes the report"] {
        assert_eq!(errors.iter().filter(|error| error.contains(says)).count(), 1, "{errors:?}");
    }
    let html = read(&place, "st/report.html");
    assert!(html.contains("the loss or a weight was not finite in epoch 1") && html.contains("tiny, seed 1"), "{html}");

    // The next time it is tried again.
    assert!(!note.exists());
    let output = place.run(&study);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("wild seed 1  diverged: ") && !printed.contains("as another"), "{printed}");
}

/// Ranks that are threads of this process.
struct Threads<'a> {
    rank: usize,
    barrier: &'a Barrier,
    said: &'a [Mutex<Vec<u8>>],
    /// Whether rank 1 pretends to have found something that another rank holds a lock of, without the lock.
    has_no_locks: bool,
}

impl Collective for Threads<'_> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.said.len()
    }

    fn on_node(&self) -> OnNode {
        OnNode { rank: self.rank, ranks: self.said.len() }
    }

    fn gather(&self, own: &[u8]) -> shadegrad::Result<Vec<Vec<u8>>> {
        // A question whether something holds on any rank is a single byte.
        let own = if self.has_no_locks && self.rank == 1 && own == [0] { &[1] } else { own };
        *self.said[self.rank].lock().unwrap() = own.to_vec();
        self.barrier.wait();
        let all = self.said.iter().map(|said| said.lock().unwrap().clone()).collect();
        self.barrier.wait();
        Ok(all)
    }
}

/// Calls a function on each of some ranks, and returns what they return.
fn on_ranks<T: Send>(ranks: usize, has_no_locks: bool, call: impl Fn(&dyn Collective) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(ranks);
    let said: Vec<_> = (0..ranks).map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        let start = |rank| {
            let (barrier, said, call) = (&barrier, &said, &call);
            scope.spawn(move || call(&Threads { rank, barrier, said, has_no_locks }))
        };
        let threads: Vec<_> = (0..ranks).map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// What a rank has trained, and whether it is to write the report.
struct Rank {
    trained: Vec<String>,
    reports: bool,
    warning: Option<String>,
}

fn train_as_rank(study: &Study, ranks: &dyn Collective) -> Rank {
    let participant: Participant = study.enter_as_rank(ranks).unwrap();
    let warning = participant.warning.clone();
    let mut trained = Vec::new();
    let mut hear = |event: StudyEvent<'_>| {
        if let StudyEvent::Finished { job, .. } = event {
            trained.push(job.title.clone());
        }
        Ok(ControlFlow::Continue(()))
    };
    let result = pollster::block_on(study.train(&participant, &mut hear)).unwrap();
    let result = study.gather(result, ranks).unwrap();
    assert!(!result.is_interrupted && result.error.is_none() && result.failed.is_empty() && result.diverged.is_empty());
    let reports = participant.leave(ranks).unwrap().is_some();
    Rank { trained, reports, warning }
}

fn study_in(place: &Place, out: &str, model: &str) -> Study {
    let source = Source::Folder(place.path("data"));
    Study {
        subjects: Subjects::models(&[place.path(model).display().to_string()], Some(1), Validation::Test).unwrap(),
        seeds: 7,
        out: place.path(out),
        common: Common::new(source, Some("cpu:1".parse().unwrap())),
    }
}

#[test]
fn ranks_train_each_run_once_and_rank_0_reports() {
    let place = Place::new();
    let all: Vec<String> = (1..=7).map(|seed| format!("tiny seed {seed}")).collect();
    for (has_no_locks, out) in [(false, "free"), (true, "fixed")] {
        let study = study_in(&place, out, "tiny.toml");
        let ranks = on_ranks(3, has_no_locks, |ranks| train_as_rank(&study, ranks));
        let mut trained: Vec<String> = ranks.iter().flat_map(|rank| rank.trained.clone()).collect();
        trained.sort();
        assert_eq!(trained, all);
        assert_eq!(ranks.iter().map(|rank| rank.reports).collect::<Vec<_>>(), [true, false, false]);
        let warned: Vec<_> = ranks.iter().map(|rank| rank.warning.is_some()).collect();
        assert_eq!(warned, [has_no_locks, false, false]);
        if has_no_locks {
            let parts: Vec<_> = ranks.iter().map(|rank| rank.trained.join(" ").replace("tiny seed ", "")).collect();
            assert_eq!(parts, ["1 4 7", "2 5", "3 6"]);
        }
    }
}

#[test]
fn ranks_learn_what_went_wrong_on_others() {
    let place = place_with("wild.toml", WILD);
    let study = study_in(&place, "st", "wild.toml");
    let found = on_ranks(2, true, |ranks| {
        let participant = study.enter_as_rank(ranks).unwrap();
        let own = pollster::block_on(study.train(&participant, &mut |_| Ok(ControlFlow::Continue(())))).unwrap();
        let mut all = study.gather(own, ranks).unwrap().diverged;
        all.sort();
        participant.leave(ranks).unwrap();
        all
    });
    let expected: Vec<_> = (1..=7).map(|seed| place.path(&format!("st/runs/wild-seed{seed}"))).collect();
    assert_eq!(found, [expected.clone(), expected]);
}

#[test]
fn ranks_with_different_folders_are_told() {
    let place = Place::new();
    let errors = on_ranks(2, false, |ranks| {
        let study = study_in(&place, &format!("out-{}", ranks.rank()), "tiny.toml");
        study.enter_as_rank(ranks).err().unwrap().to_string()
    });
    assert!(errors[0].contains("rank 1: ") && errors[0].contains("out-1: this is another folder"), "{errors:?}");
    assert_eq!(errors[0], errors[1]);
}
