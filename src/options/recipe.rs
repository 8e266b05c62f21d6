//! Recipes: the training options given in a network's file or on a command line. [`Recipe::complete`] fills in defaults
//! for the rest.

use super::optimizer::OptimizerRecipe;
use super::regularization::RegularizationRecipe;
use super::schedule::ScheduleRecipe;
use super::value::OrNone;
use super::{StepOptions, TrainOptions};
use crate::error::{Error, OptionError, Result};
use crate::ops::config;
use crate::text::{brief, one_line};
use serde::{Deserialize, Serialize};
use std::fmt;
use toml::{Table, Value};

/// Training options, each of which may be given or not.
///
/// Every field is an option of `shadegrad train` (`learning_rate` is `--learning-rate`) and a key of `[training]` in a
/// network's file. What belongs to one run only (seed, data, device) is not among them, nor is the loss, which is a part of
/// the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[serde(default)]
pub struct Recipe {
    /// The file or preset that it was read from, for errors.
    #[cfg_attr(feature = "cli", arg(skip))]
    #[serde(skip)]
    pub origin: String,
    /// How long the network is trained.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub length: LengthRecipe,
    /// How many images a step takes.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub batch: BatchRecipe,
    /// How gradients change weights.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub optimizer: OptimizerRecipe,
    /// How the learning rate changes.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub schedule: ScheduleRecipe,
    /// What keeps the network from learning its training images by heart.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub regularization: RegularizationRecipe,
}

/// How long a network is trained. A run that is resumed may be given a new length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "Length and batch size"))]
#[serde(default)]
pub struct LengthRecipe {
    /// Passes over the training set [default: 5]
    #[cfg_attr(feature = "cli", arg(short, long))]
    pub epochs: Option<usize>,
    /// Early stopping: end when the validation loss has not fallen for this many epochs [default: none]
    #[cfg_attr(feature = "cli", arg(long, value_name = "EPOCHS|none"))]
    pub patience: Option<OrNone<usize>>,
}

/// How many images a training step takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::Args), command(next_help_heading = "Length and batch size"))]
#[serde(default)]
pub struct BatchRecipe {
    /// Images per step [default: 100]
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "IMAGES"))]
    pub batch_size: Option<usize>,
    /// Compute each batch in this many parts, one after another, and add up their gradients [default: 1]
    ///
    /// The network is the same within rounding, and needs less memory on the device. The statistics of batch_norm are those
    /// of a part.
    #[cfg_attr(feature = "cli", arg(long, value_name = "PARTS"))]
    pub accumulate: Option<usize>,
    /// Let batch_norm take its statistics over all ranks that train together, not over each by itself [default: false]
    // It may take a value, so that a setting in the network's file can be turned off.
    #[cfg_attr(feature = "cli", arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_name = "true|false", hide_possible_values = true))]
    pub sync_batch_norm: Option<bool>,
}

options_of!(LengthRecipe: epochs, patience);
options_of!(BatchRecipe: batch_size, accumulate, sync_batch_norm);

