//! What commands print on a terminal of 80 columns: no line is longer, so that no word is broken; and what they print elsewhere.

#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "common/place.rs"]
mod place;

use place::Place;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const WIDTH: usize = 80;

/// What a command prints on a terminal of 80 columns, both streams together.
fn screen(place: &Place, args: &str) -> String {
    let output = on_terminal(place, args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args}: {text}");
    text
}

/// Runs a command on a pseudo-terminal, which `script` of util-linux makes.
fn on_terminal(place: &Place, args: &str) -> Output {
    let program = place.command(args);
    let words: Vec<String> = [program.get_program()]
        .into_iter()
        .chain(program.get_args())
        .map(|w| w.to_string_lossy().into_owned())
        .collect();
    let line = format!("stty cols {WIDTH} rows 24; exec {}", words.join(" "));
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &line, "/dev/null"]).current_dir(place.path("")).stdin(Stdio::null());
    command.env_remove("SHADEGRAD_DATA").env_remove("CARGO").env_remove("RUST_LOG").env_remove("NO_COLOR");
    command.env("TERM", "xterm-256color").env("SHADEGRAD_CACHE", place.cache()).env("SHADEGRAD_TUNE", "off");
    command.output().expect("`script` of util-linux")
}

/// Text without escape sequences.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => {
                // A control sequence ends with a letter.
                letters.by_ref().find(char::is_ascii_alphabetic);
            }
            _ => plain.push(letter),
        }
    }
    plain
}

/// Fails for a line that the terminal would wrap. Bars are drawn again and again, each time from the left border.
fn assert_fits(args: &str, text: &str) {
    for line in plain(text).split(['\n', '\r']) {
        let length = line.chars().count();
        assert!(length <= WIDTH, "{args}: {length} columns: {line}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let place = Place::new();
    for args in [
        "train tiny.toml -d data -e 2 -o run",
        "evaluate run",
        "evaluate latest --data data --device cpu",
        "predict run --sample",
        "summary case2",
        "summary best",
        "plan case2",
        "plan case2 --device cpu",
        "plan best",
        "bench tiny.toml --device cpu --seconds 0.1 --repeats 1",
        "bench kernels tiny.toml --device cpu",
        "bench kernels tiny.toml",
        "verify --quick --only dense",
        "verify --quick --only exp",
        "tune tiny.toml",
        "devices",
        "doctor --no-verify",
        "shaders tiny.toml",
        "data export --data data -o set",
        "--help",
        "train --help",
        "study --help",
        "verify --help",
        "bench --help",
        "--version",
    ] {
        let args = if args.starts_with("evaluate latest") { args.replace("latest", "run") } else { args.to_string() };
        let text = screen(&place, &args);
        assert!(!text.trim().is_empty(), "{args}");
        assert_fits(&args, &text);
    }
}

/// The test above must see a line that is too long, and a bar that is.
#[test]
fn long_lines_are_seen() {
    for text in
        ["a".repeat(81), format!("short\r\n\u{1b}[32m{}\u{1b}[0m", "b".repeat(81)), format!("x\r{}", "c".repeat(90))]
    {
        assert!(std::panic::catch_unwind(|| assert_fits("test", &text)).is_err(), "{text}");
    }
    assert_fits("test", &format!("\u{1b}[1;31m{}\u{1b}[0m\r\n", "d".repeat(80)));
}

#[test]
fn colours_are_for_terminals_and_can_be_turned_off() {
    let place = Place::trained();
    let is_coloured = |text: &str| text.contains("\u{1b}[32m");
    assert!(is_coloured(&screen(&place, "verify --quick --only activation")));
    assert!(is_coloured(&screen(&place, "evaluate run --data data")), "the diagonal");
    assert!(!screen(&place, "evaluate run --data data --color never").contains("\u{1b}[3"));
    let piped = place.stdout("evaluate run --data data");
    assert!(!piped.contains('\u{1b}'), "{piped}");
    assert!(is_coloured(&place.stdout("evaluate run --data data --color always")));
    let output = place.command("evaluate run --data data").env("NO_COLOR", "1").output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stdout).contains('\u{1b}'));
    let error = on_terminal(&place, "summary nosuch");
    assert!(String::from_utf8_lossy(&error.stdout).contains("\u{1b}[31m"), "an error is red");
}

/// A terminal is told the time that is left; without one, every epoch is a row of the same table.
#[test]
fn epochs_are_rows_of_a_table() {
    let place = Place::new();
    let printed = place.stdout("train tiny.toml -d data -e 3 -o run");
    let rows: Vec<Vec<&str>> = printed.lines().take(4).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0].join(" "), "epoch train loss train acc val loss val acc images/s left");
    for (epoch, row) in rows[1..].iter().enumerate() {
        assert_eq!(row[0], format!("{}/3", epoch + 1), "{printed}");
        assert_eq!((row[3], row[6]), ("%", "%"), "{printed}");
    }
    assert!(rows[1].len() > rows[3].len(), "nothing is left after the last epoch: {printed}");
    assert!(printed.contains(" validation images after 9 steps, in "), "{printed}");
}

/// Where there is no terminal, long work says something every ten seconds.
#[test]
fn long_work_is_heard_of_without_a_terminal() {
    let place = Place::new();
    // One step of this takes a while; the epoch has too many to end.
    let args = "train case1 --device reference -d builtin -b 4 -e 1 -o run";
    let mut child = place.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let (tell, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::BufRead;
        for line in std::io::BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    let begun = Instant::now();
    let mut heard = None;
    while heard.is_none() && begun.elapsed() < Duration::from_secs(120) {
        heard = hear.recv_timeout(Duration::from_secs(1)).ok().filter(|line| line.starts_with("epoch 1/1: "));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let heard = heard.expect("nothing was said");
    assert!(heard.contains(" of 5000  loss "), "{heard}");
}
