//! `shadegrad study`: its trainings are those of `train`, it resumes where it was stopped, and its report matches the
//! files of the runs.

#![cfg(feature = "cli")]

#[path = "study/models.rs"]
mod models;
#[path = "common/place.rs"]
mod place;
#[path = "study/share.rs"]
mod share;

use place::{Place, TEST_IMAGES, lines, number};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const STUDY: &str = "study --data data --device cpu --out st";

/// The same training by `train`.
const TRAIN: &str = "train --learning-rate 0.1 --momentum 0.5 --schedule cosine --batch-size 100 --device cpu --quiet";

fn read(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The epochs of a run of the study.
fn epochs(place: &Place, run: &str) -> Vec<Value> {
    let lines = lines(&read(place, &format!("st/runs/{run}/metrics.jsonl")));
    lines.into_iter().filter(|line| line["kind"] == "epoch").collect()
}

/// The lines of a CSV file by their first two fields.
fn csv(text: &str) -> BTreeMap<(String, String), BTreeMap<String, String>> {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_string).collect::<Vec<_>>());
    let heading = lines.next().unwrap();
    lines
        .map(|fields| {
            assert_eq!(fields.len(), heading.len(), "{fields:?}");
            let key = (fields[0].clone(), fields[1].clone());
            (key, heading.iter().cloned().zip(fields).collect())
        })
        .collect()
}

/// Fails unless a page is self-contained and all of its tags are closed.
fn assert_whole(html: &str) {
    assert!(html.len() < 1_500_000, "{} bytes are too many to mail", html.len());
    for outside in ["src=\"http", "href=", "<script", "<link", "@import", "url(", "src=\"//"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!html.contains("NaN") && !html.contains("inf "), "there is an invalid number");
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1).map(|rest| rest.split_once('>').expect("a tag without its end").0) {
        let name = tag.trim_start_matches('/').split(|letter: char| letter.is_whitespace()).next().unwrap();
        if tag.starts_with('!') || tag.ends_with('/') || ["meta", "img"].contains(&name) {
            continue;
        }
        match tag.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "a closing tag does not match"),
            false => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_study_trains_like_train_and_reports_its_runs() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 2 --seeds 2 --epochs 1");
    let printed = place.stdout(&study);
    assert!(printed.contains("case2 seed 1  1 epoch ") && printed.contains("(2 of 2 runs)"), "{printed}");
    assert!(printed.contains("st/report.html"), "{printed}");

    // The weights are those of `train`.
    place.stdout(&format!("{TRAIN} --data data --model case2 --epochs 1 --seed 2 --out alone"));
    for file in ["model.safetensors", "confusion.csv"] {
        let [ours, alone] = ["st/runs/case2-seed2", "alone"].map(|run| fs::read(place.path(run).join(file)).unwrap());
        assert!(ours == alone, "{file} differs from that of `train`");
    }

    // The table matches the files of the runs.
    let runs = [1, 2].map(|seed| epochs(&place, &format!("case2-seed{seed}")));
    let table = csv(&read(&place, "st/table1.csv"));
    assert_eq!(table.len(), 6);
    for (measure, key, factor) in [
        ("min_train", "train_accuracy", 100.0),
        ("min_val", "val_accuracy", 100.0),
        ("max_train", "train_accuracy", 100.0),
        ("max_val", "val_accuracy", 100.0),
        ("final_val", "val_accuracy", 100.0),
        ("test_loss", "val_loss", 1.0),
    ] {
        let [a, b] = [&runs[0], &runs[1]].map(|run| number(&run[0], key) * factor);
        let fields = &table[&("case2".to_string(), measure.to_string())];
        let field = |name: &str| fields[name].parse::<f64>().unwrap_or_else(|_| panic!("{measure}: {fields:?}"));
        let (mean, sd) = ((a + b) / 2.0, (a - b).abs() / 2f64.sqrt());
        assert!((field("mean") - mean).abs() < 1e-9 && (field("sd") - sd).abs() < 1e-9, "{measure}: {fields:?}");
        if sd > 0.0 {
            let difference = (mean - field("paper")) / sd;
            assert!((field("difference_in_sd") / difference - 1.0).abs() < 1e-9, "{measure}: {fields:?}");
        }
        let epochs = if ["final_val", "test_loss"].contains(&measure) { "" } else { "1 1" };
        assert_eq!((fields["n"].as_str(), fields["epochs"].as_str()), ("2", epochs), "{measure}");
    }
    assert_eq!(table[&("case2".into(), "test_loss".into())]["paper"], "0.026303");

    // The confusion matrix in the page is the sum over the seeds.
    let html = read(&place, "st/report.html");
    assert!(html.contains(&format!(" of {} answers wrong", 2 * TEST_IMAGES)), "{html}");
    assert_whole(&html);
    for text in [
        "† Case 4",
        "‡ Case 6",
        "Equation 7",
        "Case 2, seed 2",
        "<span>--learning-rate</span> <span>0.1</span>",
        "<span>--schedule</span> <span>cosine</span>",
        "0.1, falling to 0 along half a cosine, momentum 0.5",
        "CPU, ",
    ] {
        assert!(html.contains(text), "no {text}");
    }
    let markdown = read(&place, "st/table1.md");
    assert!(markdown.contains("| **Case 2** | ours, n = 2 |") && markdown.contains("99.24 (14)"), "{markdown}");
    for name in ["case2", "combined", "confusion-case2"] {
        let svg = read(&place, &format!("st/figures/{name}.svg"));
        assert!(svg.starts_with("<svg") && svg.contains("font-family=\"sans-serif\""), "{name}");
        assert!(html.contains(svg.trim()), "{name} is not in the page");
    }
    assert!(!html.contains("data:image"), "images of the data set without --pictures");
    assert!(!place.path("st/worst-case2.png").exists());

    // A second call trains nothing.
    let before = place.files();
    let printed = place.stdout(&study);
    assert!(printed.contains("finished and kept: 2 of 2 runs") && !printed.contains("images/s"), "{printed}");
    let is_of_runs = |path: &PathBuf| path.starts_with(place.path("st/runs"));
    for (path, content) in place.files() {
        assert!(!is_of_runs(&path) || before[&path] == content, "{} was written again", path.display());
    }
    // With more seeds it trains the missing ones.
    let printed = place.stdout(&format!("{STUDY} --cases 2 --seeds 3 --epochs 1"));
    assert!(printed.contains("finished and kept: 2 of 3 runs") && printed.contains("(3 of 3 runs)"), "{printed}");
}

