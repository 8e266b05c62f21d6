//! A rectangular grid of values, with the filters needed to find a character.

use std::ops::{Index, IndexMut};

/// Values in rows from the top, indexed by (column, row).
#[derive(Clone, Debug, PartialEq)]
pub struct Grid<T> {
    pub width: usize,
    pub height: usize,
    pub cells: Vec<T>,
}

impl<T> Index<(usize, usize)> for Grid<T> {
    type Output = T;

    fn index(&self, (x, y): (usize, usize)) -> &T {
        &self.cells[y * self.width + x]
    }
}

impl<T> IndexMut<(usize, usize)> for Grid<T> {
    fn index_mut(&mut self, (x, y): (usize, usize)) -> &mut T {
        &mut self.cells[y * self.width + x]
    }
}

impl<T: Copy> Grid<T> {
    pub fn longer(&self) -> usize {
        self.width.max(self.height)
    }

    pub fn shorter(&self) -> usize {
        self.width.min(self.height)
    }

    pub fn map<U>(&self, to: impl Fn(T) -> U) -> Grid<U> {
        Grid { width: self.width, height: self.height, cells: self.cells.iter().map(|&value| to(value)).collect() }
    }

    pub fn zip<U: Copy, V>(&self, other: &Grid<U>, to: impl Fn(T, U) -> V) -> Grid<V> {
        let cells = self.cells.iter().zip(&other.cells).map(|(&a, &b)| to(a, b)).collect();
        Grid { width: self.width, height: self.height, cells }
    }

    /// The position and value of each cell.
    pub fn each(&self) -> impl Iterator<Item = (usize, usize, T)> + '_ {
        self.cells.iter().enumerate().map(|(at, &value)| (at % self.width, at / self.width, value))
    }

    /// Swaps rows and columns.
    pub fn transposed(&self) -> Grid<T> {
        let cells = (0..self.width).flat_map(|x| (0..self.height).map(move |y| self[(x, y)])).collect();
        Grid { width: self.height, height: self.width, cells }
    }

    /// Applies `filter` to every row, then to every column.
    fn separably(&self, filter: impl Fn(&[T], &mut [T])) -> Grid<T> {
        let rows = |from: &Grid<T>| {
            let mut to = from.clone();
            for (from, to) in from.cells.chunks_exact(from.width).zip(to.cells.chunks_exact_mut(from.width)) {
                filter(from, to);
            }
            to
        };
        rows(&rows(self).transposed()).transposed()
    }
}

impl Grid<f32> {
    /// Smooths with weights 1 2 1 in both directions; the values at the edges are repeated outside.
    pub fn smoothed(&self) -> Grid<f32> {
        self.separably(|from, to| {
            for (at, to) in to.iter_mut().enumerate() {
                let (before, after) = (from[at.saturating_sub(1)], from[(at + 1).min(from.len() - 1)]);
                *to = 0.25 * before + 0.5 * from[at] + 0.25 * after;
            }
        })
    }

    /// The mean over the square that extends `reach` cells to each side, clipped to the grid.
    pub fn mean(&self, reach: usize) -> Grid<f32> {
        self.separably(|from, to| {
            let mut sums = vec![0.0_f64];
            for value in from {
                sums.push(sums[sums.len() - 1] + f64::from(*value));
            }
            for (at, to) in to.iter_mut().enumerate() {
                let (first, end) = (at.saturating_sub(reach), (at + reach + 1).min(from.len()));
                *to = ((sums[end] - sums[first]) / (end - first) as f64) as f32;
            }
        })
    }

    /// The morphological opening by a row, then by a column, of `side` cells: peaks that are narrower or lower than
    /// that are cut off; wider steps and slopes stay.
    pub fn opened(&self, side: usize) -> Grid<f32> {
        let side = side.clamp(1, self.shorter().max(1));
        self.separably(|from, to| {
            // The minimum of each window, stored at its first cell; then the maximum over the windows that contain a
            // cell.
            let least = sliding(from, side, |a, b| a <= b);
            let mut padded = vec![f32::NEG_INFINITY; side - 1];
            padded.extend(&least);
            padded.resize(padded.len() + side - 1, f32::NEG_INFINITY);
            to.copy_from_slice(&sliding(&padded, side, |a, b| a >= b));
        })
    }
}

/// The best value of each window of `side` values, stored at its first; `wins` says whether the first of two is better.
fn sliding(values: &[f32], side: usize, wins: impl Fn(f32, f32) -> bool) -> Vec<f32> {
    let mut queue = std::collections::VecDeque::new();
    let mut best = Vec::with_capacity(values.len() + 1 - side);
    for (at, &value) in values.iter().enumerate() {
        while queue.back().is_some_and(|&last: &usize| wins(value, values[last])) {
            queue.pop_back();
        }
        queue.push_back(at);
        if queue.front().is_some_and(|&first| first + side <= at) {
            queue.pop_front();
        }
        if at + 1 >= side {
            best.push(queue.front().map_or(value, |&first| values[first]));
        }
    }
    best
}

/// The value with a fraction `share` of all values below it; 0 if there are no values.
pub fn quantile(mut values: Vec<f32>, share: f32) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() - 1) as f32 * share).round() as usize;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

impl Grid<bool> {
    /// Whether one of the four neighbours of this cell is not set. Cells beyond the edges do not count.
    pub fn is_outline(&self, x: usize, y: usize) -> bool {
        (x > 0 && !self[(x - 1, y)])
            || (y > 0 && !self[(x, y - 1)])
            || (x + 1 < self.width && !self[(x + 1, y)])
            || (y + 1 < self.height && !self[(x, y + 1)])
    }

    /// The mask dilated by `reach` cells in all eight directions.
    pub fn grown(&self, reach: usize) -> Grid<bool> {
        self.separably(|from, to| {
            let mut since = usize::MAX;
            for (from, to) in from.iter().zip(to.iter_mut()) {
                since = if *from { 0 } else { since.saturating_add(1) };
                *to = since <= reach;
            }
            since = usize::MAX;
            for (from, to) in from.iter().zip(to.iter_mut()).rev() {
                since = if *from { 0 } else { since.saturating_add(1) };
                *to |= since <= reach;
            }
        })
    }

    /// Distance of each set cell from the nearest one that is not set, in cells; the outside is not set. Straight steps
    /// count 1, diagonal ones 4/3.
    pub fn depths(&self) -> Grid<f32> {
        let (width, height) = (self.width, self.height);
        let mut depths = self.map(|set| if set { f32::INFINITY } else { 0.0 });
        let pass = |depths: &mut Grid<f32>, x: usize, y: usize, step: isize| {
            let mut least = depths[(x, y)];
            for (dx, dy, cost) in [(-1, 0, 1.0), (-1, -1, 4.0 / 3.0), (0, -1, 1.0), (1, -1, 4.0 / 3.0)] {
                let (x, y) = (x.wrapping_add_signed(dx * step), y.wrapping_add_signed(dy * step));
                let near = if x < width && y < height { depths[(x, y)] } else { 0.0 };
                least = least.min(near + cost);
            }
            depths[(x, y)] = least;
        };
        for y in 0..height {
            (0..width).for_each(|x| pass(&mut depths, x, y, 1));
        }
        for y in (0..height).rev() {
            (0..width).rev().for_each(|x| pass(&mut depths, x, y, -1));
        }
        depths
    }
}
