//! A network as a TOML file, read and written.
//!
//! ```toml
//! name = "small"                 # 1 to 32 letters, digits, `_` or `-`; else it is called by its file
//! input = [28, 28, 1]            # height, width, channels
//! loss = "cross-entropy"         # or "quadratic"
//! initializer = "glorot-uniform" # or "he-uniform", "he-normal"
//!
//! [[layers]]
//! type = "conv2d"
//! filters = 8
//! kernel = 3
//! activation = "relu"            # short for a relu layer behind it
//!
//! [[layers]]
//! type = "flatten"
//!
//! [[layers]]
//! name = "scores"
//! type = "dense"
//! units = 10
//!
//! [training]                     # options of `shadegrad train`, unless others are given; see `Recipe`
//! epochs = 20
//! optimizer = "adamw"
//! learning_rate = 0.002
//! ```
//!
//! A network has at most 65,535 layers ([`MOST_LAYERS`](super::MOST_LAYERS)); `activation` counts as one. There is no
//! softmax layer: the softmax belongs to the loss, which takes the scores of the last layer.
//!
//! Errors name the file, the layer by number, kind and name, and what was expected and got.

use super::{Initializer, LayerEntry, Network, safe_name};
use crate::error::{Error, Result};
use crate::ops::softmax::Cost;
use crate::ops::{Layer, LayerKind, OPS, config};
use crate::options::Recipe;
use crate::text::{brief, toml_problem};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use toml::{Table, Value};

/// Everything of the file but the layers' settings, which each kind reads itself.
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
    // Not written: the file that is written goes with weights, and how those were trained stands in their run.toml.
    #[serde(default, skip_serializing)]
    training: Table,
}

fn cross_entropy() -> Cost {
    Cost::CrossEntropy
}

impl Network {
    /// A network from the text of its file. `origin` says in errors where the text is from; a network without a name is
    /// called by it.
    pub fn from_toml(origin: &str, text: &str) -> Result<Network> {
        let stem = || std::path::Path::new(origin).file_stem().unwrap_or_default().to_string_lossy();
        Network::read(origin, text, &|name| name.unwrap_or_else(|| safe_name(&stem())))
    }

    /// The same from the header of a file of weights, which this program has written. Names were once free: one that is
    /// none any more is changed, and not refused, so that the weights can still be used.
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

    /// The network as a file, activations as layers of their own, so that positions are those of the parameters' names.
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

/// Tables that a text opens, as `[[layers]]` or in braces. They are counted line by line, before the text is parsed, because
/// a table takes many times the memory of its text.
fn tables(text: &str) -> usize {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    lines.map(|line| usize::from(line.starts_with("[[")) + line.matches('{').count()).sum()
}

/// The layer of a table, and the activation behind it. An error's message continues `layer 3`.
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

/// Why there is no such layer.
const SOFTMAX: &str = "the softmax belongs to the loss, which takes the scores of the last layer as they are; \
                       `predict` prints its probabilities";

/// Whether other programs mean a softmax by this name: `softmax`, `Softmax`, `log_softmax`, `LogSoftmax`.
fn is_softmax(name: &str) -> bool {
    let letters: String = name.chars().filter(|letter| letter.is_alphanumeric()).collect();
    ["softmax", "logsoftmax"].contains(&letters.to_lowercase().as_str())
}

fn activation_layer(value: &Value) -> std::result::Result<Arc<dyn Layer>, String> {
    if value.as_str().is_some_and(is_softmax) {
        return Err(format!("{SOFTMAX}; remove the line `activation = {value}`"));
    }
    // A kind without settings is read from an empty table; of those, activations say so themselves.
    let named = value.as_str().and_then(LayerKind::find).filter(|kind| (kind.keys)().is_empty());
    let layer = named.and_then(|kind| (kind.read)(Table::new()).ok()).filter(|layer| layer.activation().is_some());
    layer.ok_or_else(|| format!("expected \"relu\", \"sigmoid\" or \"tanh\", got {}", config::shown(value)))
}
