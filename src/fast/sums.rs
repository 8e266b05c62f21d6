//! Sums over many rows, in an order that does not depend on the number of threads.

use super::{Team, vectorized};
use crate::error::Result;
use crate::ops::Activation;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Smallest number of elements for which another thread is worthwhile.
pub(crate) const WORTH: usize = 1 << 13;

/// Computes `out[i] = sum over j of parts[j,i]`.
pub(crate) fn add_parts(team: &Team, parts: &[f32], out: &mut [f32]) {
    let len = out.len();
    let part = team.part(len, WORTH / (parts.len() / len).max(1));
    out.par_chunks_mut(part).enumerate().for_each(|(index, out)| {
        vectorized!(team, {
            out.copy_from_slice(&parts[index * part..][..out.len()]);
            for row in parts[len..].chunks_exact(len) {
                out.iter_mut().zip(&row[index * part..]).for_each(|(out, value)| *out += value);
            }
        });
    });
}

/// Computes `out[n] = sum over rows of values[row,n]`.
pub(crate) fn columns(team: &Team, values: &[f32], columns: usize, out: &mut [f32]) -> Result<()> {
    /// Number of rows per partial sum.
    const ROWS: usize = 512;
    if values.len() <= columns * ROWS {
        team.instructions.run(Columns { values, columns, out });
        return Ok(());
    }
    let mut shared = team.shared();
    let partial = shared.at_least(values.len().div_ceil(columns * ROWS) * columns)?;
    let groups = values.par_chunks(columns * ROWS);
    partial.par_chunks_exact_mut(columns).zip(groups).with_min_len(4).for_each(|(out, values)| {
        team.instructions.run(Columns { values, columns, out });
    });
    team.instructions.run(Columns { values: partial, columns, out });
    Ok(())
}

struct Columns<'a> {
    values: &'a [f32],
    columns: usize,
    out: &'a mut [f32],
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) {
        let mut column = 0;
        while column < self.columns {
            column += match self.columns - column {
                64.. => self.add::<64>(column),
                16.. => self.add::<16>(column),
                4.. => self.add::<4>(column),
                _ => self.add::<1>(column),
            };
        }
    }
}

impl Columns<'_> {
    /// `N` columns, whose sums stay in registers.
    #[inline(always)]
    fn add<const N: usize>(&mut self, column: usize) -> usize {
        let mut sums = [0.0; N];
        for row in self.values.chunks_exact(self.columns) {
            let row = &row[column..][..N];
            (0..N).for_each(|j| sums[j] += row[j]);
        }
        self.out[column..][..N].copy_from_slice(&sums);
        N
    }
}

/// Computes `out[m,n] = f(b[n] + sum over j of parts[j,m,n])`.
pub(crate) fn add_parts_and_bias(team: &Team, parts: &[f32], b: &[f32], activation: Activation, out: &mut [f32]) {
    let len = out.len();
    let part = team.part(len / b.len(), WORTH / b.len()) * b.len();
    out.par_chunks_mut(part).enumerate().for_each(|(index, out)| {
        vectorized!(team, {
            out.chunks_exact_mut(b.len()).for_each(|row| row.copy_from_slice(b));
            for row in parts.chunks_exact(len) {
                out.iter_mut().zip(&row[index * part..]).for_each(|(out, value)| *out += value);
            }
            out.iter_mut().for_each(|y| *y = activation.apply(*y));
        });
    });
}
