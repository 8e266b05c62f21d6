//! Table I next to the results of the runs: mean and standard deviation over seeds, and their difference from the
//! paper.

use super::csv::{self, Plain};
use super::paper::{MEASURES, Printed};
use super::runs::FinishedRun;
use super::statistics::Sample;
use crate::text::{markdown as markdown_text, spreadsheet_cell};
use crate::train::EpochReport;
use serde::Serialize;

/// Placeholder for a missing number.
pub const NONE: &str = "–";

/// A row: a network and the results of its finished runs.
pub struct Row {
    /// Name in files: `case1`.
    pub key: String,
    /// Title in reports.
    pub title: String,
    /// Number of finished runs.
    pub n: usize,
    /// In the order of [`MEASURES`].
    pub cells: [Cell; MEASURES.len()],
}

/// A column of a row.
pub struct Cell {
    /// Statistics over the runs; accuracies are in %.
    pub sample: Option<Sample>,
    /// Epoch of the value in each run, if the column has epochs.
    pub epochs: Vec<usize>,
    pub printed: Option<Printed>,
    is_accuracy: bool,
}

/// The value of a column in one run.
struct Reading {
    value: f64,
    epoch: Option<usize>,
}

impl Row {
    /// The row of finished runs, of which there may be none.
    pub fn new(key: &str, title: &str, runs: &[FinishedRun], printed: [Option<Printed>; MEASURES.len()]) -> Row {
        let readings: Vec<_> = runs.iter().map(|run| read(&run.epochs)).collect();
        let cells = std::array::from_fn(|column| {
            let of_column = || readings.iter().map(|reading| &reading[column]);
            let values: Vec<f64> = of_column().map(|reading| reading.value).collect();
            Cell {
                sample: Sample::of(&values),
                epochs: of_column().filter_map(|reading| reading.epoch).collect(),
                printed: printed[column],
                is_accuracy: MEASURES[column].is_accuracy,
            }
        });
        Row { key: key.to_string(), title: title.to_string(), n: runs.len(), cells }
    }
}

/// The columns of a run with at least one epoch. If an extreme occurs twice, the first epoch counts.
fn read(epochs: &[EpochReport]) -> [Reading; MEASURES.len()] {
    let extreme = |of: fn(&EpochReport) -> f64, is_better: fn(f64, f64) -> bool| {
        let best = epochs.iter().reduce(|best, epoch| if is_better(of(epoch), of(best)) { epoch } else { best });
        let (value, epoch) = best.map_or((f64::NAN, None), |best| (of(best) * 100.0, Some(best.epoch)));
        Reading { value, epoch }
    };
    let last = |of: fn(&EpochReport) -> f64| Reading { value: epochs.last().map_or(f64::NAN, of), epoch: None };
    [
        extreme(|epoch| epoch.train_accuracy, |a, b| a < b),
        extreme(|epoch| epoch.val_accuracy, |a, b| a < b),
        extreme(|epoch| epoch.train_accuracy, |a, b| a > b),
        extreme(|epoch| epoch.val_accuracy, |a, b| a > b),
        last(|epoch| epoch.val_accuracy * 100.0),
        last(|epoch| epoch.val_loss),
    ]
}

impl Cell {
    /// "99.21 ± 0.05 (12–15)": mean, standard deviation, and the range of epochs over the seeds.
    pub fn ours(&self) -> String {
        let Some(sample) = self.sample else { return NONE.to_string() };
        let spread = sample.sd.map_or_else(String::new, |sd| format!(" ± {}", self.number(sd)));
        let epochs = match (self.epochs.iter().min(), self.epochs.iter().max()) {
            (Some(first), Some(last)) if first == last => format!(" ({first})"),
            (Some(first), Some(last)) => format!(" ({first}–{last})"),
            _ => String::new(),
        };
        format!("{}{spread}{epochs}", self.number(sample.mean))
    }

    /// The paper's number, with the reference to its note.
    pub fn paper(&self) -> String {
        let Some(Printed { value, epoch, mark, .. }) = self.printed else { return NONE.to_string() };
        let epoch = epoch.map_or_else(String::new, |epoch| format!(" ({epoch})"));
        // The paper prints losses with six digits.
        let number = if self.is_accuracy { self.number(value) } else { format!("{value:.6}") };
        format!("{number}{mark}{epoch}")
    }

    /// "+1.3 sd": how far the runs are above the paper.
    pub fn difference(&self) -> String {
        let text =
            |by: f64| if by.abs() < 0.05 { "0.0 sd".to_string() } else { format!("{by:+.1} sd").replace('-', "−") };
        self.deviations().map_or_else(|| NONE.to_string(), text)
    }

    /// The same as a number.
    pub fn deviations(&self) -> Option<f64> {
        let printed = self.printed.filter(|printed| printed.is_credible)?;
        self.sample?.difference(printed.value)
    }

    /// "12 15": the epoch of each run.
    pub fn each_epoch(&self) -> String {
        self.epochs.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
    }

    fn number(&self, value: f64) -> String {
        if self.is_accuracy { format!("{value:.2}") } else { format!("{value:.4}") }
    }
}

