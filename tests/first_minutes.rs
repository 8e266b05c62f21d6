//! The first minutes with the program: what it suggests works as printed, and a run is judged by its own data.

#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;

use place::{MODEL, Place};
use std::fs;
use std::process::Command;

/// Runs every line below "what to try next".
#[test]
fn what_is_suggested_works_as_printed() {
    let place = Place::new();
    let printed = place.stdout("train tiny.toml -d data -e 1 -o run");
    let (_, suggested) = printed.split_once("what to try next:\n").unwrap_or_else(|| panic!("{printed}"));
    let lines: Vec<&str> = suggested.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 2, "{printed}");
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let output = Command::new(words[0])
            .args(&words[1..])
            .current_dir(place.path(""))
            .env("SHADEGRAD_CACHE", place.cache())
            .env_remove("SHADEGRAD_DATA")
            .output()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty(), "{line}");
    }
}

/// Whoever starts the program by cargo is told what cargo understands.
#[test]
fn the_program_is_named_as_it_was_called() {
    let place = Place::new();
    let output = place.command("train tiny.toml -d data -e 1 -o run").env("CARGO", "cargo").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("\n  cargo run --release -- evaluate run\n"), "{printed}");
}

#[test]
fn a_run_is_evaluated_on_its_own_data() {
    let place = Place::new();
    place.stdout("train tiny.toml -d data -e 1 -o run --quiet");
    // Other data, which would be taken by default.
    place.stdout("data export --data builtin --out other");
    let by = |args: &str, default: &str| {
        let output = place.command(args).env("SHADEGRAD_DATA", place.path(default)).output().unwrap();
        let (printed, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{args}: {said}");
        (printed, said)
    };
    let (printed, said) = by("evaluate run", "other");
    assert!(printed.contains("of 60 images") && !said.contains("other data"), "{printed}{said}");
    // A checkpoint and the weights belong to the run too.
    for file in ["run/checkpoints/best.safetensors", "run/model.safetensors"] {
        assert!(by(&format!("evaluate {file}"), "other").0.contains("of 60 images"), "{file}");
    }
    let (printed, said) = by("evaluate run --data other", "data");
    assert!(printed.contains("of 4,000 images"), "{printed}");
    assert!(said.contains("note: the run was trained on other data: MNIST-format files in data"), "{said}");
    // Weights outside of runs have no data of their own.
    fs::copy(place.path("run/model.safetensors"), place.path("alone.safetensors")).unwrap();
    assert!(by("evaluate alone.safetensors", "other").0.contains("of 4,000 images"));
    // The same folder with other files in it.
    fs::copy(place.path("data/train-labels-idx1-ubyte"), place.path("data/kept")).unwrap();
    let mut labels = fs::read(place.path("data/train-labels-idx1-ubyte")).unwrap();
    labels[8] = (labels[8] + 1) % 10;
    fs::write(place.path("data/train-labels-idx1-ubyte"), labels).unwrap();
    assert!(by("evaluate run", "data").1.contains("note: the run was trained on other data"));
    // The folder is gone.
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    place.refuses(1, "evaluate run", &["--data", "is not there any more"]);
    assert!(by("evaluate run --data moved", "other").0.contains("of 60 images"));
}

/// Held-out images and a scale are a part of what a run was trained on.
#[test]
fn the_data_of_a_run_is_recognized_however_it_was_divided() {
    let place = Place::new();
    place.stdout("train tiny.toml -d data -e 1 --validation 0.1 --scale max --seed 3 -o run --quiet");
    let output = place.run("evaluate run");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !said.contains("other data"), "{said}");
}

