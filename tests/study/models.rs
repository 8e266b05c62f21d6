//! `study --models`: each network is trained with its own recipe, as by `train`.

use super::place::{MODEL, TRAIN_IMAGES};
use super::*;

const SMALL: &str = "[training]\nepochs = 2\nbatch_size = 50\noptimizer = 'adamw'\nlearning_rate = 0.002\n\
                     schedule = 'cosine'\nlabel_smoothing = 0.1\n";

/// A place with a network file of this name and recipe.
pub fn place_with(name: &str, training: &str) -> Place {
    let place = Place::new();
    fs::write(place.path(name), format!("{MODEL}{training}")).unwrap();
    place
}

/// The number before a text.
fn before(text: &str, what: &str) -> String {
    let before = text.split_once(what).unwrap_or_else(|| panic!("no `{what}` in {text}")).0;
    before.split(' ').next_back().unwrap().replace(',', "")
}

#[test]
fn recipes_are_trained_as_train_does_and_reported_with_their_cost() {
    let place = place_with("small.toml", SMALL);
    let study = format!("{STUDY} --models small.toml,tiny.toml --seeds 2");
    let printed = place.stdout(&study);
    assert!(printed.contains("small seed 2  2 epochs") && printed.contains("tiny seed 2  5 epochs"), "{printed}");
    for model in ["small", "tiny"] {
        place.stdout(&format!(
            "train --model {model}.toml --seed 2 --data data --device cpu --quiet --out {model}-alone"
        ));
        for file in ["model.safetensors", "confusion.csv"] {
            let [ours, alone] = [format!("st/runs/{model}-seed2/{file}"), format!("{model}-alone/{file}")]
                .map(|file| fs::read(place.path(&file)).unwrap());
            assert!(ours == alone, "{model}: {file} differs from that of `train`");
        }
    }

    let runs = [1, 2].map(|seed| epochs(&place, &format!("small-seed{seed}")));
    let table = csv(&read(&place, "st/table.csv"));
    assert_eq!(table.len(), 2 * 6);
    let field = |measure: &str, name: &str| table[&("small".to_string(), measure.to_string())][name].clone();
    for (measure, key, factor) in [("final_val", "val_accuracy", 100.0), ("test_loss", "val_loss", 1.0)] {
        let [a, b] = [&runs[0], &runs[1]].map(|run| number(run.last().unwrap(), key) * factor);
        let expected = [(a + b) / 2.0, (a - b).abs() / 2f64.sqrt()];
        for (name, expected) in ["mean", "sd"].into_iter().zip(expected) {
            assert!((field(measure, name).parse::<f64>().unwrap() - expected).abs() < 1e-9, "{measure}: {table:?}");
        }
    }

    // The cost matches `summary` and the runs.
    let text = read(&place, "st/cost.csv");
    let cost: Vec<&str> = text.lines().nth(1).unwrap().splitn(11, ',').collect();
    let summary = place.stdout("summary small.toml --batch-size 50");
    let step: u64 = before(&summary, " FLOPs: ").parse().unwrap();
    let forward: u64 = before(&summary, " forward, ").parse().unwrap();
    let steps = 2 * TRAIN_IMAGES as u64 / 50;
    assert_eq!(cost[0], "small");
    assert_eq!(cost[2..6], [forward / 50, step * steps, 2, 2].map(|number| number.to_string()));
    let total = summary.lines().find(|line| line.contains("total")).unwrap();
    assert_eq!(cost[1], total.split_whitespace().nth(1).unwrap().replace(',', ""));
    let seconds = runs.each_ref().map(|run| run.iter().map(|epoch| number(epoch, "seconds")).sum::<f64>());
    let speed = seconds.map(|seconds| 2.0 * TRAIN_IMAGES as f64 / seconds);
    for (field, [a, b]) in [(cost[6], seconds), (cost[8], speed)] {
        assert!((field.parse::<f64>().unwrap() / ((a + b) / 2.0) - 1.0).abs() < 1e-9, "{text}");
    }
    assert!(cost[10].contains("CPU"), "{text}");

    let html = read(&place, "st/report.html");
    assert_whole(&html);
    for text in [
        "<title>small and tiny, 2 seeds each</title>",
        "epochs 2, batch size 50, optimizer adamw, learning rate 0.002, schedule cosine, label smoothing 0.1",
        "60 images of the test set",
        "<span>train</span> <span>small.toml</span> <span>--seed</span> <span>1</span>",
        "small, seed 2",
    ] {
        assert!(html.contains(text), "no {text} in {html}");
    }
    let markdown = read(&place, "st/table.md");
    assert!(markdown.contains("| **tiny** | 2 |") && markdown.contains("- tiny: epochs 5;"), "{markdown}");
    for text in ["the paper", "Table I", "Case "] {
        assert!(!html.contains(text) && !markdown.contains(text), "{text} in a report without the paper");
    }
    for name in ["small", "combined", "confusion-tiny"] {
        assert!(html.contains(read(&place, &format!("st/figures/{name}.svg")).trim()), "{name} is not in the page");
    }

    // A second call trains nothing; existing runs must have the same recipe.
    let printed = place.stdout(&study);
    assert!(printed.contains("finished and kept: 4 of 4 runs") && !printed.contains("epochs  "), "{printed}");
    place.stdout(&format!("{study} --report-only --pictures"));
    assert!(place.path("st/worst-small.png").exists() && read(&place, "st/report.html").contains("data:image/png"));
    place.refuses(1, &format!("{study} --epochs 3"), &["st/runs/small-seed1", "epochs: 2 there, 3 here"]);
    fs::write(place.path("small.toml"), format!("{MODEL}{}", SMALL.replace("0.002", "0.003"))).unwrap();
    place.refuses(1, &study, &["st/runs/small-seed1", "learning_rate: 0.002 there, 0.003 here"]);
}

