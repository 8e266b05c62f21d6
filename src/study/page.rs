//! A page of HTML in one file: no script, nothing from elsewhere.

use super::figures::Figure;
use super::paper::MEASURES;
use super::table::{Cell, Row};
use crate::text::printable;
use std::fmt::Display;

/// Text with what HTML reads as its own made harmless, and what cannot be seen written out.
pub fn escape(text: impl Display) -> String {
    let mut escaped = String::new();
    for letter in printable(&text.to_string()).chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// The whole page; `body` is HTML.
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n",
        escape(title),
        include_str!("report.css")
    )
}

/// A heading and what stands below it, which is HTML.
pub fn section(heading: &str, content: &str) -> String {
    format!("<section>\n<h2>{}</h2>\n{content}</section>\n", escape(heading))
}

/// Text, in which what stands between backticks is code, as in Markdown.
pub fn prose(text: &str) -> String {
    let parts = text.split('`').map(escape).enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { part }).collect()
}

pub fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", prose(text))
}

pub fn list(items: &[impl Display]) -> String {
    let items: String = items.iter().map(|item| format!("<li>{}</li>\n", escape(item))).collect();
    format!("<ul>\n{items}</ul>\n")
}

/// A command, which is broken between its words alone.
pub fn command(text: &str) -> String {
    let words: Vec<String> = text.split(' ').map(|word| format!("<span>{}</span>", escape(word))).collect();
    format!("<code>{}</code>", words.join(" "))
}

/// Names with what they are; values are HTML.
pub fn facts(facts: &[(&str, String)]) -> String {
    let items: String =
        facts.iter().map(|(name, value)| format!("<dt>{}</dt><dd>{value}</dd>\n", escape(name))).collect();
    format!("<dl>\n{items}</dl>\n")
}

/// A table in a box of its own, which scrolls where the page is narrow.
pub fn table(name: &str, head: &[&str], body: &str) -> String {
    let head: String = head
        .iter()
        .enumerate()
        .map(|(column, text)| {
            let class = if column == 0 { " class=\"name\"" } else { "" };
            format!("<th scope=\"col\"{class}>{}</th>", escape(text))
        })
        .collect();
    format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">\n<table>\n<thead><tr>{head}</tr></thead>\n\
         <tbody>\n{body}</tbody>\n</table>\n</div>\n",
        escape(name)
    )
}

/// A row of a table: its name, numbers, and perhaps a text, which is broken where it is long.
pub fn row(name: &str, cells: &[String], text: Option<&str>) -> String {
    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
    let text = text.map_or_else(String::new, |text| format!("<td class=\"name wrap\">{}</td>", escape(text)));
    format!("<tr><th scope=\"row\" class=\"name\">{}</th>{cells}{text}</tr>\n", escape(name))
}

/// Ours, whose we compare with, and the difference, one below the other.
pub fn compared(name: &str, rows: &[Row], whose: &str) -> String {
    let mut head = vec!["", ""];
    head.extend(MEASURES.iter().map(|measure| measure.name));
    let mut body = String::new();
    for row in rows {
        let mut line = |class: &str, first: &str, second: &str, cell: fn(&Cell) -> String| {
            let cells: String = row.cells.iter().map(|of| format!("<td>{}</td>", escape(cell(of)))).collect();
            body += &format!(
                "<tr class=\"{class}\"><th scope=\"row\" class=\"name\">{}</th><td class=\"name\">{}</td>{cells}</tr>\n",
                escape(first),
                escape(second)
            );
        };
        line("first ours", &row.title, &format!("ours, n = {}", row.n), Cell::ours);
        line("rest", "", whose, Cell::paper);
        line("rest", "", "difference", Cell::difference);
    }
    table(name, &head, &body)
}

/// A picture with its caption, which readers who cannot see it get too.
pub fn figure(figure: &Figure) -> String {
    let caption = escape(&figure.caption);
    format!(
        "<figure><div class=\"panel\" role=\"img\" aria-label=\"{caption}\">{}</div><figcaption>{caption}</figcaption></figure>\n",
        figure.svg
    )
}

/// Pictures beside each other, as many as there is room for.
pub fn grid(figures: &[Figure]) -> String {
    format!("<div class=\"grid\">\n{}</div>\n", figures.iter().map(figure).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(escape("a < b & \"c\" > d"), "a &lt; b &amp; &quot;c&quot; &gt; d");
        assert_eq!(escape("it's \u{1b}[31m\u{202e}"), "it&#39;s \\u001b[31m\\u202e");
        let page = page("<script>", &section("a & b", &paragraph("<img src=x>")));
        assert!(page.contains("<title>&lt;script&gt;</title>") && page.contains("<h2>a &amp; b</h2>"), "{page}");
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        assert!(facts(&[("a<", "<b>b</b>".into())]).contains("<dt>a&lt;</dt><dd><b>b</b></dd>"));
    }
}
