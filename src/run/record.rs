//! `run.toml`: a readable record of the run, which also tells `--resume` where to find the same data and device.

use super::folder::{RECORD_FILE, RunFolder};
use super::{RunOptions, Tuning, Validation};
use crate::clock;
use crate::data::{DataPair, Source, form::Form, scale::Scale};
use crate::error::{Error, Result};
use crate::files::{Links, read_own_text};
use crate::machine::{Device, DeviceChoice};
use crate::network::{Network, safe_name};
use crate::ops::softmax::Cost;
use crate::ranks::Collective;
use crate::text::{brief, toml_problem};
use crate::train::{Lowest, OptionError, TrainOptions, Trainer};
use crate::version;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::Display;
use std::path::Path;

/// The content of `run.toml`.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// The version of shadegrad that started the run.
    pub shadegrad: String,
    wgpu: String,
    /// The version of naga, if it differs from wgpu's.
    naga: Option<String>,
    /// Date and time of the start, with the offset from UTC.
    pub started: String,
    model: String,
    /// Description of the source of the data.
    pub data: String,
    /// Checksum of both sets; older versions did not write it.
    pub checksum: Option<String>,
    /// Number of training images.
    pub train_images: usize,
    /// Number of images that epochs are evaluated on.
    pub validation_images: usize,
    validation: String,
    device: String,
    adapter: Option<AdapterRecord>,
    init: Option<String>,
    /// The settings that `--resume` uses again.
    pub command: RunCommand,
    /// The training options at the start of the run.
    #[serde(deserialize_with = "options_of_any_format")]
    pub options: TrainOptions,
    network: toml::Table,
    /// What the training images look like, so that `predict` can prepare pictures accordingly; older versions did not
    /// write it.
    form: Option<Form>,
    /// Set if early stopping ended the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped_early: Option<Stop>,
    /// One entry for each time that the run was resumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    resumed: Vec<Resumption>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AdapterRecord {
    name: String,
    kind: String,
    backend: String,
    driver: String,
}

