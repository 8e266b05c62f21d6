use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::error::Result;
use crate::fast::outer::Outer;
use crate::fast::product::{Finish, LANES, Left, Product, Right, fits, transpose, widen};
use crate::fast::{Fast, Team, sums, vectorized};
use crate::ops::dropout::Mask;
use crate::reference::Tensors;
use crate::shape::Window2d;
use rayon::prelude::*;
use std::ops::Range;

// A window consists of a run of S*C contiguous elements in each of R rows, so all three passes read images in place.
// Only where windows extend past an edge, or where the input gradient has to undo a stride, images are first copied
// into frames of zeros, a few images at a time, so that they stay in the cache.

/// Number of elements of frames that are filled at a time: a quarter of a typical L2 cache.
const FRAMED: usize = 1 << 16;

/// A frame: an image surrounded by zeros, and with zeros between its pixels if there is a stride to undo, so that no
/// window extends past an edge.
#[derive(Clone, Copy)]
struct Frame {
    /// Rows, columns and channels of the image.
    image: [usize; 3],
    /// Rows and columns of the frame.
    size: [usize; 2],
    /// Row and column of the image's first pixel in the frame.
    first: [usize; 2],
    /// Rows and columns of the frame from one pixel of the image to the next.
    step: [usize; 2],
}

impl Frame {
    fn len(&self) -> usize {
        self.size[0] * self.size[1] * self.image[2]
    }

    /// Whether the frame is identical to the image, with no zeros around or between its pixels. The size alone does not
    /// tell: a frame with padding has the size of the image if no window reaches the image's last rows and columns.
    fn is_image(&self) -> bool {
        self.size == self.image[..2] && self.first == [0, 0] && self.step == [1, 1]
    }

    /// Copies an image into a frame that holds zeros or another image of the same frame. The part of the image that
    /// does not fit in the frame is not reached by any window.
    fn fill(&self, image: &[f32], frame: &mut [f32]) {
        let [height, width, channels] = self.image;
        let rows = height.min((self.size[0] - self.first[0]).div_ceil(self.step[0]));
        let columns = width.min((self.size[1] - self.first[1]).div_ceil(self.step[1]));
        for h in 0..rows {
            let from = &image[h * width * channels..][..columns * channels];
            let to = (self.first[0] + h * self.step[0]) * self.size[1] + self.first[1];
            let to = &mut frame[to * channels..];
            if self.step[1] == 1 {
                to[..from.len()].copy_from_slice(from);
            } else {
                let to = to.chunks_mut(self.step[1] * channels);
                from.chunks_exact(channels).zip(to).for_each(|(from, to)| to[..channels].copy_from_slice(from));
            }
        }
    }

    /// Calls `visit` with the frames of `images`, a few at a time, after the index of the first image and their number.
    fn for_each(&self, team: &Team, images: &[f32], mut visit: impl FnMut(usize, usize, &[f32])) -> Result<()> {
        let len = self.image.iter().product();
        if self.is_image() {
            visit(0, images.len() / len, images);
            return Ok(());
        }
        let count = (FRAMED / self.len()).max(1);
        let mut own = team.own();
        let frames = own.at_least(count.min(images.len() / len) * self.len())?;
        frames.fill(0.0);
        for (index, some) in images.chunks(count * len).enumerate() {
            for (image, frame) in some.chunks_exact(len).zip(frames.chunks_exact_mut(self.len())) {
                self.fill(image, frame);
            }
            visit(index * count, some.len() / len, frames);
        }
        Ok(())
    }
}

/// Divides images into ranges whose results of `len` elements each are still in the cache when dropout follows; without
/// dropout there is one range.
fn in_cache(images: usize, len: usize, dropout: Option<Mask>) -> impl Iterator<Item = Range<usize>> {
    let together = if dropout.is_some() { (CACHED / len).max(1) } else { images.max(1) };
    (0..images).step_by(together).map(move |first| first..images.min(first + together))
}

impl Geometry {
    /// The frame of `x`.
    fn frame(&self) -> Frame {
        let Window2d { height, width, channels, kernel, stride, padding, out_height, out_width, .. } = self.window;
        let reach = [(out_height - 1) * stride[0] + kernel[0], (out_width - 1) * stride[1] + kernel[1]];
        let inside = padding == [0, 0] && reach[0] <= height && reach[1] <= width;
        let size = if inside { [height, width] } else { reach };
        Frame { image: [height, width, channels], size, first: padding, step: [1, 1] }
    }

