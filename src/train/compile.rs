//! Applies training options to a network and its data: what is compiled, and the learning rate of each step.

use super::Division;
use super::schedule::Rates;
use crate::data::DataPair;
use crate::error::{Error, Result};
use crate::network::{CompileOptions, Compiled, Network, NetworkLayer};
use crate::options::{LARGEST_BATCH, OptionError, TrainOptions};

/// Whether batches of this size leave a single image for the last batch.
fn leaves_one(images: usize, batch: usize) -> bool {
    images.checked_rem(batch) == Some(1)
}

impl TrainOptions {
    /// Images per step: at most as many as there are.
    pub(super) fn batch(&self, data: &DataPair) -> usize {
        self.batch_size.min(data.train.len().max(data.test.len()))
    }

    /// The learning rate of each step.
    pub(crate) fn rates(&self, data: &DataPair) -> Result<Rates> {
        let images = data.train.len();
        let epoch_steps = images.div_ceil(self.batch_size.min(images).max(1));
        Ok(Rates::new(self.learning_rate, self.schedule, self.warmup, epoch_steps, self.epochs)?)
    }

    /// How batches are divided among `ranks` ranks, and on each into parts.
    pub(super) fn divide(&self, network: &Network, data: &DataPair, ranks: usize) -> Division {
        let of_training = self.batch_size.min(data.train.len());
        let batch = if ranks * self.accumulate == 1 { self.batch(data) } else { of_training };
        Division::new(network, batch, ranks, self.accumulate)
    }

    /// The network compiled as [`Trainer::new`](super::Trainer::new) runs it, for the tuner.
    pub fn compile(&self, network: &Network, data: &DataPair) -> Result<Compiled> {
        self.compile_for(network, data, 1)
    }

    /// Like [`TrainOptions::compile`], for one of several ranks.
    pub fn compile_for(&self, network: &Network, data: &DataPair, ranks: usize) -> Result<Compiled> {
        self.validate()?;
        network.check_fit(&data.train)?;
        network.check_fit(&data.test)?;
        self.rates(data)?;
        let images = data.train.len();
        let division = self.divide(network, data, ranks);
        // Random numbers are counted over the whole batch, in 32 bits.
        let widest = network.layers.iter().map(|at| at.input.len()).max().unwrap_or(0);
        let is_divided = division.ranks * division.parts > 1;
        if is_divided && (widest as u64).saturating_mul(self.batch_size as u64) > u64::from(u32::MAX) {
            let problem =
                OptionError::new("batch_size", "is too large to be divided: an activation of the whole batch");
            return Err(Error::Option(problem.and(" must have fewer than 2^32 values")));
        }
        self.check_statistics(network, images, &division)?;
        let Division { parts, images: batch, .. } = division;
        let steps = images.div_ceil(self.batch_size.min(images).max(1));
        let slots = (steps * parts).max(data.test.len().div_ceil(batch));
        let test_images = data.test.len();
        let step = self.compile_options(network);
        network.compile(&CompileOptions { batch, train_images: images, test_images, slots, ranks, parts, ..step })
    }

    /// Rejects a step that takes the variance of a single value: that is 0, and so is the gradient of every layer
    /// before.
    fn check_statistics(&self, network: &Network, images: usize, division: &Division) -> Result<()> {
        let is_single = |at: &&NetworkLayer| at.layer.batch_statistics(at.input) == Some(1);
        let Some(layer) = network.layers.iter().find(is_single) else { return Ok(()) };
        let batch = self.batch_size.min(images);
        let Division { ranks, parts, .. } = *division;
        if ranks * parts > 1 {
            return self.check_divided(layer, batch, images, division);
        }
        let is_last_reached = self.max_steps.is_none_or(|most| most >= images.div_ceil(batch.max(1)));
        if batch != 1 && !(is_last_reached && leaves_one(images, batch)) {
            return Ok(());
        }
        let which = if batch == 1 { "each step" } else { "the last step of an epoch" };
        let larger = (batch + 1..=LARGEST_BATCH.min(images)).find(|batch| !leaves_one(images, *batch));
        let other = larger.or_else(|| (2..batch).rev().find(|batch| !leaves_one(images, *batch)));
        let remedy =
            other.map_or("more training images are needed".into(), |batch| format!("use a batch size of {batch}"));
        Err(Error::Usage(format!(
            "{} `{}` needs at least 2 images per step for the variance of each channel, but {which} has 1 ({images} \
             training images in batches of {batch}); {remedy}",
            layer.layer.kind(),
            layer.name
        )))
    }

    /// [`TrainOptions::check_statistics`] for batches in several parts.
    fn check_divided(&self, layer: &NetworkLayer, batch: usize, images: usize, division: &Division) -> Result<()> {
        let Division { ranks, parts, .. } = *division;
        let syncs = ranks > 1 && self.step.sync_batch_norm;
        let is_last_reached = self.max_steps.is_none_or(|most| most >= images.div_ceil(batch.max(1)));
        let last = if is_last_reached { images % batch } else { 0 };
        for count in [batch, last].into_iter().filter(|count| *count > 0) {
            for part in 0..parts {
                let counts = division.counts(count, part);
                let single = if syncs { counts.iter().sum::<usize>() == 1 } else { counts.contains(&1) };
                if single {
                    let sync = if ranks > 1 && !syncs { ", or shared statistics (sync_batch_norm)" } else { "" };
                    let (kind, name) = (layer.layer.kind(), &layer.name);
                    return Err(Error::Usage(format!(
                        "{kind} `{name}` needs at least 2 images for the variance of each channel, but a batch of \
                         {count} images in {} parts leaves one image for a part; use another batch size{sync}",
                        ranks * parts
                    )));
                }
            }
        }
        Ok(())
    }

    /// The options that a step of the network is compiled with, for one rank and without sections for data sets.
    pub fn compile_options(&self, network: &Network) -> CompileOptions {
        let Division { images: batch, parts, .. } = Division::new(network, self.batch_size, 1, self.accumulate);
        CompileOptions { batch, parts, step: self.step, ..CompileOptions::default() }
    }
}