#[test]
fn latest_is_the_run_that_was_trained_last() {
    let place = Place::new();
    place.refuses(2, "evaluate latest", &["runs", "no run in this folder yet"]);
    fs::write(place.path("b.toml"), MODEL.replace("tiny", "b")).unwrap();
    place.stdout("train b.toml -d data --max-steps 1 -e 1 --quiet");
    std::thread::sleep(std::time::Duration::from_millis(20));
    place.stdout("train tiny.toml -d data --max-steps 1 -e 1 --quiet");
    let network = |args: &str| {
        let printed = place.stdout(args);
        printed.lines().next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_string()
    };
    assert_eq!(network("evaluate latest"), "tiny");
    // A run that is continued is the latest again.
    let older = fs::read_dir(place.path("runs")).unwrap().map(|entry| entry.unwrap().path());
    let older = older.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with("b-")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    place.stdout(&format!("train --resume {} --max-steps 2 --quiet", older.display()));
    assert_eq!(network("evaluate latest"), "b");
    assert!(place.stdout("predict latest --sample").starts_with("the sample (a seven): "));
    place.stdout("train --resume latest --max-steps 3 --quiet");
    place.stdout("train --like latest --out like --quiet --tune latest");
    assert!(fs::read_to_string(place.path("like/run.toml")).unwrap().contains("name = \"b\""));
    // A folder of this name is taken as it is.
    place.stdout("train tiny.toml -d data --max-steps 1 -e 1 --out latest --quiet");
    assert_eq!(network("evaluate latest"), "tiny");
}

#[test]
fn a_finished_run_keeps_the_best_and_the_last_checkpoint() {
    let place = Place::new();
    let names = |run: &str| {
        let entries = fs::read_dir(place.path(run).join("checkpoints")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    place.stdout("train tiny.toml -d data -e 3 -o run --quiet");
    assert_eq!(names("run"), ["best.safetensors", "step-00000009.safetensors"]);
    place.stdout("train --resume run -e 4 --quiet");
    assert_eq!(names("run"), ["best.safetensors", "step-00000012.safetensors"]);
}

#[test]
fn a_network_that_learns_nothing_is_remarked_on() {
    let place = Place::new();
    let output = place.run("train tiny.toml -d data -e 2 --learning-rate 30 --device cpu -o run");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("it has learned nothing; try another learning rate (it was 30;"), "{said}");
    let output = place.run("train tiny.toml -d data -e 20 --learning-rate 0.1 --device cpu -o good");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && !said.contains("learned nothing"), "{said}");
}

