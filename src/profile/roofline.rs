//! A roofline chart: operations per second over operations per byte for each dispatch, below the limits of the device.
//!
//! The slope is the memory limit, `bytes per second * operations per byte`; the flat part is the arithmetic limit. Only
//! dispatches whose multiplications and additions are counted are shown.

use super::{Ceilings, Profile, Row};
use crate::error::{Error, Result};
use crate::picture::{self, Canvas, Drawing};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const WIDTH: u32 = 1280;
const LEAST_HEIGHT: u32 = 720;
/// Width of the list on the right.
const LIST_WIDTH: u32 = 400;
const LINE: u32 = 20;
const TEXT: (&str, u32) = ("monospace", 16);

const INK: RGBColor = RGBColor(40, 48, 58);
const GRID: RGBColor = RGBColor(222, 226, 230);
const ROOF: RGBColor = RGBColor(96, 108, 120);
const FORWARD: RGBColor = RGBColor(38, 112, 178);
const BACKWARD: RGBColor = RGBColor(204, 96, 32);

/// A dispatch in the chart.
struct Point<'a> {
    row: &'a Row,
    /// Multiplications and additions per byte.
    x: f64,
    /// Billions of multiplications and additions per second.
    y: f64,
    /// Fraction of the time of the step.
    share: f64,
}

/// Draws the chart of a profile to an SVG file, which must end in `.svg`. An existing file is replaced only once the
/// new one is complete.
///
/// # Errors
///
/// [`Error::File`] when there is nothing to draw, and errors of writing the file.
pub fn save(path: &Path, title: &str, profile: &Profile, ceilings: &Ceilings) -> Result<()> {
    let points = points(profile);
    if points.is_empty() {
        let problem = "nothing to draw: no dispatch of this network counts multiplications, or the clock is too coarse";
        return Err(Error::file(path, problem));
    }
    picture::save(path, &Roofline { title, points, ceilings })
}

/// The content of the chart.
struct Roofline<'a> {
    title: &'a str,
    points: Vec<Point<'a>>,
    ceilings: &'a Ceilings,
}

impl Drawing for Roofline<'_> {
    fn size(&self) -> (u32, u32) {
        (WIDTH, LEAST_HEIGHT.max(LINE * (self.points.len() as u32 + 6)))
    }

    fn draw(&self, root: &Canvas<'_>) -> Result<(), String> {
        draw(root, self.title, &self.points, self.ceilings)
    }
}

fn points(profile: &Profile) -> Vec<Point<'_>> {
    let sum = profile.sum();
    let point = |row: &'_ Row| Some((row.intensity()?, row.flops_per_second()? * 1e-9));
    let places = profile.rows.iter().filter_map(|row| Some((row, point(row)?)));
    places.map(|(row, (x, y))| Point { row, x, y, share: row.seconds / sum }).collect()
}

fn draw(root: &Canvas<'_>, title: &str, points: &[Point<'_>], ceilings: &Ceilings) -> Result<(), String> {
    let says = |error: DrawingAreaErrorKind<std::io::Error>| error.to_string();
    root.fill(&WHITE).map_err(says)?;
    let text = TextStyle::from(TEXT.into_font()).color(&INK);
    root.draw(&Text::new(title.to_string(), (24, 12), text.clone())).map_err(says)?;
    let (left, list) = root.margin(40, 0, 0, 0).split_horizontally(WIDTH - LIST_WIDTH);

    let (peak, bandwidth) = (ceilings.flops_per_second * 1e-9, ceilings.bytes_per_second * 1e-9);
    let ridge = peak / bandwidth;
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN_POSITIVE, f64::max);
    let least = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MAX, f64::min);
    let x_least = least(&mut points.iter().map(|point| point.x)).min(ridge) / 3.0;
    let x_most = most(&mut points.iter().map(|point| point.x)).max(ridge) * 3.0;
    let y_least = least(&mut points.iter().map(|point| point.y)).min(peak) / 3.0;
    let y_most = most(&mut points.iter().map(|point| point.y)).max(peak) * 2.0;

    let mut chart = ChartBuilder::on(&left)
        .margin(16)
        .x_label_area_size(56)
        .y_label_area_size(88)
        .build_cartesian_2d((x_least..x_most).log_scale(), (y_least..y_most).log_scale())
        .map_err(says)?;
    chart
        .configure_mesh()
        .x_desc("multiplications and additions per byte")
        .y_desc("GFLOP/s")
        .x_label_formatter(&|x| plain(*x))
        .y_label_formatter(&|y| plain(*y))
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(ROOF)
        .draw()
        .map_err(says)?;
    let roof = [(x_least, x_least * bandwidth), (ridge, peak), (x_most, peak)];
    // If the slope would leave the chart at the bottom, it starts at the edge.
    let start = x_least.max(y_least / bandwidth);
    let roof = [(start, start * bandwidth)].into_iter().chain(roof.into_iter().filter(|(x, _)| *x > start));
    chart.draw_series(LineSeries::new(roof, ROOF.stroke_width(2))).map_err(says)?;
    let centred = text.clone().pos(Pos::new(HPos::Center, VPos::Center));
    let numbers = apart(points, [x_most / x_least, y_most / y_least]);
    for (index, (point, number)) in points.iter().zip(numbers).enumerate() {
        let colour = colour(point);
        let radius = 4.0 + 24.0 * point.share.max(0.0).sqrt();
        let at = (point.x, point.y);
        chart.draw_series([Circle::new(at, radius as i32, colour.mix(0.4).filled())]).map_err(says)?;
        chart.draw_series([Text::new((index + 1).to_string(), number, centred.clone())]).map_err(says)?;
    }

    let mut lines = vec![
        (format!("roofs: {} GFLOP/s, {} GB/s", plain(peak), plain(bandwidth)), ROOF),
        ("blue: forward, orange: backward".to_string(), ROOF),
        ("a larger disc takes longer".to_string(), ROOF),
        (String::new(), ROOF),
    ];
    lines.extend(points.iter().enumerate().map(|(index, point)| {
        (format!("{:>2} {:<24} {:>7}", index + 1, point.row.label, plain(point.y)), colour(point))
    }));
    for (index, (line, colour)) in lines.into_iter().enumerate() {
        let style = TextStyle::from(TEXT.into_font()).color(&colour);
        list.draw(&Text::new(line, (0, (LINE * (index as u32 + 1)) as i32), style)).map_err(says)?;
    }
    Ok(())
}

/// Where to print the number of each point: on the point, or moved to the right until it is clear of other numbers.
/// `spans` gives the ratio of the last to the first value of each axis.
fn apart(points: &[Point<'_>], spans: [f64; 2]) -> Vec<(f64, f64)> {
    // Size of a number as a fraction of the chart, along each axis.
    const ROOM: [f64; 2] = [0.03, 0.03];
    let [wide, high] = [0, 1].map(|axis| spans[axis].powf(ROOM[axis]));
    let is_near = |a: f64, b: f64, room: f64| (a / b).max(b / a) < room;
    let mut places: Vec<(f64, f64)> = Vec::new();
    for Point { x, y, .. } in points {
        let mut at = *x;
        while places.iter().any(|other| is_near(other.0, at, wide * 0.999) && is_near(other.1, *y, high)) {
            at *= wide;
        }
        places.push((at, *y));
    }
    places
}

fn colour(point: &Point<'_>) -> RGBColor {
    if point.row.label.contains(".forward") { FORWARD } else { BACKWARD }
}

/// A number with about three significant digits; small numbers in scientific notation.
fn plain(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        0.01.. => format!("{value:.3}"),
        _ => format!("{value:.0e}"),
    }
}
