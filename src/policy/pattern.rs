//! Path patterns of rules: segments, `*` for exactly one of them, a final `/*` for the rest.
//!
//! There are no regular expressions: a pattern covers what it spells, aligned to segments, so `/admin/*` never covers
//! `/administrator`. What letter case means, the route table says.
//!
//! Patterns are in one order, from the most to the least specific. They are compared segment by segment: where
//! two first differ, a name goes before `*`, `*` before the end of the pattern, and the end before a final `/*`.
//! Among patterns that cover one path no two are equal.

use super::letter_case::folded;
use std::cmp::Ordering;
use std::fmt;

/// What a rule's `path` covers, compared with the canonical (once decoded) path of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPattern {
    segments: Vec<Segment>,
    /// Whether it ends in `/*`: it then covers the path without that, and everything below it.
    rest: bool,
}

/// What a pattern asks of one segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Segment {
    /// This very text. Empty only as the last one: the path ends in a slash.
    Name(Box<str>),
    /// Any text but none.
    Any,
}

impl Segment {
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::Name(name) => **name == *text,
            Self::Any => !text.is_empty(),
        }
    }
}

/// Why a text is not a path pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not start with `/`.
    #[error("a path starts with \"/\"")]
    NotAbsolute,
    /// It has `*` as a part of a segment.
    #[error("\"*\" stands for a whole segment, as in \"/users/*/edit\", or as the last one for the rest")]
    Wildcard,
    /// It has an empty or dot segment, `;`, `\`, `?`, `#`, `%` or a control character.
    #[error("a path has no empty, \".\" or \"..\" segment and none of ; \\ ? # % or control characters")]
    NotCanonical,
}

impl PathPattern {
    /// The pattern that covers every path: `/*`.
    pub const EVERYTHING: Self = Self {
        segments: Vec::new(),
        rest: true,
    };

    /// Reads a pattern. The text is the decoded path, not its percent-encoded form.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(body) = text.strip_prefix('/') else {
            return Err(PatternError::NotAbsolute);
        };
        let forbidden = |c: char| c.is_control() || matches!(c, ';' | '\\' | '?' | '#' | '%');
        if body.contains(forbidden) {
            return Err(PatternError::NotCanonical);
        }
        let mut texts: Vec<&str> = body.split('/').collect();
        let rest = texts.last() == Some(&"*");
        if rest {
            texts.pop();
        }
        let count = texts.len();
        let mut segments = Vec::with_capacity(count);
        for (index, text) in texts.into_iter().enumerate() {
            let is_last = index.saturating_add(1) == count;
            segments.push(match text {
                "*" => Segment::Any,
                "." | ".." => return Err(PatternError::NotCanonical),
                // A trailing slash of an exact path is a path of its own, so its empty last segment is allowed.
                "" if rest || !is_last => return Err(PatternError::NotCanonical),
                text if text.contains('*') => return Err(PatternError::Wildcard),
                text => Segment::Name(text.into()),
            });
        }
        Ok(Self { segments, rest })
    }

    /// Whether a canonical path is covered. The route table finds by another way what this defines.
    pub fn covers(&self, canonical_path: &str) -> bool {
        let Some(body) = canonical_path.strip_prefix('/') else {
            return false;
        };
        let mut texts = body.split('/');
        // `/*` covers `/`, whose one segment is empty, as everything else.
        let all_there = self
            .segments
            .iter()
            .all(|segment| texts.next().is_some_and(|text| segment.fits(text)));
        all_there && (self.rest || texts.next().is_none())
    }

    /// Whether it names something that can be written with capitals or without.
    pub(super) fn has_letters(&self) -> bool {
        let is_letter = |segment: &Segment| match segment {
            Segment::Name(name) => name.chars().any(char::is_alphabetic),
            Segment::Any => false,
        };
        self.segments.iter().any(is_letter)
    }

    /// The same for paths that are folded themselves.
    pub(super) fn folded(&self) -> Self {
        let fold = |segment: &Segment| match segment {
            Segment::Name(name) => Segment::Name(folded(name).into()),
            Segment::Any => Segment::Any,
        };
        Self {
            segments: self.segments.iter().map(fold).collect(),
            rest: self.rest,
        }
    }

    /// Whether it covers something at or below `beginning`: segments, each after a slash, or nothing for the root.
    pub(super) fn covers_some_below(&self, beginning: &str) -> bool {
        let mut segments = self.segments.iter();
        let mut texts = beginning.split('/').skip(1);
        texts.all(|text| match segments.next() {
            Some(segment) => segment.fits(text),
            None => self.rest,
        })
    }

    /// Whether it covers everything at or below `beginning`.
    pub(super) fn covers_all_below(&self, beginning: &str) -> bool {
        let mut texts = beginning.split('/').skip(1);
        let mut segments = self.segments.iter();
        self.rest && segments.all(|segment| texts.next().is_some_and(|text| segment.fits(text)))
    }

    /// The more specific of two patterns comes first.
    pub fn by_specificity(&self, other: &Self) -> Ordering {
        self.shape().cmp(other.shape())
    }

    fn shape(&self) -> impl Iterator<Item = Shape<'_>> {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Name(name) => Shape::Name(name),
            Segment::Any => Shape::Any,
        });
        segments.chain([if self.rest { Shape::Rest } else { Shape::End }])
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) const fn has_rest(&self) -> bool {
        self.rest
    }
}

