//! Path patterns of rules: an exact path, or everything below one.
//!
//! There are no regular expressions and no case folding: a pattern covers what it spells, aligned to
//! segments, so `/admin/*` never covers `/administrator`.

use std::fmt;

/// What a rule's `path` covers, compared with the canonical (once decoded) path of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// This path and no other.
    Exact(String),
    /// This path without its trailing slash, and everything below it. `/*` is everything.
    Below(String),
}

/// Why a text is not a path pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not start with `/`.
    #[error("a path starts with \"/\"")]
    NotAbsolute,
    /// It has `*` anywhere but as the whole last segment.
    #[error("\"*\" stands only as the last segment, as in \"/admin/*\"")]
    Wildcard,
    /// It has an empty or dot segment, `;`, `\`, `?`, `#`, `%` or a control character.
    #[error("a path has no empty, \".\" or \"..\" segment and none of ; \\ ? # % or control characters")]
    NotCanonical,
}

impl PathPattern {
    /// Reads `/path` or `/path/*`. The text is the decoded path, not its percent-encoded form.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err(PatternError::NotAbsolute);
        };
        let (body, below) = match rest.strip_suffix('*') {
            Some("") => return Ok(Self::Below(String::new())),
            Some(body) => match body.strip_suffix('/') {
                Some(body) => (body, true),
                None => return Err(PatternError::Wildcard),
            },
            None => (rest, false),
        };
        if body.contains('*') {
            return Err(PatternError::Wildcard);
        }
        let forbidden = |c: char| c.is_control() || matches!(c, ';' | '\\' | '?' | '#' | '%');
        // A trailing slash of an exact path is a path of its own, so its empty last segment is allowed.
        let judged = if below {
            body
        } else {
            body.strip_suffix('/').unwrap_or(body)
        };
        let odd_segment = |segment: &str| matches!(segment, "" | "." | "..");
        if (below && body.is_empty())
            || body.contains(forbidden)
            || (!judged.is_empty() && judged.split('/').any(odd_segment))
            || body == "/"
        {
            return Err(PatternError::NotCanonical);
        }
        Ok(if below {
            Self::Below(format!("/{body}"))
        } else {
            Self::Exact(format!("/{body}"))
        })
    }

    /// Whether a canonical path is covered.
    pub fn covers(&self, canonical_path: &str) -> bool {
        match self {
            Self::Exact(path) => path == canonical_path,
            Self::Below(base) => canonical_path
                .strip_prefix(base.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => formatter.write_str(path),
            Self::Below(base) => write!(formatter, "{base}/*"),
        }
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
            ("/admin/*", "/admin", true),
            ("/admin/*", "/admin/", true),
            ("/admin/*", "/admin/users/1", true),
            ("/admin/*", "/administrator", false),
            ("/*", "/", true),
            ("/*", "/anything/below", true),
            ("/", "/", true),
            ("/", "/x", false),
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
            "", "admin", "*", "/a*", "/*/b", "/a//b", "//", "/./a", "/a/..", "/a;b", "/a%2f", "/a?b",
            "/a\\b", "//*",
        ] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }
}
