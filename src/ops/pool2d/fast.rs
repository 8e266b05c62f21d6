use super::{Backward, Forward, Kind, per_word};
use crate::error::Result;
use crate::fast::{Fast, Team, vectorized};
use crate::ops::{Activation, Compute};
use crate::reference::Tensors;
use crate::shape::Window2d;
use rayon::prelude::*;

/// Number of channels that are processed together: the width of the widest vector.
const LANES: usize = 16;

/// Index of the first element of each window in an image of x.
fn corners(g: Window2d) -> impl Iterator<Item = usize> {
    let rows = (0..g.out_height).map(move |p| p * g.stride[0] * g.width);
    rows.flat_map(move |row| (0..g.out_width).map(move |q| (row + q * g.stride[1]) * g.channels))
}

/// Offsets of the elements of a window's first channel from its first element.
fn taps(g: &Window2d) -> impl Iterator<Item = usize> + use<> {
    let ([rows, columns], width, channels) = (g.kernel, g.width, g.channels);
    (0..rows).flat_map(move |r| (0..columns).map(move |s| (r * width + s) * channels))
}

/// Number of elements per image of y.
fn image_out(g: &Window2d) -> usize {
    g.out_height * g.out_width * g.channels
}

/// Number of elements per image of x.
fn image_in(g: &Window2d) -> usize {
    g.height * g.width * g.channels
}

/// Whether `x` replaces `best`, which comes earlier in the window.
#[inline(always)]
fn beats(kind: Kind, x: f32, best: f32) -> bool {
    if kind == Kind::Min { x < best } else { x > best }
}

/// Computes `y` for `N` channels of the window that starts at `x[0]`.
#[inline(always)]
fn reduce<const N: usize>(g: &Window2d, kind: Kind, x: &[f32], y: &mut [f32; N]) {
    let area = g.area() as f32;
    let at = |tap: usize| -> [f32; N] { std::array::from_fn(|c| x[tap..][..N][c]) };
    match kind {
        Kind::Max | Kind::Min => extreme(g, kind, x, y, &mut [0; N]),
        Kind::Average | Kind::L2 => {
            *y = [0.0; N];
            for tap in taps(g) {
                let x = at(tap);
                (0..N).for_each(|c| y[c] += if kind == Kind::L2 { x[c] * x[c] } else { x[c] });
            }
            y.iter_mut().for_each(|y| *y = if kind == Kind::L2 { y.sqrt() } else { *y / area });
        }
    }
}

// ANCHOR: extreme
/// Computes `y` for `N` channels of the window that starts at `x[0]`, and the positions `m` of the extremes.
#[inline(always)]
fn extreme<const N: usize>(g: &Window2d, kind: Kind, x: &[f32], y: &mut [f32; N], m: &mut [u8; N]) {
    let at = |tap: usize| -> [f32; N] { std::array::from_fn(|c| x[tap..][..N][c]) };
    let (mut best, mut first) = (at(0), [0u32; N]);
    for (place, tap) in taps(g).enumerate() {
        let x = at(tap);
        for c in 0..N {
            let beats = beats(kind, x[c], best[c]);
            best[c] = if beats { x[c] } else { best[c] };
            first[c] = if beats { place as u32 } else { first[c] };
        }
    }
    *y = best;
    *m = first.map(|place| place as u8);
}
// ANCHOR_END: extreme

/// Adds `dy f'(kept y)` to `dx` at position `m`, for `N` channels of the window that starts at `dx[0]`.
#[inline(always)]
fn add_at_extreme<const N: usize>(
    g: &Window2d,
    producer: Activation,
    kept: f32,
    y: &[f32; N],
    m: &[u8; N],
    dy: &[f32; N],
    dx: &mut [f32],
) {
    let first = m.map(u32::from);
    let gradient: [f32; N] = std::array::from_fn(|c| dy[c] * producer.derivative(y[c] * kept));
    for (place, tap) in taps(g).enumerate() {
        let dx = &mut dx[tap..][..N];
        for c in 0..N {
            dx[c] += if first[c] == place as u32 { gradient[c] } else { 0.0 };
        }
    }
}