/// What is published must not reveal the location of somebody's data; `--epochs` overrides the recipe.
#[test]
fn a_record_names_the_data_as_the_study_was_given_it() {
    let place = place_with("small.toml", SMALL);
    place.stdout(&format!("{STUDY} --models small.toml --seeds 1 --epochs 1"));
    let record: toml::Table = read(&place, "st/runs/small-seed1/run.toml").parse().unwrap();
    assert_eq!(record["command"]["data"].as_str(), Some("data"));
    assert_eq!(record["options"]["epochs"].as_integer(), Some(1));
    let here = place.path("").display().to_string();
    let written = place.files();
    let texts = written.iter().filter(|(path, _)| path.starts_with(place.path("st")));
    for (path, text) in texts.filter(|(path, _)| path.extension().is_none_or(|kind| kind != "png")) {
        assert!(!String::from_utf8_lossy(text).contains(here.trim_end_matches('/')), "{}", path.display());
    }
    assert!(read(&place, "st/report.html").contains("<title>small, 1 seed</title>"));
}

#[test]
fn held_out_images_replace_the_test_set() {
    let place = place_with("small.toml", SMALL);
    let study = format!("{STUDY} --models small.toml --seeds 2 --validation 60");
    place.stdout(&study);
    place.stdout("train --model small.toml --seed 2 --data data --device cpu --quiet --validation 60 --out alone");
    let [ours, alone] = ["st/runs/small-seed2", "alone"].map(|run| fs::read(place.path(run).join("model.safetensors")));
    assert!(ours.unwrap() == alone.unwrap(), "other images were held out than by `train`");
    let record: toml::Table = read(&place, "st/runs/small-seed1/run.toml").parse().unwrap();
    assert_eq!((record["train_images"].as_integer(), record["validation_images"].as_integer()), (Some(240), Some(60)));
    let written = ["report.html", "table.md", "table.csv"].map(|name| read(&place, &format!("st/{name}"))).concat();
    for text in ["60 images held out of the training set", "validation loss", "Counts of images held out", "val_loss"] {
        assert!(written.contains(text), "no {text} in {written}");
    }
    for text in ["of the test set", "test images", "test loss", "test_loss", "The test set is"] {
        assert!(!written.contains(text), "{text} in {written}");
    }
    // Each seed has its own data, which is recognised again.
    let printed = place.stdout(&study);
    assert!(printed.contains("finished and kept: 2 of 2 runs"), "{printed}");
    place.refuses(1, &study.replace(" --validation 60", ""), &["validation: 60 there, test here"]);
    place.refuses(1, &study.replace("--validation 60", "--validation 300"), &["validation: 60 there, 300 here"]);
}

