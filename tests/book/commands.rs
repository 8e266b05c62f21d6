//! What the program says that it understands: its commands with their options, as `--help` prints them.

use std::collections::HashMap;
use std::process::Command;
use std::sync::OnceLock;

/// The help of each command, by its words: `bench kernels`. The program's own is that of no words.
fn helps() -> &'static HashMap<String, String> {
    static HELPS: OnceLock<HashMap<String, String>> = OnceLock::new();
    HELPS.get_or_init(|| {
        let mut helps = HashMap::new();
        collect(String::new(), &mut helps);
        helps
    })
}

fn collect(words: String, helps: &mut HashMap<String, String>) {
    let output = Command::new(env!("CARGO_BIN_EXE_shadegrad"))
        .args(words.split_whitespace())
        .arg("--help")
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "shadegrad {words} --help: {}", String::from_utf8_lossy(&output.stderr));
    let help = String::from_utf8(output.stdout).expect("help is UTF-8");
    for name in listed(&help).filter(|name| *name != "help") {
        collect(format!("{words} {name}").trim().to_string(), helps);
    }
    helps.insert(words, help);
}

/// The commands below `Commands:`, which are indented by two.
fn listed(help: &str) -> impl Iterator<Item = &str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    list.filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
}

/// Whether a word is a command of the program.
pub fn is_command(word: &str) -> bool {
    word == "help" || helps().contains_key(word)
}

/// Whether any command has an option.
pub fn is_option(option: &str) -> bool {
    helps().values().any(|help| has(help, option))
}

/// What is wrong with the arguments of a quoted command line, if anything.
pub fn problem(arguments: &[&str]) -> Option<String> {
    let mut called = String::new();
    let mut rest = arguments;
    while let [first, others @ ..] = rest {
        let longer = format!("{called} {first}").trim().to_string();
        if !helps().contains_key(&longer) {
            break;
        }
        (called, rest) = (longer, others);
    }
    let help = &helps()[&called];
    let has_only_commands = listed(help).next().is_some() && !help.contains("\nArguments:");
    match rest.first() {
        Some(&"help" | &"…") => return None,
        Some(first) if has_only_commands && !first.starts_with('-') => {
            return Some(format!("`{}` has no command `{first}`", full(&called)));
        }
        _ => {}
    }
    let unknown = rest.iter().filter_map(|argument| option(argument)).find(|option| !has(help, option));
    unknown.map(|option| format!("`{}` has no option `{option}`", full(&called)))
}

/// `shadegrad bench kernels`
fn full(called: &str) -> String {
    format!("shadegrad {called}").trim_end().to_string()
}

/// The name of an option: `--seed` of `--seed=2`, `-s` of `-s`.
pub fn option(argument: &str) -> Option<&str> {
    let name = argument.split('=').next().unwrap_or_default();
    let letters = name.strip_prefix("--").or_else(|| name.strip_prefix('-').filter(|letters| letters.len() == 1))?;
    letters.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(name)
}

/// Whether a help text knows an option, as a word of its own.
fn has(help: &str, option: &str) -> bool {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    help.match_indices(option).any(|(at, _)| {
        help[..at].chars().next_back().is_none_or(|c| is_end(c) && c != '<')
            && help[at + option.len()..].chars().next().is_none_or(is_end)
    })
}
