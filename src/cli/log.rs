//! `-v`, `-vv` and `RUST_LOG`: what the program and wgpu do, as log messages on standard error.

use shadegrad::{Error, Result};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging, if it is asked for by `-v` or by the environment.
pub fn start(verbose: u8) -> Result<()> {
    let from_environment = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let directives = match (verbose, &from_environment) {
        (0, None) => return Ok(()),
        (0, Some(text)) => text.as_str(),
        (1, _) => "shadegrad=info,wgpu=warn,naga=warn",
        (2, _) => "shadegrad=debug,wgpu=info,naga=warn",
        _ => "trace",
    };
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::ERROR.into()).parse(directives).map_err(
        |problem| Error::Usage(format!("RUST_LOG={directives}: {problem}; give for example shadegrad=debug")),
    )?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && anstream::ColorChoice::global() != anstream::ColorChoice::Never);
    // It fails only where another subscriber is installed already, which the program does nowhere.
    let _ = subscriber.try_init();
    Ok(())
}
