//! What commands print in common.

use shadegrad::evaluate::Evaluation;
pub use shadegrad::table::grouped;
pub use shadegrad::text::counted;
use shadegrad::text::printable;
use shadegrad::{Error, Result};
use std::fmt::{Arguments, Write as _};
use std::io::Write;

/// As `print!`, but gives the error; `print!` panics when a disk is full, or a reader has gone.
macro_rules! out {
    ($($part:tt)*) => { $crate::cli::output::print(format_args!($($part)*)) };
}

/// As `println!`, but gives the error.
macro_rules! outln {
    ($($part:tt)*) => { $crate::cli::output::print(format_args!("{}\n", format_args!($($part)*))) };
}

/// As `eprintln!`, but never panics: no run shall end for a remark that cannot be made.
macro_rules! errln {
    ($($part:tt)*) => { $crate::cli::output::remark(format_args!("{}\n", format_args!($($part)*))) };
}

pub(crate) use {errln, out, outln};

/// Writes to standard output. Names of files, texts in them and names of devices may hold what a terminal obeys: of that,
/// nothing gets there.
pub fn print(text: Arguments<'_>) -> Result<()> {
    let text = text.to_string();
    std::io::stdout().write_all(printable(&text).as_bytes()).map_err(Error::io("write to", "standard output"))
}

/// Writes to standard error, if that can be, and likewise.
pub fn remark(text: Arguments<'_>) {
    let text = text.to_string();
    let _ = std::io::stderr().write_all(printable(&text).as_bytes());
}

/// A share as "98.76 %".
pub fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
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
