//! Paths: of routes, of the proxy's own endpoints, and where a sign-out ends.

use super::super::error::Problem;
use std::fmt;

/// What a route covers. The text is the decoded path that policy judges; a segment `*` in it is any one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RoutePath {
    /// This path alone.
    Exact(String),
    /// This path (without a final `/`) and everything below it, segment by segment; empty: everything.
    Prefix(String),
}

impl RoutePath {
    pub(in super::super) fn parse(text: &str) -> Result<Self, Problem> {
        if !text.starts_with('/') {
            return Err(Problem::new("expected a path that begins with `/`"));
        }
        if text.contains('%') {
            return Err(Problem::new("`%` does not belong into a route's path")
                .help("write the path decoded: rules see `/café`, not `/caf%C3%A9`"));
        }
        if text.contains(['?', '#']) {
            return Err(Problem::new("a route's path has no query and no fragment"));
        }
        let (path, is_prefix) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text, false),
        };
        if path
            .split('/')
            .any(|segment| segment != "*" && segment.contains('*'))
        {
            return Err(
                Problem::new("`*` stands for a whole segment, or as the last one for the rest")
                    .help("write `/users/*/edit` or `/admin/*`; there are no patterns within a segment"),
            );
        }
        if path.contains(['\\', ';']) || path.chars().any(char::is_control) {
            return Err(Problem::new(
                "a path with `\\`, `;` or control characters is ambiguous, and never matches",
            ));
        }
        let mut segments = path.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            // `/admin/` is a path of its own; `/admin//x` is refused wherever it comes from.
            if matches!(segment, "." | "..") || (segment.is_empty() && (!is_last || is_prefix)) {
                return Err(Problem::new(
                    "a path with empty, `.` or `..` segments is ambiguous, and never matches",
                ));
            }
        }
        Ok(if is_prefix {
            Self::Prefix(path.to_owned())
        } else {
            Self::Exact(path.to_owned())
        })
    }
}

impl fmt::Display for RoutePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => formatter.write_str(path),
            Self::Prefix(path) => write!(formatter, "{path}/*"),
        }
    }
}

/// The path of an endpoint: the same text encoded and decoded, so that no two readings of it exist.
pub(in super::super) fn parse_endpoint(text: &str) -> Result<String, Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()+,=:@".contains(&byte);
    let Some(segments) = text.strip_prefix('/') else {
        return Err(Problem::new("expected a path that begins with `/`"));
    };
    if segments.is_empty() {
        return Err(Problem::new("the root of the site belongs to the app"));
    }
    for segment in segments.split('/') {
        if segment.is_empty() || matches!(segment, "." | "..") || !segment.bytes().all(plain) {
            return Err(Problem::new(
                "expected a plain path: no final `/`, no empty, `.` or `..` segment, no `%`, query or blank",
            ));
        }
    }
    Ok(text.to_owned())
}

/// A path of this site, with a query if it has one.
pub(in super::super) fn parse_local(text: &str) -> Result<String, Problem> {
    let visible = text
        .bytes()
        .all(|byte| (0x21..=0x7e).contains(&byte) && byte != b'\\');
    if !text.starts_with('/') || text.starts_with("//") || !visible || text.contains('#') {
        return Err(Problem::new(
            "expected a path of this site: one leading `/`, printable ASCII, no fragment",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn route_paths() {
        for (text, path) in [
            ("/", RoutePath::Exact("/".into())),
            ("/reports", RoutePath::Exact("/reports".into())),
            ("/reports/", RoutePath::Exact("/reports/".into())),
            ("/*", RoutePath::Prefix(String::new())),
            ("/admin/*", RoutePath::Prefix("/admin".into())),
            ("/café/a b", RoutePath::Exact("/café/a b".into())),
            ("/users/*/edit", RoutePath::Exact("/users/*/edit".into())),
            ("/*/b/*", RoutePath::Prefix("/*/b".into())),
            ("/*/*", RoutePath::Prefix("/*".into())),
        ] {
            assert_eq!(RoutePath::parse(text).as_ref(), Ok(&path), "{text}");
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn ambiguous_route_paths_are_refused() {
        for wrong in [
            "", "admin", "*", "/a*", "/*b/c", "/a/*b*/c", "/a/**", "//", "//*", "/a//b", "/a//", "/./a",
            "/a/..", "/../*", "/a%20b", "/a?b", "/a#b", "/a\\b", "/a;b", "/a\u{0}",
        ] {
            assert!(RoutePath::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn endpoint_paths() {
        for right in ["/.logto", "/sign-in", "/api/logto/sign-in-callback"] {
            assert!(parse_endpoint(right).is_ok(), "{right}");
        }
        for wrong in [
            "", "/", "sign-in", "/a/", "//a", "/a/../b", "/a%2fb", "/a?b", "/a b", "/ä", "/a*", "/a\\b",
            "/a;b",
        ] {
            assert!(parse_endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn local_paths() {
        for right in ["/", "/bye", "/bye?lang=en", "/a//b"] {
            assert!(parse_local(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "bye",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a b",
            "/a#b",
            "/ä",
        ] {
            assert!(parse_local(wrong).is_err(), "{wrong}");
        }
    }
}