/// A run that `train` started with the study's options, one that was stopped before its first checkpoint, and a report
/// on unfinished runs.
#[test]
fn unfinished_runs_are_resumed() {
    let place = Place::new();
    // With constant rates, because a run with a cosine schedule cannot be extended.
    let train = TRAIN.replace("cosine", "constant") + " --data data --model case4";
    place.stdout(&format!("{train} --epochs 3 --seed 1 --out whole"));
    place.stdout(&format!("{train} --epochs 1 --seed 1 --out st/runs/case4-seed1"));
    fs::create_dir(place.path("st/runs/case4-seed2")).unwrap();
    fs::write(place.path("st/runs/case4-seed2/metrics.jsonl"), "").unwrap();

    let study = format!("{STUDY} --cases 4 --seeds 2 --epochs 3 --schedule constant");
    place.refuses(
        1,
        &format!("{study} --report-only"),
        &["nothing to report", "none of the selected runs has finished"],
    );
    let printed = place.stdout(&study);
    assert!(printed.contains("case4 seed 1  continues after 1 of 3 epochs"), "{printed}");
    for file in ["model.safetensors", "confusion.csv"] {
        let [ours, whole] = ["st/runs/case4-seed1", "whole"].map(|run| fs::read(place.path(run).join(file)).unwrap());
        assert!(ours == whole, "{file} differs from that of an uninterrupted run");
    }
    assert_eq!(epochs(&place, "case4-seed2").len(), 3);

    // As if killed between the last line and the confusion matrix: it is evaluated again.
    let confusion = place.path("st/runs/case4-seed2/confusion.csv");
    let whole = fs::read(&confusion).unwrap();
    fs::remove_file(&confusion).unwrap();
    let printed = place.stdout(&format!("{study} --report-only"));
    assert!(printed.contains("Case 4  1"), "{printed}");
    let html = read(&place, "st/report.html");
    assert!(html.contains("not complete") && html.contains("1 of 2 seeds have finished"), "{html}");
    place.stdout(&study);
    assert!(fs::read(&confusion).unwrap() == whole);
    assert!(!read(&place, "st/report.html").contains("not complete"));
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_results_and_says_how_to_continue() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 2,4 --seeds 1 --epochs 12");
    let child = place.command(&study).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let metrics = place.path("st/runs/case2-seed1/metrics.jsonl");
    let started = Instant::now();
    while fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < 2 {
        assert!(started.elapsed() < Duration::from_secs(100), "no epoch in time");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("the same command again") && stderr.contains("--report-only"), "{stderr}");
    assert!(!place.path("st/runs/case4-seed1").exists());
    let printed = place.stdout(&study);
    assert!(printed.contains("case2 seed 1  continues after"), "{printed}");
    assert_eq!((epochs(&place, "case2-seed1").len(), epochs(&place, "case4-seed1").len()), (12, 12));
    place.stdout(&format!("{TRAIN} --data data --model case2 --epochs 12 --out alone"));
    let [ours, alone] = ["st/runs/case2-seed1", "alone"].map(|run| fs::read(place.path(run).join("model.safetensors")));
    assert!(ours.unwrap() == alone.unwrap(), "Ctrl-C changed the weights");
}

