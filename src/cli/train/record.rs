//! `run.toml`: what was run, for people, and what `--resume` needs to find the same data and device again.

use super::RunFolder;
use super::options::{Options, Validation};
use crate::cli::output::outln;
use serde::{Deserialize, Serialize};
use shadegrad::data::{DataPair, Source, form::Form, scale::Scale};
use shadegrad::machine::{Device, DeviceChoice};
use shadegrad::network::{Network, safe_name};
use shadegrad::ops::softmax::Cost;
use shadegrad::text::brief;
use shadegrad::train::{Lowest, TrainOptions, Trainer};
use shadegrad::{Error, Result, version};
use std::fmt::Display;
use std::path::Path;

/// What `run.toml` holds.
#[derive(Serialize, Deserialize)]
pub struct Record {
    pub shadegrad: String,
    wgpu: String,
    /// Where it is not wgpu's.
    naga: Option<String>,
    pub started: String,
    model: String,
    pub data: String,
    /// Of both sets; older versions did not write it.
    pub checksum: Option<String>,
    pub train_images: usize,
    pub validation_images: usize,
    validation: String,
    device: String,
    adapter: Option<AdapterRecord>,
    init: Option<String>,
    /// What `--resume` does again.
    pub command: Command,
    /// As the run began.
    pub options: TrainOptions,
    network: toml::Table,
    /// How the training images look, and what `predict` makes of pictures; older versions did not write it.
    form: Option<Form>,
    /// Where patience ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped_early: Option<Stop>,
    /// Each time that it was resumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resumed: Vec<Resumption>,
}

#[derive(Serialize, Deserialize)]
struct AdapterRecord {
    name: String,
    kind: String,
    backend: String,
    driver: String,
}

/// Options as they were given, or what stood for them.
#[derive(Serialize, Deserialize)]
pub struct Command {
    /// A folder or `builtin`.
    pub data: String,
    /// `test` or a share.
    #[serde(with = "as_text")]
    pub validation: Validation,
    #[serde(with = "as_text")]
    pub device: DeviceChoice,
    /// What pixels are divided by: a byte or `max`.
    #[serde(default, with = "as_text")]
    pub scale: Scale,
    pub log_every: usize,
}

#[derive(Serialize, Deserialize)]
struct Stop {
    after_epoch: usize,
    lowest_val_loss: f64,
    in_epoch: usize,
}

#[derive(Serialize, Deserialize)]
struct Resumption {
    at: String,
    from_step: usize,
    epochs: usize,
    device: String,
}

/// What `--model` and `--init` were, and the checksum of what `--data` was.
pub struct Origin<'a> {
    pub model: &'a str,
    pub init: Option<&'a Path>,
    pub checksum: &'a str,
}

impl Record {
    /// Of a run that is about to begin.
    pub fn new(
        origin: &Origin<'_>,
        command: Command,
        options: &TrainOptions,
        network: &Network,
        data: &DataPair,
        device: &Device,
    ) -> Result<Record> {
        let validation = match command.validation {
            Validation::Test => "test set".to_string(),
            Validation::HeldOut(_) => "held out of the training set".to_string(),
        };
        Ok(Record {
            shadegrad: env!("CARGO_PKG_VERSION").to_string(),
            wgpu: version::wgpu().to_string(),
            naga: (version::naga() != version::wgpu()).then(|| version::naga().to_string()),
            started: now(),
            model: origin.model.to_string(),
            data: data.source.clone(),
            checksum: Some(origin.checksum.to_string()),
            train_images: data.train.len(),
            validation_images: data.test.len(),
            validation,
            device: device.description.clone(),
            adapter: device.gpu().map(|gpu| AdapterRecord {
                name: gpu.info.name.clone(),
                kind: gpu.type_name().to_string(),
                backend: gpu.info.backend.to_string(),
                driver: gpu.driver(),
            }),
            init: origin.init.map(|path| path.display().to_string()),
            command,
            options: options.clone(),
            network: table(network)?,
            form: network.form.clone(),
            stopped_early: None,
            resumed: Vec::new(),
        })
    }

    /// The network. Names were once free: one that is none any more is read as [`Network::open`] would call it.
    fn network(&self) -> toml::Table {
        let mut network = self.network.clone();
        if let Some(toml::Value::String(name)) = network.get_mut("name") {
            *name = safe_name(name);
        }
        network
    }

    /// Fails unless a checkpoint's network and options are those of this run.
    pub fn check_same_run(&self, network: &Network, options: &TrainOptions) -> Result<(), String> {
        if table(network).ok() != Some(self.network()) {
            let own = self.network();
            let own = own.get("name").and_then(|name| name.as_str()).unwrap_or("another network");
            return Err(format!("a checkpoint of the network `{}`, the run trains `{own}`", network.name));
        }
        if !options.same_way(&self.options) {
            return Err("a checkpoint of a run with other options, as its header and run.toml say".to_string());
        }
        Ok(())
    }

