//! The text of a `proxy.toml` that is being written.

use std::fmt::{Display, Write as _};

/// Where comments are broken, in characters.
const WIDTH: usize = 118;

/// Lines, with values and comments that cannot end where they should not.
#[derive(Default)]
pub(super) struct Document(String);

impl Document {
    /// A comment of its own lines. What cannot be seen is written as an escape, so that nothing leaves the comment.
    pub(super) fn comment(&mut self, text: impl Display) {
        let text: String = text.to_string().chars().map(visible).collect();
        let mut line = String::from("#");
        for word in text.split_whitespace() {
            if line.len() > 1 && line.chars().count().saturating_add(word.chars().count()) >= WIDTH {
                self.line(&line);
                line = String::from("#");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(&line);
    }

    /// An empty line and a heading.
    pub(super) fn heading(&mut self, heading: &str) {
        self.gap();
        self.line(heading);
    }

    /// An empty line, but not as the first.
    pub(super) fn gap(&mut self) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
    }

    /// A key and a text.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &quoted(value));
    }

    /// A key and a list of texts.
    pub(super) fn list(&mut self, key: &str, values: &[impl AsRef<str>]) {
        self.raw(key, &list(values));
    }

    /// A key and a value that is TOML already.
    pub(super) fn raw(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    /// Everything written until now.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

/// A list of texts in TOML.
pub(super) fn list(values: &[impl AsRef<str>]) -> String {
    let items: Vec<String> = values.iter().map(|value| quoted(value.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// A basic string of TOML, on one line.
pub(super) fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

fn visible(c: char) -> char {
    if c.is_control() && c != '\n' && c != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        let nasty = "a\"b\\c\nd\r\u{7f}e # [logto]\n[[route]]\naccess = \"public\"";
        let mut document = Document::default();
        document.comment(nasty);
        document.text("one", nasty);
        document.list("two", &[nasty]);
        let table: toml::Table = document.into_text().parse().unwrap();
        assert_eq!(table.len(), 2);
        assert_eq!(table["one"].as_str(), Some(nasty));
        assert_eq!(table["two"][0].as_str(), Some(nasty));
    }
}
