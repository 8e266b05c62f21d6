use super::{Backward, Forward, Kind};
use crate::fast::{Fast, Team, vectorized};
use crate::reference::Tensors;
use crate::shape::Window2d;
use pulp::{Simd, WithSimd};
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

/// `dx` of channel `c` of a window that begins at `x[0]` and `dx[0]`; it is added to what is there.
#[inline(always)]
fn spread(g: &Window2d, kind: Kind, c: usize, x: &[f32], y: f32, dy: f32, dx: &mut [f32]) {
    let area = g.area() as f32;
    match kind {
        Kind::Max | Kind::Min => {
            let mut first = c;
            for tap in taps(g) {
                first = if beats(kind, x[tap + c], x[first]) { tap + c } else { first };
            }
            dx[first] += dy;
        }
        Kind::Average => taps(g).for_each(|tap| dx[tap + c] += dy / area),
        // A window of zeros has no direction.
        Kind::L2 if y == 0.0 => {}
        Kind::L2 => taps(g).for_each(|tap| dx[tap + c] += dy * x[tap + c] / y),
    }
}

/// The backward pass of one image, up to f'(x).
struct Spread<'a> {
    g: Window2d,
    kind: Kind,
    x: &'a [f32],
    y: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
}

impl WithSimd for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Spread { g, kind, x, y, dy, dx } = self;
        dx.fill(0.0);
        let places = y.chunks_exact(g.channels).zip(dy.chunks_exact(g.channels));
        for ((y, dy), corner) in places.zip(corners(g)) {
            let (x, dx) = (&x[corner..], &mut dx[corner..]);
            let mut done = 0;
            if matches!(kind, Kind::Max | Kind::Min) {
                for dy in S::as_simd_f32s(dy).0 {
                    spread_extremes(simd, &g, kind, &x[done..], *dy, &mut dx[done..]);
                    done += S::F32_LANES;
                }
            }
            for c in done..g.channels {
                spread(&g, kind, c, x, y[c], dy[c], dx);
            }
        }
    }
}

/// A vector of channels of a window that begins at `x[0]` and `dx[0]`.
#[inline(always)]
fn spread_extremes<S: Simd>(simd: S, g: &Window2d, kind: Kind, x: &[f32], dy: S::f32s, dx: &mut [f32]) {
    let ([rows, columns], width, channels) = (g.kernel, g.width, g.channels);
    let at = |tap: usize| tap..tap + S::F32_LANES;
    let (mut best, mut first) = (S::as_simd_f32s(&x[at(0)]).0[0], simd.splat_u32s(0));
    for r in 0..rows {
        for s in 0..columns {
            let x = S::as_simd_f32s(&x[at((r * width + s) * channels)]).0[0];
            let beats = if kind == Kind::Min { simd.less_than_f32s(x, best) } else { simd.greater_than_f32s(x, best) };
            best = simd.select_f32s(beats, x, best);
            first = simd.select_u32s(beats, simd.splat_u32s((r * columns + s) as u32), first);
        }
    }
    for r in 0..rows {
        for s in 0..columns {
            let dx = &mut S::as_mut_simd_f32s(&mut dx[at((r * width + s) * channels)]).0[0];
            let here = simd.equal_u32s(first, simd.splat_u32s((r * columns + s) as u32));
            *dx = simd.add_f32s(*dx, simd.select_f32s(here, dy, simd.splat_f32s(0.0)));
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
            vectorized!(team, {
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
            });
        });
    }
}

impl Fast for Backward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) {
        let Backward { window: g, kind, producer } = *self;
        let (x, y, dy) = (tensors.input("x"), tensors.input("y"), tensors.input("dy"));
        let dx = tensors.output("dx");
        let (inside, outside) = (image_in(&g), image_out(&g));
        let images = dx.par_chunks_exact_mut(inside).zip(x.par_chunks_exact(inside));
        let images = images.zip(y.par_chunks_exact(outside)).zip(dy.par_chunks_exact(outside));
        images.with_min_len(team.part(g.batch, 1)).for_each(|(((dx, x), y), dy)| {
            team.instructions.run(Spread { g, kind, x, y, dy, dx });
            // While the image is in the cache.
            vectorized!(team, producer.multiply_derivative(dx, x));
        });
    }
}
