//! Estimates what the picture would look like without ink.

use super::grid::{Grid, quantile};

/// Fits a smooth quadratic surface to the lower values: paper in even or slowly changing light.
///
/// Least squares, repeated with less weight for values far from the surface, and least for values above it, where the
/// ink is. It starts at a low quantile, so that ink may cover more than the paper.
pub fn surface(values: &Grid<f32>, noise: f32) -> Grid<f32> {
    let step = (values.longer() / 64).max(1);
    let place = |x: usize, y: usize| {
        let unit = |at: usize, side: usize| 2.0 * (at as f64 + 0.5) / side as f64 - 1.0;
        let (x, y) = (unit(x, values.width), unit(y, values.height));
        [1.0, x, y, x * x, x * y, y * y]
    };
    let samples: Vec<([f64; 6], f64)> = values
        .each()
        .filter(|(x, y, _)| x % step == 0 && y % step == 0)
        .map(|(x, y, value)| (place(x, y), f64::from(value)))
        .collect();
    let sampled = |share| quantile(samples.iter().map(|sample| sample.1 as f32).collect(), share);
    let range = f64::from(sampled(0.95) - sampled(0.02));
    let mut surface = [f64::from(sampled(0.08)), 0.0, 0.0, 0.0, 0.0, 0.0];
    let least = f64::from(3.0 * noise).max(0.01);
    for round in 0..16 {
        let width = (0.35 * range * 0.75_f64.powi(round)).max(least);
        let weight = |stray: f64| {
            let far = if stray > 0.0 { stray / width } else { stray / (2.0 * width) };
            (1.0 + far * far).powi(-2)
        };
        surface = fitted(&samples, &surface, weight);
    }
    let mut to = values.clone();
    for y in 0..to.height {
        for x in 0..to.width {
            to[(x, y)] = at(&surface, &place(x, y)) as f32;
        }
    }
    to
}

fn at(surface: &[f64; 6], place: &[f64; 6]) -> f64 {
    surface.iter().zip(place).map(|(a, b)| a * b).sum()
}

/// One round of weighted least squares. A small regularisation term keeps the surface flat if there are too few
/// samples.
fn fitted(samples: &[([f64; 6], f64)], before: &[f64; 6], weight: impl Fn(f64) -> f64) -> [f64; 6] {
    let mut system = [[0.0; 7]; 6];
    for (place, value) in samples {
        let weight = weight(value - at(before, place));
        for (row, a) in system.iter_mut().zip(place) {
            row[..6].iter_mut().zip(place).for_each(|(entry, b)| *entry += weight * a * b);
            row[6] += weight * a * value;
        }
    }
    let shrink = 1e-3 * system[0][0];
    (1..6).for_each(|k| system[k][k] += shrink);
    system[0][0] += f64::MIN_POSITIVE;
    for k in 0..6 {
        let pivot = system[k];
        for (below, row) in system.iter_mut().enumerate() {
            if below != k {
                let factor = row[k] / pivot[k];
                row.iter_mut().zip(pivot).for_each(|(entry, above)| *entry -= factor * above);
            }
        }
    }
    std::array::from_fn(|k| system[k][6] / system[k][k])
}

/// `values` where `hidden` is not set; elsewhere an estimate from the surroundings: the mean over the smallest square
/// that holds enough visible cells.
pub fn filled(values: &Grid<f32>, hidden: &Grid<bool>) -> Grid<f32> {
    let seen = hidden.map(|hidden| if hidden { 0.0 } else { 1.0 });
    let masked = values.zip(&seen, |value, seen| value * seen);
    let mut filled = values.clone();
    let mut open = hidden.clone();
    let mut reach = 2;
    while open.cells.contains(&true) && reach < 2 * values.longer() {
        let (sums, shares) = (masked.mean(reach), seen.mean(reach));
        for at in 0..filled.cells.len() {
            if open.cells[at] && shares.cells[at] > 0.2 {
                filled.cells[at] = sums.cells[at] / shares.cells[at];
                open.cells[at] = false;
            }
        }
        reach = reach * 3 / 2 + 1;
    }
    filled
}