/// Adds the gradient of channel `c` to `dx`, for the window that starts at `x[0]` and `dx[0]`.
#[inline(always)]
fn add_to_window(g: &Window2d, kind: Kind, c: usize, x: &[f32], y: f32, dy: f32, dx: &mut [f32]) {
    let area = g.area() as f32;
    match kind {
        // The gradient is zero for a window of zeros.
        Kind::L2 if y == 0.0 => {}
        Kind::L2 => taps(g).for_each(|tap| dx[tap + c] += dy * x[tap + c] / y),
        Kind::Average => taps(g).for_each(|tap| dx[tap + c] += dy / area),
        Kind::Max | Kind::Min => unreachable!("the gradients of extremes are added by `add_at_extreme`"),
    }
}

/// The positions as bytes: four per word, the first in the lowest bits, which is their order in memory on little-endian
/// machines.
fn bytes(m: &mut [u32]) -> &mut [u8] {
    bytemuck::cast_slice_mut(m)
}

impl Fast for Forward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let Forward { window: g, kind, keeps_m, dropout } = *self;
        if keeps_m {
            self.run_with_places(tensors, team);
            return Ok(());
        }
        let (x, step) = (tensors.input("x"), tensors.step);
        let y = tensors.output("y");
        let part = team.part(g.batch, 1);
        let parts = y.par_chunks_mut(part * image_out(&g)).zip(x.par_chunks(part * image_in(&g)));
        parts.enumerate().for_each(|(index, (y, x))| {
            vectorized!(team, {
                let images = y.chunks_exact_mut(image_out(&g)).zip(x.chunks_exact(image_in(&g)));
                for (n, (y, x)) in images.enumerate() {
                    for (y, corner) in y.chunks_exact_mut(g.channels).zip(corners(g)) {
                        let (vectors, rest) = y.as_chunks_mut::<LANES>();
                        let rest_start = corner + vectors.len() * LANES;
                        for (index, y) in vectors.iter_mut().enumerate() {
                            reduce(&g, kind, &x[corner + index * LANES..], y);
                        }
                        for (index, y) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                            reduce(&g, kind, &x[rest_start + index..], y);
                        }
                    }
                    if let Some(mask) = dropout {
                        mask.drop_in_place(y, (index * part + n) * image_out(&g), &step);
                    }
                }
            });
        });
        Ok(())
    }
}

impl Forward {
    fn run_with_places(&self, tensors: &mut Tensors<'_, f32>, team: &Team) {
        let Forward { window: g, kind, dropout, .. } = *self;
        if per_word(&g) == 1 {
            return self.compute(tensors);
        }
        let (x, step) = (tensors.input("x"), tensors.step);
        let y = tensors.output("y");
        let (m, unused) = bytes(tensors.output_int("m")).split_at_mut(y.len());
        unused.fill(0);
        let part = team.part(g.batch, 1);
        let parts = y.par_chunks_mut(part * image_out(&g)).zip(m.par_chunks_mut(part * image_out(&g)));
        parts.zip(x.par_chunks(part * image_in(&g))).enumerate().for_each(|(index, ((y, m), x))| {
            vectorized!(team, {
                let images = y.chunks_exact_mut(image_out(&g)).zip(m.chunks_exact_mut(image_out(&g)));
                for (n, ((y, m), x)) in images.zip(x.chunks_exact(image_in(&g))).enumerate() {
                    let places = y.chunks_exact_mut(g.channels).zip(m.chunks_exact_mut(g.channels));
                    for ((y, m), corner) in places.zip(corners(g)) {
                        let (y, y_rest) = y.as_chunks_mut::<LANES>();
                        let (m, m_rest) = m.as_chunks_mut::<LANES>();
                        let rest_start = corner + y.len() * LANES;
                        for (index, (y, m)) in y.iter_mut().zip(m).enumerate() {
                            extreme(&g, kind, &x[corner + index * LANES..], y, m);
                        }
                        let rest = y_rest.as_chunks_mut::<1>().0.iter_mut().zip(m_rest.as_chunks_mut::<1>().0);
                        for (index, (y, m)) in rest.enumerate() {
                            extreme(&g, kind, &x[rest_start + index..], y, m);
                        }
                    }
                    if let Some(mask) = dropout {
                        mask.drop_in_place(y, (index * part + n) * image_out(&g), &step);
                    }
                }
            });
        });
    }
}

