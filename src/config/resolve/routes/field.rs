//! One key of a `[[route]]`.

use crate::config::error::{Origin, Problem};
use crate::config::file;
use crate::config::keys::{Preset, ROUTE_KEYS};
use crate::config::node::{Entry, Node, Value};
use crate::config::reader::{Reader, text_of};

/// The value that a route gives a key, or its preset.
pub(in crate::config::resolve) fn field(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    route: &Origin,
    key: &'static str,
) -> Option<Node> {
    reader.asked.insert(key);
    let definition = ROUTE_KEYS.iter().find(|definition| definition.path == key)?;
    let given = entries
        .iter()
        .find(|entry| entry.name == definition.name())
        .map(|entry| entry.node.clone());
    match (given, definition.preset) {
        (Some(node), _) => Some(node),
        (None, Preset::Value(text)) => file::read_value(text, route),
        (None, _) => {
            reader.fail_at(
                route.clone(),
                key,
                Problem::new("required").help(definition.meaning),
            );
            None
        }
    }
}

/// The value that a route gives a key for which something else stands in.
pub(super) fn given(reader: &mut Reader<'_>, entries: &[Entry], key: &'static str) -> Option<Node> {
    reader.asked.insert(key);
    let definition = ROUTE_KEYS.iter().find(|definition| definition.path == key)?;
    let given = entries.iter().find(|entry| entry.name == definition.name());
    given.map(|entry| entry.node.clone())
}

pub(super) fn text<T>(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    route: &Origin,
    key: &'static str,
    parse: impl FnOnce(&str) -> Result<T, Problem>,
) -> Option<(T, Origin)> {
    let node = field(reader, entries, route, key)?;
    let parsed = text_of(&node).and_then(parse);
    reader
        .keep(node.origin.clone(), key, parsed)
        .map(|value| (value, node.origin))
}

/// `true` or `false`.
pub(super) fn flag(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    route: &Origin,
    key: &'static str,
) -> Option<bool> {
    let node = field(reader, entries, route, key)?;
    let read = match node.value {
        Value::Boolean(boolean) => Ok(boolean),
        other => Err(Problem::new(format!(
            "expected true or false, found {}",
            other.describe()
        ))),
    };
    reader.keep(node.origin, key, read)
}
