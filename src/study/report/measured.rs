//! The results of networks: mean and standard deviation over seeds, one row for each network.

use super::Judge;
use crate::study::csv::{self, Plain};
use crate::study::page;
use crate::study::paper::MEASURES;
use crate::study::table::{Cell, Row};
use crate::text::{self, spreadsheet_cell};
use maud::{Markup, html};
use serde::Serialize;

/// The names of the columns; the loss is named after the set that it was measured on.
pub fn names(judge: Judge) -> [&'static str; MEASURES.len()] {
    let mut names = std::array::from_fn(|column| MEASURES[column].name);
    if judge.is_held_out {
        names[MEASURES.len() - 1] = "validation loss";
    }
    names
}

/// Explanation below the table.
pub fn legend(judge: Judge) -> String {
    let judged = match judge.is_held_out {
        true => "The validation set was held out of the training set, with different images for each seed.",
        false => "The test set is used for validation, so maxima over the epochs are selected on the test set.",
    };
    format!(
        "Accuracies in %: mean ± standard deviation over n seeds, with the epoch, or its range over the seeds, in parentheses. \
         Training accuracy is measured during the epoch, with dropout and augmentation. {judged}"
    )
}

pub fn markdown(rows: &[Row], judge: Judge) -> String {
    let names = names(judge).map(|name| format!(" {name} |")).concat();
    let mut table = format!("| | n |{names}\n|---|---|{}\n", "---|".repeat(MEASURES.len()));
    for row in rows {
        let cells: String = row.cells.iter().map(|cell| format!(" {} |", cell.ours())).collect();
        table += &format!("| **{}** | {} |{cells}\n", text::markdown(&row.title), row.n);
    }
    table
}

pub fn html(rows: &[Row], judge: Judge) -> Markup {
    let head = [["", "n"].as_slice(), &names(judge)].concat();
    let cells = |row: &Row| -> Vec<String> {
        std::iter::once(row.n.to_string()).chain(row.cells.iter().map(Cell::ours)).collect()
    };
    let body = html! {
        @for row in rows { (page::row(&row.title, &cells(row), None)) }
    };
    page::table("Results", &head, &body)
}

/// A line of `table.csv`.
#[derive(Serialize)]
struct Line {
    model: String,
    measure: &'static str,
    n: usize,
    mean: Option<Plain<f64>>,
    sd: Option<Plain<f64>>,
    epochs: String,
}

/// `table.csv`: one line for each network and column; accuracies are in %.
pub fn lines(rows: &[Row], judge: Judge) -> impl Iterator<Item = impl Serialize> {
    let cells =
        rows.iter().flat_map(|row| row.cells.iter().zip(&MEASURES).map(move |(cell, measure)| (row, cell, measure)));
    cells.map(move |(row, cell, measure)| Line {
        model: spreadsheet_cell(&row.key),
        measure: if measure.is_accuracy || !judge.is_held_out { measure.key } else { "val_loss" },
        n: row.n,
        mean: csv::mean(cell.sample),
        sd: csv::sd(cell.sample),
        epochs: cell.each_epoch(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_named_by_what_judged() {
        let judge = |is_held_out| Judge { images: 10, is_held_out };
        assert_eq!((names(judge(false))[5], names(judge(true))[5]), ("test loss", "validation loss"));
        let rows = [Row::new("a", "a", &[], [None; MEASURES.len()])];
        let csv = |judge: Judge| {
            let mut text = Vec::new();
            csv::write(&mut text, lines(&rows, judge)).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert!(csv(judge(false)).ends_with("a,test_loss,0,,,\n"));
        let text = csv(judge(true)) + &markdown(&rows, judge(true)) + &legend(judge(true));
        assert!(text.contains("a,val_loss,0,,,\n") && !text.contains("test"), "{text}");
    }
}
