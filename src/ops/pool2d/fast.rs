use super::{Backward, Forward, Kind};
use crate::fast::{Fast, Team};
use crate::reference::Tensors;
use crate::shape::Window2d;
use rayon::prelude::*;

/// Channels that are looked at together: the widest vector.
const LANES: usize = 16;

/// First elements of windows, in order of places, in an image of x.
fn corners(g: Window2d) -> impl Iterator<Item = usize> {
    let rows = (0..g.out_height).map(move |p| p * g.stride[0] * g.width);
    rows.flat_map(move |row| (0..g.out_width).map(move |q| (row + q * g.stride[1]) * g.channels))
}

/// Where the elements of a window's first channel lie, behind its first one.
fn taps(g: &Window2d) -> impl Iterator<Item = usize> + use<> {
    let ([rows, columns], width, channels) = (g.kernel, g.width, g.channels);
    (0..rows).flat_map(move |r| (0..columns).map(move |s| (r * width + s) * channels))
}

/// Elements of an image of y.
fn image_out(g: &Window2d) -> usize {
    g.out_height * g.out_width * g.channels
}

/// Elements of an image of x.
fn image_in(g: &Window2d) -> usize {
    g.height * g.width * g.channels
}

/// Whether `x` is chosen before `best`, which comes first.
#[inline(always)]
fn beats(kind: Kind, x: f32, best: f32) -> bool {
    if kind == Kind::Min { x < best } else { x > best }
}

/// `y` of `N` channels of a window that begins at `x[0]`.
#[inline(always)]
fn reduce<const N: usize>(g: &Window2d, kind: Kind, x: &[f32], y: &mut [f32; N]) {
    let area = g.area() as f32;
    let at = |tap: usize| -> [f32; N] { std::array::from_fn(|c| x[tap..][..N][c]) };
    match kind {
        Kind::Max | Kind::Min => {
            *y = at(0);
            for tap in taps(g) {
                let x = at(tap);
                (0..N).for_each(|c| y[c] = if beats(kind, x[c], y[c]) { x[c] } else { y[c] });
            }
        }
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

/// `dx` of `N` channels of a window that begins at `x[0]` and `dx[0]`; it is added to what is there.
#[inline(always)]
fn spread<const N: usize>(g: &Window2d, kind: Kind, x: &[f32], y: &[f32; N], dy: &[f32; N], dx: &mut [f32]) {
    let area = g.area() as f32;
    let at = |tap: usize| -> [f32; N] { std::array::from_fn(|c| x[tap..][..N][c]) };
    match kind {
        Kind::Max | Kind::Min => {
            let (mut best, mut first) = (at(0), [0u32; N]);
            for (index, tap) in taps(g).enumerate() {
                let x = at(tap);
                for c in 0..N {
                    let beats = beats(kind, x[c], best[c]);
                    best[c] = if beats { x[c] } else { best[c] };
                    first[c] = if beats { index as u32 } else { first[c] };
                }
            }
            for (index, tap) in taps(g).enumerate() {
                let dx = &mut dx[tap..][..N];
                (0..N).for_each(|c| dx[c] += if first[c] == index as u32 { dy[c] } else { 0.0 });
            }
        }
        Kind::Average => {
            for tap in taps(g) {
                let dx = &mut dx[tap..][..N];
                (0..N).for_each(|c| dx[c] += dy[c] / area);
            }
        }
        Kind::L2 => {
            for tap in taps(g) {
                let x = at(tap);
                let dx = &mut dx[tap..][..N];
                // A window of zeros has no direction.
                (0..N).for_each(|c| dx[c] += if y[c] == 0.0 { 0.0 } else { dy[c] * x[c] / y[c] });
            }
        }
    }
}

impl Fast for Forward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) {
        let Forward { window: g, kind } = *self;
        let x = tensors.input("x");
        let y = tensors.output("y");
        let part = team.part(g.batch, 1);
        y.par_chunks_mut(part * image_out(&g)).zip(x.par_chunks(part * image_in(&g))).for_each(|(y, x)| {
            team.instructions.run(
                #[inline(always)]
                || {
                    for (y, x) in y.chunks_exact_mut(image_out(&g)).zip(x.chunks_exact(image_in(&g))) {
                        for (y, corner) in y.chunks_exact_mut(g.channels).zip(corners(g)) {
                            let (vectors, rest) = y.as_chunks_mut::<LANES>();
                            let behind = corner + vectors.len() * LANES;
                            for (index, y) in vectors.iter_mut().enumerate() {
                                reduce(&g, kind, &x[corner + index * LANES..], y);
                            }
                            for (index, y) in rest.as_chunks_mut::<1>().0.iter_mut().enumerate() {
                                reduce(&g, kind, &x[behind + index..], y);
                            }
                        }
                    }
                },
            );
        });
    }
}

impl Fast for Backward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) {
        let Backward { window: g, kind, producer } = *self;
        let (x, y, dy) = (tensors.input("x"), tensors.input("y"), tensors.input("dy"));
        let dx = tensors.output("dx");
        let part = team.part(g.batch, 1);
        let (inside, outside) = (part * image_in(&g), part * image_out(&g));
        let images = dx.par_chunks_mut(inside).zip(x.par_chunks(inside));
        let images = images.zip(y.par_chunks(outside)).zip(dy.par_chunks(outside));
        images.for_each(|(((dx, x), y), dy)| {
            team.instructions.run(
                #[inline(always)]
                || {
                    let images = dx.chunks_exact_mut(image_in(&g)).zip(x.chunks_exact(image_in(&g)));
                    let places = y.chunks_exact(image_out(&g)).zip(dy.chunks_exact(image_out(&g)));
                    for ((dx, x), (y, dy)) in images.zip(places) {
                        dx.fill(0.0);
                        let places = y.chunks_exact(g.channels).zip(dy.chunks_exact(g.channels));
                        for ((y, dy), corner) in places.zip(corners(g)) {
                            let ((ys, y_rest), (dys, dy_rest)) = (y.as_chunks::<LANES>(), dy.as_chunks::<LANES>());
                            let behind = corner + ys.len() * LANES;
                            for (index, (y, dy)) in ys.iter().zip(dys).enumerate() {
                                let at = corner + index * LANES;
                                spread(&g, kind, &x[at..], y, dy, &mut dx[at..]);
                            }
                            for (index, (y, dy)) in y_rest.iter().zip(dy_rest).enumerate() {
                                let at = behind + index;
                                spread(&g, kind, &x[at..], &[*y], &[*dy], &mut dx[at..]);
                            }
                        }
                        producer.multiply_derivative(dx, x);
                    }
                },
            );
        });
    }
}
