//! The program under test.

use std::process::Command;

/// Starts the program by the launcher that this test was started with, if any (`scripts/with-newer-mesa`).
pub fn program() -> Command {
    let program = env!("CARGO_BIN_EXE_shadegrad");
    match std::env::var_os("SHADEGRAD_TEST_LAUNCHER") {
        Some(launcher) => {
            let mut command = Command::new(launcher);
            command.arg(program);
            command
        }
        None => Command::new(program),
    }
}
