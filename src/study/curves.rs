//! Plots of accuracy against epoch: one for each network, with a band over the seeds and the paper's numbers, and one
//! for all.

use super::marker::{self, BLUE, GREEN, GRID, INK, LETTER, Look, Marker, ORANGE, PURPLE, SKY, VERMILLION, says};
use crate::picture::{Canvas, Drawing};
use plotters::prelude::*;

/// Narrow, so that letters are large enough on a phone.
const WIDTH: u32 = 420;
const HEIGHT: u32 = 330;
/// Height of a line of the legend.
const LINE: i32 = 20;

/// Accuracies of one network in %: mean, lowest and highest over the seeds, epoch by epoch.
pub struct Curve {
    pub label: String,
    mean: Vec<f64>,
    least: Vec<f64>,
    most: Vec<f64>,
}

/// A number from the paper in a plot.
pub struct Mark {
    pub epoch: usize,
    pub percent: f64,
    /// Whether it belongs to the training curve; otherwise to the validation curve.
    pub is_training: bool,
}

/// The plot of one network.
pub struct Case {
    pub title: String,
    pub training: Curve,
    pub validation: Curve,
    pub marks: Vec<Mark>,
}

/// The validation curves of all networks.
pub struct Combined {
    pub title: String,
    pub curves: Vec<Curve>,
}

impl Curve {
    /// The curve of the accuracies of each run, in %, up to the last epoch that all runs have.
    pub fn new(label: &str, runs: &[Vec<f64>]) -> Curve {
        let epochs = runs.iter().map(Vec::len).min().unwrap_or(0);
        let over_runs = |of: &dyn Fn(&mut dyn Iterator<Item = f64>) -> f64| {
            (0..epochs).map(|epoch| of(&mut runs.iter().map(|run| run[epoch]))).collect()
        };
        Curve {
            label: label.to_string(),
            mean: over_runs(&|values| values.sum::<f64>() / runs.len() as f64),
            least: over_runs(&|values| values.fold(f64::INFINITY, f64::min)),
            most: over_runs(&|values| values.fold(f64::NEG_INFINITY, f64::max)),
        }
    }
}

/// The line and the markers of a curve.
#[derive(Clone, Copy)]
struct Style {
    look: Look,
    is_dashed: bool,
}

const fn style(marker: Marker, colour: RGBColor, is_dashed: bool) -> Style {
    Style { look: Look { marker, colour, radius: 4, is_filled: true }, is_dashed }
}

const TRAINING: Style = style(Marker::Triangle, VERMILLION, true);
const VALIDATION: Style = style(Marker::Disc, BLUE, false);

/// The styles of curves in a combined plot, in order.
const STYLES: [Style; 6] = [
    style(Marker::Disc, BLUE, false),
    style(Marker::Triangle, VERMILLION, true),
    style(Marker::Square, GREEN, false),
    style(Marker::Diamond, PURPLE, true),
    style(Marker::Down, ORANGE, false),
    style(Marker::Cross, SKY, true),
];

impl Drawing for Case {
    fn size(&self) -> (u32, u32) {
        (WIDTH, HEIGHT)
    }

    fn draw(&self, root: &Canvas<'_>) -> Result<(), String> {
        let hollow = |style: Style| Look { radius: 6, is_filled: false, ..style.look };
        let curves = [(&self.training, TRAINING), (&self.validation, VALIDATION)];
        let marks: Vec<_> = self
            .marks
            .iter()
            .map(|mark| {
                let look = hollow(if mark.is_training { TRAINING } else { VALIDATION });
                ((mark.epoch as f64, mark.percent), look)
            })
            .collect();
        let paper = Legend { text: "paper", looks: vec![hollow(TRAINING), hollow(VALIDATION)], line: None };
        let more = if marks.is_empty() { Vec::new() } else { vec![paper] };
        draw(root, &self.title, &curves, &marks, &more, true)
    }
}

