//! Names of networks and layers, which are used in file names, table columns and labels of passes.

use crate::text::brief;

/// Longest name, in letters.
const MOST: usize = 32;

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_' || letter == '-'
}

/// Fails if a name cannot be used in file names and tables.
///
/// # Errors
///
/// A message with the expected form and the name.
pub(super) fn check(name: &str) -> Result<(), String> {
    if !name.is_empty() && name.len() <= MOST && name.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!("expected a name of 1 to {MOST} letters (a to z, A to Z), digits, `_` or `-`, got \"{}\"", brief(name)))
}

/// A valid name that resembles `text`: for a network named after its file, or a name that an older version has written.
pub fn safe_name(text: &str) -> String {
    let words: Vec<&str> = text.split(|letter| !is_plain(letter)).filter(|word| !word.is_empty()).collect();
    let mut name = words.join("-");
    // All remaining letters are single bytes.
    name.truncate(MOST);
    if name.is_empty() { "network".to_string() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for name in ["a", "case1", "my_net-2", "-", &"x".repeat(32)] {
            assert_eq!(check(name), Ok(()));
            assert_eq!(safe_name(name), name);
        }
        for name in ["", "../../x", "/etc", ".", "a b", "a\nb", "a\u{1b}[31m", "netz\u{e4}", &"x".repeat(33), "a\0"] {
            let problem = check(name).unwrap_err();
            assert!(problem.starts_with("expected a name of 1 to 32 letters") && !problem.contains(char::is_control));
            assert_eq!(check(&safe_name(name)), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_of_files_become_names_of_networks() {
        for (stem, name) in [
            ("my net (2)", "my-net-2"),
            ("net.v2", "net-v2"),
            ("\u{fc}net", "net"),
            ("..", "network"),
            ("../../x", "x"),
            ("\u{1b}[31mred", "31mred"),
        ] {
            assert_eq!(safe_name(stem), name);
        }
        assert_eq!(safe_name(&"y".repeat(255)), "y".repeat(32));
    }
}
