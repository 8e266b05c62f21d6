//! Output functions that all commands share.
//!
//! File names, texts in files and device names may contain control characters. Everything that is printed is sanitized
//! first; on a terminal, it is then laid out for the width and coloured.

use anstyle::{AnsiColor, Style};
use shadegrad::evaluate::Evaluation;
pub use shadegrad::study::duration;
pub use shadegrad::table::grouped;
use shadegrad::table::{Page, fit};
pub use shadegrad::text::counted;
use shadegrad::text::printable;
use shadegrad::{Error, Result};
use std::fmt::{Arguments, Write as _};
use std::io::{IsTerminal, Write};

/// Like `print!`, but returns errors; `print!` panics if the disk is full or the reader is gone.
macro_rules! out {
    ($($part:tt)*) => { $crate::cli::output::print(format_args!($($part)*)) };
}

/// Like `println!`, but returns errors.
macro_rules! outln {
    ($($part:tt)*) => { $crate::cli::output::print(format_args!("{}\n", format_args!($($part)*))) };
}

/// Like `eprintln!`, but never panics: a message that cannot be printed must not end a run.
macro_rules! errln {
    ($($part:tt)*) => { $crate::cli::output::remark(format_args!("{}\n", format_args!($($part)*))) };
}

pub(crate) use {errln, out, outln};

/// Style of successful results.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Style of errors and failures.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const NOTE: Style = AnsiColor::Cyan.on_default();

/// Output for narrower terminals is laid out for this width.
const LEAST_WIDTH: usize = 40;

/// Width of standard output in columns, if it is a terminal.
fn stdout_width() -> Option<usize> {
    let stdout = std::io::stdout();
    stdout.is_terminal().then(|| terminal_size::terminal_size_of(stdout)).flatten().map(columns)
}

fn stderr_width() -> Option<usize> {
    let stderr = std::io::stderr();
    stderr.is_terminal().then(|| terminal_size::terminal_size_of(stderr)).flatten().map(columns)
}

fn columns((width, _): (terminal_size::Width, terminal_size::Height)) -> usize {
    usize::from(width.0).max(LEAST_WIDTH)
}

/// Writes to standard output, in lines that fit the terminal.
pub fn print(text: Arguments<'_>) -> Result<()> {
    let text = text.to_string();
    let text = printable(&text);
    write(&stdout_width().map_or_else(|| text.to_string(), |width| fit(&text, width)))
}

/// Writes a page of tables to standard output, laid out for the terminal. `styles` lists the styles of result words.
pub fn print_page(page: &Page, styles: &[(&str, Style)]) -> Result<()> {
    let text = stdout_width().map_or_else(|| page.to_string(), |width| page.fit(width));
    let mut text = printable(&text).into_owned();
    for (word, style) in styles {
        text = text.split('\n').map(|line| paint_word(line, word, *style)).collect::<Vec<_>>().join("\n");
    }
    write(&text)
}

/// A line with the last occurrence of a whole word, after a space, set in a style.
fn paint_word(line: &str, word: &str, style: Style) -> String {
    let is_whole = |at: usize| {
        let before = line[..at].chars().next_back().is_none_or(char::is_whitespace);
        before && line[at + word.len()..].chars().next().is_none_or(|letter| !letter.is_alphanumeric())
    };
    match line.rmatch_indices(word).find(|(at, _)| is_whole(*at)) {
        Some((at, _)) => format!("{}{style}{word}{style:#}{}", &line[..at], &line[at + word.len()..]),
        None => line.to_string(),
    }
}

/// Writes text that may contain styles. They are removed where colours are not wanted.
fn write(text: &str) -> Result<()> {
    anstream::stdout().write_all(text.as_bytes()).map_err(Error::io("write to", "standard output"))
}

/// Writes to standard error, if possible, in lines that fit the terminal.
pub fn remark(text: Arguments<'_>) {
    let text = text.to_string();
    let mut text = printable(&text).into_owned();
    if let Some(width) = stderr_width() {
        text = fit(&text, width);
    }
    for (prefix, style) in [("error:", BAD), ("warning:", WARNING), ("note:", NOTE)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            text = format!("{style}{prefix}{style:#}{rest}");
        }
    }
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// A share as "98.76 %".
pub fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// Prints the confusion matrix with precision and recall; rows are labels. Correct predictions are coloured.
pub fn print_confusion(evaluation: &Evaluation) -> Result<()> {
    let plain = confusion_table(evaluation, Style::new());
    let longest = plain.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    match stdout_width() {
        // Colours are of no use in a table whose lines have to be broken.
        Some(width) if longest > width => write(&fit(&plain, width)),
        _ => write(&confusion_table(evaluation, GOOD)),
    }
}

fn confusion_table(evaluation: &Evaluation, diagonal: Style) -> String {
    let classes = evaluation.confusion.len();
    let width = evaluation.confusion.iter().flatten().max().map_or(1, |most| most.to_string().len()).max(4);
    let share = |share: Option<f64>| share.map_or("-".to_string(), |share| format!("{:.2}", share * 100.0));
    let mut out = String::from("label \\ predicted\n      ");
    for class in 0..classes {
        let _ = write!(out, " {class:>width$}");
    }
    out.push_str("   recall %  precision %\n");
    for (label, row) in evaluation.confusion.iter().enumerate() {
        let _ = write!(out, "{label:>6}");
        for (class, count) in row.iter().enumerate() {
            let cell = if *count == 0 { ".".to_string() } else { count.to_string() };
            let style = if class == label { diagonal } else { Style::new() };
            let _ = write!(out, " {style}{cell:>width$}{style:#}");
        }
        let (recall, precision) = (share(evaluation.recall(label)), share(evaluation.precision(label)));
        let _ = writeln!(out, "   {recall:>8}  {precision:>11}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_painted_where_it_stands_alone() {
        let painted = |line: &str| paint_word(line, "pass", GOOD).replace('\u{1b}', "^");
        assert_eq!(painted("  dense/forward  0.1  pass"), "  dense/forward  0.1  ^[32mpass^[0m");
        assert_eq!(painted("passing compass"), "passing compass");
        assert_eq!(painted("all pass, says it"), "all ^[32mpass^[0m, says it");
    }
}
