//! The command line: parse, run, report.

// No panic reaches a user, and all printing is done in `cli::output`, which does not panic either. Tests may do both.
#![cfg_attr(
    not(test),
    warn(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)
)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !shadegrad::gpu::is_polling() {
            usual(info);
        }
    }));
    cli::main()
}