/// The epoch that is called the best is the one of `best.safetensors`: of equal accuracies, the one with the lower loss.
#[test]
fn the_best_epoch_is_that_of_the_best_checkpoint() {
    use shadegrad::train::Checkpoint;
    let place = Place::new();
    let printed = place.stdout("train tiny.toml -d data -e 12 -l 0.2 --device cpu -o run");
    let best = Checkpoint::load(&place.path("run/checkpoints/best.safetensors")).unwrap().state.progress.epochs;
    let named = printed.lines().find_map(|line| line.strip_prefix("the best epoch was "));
    let named = named.map(|rest| rest.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(named, Some(best).filter(|best| *best < 12), "{printed}");
}

/// A run of a case by its preset alone is a run of the study.
#[test]
fn the_presets_of_the_cases_carry_the_recipe_of_the_study() {
    use shadegrad::data::Source;
    use shadegrad::network::Network;
    use shadegrad::study::{Cases, Common, DESCENT, EPOCHS, Study, Subjects};
    let cases: Cases = "1-6".parse().unwrap();
    let subjects = Subjects::paper(&cases, EPOCHS, None, DESCENT).unwrap();
    let common = Common::new(Source::resolve(Some("builtin"), None).0, None);
    let study = Study { subjects, seeds: 1, out: "study".into(), common };
    let jobs = study.jobs().unwrap();
    assert_eq!(jobs.len(), 6);
    for job in jobs {
        let own = Network::open(&job.options.model).unwrap().recipe.complete().unwrap();
        assert_eq!(own, job.options.training, "{}", job.options.model);
    }
}

/// What `devices`, `summary`, `plan`, `tune` and `verify` print for programs is one JSON object or list.
#[test]
fn json_is_for_programs() {
    let place = Place::new();
    let json = |args: &str| -> serde_json::Value {
        let printed = place.stdout(args);
        assert_eq!(printed.lines().count(), 1, "{args}: {printed}");
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{args}: {error}: {printed}"))
    };
    assert!(json("devices --json")["cpu"].as_str().unwrap().starts_with("CPU, "));
    let summary = json("summary case2 --json");
    assert_eq!(summary["parameters"], 225_034);
    assert_eq!(summary["layers"].as_array().unwrap().len(), 12);
    assert_eq!(summary["training"]["learning_rate"], "0.1");
    let plan = json("plan tiny.toml --device cpu --json");
    let passes = plan["step"]["passes"].as_array().unwrap();
    assert!(passes.iter().any(|pass| pass["pass"] == "conv1.forward" && pass["flops"].as_u64() > Some(0)), "{plan}");
    let verified = json("verify --device cpu --quick --only activation --json");
    assert_eq!(verified["failed"], false);
    assert!(verified["cases"].as_u64() > Some(0));
    let adapters = json("devices --json")["adapters"].as_array().unwrap().len();
    if adapters > 0 {
        let plan = json("plan tiny.toml --json");
        let commands = plan["step"]["commands"].as_array().unwrap();
        assert!(commands.iter().any(|command| command["pass"] == "conv1.forward"), "{plan}");
        assert!(json("tune tiny.toml --json").is_array());
    }
}

#[test]
fn completions_and_man_pages_are_made() {
    let place = Place::new();
    for (shell, says) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef shadegrad"),
        ("fish", "complete -c shadegrad"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = place.stdout(&format!("completions {shell}"));
        assert!(script.contains(says) && script.contains("learning-rate"), "{shell}");
    }
    let printed = place.stdout("man");
    let pages = fs::read_dir(place.path("man")).unwrap().count();
    assert!(printed.starts_with(&format!("{pages} man pages in man")) && pages > 10, "{printed}");
    let page = fs::read_to_string(place.path("man/shadegrad-train.1")).unwrap();
    assert!(page.contains("learning\\-rate"), "{page}");
}

/// What one pastes into a bug report.
#[test]
fn the_doctor_describes_and_checks_the_machine() {
    let place = Place::new();
    let output = place.command("doctor").env("VK_LOADER_LAYERS_ENABLE", "none-such").output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for says in
        ["shadegrad 0.", "wgpu ", "system: ", "VK_LOADER_LAYERS_ENABLE=none-such", "data: builtin", "cache: ", "cpu: "]
    {
        assert!(printed.contains(says), "no `{says}` in {printed}");
    }
    assert_eq!(printed.contains("Vulkan loader: "), cfg!(target_os = "linux"), "{printed}");
    let verdict = printed.lines().rfind(|line| line.contains("cpu: ")).unwrap();
    assert!(verdict.contains("all pass"), "{printed}");
}

#[test]
fn the_version_names_what_the_program_is_built_from() {
    let place = Place::new();
    assert_eq!(place.stdout("-V").trim(), format!("shadegrad {}", env!("CARGO_PKG_VERSION")));
    let long = place.stdout("--version");
    assert!(long.lines().count() == 3 && long.contains("\nwgpu ") && long.contains("\nbackends: "), "{long}");
}

/// Log messages go to standard error, in the amount that is asked for.
#[test]
fn logging_is_off_unless_it_is_asked_for() {
    let place = Place::new();
    let said = |args: &str, variable: Option<&str>| {
        let mut command = place.command(args);
        variable.map(|value| command.env("RUST_LOG", value));
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let args = "train tiny.toml -d data -e 1 --quiet --max-steps 1 -o";
    assert_eq!(said(&format!("{args} a"), None), "");
    let info = said(&format!("{args} b -v"), None);
    assert!(info.contains("INFO") && info.contains("shadegrad::"), "{info}");
    let debug = said(&format!("{args} c -vv"), None);
    assert!(debug.contains("DEBUG") && debug.len() > info.len(), "{debug}");
    assert!(said(&format!("{args} d"), Some("shadegrad=debug")).contains("DEBUG"));
}

/// `shadegrad reference >docs/src/commands.md` makes it anew.
#[test]
fn the_command_reference_of_the_book_is_up_to_date() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/commands.md")).unwrap();
    let place = Place::new();
    assert!(page == place.stdout("reference"), "run: cargo run --release -- reference >docs/src/commands.md");
}
