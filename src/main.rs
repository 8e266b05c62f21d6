//! The command line: parse, run, report.

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
