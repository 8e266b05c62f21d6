//! CSV tables: one struct for each line, whose fields are the columns.

use super::statistics::Sample;
use csv::Writer;
use serde::{Serialize, Serializer};
use std::fmt::Display;
use std::io;

/// Writes lines below a heading with the names of their fields.
pub fn write(to: impl io::Write, lines: impl IntoIterator<Item = impl Serialize>) -> io::Result<()> {
    let mut writer = Writer::from_writer(to);
    for line in lines {
        writer.serialize(line)?;
    }
    writer.flush()
}

/// A number with all of its digits and no more: 7741440000 and 99, where `csv` would write 7.74144e9 and 99.0.
#[derive(Clone, Copy)]
pub struct Plain<T>(pub T);

impl<T: Display> Serialize for Plain<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The mean of a sample, if there is one.
pub fn mean(sample: Option<Sample>) -> Option<Plain<f64>> {
    sample.map(|sample| Plain(sample.mean))
}

/// The standard deviation of a sample of at least two values.
pub fn sd(sample: Option<Sample>) -> Option<Plain<f64>> {
    sample.and_then(|sample| sample.sd).map(Plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::spreadsheet_cell;

    #[derive(Serialize)]
    struct Line {
        device: String,
        work: Option<Plain<f64>>,
        rate: Plain<f32>,
    }

    #[test]
    fn texts_are_quoted_where_they_must_be_and_numbers_are_plain() {
        let line = |device: &str, work: Option<f64>, rate| Line {
            device: spreadsheet_cell(device),
            work: work.map(Plain),
            rate: Plain(rate),
        };
        let lines = [
            line("CPU, 4 threads", Some(7.74144e17), 0.1),
            line("5\" \u{d7} 3", Some(1e-7), 0.0),
            line("@SUM(A1,A2)", None, 1.0),
            line("best", Some(99.0), 0.5),
        ];
        let mut written = Vec::new();
        write(&mut written, lines).unwrap();
        let expected = "device,work,rate\n\
                        \"CPU, 4 threads\",774144000000000000,0.1\n\
                        \"5\"\" \u{d7} 3\",0.0000001,0\n\
                        \"'@SUM(A1,A2)\",,1\n\
                        best,99,0.5\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
