//! Progress of long work: a bar on a terminal, otherwise a line every ten seconds.

use super::output::errln;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Interval between two lines if there is no terminal.
pub const PULSE: Duration = Duration::from_secs(10);

/// Shows progress on standard error, or nothing if that is not wanted.
#[derive(Default)]
pub struct Bar(Form);

#[derive(Default)]
enum Form {
    #[default]
    Hidden,
    Drawn(ProgressBar),
    Lines(RefCell<Lines>),
}

/// The state of the lines that replace a bar.
struct Lines {
    length: u64,
    prefix: String,
    said: Instant,
}

impl Bar {
    /// A bar in the format `template` of indicatif, if it is wanted.
    pub fn new(template: &str, is_wanted: bool) -> Bar {
        if !is_wanted {
            return Bar(Form::Hidden);
        }
        if !std::io::stderr().is_terminal() {
            let lines = Lines { length: 0, prefix: String::new(), said: Instant::now() };
            return Bar(Form::Lines(RefCell::new(lines)));
        }
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        Bar(Form::Drawn(bar))
    }

    /// Whether a bar is drawn.
    pub fn is_shown(&self) -> bool {
        matches!(self.0, Form::Drawn(_))
    }

    /// Restarts the bar with a new length.
    pub fn begin(&self, length: u64, prefix: impl FnOnce() -> String) {
        match &self.0 {
            Form::Hidden => {}
            Form::Drawn(bar) => {
                bar.reset();
                bar.set_length(length);
                bar.set_prefix(prefix());
            }
            Form::Lines(lines) => {
                let mut lines = lines.borrow_mut();
                (lines.length, lines.prefix) = (length, prefix());
            }
        }
    }

    /// Moves the bar to a position.
    pub fn show(&self, position: u64, message: impl FnOnce() -> String) {
        match &self.0 {
            Form::Hidden => {}
            Form::Drawn(bar) => {
                bar.set_position(position);
                bar.set_message(message());
            }
            Form::Lines(lines) => {
                let mut lines = lines.borrow_mut();
                if lines.said.elapsed() >= PULSE {
                    lines.said = Instant::now();
                    let prefix = if lines.prefix.is_empty() { String::new() } else { format!("{}: ", lines.prefix) };
                    errln!("{prefix}{position} of {}  {}", lines.length, message());
                }
            }
        }
    }

    /// Advances the bar.
    pub fn advance(&self, by: u64) {
        if let Form::Drawn(bar) = &self.0 {
            bar.inc(by);
        }
    }

    /// Writes other output without disturbing the bar.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Form::Hidden => write(),
            Form::Drawn(bar) => bar.suspend(write),
            Form::Lines(lines) => {
                lines.borrow_mut().said = Instant::now();
                write()
            }
        }
    }

    /// Removes the bar.
    pub fn clear(&mut self) {
        if let Form::Drawn(bar) = std::mem::take(&mut self.0) {
            bar.finish_and_clear();
        }
    }
}
