use super::{BackwardInput, BackwardWeight, Forward, Geometry, Running, Statistics};
use crate::error::Result;
use crate::fast::sums::WORTH;
use crate::fast::{Fast, Team, vectorized};
use crate::reference::Tensors;
use rayon::prelude::*;

/// Sums `rows` rows in blocks that do not depend on the number of threads. `add` adds a block, given by the range of
/// its elements, to `out`.
fn sum_rows(
    team: &Team,
    rows: usize,
    channels: usize,
    out: &mut [f32],
    add: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
) -> Result<()> {
    const ROWS: usize = 256;
    let len = out.len();
    let mut shared = team.shared();
    let partial = shared.at_least(rows.div_ceil(ROWS) * len)?;
    let blocks = partial.par_chunks_exact_mut(len).with_min_len(WORTH.div_ceil(ROWS * channels));
    blocks.enumerate().for_each(|(block, out)| {
        let block = block * ROWS..((block + 1) * ROWS).min(rows);
        out.fill(0.0);
        add(block.start * channels..block.end * channels, out);
    });
    out.fill(0.0);
    for block in partial.chunks_exact(len) {
        out.iter_mut().zip(block).for_each(|(out, value)| *out += value);
    }
    Ok(())
}

/// `1 / sqrt(var + epsilon)` for each channel.
fn inverse(var: &[f32], epsilon: f32) -> Vec<f32> {
    var.iter().map(|var| 1.0 / (var + epsilon).sqrt()).collect()
}

/// Rows and per-channel values as slices whose equal length the compiler can see: otherwise it would check every index
/// of every row and not vectorize the loops.
#[inline(always)]
fn of_one_length<const N: usize>(channels: usize, values: [&[f32]; N]) -> [&[f32]; N] {
    values.map(|values| &values[..channels])
}

/// Number of elements per part of the work: whole rows, enough to be worth a thread.
fn part(team: &Team, geometry: Geometry) -> usize {
    team.part(geometry.rows(), WORTH.div_ceil(geometry.channels)) * geometry.channels
}

// The loops over the channels of a row. Outputs are passed as arguments, from which the compiler knows that they do not
// alias the inputs.

/// Computes `y = (x - mean) scale + b`.
#[inline(always)]
fn normalize(y: &mut [f32], [x, mean, scale, b]: [&[f32]; 4]) {
    let y = &mut y[..x.len()];
    for c in 0..x.len() {
        y[c] = (x[c] - mean[c]) * scale[c] + b[c];
    }
}

/// Computes `db += dy` and `dw += dy (x - mean)`.
#[inline(always)]
fn add_products(db: &mut [f32], dw: &mut [f32], [x, dy, mean]: [&[f32]; 3]) {
    let (db, dw) = (&mut db[..x.len()], &mut dw[..x.len()]);
    for c in 0..x.len() {
        db[c] += dy[c];
        dw[c] += dy[c] * (x[c] - mean[c]);
    }
}

/// Computes `dx = scale (dy - offset - (x - mean) slope)`.
#[inline(always)]
fn project(dx: &mut [f32], [x, dy, mean, scale, slope, offset]: [&[f32]; 6]) {
    let dx = &mut dx[..x.len()];
    for c in 0..x.len() {
        dx[c] = scale[c] * (dy[c] - offset[c] - (x[c] - mean[c]) * slope[c]);
    }
}

impl Fast for Statistics {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let x = tensors.input("x");
        let rows = self.geometry.counted(&tensors.step);
        let [mean, var, running_mean, running_var] =
            ["mean", "var", "running_mean", "running_var"].map(|name| tensors.output(name));
        let channels = self.geometry.channels;
        let m = rows.max(1) as f32;
        sum_rows(team, rows, channels, mean, |block, mean| {
            vectorized!(team, {
                for x in x[block].chunks_exact(channels) {
                    mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += x);
                }
            });
        })?;
        mean.iter_mut().for_each(|mean| *mean /= m);
        sum_rows(team, rows, channels, var, |block, var| {
            vectorized!(team, {
                for x in x[block].chunks_exact(channels) {
                    for ((var, x), mean) in var.iter_mut().zip(x).zip(&*mean) {
                        *var += (x - mean) * (x - mean);
                    }
                }
            });
        })?;
        let unbiased = m / (m - 1.0).max(1.0);
        // A slice without images leaves the running statistics as they are.
        let momentum = if rows == 0 { 0.0 } else { self.momentum };
        let keep = |running: &mut f32, batch: f32| *running = (1.0 - momentum) * *running + momentum * batch;
        for c in 0..channels {
            var[c] /= m;
            keep(&mut running_mean[c], mean[c]);
            keep(&mut running_var[c], unbiased * var[c]);
        }
        Ok(())
    }
}

