//! Escapes strings from files, drivers and command lines for where they are shown: a terminal, a shell, an SVG file,
//! Markdown or a spreadsheet. HTML is escaped by `maud`.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character is invisible: a control character, which a terminal may obey and XML does not allow; a mark that
/// changes the direction of the surrounding text, so that it reads differently; or a code point that is not a
/// character.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(letter, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

/// Writes hidden characters as `\u001b`, as JSON does, so that the meaning of JSON does not change.
fn shown(text: &str, is_kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |letter: char| is_hidden(letter) && !is_kept(letter);
    if !text.chars().any(is_escaped) {
        return text.into();
    }
    let mut shown = String::new();
    for letter in text.chars() {
        if is_escaped(letter) {
            let _ = write!(shown, "\\u{:04x}", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    shown.into()
}

/// Text of several lines that is safe to show: control characters other than line feeds and tabs, and marks that change
/// the direction of text, are written as `\u001b`.
pub fn printable(text: &str) -> Cow<'_, str> {
    shown(text, |letter| letter == '\n' || letter == '\t')
}

/// The same for text within a line: line feeds and tabs are escaped too, as `\u000a` and `\u0009`, so that no string
/// can look like a line of the program's own output.
pub fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// The message for an invalid TOML file, with an excerpt. Line feeds in keys and values are escaped, so that the file
/// cannot add lines of its own to the message.
pub fn toml_problem(error: &toml::de::Error) -> String {
    let message = error.message();
    error.to_string().trim_end().replace(message, &one_line(message))
}

/// A number of things: 1 epoch, 15 epochs.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The start of a text that an error message quotes: texts in files may be too long to read.
pub fn brief(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        None => one_line(text).into_owned(),
        Some((end, _)) => format!("{}…", one_line(&text[..end])),
    }
}

/// Escapes text for a paragraph, heading or table of Markdown, so that none of it is markup.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::new();
    for letter in one_line(text).chars() {
        if "\\`*[]<>|&#~".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Text as code within a paragraph of Markdown or, if `in_table`, within a cell of a table.
pub fn markdown_code(text: &str, in_table: bool) -> String {
    let text = one_line(text);
    let text = if in_table { text.replace('|', "\\|") } else { text.into_owned() };
    let fence = "`".repeat(longest_run(&text) + 1);
    // Spaces separate backticks at the ends from the fence, and are not shown.
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// Text as a verbatim block of Markdown. It ends with a line feed.
pub fn markdown_block(text: &str) -> String {
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    let text = printable(text);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// Length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

/// First characters of spreadsheet formulas, including their full-width forms.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Text for a cell of a spreadsheet. Text that starts with `=`, `+`, `-` or `@` would be taken for a formula, so it
/// gets a leading apostrophe, as one would type it.
pub fn spreadsheet_cell(text: &str) -> String {
    let text = one_line(text);
    if text.trim_start().starts_with(FORMULA) { format!("'{text}") } else { text.into_owned() }
}

/// A word of a shell command, quoted if necessary.
pub fn shell_word(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:=,+@".contains(letter);
    // zsh expands `=name` to the path of a program.
    if !word.is_empty() && !word.starts_with('=') && word.chars().all(is_plain) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out() {
        let text = "red \u{1b}[31m, \u{9b}31m, back\u{8}, turned \u{202e}gnp.exe\u{202c}, \u{200f}\u{2066}, end\r\n\tnext\u{7f}";
        assert_eq!(
            printable(text),
            "red \\u001b[31m, \\u009b31m, back\\u0008, turned \\u202egnp.exe\\u202c, \\u200f\\u2066, end\\u000d\n\tnext\\u007f"
        );
        assert_eq!(one_line("a\nb\tc\u{2028}"), "a\\u000ab\\u0009c\\u2028");
        // Letters of all scripts are kept, and so are the characters that join them.
        for plain in ["llvmpipe (LLVM 15.0.6, 256 bits)", "größe", "数字", "\u{1f469}\u{200d}\u{1f52c}", ""] {
            assert!(matches!(printable(plain), Cow::Borrowed(same) if same == plain));
            assert_eq!(one_line(plain), plain);
        }
    }

    #[test]
    fn what_is_repeated_is_not_endless() {
        assert_eq!(brief("a\nb"), "a\\u000ab");
        assert_eq!(brief(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(brief(&"é".repeat(81)), "é".repeat(80) + "…");
    }

    #[test]
    fn a_key_of_toml_makes_no_line_of_its_own() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let error = toml::from_str::<Nothing>("\"a\\nerror: b\" = 1").unwrap_err();
        let problem = toml_problem(&error);
        assert!(error.to_string().contains("\nerror: b") && !problem.contains("\nerror: b"), "{problem}");
        assert!(problem.contains("line 1, column 1") && problem.contains("a\\u000aerror: b"), "{problem}");
    }

    #[test]
    fn json_means_the_same_when_it_is_printed() {
        let text = "\u{1b}\u{202e}\u{7f}\u{9b}\u{feff}\u{ffff}\"\\";
        let line = serde_json::to_string(text).unwrap();
        let shown = printable(&line);
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    #[test]
    fn markdown_stays_text() {
        assert_eq!(
            markdown("a|b <img src=x> [c](d) `e` *f* &lt; g\\h"),
            r"a\|b \<img src=x\> \[c\](d) \`e\` \*f\* \&lt; g\\h"
        );
        assert_eq!(markdown("a\n# b\u{1b}"), r"a\\u000a\# b\\u001b");
        assert_eq!(markdown("my_net-2 (v1.5)"), "my_net-2 (v1.5)");
    }

    #[test]
    fn code_of_markdown_ends_where_it_ends() {
        assert_eq!(markdown_code("train --model a|b", false), "`train --model a|b`");
        assert_eq!(markdown_code("a|b", true), r"`a\|b`");
        assert_eq!(markdown_code("a `` b", false), "```a `` b```");
        assert_eq!(markdown_code("`a`", false), "`` `a` ``");
        assert_eq!(markdown_block("a\n```\nb\u{1b}\n"), "````text\na\n```\nb\\u001b\n````\n");
        assert_eq!(markdown_block("a"), "```text\na\n```\n");
    }

    #[test]
    fn a_shell_takes_a_word_for_one() {
        for (word, quoted) in [
            ("best", "best"),
            ("conv2d.forward:17", "conv2d.forward:17"),
            ("größe,b@1+c=d", "größe,b@1+c=d"),
            ("", "''"),
            ("=ls", "'=ls'"),
            ("my data", "'my data'"),
            ("$HOME; `rm`", "'$HOME; `rm`'"),
            ("it's", "'it'\\''s'"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }

    #[test]
    fn no_cell_of_a_spreadsheet_is_a_formula() {
        for (text, cell) in [
            ("best", "best"),
            ("CPU, 4 threads", "CPU, 4 threads"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1,A2)", "'@SUM(A1,A2)"),
            (" =1", "' =1"),
            ("a\nb", "a\\u000ab"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("a=1", "a=1"),
        ] {
            assert_eq!(spreadsheet_cell(text), cell, "{text}");
        }
    }
}
