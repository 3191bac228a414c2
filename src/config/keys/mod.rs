//! The one table of configuration keys.
//!
//! Everything that has to know the keys reads this table: the file reader (unknown keys, nearest
//! spelling), the environment overlay (how a variable's text is read), the defaults themselves, and the
//! tests that hold `docs/configuration.md` to it. A key that is not here does not exist.

mod table;

pub use table::{ACCESS_KEYS, CORS_KEYS, KEYS, ROUTE_KEYS, SECTIONS};

/// What a key's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A string or an array of strings.
    TextList,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A string such as `"90s"` or `"1h30m"`.
    Duration,
    /// A secret: `"value"`, `{ env = "NAME" }` or `{ file = "PATH" }`.
    Secret,
    /// A secret or an array of them.
    Secrets,
    /// A table whose names the operator chooses.
    Map,
    /// An array of tables.
    Tables,
    /// A string or a table.
    TextOrTable,
}

impl Kind {
    /// The kind in words, as messages and documentation name it.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::TextList => "string or list of strings",
            Self::Integer => "integer",
            Self::Boolean => "true or false",
            Self::Duration => "duration",
            Self::Secret => "secret",
            Self::Secrets => "secret or list of secrets",
            Self::Map => "table",
            Self::Tables => "array of tables",
            Self::TextOrTable => "string or table",
        }
    }
}

/// What holds when a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Nothing: the key must be given.
    Required,
    /// This value, in TOML. The loader reads this very text.
    Value(&'static str),
    /// Something worked out from elsewhere, described here in words.
    Computed(&'static str),
}

/// What the names of the environment variables that set keys begin with.
pub const VARIABLE_PREFIX: &str = "LOGTO_PROXY__";

/// One key of `proxy.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Dotted path: `section.key`, or `key` for the top of the file.
    pub path: &'static str,
    /// The shape of its value.
    pub kind: Kind,
    /// What holds when it is not given.
    pub preset: Preset,
    /// What it is for, in one line of Markdown.
    pub meaning: &'static str,
}

/// The key of this path, in `[[route]]` too.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().chain(ROUTE_KEYS).find(|key| key.path == path)
}

/// The environment variable that sets the key of this path.
pub fn variable(path: &str) -> String {
    format!(
        "{VARIABLE_PREFIX}{}",
        path.to_ascii_uppercase().replace('.', "__")
    )
}

/// Whether this is the name of a `[section]` or `[[section]]`.
pub fn is_section(name: &str) -> bool {
    !name.is_empty() && SECTIONS.iter().any(|(section, _)| *section == name)
}

impl Key {
    /// The section the key stands in; empty for the top of the file.
    pub fn section(&self) -> &'static str {
        match self.path.split_once('.') {
            Some((section, _)) => section,
            None if is_section(self.path) => self.path,
            None => "",
        }
    }

    /// The key's own name, without its section.
    pub fn name(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        variable(self.path)
    }
}
