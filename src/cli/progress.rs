//! The one bar that commands show on a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// A bar on standard error; nothing where that is no terminal.
#[derive(Default)]
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar that looks like `template` (of indicatif), if it is wanted.
    pub fn new(template: &str, is_wanted: bool) -> Bar {
        Bar((is_wanted && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::no_length();
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar
        }))
    }

    /// Whether there is one to be seen.
    pub fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// Begins anew, with another length.
    pub fn begin(&self, length: u64, prefix: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.reset();
            bar.set_length(length);
            bar.set_prefix(prefix());
        }
    }

    /// Moves it to a position.
    pub fn show(&self, position: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.set_position(position);
            bar.set_message(message());
        }
    }

    /// Moves it on.
    pub fn advance(&self, by: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(by);
        }
    }

    /// Writes something else meanwhile.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes it away.
    pub fn clear(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