/// Options as they were given, or their defaults.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunCommand {
    /// A data folder, or `builtin`.
    pub data: String,
    /// `test`, or the share or number of held-out images.
    pub validation: Validation,
    /// The device that was asked for.
    #[serde(with = "as_text")]
    pub device: DeviceChoice,
    /// The divisor of pixel values: a byte or `max`.
    #[serde(default, with = "as_text")]
    pub scale: Scale,
    /// Steps between two lines of `metrics.jsonl`.
    pub log_every: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stop {
    after_epoch: usize,
    lowest_val_loss: f64,
    in_epoch: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Resumption {
    at: String,
    from_step: usize,
    epochs: usize,
    device: String,
}

impl RunRecord {
    /// The record of a run that is about to start.
    pub(super) fn new(
        options: &RunOptions,
        trainer: &Trainer<'_>,
        data: &DataPair,
        checksum: &str,
    ) -> Result<RunRecord> {
        let validation = match options.validation {
            Validation::Test => "test set".to_string(),
            Validation::HeldOut(_) => "held out of the training set".to_string(),
        };
        let (device, network) = (trainer.device(), trainer.network());
        Ok(RunRecord {
            shadegrad: env!("CARGO_PKG_VERSION").to_string(),
            wgpu: version::wgpu().to_string(),
            naga: (version::naga() != version::wgpu()).then(|| version::naga().to_string()),
            started: clock::now_text(),
            model: options.model.clone(),
            data: data.source.clone(),
            checksum: Some(checksum.to_string()),
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
            init: options.init.as_ref().map(|path| path.display().to_string()),
            command: RunCommand {
                data: options.data_name.clone().unwrap_or_else(|| options.data.to_string()),
                validation: options.validation,
                device: options.device.clone(),
                scale: options.scale,
                log_every: options.log_every,
            },
            options: trainer.options().clone(),
            network: table(network)?,
            form: network.form.clone(),
            stopped_early: None,
            resumed: Vec::new(),
        })
    }

    /// Reads the record from a run folder.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if there is none, or if no run has written it.
    pub fn read(run: &Path) -> Result<RunRecord> {
        let path = run.join(RECORD_FILE);
        RunRecord::from_toml(&read_own_text(&path, Links::Follow)?, &path)
    }

    /// Like [`RunRecord::read`], as one of several ranks: rank 0 reads the record for all.
    ///
    /// # Errors
    ///
    /// Those of [`RunRecord::read`], as [`Error::Ranks`] if there are several ranks.
    pub fn read_on(ranks: &dyn Collective, run: &Path) -> Result<RunRecord> {
        let read = if ranks.leads() { RunRecord::read(run).map(Some) } else { Ok(None) };
        RunRecord::share(ranks, ranks.together(read)?)
    }

    /// Sends the record that rank 0 has read to all others.
    pub(super) fn share(ranks: &dyn Collective, own: Option<RunRecord>) -> Result<RunRecord> {
        // A record that was read can be written; if not, the others say that what they got is none.
        let text = own.as_ref().and_then(|own| own.to_toml().ok()).unwrap_or_default();
        let text = if ranks.is_alone() { Vec::new() } else { ranks.from_first(text.as_bytes())? };
        match own {
            Some(own) => Ok(own),
            None => RunRecord::from_toml(&String::from_utf8_lossy(&text), Path::new("the record of rank 0")),
        }
    }

    /// Parses a record; errors name its origin.
    pub(super) fn from_toml(text: &str, origin: &Path) -> Result<RunRecord> {
        toml::from_str(text)
            .map_err(|error| Error::file(origin, format!("not the record of a run: {}", toml_problem(&error))))
    }

    /// The text of the record.
    pub(super) fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::file(RECORD_FILE, error.to_string()))
    }

    /// Options for a new run like this one: the same network, data, device and seed.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] if the data no longer exists, [`Error::Network`] if the network in the record is invalid.
    pub fn run_options(&self) -> Result<RunOptions> {
        let text = toml::to_string(&self.network()).map_err(|error| Error::Network(error.to_string()))?;
        let RunCommand { validation, device, scale, log_every, .. } = self.command.clone();
        Ok(RunOptions {
            model: self.model.clone(),
            network: Network::from_toml("run.toml", &text)?,
            training: self.options.clone(),
            data: self.source()?,
            data_name: None,
            validation,
            scale,
            device,
            tuning: Tuning::default(),
            out: None,
            init: self.init.as_ref().map(Into::into),
            log_every,
            profile: false,
            compare_with_cpu: false,
            cache: None,
        })
    }

    /// The network. Names were once unrestricted: one that is no longer valid is changed as [`Network::open`] would do.
    fn network(&self) -> toml::Table {
        let mut network = self.network.clone();
        if let Some(toml::Value::String(name)) = network.get_mut("name") {
            *name = safe_name(name);
        }
        network
    }

    /// Fails unless the network and the options of a checkpoint are those of this run.
    pub(super) fn check_same_run(&self, network: &Network, options: &TrainOptions) -> Result<(), String> {
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

    /// Differences between this run and the one that `options` would start, each as "option: value there, value here".
    /// Empty if they are the same run; its length does not count unless the schedule depends on it.
    pub fn differences(&self, options: &RunOptions) -> Result<Vec<String>> {
        let asked = &options.training;
        let mut found = Vec::new();
        let mut compare = |what: &str, there: &dyn Display, asked: &dyn Display| {
            let (there, asked) = (there.to_string(), asked.to_string());
            if there != asked {
                found.push(format!("{what}: {} there, {} here", brief(&there), brief(&asked)));
            }
        };
        compare("model", &self.model, &options.model);
        compare("validation", &self.command.validation, &options.validation);
        compare("scale", &self.command.scale, &options.scale);
        let (there, here) = (&self.options, asked);
        compare("batch_size", &there.batch_size, &here.batch_size);
        compare("learning_rate", &there.learning_rate, &here.learning_rate);
        compare("momentum", &there.step.optimizer.momentum(), &here.step.optimizer.momentum());
        compare("schedule", &there.schedule.name(), &here.schedule.name());
        // The rates of such a schedule depend on the number of epochs; with other schedules, epochs may be added.
        if there.schedule.has_an_end() && here.schedule.has_an_end() {
            compare("epochs", &there.epochs, &here.epochs);
        }
        compare("loss", &cost(there), &cost(here));
        compare("seed", &there.seed, &here.seed);
        // Patience only decides where a run ends, so it matters only if it has ended this one.
        if self.stopped_early.is_some() {
            let epochs =
                |options: &TrainOptions| options.patience.map_or("none".to_string(), |epochs| epochs.to_string());
            compare("patience", &epochs(there), &epochs(here));
        }
        if found.is_empty() && (self.init.is_some() || self.options.max_steps.is_some()) {
            found.push("init or max_steps: given there, not here".to_string());
        }
        if found.is_empty() && table(&options.network)? != self.network() {
            found.push(format!("the network `{}` has other layers there", options.model));
        }
        if found.is_empty() && !asked.same_way(&self.options) {
            found.push("other options there, as its run.toml says".to_string());
        }
        Ok(found)
    }

    /// The source of the run's data. Fails if it no longer exists.
    pub fn source(&self) -> Result<Source> {
        let place = &self.command.data;
        let (source, _) = Source::resolve(Some(place), None);
        if source.is_there() {
            return Ok(source);
        }
        let problem = format!("DIR must say where the data of the run is now: {} is not there any more", brief(place));
        Err(Error::Option(OptionError::new("data", problem)))
    }

    /// Whether this is the data that the run was trained and evaluated on; `None` for a record of an older version,
    /// which has no checksum.
    ///
    /// # Errors
    ///
    /// Those of [`Validation::divide`], and [`Error::Memory`] if there is not enough memory for a copy of the data.
    pub fn is_trained_on(&self, data: &DataPair) -> Result<Option<bool>> {
        let Some(checksum) = &self.checksum else { return Ok(None) };
        let mut divided = self.command.validation.divide(data.copy()?, self.options.seed)?;
        self.command.scale.apply(&mut divided);
        Ok(Some(divided.checksum() == *checksum))
    }

    /// Whether epochs were evaluated on held-out images rather than on the test set.
    pub fn is_held_out(&self) -> bool {
        matches!(self.command.validation, Validation::HeldOut(_))
    }

    /// The epoch after which early stopping ended the run.
    pub fn stopped_after(&self) -> Option<usize> {
        self.stopped_early.as_ref().map(|stop| stop.after_epoch)
    }

    /// All devices that the run was trained on, in order.
    pub fn devices(&self) -> Vec<&str> {
        let mut devices = vec![self.device.as_str()];
        devices.extend(self.resumed.iter().map(|resumption| resumption.device.as_str()));
        devices.dedup();
        devices
    }

    /// Adds an entry for a run that is resumed.
    pub(super) fn resume(&mut self, from_step: usize, options: &TrainOptions, device: &Device) {
        let (epochs, device) = (options.epochs, device.description.clone());
        self.stopped_early = None;
        self.resumed.push(Resumption { at: clock::now_text(), from_step, epochs, device });
    }
}

