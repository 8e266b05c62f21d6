//! Confusion matrices as CSV: a row for each label, a column for each prediction.

use std::fmt::Write;

/// Heading of the column of labels.
const CORNER: &str = "label\\predicted";

/// Largest count in a cell, so that sums over many matrices cannot overflow.
const MOST: u64 = u32::MAX as u64;

/// The text of `confusion.csv` for the counts `confusion[label][prediction]`.
pub fn to_csv(confusion: &[Vec<u64>]) -> String {
    let classes: Vec<String> = (0..confusion.len()).map(|class| class.to_string()).collect();
    let mut out = format!("{CORNER},{}\n", classes.join(","));
    for (label, row) in confusion.iter().enumerate() {
        let counts: Vec<String> = row.iter().map(u64::to_string).collect();
        let _ = writeln!(out, "{label},{}", counts.join(","));
    }
    out
}

/// Parses such a text: as many rows as columns, and at least one image.
///
/// # Errors
///
/// A message with expected and actual content for a text that [`to_csv`] does not write.
pub fn from_csv(text: &str) -> Result<Vec<Vec<u64>>, String> {
    let mut lines = text.lines();
    let heading = lines.next().unwrap_or_default();
    let classes = heading.split(',').count() - 1;
    let expected: String = (0..classes).map(|class| format!(",{class}")).collect();
    if classes == 0 || heading.strip_prefix(CORNER) != Some(&expected) {
        return Err(format!("not a confusion matrix: expected the heading `{CORNER},0,1,…`"));
    }
    let rows: Vec<Vec<u64>> =
        lines.enumerate().map(|(label, line)| row(label, line, classes)).collect::<Result<_, _>>()?;
    if rows.len() != classes {
        return Err(format!("expected {classes} rows, one for each label, got {}", rows.len()));
    }
    if rows.iter().flatten().all(|count| *count == 0) {
        return Err("expected counts of images, got none".into());
    }
    Ok(rows)
}

fn row(label: usize, line: &str, classes: usize) -> Result<Vec<u64>, String> {
    let said = || format!("line {}: expected the label {label} and {classes} counts", label + 2);
    let (first, counts) = line.split_once(',').ok_or_else(said)?;
    let count = |cell: &str| cell.parse().ok().filter(|count| *count <= MOST);
    let counts: Vec<u64> = counts.split(',').map(count).collect::<Option<_>>().ok_or_else(said)?;
    if first == label.to_string() && counts.len() == classes { Ok(counts) } else { Err(said()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let counts = vec![vec![5, 0, 1], vec![2, 7, 0], vec![0, 0, 4]];
        let text = to_csv(&counts);
        assert_eq!(text, "label\\predicted,0,1,2\n0,5,0,1\n1,2,7,0\n2,0,0,4\n");
        assert_eq!(from_csv(&text), Ok(counts));
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, says) in [
            ("", "expected the heading"),
            ("label\\predicted\n", "expected the heading"),
            ("label\\predicted,0,2\n", "expected the heading"),
            ("label\\predicted,0,1\n0,1,2\n", "expected 2 rows, one for each label, got 1"),
            ("label\\predicted,0\n0,1\n1,1\n", "expected 1 rows, one for each label, got 2"),
            ("label\\predicted,0,1\n0,1,2\n1,1\n", "line 3: expected the label 1 and 2 counts"),
            ("label\\predicted,0\n0,-1\n", "line 2: expected the label 0 and 1 counts"),
            ("label\\predicted,0\n0,4294967296\n", "line 2"),
            ("label\\predicted,0\n1,4\n", "line 2"),
            ("label\\predicted,0\n0,0\n", "got none"),
        ] {
            let problem = from_csv(text).unwrap_err();
            assert!(problem.contains(says), "{text}: {problem}");
        }
    }
}
