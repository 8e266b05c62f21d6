//! The command reference of the book: every command with its options, as Markdown.

use super::Cli;
use clap::{Arg, Command, CommandFactory};
use shadegrad::{Error, Result};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

pub fn run() -> Result<ExitCode> {
    std::io::stdout().write_all(markdown().as_bytes()).map_err(Error::io("write to", "standard output"))?;
    Ok(ExitCode::SUCCESS)
}

/// The reference page.
fn markdown() -> String {
    let mut command = Cli::command();
    command.build();
    let mut text = String::from(
        "# Command reference\n\nThis page is generated from the program's own help (`shadegrad COMMAND --help`).\n",
    );
    for command in shown(&command) {
        section(command, 2, &mut text);
    }
    text += "\n## Options of all commands\n";
    let global = command.get_arguments().filter(|argument| argument.is_global_set());
    global.for_each(|argument| item(argument, &mut text));
    text
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// Writes a command under a heading, and its subcommands under smaller ones.
fn section(command: &Command, level: usize, text: &mut String) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let _ = writeln!(text, "\n{} {name}\n", "#".repeat(level));
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").split('\n').map(str::trim).collect::<Vec<_>>().join("\n");
    let _ = writeln!(text, "{about}.\n\n```text\n{usage}\n```");
    let is_own = |argument: &&Arg| {
        let is_usual = ["help", "version"].contains(&argument.get_id().as_str());
        !is_usual && !argument.is_hide_set() && !argument.is_global_set()
    };
    let arguments: Vec<&Arg> = command.get_arguments().filter(is_own).collect();
    let mut headings: Vec<&str> = Vec::new();
    for heading in arguments.iter().map(|argument| heading(argument)) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for wanted in headings {
        let _ = writeln!(text, "\n**{wanted}**");
        arguments.iter().filter(|argument| heading(argument) == wanted).for_each(|argument| item(argument, text));
    }
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        let _ = writeln!(text, "\n```text\n{}\n```", after.to_string().trim_end());
    }
    for command in shown(command) {
        section(command, level + 1, text);
    }
}

fn heading(argument: &Arg) -> &str {
    let usual = if argument.is_positional() { "Arguments" } else { "Options" };
    argument.get_help_heading().unwrap_or(usual)
}

/// Writes an option as a list item.
fn item(argument: &Arg, text: &mut String) {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = help.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join(". ");
    let defaults = argument.get_default_values().iter().map(|value| value.to_string_lossy());
    let defaults = defaults.collect::<Vec<_>>().join(" ");
    let takes_value = argument.get_action().takes_values();
    let default = match defaults.is_empty() || !takes_value {
        true => String::new(),
        false => format!(" [default: {defaults}]"),
    };
    let possible: Vec<String> = match takes_value && !argument.is_hide_possible_values_set() {
        true => argument.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect(),
        false => Vec::new(),
    };
    let values = if possible.is_empty() { String::new() } else { format!(" ({})", possible.join(", ")) };
    let short = argument.get_short().map_or_else(String::new, |short| format!("-{short}, "));
    let _ = writeln!(text, "\n- `{short}{argument}`: {}{values}{default}", escaped(&help));
}

/// Escapes a text, so that no placeholder looks like an HTML element.
fn escaped(text: &str) -> String {
    text.replace('<', "\\<").replace('|', "\\|")
}