impl Recipe {
    /// The keys of `[training]`, in the order of the fields.
    pub fn keys() -> Vec<&'static str> {
        [
            config::keys::<LengthRecipe>(),
            config::keys::<BatchRecipe>(),
            config::keys::<OptimizerRecipe>(),
            config::keys::<ScheduleRecipe>(),
            config::keys::<RegularizationRecipe>(),
        ]
        .concat()
    }

    /// Reads the options from a table; errors name its source as `origin`.
    ///
    /// # Errors
    ///
    /// A message that names the key that is unknown or whose value has the wrong type. [`Recipe::complete`] checks
    /// whether values are in range and fit together.
    pub(crate) fn read(origin: &str, table: Table) -> Result<Recipe, String> {
        let known = Recipe::keys();
        if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(format!("unknown key `{}`; known keys: {}", brief(key), known.join(", ")));
        }
        for key in known {
            // One key at a time, so that an error can name it.
            let Some(value) = table.get(key) else { continue };
            let alone: Table = [(key.to_string(), value.clone())].into_iter().collect();
            alone.try_into::<Recipe>().map_err(|error| format!("{key}: {}", problem(value, error.message())))?;
        }
        // Empty recipes are equal, wherever they come from.
        let origin = if table.is_empty() { String::new() } else { origin.to_string() };
        let recipe: Recipe = table.try_into().map_err(|error: toml::de::Error| error.message().to_string())?;
        Ok(Recipe { origin, ..recipe })
    }

    /// Whether no option is given.
    pub fn is_empty(&self) -> bool {
        *self == Recipe { origin: self.origin.clone(), ..Recipe::default() }
    }

    /// This recipe, with `below` filling in what it does not give.
    ///
    /// An optimizer or a schedule stands for its whole group: a recipe that names one takes nothing of that group from
    /// `below`, where the options were chosen for another.
    pub fn over(&self, below: &Recipe) -> Recipe {
        let left = below.left_by(self);
        Recipe {
            origin: String::new(),
            length: self.length.or(&left.length),
            batch: self.batch.or(&left.batch),
            optimizer: self.optimizer.or(&left.optimizer),
            schedule: self.schedule.or(&left.schedule),
            regularization: self.regularization.or(&left.regularization),
        }
    }

    /// What remains of this recipe beneath another one: see [`Recipe::over`].
    pub fn left_by(&self, above: &Recipe) -> Recipe {
        let is_other_optimizer = above.optimizer.optimizer.is_some();
        let is_other_schedule = above.schedule.schedule.is_some();
        Recipe {
            origin: self.origin.clone(),
            length: self.length.without(&above.length),
            batch: self.batch.without(&above.batch),
            optimizer: if is_other_optimizer { Default::default() } else { self.optimizer.without(&above.optimizer) },
            schedule: if is_other_schedule { Default::default() } else { self.schedule.without(&above.schedule) },
            regularization: self.regularization.without(&above.regularization),
        }
    }

    /// The given options by key; numbers that are not finite are left out.
    fn given(&self) -> serde_json::Map<String, serde_json::Value> {
        // Through text, which writes an `f32` as short as possible.
        match serde_json::to_string(self).and_then(|text| serde_json::from_str(&text)) {
            Ok(serde_json::Value::Object(mut all)) => {
                all.retain(|_, value| !value.is_null());
                all
            }
            other => unreachable!("a recipe is numbers and words by name: {other:?}"),
        }
    }

    fn of(given: serde_json::Map<String, serde_json::Value>) -> Recipe {
        match serde_json::from_value(serde_json::Value::Object(given)) {
            Ok(recipe) => recipe,
            Err(error) => unreachable!("it was made of recipes: {error}"),
        }
    }

    /// All options that training needs, with defaults for what is not given, including the options of a single run
    /// (seed, steps, checkpoints).
    ///
    /// # Errors
    ///
    /// [`Error::Option`] if a value is out of range, or two values do not fit together. For a recipe read from a
    /// network's file it is [`Error::Network`], which names the file.
    ///
    /// ```
    /// use shadegrad::network::Network;
    ///
    /// let options = Network::open("best")?.recipe.complete()?;
    /// assert_eq!(options.epochs, 40);
    /// # Ok::<(), shadegrad::Error>(())
    /// ```
    pub fn complete(&self) -> Result<TrainOptions> {
        self.options().map_err(|error| match self.origin.as_str() {
            "" => Error::Option(error),
            origin => Error::Network(format!("{origin}: [training]: {error}")),
        })
    }

    /// [`Recipe::over`] and [`Recipe::complete`] in one: the recipe of a network's file, overridden by this one.
    ///
    /// # Errors
    ///
    /// [`Error::Network`] if the file's recipe is invalid by itself; otherwise [`Error::Option`], which also lists what
    /// the file gives.
    pub fn complete_over(&self, below: &Recipe) -> Result<TrainOptions> {
        below.complete()?;
        self.over(below).options().map_err(|error| {
            let left = below.left_by(self);
            // The problem may be a conflict with the file.
            let with = if left.is_empty() { String::new() } else { format!(" (with {left}, of {})", below.origin) };
            Error::Option(error.and(with))
        })
    }

    /// Like [`Recipe::complete`], for a recipe of several origins: errors do not say where the option was given.
    fn options(&self) -> Result<TrainOptions, OptionError> {
        let usual = TrainOptions::default();
        let Recipe { length, batch, optimizer: given, schedule, regularization, .. } = self;
        let optimizer = given.complete()?;
        let options = TrainOptions {
            epochs: length.epochs.unwrap_or(usual.epochs),
            patience: length.patience.and_then(|patience| patience.0),
            batch_size: batch.batch_size.unwrap_or(usual.batch_size),
            accumulate: batch.accumulate.unwrap_or(usual.accumulate),
            learning_rate: given.learning_rate.unwrap_or(optimizer.usual_learning_rate()),
            schedule: schedule.complete()?,
            warmup: schedule.warmup.and_then(|warmup| warmup.0),
            step: StepOptions {
                optimizer,
                weight_decay: given.weight_decay.unwrap_or(usual.step.weight_decay),
                label_smoothing: regularization.label_smoothing.unwrap_or(usual.step.label_smoothing),
                augment: regularization.augment.and_then(|augment| augment.0),
                clip_norm: regularization.clip_norm.and_then(|norm| norm.0),
                sync_batch_norm: batch.sync_batch_norm.unwrap_or(usual.step.sync_batch_norm),
                ema: regularization.ema.and_then(|decay| decay.0),
                loss: usual.step.loss,
            },
            ..usual
        };
        options.validate()?;
        Ok(options)
    }
}