#[test]
fn a_run_that_stops_early_is_finished() {
    let place = place_with("eager.toml", "[training]\nepochs = 60\nlearning_rate = 0.2\npatience = 1\n");
    let study = format!("{STUDY} --models eager.toml --seeds 2");
    place.stdout(&study);
    let done = [1, 2].map(|seed| epochs(&place, &format!("eager-seed{seed}")).len());
    assert!(done.iter().all(|done| *done < 60), "{done:?}");
    let printed = place.stdout(&study);
    assert!(printed.contains("finished and kept: 2 of 2 runs"), "{printed}");
    let fields = read(&place, "st/cost.csv");
    let fields: Vec<&str> = fields.lines().nth(1).unwrap().split(',').collect();
    let [least, most] = [done.iter().min(), done.iter().max()].map(|done| done.unwrap().to_string());
    assert_eq!((fields[4], fields[5]), (least.as_str(), most.as_str()));
    fs::write(place.path("eager.toml"), read(&place, "eager.toml").replace("patience = 1", "patience = 2")).unwrap();
    place.refuses(1, &study, &["patience: 1 there, 2 here"]);
}

/// A recipe that diverges: the weight decay multiplies weights by -999 in each step.
pub const WILD: &str =
    "[training]\nepochs = 1\nbatch_size = 10\nlearning_rate = 1000\nmomentum = 0\nweight_decay = 1\n";

#[test]
fn a_diverging_run_does_not_stop_the_study() {
    let place = place_with("wild.toml", WILD);
    let output = place.run(&format!("{STUDY} --models wild.toml,tiny.toml --seeds 2 --epochs 1"));
    let [printed, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: 2 of 4 runs diverged") && stderr.contains("the report says which"), "{stderr}");
    assert!(printed.contains("wild seed 1  diverged: ") && printed.contains("tiny seed 2  1 epoch "), "{printed}");
    let html = read(&place, "st/report.html");
    assert_whole(&html);
    let missing =
        "wild: 0 of 2 seeds have finished; seed 1: the loss or a weight was not finite in epoch 1, seed 2: the";
    assert!(html.contains(missing) && html.contains("tiny, seed 2"), "{html}");
    assert!(read(&place, "st/table.md").contains(missing));
    let output = place.run(&format!("{STUDY} --models wild.toml --seeds 1 --epochs 1"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && stderr.contains("1 of 1 run diverged") && stderr.contains("nothing to report"));
}

#[test]
fn options_that_conflict_with_models_are_refused() {
    let place = place_with("odd.toml", "[training]\nmomentum = 2\n");
    fs::create_dir(place.path("more")).unwrap();
    fs::copy(place.path("tiny.toml"), place.path("more/tiny.toml")).unwrap();
    for (options, says) in [
        ("--models nosuch", "no network `nosuch`: expected a preset (starter"),
        ("--models tiny.toml,", "no network ``"),
        ("--models odd.toml", "odd.toml: [training]: momentum must be at least 0"),
        ("--models tiny.toml,more/tiny.toml", "would share the run folders of `tiny`"),
        ("--models tiny.toml --epochs 0", "--epochs must be at least 1, got 0"),
        ("--models tiny.toml --validation 300", "cannot hold out 300 of 300 samples"),
    ] {
        place.refuses(1, &format!("{STUDY} {options}"), &[says]);
    }
    for (options, says) in [
        ("--cases 2", "cannot be used with"),
        ("--comparisons", "cannot be used with"),
        ("--learning-rate 0.1", "cannot be used with"),
        ("--momentum 0.5", "cannot be used with"),
        ("--schedule cosine", "cannot be used with"),
        ("--choose", "cannot be used with"),
        ("--validation 60 --pictures", "cannot be used with"),
    ] {
        place.refuses(2, &format!("{STUDY} --models tiny.toml {options}"), &[says]);
    }
    place.refuses(
        1,
        &format!("{STUDY} --validation 60"),
        &["--validation is for networks that are named: give a MODEL"],
    );
}