    /// The left operand that consists of all windows on `images` frames.
    fn windows<'a>(&self, frame: &Frame, images: usize, values: &'a [f32]) -> Left<'a> {
        let Window2d { channels, kernel, stride, out_height, out_width, .. } = self.window;
        let row = frame.size[1] * channels;
        Left {
            values,
            places: [images, out_height, out_width],
            strides: [frame.len(), stride[0] * row, stride[1] * channels],
            runs: kernel[0],
            run: kernel[1] * channels,
            run_stride: row,
        }
    }

    /// Number of elements per image of y.
    fn image_out(&self) -> usize {
        self.window.out_height * self.window.out_width * self.filters
    }

    /// Number of elements per image of x.
    fn image_in(&self) -> usize {
        self.window.height * self.window.width * self.window.channels
    }
}

// ANCHOR: forward
impl Fast for Forward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let g = &self.geometry;
        let (x, w, b) = (tensors.input("x"), tensors.input("w"), tensors.input("b"));
        let y = tensors.output("y");
        let stride = g.filters.next_multiple_of(LANES);
        let mut shared = team.shared();
        let w = if fits(g.filters) {
            w
        } else {
            let wide = shared.at_least(w.len() / g.filters * stride)?;
            widen(w, g.filters, wide);
            wide
        };
        let right = Right { values: w, columns: g.filters, stride };
        let frame = g.frame();
        let step = tensors.step;
        let part = team.part(g.window.batch, 1);
        let parts = y.par_chunks_mut(part * g.image_out()).zip(x.par_chunks(part * g.image_in()));
        parts.enumerate().try_for_each(|(index, (y, x))| {
            frame.for_each(team, x, |first, images, frames| {
                for some in in_cache(images, g.image_out(), self.dropout) {
                    let at = (first + some.start) * g.image_out();
                    let out = &mut y[at..][..some.len() * g.image_out()];
                    team.instructions.run(Product {
                        left: g.windows(&frame, some.len(), &frames[some.start * frame.len()..]),
                        right,
                        out: &mut *out,
                        out_stride: g.filters,
                        finish: Finish::Bias(b, self.activation),
                    });
                    if let Some(mask) = self.dropout {
                        let first = index * part * g.image_out() + at;
                        vectorized!(team, mask.drop_in_place(out, first, &step));
                    }
                }
            })
        })
    }
}
// ANCHOR_END: forward

/// The input gradient is itself a convolution: of dy, in a frame that undoes stride and padding, with the flipped
/// window: `dx[n,h,w,c] = sum over r,s,k of framed[n,h+r,w+s,k] * w[R-1-r,S-1-s,c,k]`.
impl Fast for BackwardInput {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let g = &self.geometry;
        let Window2d { height, width, channels, kernel, stride, padding, out_height, out_width, .. } = g.window;
        let (dy, w) = (tensors.input("dy"), tensors.input("w"));
        let dx = tensors.output("dx");
        let x = self.producer.input(tensors);
        let frame = Frame {
            image: [out_height, out_width, g.filters],
            size: [height + kernel[0] - 1, width + kernel[1] - 1],
            first: [kernel[0] - 1 - padding[0], kernel[1] - 1 - padding[1]],
            step: stride,
        };
        let back = Geometry {
            window: Window2d { channels: g.filters, stride: [1, 1], out_height: height, out_width: width, ..g.window },
            filters: channels,
        };
        // The weights as [R,S,K,C], with the taps in reverse order.
        let wide = channels.next_multiple_of(LANES);
        let tap = channels * g.filters;
        let mut shared = team.shared();
        let transposed = shared.at_least(g.window.area() * g.filters * wide)?;
        transposed.par_chunks_exact_mut(g.filters * wide).zip(w.par_chunks_exact(tap).rev()).for_each(
            |(transposed, w)| {
                transpose(team, w, g.filters, transposed, wide);
            },
        );
        let right = Right { values: transposed, columns: channels, stride: wide };
        let step = tensors.step;
        let part = team.part(g.window.batch, 1);
        dx.par_chunks_mut(part * g.image_in()).zip(dy.par_chunks(part * g.image_out())).enumerate().try_for_each(
            |(index, (dx, dy))| {
                frame.for_each(team, dy, |first, images, frames| {
                    for some in in_cache(images, g.image_in(), self.dropout) {
                        let at = (first + some.start) * g.image_in();
                        let out = &mut dx[at..][..some.len() * g.image_in()];
                        let at = index * part * g.image_in() + at;
                        team.instructions.run(Product {
                            left: back.windows(&frame, some.len(), &frames[some.start * frame.len()..]),
                            right,
                            out: &mut *out,
                            out_stride: channels,
                            finish: self.producer.finish(x.map(|x| &x[at..]), self.dropout),
                        });
                        if let Some(mask) = self.dropout {
                            vectorized!(team, mask.drop_in_place(out, at, &step));
                        }
                    }
                })
            },
        )
    }
}