/// A pattern's parts in the order of what is specific.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Shape<'a> {
    Name(&'a str),
    Any,
    End,
    Rest,
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Name(name) => write!(formatter, "/{name}")?,
                Segment::Any => formatter.write_str("/*")?,
            }
        }
        if self.rest {
            formatter.write_str("/*")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_whole_segments_only() {
        let table = [
            ("/admin", "/admin", true),
            ("/admin", "/admin/", false),
            ("/admin", "/Admin", false),
            ("/admin/", "/admin/", true),
            ("/admin/", "/admin", false),
            ("/admin/*", "/admin", true),
            ("/admin/*", "/admin/", true),
            ("/admin/*", "/admin/users/1", true),
            ("/admin/*", "/administrator", false),
            ("/*", "/", true),
            ("/*", "/anything/below", true),
            ("/", "/", true),
            ("/", "/x", false),
            ("/users/*/edit", "/users/7/edit", true),
            ("/users/*/edit", "/users/edit", false),
            ("/users/*/edit", "/users//edit", false),
            ("/users/*/edit", "/users/7/8/edit", false),
            ("/users/*/edit", "/users/7/edit/", false),
            ("/users/*/edit/", "/users/7/edit/", true),
            ("/users/*/*", "/users/7", true),
            ("/users/*/*", "/users/7/8/9", true),
            ("/users/*/*", "/users", false),
            ("/users/*/*", "/users/", false),
            ("/*/*", "/", false),
            ("/*/*", "/x", true),
            ("/*/", "/x/", true),
            ("/*/", "/x", false),
        ];
        for (pattern, path, expected) in table {
            let parsed = PathPattern::parse(pattern).unwrap();
            assert_eq!(parsed.covers(path), expected, "{pattern} on {path}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn odd_patterns_are_refused() {
        for text in [
            "", "admin", "*", "/a*", "/a*/b", "/*a/*", "/a/**", "/a//b", "//", "/./a", "/a/..", "/a;b",
            "/a%2f", "/a?b", "/a#b", "/a\\b", "//*", "/a//*", "/../*", "/a\u{0}",
        ] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_order_is_total_and_goes_from_the_specific_to_the_general() {
        let sorted = [
            "/a/b/c", "/a/b", "/a/b/*", "/a/*/c", "/a/*/*", "/a", "/a/*", "/b", "/*/b", "/*/*", "/*",
        ];
        let patterns: Vec<PathPattern> = sorted
            .iter()
            .map(|text| PathPattern::parse(text).unwrap())
            .collect();
        for (left, first) in patterns.iter().enumerate() {
            for (right, second) in patterns.iter().enumerate() {
                assert_eq!(
                    first.by_specificity(second),
                    left.cmp(&right),
                    "{first} and {second}"
                );
            }
        }
        assert_eq!(PathPattern::parse("/*").unwrap(), PathPattern::EVERYTHING);
    }
}
