//! Values with their places, before they mean anything.

use super::error::Origin;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// A value and where it stands. No `Debug`: the text may be a secret.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// The value of a [`Node`]. Text is wiped when dropped.
#[derive(Clone)]
pub(super) enum Value {
    Text(Zeroizing<String>),
    /// `None`: an integer too large for 64 bits.
    Integer(Option<i64>),
    Boolean(bool),
    /// A float or a date, which no key takes.
    Other(&'static str),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// One name of a table, in the order of the file.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) node: Node,
}

/// What one source (file, environment, command line) says, by key path.
#[derive(Default)]
pub(super) struct Layer {
    pub(super) values: BTreeMap<&'static str, Node>,
    /// Where the sections that were opened stand.
    pub(super) sections: BTreeMap<&'static str, Origin>,
    /// Single names put into a [`super::keys::Kind::Map`] key, over what lower layers say of that name.
    pub(super) map_entries: Vec<(&'static str, Entry)>,
}

impl Layer {
    /// Lays `upper` over this layer: what it names replaces what is here.
    pub(super) fn overlay(&mut self, upper: Self) {
        self.values.extend(upper.values);
        for (path, entry) in upper.map_entries {
            let node = self.values.entry(path).or_insert_with(|| Node {
                origin: entry.origin.clone(),
                value: Value::Table(Vec::new()),
            });
            // A map that is not a table is reported where it is read.
            if let Value::Table(entries) = &mut node.value {
                entries.retain(|existing| !existing.name.eq_ignore_ascii_case(&entry.name));
                entries.push(entry);
            }
        }
    }
}

impl Value {
    /// The value's type in words.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "true or false",
            Self::Other(name) => name,
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Text(Zeroizing::new(text.to_owned()))
    }
}

impl Node {
    /// Takes a parsed TOML value over. `place` turns a byte offset into its origin.
    pub(super) fn from_toml(value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Origin) -> Self {
        let converted = match value.get_ref() {
            DeValue::String(text) => Value::text(text),
            DeValue::Integer(integer) => {
                Value::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok())
            }
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Float(_) => Value::Other("a decimal number"),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| Self::from_toml(item, place)).collect())
            }
            DeValue::Table(table) => Value::Table(entries(table, place)),
        };
        Self {
            origin: place(value.span().start),
            value: converted,
        }
    }
}

/// The entries of a TOML table in the order of the file.
pub(super) fn entries(table: &DeTable<'_>, place: &dyn Fn(usize) -> Origin) -> Vec<Entry> {
    let mut sorted: Vec<_> = table.iter().collect();
    sorted.sort_by_key(|(key, _)| key.span().start);
    sorted
        .into_iter()
        .map(|(key, value)| Entry {
            name: key.get_ref().to_string(),
            origin: place(key.span().start),
            node: Node::from_toml(value, place),
        })
        .collect()
}
