//! Beneath the options of the command line: those of `[training]` in the network's file.
//!
//! An entry of the table becomes the argument that it stands for, and is parsed like one that the user has given. So the
//! table can say whatever `train` can be told, and is checked by the same code.

use super::options::Options;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use shadegrad::network::{Network, Recipe};
use shadegrad::text::brief;
use shadegrad::train::TrainOptions;
use shadegrad::{Error, Result};
use std::error::Error as _;
use std::ffi::OsString;
use std::num::{ParseFloatError, ParseIntError};
use toml::Value;

/// Options that are chosen together: who gives the first of a group lays aside what the file has of the others, which were
/// made for another one.
const GROUPS: [&[&str]; 2] = [
    &["optimizer", "learning_rate", "momentum", "nesterov", "beta1", "beta2", "epsilon", "weight_decay"],
    &["schedule", "step_size", "gamma", "peak_at", "start_factor", "end_factor", "warmup"],
];

/// The options of a new run, which `arguments` of `shadegrad train` were parsed to, with what they leave to the network's
/// file.
pub fn complete(options: Options, arguments: &[OsString]) -> Result<Options> {
    let mut recipe = Network::open(&options.model)?.recipe;
    if recipe.is_empty() {
        return Ok(options);
    }
    train_options(&recipe)?;
    let usage = |error: clap::Error| Error::Usage(error.render().to_string());
    let given = Options::matches(arguments).map_err(usage)?;
    let is_given = |key: &str| given.value_source(key) == Some(ValueSource::CommandLine);
    let is_aside = |key: &str| GROUPS.iter().any(|group| group.contains(&key) && is_given(group[0]));
    recipe.options.retain(|(key, _)| !is_given(key) && !is_aside(key));
    let all = [&as_arguments(&recipe), arguments].concat();
    let options = Options::from_arguments(&all).map_err(usage)?;
    if let Err(error) = options.train_options() {
        // What is wrong with the command line may be that it does not fit the file.
        let beneath = if recipe.is_empty() { String::new() } else { format!(" (with {recipe}, of {})", recipe.origin) };
        return Err(Error::Usage(format!("{error}{beneath}")));
    }
    Ok(Options { recipe, ..options })
}

/// The options of a run that is given none but those of the network's file. Fails unless `train` would take each of them,
/// and all of them together.
pub fn train_options(recipe: &Recipe) -> Result<TrainOptions> {
    let said = |problem: String| Error::Network(format!("{}: [training]: {problem}", recipe.origin));
    for ((key, value), argument) in recipe.options.iter().zip(as_arguments(recipe)) {
        Options::matches(&[argument]).map_err(|error| said(format!("{key}: {}", problem(key, value, &error))))?;
    }
    let options = Options::from_arguments(&as_arguments(recipe)).map_err(|error| said(error.to_string()))?;
    options.train_options().map_err(|error| said(in_keys(&error.to_string())))
}

/// What the table says, as arguments of `shadegrad train`.
pub fn as_arguments(recipe: &Recipe) -> Vec<OsString> {
    recipe.texts().map(|(key, text)| format!("--{}={text}", key.replace('_', "-")).into()).collect()
}

/// What is wrong with a value, with expected and got.
fn problem(key: &str, value: &Value, error: &clap::Error) -> String {
    let expected = match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(ContextValue::Strings(values)), _) if !values.is_empty() => format!("expected {}", values.join(" or ")),
        (_, Some(source)) if source.is::<ParseIntError>() => "expected a whole number, not negative".into(),
        (_, Some(source)) if source.is::<ParseFloatError>() => "expected a number".into(),
        (_, Some(source)) => in_keys(&source.to_string()),
        (_, None) => "expected a value of this option".into(),
    };
    // Some parsers say themselves what they have got, and whose value it is.
    let expected = expected.trim_start_matches(&format!("{key}: "));
    if expected.contains("got ") {
        expected.to_string()
    } else {
        format!("{expected}, got {}", brief(&value.to_string()))
    }
}

/// A message about `--learning-rate` as one about the table's `learning_rate`.
fn in_keys(message: &str) -> String {
    let key = |word: &str| word.strip_prefix("--").map_or(word.to_string(), |option| option.replace('-', "_"));
    message.split(' ').map(key).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shadegrad::network::PRESETS;

    #[test]
    fn every_key_is_an_option() {
        let command = Options::command();
        for key in Recipe::KEYS.into_iter().chain(GROUPS.concat()) {
            let found = command.get_arguments().find(|argument| argument.get_id() == key);
            let long = found.and_then(|argument| argument.get_long()).map(|long| long.replace('-', "_"));
            assert_eq!(long.as_deref(), Some(key));
        }
    }

    #[test]
    fn presets_can_be_trained_by_their_recipes() {
        for preset in PRESETS {
            train_options(&Network::open(preset.name).unwrap().recipe).unwrap();
        }
    }
}
