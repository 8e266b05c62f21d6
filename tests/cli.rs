//! The command line: what it prints and writes, and its error messages.

#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;

use place::{Place, TEST_IMAGES, TRAIN_IMAGES, lines, number};
use serde_json::Value;
use shadegrad::data::idx;
use shadegrad::network::Weights;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The counts in a `confusion.csv`.
fn confusion(path: &Path) -> Vec<Vec<u64>> {
    let text = fs::read_to_string(path).unwrap();
    let mut rows = text.lines();
    assert_eq!(rows.next(), Some("label\\predicted,0,1,2,3,4,5,6,7,8,9"));
    rows.enumerate()
        .map(|(label, row)| {
            let mut cells = row.split(',');
            assert_eq!(cells.next(), Some(label.to_string().as_str()));
            cells.map(|cell| cell.parse().unwrap()).collect()
        })
        .collect()
}

#[test]
fn a_run_leaves_a_folder() {
    let place = Place::new();
    let printed = place.stdout(
        "train --model tiny.toml --data data --batch-size 100 --epochs 2 --log-every 2 --seed 7 --out deep/run",
    );
    assert_eq!(["    1/2 ", "    2/2 "].map(|row| printed.matches(row).count()), [1, 1], "{printed}");
    assert!(printed.contains("the run is in deep/run") && printed.contains("60 validation images"), "{printed}");
    let mut names: Vec<_> =
        fs::read_dir(place.path("deep/run")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    let expected =
        [".lock", "checkpoints", "confusion.csv", "metrics.jsonl", "model.safetensors", "run.toml", "tune.toml"];
    assert_eq!(names, expected);

    let record: toml::Table = fs::read_to_string(place.path("deep/run/run.toml")).unwrap().parse().unwrap();
    assert_eq!(record["train_images"].as_integer(), Some(TRAIN_IMAGES as i64));
    assert_eq!(record["validation_images"].as_integer(), Some(TEST_IMAGES as i64));
    assert_eq!(record["options"]["seed"].as_integer(), Some(7));
    assert_eq!(record["options"]["batch_size"].as_integer(), Some(100));
    assert_eq!(record["network"]["layers"].as_array().map(Vec::len), Some(5));
    for key in ["shadegrad", "wgpu", "started", "model", "data", "device", "validation"] {
        assert!(record[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {record}");
    }

    let metrics = lines(&fs::read_to_string(place.path("deep/run/metrics.jsonl")).unwrap());
    let kinds: Vec<_> =
        metrics.iter().map(|line| (line["kind"].as_str().unwrap(), line["step"].as_u64().unwrap())).collect();
    assert_eq!(kinds, [("step", 2), ("epoch", 3), ("step", 4), ("step", 6), ("epoch", 6)]);
    for line in &metrics {
        let keys: &[&str] = match line["kind"].as_str() {
            Some("step") => &["step", "epoch", "loss"],
            _ => &[
                "step",
                "epoch",
                "train_loss",
                "train_accuracy",
                "val_loss",
                "val_accuracy",
                "seconds",
                "images_per_second",
            ],
        };
        keys.iter().for_each(|key| assert!(number(line, key).is_finite()));
        assert_eq!(line.as_object().unwrap().len(), keys.len() + 1, "{line}");
    }

    let (network, weights) = Weights::open(&place.path("deep/run/model.safetensors")).unwrap();
    assert_eq!((network.name.as_str(), weights.values.len()), ("tiny", 4));
    let counts = confusion(&place.path("deep/run/confusion.csv"));
    assert_eq!(counts.iter().flatten().sum::<u64>(), TEST_IMAGES as u64);
    let right: u64 = (0..10).map(|class| counts[class][class]).sum();
    assert_eq!(right as f64 / TEST_IMAGES as f64, number(&metrics[4], "val_accuracy"));
}

#[test]
fn a_run_names_the_versions_that_it_was_built_with() {
    let place = Place::trained();
    let record: toml::Table = fs::read_to_string(place.path("run/run.toml")).unwrap().parse().unwrap();
    let lock: toml::Table =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock")).unwrap().parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let locked = |name: &str| packages.iter().find(|package| package["name"].as_str() == Some(name)).unwrap();
    assert_eq!(record["wgpu"], locked("wgpu")["version"], "{record}");
    let naga = record.get("naga").unwrap_or(&record["wgpu"]);
    assert_eq!(naga, &locked("naga")["version"], "{record}");
}

/// On a software driver one line says what the CPU engine would gain; its speed is measured once and never invented.
#[test]
fn the_cpu_is_compared_with_a_software_driver() {
    let place = Place::new();
    let kept = place.cache().join("cpu-speed.json");
    let said = |options: &str| {
        let args = format!("train --model tiny.toml --data data --epochs 2 {options}");
        let output = place.run(&args);
        assert!(output.status.success(), "{args}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        stderr.lines().filter(|line| line.contains("software driver")).map(str::to_string).collect::<Vec<_>>()
    };
    for silent in ["--quiet", "--json", "--device cpu", "--device reference"] {
        assert_eq!(said(silent), [""; 0], "{silent}");
    }
    assert!(!kept.exists(), "measured for nobody");
    said("");
    if !kept.exists() {
        // The device is a GPU.
        return;
    }
    let text = fs::read_to_string(&kept).unwrap();
    let kept_speed = |speed: f64| {
        let mut entries: Value = serde_json::from_str(&text).unwrap();
        let entry = entries.as_object_mut().unwrap().values_mut().next().unwrap();
        assert!(number(entry, "images_per_second") > 0.0);
        entry["images_per_second"] = speed.into();
        fs::write(&kept, entries.to_string()).unwrap();
    };
    // What is known is taken, and said in one line with the shaders' own figure.
    kept_speed(123_456_789.0);
    let notes = said("");
    let [note] = &notes[..] else { panic!("{notes:?}") };
    let (_, figures) = note.split_once("`--device cpu` is about ").unwrap_or_else(|| panic!("{note}"));
    assert!(figures.contains(" times as fast (120,000,000 instead of "), "{note}");
    // No gain, no line.
    kept_speed(0.5);
    assert_eq!(said(""), [""; 0]);
    // Damage does not matter.
    fs::write(&kept, &text[..text.len() / 2]).unwrap();
    said("");
    assert!(fs::read_to_string(&kept).unwrap().contains("images_per_second"));
    // Other commands do not repeat it.
    place.stdout("train tiny.toml --data data --epochs 1 --out run --quiet");
    for args in ["evaluate run", "predict run --sample", "bench kernels tiny.toml"] {
        let output = place.run(args);
        assert!(
            output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("`--device cpu`"),
            "{args}"
        );
    }
}

#[test]
fn json_is_the_metrics_file_and_quiet_is_silent() {
    let place = Place::new();
    let args = "train --model tiny.toml --data data --max-steps 2 --log-every 1 --epochs 1";
    let printed = place.run(&format!("{args} --json --out json"));
    assert!(printed.status.success());
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(printed, fs::read_to_string(place.path("json/metrics.jsonl")).unwrap());
    let steps: Vec<_> = lines(&printed).iter().map(|line| (line["kind"].to_string(), line["step"].as_u64())).collect();
    let expected = [("step", 1), ("step", 2), ("epoch", 2)];
    assert_eq!(steps, expected.map(|(kind, step)| (format!("\"{kind}\""), Some(step))));

    let quiet = place.run(&format!("{args} --quiet --out quiet"));
    assert!(quiet.status.success() && quiet.stdout.is_empty());
    // A driver may print something of its own.
    let ours = String::from_utf8(quiet.stderr).unwrap();
    assert!(!["device:", "note:", "data:", "network:"].iter().any(|word| ours.contains(word)), "{ours}");
    let read = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(read("json") == read("quiet"), "output options change the weights");
    assert!(
        read("quiet") != {
            place.stdout(&format!("{args} --quiet --out seed --seed 2"));
            read("seed")
        }
    );
}

#[test]
fn runs_are_numbered_and_never_overwritten() {
    let place = Place::new();
    let args = "train --model tiny.toml --data data --max-steps 1 --epochs 1 --quiet";
    place.stdout(args);
    place.stdout(args);
    let mut names: Vec<_> = fs::read_dir(place.path("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2);
    assert!(names[0].starts_with("tiny-2") && names[0].ends_with("-1") && names[1].ends_with("-2"), "{names:?}");
    let taken = format!("{args} --out runs/{}", names[0]);
    place.refuses(1, &taken, &[&names[0], "never overwritten"]);
    place.refuses(1, &format!("{args} --out tiny.toml"), &["tiny.toml", "never overwritten"]);
}

#[test]
fn weights_can_be_continued() {
    let place = Place::trained();
    place.stdout(
        "train --model tiny.toml --data data --max-steps 1 --epochs 1 --learning-rate 1e-30 --momentum 0 \
         --init run/model.safetensors --out more --quiet",
    );
    let read = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(read("run") == read("more"), "a step of nearly nothing does not continue from the given weights");
    let record = fs::read_to_string(place.path("more/run.toml")).unwrap();
    assert!(record.contains("init = \"run/model.safetensors\""), "{record}");
}

#[test]
fn validation_can_be_held_out() {
    let place = Place::new();
    for (validation, images) in [("0.1", 30), ("45", 45)] {
        let run = format!("run{images}");
        place.stdout(&format!(
            "train --model tiny.toml --data data --max-steps 1 --epochs 1 --validation {validation} --out {run} --quiet"
        ));
        let record: toml::Table = fs::read_to_string(place.path(&run).join("run.toml")).unwrap().parse().unwrap();
        assert_eq!(record["validation_images"].as_integer(), Some(images));
        assert_eq!(record["train_images"].as_integer(), Some(TRAIN_IMAGES as i64 - images));
        let counts = confusion(&place.path(&run).join("confusion.csv"));
        assert_eq!(counts.iter().flatten().sum::<u64>(), images as u64);
    }
}

#[test]
fn evaluate_repeats_the_result_of_training() {
    let place = Place::trained();
    let metrics = lines(&fs::read_to_string(place.path("run/metrics.jsonl")).unwrap());
    let epoch = metrics.last().unwrap();
    let text = place.stdout("evaluate run --data data");
    assert!(text.contains("network tiny") && text.contains("of 60 images"), "{text}");
    for run in ["run", "run/model.safetensors"] {
        let json = lines(&place.stdout(&format!("evaluate {run} --data data --json")));
        let [line] = &json[..] else { panic!("one line expected") };
        assert_eq!(number(line, "accuracy"), number(epoch, "val_accuracy"));
        assert!((number(line, "loss") - number(epoch, "val_loss")).abs() < 1e-5);
        assert_eq!((number(line, "images"), line["network"].as_str()), (60.0, Some("tiny")));
        assert_eq!(line["classes"].as_array().map(Vec::len), Some(10));
        let counts: Vec<Vec<u64>> = serde_json::from_value(line["confusion"].clone()).unwrap();
        assert_eq!(counts, confusion(&place.path("run/confusion.csv")));
    }
    // The environment variable gives the data if no option does.
    let output = place.command("evaluate run --json").env("SHADEGRAD_DATA", place.path("data")).output().unwrap();
    assert_eq!(number(&lines(&String::from_utf8(output.stdout).unwrap())[0], "images"), 60.0);
}

/// Draws a dark shape on light paper.
fn draw(path: &Path) {
    let picture = image::GrayImage::from_fn(60, 80, |x, y| {
        image::Luma([if (26..34).contains(&x) && (10..70).contains(&y) { 20 } else { 230 }])
    });
    picture.save(path).unwrap();
}

#[test]
fn predict_reads_pictures() {
    let place = Place::trained();
    draw(&place.path("one.png"));
    let text = place.stdout("predict run one.png");
    assert!(text.starts_with("one.png: ") && text.lines().count() == 11, "{text}");
    let answers = lines(&place.stdout("predict run one.png one.png --json"));
    assert_eq!(answers.len(), 2);
    for answer in &answers {
        assert_eq!(answer["image"], "one.png");
        let probabilities: Vec<f64> = serde_json::from_value(answer["probabilities"].clone()).unwrap();
        assert_eq!(probabilities.len(), 10);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        let best = answer["prediction"].as_u64().unwrap() as usize;
        assert!(probabilities.iter().all(|other| *other <= probabilities[best]), "{answer}");
    }
    for device in ["cpu", "cpu:3", "reference"] {
        let answer = &lines(&place.stdout(&format!("predict run one.png --json --device {device}")))[0];
        assert_eq!(answer["prediction"], answers[0]["prediction"], "{device}");
    }
}

/// As with `| head`, which closes the pipe early.
#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let place = Place::new();
    for command in ["devices", "summary case1", "plan case1"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = place.command(command).stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.is_empty(), "{command}: {}, {said}", output.status);
    }
}

/// A device that is always full stands in for a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_below_the_output_is_an_error() {
    let place = Place::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let train = "train --model tiny.toml --data data --device cpu --max-steps 2 --epochs 1 --out run";
    for command in ["devices", "summary case1", train] {
        let output = place.command(command).stdout(full()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        assert!(said.contains("error: cannot write to standard output: No space left"), "{command}: {said}");
    }
    // The run can be resumed if its output is writable; progress messages are not needed.
    let resumed = place.command("train --resume run").stderr(full()).output().unwrap();
    assert!(resumed.status.success() && !resumed.stdout.is_empty(), "{}", resumed.status);
    let refused = place.command("summary nonsense").stderr(full()).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn networks_and_plans_are_printed() {
    let place = Place::new();
    let summary = place.stdout("summary tiny.toml");
    assert!(summary.contains("conv1") && summary.contains("dense1"), "{summary}");
    assert!(place.stdout("summary case2").contains("225,034"));
    let plan = place.stdout("plan tiny.toml --batch-size 10");
    assert!(plan.contains("conv1.forward") && plan.contains("sgd.update"), "{plan}");
    // The CPU runs passes and has no kernels.
    let plan = place.stdout("plan tiny.toml --device cpu");
    assert!(plan.contains("on CPU, ") && plan.contains("conv1.forward") && plan.contains("conv2d.forward"), "{plan}");
    assert!(!plan.contains("workgroups") && plan.contains("of memory; #4-5 marks"), "{plan}");
    assert!(place.stdout("plan tiny.toml --device reference").contains("on CPU reference"));
    let devices = place.stdout("devices");
    assert!(devices.contains("\ncpu: native code") || devices.starts_with("cpu: native code"), "{devices}");
    assert!(devices.contains("\nreference: the readable reference"), "{devices}");
}

#[test]
fn data_is_shown_and_exported() {
    let place = Place::new();
    let show = "data show --data data --count 6 --columns 3 --out";
    assert!(place.stdout(&format!("{show} sheet.png")).ends_with(": 6 samples in sheet.png\n"));
    let sheet = image::open(place.path("sheet.png")).unwrap();
    assert!(sheet.width() >= 3 * 28 && sheet.height() >= 2 * 28);
    let again = place.stdout(&format!("{show} sheet.png"));
    assert!(again.ends_with(": 6 samples in sheet.png, replacing the file that was there\n"), "{again}");
    place.stdout(&format!("{show} sheet.jpg"));
    assert!(fs::read(place.path("sheet.jpg")).unwrap().starts_with(b"\xff\xd8\xff"), "no JPEG");
    place.refuses(1, &format!("{show} sheet.gif"), &["sheet.gif: expected a file name that ends in .png, .jpg"]);
    let exported = place.stdout("data export --data data --to copy");
    assert!(exported.ends_with("300 training and 60 test images in copy\n"), "{exported}");
    let again = place.stdout("data export --data data --to copy");
    assert!(again.ends_with(" in copy, replacing 4 files that were there\n"), "{again}");
    place.refuses(
        1,
        "data export --data data --to data",
        &["data/train-images-idx3-ubyte: would be read in place of data/train-images-idx3-ubyte.gz; move it away"],
    );
    assert!(!place.path("data/train-images-idx3-ubyte.gz").exists());
    let read = |folder: &str| shadegrad::data::idx::read_folder(&place.path(folder)).unwrap();
    let ((train, test), (train_copy, test_copy)) = (read("data"), read("copy"));
    for (set, copy) in [(train, train_copy), (test, test_copy)] {
        assert!(set == copy, "{}", set.name());
    }
}

#[test]
fn options_out_of_range_are_named() {
    let place = Place::new();
    let train = "train --model tiny.toml --data data --out run";
    for (option, says) in [
        ("--batch-size 0", "--batch-size must be from 1 to 65536, got 0"),
        ("--batch-size 65537", "--batch-size must be from 1 to 65536, got 65537"),
        ("--epochs 0", "--epochs must be at least 1, got 0"),
        ("--learning-rate 0", "--learning-rate must be above 0"),
        ("--learning-rate nan", "--learning-rate must be above 0 and at most 1000, got NaN"),
        ("--learning-rate inf", "got inf"),
        ("--momentum 1", "--momentum must be at least 0 and below 1, got 1"),
        ("--weight-decay 2", "--weight-decay must be from 0 to 1, got 2"),
        ("--momentum 0 --nesterov", "--nesterov needs --momentum above 0"),
        ("--max-steps 0", "--max-steps must be at least 1"),
        ("--optimizer adam --beta1 1", "--beta1 must be at least 0 and below 1, got 1"),
        ("--optimizer adamw --beta2 nan", "--beta2 must be at least 0 and below 1, got NaN"),
        ("--optimizer adam --epsilon 0", "--epsilon must be from 1e-12 to 1, got 0"),
        ("--optimizer adam --momentum 0.9", "--momentum belongs to --optimizer sgd; give both or neither"),
        ("--optimizer adamw --nesterov", "--nesterov belongs to --optimizer sgd"),
        ("--label-smoothing 1", "--label-smoothing must be at least 0 and below 1, got 1"),
        ("--label-smoothing 0.1 --loss quadratic", "--label-smoothing belongs to --loss cross-entropy"),
        ("--clip-norm 0", "--clip-norm must be from 0.000001 to 1000000, got 0"),
        ("--clip-norm nan", "--clip-norm must be from 0.000001 to 1000000, got NaN"),
        ("--ema 1", "--ema must be above 0 and below 1, got 1"),
        ("--patience 0", "--patience must be at least 1, got 0"),
        ("--beta1 0.9", "--beta1 belongs to --optimizer adam or adamw"),
        ("--schedule step --gamma 0", "--gamma must be above 0 and at most 1, got 0"),
        ("--schedule step --step-size 0", "--step-size must be at least 1, got 0"),
        ("--schedule cosine --end-factor nan", "--end-factor must be from 0 to 1, got NaN"),
        ("--schedule one-cycle --peak-at 1", "--peak-at must be above 0 and below 1, got 1"),
        ("--schedule one-cycle --start-factor 0", "--start-factor must be above 0 and at most 1, got 0"),
        ("--schedule one-cycle --warmup 3", "--warmup cannot be used with --schedule one-cycle"),
        ("--gamma 0.5", "--gamma belongs to --schedule step"),
        ("--schedule step --end-factor 0", "--end-factor belongs to --schedule cosine or one-cycle"),
        ("--epochs 2 --warmup 2epochs", "--warmup must be shorter than the run of 6 steps, got 2epochs"),
        ("--log-every 0", "--log-every must be at least 1"),
        ("--validation 300", "cannot hold out 300 of 300 samples"),
        ("--validation 0.0001", "cannot hold out 0 of 300 samples"),
        ("--device nosuch", "no device `nosuch`"),
        ("--device 77", "no device `77`"),
    ] {
        place.refuses(1, &format!("{train} {option}"), &[says]);
    }
    for (option, says) in [
        ("--batch-size many", "--batch-size"),
        ("--batch-size=-3", "--batch-size"),
        ("--optimizer lion", "[possible values: sgd, adam, adamw]"),
        ("--schedule linear", "[possible values: constant, step, exponential, cosine, one-cycle]"),
        ("--warmup 0", "expected a number of steps or of epochs, at least 1"),
        ("--loss cubic", "[possible values: cross-entropy, quadratic]"),
        ("--validation 1.5", "expected a fraction between 0 and 1, or a number of images"),
        ("--validation 0", "expected at least one image"),
        ("--learning-rat 1", "--learning-rate"),
        ("--augment shift=1,shift=2", "shift is given twice"),
        ("--device=", "the device is empty; give auto, cpu, reference"),
        ("--device cpu:0", "cpu:THREADS: expected from 1 to 1024 threads, got `0`"),
        ("--device cpu:1025", "got `1025`"),
        ("--device cpu:all", "got `all`"),
        ("--device cpu:", "got ``"),
    ] {
        place.refuses(2, &format!("{train} {option}"), &[says]);
    }
    place.refuses(1, "summary tiny.toml --batch-size 0", &["--batch-size must be from 1 to 65536, got 0"]);
    place.refuses(1, "plan tiny.toml --batch-size 0", &["--batch-size must be from 1 to 65536, got 0"]);
    place.refuses(1, "plan tiny.toml --device 77", &["no device `77`"]);
    place.refuses(2, "plan tiny.toml --images 0", &["invalid value '0' for '--images <IMAGES>'"]);
    place.refuses(1, "shaders tiny.toml --to wgsl,spirv,wgsl", &["--to: a language is given twice"]);
    place.refuses(2, "devices extra", &["extra"]);
    place.refuses(2, "predict run", &["<PICTURE>"]);
    place.refuses(2, "data fetch cifar", &["[possible values: mnist]"]);
    place.refuses(1, "data show --data data --count 0 --out a.png", &["at least one sample"]);
    place.refuses(1, "data show --data data --columns 0 --out a.png", &["at least one column"]);
    place.refuses(
        1,
        "data show --data data --first 300 --out a.png",
        &["--first 300 is beyond the 300 samples of the set"],
    );
}

#[test]
fn invalid_networks_are_named() {
    let place = Place::new();
    let dense = "[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 10\n";
    let cases = [
        ("rate", format!("[[layers]]\ntype = 'dropout'\nrate = 1.0\n{dense}"), "rate"),
        ("kernel", format!("[[layers]]\ntype = 'conv2d'\nfilters = 2\nkernel = 29\n{dense}"), "29"),
        ("filters", format!("[[layers]]\ntype = 'conv2d'\nfilters = 0\nkernel = 3\n{dense}"), "filters"),
        ("stride", format!("[[layers]]\ntype = 'max_pool2d'\nsize = 2\nstride = 0\n{dense}"), "stride"),
        ("units", "[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 1\n".into(), "at least 2 classes"),
        (
            "huge",
            format!("[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 1000000\n{dense}"),
            "layer 2",
        ),
        ("kind", format!("[[layers]]\ntype = 'conv3d'\n{dense}"), "unknown type `conv3d`"),
        ("image", "[[layers]]\ntype = 'relu'\n".into(), "end with `flatten` and a `dense` layer"),
        ("none", String::new(), "at least one layer ([[layers]] in a file)"),
        ("toml", "[[layers\n".into(), "toml.toml"),
    ];
    for (name, layers, says) in cases {
        fs::write(place.path(&format!("{name}.toml")), format!("input = [28, 28, 1]\n{layers}")).unwrap();
        for command in ["summary", "plan", "train --data data --out run --model"] {
            place.refuses(1, &format!("{command} {name}.toml"), &[says]);
        }
    }
    for command in ["summary", "plan", "train --data data --out run --model"] {
        let all = ["no network `case9`", "case1, case2", "lenet5", ".toml"];
        place.refuses(1, &format!("{command} case9"), &all);
        place.refuses(1, &format!("{command} nosuch.toml"), &["cannot read nosuch.toml"]);
        fs::write(place.path("binary.toml"), [0xff, 0xfe, 0]).unwrap();
        place.refuses(1, &format!("{command} binary.toml"), &["binary.toml"]);
    }
    fs::write(place.path("small.toml"), format!("input = [14, 14, 1]\n{dense}")).unwrap();
    let train = "train --data data --out run --model small.toml";
    place.refuses(1, train, &["expects images of 14x14x1, but the train set has 28x28x1"]);
    fs::write(place.path("five.toml"), format!("input = [28, 28, 1]\n{}", dense.replace("10", "5"))).unwrap();
    let train = "train --data data --out run --model five.toml";
    place.refuses(1, train, &["has 5 classes, but the train set has 10"]);
}

#[test]
fn damaged_data_is_named() {
    let place = Place::trained();
    let images = place.path("data/train-images-idx3-ubyte");
    let whole = fs::read(&images).unwrap();
    let everywhere = |says: &[&str]| {
        for command in [
            "train --model tiny.toml --out again",
            "evaluate run",
            "data show --out a.png",
            "data export --to elsewhere",
        ] {
            place.refuses(1, &format!("{command} --data data"), says);
        }
    };
    fs::write(&images, &whole[..whole.len() - 1]).unwrap();
    everywhere(&["train-images-idx3-ubyte", "truncated: expected 235200 bytes of data, got 235199"]);
    fs::write(&images, &whole[..10]).unwrap();
    everywhere(&["train-images-idx3-ubyte", "truncated"]);
    fs::write(&images, []).unwrap();
    everywhere(&["train-images-idx3-ubyte", "truncated"]);
    let mut wrong = whole.clone();
    wrong[2] = 9;
    fs::write(&images, &wrong).unwrap();
    everywhere(&["train-images-idx3-ubyte"]);
    fs::write(&images, b"\x89PNG\r\n\x1a\n and so on, not at all what was expected").unwrap();
    everywhere(&["train-images-idx3-ubyte"]);
    let mut more = whole.clone();
    more.push(0);
    fs::write(&images, &more).unwrap();
    everywhere(&["train-images-idx3-ubyte", "continues after the 235200 bytes"]);
    fs::remove_file(&images).unwrap();
    everywhere(&["no file train-images-idx3-ubyte", "shadegrad data fetch mnist", "--data builtin"]);
    fs::write(&images, &whole).unwrap();
    idx::write_labels(&place.path("data/train-labels-idx1-ubyte"), &[1; 299]).unwrap();
    everywhere(&["has 299 labels for the 300 images"]);
    fs::remove_dir_all(place.path("data")).unwrap();
    everywhere(&["no file train-images-idx3-ubyte", "data: "]);
}

#[test]
fn damaged_weights_are_named() {
    let place = Place::trained();
    draw(&place.path("one.png"));
    let model = place.path("run/model.safetensors");
    let whole = fs::read(&model).unwrap();
    let everywhere = |says: &[&str]| {
        place.refuses(1, "evaluate run --data data", says);
        place.refuses(1, "predict run one.png", says);
        place.refuses(1, "train --model tiny.toml --data data --init run/model.safetensors --out again", says);
    };
    for kept in [0, 7, 100, whole.len() - 1] {
        fs::write(&model, &whole[..kept]).unwrap();
        everywhere(&["model.safetensors", "not a complete safetensors file"]);
    }
    let mut nan = whole.clone();
    nan[whole.len() - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&model, &nan).unwrap();
    everywhere(&["model.safetensors", "expected finite weights, got NaN"]);
    fs::remove_file(&model).unwrap();
    everywhere(&["cannot read run/model.safetensors"]);
    fs::write(&model, &whole).unwrap();
    let other = "train --model mlp --data data --init run/model.safetensors --out again";
    place.refuses(1, other, &["not weights of `mlp`", "model.safetensors"]);
    place.refuses(1, "evaluate nosuch --data data", &["cannot read nosuch"]);
    place.refuses(1, "predict nosuch one.png", &["cannot read nosuch"]);
}

#[test]
fn pictures_that_show_nothing_are_named() {
    let place = Place::trained();
    draw(&place.path("one.png"));
    let picture = fs::read(place.path("one.png")).unwrap();
    fs::write(place.path("half.png"), &picture[..picture.len() / 2]).unwrap();
    fs::write(place.path("empty.png"), []).unwrap();
    image::GrayImage::from_pixel(30, 30, image::Luma([200])).save(place.path("blank.png")).unwrap();
    for name in ["nosuch.png", "half.png", "empty.png", "blank.png", "tiny.toml", "data"] {
        // The valid picture before it is not answered either.
        place.refuses(1, &format!("predict run one.png {name}"), &[name]);
    }
}

/// A file cannot contain a folder, even for root.
#[test]
fn folders_that_cannot_be_made_are_named() {
    let place = Place::trained();
    place.refuses(1, "train --model tiny.toml --data data --out tiny.toml/run", &["tiny.toml", "cannot create"]);
    place.refuses(1, "data export --data data --to tiny.toml/data", &["cannot create tiny.toml/data"]);
    place.refuses(1, "data fetch mnist --to tiny.toml/data", &["cannot create tiny.toml/data"]);
    place.refuses(1, "data show --data data --out tiny.toml/a.png", &["cannot write tiny.toml/a.png"]);
    place.refuses(1, "data show --data data --out nosuch/a.png", &["there is no folder nosuch; create it first"]);
    fs::write(place.path("runs"), "no folder").unwrap();
    place.refuses(1, "train --model tiny.toml --data data", &["cannot create runs"]);
}

/// A launcher has started several processes of a build without MPI: one error instead of several trainings. Commands
/// about the machine are run by each process.
#[cfg(not(feature = "mpi"))]
#[test]
fn several_processes_need_mpi() {
    let place = Place::new();
    let launched = [
        ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"],
        ["PMI_RANK", "PMI_SIZE"],
        ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"],
    ];
    for [rank, ranks] in launched {
        let run = |number: &str, args: &str| {
            let output = place.command(args).env(rank, number).env(ranks, "2").output().unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let train = "train --model tiny.toml --data data --max-steps 1 --out run";
        let (status, said) = run("0", train);
        let expected = "error: 2 processes were started together, but this build has no MPI";
        assert!(status == Some(1) && said.starts_with(expected) && said.contains("--features mpi"), "{said}");
        assert_eq!(run("1", train), (Some(1), String::new()));
        assert!(!place.path("run").exists());
        let (status, said) = run("0", "data show --data data");
        assert!(status == Some(1) && said.contains("only `train` and `study` run in several processes"), "{said}");
        assert_eq!(run("1", "data show --data data"), (Some(1), String::new()));
        assert_eq!(run("1", "devices").0, Some(0));
        // A sweep, in which each process trains for itself.
        let mut own = place.command(&format!("{train} --quiet"));
        let status = own.env(rank, "1").env(ranks, "2").env("SHADEGRAD_RANKS", "off").status().unwrap();
        assert!(status.success());
        fs::remove_dir_all(place.path("run")).unwrap();
    }
}

/// The folder is kept, with the earlier weights.
#[test]
fn a_loss_that_is_not_finite_is_explained() {
    let place = Place::new();
    let text = "input = [28, 28, 1]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 8\n\
                [[layers]]\ntype = 'dense'\nunits = 8\n[[layers]]\ntype = 'dense'\nunits = 10\n";
    fs::write(place.path("linear.toml"), text).unwrap();
    let train = "train --model linear.toml --data data --batch-size 10 --learning-rate 1000 --find-nan --quiet";
    let output = place.run(&format!("{train} --out run"));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for says in [
        "error: the loss of step ",
        "at learning rate 1000",
        "try a smaller learning rate",
        "from finite numbers\nthe last good weights are in run",
    ] {
        assert!(stderr.contains(says), "{stderr}");
    }
    Weights::open(&place.path("run/model.safetensors")).unwrap();
    assert!(!place.path("run/confusion.csv").exists());
}

#[cfg(unix)]
#[test]
fn kernels_are_tuned_remembered_and_pinned() {
    let place = Place::new();
    let model = "input = [28, 28, 1]\nlayers = [{ type = 'conv2d', filters = 8, kernel = 3 }, { type = 'conv2d', \
                 filters = 8, kernel = 3 }, { type = 'flatten' }, { type = 'dense', units = 10 }]\n";
    fs::write(place.path("two.toml"), model).unwrap();
    let cache = place.path("cache");
    let run = |args: &str| {
        let mut command = place.command(args);
        command.env_remove("SHADEGRAD_TUNE").env("SHADEGRAD_CACHE", &cache);
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args}: {stderr}");
        (String::from_utf8(output.stdout).unwrap(), stderr)
    };
    let train = "train --model two.toml --data data --batch-size 60 --max-steps 2 --out";
    let (_, said) = run(&format!("{train} first"));
    assert!(said.contains("tuning: "), "{said}");
    let files = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: Vec<_> = files.filter(|name| name.starts_with("tune-") && name.ends_with(".json")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let choices = fs::read_to_string(place.path("first/tune.toml")).unwrap();
    assert!(choices.contains("conv2.forward"), "{choices}");

    // The same choices, from the cache and from the run's file, give the same bits.
    let weights = |name: &str| fs::read(place.path(&format!("{name}/model.safetensors"))).unwrap();
    let (_, said) = run(&format!("{train} second"));
    assert!(!said.contains("tuning: "), "{said}");
    run(&format!("{train} third --tune first"));
    run(&format!("{train} fourth --tune first/tune.toml"));
    for name in ["second", "third", "fourth"] {
        assert_eq!(fs::read_to_string(place.path(&format!("{name}/tune.toml"))).unwrap(), choices, "{name}");
        assert!(weights(name) == weights("first"), "{name}");
    }

    let device = std::env::var("SHADEGRAD_TEST_DEVICE").map_or(String::new(), |name| format!("--device {name}"));
    place.refuses(1, "tune two.toml --out nosuch/all.toml", &["there is no folder nosuch; create it first"]);
    let (table, _) = run(&format!("tune two.toml --batch-size 60 --out all.toml {device}"));
    assert!(table.contains("conv2.forward") && table.contains("chosen"), "{table}");
    run(&format!("{train} fifth --tune all.toml"));

    place.refuses(1, "train --model two.toml --data data --tune none.toml", &["none.toml"]);
    fs::write(place.path("broken.toml"), choices.replacen("rows = ", "rows = 1", 1)).unwrap();
    place.refuses(1, "train --model two.toml --data data --tune broken.toml", &["broken.toml", "rows"]);
    place.refuses(1, "tune two.toml --device cpu", &["not the CPU"]);
}

/// Starts a training and waits until its first steps are done, or, for steps that take long, until it is about to do them.
fn running(place: &Place, args: &str, file: &str) -> std::process::Child {
    use std::time::{Duration, Instant};
    let mut child = place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while !fs::metadata(place.path(file)).is_ok_and(|file| file.len() > 0) {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(start.elapsed() < Duration::from_secs(120), "no step in two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn interrupt(child: &std::process::Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// Wrappers such as `timeout` and `npm` forward a Ctrl-C that the program got already: it arrives several times at once.
#[test]
fn ctrl_c_saves_and_ends() {
    let place = Place::new();
    for (run, times) in [("once", 1), ("twice", 2), ("often", 5)] {
        // An epoch of 300 steps, so that the first is hardly over when the signal comes.
        let args = "train --model tiny.toml --data data --batch-size 1 --epochs 100000 --log-every 1 --out";
        let child = running(&place, &format!("{args} {run}"), &format!("{run}/metrics.jsonl"));
        for _ in 0..times {
            interrupt(&child);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(stderr.contains(&format!("interrupted; the weights are saved in {run}")), "{stderr}");
        assert!(stderr.contains(&format!("train --resume {run}\n")), "{stderr}");
        let (network, weights) = Weights::open(&place.path(run).join("model.safetensors")).unwrap();
        assert!(weights != network.initialize(1), "the weights are those of the start");
        let left: Vec<_> = fs::read_dir(place.path(run)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("tmp")), "{left:?}");
        lines(&fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap());
    }
}

/// Whoever does not want to wait for a long step presses Ctrl-C again, and is told what that means.
#[test]
fn a_later_ctrl_c_ends_at_once() {
    use std::time::{Duration, Instant};
    let place = Place::new();
    // A step of the reference that takes much longer than the test.
    let args = "train case1 --data builtin --device reference --batch-size 5000 --epochs 1 --out run";
    let child = running(&place, args, "run/run.toml");
    // The signals are handled from the first step on.
    std::thread::sleep(Duration::from_secs(3));
    let start = Instant::now();
    interrupt(&child);
    std::thread::sleep(Duration::from_millis(1300));
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("ended at once; what was not saved yet is lost"), "{stderr}");
    assert!(
        !stderr.contains("interrupted; the weights are saved") && start.elapsed() < Duration::from_secs(20),
        "{stderr}"
    );
}

/// The schedule of a run is in its record and affects its result.
#[test]
fn a_schedule_is_recorded_and_applied() {
    let place = Place::new();
    let args = "train --model tiny.toml --data data --epochs 2 --quiet";
    let read = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    place.stdout(&format!("{args} --out plain"));
    place.stdout(&format!("{args} --out constant --schedule constant"));
    assert!(read("plain") == read("constant"));
    let schedule = "--schedule cosine --end-factor 0.1 --warmup 2";
    place.stdout(&format!("{args} --out cosine {schedule}"));
    place.stdout(&format!("{args} --out cut {schedule} --max-steps 4"));
    assert!(read("plain") != read("cosine"));
    let record: toml::Table = fs::read_to_string(place.path("cosine/run.toml")).unwrap().parse().unwrap();
    assert_eq!(record["options"]["end_factor"].as_float(), Some(0.1));
    assert_eq!(record["options"]["warmup"].as_str(), Some("2steps"));
    let says = ["--epochs must stay 2, over which the schedule `cosine` is laid, got 3", "from its weights by --init"];
    place.refuses(1, "train --resume cut --epochs 3", &says);
    place.refuses(2, "train --resume cut --warmup 3", &["cannot be used with", "--warmup"]);
    place.stdout("train --resume cut --epochs 2 --max-steps 100 --quiet");
    assert!(read("cut") == read("cosine"), "it resumed with other learning rates");
}

/// The default learning rate of Adam is used, and its moments are in the checkpoint that a run resumes from.
#[test]
fn adam_is_kept() {
    let place = Place::new();
    let read = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    for optimizer in ["adam", "adamw"] {
        let args = format!(
            "train --model tiny.toml --data data --epochs 2 --quiet --optimizer {optimizer} --weight-decay 0.1"
        );
        place.stdout(&format!("{args} --out {optimizer}"));
        place.stdout(&format!("{args} --out cut-{optimizer} --max-steps 4"));
        place.stdout(&format!("train --resume cut-{optimizer} --max-steps 100 --quiet"));
        assert!(read(optimizer) == read(&format!("cut-{optimizer}")), "{optimizer} ends elsewhere");
        let record: toml::Table = fs::read_to_string(place.path(optimizer).join("run.toml")).unwrap().parse().unwrap();
        assert_eq!(record["options"]["optimizer"].as_str(), Some(optimizer));
        assert_eq!(record["options"]["learning_rate"].as_float().map(|rate| rate as f32), Some(0.001));
        let bytes = fs::read(place.path(optimizer).join("checkpoints/step-00000006.safetensors")).unwrap();
        let header = String::from_utf8_lossy(&bytes);
        assert!(header.contains("first_moment.0.weight") && header.contains("second_moment.4.bias"));
    }
    assert!(read("adam") != read("adamw"));
}

/// The average is used wherever weights are shown: in the model file, in the validation loss, and in a checkpoint read
/// as weights.
#[test]
fn the_average_is_what_a_run_shows() {
    let place = Place::new();
    let args = "train --model tiny.toml --data data --epochs 2 --quiet --ema 0.8";
    place.stdout(&format!("{args} --out whole"));
    place.stdout(&format!("{args} --out cut --max-steps 4"));
    place.stdout("train --resume cut --max-steps 100 --quiet");
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    assert!(read("whole/model.safetensors") == read("cut/model.safetensors"));
    let metrics = lines(&fs::read_to_string(place.path("whole/metrics.jsonl")).unwrap());
    let said = number(metrics.last().unwrap(), "val_loss");
    let last = "whole/checkpoints/step-00000006.safetensors";
    for model in ["whole", last] {
        let line = &lines(&place.stdout(&format!("evaluate {model} --data data --json")))[0];
        assert!((number(line, "loss") - said).abs() < 1e-5, "{model}: {line}, {said} in training");
    }
    let header = String::from_utf8_lossy(&read(last)).into_owned();
    assert!(header.contains("trained.0.weight") && header.contains("velocity.0.weight"));
    // The trained weights are not affected by the averaging.
    place.stdout("train --model tiny.toml --data data --epochs 2 --quiet --out plain");
    let step_losses = |run: &str| {
        let text = fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap();
        lines(&text).iter().map(|line| line["train_loss"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(step_losses("plain"), step_losses("whole"));
    assert!(read("plain/model.safetensors") != read("whole/model.safetensors"));
}

/// With a learning rate that is far too high the loss rises. The record says where the run ended, and with more
/// patience it can be resumed.
#[test]
fn patience_ends_a_run() {
    let place = Place::new();
    let args = "train --model tiny.toml --data data --epochs 30 --learning-rate 0.5 --clip-norm 1";
    let said = place.stdout(&format!("{args} --patience 2 --out run"));
    let record = || -> toml::Table { fs::read_to_string(place.path("run/run.toml")).unwrap().parse().unwrap() };
    let stop = record()["stopped_early"].as_table().unwrap().clone();
    let epochs = |run: &str| {
        let text = fs::read_to_string(place.path(run).join("metrics.jsonl")).unwrap();
        let lines = lines(&text).into_iter().filter(|line| line["kind"] == "epoch");
        lines.map(|line| number(&line, "val_loss")).collect::<Vec<f64>>()
    };
    let losses = epochs("run");
    println!("{losses:?}");
    let lowest = (0..losses.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap();
    assert_eq!(losses.len(), lowest + 3);
    assert_eq!(stop["after_epoch"].as_integer(), Some(losses.len() as i64));
    assert_eq!(stop["in_epoch"].as_integer(), Some(lowest as i64 + 1));
    assert_eq!(stop["lowest_val_loss"].as_float(), Some(losses[lowest]));
    assert!(said.contains(&format!("stopped after epoch {}: the validation loss was lowest", losses.len())), "{said}");

    // Without changes it has nothing left to do.
    place.stdout("train --resume run --quiet");
    assert_eq!(epochs("run"), losses);
    place.stdout(&format!("train --resume run --patience 4 --epochs {} --quiet", losses.len() + 1));
    place.stdout(
        &format!("{args} --patience 4 --out patient --quiet --epochs 30")
            .replacen("--epochs 30", &format!("--epochs {}", losses.len() + 1), 1)
            .replace(" --quiet --epochs 30", " --quiet"),
    );
    assert_eq!(epochs("run"), epochs("patient"));
    assert!(!record().contains_key("stopped_early"));
    let read = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    assert!(read("run") == read("patient"));
}
