//! The command line: parse, run, report.

// No panic reaches a user, and all printing is done in `cli::output`, which does not panic either. Tests may do both.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)
)]

mod cli;

use clap::Parser;
use cli::output::errln;
use shadegrad::Error;
use std::io::ErrorKind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !shadegrad::gpu::is_polling() {
            usual(info);
        }
    }));
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        // A reader that has seen enough (`| head`) need not be told.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            errln!("error: {}", cli::message(&error));
            ExitCode::FAILURE
        }
    }
}
