//! Finds the mixtures of a view's channels that best separate ink from paper.

use super::grid::{Grid, quantile};
use super::view::View;

/// A mixture is ignored unless its root-mean-square deviation from the local mean is at least this.
const LEAST_VARIATION: f64 = 0.002;
/// Noise above this is reduced by up to three rounds of smoothing.
const NOISE: f32 = 0.012;

/// One value per cell, and its noise.
pub struct Plane {
    pub values: Grid<f32>,
    /// Standard deviation of the noise.
    pub noise: f32,
}

/// Projects the view onto its principal colours: the directions in which colours vary most around their local mean.
/// Light and shade hardly matter, because they vary slowly. Values keep the units of a channel: grey ink that differs
/// by 0.5 in each channel differs by 0.5.
pub fn planes(view: &View) -> Vec<Plane> {
    let [first, ..] = &view.channels;
    let reach = (first.longer() / 6).max(2);
    let strays = view.channels.each_ref().map(|channel| channel.zip(&channel.mean(reach), |value, mean| value - mean));
    let mut covariance = [[0.0_f64; 4]; 4];
    for (row, a) in covariance.iter_mut().zip(&strays) {
        for (entry, b) in row.iter_mut().zip(&strays) {
            let products = a.cells.iter().zip(&b.cells).map(|(a, b)| f64::from(a * b));
            *entry = products.sum::<f64>() / a.cells.len() as f64;
        }
    }
    let mut planes = Vec::new();
    for _ in 0..3 {
        let (direction, variance) = principal(&covariance);
        if variance.sqrt() < LEAST_VARIATION {
            break;
        }
        planes.push(mixture(view, direction));
        for (row, a) in covariance.iter_mut().zip(direction) {
            row.iter_mut().zip(direction).for_each(|(entry, b)| *entry -= variance * a * b);
        }
    }
    planes
}

/// The direction of greatest variance, by power iteration, and that variance.
fn principal(covariance: &[[f64; 4]; 4]) -> ([f64; 4], f64) {
    let largest = (0..4).fold(0, |best, c| if covariance[c][c] > covariance[best][best] { c } else { best });
    let mut direction = covariance[largest];
    let mut variance = 0.0;
    for _ in 0..50 {
        let next = covariance.map(|row| row.iter().zip(&direction).map(|(a, b)| a * b).sum::<f64>());
        let length = direction.iter().map(|part| part * part).sum::<f64>().sqrt();
        let longer = next.iter().map(|part| part * part).sum::<f64>().sqrt();
        if longer == 0.0 {
            return ([0.0; 4], 0.0);
        }
        variance = longer / length;
        direction = next.map(|part| part / longer);
    }
    (direction, variance)
}

fn mixture(view: &View, direction: [f64; 4]) -> Plane {
    let whole: f64 = direction.iter().map(|part| part.abs()).sum();
    let [first, ..] = &view.channels;
    let mut values = first.map(|_| 0.0);
    for (channel, part) in view.channels.iter().zip(direction) {
        let weight = (part / whole) as f32;
        values.cells.iter_mut().zip(&channel.cells).for_each(|(to, from)| *to += weight * from);
    }
    let mut noise = noise_of(&values);
    for _ in 0..3 {
        if noise <= NOISE || values.shorter() < 40 {
            break;
        }
        values = values.smoothed();
        noise = noise_of(&values);
    }
    Plane { values, noise }
}

/// Standard deviation of the noise, from the differences between each cell and its neighbours to the right and below:
/// most cells are paper, and half of all differences of normal noise are below 0.6745 standard deviations of a
/// difference.
fn noise_of(values: &Grid<f32>) -> f32 {
    let differences = values.each().filter(|&(x, y, _)| x + 4 < values.width && y + 4 < values.height);
    let differences = differences.map(|(x, y, value)| (value - values[(x + 4, y + 4)]).abs()).collect();
    quantile(differences, 0.5) / 0.6745 / std::f32::consts::SQRT_2
}