/// A message about a value of the wrong type, with expected and got; `said` is serde's message.
fn problem(value: &Value, said: &str) -> String {
    let got = config::shown(value);
    let is_plain = value.is_str() || value.is_integer() || value.is_float() || value.is_bool();
    match said.rsplit_once("expected ").map(|(_, expected)| expected) {
        _ if !is_plain => format!("expected a text, a number, true or false, got {got}"),
        Some("usize") => format!("expected a whole number, not negative, got {got}"),
        Some("f32" | "f64") => format!("expected a number, got {got}"),
        Some("a boolean") => format!("expected true or false, got {got}"),
        Some(variants) if said.starts_with("unknown variant") => format!("expected {variants}, got {got}"),
        // The message may quote the file.
        _ => one_line(said).into_owned(),
    }
}

impl From<&TrainOptions> for Recipe {
    /// The recipe that gives all of these options.
    fn from(options: &TrainOptions) -> Recipe {
        // Both use the same keys; a recipe has none of the options of a single run.
        match serde_json::to_value(options) {
            Ok(serde_json::Value::Object(mut all)) => {
                all.retain(|key, value| !value.is_null() && Recipe::keys().contains(&key.as_str()));
                Recipe::of(all)
            }
            other => unreachable!("options are numbers and words by name: {other:?}"),
        }
    }
}

impl Recipe {
    /// The given options: keys, and values as they are written in options, in field order.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let given = self.given();
        Recipe::keys().into_iter().filter_map(move |key| {
            let value = given.get(key)?;
            Some((key, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        })
    }
}

impl fmt::Display for Recipe {
    /// Writes, for example, `epochs 40, optimizer adamw, learning rate 0.002`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.texts().map(|(key, value)| format!("{} {value}", key.replace('_', " "))).collect();
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, PRESETS};

    fn recipe(text: &str) -> Recipe {
        Recipe::read("test.toml", text.parse().unwrap()).unwrap()
    }

    #[test]
    fn presets_can_be_trained_by_their_recipes() {
        for preset in PRESETS {
            Network::open(preset.name).unwrap().recipe.complete().unwrap();
        }
    }

