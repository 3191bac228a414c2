//! From the text of `proxy.toml` to values by key, with exact positions.
//!
//! Promises: every unknown key is found, wherever it stands; the text itself never reaches a message.

use super::error::{ConfigError, Origin, Problem, shown};
use super::keys::{self, KEYS, Key, Kind};
use super::node::{self, Entry, Layer, Node, Value};
use super::suggest;
use toml::de::DeTable;

/// Reads the text. On a syntax error only the syntax errors are reported: what a parser makes of the rest
/// of a broken file would be guesswork.
pub(super) fn read(text: &str) -> (Layer, Vec<ConfigError>) {
    let place = |offset: usize| position(text, offset);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    if !syntax_errors.is_empty() {
        let errors = syntax_errors
            .into_iter()
            .map(|error| {
                let origin = error.span().map_or(Origin::Nowhere, |span| place(span.start));
                // `message` alone: `Display` would print the line.
                ConfigError::new(
                    origin,
                    "",
                    Problem::new(format!("not valid TOML: {}", error.message())),
                )
            })
            .collect();
        return (Layer::default(), errors);
    }
    let mut reader = FileReader {
        layer: Layer::default(),
        errors: Vec::new(),
    };
    for entry in node::entries(document.get_ref(), &place) {
        reader.top(entry);
    }
    (reader.layer, reader.errors)
}

/// The line and column (both from 1, the column in characters) of a byte offset.
fn position(text: &str, offset: usize) -> Origin {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before
        .get(line_start..)
        .unwrap_or_default()
        .chars()
        .filter(|&c| c != '\u{feff}')
        .count()
        + 1;
    Origin::File {
        line: before.matches('\n').count() + 1,
        column,
    }
}

struct FileReader {
    layer: Layer,
    errors: Vec<ConfigError>,
}

impl FileReader {
    fn top(&mut self, entry: Entry) {
        // A quoted name may hold a dot; it is still a name of the top, not a path.
        let key = KEYS
            .iter()
            .find(|key| key.path == entry.name && !key.path.contains('.'));
        if let Some(key) = key {
            self.layer.values.insert(key.path, entry.node);
            return;
        }
        let section = keys::SECTIONS
            .iter()
            .map(|(name, _)| *name)
            .find(|name| *name == entry.name && !name.is_empty());
        let Some(section) = section else {
            self.unknown("", &entry);
            return;
        };
        self.layer.sections.insert(section, entry.origin);
        match entry.node.value {
            Value::Table(entries) => {
                for inner in entries {
                    self.within(section, inner);
                }
            }
            other => {
                let help = if section == "routes" && matches!(other, Value::List(_)) {
                    "[[route]] says who may pass where; [routes] holds the proxy's own paths".to_owned()
                } else {
                    format!("write [{section}] on a line of its own and its keys below it")
                };
                let problem = Problem::new(format!("expected a section, found {}", other.describe()));
                self.errors
                    .push(ConfigError::new(entry.node.origin, section, problem.help(help)));
            }
        }
    }

    fn within(&mut self, section: &'static str, entry: Entry) {
        match KEYS
            .iter()
            .find(|key| key.section() == section && key.name() == entry.name)
        {
            Some(key) => {
                self.layer.values.insert(key.path, entry.node);
            }
            None => self.unknown(section, &entry),
        }
    }

    fn unknown(&mut self, section: &str, entry: &Entry) {
        self.errors
            .push(unknown_key(section, &entry.name, entry.origin.clone()));
    }
}

/// The error for a name that a section (empty: the top) does not have.
pub(super) fn unknown_key(section: &str, name: &str, origin: Origin) -> ConfigError {
    let path = if section.is_empty() {
        shown(name)
    } else {
        format!("{section}.{}", shown(name))
    };
    let problem = Problem::new("unknown key").maybe_help(suggest::unknown_key(section, name));
    ConfigError::new(origin, path, problem)
}

/// Reads one TOML value from text that is not in the file: a variable, a default.
pub(super) fn read_value(text: &str, origin: &Origin) -> Option<Node> {
    let value = toml::de::DeValue::parse(text).ok()?;
    Some(Node::from_toml(&value, &|_| origin.clone()))
}

/// Gives the text of a variable or flag the shape that its key asks for.
pub(super) fn shape(key: &Key, text: &str, origin: &Origin) -> Result<Node, Problem> {
    let node = |value| Node {
        origin: origin.clone(),
        value,
    };
    let starts_with = |brackets: &[char]| text.trim_start().starts_with(brackets);
    match key.kind {
        Kind::Text | Kind::Duration => Ok(node(Value::text(text))),
        // A key of [[route]], which is set as a whole.
        Kind::TextOrTable => Ok(read_value(text.trim(), origin).unwrap_or_else(|| node(Value::text(text)))),
        Kind::Integer | Kind::Boolean => read_value(text.trim(), origin)
            .ok_or_else(|| Problem::new(format!("expected {}", key.kind.describe()))),
        Kind::TextList if starts_with(&['[']) => {
            read_value(text.trim(), origin).ok_or_else(|| Problem::new("the list is not valid TOML"))
        }
        Kind::TextList => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Ok(node(Value::List(
                items.map(|item| node(Value::text(item))).collect(),
            )))
        }
        // A secret may itself begin with a bracket; then it is no TOML of the right shape, and taken as it is.
        Kind::Secret | Kind::Secrets if starts_with(&['[', '{']) => {
            Ok(read_value(text.trim(), origin).unwrap_or_else(|| node(Value::text(text))))
        }
        Kind::Secret | Kind::Secrets => Ok(node(Value::text(text))),
        Kind::Map | Kind::Tables => read_value(text.trim(), origin)
            .ok_or_else(|| Problem::new(format!("expected {} in TOML", key.kind.describe()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one_in_characters() {
        let text = "a = 1\r\nüü = 2\nlast";
        assert_eq!(position(text, 0), Origin::File { line: 1, column: 1 });
        assert_eq!(
            position(text, text.find('2').unwrap()),
            Origin::File { line: 2, column: 6 }
        );
        assert_eq!(position(text, text.len()), Origin::File { line: 3, column: 5 });
        assert_eq!(position(text, 10_000), Origin::File { line: 3, column: 5 });
    }

    #[test]
    fn unknown_keys_are_found_at_every_level() {
        let (_, errors) = read("listn = \"\"\n[logto]\nendpoit = \"\"\n[tls]\n");
        let found: Vec<_> = errors
            .iter()
            .map(|error| (error.key(), error.origin().clone()))
            .collect();
        assert_eq!(
            found,
            [
                ("listn", Origin::File { line: 1, column: 1 }),
                ("logto.endpoit", Origin::File { line: 3, column: 1 }),
                ("tls", Origin::File { line: 4, column: 2 }),
            ]
        );
    }

    #[test]
    fn a_quoted_path_is_not_a_key() {
        let (layer, errors) = read("\"logto.app_id\" = \"x\"");
        assert!(layer.values.is_empty());
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn a_dotted_key_is_one() {
        let (layer, errors) = read("logto.app_id = \"x\"");
        assert!(errors.is_empty());
        assert!(layer.values.contains_key("logto.app_id"));
    }
}
