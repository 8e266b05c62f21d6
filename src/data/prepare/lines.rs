//! Ruled lines, squared paper, folds and thin frames: straight lines from one edge of the picture to the other.

use super::components::components;
use super::grid::Grid;

/// A line may deviate from the axis by this fraction of its length: 14 degrees.
const LEAN: f64 = 0.25;
/// At least this fraction of a line's path across the picture is ink.
const COVERED: f64 = 0.75;
/// A line is at most this fraction of the picture's longer side wide.
const WIDEST: f64 = 0.04;
/// Fewer lines than this may be strokes of a character that fills the picture.
const RULED: usize = 3;

/// `mask` without straight lines across the picture.
///
/// In a tight crop, the bar of a seven or a one can reach from edge to edge. One or two lines are therefore removed
/// only if they are much thinner than the remaining strokes, and none if hardly anything would remain.
pub fn without_lines(mask: &Grid<bool>, ink: &Grid<f32>) -> Grid<bool> {
    let covered = mask.cells.iter().filter(|set| **set).count();
    if mask.shorter() < 40 || covered * 2 > mask.cells.len() {
        return mask.clone();
    }
    let mut left = mask.clone();
    let (mut lines, widest_across) = erase_across(&mut left);
    let mut turned = left.transposed();
    let (more, widest_down) = erase_across(&mut turned);
    left = turned.transposed();
    lines += more;
    if lines == 0 {
        return left;
    }
    let strongest = components(&left, ink).into_iter().max_by(|a, b| a.energy.total_cmp(&b.energy));
    let before: f64 = energy(mask, ink);
    let keeps = strongest.is_some_and(|strongest| {
        let width = widest_across.max(widest_down) as f32;
        let much = strongest.energy > 0.08 * before && strongest.longer() * 12 > mask.longer();
        much && (lines >= RULED || width < 0.6 * strongest.thickness)
    });
    if keeps { left } else { mask.clone() }
}

fn energy(mask: &Grid<bool>, ink: &Grid<f32>) -> f64 {
    mask.cells.iter().zip(&ink.cells).filter(|(set, _)| **set).map(|(_, ink)| f64::from(*ink).powi(2)).sum()
}

/// Erases lines from the left edge to the right; returns their number, and the width of the widest.
fn erase_across(mask: &mut Grid<bool>) -> (usize, usize) {
    let widest = ((mask.longer() as f64 * WIDEST) as usize).max(2);
    let mut lines = candidates(mask, widest);
    lines.sort_by(|a, b| b.2.total_cmp(&a.2));
    let (mut count, mut greatest) = (0, 0);
    for (left, right, _) in lines {
        let line = Line { left, right, width: mask.width };
        let runs: Vec<(usize, usize)> = (0..mask.width).filter_map(|x| line.run(mask, x)).collect();
        if (runs.len() as f64) < COVERED * mask.width as f64 {
            continue;
        }
        let mut heights: Vec<usize> = runs.iter().map(|(top, end)| end - top).collect();
        let middle = heights.len() / 2;
        let height = *heights.select_nth_unstable(middle).1;
        if height > widest {
            continue;
        }
        for x in 0..mask.width {
            if let Some((top, end)) = line.run(mask, x).filter(|(top, end)| end - top <= height + height / 2 + 1) {
                (top..end).for_each(|y| mask[(x, y)] = false);
            }
        }
        count += 1;
        greatest = greatest.max(height);
    }
    (count, greatest)
}

/// Heights at the left and right edges, and the covered fraction, of all lines that are sufficiently covered.
fn candidates(mask: &Grid<bool>, widest: usize) -> Vec<(f64, f64, f64)> {
    let (width, height) = (mask.width, mask.height);
    let lean = (LEAN * width as f64) as isize;
    let step = (width / 80).max(1);
    let columns: Vec<(usize, f64)> =
        (step / 2..width).step_by(step).map(|x| (x, (x as f64 + 0.5) / width as f64)).collect();
    let near = thin(mask, widest).grown(1);
    let turned = mask.transposed();
    let mut found = Vec::new();
    for left in 0..height {
        for lean in -lean..=lean {
            let Some(right) = left.checked_add_signed(lean).filter(|right| *right < height) else {
                continue;
            };
            let (mut hits, mut misses) = (0_usize, 0);
            let allowed = ((1.0 - COVERED) * columns.len() as f64) as usize;
            for (x, share) in &columns {
                let y = (left as f64 + lean as f64 * share + 0.5) as usize;
                let place = (y.min(height - 1), *x);
                if near[place] {
                    hits += 1;
                } else if !turned[place] {
                    misses += 1;
                    if misses > allowed {
                        break;
                    }
                }
            }
            // Elsewhere it may be hidden by strokes.
            if misses <= allowed && 2 * hits > columns.len() {
                found.push((left as f64, right as f64, hits as f64 / columns.len() as f64));
            }
        }
    }
    found
}

/// The runs of ink at most `widest` cells high, with a row for each column of `mask`.
fn thin(mask: &Grid<bool>, widest: usize) -> Grid<bool> {
    let mut columns = mask.transposed();
    for column in columns.cells.chunks_exact_mut(mask.height) {
        for run in column.chunk_by_mut(|a, b| a == b).filter(|run| run.len() > widest) {
            run.fill(false);
        }
    }
    columns
}

/// A line over a grid of this width, given by its heights at both edges.
struct Line {
    left: f64,
    right: f64,
    width: usize,
}

impl Line {
    /// The first row and the end of the ink on or next to the line in column `x`.
    fn run(&self, mask: &Grid<bool>, x: usize) -> Option<(usize, usize)> {
        let share = (x as f64 + 0.5) / self.width as f64;
        let middle = (self.left + (self.right - self.left) * share).round() as usize;
        let start =
            [middle, middle.wrapping_sub(1), middle + 1].into_iter().find(|y| *y < mask.height && mask[(x, *y)])?;
        let top = (0..start).rev().find(|y| !mask[(x, *y)]).map_or(0, |y| y + 1);
        let end = (start..mask.height).find(|y| !mask[(x, *y)]).unwrap_or(mask.height);
        Some((top, end))
    }
}
