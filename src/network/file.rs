//! Reads and writes networks as TOML files.
//!
//! ```toml
//! name = "small"                 # 1 to 32 letters, digits, `_` or `-`; by default the name of the file
//! input = [28, 28, 1]            # height, width, channels
//! loss = "cross-entropy"         # or "quadratic"
//! initializer = "glorot-uniform" # or "he-uniform", "he-normal"
//!
//! [[layers]]
//! type = "conv2d"
//! filters = 8
//! kernel = 3
//! activation = "relu"            # short for a relu layer after it
//!
//! [[layers]]
//! type = "flatten"
//!
//! [[layers]]
//! name = "scores"
//! type = "dense"
//! units = 10
//!
//! [training]                     # defaults for the options of `shadegrad train`; see `Recipe`
//! epochs = 20
//! optimizer = "adamw"
//! learning_rate = 0.002
//! ```
//!
//! A network has at most 65,535 layers ([`MOST_LAYERS`](super::MOST_LAYERS)); `activation` counts as one. There is no
//! softmax layer: the softmax is part of the loss, which takes the scores of the last layer.
//!
//! Errors name the file, the number, kind and name of the layer, and the expected and actual values.

use super::{Initializer, LayerEntry, Network, safe_name};
use crate::error::{Error, Result};
use crate::ops::softmax::Cost;
use crate::ops::{Layer, LayerKind, OPS, config};
use crate::options::Recipe;
use crate::text::{brief, toml_problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use toml::{Table, Value};

/// Everything in the file except for the layers' settings, which each kind parses itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    input: [usize; 3],
    #[serde(default = "cross_entropy")]
    loss: Cost,
    #[serde(default)]
    initializer: Initializer,
    #[serde(default)]
    layers: Vec<Table>,
    // Not written: a written network goes with weights, and their training options are in the run's run.toml.
    #[serde(default, skip_serializing)]
    training: Table,
}

fn cross_entropy() -> Cost {
    Cost::CrossEntropy
}

impl Network {
    /// Parses a network from the text of its file. `origin` names the text in errors, and is the name of a network
    /// without one.
    pub fn from_toml(origin: &str, text: &str) -> Result<Network> {
        let stem = || std::path::Path::new(origin).file_stem().unwrap_or_default().to_string_lossy();
        Network::read(origin, text, &|name| name.unwrap_or_else(|| safe_name(&stem())))
    }

    /// Parses a network from the header of a weights file that this program has written. Older versions allowed any
    /// name; a name that is no longer valid is changed and not rejected, so that the weights can still be used.
    pub(super) fn from_header(origin: &str, text: &str) -> Result<Network> {
        Network::read(origin, text, &|name| safe_name(&name.unwrap_or_default()))
    }

    fn read(origin: &str, text: &str, named: &dyn Fn(Option<String>) -> String) -> Result<Network> {
        let in_file = |error: Error| match error {
            Error::Network(problem) => Error::Network(format!("{origin}: {problem}")),
            other => other,
        };
        super::check_count(tables(text)).map_err(in_file)?;
        let file: File = toml::from_str(text).map_err(|error| {
            let problem =
                toml_problem(&error).replace("unknown field", "unknown key").replace("missing field", "missing key");
            Error::Network(format!("{origin}: {problem}"))
        })?;
        let mut entries = Vec::new();
        for (index, table) in file.layers.into_iter().enumerate() {
            let said = |problem| Error::Network(format!("{origin}: layer {}{problem}", index + 1));
            entries.extend(layers(index + 1, table).map_err(said)?);
        }
        let recipe = Recipe::read(origin, file.training)
            .map_err(|problem| Error::Network(format!("{origin}: [training]: {problem}")))?;
        let network = Network::new(named(file.name), file.input, file.loss, file.initializer, entries);
        Ok(Network { recipe, ..network.map_err(in_file)? })
    }