impl Drawing for Combined {
    fn size(&self) -> (u32, u32) {
        (WIDTH, HEIGHT + LINE as u32)
    }

    fn draw(&self, root: &Canvas<'_>) -> Result<(), String> {
        let curves: Vec<_> = self.curves.iter().zip(STYLES.iter().cycle().copied()).collect();
        draw(root, &self.title, &curves, &[], &[], false)
    }
}

/// An entry of the legend: a line with a marker, or only markers.
struct Legend<'a> {
    text: &'a str,
    looks: Vec<Look>,
    line: Option<Style>,
}

/// The ranges of the axes.
struct Range {
    last_epoch: f64,
    low: f64,
    high: f64,
}

impl Range {
    /// A range with a margin around all values.
    fn of(curves: &[(&Curve, Style)], marks: &[((f64, f64), Look)]) -> Range {
        let values = || {
            let of_curves = curves.iter().flat_map(|(curve, _)| curve.least.iter().chain(&curve.most).copied());
            of_curves.chain(marks.iter().map(|((_, percent), _)| *percent))
        };
        let (least, most) = (values().fold(100.0, f64::min), values().fold(0.0, f64::max));
        let room = 0.05 * (most - least).max(1.0);
        let longest = curves.iter().map(|(curve, _)| curve.mean.len()).max().unwrap_or(1).max(1) as f64;
        let last_epoch = marks.iter().map(|((epoch, _), _)| *epoch).fold(longest, f64::max);
        Range { last_epoch, low: (least - room).max(-room), high: most + room }
    }

    /// The number of digits that distinguish two labels of the axis.
    fn digits(&self) -> usize {
        match self.high - self.low {
            6.0.. => 0,
            0.6.. => 1,
            _ => 2,
        }
    }
}

fn draw(
    root: &Canvas<'_>,
    title: &str,
    curves: &[(&Curve, Style)],
    marks: &[((f64, f64), Look)],
    more: &[Legend<'_>],
    has_bands: bool,
) -> Result<(), String> {
    root.fill(&WHITE).map_err(says)?;
    let text = marker::text(&INK);
    root.draw(&Text::new(title.to_string(), (12, 8), text.clone())).map_err(says)?;
    let entries =
        curves.iter().map(|(curve, style)| Legend { text: &curve.label, looks: vec![style.look], line: Some(*style) });
    let top = legend(root, entries.chain(more.iter().map(Legend::again)))?;

    let range = Range::of(curves, marks);
    let digits = range.digits();
    // Ticks between epochs have no label.
    let epoch = |x: &f64| if (x - x.round()).abs() < 1e-6 { format!("{x:.0}") } else { String::new() };
    let mut chart = ChartBuilder::on(&root.margin(top, 0, 0, 0))
        .margin_right(14)
        .margin_bottom(4)
        .x_label_area_size(44)
        .y_label_area_size(68)
        .build_cartesian_2d(0.5..range.last_epoch + 0.5, range.low..range.high)
        .map_err(says)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc("accuracy, %")
        .x_labels(10)
        .y_labels(6)
        .x_label_formatter(&epoch)
        .y_label_formatter(&|y| format!("{y:.digits$}"))
        .label_style(text.clone())
        .axis_desc_style(text)
        .bold_line_style(GRID.stroke_width(1))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(1))
        .draw()
        .map_err(says)?;

    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        values.iter().enumerate().map(|(index, value)| ((index + 1) as f64, *value)).collect()
    };
    for (curve, style) in curves.iter().filter(|_| has_bands) {
        let outline: Vec<_> = points(&curve.most).into_iter().chain(points(&curve.least).into_iter().rev()).collect();
        chart.draw_series([Polygon::new(outline, style.look.colour.mix(0.2).filled())]).map_err(says)?;
    }
    for (curve, style) in curves {
        let line = style.look.colour.stroke_width(2);
        let path = points(&curve.mean);
        if path.len() > 1 && style.is_dashed {
            chart.draw_series(DashedLineSeries::new(path, 7, 4, line)).map_err(says)?;
        } else {
            chart.draw_series(LineSeries::new(path, line)).map_err(says)?;
        }
    }
    for (curve, style) in curves {
        for point in points(&curve.mean) {
            style.look.draw(root, chart.backend_coord(&point))?;
        }
    }
    for (point, look) in marks {
        look.draw(root, chart.backend_coord(point))?;
    }
    Ok(())
}

