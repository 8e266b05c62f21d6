//! Plots a confusion matrix: mistakes are shaded, correct answers are grey.

use super::marker::{self, BLUE, INK, says};
use crate::picture::{Canvas, Drawing};
use crate::table::grouped;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const CELL: i32 = 36;
const LEFT: i32 = 48;
const TOP: i32 = 76;
const EDGE: i32 = 12;
const RIGHT: RGBColor = RGBColor(226, 230, 234);
const FRAME: RGBColor = RGBColor(150, 158, 168);

/// Numbers of images, `[label][prediction]`.
pub struct HeatMap {
    pub title: String,
    pub counts: Vec<Vec<u64>>,
}

impl HeatMap {
    fn side(&self) -> i32 {
        CELL * self.counts.len() as i32
    }

    /// How dark a cell is, from 0 to 1. The root keeps single mistakes visible next to frequent ones.
    fn shade(&self, count: u64, most: u64) -> f64 {
        (count as f64 / most.max(1) as f64).sqrt()
    }
}

impl Drawing for HeatMap {
    fn size(&self) -> (u32, u32) {
        ((LEFT + self.side() + EDGE) as u32, (TOP + self.side() + EDGE) as u32)
    }

    fn draw(&self, root: &Canvas<'_>) -> Result<(), String> {
        root.fill(&WHITE).map_err(says)?;
        let write = |words: String, x: i32, y: i32, pos: Pos, colour: &RGBColor| {
            let style = marker::text(colour).pos(pos);
            root.draw(&Text::new(words, (x, y), style)).map_err(says)
        };
        let (middle, start) = (Pos::new(HPos::Center, VPos::Center), Pos::new(HPos::Left, VPos::Center));
        write(self.title.clone(), EDGE, 18, start, &INK)?;
        write("predicted".to_string(), LEFT, 42, start, &INK)?;
        write("label".to_string(), 4, 62, start, &INK)?;
        let wrong = |label: usize, row: &[u64]| {
            row.iter().enumerate().filter(|(class, _)| *class != label).map(|(_, count)| *count).max()
        };
        let most = self.counts.iter().enumerate().filter_map(|(label, row)| wrong(label, row)).max().unwrap_or(0);
        for (label, row) in self.counts.iter().enumerate() {
            let y = TOP + CELL * label as i32;
            let across = LEFT + CELL * label as i32 + CELL / 2;
            write(label.to_string(), LEFT - 14, y + CELL / 2, middle, &INK)?;
            write(label.to_string(), across, TOP - 12, middle, &INK)?;
            for (class, count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
                let x = LEFT + CELL * class as i32;
                let shade = self.shade(*count, most);
                let (colour, ink) = match class == label {
                    true => (RIGHT.to_rgba(), &INK),
                    false => (BLUE.mix(shade), if shade > 0.6 { &WHITE } else { &INK }),
                };
                let corners = [(x, y), (x + CELL, y + CELL)];
                root.draw(&Rectangle::new(corners, colour.filled())).map_err(says)?;
                write(short(*count), x + CELL / 2, y + CELL / 2, middle, ink)?;
            }
        }
        let corners = [(LEFT, TOP), (LEFT + self.side(), TOP + self.side())];
        root.draw(&Rectangle::new(corners, FRAME.stroke_width(1))).map_err(says)
    }
}

/// A count in at most four characters.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1000),
        _ => format!("{}M", grouped(count / 1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_but_zero_is_written() {
        let map = HeatMap { title: "t".into(), counts: vec![vec![980, 3], vec![0, 4711]] };
        let svg = crate::picture::svg(&map).unwrap();
        let written = |text: &str| svg.lines().filter(|line| line.trim() == text).count();
        assert_eq!((written("980"), written("3"), written("4711")), (1, 1, 1), "{svg}");
        // Apart from counts, only the labels of the axes are numbers.
        assert_eq!((written("0"), written("1")), (2, 2), "{svg}");
    }

    #[test]
    fn counts_fit_their_cells() {
        for (count, text) in [(9_999, "9999"), (12_345, "12k"), (999_999, "999k"), (40_000_000, "40M")] {
            assert_eq!(short(count), text);
        }
    }

    #[test]
    fn more_mistakes_are_darker() {
        let map = HeatMap { title: String::new(), counts: vec![] };
        let shades: Vec<f64> = [0, 1, 5, 20].iter().map(|count| map.shade(*count, 20)).collect();
        assert!(shades.is_sorted() && shades[0] == 0.0 && shades[1] > 0.2 && shades[3] == 1.0, "{shades:?}");
        assert_eq!(map.shade(0, 0), 0.0);
    }
}