/// Killed at random moments and started again until it finishes: the result is that of an undisturbed study.
#[test]
fn kills_change_nothing() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 4 --seeds 2 --epochs 4");
    place.stdout(&study.replace("--out st", "--out undisturbed"));
    for after in [15, 60, 120, 250, 400] {
        let mut child = place.command(&study).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(after));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    place.stdout(&study);
    for seed in [1, 2] {
        for file in ["model.safetensors", "confusion.csv"] {
            let of = |out: &str| fs::read(place.path(&format!("{out}/runs/case4-seed{seed}/{file}"))).unwrap();
            assert!(of("st") == of("undisturbed"), "seed {seed}: {file} differs");
        }
    }
    for file in ["table1.csv", "figures/case4.svg", "figures/confusion-case4.svg"] {
        let of = |out: &str| fs::read(place.path(&format!("{out}/{file}"))).unwrap();
        assert!(of("st") == of("undisturbed"), "{file} differs");
    }
}

#[test]
fn damaged_and_foreign_runs_are_refused() {
    let place = Place::new();
    let study = format!("{STUDY} --cases 2 --seeds 1 --epochs 2 --schedule constant");
    place.stdout(&study);
    let run = "st/runs/case2-seed1";
    let refused = |asked: &str, says: &[&str]| {
        for more in ["", " --report-only"] {
            place.refuses(1, &format!("{asked}{more}"), says);
        }
    };
    let damaged = |file: &str, damage: &dyn Fn(&str) -> String, says: &[&str]| {
        let path = place.path(run).join(file);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, damage(&whole)).unwrap();
        refused(&study, &[&[file, "to train this run again, remove st/runs/case2-seed1"], says].concat());
        fs::write(&path, whole).unwrap();
    };
    let half = |text: &str| text[..text.len() / 2].to_string();
    damaged("run.toml", &|text| text.replace("[options]", "[opt"), &["not the record of a run"]);
    damaged("run.toml", &|_| String::new(), &["missing field"]);
    damaged("metrics.jsonl", &|text| text.replace("\"epoch\":2", "\"epoch\":3"), &["expected epoch 2, got 3"]);
    damaged("metrics.jsonl", &|text| text.replacen('{', "", 1), &["line 1: not JSON"]);
    damaged("metrics.jsonl", &|text| text.replace("val_accuracy", "val_acc"), &["not an epoch", "val_accuracy"]);
    damaged("confusion.csv", &half, &["confusion.csv: "]);
    damaged("confusion.csv", &|text| text.replacen("\n0,", "\n0,-", 1), &["line 2"]);

    refused(
        &study.replace("--epochs 2", "--epochs 1"),
        &[run, "a run of 2 epochs, more than the 1", "request 2 epochs"],
    );
    refused(&format!("{study} --learning-rate 0.2"), &[run, "learning_rate: 0.1 there, 0.2 here", "another folder"]);
    refused(&format!("{study} --momentum 0.4"), &["momentum: 0.5 there, 0.4 here"]);
    refused(&study.replace("constant", "cosine"), &["schedule: constant there, cosine here"]);
    let other = place.path("other");
    fs::create_dir(&other).unwrap();
    for entry in fs::read_dir(place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] = if bytes[last] == 0 { 1 } else { 0 };
        fs::write(other.join(path.file_name().unwrap()), bytes).unwrap();
    }
    place.refuses(1, &study.replace("data data", "data other"), &[run, "a run on other data"]);
    let pictures = format!("{study} --report-only --pictures");
    place.refuses(1, &pictures.replace("data data", "data other"), &[run, "a run on other data"]);
    // Seeds with different data are not averaged.
    let train = TRAIN.replace("cosine", "constant");
    place.stdout(&format!("{train} --data other --model case2 --epochs 2 --seed 2 --out st/runs/case2-seed2"));
    let both = study.replace("--seeds 1", "--seeds 2 --report-only");
    place.refuses(1, &both, &["st/runs/case2-seed2", "trained on other data than st/runs/case2-seed1"]);

    fs::create_dir_all(place.path("st/runs/case4-seed1")).unwrap();
    fs::write(place.path("st/runs/case4-seed1/letter.txt"), "mine").unwrap();
    let output = place.run(&format!("{STUDY} --cases 4 --seeds 1 --epochs 1"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && stderr.contains("found letter.txt in it"), "{stderr}");
    assert_eq!(read(&place, "st/runs/case4-seed1/letter.txt"), "mine");

    let lock = fs::File::options().append(true).open(place.path("st/.lock")).unwrap();
    lock.lock().unwrap();
    place.refuses(1, &study, &["another process is training in this study"]);
    place.stdout(&format!("{study} --report-only"));
}