    /// The network as a file, with activations as layers of their own, so that positions match those in the parameters'
    /// names.
    pub fn to_toml(&self) -> String {
        let layer = |at: &super::NetworkLayer| {
            let mut table = Table::new();
            table.insert("type".into(), at.layer.kind().into());
            table.insert("name".into(), at.name.clone().into());
            table.extend(at.layer.settings());
            table
        };
        let file = File {
            name: Some(self.name.clone()),
            input: self.input,
            loss: self.loss,
            initializer: self.initializer,
            layers: self.layers.iter().map(layer).collect(),
            training: Table::new(),
        };
        match toml::to_string(&file) {
            Ok(text) => text,
            Err(error) => unreachable!("names and numbers are TOML: {error}"),
        }
    }
}

/// Number of tables in a text, as `[[layers]]` or in braces. They are counted line by line before the text is parsed,
/// because a table takes many times the memory of its text.
fn tables(text: &str) -> usize {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    lines.map(|line| usize::from(line.starts_with("[[")) + line.matches('{').count()).sum()
}

/// Parses a layer's table, with the activation that follows it. An error message continues `layer 3`.
fn layers(number: usize, mut table: Table) -> std::result::Result<Vec<LayerEntry>, String> {
    let kinds = || OPS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    let name = match table.remove("name") {
        None => None,
        Some(Value::String(name)) => Some(name),
        Some(other) => return Err(format!(": name: expected a text, got {}", config::shown(&other))),
    };
    let shown = name.as_ref().map(|name| format!(" `{}`", brief(name))).unwrap_or_default();
    let kind = match table.remove("type") {
        Some(Value::String(kind)) => kind,
        Some(other) => return Err(format!("{shown}: type: expected a text, got {}", config::shown(&other))),
        None => return Err(format!("{shown}: missing key `type`; kinds of layers: {}", kinds())),
    };
    if is_softmax(&kind) {
        return Err(format!(" ({kind}{shown}): {SOFTMAX}; remove this [[layers]] table"));
    }
    let Some(known) = LayerKind::find(&kind) else {
        let kind = brief(&kind);
        return Err(format!(" ({kind}{shown}): unknown type `{kind}`; kinds of layers: {}", kinds()));
    };
    let place = format!(" ({kind}{shown})");
    let activation = if known.takes_activation { table.remove("activation") } else { None };
    let keys = (known.keys)();
    if let Some(key) = table.keys().find(|key| !keys.contains(&key.as_str())) {
        let mut all = vec!["type", "name"];
        all.extend(keys);
        all.extend(known.takes_activation.then_some("activation"));
        return Err(format!("{place}: unknown key `{}`; known keys: {}", brief(key), all.join(", ")));
    }
    let layer = (known.read)(table).map_err(|problem| format!("{place}: {problem}"))?;
    let mut entries = vec![LayerEntry { number, name, layer }];
    if let Some(value) = activation {
        let layer = activation_layer(&value).map_err(|problem| format!("{place}: activation: {problem}"))?;
        entries.push(LayerEntry { number, name: None, layer });
    }
    Ok(entries)
}

/// Explains why there is no such layer.
const SOFTMAX: &str = "softmax is part of the loss, which takes the scores of the last layer as they are; \
                       `predict` prints its probabilities";

/// Whether other programs use this name for a softmax: `softmax`, `Softmax`, `log_softmax`, `LogSoftmax`.
fn is_softmax(name: &str) -> bool {
    let letters: String = name.chars().filter(|letter| letter.is_alphanumeric()).collect();
    ["softmax", "logsoftmax"].contains(&letters.to_lowercase().as_str())
}

fn activation_layer(value: &Value) -> std::result::Result<Arc<dyn Layer>, String> {
    if value.as_str().is_some_and(is_softmax) {
        return Err(format!("{SOFTMAX}; remove the line `activation = {value}`"));
    }
    // Only kinds without settings can be parsed from an empty table; among them, only activations return an activation.
    let named = value.as_str().and_then(LayerKind::find).filter(|kind| (kind.keys)().is_empty());
    let layer = named.and_then(|kind| (kind.read)(Table::new()).ok()).filter(|layer| layer.activation().is_some());
    layer.ok_or_else(|| format!("expected \"relu\", \"sigmoid\" or \"tanh\", got {}", config::shown(value)))
}
