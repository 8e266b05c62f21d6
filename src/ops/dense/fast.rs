use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::error::Result;
use crate::fast::outer::Outer;
use crate::fast::product::{Finish, LANES, Left, Product, Right, fits, transpose, widen};
use crate::fast::{Fast, Team, sums, vectorized};
use crate::reference::Tensors;
use rayon::prelude::*;

/// Number of terms per partial sum: this many rows of w, 64 columns wide, fit in an L2 cache.
const TERMS: usize = 512;

/// Number of columns of x, and of its gradient, that are rearranged at a time. Rows of x may be long, and rows at
/// distances that are multiples of 4 KiB evict each other from the cache.
const BLOCK: usize = 96;

impl Fast for Forward {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let Geometry { batch, inputs, outputs } = self.geometry;
        let (x, w, b, step) = (tensors.input("x"), tensors.input("w"), tensors.input("b"), tensors.step);
        let y = tensors.output("y");
        let stride = outputs.next_multiple_of(LANES);
        let parts = inputs.div_ceil(TERMS);
        let mut shared = team.shared();
        let wide = if fits(outputs) { 0 } else { inputs * stride };
        let (wide, partial) = shared.at_least(wide + parts * y.len())?.split_at_mut(wide);
        let w = if fits(outputs) {
            w
        } else {
            widen(w, outputs, wide);
            wide
        };
        let product = |part: usize, x: &[f32], rows: usize, out: &mut [f32], finish: Finish<'_>| {
            let terms = TERMS.min(inputs - part * TERMS);
            team.instructions.run(Product {
                left: Left::rows(&x[part * TERMS..], rows, terms, inputs),
                right: Right { values: &w[part * TERMS * stride..], columns: outputs, stride },
                out,
                out_stride: outputs,
                finish,
            });
        };
        if parts == 1 {
            let part = team.part(batch, 1 + (1 << 16) / (inputs * outputs));
            let parts = y.par_chunks_mut(part * outputs).zip(x.par_chunks(part * inputs));
            parts.enumerate().for_each(|(index, (y, x))| {
                product(0, x, x.len() / inputs, &mut *y, Finish::Bias(b, self.activation));
                if let Some(mask) = self.dropout {
                    vectorized!(team, mask.drop_in_place(y, index * part * outputs, &step));
                }
            });
        } else {
            partial.par_chunks_exact_mut(y.len()).enumerate().for_each(|(part, y)| {
                product(part, x, batch, y, Finish::Store);
            });
            sums::add_parts_and_bias(team, partial, b, self.activation, y);
            if let Some(mask) = self.dropout {
                mask.drop_all(team, y, &step);
            }
        }
        Ok(())
    }
}

impl Fast for BackwardInput {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let Geometry { batch, inputs, outputs } = self.geometry;
        let (dy, w, step) = (tensors.input("dy"), tensors.input("w"), tensors.step);
        let dx = tensors.output("dx");
        let x = self.producer.input(tensors);
        // The weights as [blocks of I, O, BLOCK].
        let block = outputs * BLOCK;
        let mut shared = team.shared();
        let transposed = shared.at_least(inputs.div_ceil(BLOCK) * block)?;
        transposed.par_chunks_exact_mut(block).zip(w.par_chunks(block)).for_each(|(transposed, w)| {
            transpose(team, w, outputs, transposed, BLOCK);
        });
        // Every thread has to read all of w, so each gets all of its rows at once and reads w only once.
        let rows = batch.div_ceil(team.threads());
        dx.par_chunks_mut(rows * inputs).zip(dy.par_chunks(rows * outputs)).enumerate().for_each(
            |(index, (dx, dy))| {
                for (at, w) in transposed.chunks_exact(block).enumerate() {
                    let column = at * BLOCK;
                    let first = index * rows * inputs + column;
                    let columns = BLOCK.min(inputs - column);
                    team.instructions.run(Product {
                        left: Left::rows(dy, dy.len() / outputs, outputs, outputs),
                        right: Right { values: w, columns, stride: BLOCK },
                        out: &mut dx[column..],
                        out_stride: inputs,
                        finish: self.producer.finish(x.map(|x| &x[first..]), self.dropout),
                    });
                    if let Some(mask) = self.dropout {
                        vectorized!(team, {
                            for (n, row) in dx.chunks_exact_mut(inputs).enumerate() {
                                mask.drop_in_place(&mut row[column..][..columns], first + n * inputs, &step);
                            }
                        });
                    }
                }
            },
        );
        Ok(())
    }
}

impl Fast for BackwardWeight {
    fn run_fast(&self, tensors: &mut Tensors<'_, f32>, team: &Team) -> Result<()> {
        let Geometry { batch, inputs, outputs } = self.geometry;
        let (x, dy) = (tensors.input("x"), tensors.input("dy"));
        let dw = tensors.output("dw");
        sums::columns(team, dy, outputs, tensors.output("db"))?;
        let stride = outputs.next_multiple_of(LANES);
        let mut shared = team.shared();
        let dy = if fits(outputs) {
            dy
        } else {
            let wide = shared.at_least(batch * stride)?;
            widen(dy, outputs, wide);
            wide
        };
        dw.par_chunks_mut(BLOCK * outputs).enumerate().try_for_each(|(index, dw)| {
            let columns = dw.len() / outputs;
            let mut own = team.own();
            let block = own.at_least(batch * columns)?;
            for (to, x) in block.chunks_exact_mut(columns).zip(x.chunks_exact(inputs)) {
                to.copy_from_slice(&x[index * BLOCK..][..columns]);
            }
            dw.fill(0.0);
            let x = Left::rows(block, batch, columns, columns);
            team.instructions.run(Outer { x, dy, dy_stride: stride, out: dw, columns: outputs });
            Ok(())
        })
    }
}
