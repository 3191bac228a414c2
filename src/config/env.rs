//! The environment and the command line, laid over the file.
//!
//! `LOGTO_PROXY__SECTION__KEY` sets `section.key`. A variable of that form that names no key is an error:
//! a misspelt one would otherwise leave a default in force unseen. So is one that lacks the second underscore in front and
//! is otherwise of that form. What else begins with `LOGTO_PROXY_` is somebody else's: Kubernetes sets such names for a
//! service, and secrets are taken from variables of any name.

use super::error::{ConfigError, Origin, Problem, shown};
use super::file::{self, shape};
use super::keys::{self, KEYS, Key, Kind};
use super::node::{Entry, Layer};
use super::suggest::{self, Meant};
use std::ffi::{OsStr, OsString};

/// The environment variables a configuration may read: the process's, or in a test the test's.
/// Its `Debug` says nothing, since values may be secrets.
#[derive(Clone, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// Takes these variables.
    pub fn new(variables: Vec<(OsString, OsString)>) -> Self {
        Self(variables)
    }

    /// The variables of this process.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of a variable. Of two with one name the first counts.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_os_str())
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Environment").field(&self.0.len()).finish()
    }
}

/// What the environment says.
pub(super) fn read_environment(environment: &Environment) -> (Layer, Vec<ConfigError>) {
    let mut reader = OverlayReader::default();
    for (name, value) in &environment.0 {
        let Some(name) = name.to_str() else {
            continue;
        };
        let Some(path) = name.strip_prefix(keys::VARIABLE_PREFIX) else {
            reader.errors.extend(short_of_an_underscore(name));
            continue;
        };
        let origin = Origin::Variable(format!("{}{}", keys::VARIABLE_PREFIX, shown(path)));
        let path = path.to_ascii_lowercase().replace("__", ".");
        match value.to_str() {
            Some(text) => reader.set(&path, text, origin),
            None => reader.errors.push(ConfigError::new(
                origin,
                shown(&path),
                Problem::new("the value is not UTF-8"),
            )),
        }
    }
    (reader.layer, reader.errors)
}

/// What the command line says: pairs of dotted key path and text.
pub(super) fn read_overrides(overrides: &[(String, String)]) -> (Layer, Vec<ConfigError>) {
    let mut reader = OverlayReader::default();
    for (path, text) in overrides {
        reader.set(path, text, Origin::Flag(shown(path)));
    }
    (reader.layer, reader.errors)
}

#[derive(Default)]
struct OverlayReader {
    layer: Layer,
    errors: Vec<ConfigError>,
}

impl OverlayReader {
    fn set(&mut self, path: &str, text: &str, origin: Origin) {
        if let Some(key) = KEYS.iter().find(|key| key.path == path) {
            match shape(key, text, &origin) {
                Ok(node) => {
                    self.layer.values.insert(key.path, node);
                }
                Err(problem) => self.errors.push(ConfigError::new(origin, key.path, problem)),
            }
        } else if let Some((key, name)) = map_entry(path) {
            self.set_map_entry(key, name, text, origin);
        } else {
            let (section, name) = match path.split_once('.') {
                Some((section, name)) if keys::is_section(section) => (section, name),
                _ => ("", path),
            };
            let help = match section {
                "" => suggest::path(path).map(|meant| did_you_mean(meant, &origin)),
                "route" => Some(
                    "routes are set all at once: [{ path = \"/public/*\", access = \"public\" }]".to_owned(),
                ),
                _ => None,
            };
            self.errors.push(match help {
                Some(help) => ConfigError::new(origin, shown(path), Problem::new("unknown key").help(help)),
                None => file::unknown_key(section, name, origin),
            });
        }
    }

    fn set_map_entry(&mut self, key: &'static Key, name: &str, text: &str, origin: Origin) {
        // Header names have dashes, which names of variables cannot have.
        let name = if key.path == "headers" {
            name.replace('_', "-")
        } else {
            name.to_owned()
        };
        // A table or `false` is meant as such, everything else is text.
        let as_toml = matches!(text.trim(), "false") || text.trim_start().starts_with('{');
        let parsed = if as_toml {
            file::read_value(text.trim(), &origin)
        } else {
            None
        };
        let node = match parsed {
            Some(node) => Ok(node),
            None if as_toml => Err(Problem::new("the table is not valid TOML")),
            None => shape(
                &Key {
                    kind: Kind::Text,
                    ..*key
                },
                text,
                &origin,
            ),
        };
        match node {
            Ok(node) => self
                .layer
                .map_entries
                .push((key.path, Entry { name, origin, node })),
            Err(problem) => {
                self.errors.push(ConfigError::new(
                    origin,
                    format!("{}.{}", key.path, shown(&name)),
                    problem,
                ));
            }
        }
    }
}

/// The error for `LOGTO_PROXY_SESSION__KEYS`, which would not be looked at.
fn short_of_an_underscore(name: &str) -> Option<ConfigError> {
    let rest = name.strip_prefix(keys::VARIABLE_PREFIX.strip_suffix('_')?)?;
    let path = rest.to_ascii_lowercase().replace("__", ".");
    let meant = suggest::path(&path).filter(|_| rest.contains("__"))?;
    let origin = Origin::Variable(shown(name));
    let help = did_you_mean(meant, &origin);
    let problem = Problem::new("variables that set a key begin with LOGTO_PROXY__, with two underscores");
    Some(ConfigError::new(origin, shown(&path), problem.help(help)))
}

/// Spelt as the origin spells keys.
fn did_you_mean(meant: Meant, origin: &Origin) -> String {
    match (meant, origin) {
        (Meant::Key(path), Origin::Variable(_)) => format!("did you mean {}?", keys::variable(path)),
        (Meant::Section(section), Origin::Variable(_)) => {
            format!("did you mean {}__…?", keys::variable(section))
        }
        (Meant::Key(path), _) => format!("did you mean `{path}`?"),
        (Meant::Section(section), _) => format!("did you mean `{section}.…`?"),
    }
}

/// `headers.x-team` names an entry of the map `headers`.
fn map_entry(path: &str) -> Option<(&'static Key, &str)> {
    KEYS.iter().filter(|key| key.kind == Kind::Map).find_map(|key| {
        let name = path.strip_prefix(key.path)?.strip_prefix('.')?;
        (!name.is_empty() && !name.contains('.')).then_some((key, name))
    })
}
