//! A contact sheet of the digits on which a network has the highest loss. They are images from the data set, whose
//! owners may not permit publication, so they are drawn only on demand.

use super::runs::FinishedRun;
use crate::data::{Dataset, sheet};
use crate::evaluate::logits;
use crate::machine::Device;
use crate::run::open_model;
use crate::{Error, Result};
use image::RgbImage;

const COUNT: usize = 24;
const COLUMNS: usize = 8;

/// Loss and predictions of all runs for one image.
#[derive(Clone)]
struct Judged {
    /// Sum over the runs.
    loss: f64,
    /// Number of runs that predicted each class.
    votes: Vec<usize>,
}

/// The images with the highest cross-entropy, summed over the runs, highest first. Below each are its label and the
/// most frequent prediction.
pub fn worst(device: &Device, runs: &[FinishedRun], set: &Dataset) -> Result<RgbImage> {
    let mut judged = vec![Judged { loss: 0.0, votes: vec![0; set.classes()] }; set.len()];
    for run in runs {
        let (network, weights) = open_model(&run.folder)?;
        let logits = pollster::block_on(logits(device, &network, &weights, set))?;
        let classes = network.classes();
        for (index, (judged, logits)) in judged.iter_mut().zip(logits.chunks(classes)).enumerate() {
            let (loss, answer) = judge(logits, usize::from(set.labels()[index]));
            judged.loss += loss;
            match judged.votes.get_mut(answer) {
                Some(votes) => *votes += 1,
                None => return Err(Error::file(&run.folder, format!("its network predicted class {answer}"))),
            }
        }
    }
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.sort_by(|a, b| judged[*b].loss.total_cmp(&judged[*a].loss));
    order.truncate(COUNT);
    sheet::captioned_sheet(set, &order, COLUMNS, &|index| {
        format!("{}>{}", set.labels()[index], first_most(&judged[index].votes))
    })
}

/// Cross-entropy of an image, and the class with the highest score.
fn judge(logits: &[f32], label: usize) -> (f64, usize) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - top).exp()).sum();
    let of_label = logits.get(label).map_or(f64::NEG_INFINITY, |logit| f64::from(logit - top));
    let answer = logits.iter().position(|logit| *logit == top).unwrap_or(0);
    (sum.ln() - of_label, answer)
}

fn first_most(votes: &[usize]) -> usize {
    let most = votes.iter().max();
    votes.iter().position(|count| Some(count) == most).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_and_answers_by_hand() {
        let (loss, answer) = judge(&[1.0, 3.0, 1.0], 0);
        // -ln(e^1 / (e^1 + e^3 + e^1))
        let expected = -(1f64.exp() / (2.0 * 1f64.exp() + 3f64.exp())).ln();
        assert!((loss - expected).abs() < 1e-12);
        assert_eq!(answer, 1);
        // Far beyond the range of `exp` in f32.
        assert_eq!(judge(&[1000.0, 0.0], 1), (1000.0, 0));
        assert_eq!(first_most(&[0, 2, 5, 5]), 2);
    }
}
