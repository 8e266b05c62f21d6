//! `shadegrad completions` and `shadegrad man`, made from the definition of the command line.

use super::Cli;
use super::output::{counted, outln};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use shadegrad::files::replace_file;
use shadegrad::{Error, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
#[command(after_help = "For bash: shadegrad completions bash > ~/.local/share/bash-completion/completions/shadegrad")]
pub struct Options {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
#[command(after_help = "Read one with: man -l man/shadegrad-train.1")]
pub struct ManOptions {
    /// Folder to write to, created if necessary; files of the same names are replaced
    #[arg(short, long, value_name = "DIR", default_value = "man")]
    out: PathBuf,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "shadegrad", &mut script);
    std::io::stdout().write_all(&script).map_err(Error::io("write to", "standard output"))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for the program and one for each command.
pub fn man(options: &ManOptions) -> Result<ExitCode> {
    std::fs::create_dir_all(&options.out).map_err(Error::io("create", &options.out))?;
    let mut command = Cli::command();
    command.build();
    let pages = write_pages(&command, &options.out)?;
    outln!("{} in {}", counted(pages, "man page"), options.out.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page of a command and those of its subcommands. Returns their number.
fn write_pages(command: &clap::Command, folder: &Path) -> Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_string();
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(Error::io("write", &path))?;
    replace_file(&path, |file| file.write_all(&page))?;
    let shown = |command: &&clap::Command| !command.is_hide_set() && command.get_name() != "help";
    command.get_subcommands().filter(shown).try_fold(1, |count, command| Ok(count + write_pages(command, folder)?))
}