#[test]
fn options_out_of_range_are_named() {
    let place = Place::new();
    for (option, says) in [
        ("--epochs 0", "--epochs must be at least 1, got 0"),
        ("--learning-rate 0", "--learning-rate must be above 0"),
        ("--momentum 1", "--momentum must be at least 0 and below 1"),
        ("--comparisons --ann-epochs 0", "--ann-epochs must be at least 1, got 0"),
        ("--choose --held-out 300", "cannot hold out 300 of 300 samples"),
        ("--report-only", "nothing to report"),
    ] {
        place.refuses(1, &format!("{STUDY} {option}"), &[says]);
    }
    place.refuses(1, "study --data nosuch --device cpu --out st", &["nosuch"]);
    for (option, says) in [
        ("--cases 7", "expected cases from 1 to 6"),
        ("--cases 3-1", "expected cases from 1 to 6"),
        ("--seeds 0", "--seeds"),
        ("--choose --learning-rate 0.1", "cannot be used with"),
        ("--ann-epochs 3", "--comparisons"),
        ("--held-out 30", "--choose"),
    ] {
        place.refuses(2, &format!("{STUDY} {option}"), &[says]);
    }
}

#[test]
fn comparisons_and_pictures_are_reported_on_demand() {
    let place = Place::new();
    place.stdout(&format!("{STUDY} --cases 2 --seeds 1 --epochs 1 --comparisons --ann-epochs 2 --pictures"));
    let table = csv(&read(&place, "st/comparisons.csv"));
    let field = |key: &str, measure: &str, name: &str| table[&(key.to_string(), measure.to_string())][name].clone();
    assert_eq!(table.len(), 18);
    assert_eq!(field("ann", "final_val", "paper"), "97.32");
    assert_eq!(
        (field("lenet5", "final_val", "paper"), field("lenet5", "max_val", "paper")),
        ("99.05".into(), "".into())
    );
    // A single run has no spread, and the quadratic cost is not compared with cross-entropy.
    assert_eq!(
        (field("ann", "final_val", "sd"), field("case2-quadratic", "test_loss", "paper")),
        ("".into(), "".into())
    );
    assert_eq!(epochs(&place, "ann-seed1").len(), 2);
    assert!(read(&place, "st/runs/case2-quadratic-seed1/run.toml").contains("loss = \"quadratic\""));

    let html = read(&place, "st/report.html");
    assert_whole(&html);
    assert!(html.contains("97.32") && html.contains("LeNet-5") && html.contains("equation 1"), "{html}");
    let png = fs::read(place.path("st/worst-case2.png")).unwrap();
    let sheet = image::load_from_memory(&png).unwrap();
    assert!(sheet.width() > 8 * 84 && sheet.height() > 3 * 84, "{} x {}", sheet.width(), sheet.height());
    assert!(html.contains("data:image/png;base64,") && html.contains("do not distribute or publish"), "{html}");
    // Without `--pictures` it shows none.
    place.stdout(&format!("{STUDY} --cases 2 --seeds 1 --epochs 1 --report-only --quiet"));
    let html = read(&place, "st/report.html");
    assert!(!html.contains("data:image") && html.contains("study --pictures shows them"), "{html}");
}