    /// What of the run is not as options ask for, each as "option: what is there, what was asked for". Nothing, if it is
    /// the run that they would begin; how far it goes does not count.
    pub fn differences(&self, options: &Options) -> Result<Vec<String>> {
        let asked = options.train_options()?;
        let mut found = Vec::new();
        let mut compare = |what: &str, there: &dyn Display, asked: &dyn Display| {
            let (there, asked) = (there.to_string(), asked.to_string());
            if there != asked {
                found.push(format!("{what}: {} there, {} here", brief(&there), brief(&asked)));
            }
        };
        compare("--model", &self.model, &options.model);
        compare("--validation", &self.command.validation, &options.validation);
        compare("--scale", &self.command.scale, &options.scale);
        let (there, here) = (&self.options, &asked);
        compare("--batch-size", &there.batch_size, &here.batch_size);
        compare("--learning-rate", &there.learning_rate, &here.learning_rate);
        compare("--momentum", &there.momentum, &here.momentum);
        compare("--schedule", &there.schedule.name(), &here.schedule.name());
        // A schedule that has an end is laid over them; else they may grow.
        if there.schedule.has_an_end() && here.schedule.has_an_end() {
            compare("--epochs", &there.epochs, &here.epochs);
        }
        compare("--loss", &cost(there), &cost(here));
        compare("--seed", &there.seed, &here.seed);
        // It decides where a run ends, and only of one that it has ended does that matter.
        if self.stopped_early.is_some() {
            let epochs =
                |options: &TrainOptions| options.patience.map_or("none".to_string(), |epochs| epochs.to_string());
            compare("--patience", &epochs(there), &epochs(here));
        }
        if found.is_empty() && (self.init.is_some() || self.options.max_steps.is_some()) {
            found.push("--init or --max-steps: given there, not here".to_string());
        }
        if found.is_empty() && table(&Network::open(&options.model)?)? != self.network() {
            found.push(format!("the network `{}` has other layers there", options.model));
        }
        if found.is_empty() && !asked.same_way(&self.options) {
            found.push("other options there, as its run.toml says".to_string());
        }
        Ok(found)
    }

    /// Where the data of the run is. Fails where it is no more.
    pub fn source(&self) -> Result<Source> {
        let place = &self.command.data;
        let (source, _) = Source::resolve(Some(place), None);
        if source.is_there() {
            return Ok(source);
        }
        let problem = "the data that the run is trained on is not there any more; say with --data DIR where it is now";
        Err(Error::file(place, problem))
    }

    /// Whether epochs were judged by images that were held out, or else by the test set.
    pub fn is_held_out(&self) -> bool {
        matches!(self.command.validation, Validation::HeldOut(_))
    }

    /// The epoch after which patience ended it.
    pub fn stopped_after(&self) -> Option<usize> {
        self.stopped_early.as_ref().map(|stop| stop.after_epoch)
    }

    /// All devices that it was run on, in turn.
    pub fn devices(&self) -> Vec<&str> {
        let mut devices = vec![self.device.as_str()];
        devices.extend(self.resumed.iter().map(|resumption| resumption.device.as_str()));
        devices.dedup();
        devices
    }

    /// Adds that the run goes on.
    pub fn resume(&mut self, from_step: usize, options: &TrainOptions, device: &Device) {
        let (epochs, device) = (options.epochs, device.description.clone());
        self.stopped_early = None;
        self.resumed.push(Resumption { at: now(), from_step, epochs, device });
    }
}

/// As `--loss` takes it.
fn cost(options: &TrainOptions) -> &'static str {
    match options.loss {
        None => "that of the network",
        Some(Cost::CrossEntropy) => "cross-entropy",
        Some(Cost::Quadratic) => "quadratic",
    }
}

/// Says, and adds to `run.toml`, that patience has ended a run.
pub fn stop_early(folder: &RunFolder, trainer: &Trainer<'_>, lowest: Lowest, silent: bool) -> Result<()> {
    let Lowest { epoch: in_epoch, val_loss: lowest_val_loss } = lowest;
    let after_epoch = trainer.progress().epochs;
    let mut record: Record = folder.read_record()?;
    record.stopped_early = Some(Stop { after_epoch, lowest_val_loss, in_epoch });
    folder.write_record(&record)?;
    if !silent {
        outln!(
            "stopped after epoch {after_epoch}: the validation loss was lowest in epoch {in_epoch}, {lowest_val_loss:.4}"
        )?;
    }
    Ok(())
}

fn now() -> String {
    shadegrad::clock::now_text()
}

fn table(network: &Network) -> Result<toml::Table> {
    network.to_toml().parse().map_err(|error| Error::Network(format!("network `{}`: {error}", network.name)))
}

/// Values as options write them.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub fn serialize<S: Serializer>(value: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
