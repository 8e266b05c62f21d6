//! `[training]` in a network's file: which options `train` takes from it, and which not.

#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;

use place::{MODEL, Place};
use shadegrad::train::Checkpoint;
use shadegrad::train::Recipe;
use std::fs;
use toml::{Table, Value};

/// Together they have every key.
const RECIPES: [&str; 3] = [
    "epochs = 7\nbatch_size = 50\noptimizer = 'adamw'\nlearning_rate = 0.002\nbeta1 = 0.8\nbeta2 = 0.99\nepsilon = 1e-7\n\
     weight_decay = 0.01\nclip_norm = 2\nema = 0.9\nschedule = 'one-cycle'\npeak_at = 0.2\nstart_factor = 0.1\n\
     end_factor = 0.01\nlabel_smoothing = 0.1\naugment = 'digits'\npatience = 3\n",
    "momentum = 0.8\nnesterov = true\nschedule = 'step'\nstep_size = 2\ngamma = 0.5\nwarmup = '2epochs'\n\
     accumulate = 2\nsync_batch_norm = true\naugment = 'shift=2'\n",
    "nesterov = false\nsync_batch_norm = false\nschedule = 'cosine'\nend_factor = 0\nwarmup = 3\naugment = 'none'\npatience = 'none'\n",
];

/// A place with `best.toml`, the network of `tiny.toml` with a recipe.
fn place(recipe: &str) -> Place {
    let place = Place::new();
    fs::write(place.path("best.toml"), format!("{MODEL}[training]\n{recipe}")).unwrap();
    place
}

/// The options in the record of a run of one step.
fn options(place: &Place, arguments: &str) -> Table {
    let run = place.path("run");
    place.stdout(&format!("train --data data --device cpu --max-steps 1 --out run --quiet {arguments}"));
    let mut record: Table = fs::read_to_string(run.join("run.toml")).unwrap().parse().unwrap();
    fs::remove_dir_all(run).unwrap();
    match record.remove("options") {
        Some(Value::Table(options)) => options,
        other => panic!("{other:?}"),
    }
}

/// A recipe as command-line options, without the keys in `without`.
fn by_hand(recipe: &str, without: &[&str]) -> String {
    let recipe: Table = recipe.parse().unwrap();
    let given = |(key, value): (&String, &Value)| {
        let text = value.as_str().map_or(value.to_string(), str::to_string);
        match text.as_str() {
            _ if without.contains(&key.as_str()) => String::new(),
            "true" => format!("--{} ", key.replace('_', "-")),
            "false" => String::new(),
            text => format!("--{} {text} ", key.replace('_', "-")),
        }
    };
    recipe.iter().map(given).collect()
}

#[test]
fn a_network_is_trained_by_its_recipe() {
    let mut keys = Vec::new();
    for recipe in RECIPES {
        let place = place(recipe);
        let expected = options(&place, &format!("--model tiny.toml {}", by_hand(recipe, &[])));
        assert_eq!(options(&place, "--model best.toml"), expected, "{recipe}");
        keys.extend(recipe.parse::<Table>().unwrap().keys().cloned());
    }
    assert!(Recipe::keys().iter().all(|key| keys.iter().any(|there| there == key)), "{keys:?}");
}

#[test]
fn the_command_line_wins() {
    let place = place(RECIPES[0]);
    for (given, aside) in [
        ("--epochs 2 --learning-rate 0.01 --batch-size=100", &["epochs", "learning_rate", "batch_size"][..]),
        ("--augment none --ema none --clip-norm none --patience none", &["augment", "ema", "clip_norm", "patience"]),
        ("--label-smoothing 0 --weight-decay 0", &["label_smoothing", "weight_decay"]),
        ("--end-factor 0.5", &["end_factor"]),
    ] {
        let expected = options(&place, &format!("--model tiny.toml {given} {}", by_hand(RECIPES[0], aside)));
        assert_eq!(options(&place, &format!("--model best.toml {given}")), expected, "{given}");
    }
    let off = options(&place, "--model best.toml --augment none --ema none --clip-norm none --patience none");
    let has = ["augment", "ema", "clip_norm", "patience"].map(|key| off.contains_key(key));
    assert_eq!(has, [false; 4], "{off}");
    let place = self::place(RECIPES[1]);
    let options = options(&place, "--model best.toml --nesterov=false --warmup none");
    assert_eq!(options["nesterov"].as_bool(), Some(false));
    assert!(!options.contains_key("warmup"), "{options}");
}

/// A learning rate that was found for one optimizer does not suit another.
#[test]
fn another_optimizer_or_schedule_drops_the_options_of_the_old() {
    let optimizer = ["optimizer", "learning_rate", "momentum", "nesterov", "beta1", "beta2", "epsilon", "weight_decay"];
    let schedule = ["schedule", "step_size", "gamma", "peak_at", "start_factor", "end_factor", "warmup"];
    let both = [&optimizer[..], &schedule].concat();
    for (recipe, given, aside) in [
        (RECIPES[0], "--optimizer sgd", &optimizer[..]),
        (RECIPES[0], "--optimizer adamw", &optimizer),
        (RECIPES[1], "--optimizer adam --learning-rate 0.01", &optimizer),
        (RECIPES[0], "--schedule constant", &schedule),
        (RECIPES[1], "--schedule cosine", &schedule),
        (RECIPES[0], "--schedule step --optimizer sgd", &both),
    ] {
        let place = place(recipe);
        let expected = options(&place, &format!("--model tiny.toml {given} {}", by_hand(recipe, aside)));
        assert_eq!(options(&place, &format!("--model best.toml {given}")), expected, "{given}");
    }
}

