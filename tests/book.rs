//! README and the book in `docs/`: pages, includes, links, quoted commands, and the sources of figures.

#![cfg(feature = "cli")]

#[path = "book/commands.rs"]
mod commands;
#[path = "book/markdown.rs"]
mod markdown;

use markdown::{Kind, Page, ROOT, Table, plain};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// README is to be read in one go.
const README_BYTES: usize = 9 * 1024;
const README_LINES: usize = 140;

/// Lines between a listing and the link to its file, or between a table and the source of its figures.
const NEAR: usize = 8;

/// Where mdBook looks for pages.
const BOOK: &str = "docs/src";

/// Options of other programs that the pages name by themselves.
const FOREIGN: [&str; 1] = ["--yes"];

/// What produces figures: commands by how they begin, and programs.
const MEASURING: [&str; 12] = [
    "shadegrad bench",
    "shadegrad evaluate",
    "shadegrad plan",
    "shadegrad study",
    "shadegrad summary",
    "shadegrad train",
    "shadegrad tune",
    "shadegrad verify",
    "cargo bench",
    "cargo run",
    "python ",
    "benches/",
];

/// Units of what is measured.
const UNITS: [&str; 6] = ["ms", "GFLOP/s", "GB/s", "MB", "images per second", "times as fast"];

/// The files of a folder and below that end in `.{ending}`, by their paths in the repository.
fn files(folder: &str, ending: &str) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.insert(path.strip_prefix(ROOT).unwrap().to_path_buf());
            }
        }
    }
    found
}

/// The pages of the book.
fn chapters() -> Vec<Page> {
    files(BOOK, "md").into_iter().map(Page::read).collect()
}

/// Everything that is checked: README, CONTRIBUTING and the book.
fn pages() -> Vec<Page> {
    [Page::read("README.md"), Page::read("CONTRIBUTING.md")].into_iter().chain(chapters()).collect()
}

/// Fails with all problems at once.
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn every_page_is_in_the_summary_and_every_entry_is_a_page() {
    let summary = Page::read("docs/src/SUMMARY.md");
    let mut listed = BTreeSet::new();
    for link in summary.links() {
        let path = summary.resolve(&link.target).unwrap();
        assert!(listed.insert(path), "{}: {} is listed twice", summary.at(link.line), link.target);
    }
    let mut there = files(BOOK, "md");
    assert!(there.remove(&summary.path));
    let only = |some: &BTreeSet<PathBuf>, others: &BTreeSet<PathBuf>, problem: &str| {
        some.difference(others).map(|path| format!("{}: {problem}", path.display())).collect::<Vec<_>>()
    };
    none([only(&there, &listed, "not in SUMMARY.md"), only(&listed, &there, "in SUMMARY.md, and not there")].concat());
}

/// A listing that is included from a file.
struct Include {
    /// Line that it stands in, from 0.
    line: usize,
    /// The file in the repository.
    path: PathBuf,
    /// What is taken of it: `name`, `3:10`, or nothing for all.
    part: String,
}

fn includes(page: &Page) -> Result<Vec<Include>, String> {
    let mut includes = Vec::new();
    for (line, text) in page.lines.iter().map(|line| &line.text).enumerate() {
        for (at, _) in text.match_indices("{{#") {
            let inner = text[at + 3..].split("}}").next().unwrap_or_default();
            let path = inner.strip_prefix("include ").ok_or(format!("{}: {{{{#{inner}}}}}", page.at(line)))?.trim();
            let (path, part) = path.split_once(':').unwrap_or((path, ""));
            let path = page.resolve(path).ok_or(format!("{}: out of the repository", page.at(line)))?;
            includes.push(Include { line, path, part: part.to_string() });
        }
    }
    Ok(includes)
}

