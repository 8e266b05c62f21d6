//! What commands print in common.

use shadegrad::evaluate::Evaluation;
pub use shadegrad::table::grouped;
use std::fmt::Write;

/// A share as "98.76 %".
pub fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// 1 epoch, 15 epochs
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Confusion matrix with precision and recall, rows are labels.
pub fn confusion_table(evaluation: &Evaluation) -> String {
    let classes = evaluation.confusion.len();
    let width = evaluation.confusion.iter().flatten().max().map_or(1, |most| most.to_string().len()).max(4);
    let share = |share: Option<f64>| share.map_or("-".to_string(), |share| format!("{:.2}", share * 100.0));
    let mut out = String::from("label \\ predicted\n      ");
    for class in 0..classes {
        let _ = write!(out, " {class:>width$}");
    }
    out.push_str("   recall %  precision %\n");
    for (label, row) in evaluation.confusion.iter().enumerate() {
        let _ = write!(out, "{label:>6}");
        for count in row {
            let cell = if *count == 0 { ".".to_string() } else { count.to_string() };
            let _ = write!(out, " {cell:>width$}");
        }
        let (recall, precision) = (share(evaluation.recall(label)), share(evaluation.precision(label)));
        let _ = writeln!(out, "   {recall:>8}  {precision:>11}");
    }
    out
}