/// Rows in Markdown, three lines each: the results of the runs, those that they are compared with, and the difference.
pub fn markdown(rows: &[Row], whose: &str) -> String {
    let mut text = String::from("| | |");
    text.extend(MEASURES.iter().map(|measure| format!(" {} |", measure.name)));
    text += &format!("\n|---|---|{}\n", "---|".repeat(MEASURES.len()));
    for row in rows {
        let mut line = |first: &str, second: &str, cell: fn(&Cell) -> String| {
            let cells: String = row.cells.iter().map(|of| format!(" {} |", cell(of))).collect();
            text += &format!("| {first} | {second} |{cells}\n");
        };
        line(&format!("**{}**", markdown_text(&row.title)), &format!("ours, n = {}", row.n), Cell::ours);
        line("", whose, Cell::paper);
        line("", "difference", Cell::difference);
    }
    text
}

/// Explanation below the table.
pub const LEGEND: &str = "Accuracies in %. Ours: mean ± standard deviation over n seeds, with the epoch, or its range over the \
     seeds, in parentheses. Difference: ours minus the paper's, in units of this standard deviation (sd); – if there is \
     none. Training accuracy is measured during the epoch, with dropout. The test set is also the validation set, as in the \
     paper.";

/// A line of `table1.csv`.
#[derive(Serialize)]
struct Line {
    case: String,
    measure: &'static str,
    n: usize,
    mean: Option<Plain<f64>>,
    sd: Option<Plain<f64>>,
    epochs: String,
    paper: Option<Plain<f64>>,
    paper_epoch: Option<usize>,
    difference_in_sd: Option<Plain<f64>>,
}

/// `table1.csv`: one line for each row and column; accuracies are in %.
pub fn lines(rows: &[Row]) -> impl Iterator<Item = impl Serialize> {
    let cells =
        rows.iter().flat_map(|row| row.cells.iter().zip(&MEASURES).map(move |(cell, measure)| (row, cell, measure)));
    cells.map(|(row, cell, measure)| Line {
        case: spreadsheet_cell(&row.key),
        measure: measure.key,
        n: row.n,
        mean: csv::mean(cell.sample),
        sd: csv::sd(cell.sample),
        epochs: cell.each_epoch(),
        paper: cell.printed.map(|printed| Plain(printed.value)),
        paper_epoch: cell.printed.and_then(|printed| printed.epoch),
        difference_in_sd: cell.deviations().map(Plain),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::paper::CASES;

    fn epoch(epoch: usize, train_accuracy: f64, val_accuracy: f64, val_loss: f64) -> EpochReport {
        let (step, train_loss, seconds, images_per_second) = (epoch, 1.0, 1.0, 1.0);
        EpochReport { epoch, step, train_loss, train_accuracy, val_loss, val_accuracy, seconds, images_per_second }
    }

    #[test]
    fn extremes_are_found_with_their_first_epochs() {
        let epochs = [epoch(1, 0.5, 0.75, 0.4), epoch(2, 0.75, 0.25, 0.3), epoch(3, 0.75, 0.75, 0.2)];
        let found = read(&epochs).map(|reading| (reading.value, reading.epoch));
        let expected = [(50.0, Some(1)), (25.0, Some(2)), (75.0, Some(2)), (75.0, Some(1)), (75.0, None), (0.2, None)];
        assert_eq!(found, expected);
    }

    /// A cell of case 4 with these values in %.
    fn cell(column: usize, values: &[f64], epochs: &[usize]) -> Cell {
        let printed = Some(CASES[3].printed[column]);
        let is_accuracy = MEASURES[column].is_accuracy;
        Cell { sample: Sample::of(values), epochs: epochs.to_vec(), printed, is_accuracy }
    }

    #[test]
    fn cells_say_mean_spread_epochs_and_difference() {
        let texts = |cell: &Cell| [cell.ours(), cell.paper(), cell.difference()];
        let found = texts(&cell(4, &[99.0, 99.2], &[]));
        assert_eq!(found, ["99.10 ± 0.14", "99.20", "−0.7 sd"]);
        let found = texts(&cell(5, &[0.03, 0.05], &[]));
        assert_eq!(found, ["0.0400 ± 0.0141", "0.032287", "+0.5 sd"]);
        let found = texts(&cell(1, &[97.0, 98.0], &[1, 2]));
        assert_eq!(found, ["97.50 ± 0.71 (1–2)", "97.79 (1)", "−0.4 sd"]);
        // The inconsistent number has no difference, and neither has a single run.
        let found = texts(&cell(3, &[99.1, 99.3], &[13, 13]));
        assert_eq!(found, ["99.20 ± 0.14 (13)", "99.92† (13)", NONE]);
        assert_eq!(cell(4, &[99.0, 99.39], &[]).difference(), "0.0 sd");
        assert_eq!(texts(&cell(4, &[99.0], &[])), ["99.00", "99.20", NONE]);
        assert_eq!(texts(&cell(4, &[], &[])), [NONE, "99.20", NONE]);
    }

    #[test]
    fn both_tables_have_a_place_for_everything() {
        let rows = [Row {
            key: "case4".into(),
            title: "case 4".into(),
            n: 2,
            cells: std::array::from_fn(|column| cell(column, &[98.0, 99.0], &[3, 4])),
        }];
        let mut csv = Vec::new();
        csv::write(&mut csv, lines(&rows)).unwrap();
        let csv = String::from_utf8(csv).unwrap();
        let fields: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(fields.len(), 7);
        assert!(fields.iter().all(|line| line.len() == fields[0].len()), "{csv}");
        assert_eq!(fields[4][..6], ["case4", "max_val", "2", "98.5", "0.7071067811865476", "3 4"]);
        assert_eq!(fields[4][6..], ["99.92", "13", ""]);

        let text = markdown(&rows, "paper");
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.lines().all(|line| line.matches('|').count() == 9), "{text}");
    }
}