/// What is wrong with what an include takes of its file.
fn missing_part(text: &str, part: &str) -> Option<String> {
    if part.is_empty() {
        return None;
    }
    let bounds: Vec<&str> = part.split(':').collect();
    if bounds.iter().all(|bound| bound.chars().all(|c| c.is_ascii_digit())) {
        let lines = text.lines().count();
        let fine = |bound: &&str| bound.is_empty() || (1..=lines).contains(&bound.parse().unwrap_or(0));
        return (!bounds.iter().all(fine)).then(|| format!("has {lines} lines, not {part}"));
    }
    let has = |mark: &str| {
        text.lines()
            .any(|line| line.split_once(mark).is_some_and(|(_, name)| name.split_whitespace().next() == Some(part)))
    };
    match (has("ANCHOR:"), has("ANCHOR_END:")) {
        (true, true) => None,
        (true, false) => Some(format!("the anchor `{part}` has no end")),
        _ => Some(format!("there is no anchor `{part}`")),
    }
}

/// The first and last line of the fence round a line.
fn fence(page: &Page, line: usize) -> (usize, usize) {
    let is_fence = |at: &usize| page.lines[*at].kind == Kind::Fence;
    let first = (0..line).rev().find(is_fence).unwrap_or(line);
    (first, (line..page.lines.len()).find(is_fence).unwrap_or(line))
}

#[test]
fn every_include_resolves_and_has_a_link_to_its_file_beside_it() {
    let mut problems = Vec::new();
    for page in pages() {
        let includes = includes(&page).unwrap_or_else(|problem| {
            problems.push(format!("{problem}: not an include"));
            Vec::new()
        });
        for include in includes {
            let Include { line, path, part } = &include;
            match fs::read_to_string(Path::new(ROOT).join(path)) {
                Err(error) => problems.push(format!("{}: {}: {error}", page.at(*line), path.display())),
                Ok(text) => problems.extend(
                    missing_part(&text, part)
                        .map(|problem| format!("{}: {}: {problem}", page.at(*line), path.display())),
                ),
            }
            let (first, last) = fence(&page, *line);
            let is_near = |at: usize| (first.saturating_sub(NEAR)..=last + NEAR).contains(&at);
            let is_linked = page.links().iter().any(|link| {
                is_near(link.line)
                    && page.resolve(link.target.split('#').next().unwrap_or_default()).as_ref() == Some(path)
            });
            if !is_linked {
                problems.push(format!("{}: no link to {} beside its listing", page.at(*line), path.display()));
            }
        }
    }
    none(problems);
}

#[test]
fn every_relative_link_resolves() {
    let mut problems = Vec::new();
    for page in pages() {
        let is_chapter = page.path.starts_with(BOOK);
        for link in page.links().iter().filter(|link| !link.target.contains("://")) {
            let (file, fragment) = link.target.split_once('#').unwrap_or((&link.target, ""));
            let mut wrong =
                |problem: &str| problems.push(format!("{}: {}: {problem}", page.at(link.line), link.target));
            let path = match file {
                "" => Some(page.path.clone()),
                file => page.resolve(file),
            };
            match path {
                Some(path) if Path::new(ROOT).join(&path).exists() => {
                    let is_page = path.extension().is_some_and(|ending| ending == "md");
                    let is_of_book = path.starts_with(BOOK) && !path.ends_with("SUMMARY.md");
                    if is_chapter && is_page && !is_of_book {
                        wrong("mdBook makes .html of it, and it is no page of the book; link to its folder");
                    }
                    if !fragment.is_empty()
                        && (!is_page || !Page::read(&path).fragments().iter().any(|name| name == fragment))
                    {
                        wrong("there is no such heading");
                    }
                }
                _ => wrong("there is no such file"),
            }
        }
    }
    none(problems);
}

#[test]
fn readme_fits_on_a_page() {
    let text = fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let (bytes, lines) = (text.len(), text.lines().count());
    assert!(bytes <= README_BYTES, "README has {bytes} bytes of {README_BYTES}");
    assert!(lines <= README_LINES, "README has {lines} lines of {README_LINES}");
}

#[test]
fn listings_in_rust_are_compiled() {
    let library = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    assert!(library.contains("include_str!(\"../README.md\")"), "the listings of README are no tests of the library");
    let mut problems = Vec::new();
    for page in chapters() {
        let opens = |line: usize| page.lines[line].text.trim_start().starts_with("```rust");
        for line in (0..page.lines.len()).filter(|line| page.lines[*line].kind == Kind::Fence && opens(*line)) {
            let (_, last) = fence(&page, line + 1);
            if page.lines[line + 1..last].iter().any(|line| !line.text.trim().starts_with("{{#include ")) {
                problems.push(format!("{}: Rust that nobody compiles; include it from a file", page.at(line)));
            }
        }
    }
    none(problems);
}

