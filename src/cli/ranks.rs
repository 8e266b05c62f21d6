//! Processes that a launcher such as `mpirun` or `srun` has started together.
//!
//! `train` and `study` divide their work among them. Rank 0 prints; the others print only errors that nobody else knows
//! of.

use super::output::errln;
use super::{Cli, Command, message, run};
use clap::Parser;
use shadegrad::ranks::{Alone, Launched, launched};
use shadegrad::{Error, Result};
use std::io::ErrorKind;
use std::process::ExitCode;

/// The environment variable that, set to `off`, makes each process train for itself.
const SWITCH: &str = "SHADEGRAD_RANKS";

/// What the launcher says, if it has started several processes that are to work together.
fn started() -> Option<Launched> {
    let read = |name: &str| std::env::var(name).ok();
    if read(SWITCH).as_deref() == Some("off") {
        return None;
    }
    launched(read).filter(|launched| launched.ranks > 1)
}

/// Whether this process talks to the user: it was started alone, or it is rank 0.
pub fn leads() -> bool {
    started().is_none_or(|launched| launched.rank == 0)
}

/// Parses the command line and runs the command, alone or as one of several ranks.
pub fn main() -> ExitCode {
    match started() {
        None => match Cli::try_parse() {
            Ok(cli) => conclude(run(cli, &Alone)),
            Err(error) => refuse(&error),
        },
        Some(launched) => run_among(launched),
    }
}

/// Prints the help or the error of a command line that was not accepted.
fn refuse(error: &clap::Error) -> ExitCode {
    // If it cannot be printed, there is nobody to tell.
    let _ = error.print();
    ExitCode::from(error.exit_code().clamp(0, 255) as u8)
}

/// Prints the error of a command, if it has failed, and gives the exit status.
fn conclude(ended: Result<ExitCode>) -> ExitCode {
    match ended {
        Ok(code) => code,
        // A reader that has seen enough (`| head`) need not be told.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            errln!("error: {}", message(&error));
            ExitCode::FAILURE
        }
    }
}

/// How a command runs in several processes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    /// They divide its work.
    Divided,
    /// Each runs it: the output is about its machine.
    Each,
    /// It runs in one process only.
    Alone,
}

impl Command {
    fn among(&self) -> Among {
        match self {
            Command::Train(_) | Command::Study(_) => Among::Divided,
            Command::Devices(_) | Command::Doctor(_) => Among::Each,
            _ => Among::Alone,
        }
    }
}

/// Says once that a command does not run in several processes.
fn refuse_among(launched: Launched, problem: &str) -> ExitCode {
    if launched.rank == 0 {
        errln!("error: {problem}");
    }
    ExitCode::FAILURE
}

const ONLY_ONE: &str = "only `train` and `study` run in several processes; start this command once, without the launcher, or \
                        set SHADEGRAD_RANKS=off if each process is to run it for itself";

#[cfg(not(feature = "mpi"))]
fn run_among(launched: Launched) -> ExitCode {
    match Cli::try_parse() {
        Err(error) if launched.rank == 0 => refuse(&error),
        Err(error) => ExitCode::from(error.exit_code().clamp(0, 255) as u8),
        Ok(cli) => match cli.command.among() {
            Among::Each => conclude(run(cli, &Alone)),
            Among::Alone => refuse_among(launched, ONLY_ONE),
            Among::Divided => refuse_among(
                launched,
                &format!(
                    "{} processes were started together, but this build has no MPI; build it with `cargo build \
                     --release --features mpi` (`scripts/setup mpi` installs what that needs), start it once, without \
                     the launcher, or set {SWITCH}=off if each is to train a network of its own",
                    launched.ranks
                ),
            ),
        },
    }
}

#[cfg(feature = "mpi")]
fn run_among(launched: Launched) -> ExitCode {
    use shadegrad::ranks::{Collective, Mpi};

    let mpi = match Mpi::start() {
        Ok(mpi) => mpi,
        Err(error) => return refuse_among(launched, &error.to_string()),
    };
    if mpi.ranks() != launched.ranks {
        let problem = format!(
            "the launcher has started {} processes, but the MPI library of this program ({}) sees {}; use the launcher \
             that belongs to the library, or build the program with the MPI of the launcher",
            launched.ranks,
            Mpi::library(),
            mpi.ranks()
        );
        return refuse_among(launched, &problem);
    }
    let ranks: &dyn Collective = &mpi;
    let parsed = Cli::try_parse();
    // A rank whose command line is not accepted may see other files than the rest: none can go on.
    let texts = parsed.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let texts = match ranks.gather(texts.as_bytes()) {
        Ok(texts) => texts,
        Err(error) => return refuse_among(launched, &error.to_string()),
    };
    let cli = match parsed {
        Err(error) if ranks.leads() => return refuse(&error),
        Err(error) => return ExitCode::from(error.exit_code().clamp(0, 255) as u8),
        Ok(cli) => match texts.iter().position(|text| !text.is_empty()) {
            None => cli,
            Some(rank) => {
                let text = String::from_utf8_lossy(&texts[rank]);
                return refuse_among(launched, &format!("rank {rank}: {}", text.trim_start_matches("error: ").trim()));
            }
        },
    };
    match cli.command.among() {
        Among::Each => return conclude(run(cli, &Alone)),
        Among::Alone => return refuse_among(launched, ONLY_ONE),
        Among::Divided => {}
    }
    match run(cli, ranks) {
        Ok(code) => code,
        // Every rank has come to this error.
        Err(error @ (Error::Ranks(_) | Error::NotFinite(_))) => {
            if ranks.leads() {
                errln!("error: {}", message(&error));
            }
            ExitCode::FAILURE
        }
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => mpi.abort(),
        Err(error) => {
            let remedy = match &error {
                Error::Device(_) | Error::DeviceLost(_) | Error::Memory(_) if !ranks.leads() => {
                    "\nthe run, if it has begun, can be continued from its last checkpoint: shadegrad train --resume RUN"
                }
                _ => "",
            };
            errln!("error: rank {}: {}{remedy}", mpi.rank(), message(&error));
            mpi.abort()
        }
    }
}