/// Draws the entries below the title, in as many lines as they need; returns the end of the last line.
fn legend<'a>(root: &Canvas<'_>, entries: impl Iterator<Item = Legend<'a>>) -> Result<i32, String> {
    const SAMPLE: i32 = 34;
    const GAP: i32 = 16;
    let text = marker::text(&INK);
    let (mut left, mut top) = (12, 8 + LINE + 4);
    for entry in entries {
        let width = SAMPLE + 6 + entry.text.chars().count() as i32 * LETTER + GAP;
        if left > 12 && left + width - GAP > WIDTH as i32 - 8 {
            (left, top) = (12, top + LINE);
        }
        let middle = top + LINE / 2;
        if let Some(style) = entry.line {
            let dashes: &[(i32, i32)] = if style.is_dashed { &[(0, 7), (27, 34)] } else { &[(0, SAMPLE)] };
            for (from, to) in dashes {
                let ends = [left + from, left + to].map(|x| (x, middle));
                let line = style.look.colour.stroke_width(2);
                root.draw(&PathElement::new(ends.to_vec(), line)).map_err(says)?;
            }
        }
        let count = entry.looks.len() as i32;
        for (place, look) in entry.looks.iter().enumerate() {
            let x = left + SAMPLE * (2 * place as i32 + 1) / (2 * count);
            look.draw(root, (x, middle))?;
        }
        let at = (left + SAMPLE + 6, top + 1);
        root.draw(&Text::new(entry.text.to_string(), at, text.clone())).map_err(says)?;
        left += width;
    }
    Ok(top + LINE + 6)
}

impl<'a> Legend<'a> {
    fn again(&self) -> Legend<'a> {
        Legend { text: self.text, looks: self.looks.clone(), line: self.line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture;

    #[test]
    fn a_curve_is_the_mean_and_its_band_the_extremes() {
        let curve = Curve::new("x", &[vec![90.0, 96.0], vec![94.0, 98.0], vec![95.0, 97.0]]);
        assert_eq!((curve.mean, curve.least, curve.most), (vec![93.0, 97.0], vec![90.0, 96.0], vec![95.0, 98.0]));
        assert!(Curve::new("x", &[]).mean.is_empty());
    }

    /// Each plot, from no points at all to many.
    #[test]
    fn figures_of_any_length_are_drawn() {
        for epochs in [0, 1, 2, 15, 50] {
            let runs: Vec<Vec<f64>> = (0..3)
                .map(|run| (0..epochs).map(|epoch| 90.0 + f64::from(run) + f64::from(epoch) / 10.0).collect())
                .collect();
            let curve = |label: &str| Curve::new(label, &runs);
            let marks = vec![Mark { epoch: 13, percent: 99.5, is_training: false }];
            let (training, validation) = (curve("training"), curve("validation"));
            let case = Case { title: "Case <1>".into(), training, validation, marks };
            let svg = picture::svg(&case).unwrap();
            assert!(svg.contains("&lt;1&gt;") && svg.contains("paper") && !svg.contains("NaN"), "{svg}");
            let all = Combined { title: "all".into(), curves: (1..=6).map(|n| curve(&format!("case {n}"))).collect() };
            let svg = picture::svg(&all).unwrap();
            assert!(svg.contains("case 6") && !svg.contains("NaN"), "{svg}");
        }
    }
}