#[test]
fn networks_of_the_book_are_accepted() {
    let networks = files(BOOK, "toml");
    assert!(!networks.is_empty());
    for path in networks {
        let mut program = Command::new(env!("CARGO_BIN_EXE_shadegrad"));
        let output = program.current_dir(ROOT).arg("summary").arg(&path).output().unwrap();
        assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    }
}

/// The command lines of a line: what stands between `&&`, `|` and `;`, without a prompt, a comment, variables of the
/// environment, and programs that run others. Each as the arguments of shadegrad, if it is called.
fn calls(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    line.split(" && ")
        .flat_map(|part| part.split(" | "))
        .flat_map(|part| part.split("; "))
        .filter_map(arguments)
        .collect()
}

fn arguments(command: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = command.split_whitespace().filter(|word| *word != "$").collect();
    let is_variable = |word: &str| {
        word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
    };
    let start = words.iter().position(|word| !is_variable(word))?;
    let is_program = |word: &str| word == "shadegrad" || word.ends_with("/shadegrad");
    let words = &words[start..];
    let words = match words.strip_prefix(&["chrt", "-r", "1"]).unwrap_or(words) {
        words @ ["mpirun" | "srun" | "scripts/virtual-hosts", ..] => {
            &words[words.iter().position(|word| is_program(word))?..]
        }
        words => words,
    };
    let rest = match words {
        [program, rest @ ..] if is_program(program) => rest,
        ["cargo", "run", "--release", "--", rest @ ..] => rest,
        _ => return None,
    };
    Some(rest.iter().map(|word| word.trim_matches(['"', '\'']).to_string()).collect())
}

/// The command lines of a page's fences, each in one piece, with their lines.
fn code(page: &Page) -> Vec<(usize, String)> {
    let mut whole: Vec<(usize, String)> = Vec::new();
    for (line, text) in page.lines.iter().enumerate().filter(|(_, line)| line.kind == Kind::Code) {
        let text = text.text.trim();
        match whole.last_mut() {
            Some((_, before)) if before.ends_with('\\') => {
                before.pop();
                before.push_str(text);
            }
            _ => whole.push((line, text.to_string())),
        }
    }
    whole
}