    #[test]
    fn a_recipe_lies_over_another() {
        let below = recipe("epochs = 40\noptimizer = 'sgd'\nmomentum = 0.5\nwarmup = '2epochs'\nema = 0.99");
        let above = recipe("epochs = 3\nlearning_rate = 0.1\nema = 'none'");
        let options = above.over(&below).complete().unwrap();
        assert_eq!((options.epochs, options.learning_rate, options.step.ema), (3, 0.1, None));
        assert_eq!(
            (options.step.optimizer, options.warmup),
            (super::super::Optimizer::sgd(0.5), "2epochs".parse().ok())
        );
        assert_eq!(below.left_by(&above).to_string(), "optimizer sgd, momentum 0.5, warmup 2epochs");
        // The parameters of an optimizer are replaced together with it.
        assert_eq!(below.left_by(&recipe("optimizer = 'adam'")).to_string(), "epochs 40, warmup 2epochs, ema 0.99");
        assert_eq!(recipe("").over(&below).to_string(), below.to_string());
    }

    #[test]
    fn options_are_those_of_the_recipe_that_they_give() {
        let texts = [
            "",
            "epochs = 7\npatience = 3\nbatch_size = 33\noptimizer = 'adamw'\nbeta1 = 0.8\nepsilon = 1e-6\nweight_decay = 0.01",
            "nesterov = true\nmomentum = 0.3\nschedule = 'step'\nstep_size = 2\ngamma = 0.3\nwarmup = 20",
            "schedule = 'one-cycle'\npeak_at = 0.2\nlabel_smoothing = 0.1\naugment = 'shift=2,elastic=0.3'\nclip_norm = 0.1",
            "schedule = 'cosine'\nend_factor = 0.1\nema = 0.999\naugment = 'digits'\nlearning_rate = 0.007",
        ];
        for text in texts {
            let options = recipe(text).complete().unwrap();
            assert_eq!(Recipe::from(&options).complete().unwrap(), options, "{text}");
            let text = toml::to_string(&options).unwrap();
            assert_eq!(toml::from_str::<TrainOptions>(&text).unwrap(), options, "{text}");
        }
    }

    /// Help texts state the default of each option.
    #[cfg(feature = "cli")]
    #[test]
    fn help_tells_the_defaults() {
        use clap::Args;
        let command = Recipe::augment_args(clap::Command::new("train"));
        let help = |key: &str| {
            let argument = command.get_arguments().find(|argument| argument.get_id() == key);
            let argument = argument.unwrap_or_else(|| panic!("{key} is no option"));
            assert_eq!(argument.get_long(), Some(key.replace('_', "-").as_str()));
            argument.get_help().map(ToString::to_string).unwrap_or_default()
        };
        for key in Recipe::keys().into_iter().filter(|key| *key != "nesterov") {
            assert!(help(key).contains("[default: "), "{key}: {}", help(key));
        }
        let kinds = ["", "optimizer = 'adam'", "optimizer = 'adamw'", "schedule = 'step'", "schedule = 'cosine'"];
        for kind in kinds.into_iter().chain(["schedule = 'one-cycle'"]) {
            let complete = Recipe::from(&recipe(kind).complete().unwrap());
            for (key, value) in complete.texts().filter(|(key, value)| !kind.contains(key) && value != "false") {
                // In the usual notation of the number.
                let value = value.parse::<f64>().map_or(value.clone(), |number| number.to_string());
                assert!(help(key).contains(&value), "{key}: {value} is not in `{}`", help(key));
            }
        }
        for key in ["patience", "warmup", "augment", "clip_norm", "ema"] {
            assert!(help(key).ends_with("[default: none]"), "{key}: {}", help(key));
        }
    }

    #[test]
    fn errors_name_the_file() {
        let error = recipe("momentum = 2").complete().unwrap_err().to_string();
        assert_eq!(error, "test.toml: [training]: momentum must be at least 0 and below 1, got 2");
    }
}
