//! Text tables with aligned columns, as printed by `summary`, `plan` and `bench`.

use std::borrow::Cow;
use std::fmt;

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Aligned to the left.
    Left,
    /// Aligned to the right, as for numbers.
    Right,
}

/// Rows of cells, aligned by column; the first row is the heading.
#[derive(Debug)]
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a heading and no rows.
    pub fn new<const COLUMNS: usize>(heading: [&str; COLUMNS], align: [Align; COLUMNS]) -> Table {
        Table { align: align.to_vec(), rows: vec![heading.map(String::from).to_vec()] }
    }

    /// Appends a row.
    pub fn row<const COLUMNS: usize>(&mut self, cells: [String; COLUMNS]) {
        self.rows.push(cells.to_vec());
    }

    /// The text of the table, with two spaces before each column and no trailing spaces.
    pub fn render(&self) -> String {
        self.lines(&self.widths(), self.align.len(), None)
    }

    /// The table in at most `width` columns. Cells of text and headings are wrapped at spaces; where that is not enough, the
    /// last columns go to lines of their own below their row. Only a word that is longer than a line still leaves the width.
    pub fn fit(&self, width: usize) -> String {
        let mut widths = self.widths();
        let total = |widths: &[usize]| widths.iter().map(|width| GAP + width).sum::<usize>();
        let least: Vec<usize> = (0..widths.len()).map(|column| self.least_width(column)).collect();
        while total(&widths) > width {
            let shrinks = (0..widths.len()).filter(|column| widths[*column] > least[*column]);
            let Some(widest) = shrinks.max_by_key(|column| widths[*column]) else { break };
            widths[widest] -= 1;
        }
        if total(&widths) <= width {
            return self.lines(&widths, widths.len(), None);
        }
        // The first columns keep their natural width again, as many as there is room for.
        let natural = self.widths();
        let fitting = (1..natural.len()).rev().find(|count| total(&natural[..*count]) <= width);
        let (widths, count) = fitting.map_or((&widths, 1), |count| (&natural, count));
        self.lines(widths, count, Some(width))
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| self.rows.iter().map(|row| length(&row[column])).max().unwrap_or(0);
        (0..self.align.len()).map(width).collect()
    }

    /// The least width of a column: that of its longest word. Numbers with their units stay together.
    fn least_width(&self, column: usize) -> usize {
        let longest_word = |cell: &String| cell.split(' ').map(length).max().unwrap_or(0);
        let (heading, cells) = self.rows.split_at(1);
        let least = |cell: &String| match self.align[column] {
            Align::Left => longest_word(cell).max(LEAST_TEXT.min(length(cell))),
            Align::Right => length(cell),
        };
        let heading = heading.iter().map(|row| longest_word(&row[column]));
        heading.chain(cells.iter().map(|row| least(&row[column]))).max().unwrap_or(0)
    }

    /// The rows with `count` columns of these widths; the others, if there are any, below them in lines of at most `width`.
    fn lines(&self, widths: &[usize], count: usize, width: Option<usize>) -> String {
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            let cells: Vec<Vec<_>> = row[..count].iter().zip(widths).map(|(cell, width)| wrap(cell, *width)).collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(0);
            for line in 0..height {
                // A heading of several lines stands on its column.
                let part = |cell: &[String]| match index {
                    0 => (line + cell.len()).checked_sub(height).and_then(|line| cell.get(line)).cloned(),
                    _ => cell.get(line).cloned(),
                };
                let parts = cells.iter().map(|cell| part(cell).unwrap_or_default());
                push_line(&mut text, parts.zip(&self.align).zip(widths));
            }
            let Some(width) = width else { continue };
            for line in wrap(&self.rest(index, count), width - INDENT) {
                text += &format!("{:INDENT$}{line}\n", "");
            }
        }
        text
    }

    /// The cells of a row from a column on, in one line. A number needs its heading there.
    fn rest(&self, row: usize, first: usize) -> String {
        let cells = (first..self.align.len()).filter(|column| !self.rows[row][*column].is_empty());
        let cell = |column: usize| match (row, self.align[column]) {
            (1.., Align::Right) => format!("{} {}", self.rows[0][column], self.rows[row][column]),
            _ => self.rows[row][column].clone(),
        };
        cells.map(cell).collect::<Vec<_>>().join("  ")
    }
}

/// Spaces before each column.
const GAP: usize = 2;
/// Width down to which columns of text are narrowed, if their words allow it.
const LEAST_TEXT: usize = 12;
/// Indentation of lines that continue a row.
const INDENT: usize = 6;

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Lines of at most `width` characters, broken at spaces only.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = textwrap::Options::new(width.max(1)).break_words(false);
    let options = options.word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(text, options.word_separator(textwrap::WordSeparator::AsciiSpace))
        .into_iter()
        .map(Cow::into_owned)
        .collect()
}

fn push_line<'a>(text: &mut String, cells: impl Iterator<Item = ((String, &'a Align), &'a usize)>) {
    let mut line = String::new();
    for ((cell, align), width) in cells {
        line += &" ".repeat(GAP);
        line += &match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        };
    }
    *text += line.trim_end();
    text.push('\n');
}