#[test]
fn the_recipe_used_is_printed() {
    let place = place("epochs = 1\noptimizer = 'adam'\nlearning_rate = 0.002\naugment = 'digits'\n");
    let said = |args: &str| {
        let output = place.run(&format!("train --data data --device cpu --max-steps 1 {args}"));
        assert!(output.status.success(), "{args}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        stderr.lines().find(|line| line.starts_with("recipe: ")).map(str::to_string)
    };
    let line = "recipe: epochs 1, optimizer adam, learning rate 0.002, augment digits (from best.toml; command-line options \
                override it)";
    assert_eq!(said("--model best.toml").as_deref(), Some(line));
    let line = "recipe: augment digits (from best.toml; command-line options override it)";
    assert_eq!(said("--model best.toml --epochs 1 --optimizer sgd").as_deref(), Some(line));
    for silent in ["--model best.toml --quiet", "--model best.toml --json", "--model tiny.toml"] {
        assert_eq!(said(silent), None, "{silent}");
    }
    let summary = place.stdout("summary best.toml");
    let line = "Training defaults: epochs 1, optimizer adam, learning rate 0.002, augment digits\n";
    assert!(summary.ends_with(line), "{summary}");
    assert!(!place.stdout("summary tiny.toml").contains("Training, "));
}

#[test]
fn commands_about_a_step_use_the_recipe() {
    let place = place("batch_size = 5\noptimizer = 'adamw'\nlearning_rate = 0.002\nema = 0.9\naugment = 'shift=2'\n");
    let passes = ["batch.augment", "adam.update", "average.update"];
    let has_all = |text: &str| passes.iter().all(|pass| text.contains(pass));
    let plan = place.stdout("plan best.toml --device cpu");
    assert!(has_all(&plan) && plan.contains("batches of 5,"), "{plan}");
    assert!(place.stdout("plan best.toml --device cpu --batch-size 7").contains("batches of 7,"));
    let explicit = place.stdout("summary best.toml --batch-size 5");
    assert_eq!(place.stdout("summary best.toml"), explicit);
    assert!(explicit.contains("for weights, gradients, first moment, second moment, average;"), "{explicit}");
    assert_ne!(place.stdout("summary best.toml --batch-size 100"), explicit);
    let kernels = place.stdout("bench kernels --model best.toml --device cpu --batch 10");
    assert!(has_all(&kernels) && kernels.contains("batches of 10,"), "{kernels}");
    let verified = place.stdout("verify --model best.toml --device cpu --quick --only tiny");
    assert!(has_all(&verified), "{verified}");
    place.stdout("shaders best.toml --out kernels");
    for pass in passes {
        assert!(place.path("kernels").join(format!("{pass}.wgsl")).is_file(), "{pass}");
    }
}

#[test]
fn invalid_recipes_are_named() {
    let place = Place::new();
    let refuses = |recipe: &str, commands: &[&str], says: &str| {
        fs::write(place.path("best.toml"), format!("{MODEL}{recipe}")).unwrap();
        for command in commands {
            place.refuses(1, &format!("{command} best.toml"), &[&format!("error: best.toml: {says}")]);
        }
    };
    let train = "train --data data --out run --model";
    let all = ["summary", "plan", train];
    refuses(
        "[training]\nepoch = 3\n",
        &all,
        "[training]: unknown key `epoch`; known keys: epochs, patience, batch_size, accumulate, sync_batch_norm, opt",
    );
    refuses("[training]\nlearning-rate = 3\n", &all, "[training]: unknown key `learning-rate`; known keys: ");
    refuses("[training]\nseed = 3\n", &all, "[training]: unknown key `seed`");
    let plain = "expected a text, a number, true or false, got";
    refuses("[training]\nepochs = [3]\n", &all, &format!("[training]: epochs: {plain} [3]"));
    refuses("[training]\nema = 2026-01-31\n", &all, &format!("[training]: ema: {plain} 2026-01-31"));
    // Only training checks the values.
    for (entry, says) in [
        ("epochs = 'many'", "epochs: expected a whole number, not negative, got \"many\""),
        ("epochs = -3", "epochs: expected a whole number, not negative, got -3"),
        ("epochs = 0", "epochs must be at least 1, got 0"),
        ("epochs = true", "epochs: expected a whole number, not negative, got true"),
        ("optimizer = 'lion'", "optimizer: expected one of `sgd`, `adam`, `adamw`, got \"lion\""),
        ("optimizer = ''", "optimizer: expected one of `sgd`, `adam`, `adamw`, got \"\""),
        ("nesterov = 1", "nesterov: expected true or false, got 1"),
        ("learning_rate = 'fast'", "learning_rate: expected a number, got \"fast\""),
        ("learning_rate = nan", "learning_rate must be above 0 and at most 1000, got NaN"),
        ("patience = 2.5", "patience: expected a whole number, not negative, got 2.5"),
        ("warmup = 0", "warmup: expected a number of steps or of epochs, at least 1: 500, 500steps, 2epochs, got 0"),
        ("augment = 'letters'", "augment: expected digits, or any of shift, rotation, scale, shear and elastic"),
        ("augment = 'shift=99'", "augment: shift must be from 0 to 15, got 99"),
        ("momentum = 0.9\noptimizer = 'adam'", "momentum belongs to optimizer sgd; give both or neither"),
        ("peak_at = 0.2", "peak_at belongs to schedule one-cycle; give both or neither"),
    ] {
        refuses(&format!("[training]\n{entry}\n"), &["summary", train], &format!("[training]: {says}"));
    }
    fs::write(place.path("best.toml"), format!("training = 3\n{MODEL}")).unwrap();
    place.refuses(
        1,
        "summary best.toml",
        &["best.toml: ", "training = 3", "invalid type: integer `3`, expected a map"],
    );
}

/// Each is valid by itself.
#[test]
fn options_that_conflict_with_the_file_are_errors() {
    let place = place("optimizer = 'adamw'\nepochs = 2\n");
    let train = "train --data data --out run --model best.toml";
    let says =
        "--momentum belongs to --optimizer sgd; give both or neither (with epochs 2, optimizer adamw, of best.toml)";
    place.refuses(1, &format!("{train} --momentum 0.9"), &[says]);
    place.refuses(2, &format!("{train} --epochs many"), &["'--epochs <EPOCHS>'"]);
    place.refuses(1, &format!("{train} --epochs 0 --optimizer sgd"), &["error: --epochs must be at least 1, got 0\n"]);
    // A valid option may depend on what the file says.
    assert_eq!(options(&place, "--model best.toml --beta1 0.5")["beta1"].as_float(), Some(0.5));
}

/// A resumed run uses its own options, and the network in its checkpoint.
#[test]
fn a_resumed_run_does_not_read_the_file() {
    let place = place("epochs = 3\noptimizer = 'adam'\npatience = 2\n");
    let train = "train --data data --device cpu --quiet";
    place.stdout(&format!("{train} --model best.toml --max-steps 5 --out whole"));
    place.stdout(&format!("{train} --model best.toml --max-steps 2 --out cut"));
    fs::write(place.path("best.toml"), format!("{MODEL}[training]\nepochs = 1\noptimizer = 'lion'\n")).unwrap();
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    assert!(!String::from_utf8_lossy(&read("cut/model.safetensors")).contains("training"));
    place.stdout("train --resume cut --max-steps 5 --patience none --quiet");
    assert!(read("cut/model.safetensors") == read("whole/model.safetensors"));
    let patience = |run: &str| {
        let path = format!("{run}/checkpoints/step-00000005.safetensors");
        Checkpoint::from_bytes(&read(&path), &place.path(&path)).unwrap().options.patience
    };
    assert_eq!((patience("whole"), patience("cut")), (Some(2), None));
}

/// The record of a run holds all of its training options.
#[test]
fn a_run_can_be_started_like_another() {
    let place = place("epochs = 2\noptimizer = 'adam'\nlearning_rate = 0.002\naugment = 'shift=2'\n");
    let train = "train --device cpu --quiet";
    place.stdout(&format!("{train} --data data --model best.toml --seed 7 --validation 20 --scale 200 --out first"));
    // The file is not read again.
    fs::remove_file(place.path("best.toml")).unwrap();
    place.stdout(&format!("{train} --like first --out again"));
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    assert!(read("first/model.safetensors") == read("again/model.safetensors"));
    let record = |run: &str| fs::read_to_string(place.path(run).join("run.toml")).unwrap().parse::<Table>().unwrap();
    let (first, again) = (record("first"), record("again"));
    for part in ["model", "checksum", "command", "options", "network", "form"] {
        assert_eq!(first[part], again[part], "{part}");
    }
    // Options on the command line override it, as they do for a network's file.
    place.stdout(&format!("{train} --like first --epochs 1 --optimizer sgd --augment none --seed 8 --out other"));
    let mut expected = options(&self::place("epochs = 1\n"), "--model best.toml --seed 8");
    let other = record("other");
    let Value::Table(mut got) = other["options"].clone() else { panic!("{other}") };
    assert!(got.remove("max_steps").is_none() && expected.remove("max_steps").is_some());
    assert_eq!(got, expected);
    assert_eq!(other["command"], first["command"]);
    place.refuses(2, "train --like first --model case1", &["cannot be used with", "--model"]);
    place.refuses(2, "train --like first --resume first", &["cannot be used with", "--resume"]);
    place.refuses(1, "train --like nothing", &["nothing/run.toml"]);
}
