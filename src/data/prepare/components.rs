//! Connected pieces of ink and their properties.

use super::grid::Grid;

/// A piece of ink: connected cells, including diagonal neighbours.
#[derive(Clone, Debug)]
pub struct Component {
    /// Indices of its cells.
    pub cells: Vec<usize>,
    pub left: usize,
    pub top: usize,
    pub right: usize,
    pub bottom: usize,
    /// Sum of squared ink: a strong stroke counts more than a large stain.
    pub energy: f64,
    /// Diameter of the largest inscribed disc, in cells.
    pub thickness: f32,
    /// Number of its cells next to a cell that is not set, or at the edge of the grid.
    pub outline: usize,
    /// Number of its cells along the left, top, right and bottom edges of the grid.
    pub contact: [usize; 4],
    /// How far it extends from the edges that it touches, in cells.
    pub reach: usize,
}

impl Component {
    pub fn width(&self) -> usize {
        self.right - self.left + 1
    }

    pub fn height(&self) -> usize {
        self.bottom - self.top + 1
    }

    pub fn longer(&self) -> usize {
        self.width().max(self.height())
    }

    /// Its length along the edges of the grid, relative to half the outline of its bounding box.
    pub fn border_share(&self) -> f64 {
        self.contact.iter().sum::<usize>() as f64 / (self.width() + self.height()) as f64
    }

    /// Number of cells between its bounding box and the other's.
    pub fn gap_to(&self, other: &Component) -> usize {
        let gap = |a: (usize, usize), b: (usize, usize)| b.0.saturating_sub(a.1).max(a.0.saturating_sub(b.1));
        let across = gap((self.left, self.right), (other.left, other.right));
        across.max(gap((self.top, self.bottom), (other.top, other.bottom)))
    }
}

/// The components of `mask`, with properties computed from `ink`.
pub fn components(mask: &Grid<bool>, ink: &Grid<f32>) -> Vec<Component> {
    let depths = mask.depths();
    let mut open = mask.clone();
    let mut found = Vec::new();
    for start in 0..open.cells.len() {
        if open.cells[start] {
            found.push(measured(connected(&mut open, start), ink, &depths));
        }
    }
    found
}

/// Removes the cells connected with `start` from `open` and returns them.
fn connected(open: &mut Grid<bool>, start: usize) -> Vec<usize> {
    let (width, height) = (open.width, open.height);
    let mut cells = vec![start];
    open.cells[start] = false;
    let mut next = 0;
    while let Some(&at) = cells.get(next) {
        let (x, y) = (at % width, at / width);
        for row in y.saturating_sub(1)..(y + 2).min(height) {
            for column in x.saturating_sub(1)..(x + 2).min(width) {
                let near = row * width + column;
                if open.cells[near] {
                    open.cells[near] = false;
                    cells.push(near);
                }
            }
        }
        next += 1;
    }
    cells
}

fn measured(cells: Vec<usize>, ink: &Grid<f32>, depths: &Grid<f32>) -> Component {
    let (width, height) = (ink.width, ink.height);
    let mut component = Component {
        left: width,
        top: height,
        right: 0,
        bottom: 0,
        energy: 0.0,
        thickness: 0.0,
        outline: 0,
        contact: [0; 4],
        reach: 0,
        cells,
    };
    for &at in &component.cells {
        let (x, y) = (at % width, at / width);
        component.left = component.left.min(x);
        component.top = component.top.min(y);
        component.right = component.right.max(x);
        component.bottom = component.bottom.max(y);
        component.energy += f64::from(ink.cells[at]).powi(2);
        component.outline += usize::from(depths.cells[at] <= 1.0);
        component.thickness = component.thickness.max(2.0 * depths.cells[at] - 1.0);
        for (contact, from) in component.contact.iter_mut().zip([x, y, width - 1 - x, height - 1 - y]) {
            *contact += usize::from(from == 0);
        }
    }
    let contact = component.contact;
    let nearest = |at: &usize| {
        let (x, y) = (at % width, at / width);
        let edges = [x, y, width - 1 - x, height - 1 - y].into_iter().zip(contact);
        edges.filter(|(_, contact)| *contact > 0).map(|(from, _)| from + 1).min().unwrap_or(0)
    };
    component.reach = component.cells.iter().map(nearest).max().unwrap_or(0);
    component
}