impl Fast for Running {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, _: &Team) -> Result<()> {
        let [mean, var] = ["mean", "var"].map(|name| tensors.input(name));
        let [running_mean, running_var] = ["running_mean", "running_var"].map(|name| tensors.output(name));
        let m = self.geometry.pooled(&tensors.step) as f32;
        let unbiased = m / (m - 1.0).max(1.0);
        let keep = |running: &mut f32, batch: f32| *running = (1.0 - self.momentum) * *running + self.momentum * batch;
        for c in 0..self.geometry.channels {
            keep(&mut running_mean[c], mean[c]);
            keep(&mut running_var[c], unbiased * var[c]);
        }
        Ok(())
    }
}

impl Fast for Forward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let [x, w, b, mean, var] = ["x", "w", "b", "mean", "var"].map(|name| tensors.input(name));
        let y = tensors.output("y");
        let channels = self.geometry.channels;
        let mut scale = inverse(var, self.epsilon);
        scale.iter_mut().zip(w).for_each(|(scale, w)| *scale *= w);
        let part = part(team, self.geometry);
        y.par_chunks_mut(part).zip(x.par_chunks(part)).for_each(|(y, x)| {
            vectorized!(team, {
                for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    normalize(y, of_one_length(channels, [x, mean, &scale, b]));
                }
                y.iter_mut().for_each(|y| *y = self.activation.apply(*y));
            });
        });
        Ok(())
    }
}

impl Fast for BackwardWeight {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let [x, dy, mean, var] = ["x", "dy", "mean", "var"].map(|name| tensors.input(name));
        let rows = self.geometry.counted(&tensors.step);
        let (dw, db) = (tensors.output("dw"), tensors.output("db"));
        let channels = self.geometry.channels;
        let mut sums = vec![0.0; 2 * channels];
        sum_rows(team, rows, channels, &mut sums, |block, sums| {
            vectorized!(team, {
                let (db, dw) = sums.split_at_mut(channels);
                for (x, dy) in x[block.clone()].chunks_exact(channels).zip(dy[block].chunks_exact(channels)) {
                    add_products(db, dw, of_one_length(channels, [x, dy, mean]));
                }
            });
        })?;
        db.copy_from_slice(&sums[..channels]);
        for ((dw, sum), inverse) in dw.iter_mut().zip(&sums[channels..]).zip(inverse(var, self.epsilon)) {
            *dw = sum * inverse;
        }
        Ok(())
    }
}

impl Fast for BackwardInput {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let [x, dy, w, mean, var, dw, db] = ["x", "dy", "w", "mean", "var", "dw", "db"].map(|name| tensors.input(name));
        let rows = self.geometry.counted(&tensors.step);
        let (dx, padding) = tensors.output("dx").split_at_mut(rows * self.geometry.channels);
        padding.fill(0.0);
        let channels = self.geometry.channels;
        let m = self.geometry.pooled(&tensors.step) as f32;
        let inverse = inverse(var, self.epsilon);
        let scale: Vec<f32> = inverse.iter().zip(w).map(|(inverse, w)| inverse * w).collect();
        let slope: Vec<f32> = inverse.iter().zip(dw).map(|(inverse, dw)| inverse * dw / m).collect();
        let offset: Vec<f32> = db.iter().map(|db| db / m).collect();
        let part = part(team, self.geometry);
        dx.par_chunks_mut(part).zip(x.par_chunks(part)).zip(dy.par_chunks(part)).for_each(|((dx, x), dy)| {
            vectorized!(team, {
                let rows = dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).zip(dy.chunks_exact(channels));
                for ((dx, x), dy) in rows {
                    project(dx, of_one_length(channels, [x, dy, mean, &scale, &slope, &offset]));
                }
                self.producer.multiply_derivative(dx, x);
            });
        });
        Ok(())
    }
}