#[test]
fn learning_rate_and_momentum_are_chosen_on_images_held_out() {
    let place = Place::new();
    let choose = format!("{STUDY} --cases 4 --choose --held-out 60 --epochs 1");
    let printed = place.stdout(&choose);
    assert_eq!(printed.lines().filter(|line| line.starts_with("learning rate ")).count(), 12, "{printed}");
    let text = read(&place, "st/choice/choice.csv");
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let rank = |row: &[&str]| (row[2].parse::<f64>().unwrap_or(-1.0), -row[3].parse::<f64>().unwrap_or(f64::MAX));
    let chosen: Vec<_> = rows.iter().filter(|row| row[4] == "true").collect();
    assert_eq!((rows.len(), chosen.len()), (12, 1), "{text}");
    assert!(rows.iter().all(|row| rank(row) <= rank(chosen[0])), "{text}");
    let said = format!("chosen: --learning-rate {} --momentum {}", chosen[0][0], chosen[0][1]);
    assert!(printed.contains(&said), "{printed}");
    // The test set was not used, and each number is that of its run.
    for row in &rows {
        let run = format!("st/choice/case4-rate{}-momentum{}", row[0], row[1]);
        let record: toml::Table = read(&place, &format!("{run}/run.toml")).parse().unwrap();
        assert_eq!(
            (record["validation_images"].as_integer(), record["train_images"].as_integer()),
            (Some(60), Some(240))
        );
        assert_eq!(record["command"]["validation"].as_str(), Some("60"));
        let metrics = lines(&read(&place, &format!("{run}/metrics.jsonl")));
        assert_eq!(number(metrics.last().unwrap(), "val_loss"), row[3].parse::<f64>().unwrap());
    }
    // A second call only writes the result again.
    let before = place.files();
    place.stdout(&choose);
    assert!(place.files() == before, "the second call changed something");
    // The report of the study mentions the choice.
    let markdown = read(&place, "st/choice/choice.md");
    assert!(markdown.contains("60 images held out") && markdown.contains("**"), "{markdown}");
    let options = format!("--learning-rate {} --momentum {}", chosen[0][0], chosen[0][1]);
    place.stdout(&format!("{STUDY} --cases 4 --seeds 1 --epochs 1 {options}"));
    let html = read(&place, "st/report.html");
    for text in ["<code>case4</code> on 60 images held out of the training set", "class=\"chosen\""] {
        assert!(html.contains(text), "no {text}\n{html}");
    }
    place.stdout("study --data data --device cpu --cases 2 --seeds 1 --epochs 1 --out fresh");
    assert!(read(&place, "fresh/report.html").contains("which were chosen on held-out images of MNIST"));
    place.stdout("study --data data --device cpu --cases 2 --seeds 1 --epochs 1 --momentum 0 --out other");
    assert!(read(&place, "other/report.html").contains("Not chosen in this study"));
}
