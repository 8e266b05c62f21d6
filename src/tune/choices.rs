//! The kernel configurations of a run, one for each pass, and the small file that holds them.

use crate::error::{Error, Result};
use crate::files::{read_text, replace_file};
use crate::ops::{ChooseKernel, KernelConfig};
use crate::text::toml_problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// The kernel configuration of each pass, by label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelChoices {
    /// The configuration of passes that are not listed below.
    pub others: KernelConfig,
    /// Configurations of individual passes, by label.
    #[serde(default)]
    pub passes: BTreeMap<String, KernelConfig>,
}

impl From<KernelConfig> for KernelChoices {
    fn from(others: KernelConfig) -> Self {
        KernelChoices { others, passes: BTreeMap::new() }
    }
}

impl ChooseKernel for KernelChoices {
    fn config(&self, label: &str) -> &KernelConfig {
        self.passes.get(label).unwrap_or(&self.others)
    }
}

impl KernelChoices {
    /// Reads the `tune.toml` of a run, or a file of the same format.
    pub fn read(path: &Path) -> Result<KernelChoices> {
        let text = read_text(path)?;
        KernelChoices::from_toml(&text).map_err(|problem| Error::file(path, problem))
    }

    /// Parses the text of a `tune.toml`; the error message says what is wrong with it.
    pub fn from_toml(text: &str) -> Result<KernelChoices, String> {
        let choices: KernelChoices = toml::from_str(text).map_err(|error| toml_problem(&error))?;
        for (label, config) in choices.all() {
            config.validate().map_err(|problem| format!("{label}: {problem}"))?;
        }
        Ok(choices)
    }

    /// Every configuration with its label.
    pub fn all(&self) -> impl Iterator<Item = (&str, &KernelConfig)> {
        let passes = self.passes.iter().map(|(label, config)| (label.as_str(), config));
        passes.chain([("others", &self.others)])
    }

    /// Writes the choices as a `tune.toml`.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|error| Error::file(path, error.to_string()))?;
        replace_file(path, |file| file.write_all(text.as_bytes()))
    }
}