#[test]
fn every_quoted_command_and_option_exists() {
    // That page is compared with the program in `tests/first_minutes.rs`, and shows the form of calls.
    let mut problems = Vec::new();
    let mut count = 0;
    for page in pages().into_iter().filter(|page| !page.path.ends_with("commands.md")) {
        let mut check = |line: usize, arguments: &[&str]| {
            count += 1;
            problems.extend(commands::problem(arguments).map(|problem| format!("{}: {problem}", page.at(line))));
        };
        for (line, text) in code(&page) {
            for call in calls(&text) {
                check(line, &call.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        let spans = page.spans();
        for span in &spans {
            for call in calls(&span.text) {
                check(span.line(), &call.iter().map(String::as_str).collect::<Vec<_>>());
            }
            // `verify --inject`
            let words: Vec<&str> = span.text.split_whitespace().collect();
            if let [command, option, ..] = words[..]
                && commands::is_command(command)
                && option.starts_with("--")
            {
                check(span.line(), &words);
            }
        }
        // `--seed 7`
        for span in &spans {
            let name = span.text.split_whitespace().next().and_then(commands::option);
            if let Some(name) = name.filter(|name| !FOREIGN.contains(name) && !commands::is_option(name)) {
                problems.push(format!("{}: no command has the option `{name}`", page.at(span.line())));
            }
        }
    }
    assert!(count > 50, "only {count} commands were found");
    none(problems);
}

/// Whether a text names where figures are from: a command, or raw output that is kept.
fn is_source(page: &Page, lines: std::ops::RangeInclusive<usize>, also_code: bool) -> bool {
    let within = |line: usize| lines.contains(&line);
    let measures = |text: &str| MEASURING.iter().any(|program| text.starts_with(program));
    let kept = |target: &str| {
        ["benches/runs", "assets/study"].iter().any(|folder| target.contains(folder))
            || also_code && target.contains("src/")
    };
    page.links().iter().any(|link| within(link.line) && kept(&link.target))
        || page
            .spans()
            .iter()
            .any(|span| within(span.line()) && (measures(&span.text) || kept(&span.text) || is_output(&span.text)))
        || code(page).iter().any(|(line, text)| within(*line) && measures(text))
}

/// Whether this is the name of a file with raw output.
fn is_output(name: &str) -> bool {
    let folders = fs::read_dir(Path::new(ROOT).join("benches/runs")).unwrap();
    name.contains('.') && !name.contains(' ') && folders.flatten().any(|folder| folder.path().join(name).is_file())
}

/// Whether a cell is a figure: a number, perhaps with a spread and a unit, and not a setting (which is code).
fn is_figure(cell: &str) -> bool {
    let cell = plain(cell);
    let mut words = cell.split([' ', ';']).filter(|word| !word.is_empty());
    let number = |word: &str| {
        let digits = word.trim_start_matches(['+', '-', '−', '~']).trim_end_matches([',', '%', '*']);
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.chars().all(|c| c.is_ascii_digit() || ",.".contains(c))
    };
    let joins =
        ["±", "to", "of", "and", "%", "s", "ms", "min", "MB", "MiB", "GB", "GFLOP/s", "GB/s", "times", "x", "cases"];
    words.next().is_some_and(number) && words.all(|word| number(word) || joins.contains(&word.trim_end_matches(',')))
}

fn has_figures(table: &Table) -> bool {
    table.body.iter().any(|row| row.iter().skip(1).any(|cell| is_figure(cell)))
}

/// The sections of a page, from one heading of the second level to the next, as first and last lines.
fn sections(page: &Page) -> Vec<(usize, usize)> {
    let is_head = |line: &usize| page.lines[*line].kind == Kind::Prose && page.lines[*line].text.starts_with("## ");
    let heads: Vec<usize> = [0].into_iter().chain((1..page.lines.len()).filter(is_head)).collect();
    let ends = heads[1..].iter().copied().chain([page.lines.len()]);
    heads.iter().zip(ends).map(|(first, end)| (*first, end - 1)).collect()
}

/// A measured number in a line of prose, with its unit.
fn measured(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches(['(', ')', '*'])).collect();
    (0..words.len()).find_map(|at| {
        let is_number = words[at].starts_with(|c: char| c.is_ascii_digit());
        let rest = words[at + 1..].join(" ");
        let unit = UNITS
            .iter()
            .find(|unit| rest.strip_prefix(**unit).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric)));
        unit.filter(|_| is_number).map(|unit| format!("{} {unit}", words[at]))
    })
}

#[test]
fn figures_name_their_source() {
    let mut problems = Vec::new();
    let mut tables = 0;
    for page in pages() {
        let sections = sections(&page);
        for table in page.tables().iter().filter(|table| has_figures(table)) {
            tables += 1;
            let (first, last) =
                sections.iter().find(|(_, last)| *last >= table.first).expect("a table is in a section");
            let near = (*first).max(table.first.saturating_sub(NEAR))..=(*last).min(table.last + NEAR);
            if !is_source(&page, near, false) {
                problems.push(format!(
                    "{}: a table of figures without a command or a link to raw output",
                    page.at(table.first)
                ));
            }
        }
        for (first, last) in sections {
            let figure = (first..=last).find_map(|line| {
                let prose = page.lines[line].kind == Kind::Prose;
                measured(&page.lines[line].text).filter(|_| prose).map(|figure| (line, figure))
            });
            if let Some((line, figure)) = figure.filter(|_| !is_source(&page, first..=last, true)) {
                problems.push(format!(
                    "{}: `{figure}`, and nothing in the section says how it was measured",
                    page.at(line)
                ));
            }
        }
    }
    assert!(tables > 10, "only {tables} tables of figures were found");
    none(problems);
}