/// Text with tables in it, which can be laid out for any width. `Display` gives it the width that it needs.
#[derive(Debug, Default)]
pub struct Page(Vec<Block>);

#[derive(Debug)]
enum Block {
    Text(String),
    Table(Table),
}

impl Page {
    /// Appends text; lines end with line feeds.
    pub fn text(&mut self, text: impl Into<String>) {
        self.0.push(Block::Text(text.into()));
    }

    /// Appends a table.
    pub fn table(&mut self, table: Table) {
        self.0.push(Block::Table(table));
    }

    /// Appends another page.
    pub fn append(&mut self, page: Page) {
        self.0.extend(page.0);
    }

    /// The page in lines of at most `width` columns, broken between words.
    pub fn fit(&self, width: usize) -> String {
        let block = |block: &Block| match block {
            Block::Text(text) => fit(text, width),
            Block::Table(table) => table.fit(width),
        };
        self.0.iter().map(block).collect()
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|block| match block {
            Block::Text(text) => f.write_str(text),
            Block::Table(table) => f.write_str(&table.render()),
        })
    }
}

impl From<Table> for Page {
    fn from(table: Table) -> Page {
        Page(vec![Block::Table(table)])
    }
}

/// Text in lines of at most `width` columns. What continues a line is indented by two more than the line.
pub fn fit(text: &str, width: usize) -> String {
    let mut fitted = String::new();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        if length(content) <= width {
            fitted += line;
            continue;
        }
        let indent = content.len() - content.trim_start().len();
        let continued = " ".repeat(indent + 2);
        let first = wrap(content, width).into_iter().next().unwrap_or_default();
        let rest = content[first.len()..].trim_start();
        fitted += &first;
        for more in wrap(rest, width.saturating_sub(continued.len())) {
            fitted += &format!("\n{continued}{more}");
        }
        fitted += &line[content.len()..];
    }
    fitted
}

/// A number with commas between thousands: 1,199,882.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes with a unit: 4.6 MiB.
pub fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..0x10_0000 => format!("{:.1} KiB", count as f64 / 1024.0),
        0x10_0000..0x4000_0000 => format!("{:.1} MiB", count as f64 / f64::from(1 << 20)),
        _ => format!("{:.2} GiB", count as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (61706, "61,706"), (1_199_882, "1,199,882")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn bytes_have_a_unit_of_their_size() {
        let cases = [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 20, "1.0 MiB"), (3 << 30, "3.00 GiB")];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["a", "n", "b"], [Align::Left, Align::Right, Align::Left]);
        table.row(["long".into(), "1".into(), String::new()]);
        table.row(["ä".into(), "10".into(), "z".into()]);
        assert_eq!(table.render(), "  a      n  b\n  long   1\n  ä     10  z\n");
    }

    fn wide() -> Table {
        let mut table = Table::new(
            ["layer", "settings", "FLOPs per image", "reads"],
            [Align::Left, Align::Left, Align::Right, Align::Left],
        );
        table.row(["conv1".into(), "32 filters 3x3, stride 1, valid".into(), "389,376".into(), "x w b".into()]);
        table.row(["dense1".into(), String::new(), "1".into(), "conv1.y dense1.weights dense1.bias".into()]);
        table
    }

    #[test]
    fn text_and_headings_are_wrapped_first() {
        let table = wide();
        assert_eq!(table.fit(200), table.render());
        let expected = "                          FLOPs
                            per
  layer   settings        image  reads
  conv1   32 filters    389,376  x w b
          3x3, stride
          1, valid
  dense1                      1  conv1.y
                                 dense1.weights
                                 dense1.bias
";
        assert_eq!(table.fit(47), expected);
    }

    #[test]
    fn columns_without_room_go_below_their_row() {
        let expected = "  layer   settings
      FLOPs per image  reads
  conv1   32 filters 3x3, stride 1, valid
      FLOPs per image 389,376  x w b
  dense1
      FLOPs per image 1  conv1.y
      dense1.weights dense1.bias
";
        assert_eq!(wide().fit(42), expected);
    }

    /// Whatever the width, nothing but a single word is wider, and no word is lost.
    #[test]
    fn every_width_is_kept() {
        let words = |text: &str| {
            let mut words: Vec<String> = text.split_whitespace().map(String::from).collect();
            words.sort();
            words
        };
        for width in 20..100 {
            let fitted = wide().fit(width);
            for line in fitted.lines() {
                assert!(line.chars().count() <= width || line.trim().split(' ').count() <= 2, "{width}: {line}");
            }
            let all = words(&fitted);
            words(&wide().render())
                .iter()
                .for_each(|word| assert!(all.contains(word), "{width}: no {word} in\n{fitted}"));
        }
    }

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(fit("  one two three\n\nfour\n", 10), "  one two\n    three\n\nfour\n");
        assert_eq!(fit("a  b  c", 100), "a  b  c");
        assert_eq!(fit("unbreakableword x", 5), "unbreakableword\n  x");
        let mut page = Page::from(wide());
        page.text("the end of it all\n");
        assert!(page.to_string().ends_with("the end of it all\n"));
        assert!(page.fit(40).lines().all(|line| line.chars().count() <= 40));
    }
}
