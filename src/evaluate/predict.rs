//! What a network says of images without labels.

use super::overflow;
use crate::error::{Error, Result};
use crate::machine::{Device, Machine, Section};
use crate::memory;
use crate::network::{CompileOptions, Network, Weights};
use crate::ops::Step;

/// Most images that are predicted in one submit.
const MOST: usize = 128;

/// Most values of the largest activation of such a batch: 64 MiB, half of what every device grants a binding.
const MOST_VALUES: usize = 1 << 24;

/// A network with its weights on a device, which is asked about images.
pub struct Predictor {
    device: Device,
    network: Network,
    weights: Weights,
    /// For one image at a time.
    one: Option<Machine>,
    /// For a batch, with its number of images.
    many: Option<(usize, Machine)>,
}

impl Predictor {
    /// A predictor of this network. Kernels are compiled at the first prediction, and at the first of a batch.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`] when there is no memory for a copy of the weights.
    pub fn new(device: &Device, network: &Network, weights: &Weights) -> Result<Predictor> {
        memory::check_room(network.weight_bytes(), "the weights of a predictor")?;
        let (device, network, weights) = (device.clone(), network.clone(), weights.clone());
        Ok(Predictor { device, network, weights, one: None, many: None })
    }

    /// Probabilities of the classes for an image of H x W x C bytes, 0 background to 255 ink.
    /// [`crate::data::quantized`] makes bytes of numbers from 0 to 1.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when the image has another number of bytes, [`Error::NotFinite`] when the weights overflow on it.
    pub async fn predict(&mut self, image: &[u8]) -> Result<Vec<f32>> {
        self.check(image, "")?;
        let machine = match &mut self.one {
            Some(machine) => machine,
            none => none.insert(machine(&self.device, &self.network, &self.weights, 1)?),
        };
        let classes = self.network.classes();
        run(machine, 1, &[image], classes, &|_| String::new()).await
    }

    /// The same for any number of images, in as few submits as fit: a list of probabilities for each image, in their order.
    /// They are those of [`Predictor::predict`] but for rounding, because another batch size may have its sums added in
    /// another order.
    ///
    /// # Errors
    ///
    /// Those of [`Predictor::predict`], with the number of the image, counted from 1.
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
                // What is there is given back first: there may be no room for both.
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

    /// Images of a submit when there are so many: a power of two, so that calls with a few images more or fewer share one
    /// machine.
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

/// A machine that predicts `batch` images at once.
fn machine(device: &Device, network: &Network, weights: &Weights, batch: usize) -> Result<Machine> {
    let compiled = network.compile(&CompileOptions { batch, predict: true, ..CompileOptions::default() })?;
    let mut machine = Machine::new(device, compiled)?;
    machine.write_weights(weights);
    Ok(machine)
}

/// The probabilities of at most `batch` images, `[images, classes]`; `place` begins an error about one of them.
async fn run(
    machine: &mut Machine,
    batch: usize,
    images: &[&[u8]],
    classes: usize,
    place: &dyn Fn(usize) -> String,
) -> Result<Vec<f32>> {
    let pixels = images.first().map_or(0, |image| image.len());
    let mut x: Vec<f32> = images.iter().flat_map(|image| image.iter()).map(|byte| f32::from(*byte) / 255.0).collect();
    // Rows without an image are computed too, of zeros and not of what was there before.
    x.resize(batch * pixels, 0.0);
    machine.write(machine.compiled.tensors.x, &x);
    let step = Step { count: images.len() as u32, ..Step::default() };
    machine.run(Section::Predict, &[step])?;
    let Some(id) = machine.compiled.tensors.probabilities else { unreachable!("compiled with a prediction section") };
    let probabilities = machine.read(id, 0..images.len() * classes).await?;
    let logits = machine.read(machine.compiled.tensors.logits, 0..images.len() * classes).await?;
    // A device may make something finite of logits that are not.
    let is_wrong = |index: &usize| !(logits[*index].is_finite() && probabilities[*index].is_finite());
    match (0..logits.len()).find(is_wrong) {
        None => Ok(probabilities),
        Some(index) => {
            let number = if logits[index].is_finite() { probabilities[index] } else { logits[index] };
            let what = format!("{}what the network says of the image is {number}", place(index / classes));
            Err(overflow(machine, Section::Predict, &[step], what).await)
        }
    }
}
