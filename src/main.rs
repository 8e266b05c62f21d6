//! The command line: parse, run, report.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    for (name, value) in shadegrad::gpu::driver_environment() {
        // SAFETY: the first statement of `main`; no other thread runs yet.
        unsafe { std::env::set_var(name, value) };
    }
    // A reader that has seen enough (`| head`) ends the program without a word, as it does others; Rust's default is to
    // carry on, and `println!` panics.
    #[cfg(unix)]
    // SAFETY: the default action of a signal, before any thread runs.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !shadegrad::gpu::is_polling() {
            usual(info);
        }
    }));
    match cli::run(cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