/// The name of the loss.
fn cost(options: &TrainOptions) -> &'static str {
    options.step.loss.map_or("that of the network", Cost::name)
}

impl RunFolder {
    /// Records in `run.toml` that early stopping ended the run.
    pub(super) fn record_early_stop(&self, after_epoch: usize, lowest: Lowest) -> Result<()> {
        let mut record = RunRecord::read(self.path())?;
        let Lowest { epoch: in_epoch, val_loss: lowest_val_loss } = lowest;
        record.stopped_early = Some(Stop { after_epoch, lowest_val_loss, in_epoch });
        self.write_record(&record)
    }
}

/// Reads training options as any version of this program wrote them: earlier ones wrote the schedule and the amounts of
/// augmentation as separate tables.
fn options_of_any_format<'de, D: Deserializer<'de>>(from: D) -> Result<TrainOptions, D::Error> {
    let mut table = toml::Table::deserialize(from)?;
    match table.remove("schedule") {
        Some(toml::Value::Table(schedule)) => {
            let (name, values) = schedule.into_iter().next().unwrap_or(("constant".into(), toml::Table::new().into()));
            table.insert("schedule".into(), name.into());
            for (key, value) in values.as_table().into_iter().flatten() {
                let key = if key == "size" { "step_size" } else { key };
                table.insert(key.into(), value.clone());
            }
        }
        other => {
            table.insert("schedule".into(), other.unwrap_or_else(|| "constant".into()));
        }
    }
    if let Some(toml::Value::Table(amounts)) = table.get("augment") {
        let amounts: Vec<_> = amounts.iter().map(|(key, value)| format!("{key}={value}")).collect();
        table.insert("augment".into(), amounts.join(",").into());
    }
    table.try_into().map_err(serde::de::Error::custom)
}

fn table(network: &Network) -> Result<toml::Table> {
    network.to_toml().parse().map_err(|error| Error::Network(format!("network `{}`: {error}", network.name)))
}

/// Serializes values as the text that options take.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::augment::Augment;
    use crate::train::{Optimizer, Schedule, StepOptions};

    /// Options as earlier versions wrote them to `run.toml`.
    #[test]
    fn options_of_earlier_formats_are_read() {
        #[derive(Deserialize)]
        struct Old {
            #[serde(deserialize_with = "options_of_any_format")]
            options: TrainOptions,
        }
        let text = "[options]\nepochs = 15\nbatch_size = 100\nlearning_rate = 0.1\nmomentum = 0.5\nnesterov = false\n\
                    weight_decay = 0.0\nlabel_smoothing = 0.0\nseed = 1\nshuffle = true\nevery_step = false\n\
                    find_nan = false\noptimizer = \"sgd\"\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 0.00000001\n";
        let read = |rest: &str| toml::from_str::<Old>(&format!("{text}{rest}")).unwrap().options;
        let plain = TrainOptions {
            epochs: 15,
            learning_rate: 0.1,
            step: StepOptions { optimizer: Optimizer::sgd(0.5), ..StepOptions::default() },
            ..TrainOptions::default()
        };
        assert_eq!(read("schedule = \"constant\""), plain);
        assert_eq!(read(""), plain);
        let cosine = Schedule::Cosine { end_factor: 0.25 };
        assert_eq!(
            read("[options.schedule.cosine]\nend_factor = 0.25"),
            TrainOptions { schedule: cosine, ..plain.clone() }
        );
        let step = Schedule::Step { size: 3, gamma: 0.5 };
        assert_eq!(
            read("[options.schedule.step]\nsize = 3\ngamma = 0.5"),
            TrainOptions { schedule: step, ..plain.clone() }
        );
        let augment = Some(Augment { shift: 1.5, elastic: 2.0, ..Augment::default() });
        let amounts = "[options.augment]\nshift = 1.5\nrotation = 0.0\nscale = 0.0\nshear = 0.0\nelastic = 2.0";
        assert_eq!(read(amounts).step.augment, augment);
    }
}
