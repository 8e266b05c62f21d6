//! `-v`, `-vv` and `RUST_LOG`: log messages from the program and wgpu on standard error.

use shadegrad::{Error, Result};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging, if `-v` or the environment asks for it.
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
    // This fails only if another subscriber is already installed, which the program never does.
    let _ = subscriber.try_init();
    Ok(())
}
