//! Reports as a single HTML file, without scripts or external resources.

use super::figures::Figure;
use super::paper::MEASURES;
use super::table::{Cell, Row};
use crate::text::printable;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::fmt::Display;

/// The whole page. Invisible characters are escaped everywhere, in text and in attributes.
pub fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("report.css"))) }
            }
            body { (body) }
        }
    };
    printable(&page.into_string()).into_owned()
}

/// A heading and the content below it.
pub fn section(heading: &str, content: &Markup) -> Markup {
    html! {
        section { h2 { (heading) } (content) }
        "\n"
    }
}

/// Text in which parts between backticks are code, as in Markdown.
pub fn prose(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A list of items.
pub fn list(items: &[impl Display]) -> Markup {
    html! {
        ul {
            @for item in items { li { (item) } }
        }
    }
}

/// A command that is wrapped only between words.
pub fn command(text: &str) -> Markup {
    html! {
        code {
            @for (index, word) in text.split(' ').enumerate() {
                @if index > 0 { " " }
                span { (word) }
            }
        }
    }
}

/// A list of names and descriptions.
pub fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl {
            @for (name, value) in facts { dt { (name) } dd { (value) } }
        }
    }
}

/// A table in a box that scrolls if the page is too narrow.
pub fn table(name: &str, head: &[&str], rows: &Markup) -> Markup {
    html! {
        div class="scroll" role="region" tabindex="0" aria-label=(name) {
            table {
                thead {
                    tr {
                        @for (column, text) in head.iter().enumerate() {
                            th scope="col" class=[(column == 0).then_some("name")] { (text) }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// A row of a table: its name, numbers, and an optional text, which is wrapped if it is long.
pub fn row(name: &str, cells: &[String], text: Option<&str>) -> Markup {
    html! {
        tr {
            th scope="row" class="name" { (name) }
            @for cell in cells { td { (cell) } }
            @if let Some(text) = text { td class="name wrap" { (text) } }
        }
        "\n"
    }
}

/// Three rows for each network: the results of the runs, those that they are compared with, and the difference.
pub fn compared(name: &str, rows: &[Row], whose: &str) -> Markup {
    let mut head = vec!["", ""];
    head.extend(MEASURES.iter().map(|measure| measure.name));
    let line = |row: &Row, class: &str, first: &str, second: &str, text: fn(&Cell) -> String| {
        html! {
            tr class=(class) {
                th scope="row" class="name" { (first) }
                td class="name" { (second) }
                @for cell in &row.cells { td { (text(cell)) } }
            }
            "\n"
        }
    };
    let body = html! {
        @for row in rows {
            (line(row, "first ours", &row.title, &format!("ours, n = {}", row.n), Cell::ours))
            (line(row, "rest", "", whose, Cell::paper))
            (line(row, "rest", "", "difference", Cell::difference))
        }
    };
    table(name, &head, &body)
}

/// A figure with its caption, which is also the text for screen readers.
pub fn figure(figure: &Figure) -> Markup {
    html! {
        figure {
            div class="panel" role="img" aria-label=(figure.caption) { (PreEscaped(&figure.svg)) }
            figcaption { (figure.caption) }
        }
        "\n"
    }
}

/// Figures next to each other, as many as fit.
pub fn grid(figures: &[Figure]) -> Markup {
    html! {
        div class="grid" {
            @for each in figures { (figure(each)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let hostile = "<script> & \"it's\" `<b>` \u{1b}[31m\u{202e}";
        let (shown, code) = ("&lt;script&gt; &amp; &quot;it's&quot; ", "&lt;b&gt;");
        let svg = "<svg></svg>".to_string();
        let body = html! {
            (section(hostile, &prose(hostile)))
            (list(&[hostile]))
            (command(hostile))
            (facts(&[(hostile, html! { b { (hostile) } })]))
            (table(hostile, &[hostile], &row(hostile, &[hostile.into()], Some(hostile))))
            (compared(hostile, &[Row::new("", hostile, &[], [None; MEASURES.len()])], hostile))
            (grid(&[Figure { svg, caption: hostile.into() }]))
        };
        let page = page(hostile, &body);
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">") && page.ends_with("</html>"), "{page}");
        let text = format!("{shown}`{code}` \\u001b[31m\\u202e");
        for place in [
            format!("<title>{text}</title>"),
            format!("<h2>{text}</h2>"),
            format!("{shown}<code>{code}</code> \\u001b[31m\\u202e</section>"),
            format!("<li>{text}</li>"),
            "<code><span>&lt;script&gt;</span> <span>&amp;</span> ".to_string(),
            format!("<dt>{text}</dt><dd><b>{text}</b></dd>"),
            format!("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{text}\">"),
            format!("<th scope=\"col\" class=\"name\">{text}</th>"),
            format!("<th scope=\"row\" class=\"name\">{text}</th><td>{text}</td><td class=\"name wrap\">{text}</td>"),
            format!("<th scope=\"row\" class=\"name\"></th><td class=\"name\">{text}</td>"),
            format!("aria-label=\"{text}\"><svg></svg></div><figcaption>{text}</figcaption>"),
        ] {
            assert!(page.contains(&place), "no {place} in {page}");
        }
        assert!(!page.contains("<script") && !page.contains(['\u{1b}', '\u{202e}']), "{page}");
    }
}
