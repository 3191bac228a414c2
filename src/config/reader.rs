//! Typed reading of keys. Every method reports what is wrong and goes on, so that one run finds all problems.
//!
//! `None` from a method means that a problem has been reported (or, for a computed default, that the key
//! is not given); the callers read all their keys before they give up on any.

use super::error::{ConfigError, Origin, Problem};
use super::file;
use super::keys::{self, Preset};
use super::node::{Layer, Node, Value};
use super::source::{Source, describe};
use super::suggest;
use super::value::duration;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads keys out of the merged layers.
pub(super) struct Reader<'a> {
    pub(super) layer: Layer,
    pub(super) errors: Vec<ConfigError>,
    pub(super) warnings: Vec<String>,
    pub(super) source: &'a Source,
    /// Every file that was named, found or not.
    pub(super) files: BTreeSet<PathBuf>,
    /// Every key that was asked for: a test holds it to the table.
    pub(super) asked: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(layer: Layer, errors: Vec<ConfigError>, source: &'a Source) -> Self {
        Self {
            layer,
            errors,
            warnings: Vec::new(),
            source,
            files: BTreeSet::new(),
            asked: BTreeSet::new(),
        }
    }

    /// Reports a problem with this key at the place where it was set.
    #[cold]
    pub(super) fn fail(&mut self, path: &str, problem: Problem) {
        let origin = self.origin(path);
        self.fail_at(origin, path, problem);
    }

    /// Reports a problem at a place of its own.
    #[cold]
    pub(super) fn fail_at(&mut self, origin: Origin, path: &str, problem: Problem) {
        self.errors.push(ConfigError::new(origin, path, problem));
    }

    /// Unwraps, or reports.
    pub(super) fn keep<T>(&mut self, origin: Origin, path: &str, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.fail_at(origin, path, problem)).ok()
    }

    /// Whether somebody set this key.
    pub(super) fn is_given(&self, path: &str) -> bool {
        self.layer.values.contains_key(path)
    }

    /// Where this key was set; for one that was not, its section if that was opened.
    pub(super) fn origin(&self, path: &str) -> Origin {
        let section = path.split_once('.').map_or("", |(section, _)| section);
        let given = self.layer.values.get(path).map(|node| &node.origin);
        given
            .or_else(|| self.layer.sections.get(section))
            .cloned()
            .unwrap_or(Origin::Nowhere)
    }

    /// The key's value or its preset.
    pub(super) fn node(&mut self, path: &'static str) -> Option<Node> {
        self.asked.insert(path);
        if let Some(node) = self.layer.values.get(path) {
            return Some(node.clone());
        }
        match keys::find(path).map(|key| (key, key.preset)) {
            Some((_, Preset::Value(text))) => file::read_value(text, &Origin::Nowhere),
            Some((key, Preset::Required)) => {
                let help = format!("{} Variable: {}.", key.meaning, key.variable());
                self.fail(
                    path,
                    Problem::new(format!("required, {}", key.kind.describe())).help(help),
                );
                None
            }
            Some((_, Preset::Computed(_))) | None => None,
        }
    }

    /// A string, parsed.
    pub(super) fn text<T>(
        &mut self,
        path: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let node = self.node(path)?;
        let result = text_of(&node).and_then(parse);
        self.keep(node.origin, path, result)
    }

    /// A string, parsed unless it is empty.
    pub(super) fn optional_text<T>(
        &mut self,
        path: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Option<T>> {
        self.text(path, |text| {
            if text.is_empty() {
                Ok(None)
            } else {
                parse(text).map(Some)
            }
        })
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&mut self, path: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        let node = self.node(path)?;
        self.keep(node.origin.clone(), path, choice_of(&node, choices))
    }

    /// A string or an array of strings, each parsed.
    pub(super) fn list<T>(
        &mut self,
        path: &'static str,
        mut parse: impl FnMut(&str) -> Result<T, Problem>,
    ) -> Option<Vec<T>> {
        let node = self.node(path)?;
        let items = match node.value {
            Value::List(items) => items,
            Value::Text(_) => vec![node],
            other => {
                let problem = format!(
                    "expected a string or a list of strings, found {}",
                    other.describe()
                );
                self.fail(path, Problem::new(problem));
                return None;
            }
        };
        let total = items.len();
        let parsed: Vec<T> = items
            .into_iter()
            .filter_map(|item| {
                let result = text_of(&item).and_then(&mut parse);
                self.keep(item.origin, path, result)
            })
            .collect();
        (parsed.len() == total).then_some(parsed)
    }

    /// A duration within bounds.
    pub(super) fn duration(
        &mut self,
        path: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let node = self.node(path)?;
        let result = duration_of(&node, &range);
        self.keep(node.origin, path, result)
    }

    /// An integer within bounds.
    pub(super) fn integer(&mut self, path: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let node = self.node(path)?;
        let result = match node.value {
            Value::Integer(integer) => integer
                .and_then(|integer| u64::try_from(integer).ok())
                .filter(|integer| range.contains(integer))
                .ok_or_else(|| {
                    Problem::new(format!(
                        "expected an integer from {} to {}",
                        range.start(),
                        range.end()
                    ))
                }),
            other => Err(Problem::new(format!(
                "expected an integer, found {}",
                other.describe()
            ))),
        };
        self.keep(node.origin, path, result)
    }

    /// The same as a size in memory.
    pub(super) fn size(&mut self, path: &'static str, range: RangeInclusive<u64>) -> Option<usize> {
        self.integer(path, range)
            .and_then(|integer| usize::try_from(integer).ok())
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, path: &'static str) -> Option<bool> {
        let node = self.node(path)?;
        let result = match node.value {
            Value::Boolean(boolean) => Ok(boolean),
            other => Err(Problem::new(format!(
                "expected true or false, found {}",
                other.describe()
            ))),
        };
        self.keep(node.origin, path, result)
    }

    /// Where a path leads: a relative one in the configuration file starts at its directory, any other at the
    /// working directory.
    pub(super) fn located(&self, origin: &Origin, path: &str) -> PathBuf {
        self.directory(origin).join(path)
    }

    fn directory(&self, origin: &Origin) -> &'a Path {
        match origin {
            Origin::File { .. } => self.source.path.parent().unwrap_or(Path::new("")),
            _ => Path::new(""),
        }
    }

    /// Reads a file that a value names.
    pub(super) fn file(&mut self, origin: &Origin, path: &str) -> Result<Vec<u8>, Problem> {
        if path.is_empty() {
            return Err(Problem::new("the path is empty"));
        }
        let directory = self.directory(origin);
        let full = directory.join(path);
        self.files.insert(full.clone());
        self.source.files.read(&full).map_err(|error| {
            // A bare word may be the secret itself, put where the name of its file belongs.
            let shown = if path.starts_with(['/', '.']) {
                full.display().to_string()
            } else {
                "the file of this name in ".to_owned() + &shown_directory(directory)
            };
            Problem::new(format!("cannot read {shown}: {}", describe(&error)))
        })
    }
}

