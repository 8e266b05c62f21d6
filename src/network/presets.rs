//! The networks built into the program from `assets/networks`, and the lookup of networks by name.

use super::Network;
use crate::error::{Error, Result};
use crate::files::read_text;
use std::path::Path;

/// A network in `assets/networks`.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name of the preset: `case1`.
    pub name: &'static str,
    /// Text of its TOML file.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal)*) => {
        &[$(Preset {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/networks/", $name, ".toml")),
        }),*]
    };
}

/// All presets.
pub const PRESETS: &[Preset] =
    presets!["starter" "case1" "case2" "case3" "case4" "case5" "case6" "lenet5" "mlp" "fast" "best"];

impl Preset {
    /// The first comment line of the file.
    pub fn about(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }

    /// The names of all presets, for help texts and errors.
    pub fn names() -> String {
        PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
    }
}

impl Network {
    /// Opens the preset with this name, or the network in a file that ends in `.toml`.
    pub fn open(model: &str) -> Result<Network> {
        if let Some(preset) = PRESETS.iter().find(|preset| preset.name == model) {
            return Network::from_toml(&format!("preset {model}"), preset.text);
        }
        let path = Path::new(model);
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = read_text(path)?;
            return Network::from_toml(model, &text);
        }
        Err(Error::Usage(format!(
            "no network `{model}`: expected a preset ({}) or a file that ends in .toml",
            Preset::names()
        )))
    }
}