impl Backward {
    fn run_from_places(&self, tensors: &mut Tensors<'_, f32>, team: &Team) {
        let Backward { window: g, producer, .. } = *self;
        let kept = self.kept();
        if per_word(&g) == 1 {
            return self.compute(tensors);
        }
        let (y, m, dy) = (tensors.input("y"), tensors.input_int("m"), tensors.input("dy"));
        let m: &[u8] = &bytemuck::cast_slice(m)[..y.len()];
        let dx = tensors.output("dx");
        let (inside, outside) = (image_in(&g), image_out(&g));
        let images = dx.par_chunks_exact_mut(inside).zip(m.par_chunks_exact(outside));
        let images = images.zip(y.par_chunks_exact(outside)).zip(dy.par_chunks_exact(outside));
        images.with_min_len(team.part(g.batch, 1)).for_each(|(((dx, m), y), dy)| {
            vectorized!(team, {
                dx.fill(0.0);
                let places =
                    y.chunks_exact(g.channels).zip(m.chunks_exact(g.channels)).zip(dy.chunks_exact(g.channels));
                for (((y, m), dy), corner) in places.zip(corners(g)) {
                    let ((y, y_rest), (m, m_rest)) = (y.as_chunks::<LANES>(), m.as_chunks::<LANES>());
                    let (dy, dy_rest) = dy.as_chunks::<LANES>();
                    for (index, ((y, m), dy)) in y.iter().zip(m).zip(dy).enumerate() {
                        add_at_extreme(&g, producer, kept, y, m, dy, &mut dx[corner + index * LANES..]);
                    }
                    let rest_start = corner + y.len() * LANES;
                    for (index, ((y, m), dy)) in y_rest.iter().zip(m_rest).zip(dy_rest).enumerate() {
                        add_at_extreme(&g, producer, kept, &[*y], &[*m], &[*dy], &mut dx[rest_start + index..]);
                    }
                }
            });
        });
    }
}

impl Fast for Backward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let Backward { window: g, kind, producer, .. } = *self;
        let kept = self.kept();
        if kind.is_extreme() {
            self.run_from_places(tensors, team);
            return Ok(());
        }
        let (x, y, dy) = (tensors.input("x"), tensors.input("y"), tensors.input("dy"));
        let dx = tensors.output("dx");
        let (inside, outside) = (image_in(&g), image_out(&g));
        let images = dx.par_chunks_exact_mut(inside).zip(x.par_chunks_exact(inside));
        let images = images.zip(y.par_chunks_exact(outside)).zip(dy.par_chunks_exact(outside));
        images.with_min_len(team.part(g.batch, 1)).for_each(|(((dx, x), y), dy)| {
            vectorized!(team, {
                dx.fill(0.0);
                let places = y.chunks_exact(g.channels).zip(dy.chunks_exact(g.channels));
                for ((y, dy), corner) in places.zip(corners(g)) {
                    for c in 0..g.channels {
                        add_to_window(&g, kind, c, &x[corner..], y[c] * kept, dy[c], &mut dx[corner..]);
                    }
                }
                // Done per image, while it is in the cache.
                producer.multiply_derivative(dx, x);
            });
        });
        Ok(())
    }
}