/// A directory in words.
fn shown_directory(directory: &Path) -> String {
    if directory.as_os_str().is_empty() {
        "the working directory".to_owned()
    } else {
        directory.display().to_string()
    }
}

/// The text of a string value. Control characters never have a meaning in one.
pub(super) fn text_of(node: &Node) -> Result<&str, Problem> {
    match &node.value {
        Value::Text(text) if text.chars().any(char::is_control) => {
            Err(Problem::new("control characters and line breaks are not allowed"))
        }
        Value::Text(text) => Ok(text),
        other => Err(Problem::new(format!(
            "expected a string, found {}",
            other.describe()
        ))),
    }
}

/// The duration of a value, within bounds.
pub(super) fn duration_of(node: &Node, range: &RangeInclusive<Duration>) -> Result<Duration, Problem> {
    let text = match &node.value {
        // A bare number is refused like one in quotes, with a word about the unit that it lacks.
        Value::Integer(Some(number)) => Cow::Owned(number.to_string()),
        _ => Cow::Borrowed(text_of(node)?),
    };
    let parsed = duration::parse(&text)?;
    if range.contains(&parsed) {
        return Ok(parsed);
    }
    let (least, most) = (duration::display(*range.start()), duration::display(*range.end()));
    Err(Problem::new(format!(
        "expected a duration from {least} to {most}"
    )))
}

/// One of these words.
pub(super) fn choose<T: Copy>(text: &str, choices: &[(&'static str, T)]) -> Result<T, Problem> {
    if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
    let near = suggest::nearest(text, choices.iter().map(|(word, _)| *word));
    Err(Problem::new(format!("expected {}", either(&words)))
        .maybe_help(near.map(|near| format!("did you mean `{near}`?"))))
}

/// One of these words; of a value that is no string the error says which there are.
pub(super) fn choice_of<T: Copy>(node: &Node, choices: &[(&'static str, T)]) -> Result<T, Problem> {
    match &node.value {
        Value::Text(_) => choose(text_of(node)?, choices),
        other => {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            let problem = format!("expected {}, found {}", either(&words), other.describe());
            Err(Problem::new(problem))
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
fn either(words: &[String]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}