/// Number of images per partial sum of a weight gradient, unless [`MOST_PARTIAL`] requires more.
const GROUP: usize = 4;

/// Largest number of elements of all partial sums together.
const MOST_PARTIAL: usize = 1 << 23;

/// Number of elements that stay in the cache until they are needed again: a quarter of a typical L2 cache.
const CACHED: usize = 1 << 16;

impl Fast for BackwardWeight {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let g = &self.geometry;
        let (x, dy) = (tensors.input("x"), tensors.input("dy"));
        let dw = tensors.output("dw");
        sums::columns(team, dy, g.filters, tensors.output("db"))?;
        let batch = g.window.batch;
        // Must not depend on the number of threads, because it determines the order in which images are added.
        let group = GROUP.max((batch * dw.len()).div_ceil(MOST_PARTIAL));
        let groups = batch.div_ceil(group);
        let stride = g.filters.next_multiple_of(LANES);
        let mut shared = team.shared();
        let wide = if fits(g.filters) { 0 } else { g.window.places() * stride };
        let (wide, partial) = shared.at_least(wide + groups * dw.len())?.split_at_mut(wide);
        let dy = if fits(g.filters) {
            dy
        } else {
            wide.par_chunks_mut(g.image_out() / g.filters * stride)
                .zip(dy.par_chunks(g.image_out()))
                .for_each(|(to, from)| widen(from, g.filters, to));
            wide
        };
        let dy_group = g.image_out() / g.filters * stride * group;
        let group_of = |index: usize| {
            let x = x.chunks(group * g.image_in()).nth(index).unwrap_or_default();
            (x, &dy[index * dy_group..])
        };
        if g.window.channels * g.window.stride[1] == 1 {
            partial.par_chunks_exact_mut(dw.len()).enumerate().try_for_each(|(index, dw)| {
                let (x, dy) = group_of(index);
                g.add_from_columns(team, x, dy, dw)
            })?;
        } else {
            let run = dw.len() / g.window.kernel[0];
            partial.par_chunks_exact_mut(run).enumerate().try_for_each(|(index, dw)| {
                let (x, dy) = group_of(index / g.window.kernel[0]);
                g.add_row_of_taps(team, index % g.window.kernel[0], x, dy, dw)
            })?;
        }
        sums::add_parts(team, partial, dw);
        Ok(())
    }
}

impl Geometry {
    /// Computes `dw[s,c,k]` of row `r` of the window, summed over the given images.
    fn add_row_of_taps(&self, team: &Team, r: usize, x: &[f32], dy: &[f32], dw: &mut [f32]) -> Result<()> {
        let frame = self.frame();
        let stride = self.filters.next_multiple_of(LANES);
        let row = self.window.out_width * stride;
        let rows = self.window.out_height.min((CACHED / row).max(1));
        dw.fill(0.0);
        frame.for_each(team, x, |first, images, frames| {
            for n in 0..images {
                for p in (0..self.window.out_height).step_by(rows) {
                    let all = self.windows(&frame, 1, &frames[n * frame.len()..]);
                    let x = Left {
                        values: &all.values[p * all.strides[1] + r * all.run_stride..],
                        places: [1, rows.min(self.window.out_height - p), self.window.out_width],
                        runs: 1,
                        ..all
                    };
                    let dy = &dy[((first + n) * self.window.out_height + p) * row..];
                    team.instructions.run(Outer { x, dy, dy_stride: stride, out: dw, columns: self.filters });
                }
            }
        })
    }

    /// Computes all of dw, summed over the given images with one channel and a horizontal stride of 1. The elements
    /// that a tap reads at adjacent places are then contiguous, so `dw[tap,k] = sum over p,q of x[p*stride+r,q+s] *
    /// dy[p,q,k]` is a matrix product with a row per tap.
    fn add_from_columns(&self, team: &Team, x: &[f32], dy: &[f32], dw: &mut [f32]) -> Result<()> {
        let frame = self.frame();
        let stride = self.filters.next_multiple_of(LANES);
        let Window2d { kernel, out_height, out_width, .. } = self.window;
        dw.fill(0.0);
        frame.for_each(team, x, |first, images, frames| {
            for n in 0..images {
                let left = Left {
                    values: &frames[n * frame.len()..],
                    places: [1, kernel[0], kernel[1]],
                    strides: [0, frame.size[1], 1],
                    runs: out_height,
                    run: out_width,
                    run_stride: self.window.stride[0] * frame.size[1],
                };
                let image = out_height * out_width * stride;
                let right = Right { values: &dy[(first + n) * image..][..image], columns: self.filters, stride };
                let (out_stride, finish) = (self.filters, Finish::Add);
                team.instructions.run(Product { left, right, out: dw, out_stride, finish });
            }
        })
    }
}
