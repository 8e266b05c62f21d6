//! Predictions of a network for images without labels.

use super::overflow;
use crate::error::{Error, Result};
use crate::machine::{Device, Machine, Section};
use crate::memory;
use crate::network::{CompileOptions, Network, Weights};
use crate::ops::Step;

/// Most images per submit.
const MOST: usize = 128;

/// Most values in the largest activation of such a batch: 64 MiB, half of the binding size that every device supports.
const MOST_VALUES: usize = 1 << 24;

/// A network with its weights on a device, for predictions.
pub struct Predictor {
    device: Device,
    network: Network,
    weights: Weights,
    /// Predicts one image at a time.
    one: Option<Machine>,
    /// Predicts a batch of the given number of images.
    many: Option<(usize, Machine)>,
}

impl Predictor {
    /// Creates a predictor. Its kernels are compiled at the first prediction, and again at the first batch.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] if there is not enough memory for a copy of the weights.
    pub fn new(device: &Device, network: &Network, weights: &Weights) -> Result<Predictor> {
        memory::check_room(network.weight_bytes(), "the weights of a predictor")?;
        let (device, network, weights) = (device.clone(), network.clone(), weights.clone());
        Ok(Predictor { device, network, weights, one: None, many: None })
    }

    /// The probabilities of the classes for an image of H x W x C bytes, from 0 (background) to 255 (ink).
    /// [`crate::data::quantized`] converts numbers from 0 to 1 to bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if the size of the image is wrong, [`Error::NotFinite`] if values overflow with these weights.
    pub async fn predict(&mut self, image: &[u8]) -> Result<Vec<f32>> {
        self.check(image, "")?;
        let machine = match &mut self.one {
            Some(machine) => machine,
            none => none.insert(machine(&self.device, &self.network, &self.weights, 1)?),
        };
        let classes = self.network.classes();
        run(machine, 1, &[image], classes, &|_| String::new()).await
    }

    /// Like [`Predictor::predict`] for any number of images, in as few submits as possible: a list of probabilities for
    /// each image, in order. The values may differ from those of single predictions by rounding, because sums may be
    /// added in another order with another batch size.
    ///
    /// # Errors
    ///
    /// Those of [`Predictor::predict`], with the number of the image, starting at 1.
    pub async fn predict_batch<I: AsRef<[u8]>>(&mut self, images: &[I]) -> Result<Vec<Vec<f32>>> {
        let (total, classes) = (images.len(), self.network.classes());
        let place = |index: usize| format!("image {} of {total}: ", index + 1);
        for (index, image) in images.iter().enumerate() {
            self.check(image.as_ref(), &place(index))?;
        }
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.batch(total);
        let (batch, machine) = match &mut self.many {
            Some((made_for, machine)) if *made_for >= batch => (*made_for, machine),
            other => {
                // Frees the current machine first: there may not be enough memory for both.
                *other = None;
                let (_, machine) = other.insert((batch, machine(&self.device, &self.network, &self.weights, batch)?));
                (batch, machine)
            }
        };
        let mut all = Vec::with_capacity(total);
        for (part, images) in images.chunks(batch).enumerate() {
            let images: Vec<&[u8]> = images.iter().map(AsRef::as_ref).collect();
            let probabilities = run(machine, batch, &images, classes, &|row| place(part * batch + row)).await?;
            all.extend(probabilities.chunks(classes).map(<[f32]>::to_vec));
        }
        Ok(all)
    }

    /// Images per submit if there are this many: a power of two, so that calls with slightly different numbers share
    /// one machine.
    fn batch(&self, images: usize) -> usize {
        let outputs = self.network.layers.iter().map(|at| at.output.len());
        let largest = outputs.chain([self.network.input.iter().product()]).max().unwrap_or(1);
        images.next_power_of_two().min(MOST).min((MOST_VALUES / largest).max(1))
    }

    fn check(&self, image: &[u8], place: &str) -> Result<()> {
        let bytes: usize = self.network.input.iter().product();
        if image.len() == bytes {
            return Ok(());
        }
        let [height, width, channels] = self.network.input;
        let got = image.len();
        Err(Error::Usage(format!(
            "{place}expected an image of {bytes} bytes ({height} x {width} x {channels}), got {got}"
        )))
    }
}

/// A machine that predicts `batch` images at a time.
fn machine(device: &Device, network: &Network, weights: &Weights, batch: usize) -> Result<Machine> {
    let compiled = network.compile(&CompileOptions { batch, predict: true, ..CompileOptions::default() })?;
    let mut machine = Machine::new(device, compiled)?;
    machine.write_weights(weights);
    Ok(machine)
}

/// The probabilities of at most `batch` images, `[images, classes]`; errors about one of them begin with `place`.
async fn run(
    machine: &mut Machine,
    batch: usize,
    images: &[&[u8]],
    classes: usize,
    place: &dyn Fn(usize) -> String,
) -> Result<Vec<f32>> {
    let pixels = images.first().map_or(0, |image| image.len());
    let mut x: Vec<f32> = images.iter().flat_map(|image| image.iter()).map(|byte| f32::from(*byte) / 255.0).collect();
    // Rows without an image are computed from zeros, not from earlier contents.
    x.resize(batch * pixels, 0.0);
    machine.write(machine.compiled.tensors.x, &x);
    let step = Step { count: images.len() as u32, ..Step::default() };
    machine.run(Section::Predict, &[step])?;
    let Some(id) = machine.compiled.tensors.probabilities else { unreachable!("compiled with a prediction section") };
    let probabilities = machine.read(id, 0..images.len() * classes).await?;
    let logits = machine.read(machine.compiled.tensors.logits, 0..images.len() * classes).await?;
    // Softmax may turn logits that are not finite into finite probabilities on some devices.
    let is_wrong = |index: &usize| !(logits[*index].is_finite() && probabilities[*index].is_finite());
    match (0..logits.len()).find(is_wrong) {
        None => Ok(probabilities),
        Some(index) => {
            let number = if logits[index].is_finite() { probabilities[index] } else { logits[index] };
            let what = format!("{}the output of the network is {number}", place(index / classes));
            Err(overflow(machine, Section::Predict, &[step], what).await)
        }
    }
}
