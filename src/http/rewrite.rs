//! Another path for an upstream than the one that was judged: its first segments give way to others.
//!
//! Promises that the rest goes on byte for byte, the query with it, and that nothing climbs: only a path that everybody
//! reads alike is rewritten, what is put in front is one too, and both are joined at a slash. So what a rule matched by
//! its first segments stays below what they are replaced by.

use super::RequestTarget;
use ::http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a path: `pchar` of RFC 3986 §3.3 without `;`, and the slash.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// Replaces the first segments of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    segments: usize,
    /// Escaped; empty for `/`.
    beginning: Box<str>,
}

impl Rewrite {
    /// Puts `beginning`, a decoded path, in the place of the first `segments` segments. `None` when it can be read in more
    /// than one way.
    pub fn new(segments: usize, beginning: &str) -> Option<Self> {
        let escaped = utf8_percent_encode(beginning, ESCAPED).to_string();
        let uri = escaped.parse().ok()?;
        let target = RequestTarget::parse(&uri, usize::MAX).ok()?;
        (target.canonical_path() == Ok(beginning)).then(|| Self {
            segments,
            beginning: if beginning == "/" { "" } else { &escaped }.into(),
        })
    }

    /// What goes in front, escaped.
    pub fn beginning(&self) -> &str {
        if self.beginning.is_empty() {
            "/"
        } else {
            &self.beginning
        }
    }

    /// What becomes of a path, or of a pattern of paths. For people to read.
    pub fn shown(&self, pattern: &str) -> String {
        self.put_before(pattern).unwrap_or_else(|| pattern.to_owned())
    }

    fn put_before(&self, path: &str) -> Option<String> {
        let mut slashes = path.match_indices('/').map(|(at, _)| at);
        let rest = match slashes.nth(self.segments) {
            Some(at) => path.get(at..)?,
            None if path.matches('/').count() == self.segments => "",
            None => return None,
        };
        let mut text = String::with_capacity(path.len().saturating_add(self.beginning.len()));
        text.push_str(&self.beginning);
        text.push_str(rest);
        if text.is_empty() {
            text.push('/');
        }
        Some(text)
    }

    /// The target under its other path. `None` for a path that has fewer segments or could be read in more than one way, and
    /// for one that becomes too long.
    pub fn apply(&self, target: &RequestTarget) -> Option<PathAndQuery> {
        target.canonical_path().ok()?;
        // Escapes never hide a slash in such a path, so its raw segments are the judged ones.
        let mut text = self.put_before(target.raw_path())?;
        if let Some(query) = target.query() {
            text.push('?');
            text.push_str(query);
        }
        let rewritten = PathAndQuery::try_from(text).ok()?;
        rewritten.as_str().starts_with('/').then_some(rewritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(rewrite: &Rewrite, target: &str) -> Option<String> {
        let target = RequestTarget::parse(&target.parse().unwrap(), 8192).unwrap();
        rewrite.apply(&target).map(|path| path.as_str().to_owned())
    }

    #[test]
    fn the_first_segments_give_way_and_the_rest_stays_byte_for_byte() {
        for (segments, beginning, target, expected) in [
            (1, "/", "/api/users", "/users"),
            (1, "/", "/api", "/"),
            (1, "/", "/api/", "/"),
            (1, "/", "/api?x=1", "/?x=1"),
            (
                1,
                "/",
                "/%61pi/a%20b?c=%2F%zz&d=../e//f",
                "/a%20b?c=%2F%zz&d=../e//f",
            ),
            (1, "/v2", "/api/users", "/v2/users"),
            (1, "/v2", "/api", "/v2"),
            (1, "/v2", "/api/", "/v2/"),
            (2, "/v2/old", "/api/x/y/z", "/v2/old/y/z"),
            (0, "/app", "/x", "/app/x"),
            (0, "/app", "/", "/app/"),
            (1, "/docs/", "/docs", "/docs/"),
            (1, "/caf\u{e9} a", "/x/y", "/caf%C3%A9%20a/y"),
            (1, "/", "/api/x?", "/x?"),
        ] {
            let rewrite = Rewrite::new(segments, beginning).unwrap();
            assert_eq!(rewritten(&rewrite, target).as_deref(), Some(expected), "{target}");
        }
    }

    #[test]
    fn patterns_are_shown_as_their_paths_arrive() {
        for (segments, beginning, pattern, expected) in [
            (1, "/", "/api/*", "/*"),
            (1, "/", "/api", "/"),
            (1, "/v2", "/api/*/edit", "/v2/*/edit"),
            (0, "/app", "/*", "/app/*"),
        ] {
            let rewrite = Rewrite::new(segments, beginning).unwrap();
            assert_eq!(rewrite.shown(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_rewritten() {
        let strip = Rewrite::new(1, "/").unwrap();
        for target in [
            "/api//evil",
            "/api/../x",
            "/api/%2e%2e/x",
            "/api/a%2fb",
            "/api;x/y",
            "//api",
        ] {
            assert_eq!(rewritten(&strip, target), None, "{target}");
        }
        for beginning in [
            "", "a", "//a", "/a//b", "/../a", "/a/.", "/a;b", "/a\\b", "/a%2f", "/a?b", "/a#b",
        ] {
            assert_eq!(Rewrite::new(1, beginning), None, "{beginning}");
        }
        assert_eq!(rewritten(&Rewrite::new(3, "/").unwrap(), "/a/b"), None);
    }
}
