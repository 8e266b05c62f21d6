//! `[training]` in a network's file: the options of `shadegrad train` that the network is trained with unless others are
//! given.
//!
//! Here they are names and values, of which the names are checked. What the values mean is known where these options are
//! read, in `cli/train/recipe.rs`.

use crate::ops::config;
use crate::text::brief;
use std::fmt;
use toml::{Table, Value};

/// Options of `shadegrad train`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// The file or preset that they are from, for errors.
    pub origin: String,
    /// Key and value (a text, a number, true or false), in the order of [`Recipe::KEYS`].
    pub options: Vec<(&'static str, Value)>,
}

impl Recipe {
    /// What may be in the table: long options with `_` in place of `-`. `loss` is not among them, because it has its place at
    /// the head of the file, and what belongs to one run only (seed, data, device) is not either.
    pub const KEYS: [&str; 22] = [
        "epochs",
        "batch_size",
        "optimizer",
        "learning_rate",
        "momentum",
        "nesterov",
        "beta1",
        "beta2",
        "epsilon",
        "weight_decay",
        "clip_norm",
        "ema",
        "schedule",
        "step_size",
        "gamma",
        "peak_at",
        "start_factor",
        "end_factor",
        "warmup",
        "label_smoothing",
        "augment",
        "patience",
    ];

    /// The options of a table.
    pub(super) fn read(origin: &str, mut table: Table) -> Result<Recipe, String> {
        let take = |key| table.remove(key).map(|value| (key, value));
        let options: Vec<_> = Recipe::KEYS.into_iter().filter_map(take).collect();
        if let Some(key) = table.keys().next() {
            return Err(format!("unknown key `{}`; known keys: {}", brief(key), Recipe::KEYS.join(", ")));
        }
        let is_plain = |value: &Value| value.is_str() || value.is_integer() || value.is_float() || value.is_bool();
        match options.iter().find(|(_, value)| !is_plain(value)) {
            Some((key, value)) => {
                Err(format!("{key}: expected a text, a number, true or false, got {}", config::shown(value)))
            }
            // Networks that say nothing are equal, wherever they are from.
            None if options.is_empty() => Ok(Recipe::default()),
            None => Ok(Recipe { origin: origin.into(), options }),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.options.is_empty()
    }

    /// Keys, and values as an option takes them.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.options.iter().map(|(key, value)| (*key, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    }
}

impl fmt::Display for Recipe {
    /// `epochs 40, optimizer adamw`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.texts().map(|(key, text)| format!("{} {text}", key.replace('_', "-"))).collect();
        f.write_str(&parts.join(", "))
    }
}
