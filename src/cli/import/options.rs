//! What an operator of oauth2-proxy has set.

use std::collections::BTreeMap;

/// Where an option stands. Later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    File,
    Environment,
    CommandLine,
}

/// The options that are set, by their name in the file.
#[derive(Default)]
pub(super) struct Options {
    set: BTreeMap<&'static str, (Origin, Vec<String>)>,
    /// Names that are none of oauth2-proxy's.
    pub(super) unknown: Vec<String>,
}

impl Options {
    /// Sets an option, unless something that goes before has.
    pub(super) fn set(&mut self, name: &'static str, values: Vec<String>, origin: Origin) {
        let stronger = |(earlier, _): &(Origin, _)| *earlier > origin;
        if !self.set.get(name).is_some_and(stronger) {
            self.set.insert(name, (origin, values));
        }
    }

    /// Whether nothing of oauth2-proxy's was found.
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unknown.is_empty()
    }

    /// The items of a list; none when it is not set.
    pub(super) fn list(&self, name: &str) -> &[String] {
        self.set.get(name).map_or(&[], |(_, values)| values)
    }

    /// A text that is set and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let text = self.list(name).first()?;
        Some(text.trim()).filter(|text| !text.is_empty())
    }

    /// A switch, with oauth2-proxy's own default.
    pub(super) fn is_true(&self, name: &str, preset: bool) -> bool {
        self.text(name).map_or(preset, |text| {
            matches!(text, "true" | "True" | "TRUE" | "t" | "T" | "1")
        })
    }

    /// Where it stands; `None` when it is not set.
    pub(super) fn origin(&self, name: &str) -> Option<Origin> {
        self.set.get(name).map(|(origin, _)| *origin)
    }

    /// Whether it says something other than "no".
    pub(super) fn says(&self, name: &str) -> bool {
        let no = |text: &String| matches!(text.as_str(), "" | "false" | "False" | "FALSE" | "f" | "F" | "0");
        self.list(name).iter().any(|text| !no(text))
    }
}
