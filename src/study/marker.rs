//! Colours and markers of figures: colours that colour-blind people can distinguish (Okabe and Ito), and markers that
//! can be distinguished without colour.

use crate::picture::Canvas;
use plotters::prelude::*;

pub const INK: RGBColor = RGBColor(40, 48, 58);
pub const GRID: RGBColor = RGBColor(222, 226, 230);

pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const VERMILLION: RGBColor = RGBColor(213, 94, 0);
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub const SKY: RGBColor = RGBColor(86, 180, 233);

/// Font size, as `plotters` measures it.
pub const TEXT: u32 = 18;

/// Largest width of a letter, in pixels.
pub const LETTER: i32 = 8;

/// The message of an error in drawing.
pub fn says(error: DrawingAreaErrorKind<std::io::Error>) -> String {
    error.to_string()
}

/// Text of the usual size.
pub fn text(colour: &RGBColor) -> TextStyle<'_> {
    TextStyle::from(("sans-serif", TEXT).into_font()).color(colour)
}

#[derive(Clone, Copy)]
pub enum Marker {
    Disc,
    Triangle,
    Square,
    Diamond,
    Down,
    Cross,
}

/// The look of a marker.
#[derive(Clone, Copy)]
pub struct Look {
    pub marker: Marker,
    pub colour: RGBColor,
    /// Half of its width, in pixels.
    pub radius: i32,
    /// Filled or hollow.
    pub is_filled: bool,
}

impl Look {
    /// Draws it at a position in pixels.
    pub fn draw(&self, root: &Canvas<'_>, (x, y): (i32, i32)) -> Result<(), String> {
        let r = self.radius;
        let line = self.colour.stroke_width(2);
        // A triangle looks smaller than a disc of its height.
        let (wide, high) = (r + r / 5, r);
        let corners: &[(i32, i32)] = match self.marker {
            Marker::Disc => {
                let style = if self.is_filled { self.colour.filled() } else { line };
                return root.draw(&Circle::new((x, y), r, style)).map_err(says);
            }
            Marker::Cross => {
                for (dx, dy) in [(r, r), (r, -r)] {
                    let stroke = PathElement::new(vec![(x - dx, y - dy), (x + dx, y + dy)], line);
                    root.draw(&stroke).map_err(says)?;
                }
                return Ok(());
            }
            Marker::Triangle => &[(0, -high), (wide, high), (-wide, high)],
            Marker::Down => &[(0, high), (wide, -high), (-wide, -high)],
            Marker::Square => &[(-r, -r), (r, -r), (r, r), (-r, r)],
            Marker::Diamond => &[(0, -wide), (wide, 0), (0, wide), (-wide, 0)],
        };
        let mut outline: Vec<_> = corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect();
        if self.is_filled {
            return root.draw(&Polygon::new(outline, self.colour.filled())).map_err(says);
        }
        outline.push(outline[0]);
        root.draw(&PathElement::new(outline, line)).map_err(says)
    }
}
