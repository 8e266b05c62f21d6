//! The command line: parse, run, report.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    for (name, value) in shadegrad::gpu::driver_environment() {
        // SAFETY: the first statement of `main`; no other thread runs yet.
        unsafe { std::env::set_var(name, value) };
    }
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
