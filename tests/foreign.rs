//! Input from others: outputs that are not regular files, runs from elsewhere, and strings that a terminal or a report
//! could misinterpret.
#![cfg(feature = "cli")]
#![cfg(unix)]

#[path = "common/place.rs"]
mod place;

use place::Place;
use shadegrad::network::{Network, Weights};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A command that waits for a FIFO is stopped after this time, and the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Exit status and standard error of a command that must not block.
fn ends(place: &Place, args: &str) -> (Option<i32>, String) {
    let mut child = place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{args}: still waits after {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut stderr = String::new();
    pipe.read_to_string(&mut stderr).unwrap();
    (status.code(), stderr)
}

/// ` --device NAME` for the test device, for commands to which `Place` does not add it.
fn device() -> String {
    std::env::var("SHADEGRAD_TEST_DEVICE").map_or(String::new(), |name| format!(" --device {name}"))
}

/// Commands with the output `OUT`, each with the suffix that its output needs.
fn outputs() -> Vec<(String, &'static str)> {
    let device = device();
    vec![
        ("data show --data data --count 4 --out OUT".to_string(), ""),
        ("evaluate run --data data --logits OUT".to_string(), ""),
        (format!("tune tiny.toml --batch-size 1 --out OUT{device}"), ""),
        (format!("bench kernels --model tiny.toml --batch 2 --roofline OUT{device}"), ".svg"),
        ("verify --device cpu --quick --only softmax --report OUT".to_string(), ".md"),
    ]
}

#[test]
fn a_link_in_the_place_of_an_output_is_followed() {
    let place = Place::trained();
    for (command, ending) in outputs() {
        fs::write(place.path("kept"), "old").unwrap();
        fs::set_permissions(place.path("kept"), fs::Permissions::from_mode(0o600)).unwrap();
        let link = place.path(&format!("link{ending}"));
        symlink("kept", &link).unwrap();
        place.stdout(&command.replace("OUT", &format!("link{ending}")));
        assert!(link.is_symlink(), "{command}: the link was replaced");
        assert_ne!(fs::read(place.path("kept")).unwrap(), b"old", "{command}");
        assert_eq!(fs::metadata(place.path("kept")).unwrap().permissions().mode() & 0o777, 0o600, "{command}");
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_device_in_the_place_of_an_output_is_written_to() {
    let place = Place::trained();
    for (command, ending) in outputs() {
        // Through a link, so that a bug could not remove the device itself.
        let (null, full) = (format!("null{ending}"), format!("full{ending}"));
        symlink("/dev/null", place.path(&null)).unwrap();
        symlink("/dev/full", place.path(&full)).unwrap();
        place.stdout(&command.replace("OUT", &null));
        // A roofline takes seconds to measure, and the third case adds nothing.
        if !command.starts_with("bench") {
            let (status, stderr) = ends(&place, &command.replace("OUT", &full));
            assert_eq!(status, Some(1), "{command}: {stderr}");
            assert!(stderr.contains(&format!("cannot write {full}: No space left on device")), "{command}: {stderr}");
        }
        for (link, device) in [(null, "/dev/null"), (full, "/dev/full")] {
            assert!(place.path(&link).is_symlink(), "{command}: {link} was replaced");
            assert!(fs::metadata(device).unwrap().file_type().is_char_device());
            fs::remove_file(place.path(&link)).unwrap();
        }
    }
}

#[test]
fn a_fifo_in_the_place_of_an_output_is_written_to() {
    let place = Place::trained();
    fifo(&place.path("out"));
    let reader = std::thread::spawn({
        let path = place.path("out");
        move || fs::read(path).unwrap()
    });
    let show = "data show --data data --count 4 --out";
    assert_eq!(ends(&place, &format!("{show} out")).0, Some(0));
    assert!(fs::symlink_metadata(place.path("out")).unwrap().file_type().is_fifo());
    place.stdout(&format!("{show} plain.png"));
    assert_eq!(reader.join().unwrap(), fs::read(place.path("plain.png")).unwrap());
}

/// Also when it is redirected to a file, which is neither replaced nor overwritten from its start.
#[test]
fn an_output_to_stdout_appears_among_printed_lines() {
    let place = Place::trained();
    symlink("/dev/stdout", place.path("here")).unwrap();
    let evaluate = "evaluate run --data data --json --logits";
    place.stdout(&format!("{evaluate} plain"));
    let logits = fs::read_to_string(place.path("plain")).unwrap();
    let printed = place.stdout(&format!("{evaluate} here"));
    let into = File::create(place.path("printed")).unwrap();
    assert!(place.command(&format!("{evaluate} here")).stdout(into).status().unwrap().success());
    for text in [printed, fs::read_to_string(place.path("printed")).unwrap()] {
        let rest = text.strip_prefix(&logits).unwrap_or_else(|| panic!("{text}"));
        assert!(rest.starts_with('{') && rest.ends_with("}\n") && rest.lines().count() == 1, "{rest}");
    }
    assert!(place.path("here").is_symlink());
}

#[test]
fn a_foreign_run_cannot_touch_files_outside_of_it() {
    let place = Place::trained();
    fs::create_dir(place.path("mine")).unwrap();
    let checkpoint = fs::read_dir(place.path("run/checkpoints")).unwrap().next().unwrap().unwrap().file_name();
    let checkpoint = format!("checkpoints/{}", checkpoint.to_string_lossy());
    let names = [".lock", "run.toml", "tune.toml", "metrics.jsonl", "model.safetensors", "confusion.csv", &checkpoint];
    for name in names {
        let (inside, aside) = (place.path("run").join(name), place.path("aside"));
        let was_there = inside.exists();
        if was_there {
            fs::rename(&inside, &aside).unwrap();
            fs::copy(&aside, place.path("mine/file")).unwrap();
        } else {
            fs::write(place.path("mine/file"), "mine").unwrap();
        }
        symlink("../".repeat(name.matches('/').count() + 1) + "mine/file", &inside).unwrap();
        place.refuses(1, "train --resume run --epochs 2 --data data", &[name, "expected a regular file, got a link"]);
        fs::remove_file(&inside).unwrap();
        fifo(&inside);
        let (status, stderr) = ends(&place, "train --resume run --epochs 2 --data data");
        assert_eq!(status, Some(1), "{name}: {stderr}");
        assert!(stderr.contains(name) && stderr.contains("expected a regular file, got a FIFO"), "{name}: {stderr}");
        fs::remove_file(&inside).unwrap();
        if was_there {
            fs::rename(aside, inside).unwrap();
        }
    }
    fs::rename(place.path("run/checkpoints"), place.path("mine/checkpoints")).unwrap();
    symlink("../mine/checkpoints", place.path("run/checkpoints")).unwrap();
    let says = ["checkpoints: expected a folder, got a link"];
    place.refuses(1, "train --resume run --epochs 2 --data data", &says);
    fs::remove_file(place.path("run/checkpoints")).unwrap();
    fs::rename(place.path("mine/checkpoints"), place.path("run/checkpoints")).unwrap();
    place.stdout("train --resume run --epochs 2 --max-steps 4 --data data --quiet");
}

#[test]
fn resuming_removes_only_what_the_program_has_left() {
    let place = Place::trained();
    let (kept, left) = (
        ["notes.tmp", "checkpoints/backup.tmp", ".shadegrad-tmp"],
        [".model.safetensors.1-0.shadegrad-tmp", "checkpoints/.best.safetensors.77-3.shadegrad-tmp"],
    );
    for name in kept.iter().chain(&left) {
        fs::write(place.path("run").join(name), "?").unwrap();
    }
    place.stdout("train --resume run --epochs 2 --max-steps 4 --data data --quiet");
    let is_there = |name: &&str| place.path("run").join(name).exists();
    assert!(kept.iter().all(is_there), "a file of the user was removed");
    assert!(!left.iter().any(is_there), "temporary files are left");
}

#[test]
fn a_fifo_in_the_place_of_the_known_bad_list_is_not_waited_for() {
    let place = Place::new();
    fifo(&place.cache().join("known-bad.toml"));
    let (status, stderr) = ends(&place, &format!("verify --quick --only softmax{}", device()));
    assert_eq!(status, Some(1), "{stderr}");
    assert!(stderr.contains("known-bad.toml: expected a regular file, got a FIFO"), "{stderr}");
}

const LAYERS: &str = "input = [28, 28, 1]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 10\n";

fn no_control(text: &str) -> bool {
    text.chars().all(|letter| letter == '\n' || !(letter.is_control() || letter == '\u{202e}'))
}

#[test]
fn the_name_of_a_network_can_be_the_name_of_a_file() {
    let place = Place::new();
    for name in ["../../x", "", &"x".repeat(255), "a b", "\\u001b[31mred", "a\\nb", "\\u202egnp"] {
        fs::write(place.path("named.toml"), format!("name = \"{name}\"\n{LAYERS}")).unwrap();
        let says = ["named.toml: name: expected a name of 1 to 32 letters"];
        for command in ["train --data data --model", "summary", "plan --device cpu"] {
            place.refuses(1, &format!("{command} named.toml"), &says);
            let stderr = place.run(&format!("{command} named.toml")).stderr;
            assert!(no_control(str::from_utf8(&stderr).unwrap()), "{stderr:?}");
        }
    }
    // Named after its file.
    fs::write(place.path("\u{1b}[31mmy-net.v2.toml"), LAYERS).unwrap();
    let train = "train --data data --device cpu --max-steps 1 --model \u{1b}[31mmy-net.v2.toml";
    let Output { status, stdout, stderr } = place.run(train);
    let said = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(status.success() && no_control(&said) && said.contains("network: 31mmy-net-v2, "), "{said}");
    let runs: Vec<_> = fs::read_dir(place.path("runs")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(runs.len() == 1 && runs[0].to_string_lossy().starts_with("31mmy-net-v2-"), "{runs:?}");
    place.refuses(1, "summary \u{1b}]0;title\u{7}.toml", &["\\u001b]0;title\\u0007.toml"]);
}

#[test]
fn strings_from_files_are_escaped_for_the_terminal() {
    let place = Place::new();
    let escape = "\\u001b[31m\\u009b31m\\u202e\\nerror: all is well";
    for text in [
        format!("\"{escape}\" = 1\n{LAYERS}"),
        LAYERS.replace("units", &format!("\"{escape}\" = 1\nunits")),
        LAYERS.replace("'dense'", &format!("\"{escape}\"")),
        LAYERS.replace("= 10", &format!("= \"{escape}\"")),
        LAYERS.replace("[[layers]]\ntype = 'dense'", &format!("[[layers]]\nname = \"{escape}\"\ntype = 'dense'")),
        format!("{LAYERS}[training]\n\"{escape}\" = 1\n"),
        format!("{LAYERS}[training]\nschedule = \"{escape}\"\n"),
        format!("{LAYERS}[training]\naugment = \"{escape}\"\n"),
        format!("{LAYERS}# raw \u{1b}[31m\u{8}\n"),
    ] {
        fs::write(place.path("hostile.toml"), &text).unwrap();
        let Output { status, stderr, .. } = place.run("train --data data --model hostile.toml --out run");
        let stderr = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(1), "{stderr}");
        assert!(no_control(&stderr), "{text:?}: {stderr:?}");
        // It does not look like a line of the program's own either.
        assert!(!stderr.lines().any(|line| line.trim_start().starts_with("error: all is well")), "{stderr}");
    }
}

/// The name of a network's file appears in every kind of file in a report.
#[test]
fn a_report_takes_names_for_text() {
    let place = Place::new();
    let key = "=1+1|<b>`x`\u{1}\u{202e}&";
    fs::write(place.path(&format!("{key}.toml")), LAYERS).unwrap();
    place.stdout(&format!("study --data data --device cpu --seeds 1 --epochs 1 --out st --quiet --models {key}.toml"));
    let read = |name: &str| fs::read_to_string(place.path("st").join(name)).unwrap();
    let shown = "=1+1|<b>`x`\\u0001\\u202e&";
    for table in ["table.csv", "cost.csv"] {
        let text = read(table);
        let rows = text.lines().skip(1);
        assert!(rows.clone().count() > 0 && rows.clone().all(|row| row.starts_with(&format!("'{shown},"))), "{text}");
    }
    let markdown = read("table.md");
    assert!(markdown.contains(r"| **=1+1\|\<b\>\`x\`\\u0001\\u202e\&** |"), "{markdown}");
    for row in markdown.lines().filter(|line| line.starts_with('|')) {
        let bars = row.replace("\\|", "").matches('|').count();
        assert!([9, 10].contains(&bars), "{bars} in {row}");
    }
    let html = read("report.html");
    assert!(html.contains("=1+1|&lt;b&gt;`x`\\u0001\\u202e&amp;") && !html.contains("<b>"), "{html}");
    let figure = |name: &str| read(&format!("figures/{name}{key}.svg"));
    for text in [markdown, html, figure(""), figure("confusion-")] {
        assert!(no_control(&text.replace('\t', "")), "{text:?}");
    }
}

/// An environment in which no Vulkan driver loads.
fn without_drivers(place: &Place, args: &str) -> (Option<i32>, String, String) {
    let mut command = place.command(args);
    for name in ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"] {
        command.env(name, "/nonexistent.json");
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn commands_about_a_driver_do_not_turn_to_the_cpu() {
    let place = Place::new();
    for command in ["verify --quick", "verify", "verify --inject", "tune tiny.toml", "bench --devices 0"] {
        let (status, stdout, stderr) = without_drivers(&place, command);
        assert_eq!((status, stdout.as_str()), (Some(1), ""), "{command}: {stderr}");
        assert!(stderr.contains("no GPU driver") && stderr.contains("scripts/setup"), "{command}: {stderr}");
    }
    let (status, _, stderr) = without_drivers(&place, "verify --quick");
    assert!(status == Some(1) && stderr.contains("--device cpu"), "{stderr}");
    let (status, stdout, stderr) = without_drivers(&place, "verify --quick --only softmax --device cpu");
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stdout.contains("all pass"), "{stdout}");
    // Kernels can be written without a driver, but the device that they are for is stated.
    let (status, _, stderr) = without_drivers(&place, "shaders tiny.toml --out kernels");
    assert_eq!(status, Some(0), "{stderr}");
    assert!(stderr.contains("note: no GPU driver found") && stderr.contains("a software driver"), "{stderr}");
}

#[test]
fn weights_that_overflow_give_no_result() {
    let place = Place::new();
    let network = Network::open(place.path("tiny.toml").to_str().unwrap()).unwrap();
    let values = network.parameters().iter().map(|of| vec![3e38; of.parameter.len()]).collect();
    Weights { values }.save(&network, &place.path("large.safetensors")).unwrap();
    let digit = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/digits/seven.png");
    let predict = format!("predict large.safetensors {digit}");
    for json in ["", " --json"] {
        place.refuses(1, &format!("{predict}{json}"), &["seven.png: ", "overflow\nconv1.forward"]);
        let evaluate = format!("evaluate large.safetensors --data data{json}");
        place.refuses(1, &evaluate, &["the loss of `tiny` on the test set is ", "overflow\nconv1.forward"]);
    }
    place.refuses(1, "evaluate large.safetensors --data data --logits logits.csv", &["overflow\nconv1.forward"]);
}
