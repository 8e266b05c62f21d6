//! As much of Markdown as the checks need: fences, links, headings, code spans and tables.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A page, with its lines told apart.
pub struct Page {
    /// Path in the repository.
    pub path: PathBuf,
    pub lines: Vec<Line>,
}

pub struct Line {
    pub text: String,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Prose,
    /// The line that opens or closes a fence.
    Fence,
    Code,
}

/// A link or picture.
pub struct Link {
    /// Line that it ends in, from 0.
    pub line: usize,
    pub target: String,
}

/// A table's rows of cells, without the line between head and body.
pub struct Table {
    pub first: usize,
    pub last: usize,
    pub body: Vec<Vec<String>>,
}

impl Page {
    pub fn read(path: impl AsRef<Path>) -> Page {
        let path = path.as_ref().to_path_buf();
        let text =
            fs::read_to_string(Path::new(ROOT).join(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut inside = false;
        let lines = text.lines().map(|text| {
            let kind = match (text.trim_start().starts_with("```"), inside) {
                (true, _) => {
                    inside = !inside;
                    Kind::Fence
                }
                (false, true) => Kind::Code,
                (false, false) => Kind::Prose,
            };
            Line { text: text.to_string(), kind }
        });
        let lines = lines.collect();
        assert!(!inside, "{}: a fence is not closed", path.display());
        Page { path, lines }
    }

    /// `docs/src/training.md:12`
    pub fn at(&self, line: usize) -> String {
        format!("{}:{}", self.path.display(), line + 1)
    }

    /// The file that a relative path on this page names, in the repository; none if it leads out of it.
    pub fn resolve(&self, relative: &str) -> Option<PathBuf> {
        let mut path = self.path.parent()?.to_path_buf();
        for part in relative.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if !path.pop() {
                        return None;
                    }
                }
                name => path.push(name),
            }
        }
        Some(path)
    }

    /// The prose, line by line; lines of code are empty, and so are code spans unless they are wanted.
    fn prose(&self, with_spans: bool) -> Vec<String> {
        let mut rest: Vec<String> = self
            .lines
            .iter()
            .map(|line| if line.kind == Kind::Prose { line.text.clone() } else { String::new() })
            .collect();
        if !with_spans {
            for span in self.spans() {
                for (line, range) in span.ranges {
                    rest[line].replace_range(range.clone(), &" ".repeat(range.len()));
                }
            }
        }
        rest
    }

    /// The code spans, which may go on in the next line of their paragraph.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut open: Option<Span> = None;
        for (number, line) in self.lines.iter().enumerate() {
            if line.kind != Kind::Prose || line.text.trim().is_empty() {
                open = None;
                continue;
            }
            let mut from = 0;
            for (at, _) in line.text.match_indices('`').chain([(line.text.len(), "")]) {
                if let Some(span) = &mut open {
                    span.text.push_str(line.text[from..at].trim_start());
                    span.ranges.push((number, from..at));
                }
                if at == line.text.len() {
                    if let Some(span) = &mut open {
                        span.text.push(' ');
                    }
                } else if let Some(span) = open.take() {
                    spans.push(span);
                } else {
                    open = Some(Span { text: String::new(), ranges: Vec::new() });
                }
                from = at + 1;
            }
        }
        spans
    }

    pub fn links(&self) -> Vec<Link> {
        let prose = self.prose(false);
        let mut links = Vec::new();
        for (line, text) in prose.iter().enumerate() {
            for (at, _) in text.match_indices("](") {
                let target = &text[at + 2..];
                let end = target.find(')').unwrap_or_else(|| panic!("{}: a link is not closed", self.at(line)));
                links.push(Link { line, target: target[..end].to_string() });
            }
        }
        links
    }

    /// Names of the headings in links: lower case, words joined by `-`; a second one of a name gets a number.
    pub fn fragments(&self) -> Vec<String> {
        let mut seen = HashMap::new();
        let headings = self.lines.iter().filter(|line| line.kind == Kind::Prose && line.text.starts_with('#'));
        headings
            .map(|line| {
                let plain = line.text.trim_start_matches('#').trim();
                let name: String = plain
                    .chars()
                    .filter_map(|c| match c {
                        c if c.is_whitespace() => Some('-'),
                        c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c.to_ascii_lowercase()),
                        _ => None,
                    })
                    .collect();
                let count = seen.entry(name.clone()).and_modify(|count| *count += 1).or_insert(0);
                if *count == 0 { name } else { format!("{name}-{count}") }
            })
            .collect()
    }

    pub fn tables(&self) -> Vec<Table> {
        let is_row = |line: &Line| line.kind == Kind::Prose && line.text.starts_with('|');
        let mut tables = Vec::new();
        let mut first = 0;
        while first < self.lines.len() {
            let rows = self.lines[first..].iter().take_while(|line| is_row(line)).count();
            if rows > 2 {
                let cells = |line: &Line| {
                    line.text.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect()
                };
                let body = self.lines[first + 2..first + rows].iter().map(cells).collect();
                tables.push(Table { first, last: first + rows - 1, body });
            }
            first += rows.max(1);
        }
        tables
    }
}

/// A code span.
pub struct Span {
    pub text: String,
    ranges: Vec<(usize, std::ops::Range<usize>)>,
}

impl Span {
    /// Line that it begins in, from 0.
    pub fn line(&self) -> usize {
        self.ranges[0].0
    }
}

/// A text without its code spans and emphasis.
pub fn plain(text: &str) -> String {
    let outside = text.split('`').step_by(2).collect::<Vec<_>>().concat();
    outside.replace("**", "")
}
