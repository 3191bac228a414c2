//! What is certain about an ambiguous path, whoever reads it.
//!
//! Promises that every server, proxy or framework, whatever it decodes, cuts, merges or resolves and in whatever order, finds the
//! path at or below its [`Certain::beginning`]. Where no such promise can be made, there is nothing certain at all. Errs towards
//! the shorter beginning. Refuses to know routes.

use super::{Ambiguity, Class, classify, hexadecimal};
use percent_encoding::percent_decode;

/// How many encodings deep a path may be.
const MOST_DECODINGS: usize = 4;

/// A path that has no canonical form.
#[derive(Debug, Clone, Copy)]
pub struct AmbiguousPath<'a> {
    /// Why.
    pub why: Ambiguity,
    /// What can be said of it all the same. `None` for one that nobody may be sent: with an escaped control character, with
    /// more encodings than anybody uses, or with a byte that RFC 3986 does not allow in a path.
    pub certain: Option<&'a Certain>,
}

/// What holds of a path in every reading.
#[derive(Debug, Clone)]
pub struct Certain {
    beginning: Box<str>,
    /// The path with all its escapes decoded, as often as there are any.
    decoded: Box<[u8]>,
}

impl Certain {
    /// `path` starts with `/`.
    pub(super) fn of(path: &str) -> Option<Self> {
        if !is_valid(path.as_bytes()) {
            return None;
        }
        let (decoded, is_text) = decode_fully(path.as_bytes())?;
        let mut length = 0_usize;
        for segment in path.split('/').skip(1) {
            if matches!(segment, "" | "." | "..") || segment.contains(['%', ';']) {
                break;
            }
            length = length.saturating_add(1).saturating_add(segment.len());
        }
        let rest = decoded.get(length..)?;
        let may_climb = !is_text || rest.contains(&b'%') || pieces(rest).any(may_be_dots);
        Some(Self {
            beginning: if may_climb { "" } else { path.get(..length)? }.into(),
            decoded: decoded.into_boxed_slice(),
        })
    }

    /// The segments that every reading begins with, raw, each after a slash; empty for none. They hold nothing that is
    /// escaped or doubtful.
    pub fn beginning(&self) -> &str {
        &self.beginning
    }

    /// Whether somebody could read the path as `canonical_path` or as one below it.
    pub fn may_reach(&self, canonical_path: &str) -> bool {
        // Readers leave segments out and cut them short at what separates pieces, but none puts them in another order.
        let mut pieces = pieces(&self.decoded);
        let mut segments = canonical_path.split('/').filter(|segment| !segment.is_empty());
        segments.all(|segment| pieces.any(|piece| piece == segment.as_bytes()))
    }
}

/// Whether RFC 3986 allows the path, whatever it may mean.
fn is_valid(mut path: &[u8]) -> bool {
    while let Some((byte, after)) = path.split_first() {
        path = match (classify(*byte), after) {
            (Class::Percent, [high, low, after @ ..])
                if hexadecimal(*high).is_some() && hexadecimal(*low).is_some() =>
            {
                after
            }
            (Class::Plain | Class::Slash | Class::Dot | Class::Refused(Ambiguity::Semicolon), after) => after,
            _ => return false,
        };
    }
    true
}

/// Decodes escapes until there are none, and says whether it was UTF-8 all the way. `None` when a control character comes to
/// light, or when there is no end to it.
fn decode_fully(path: &[u8]) -> Option<(Vec<u8>, bool)> {
    let mut text = path.to_vec();
    let mut is_text = true;
    for _ in 0..=MOST_DECODINGS {
        let next: Vec<u8> = percent_decode(&text).collect();
        if next.iter().any(u8::is_ascii_control) {
            return None;
        }
        let as_text = std::str::from_utf8(&next);
        if as_text.is_ok_and(|text| text.chars().any(char::is_control)) {
            return None;
        }
        is_text &= as_text.is_ok();
        if next == text {
            return Some((text, is_text));
        }
        text = next;
    }
    None
}

/// What lies between the characters at which somebody divides or cuts a path.
fn pieces(decoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    decoded.split(|byte| matches!(byte, b'/' | b'\\' | b';' | b'?' | b'#'))
}

/// Whether a piece could be a dot segment to somebody who drops some characters: it has a dot, and nothing that names are made
/// of.
fn may_be_dots(piece: &[u8]) -> bool {
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~');
    piece.contains(&b'.') && !piece.iter().any(is_of_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_reader_begins_with_ends_before_the_first_doubt() {
        for (path, beginning) in [
            ("/a/b%2fc", "/a"),
            ("/api/v4/projects/group%2Fproject/files/a%2Eb", "/api/v4/projects"),
            ("/a/b;x=1/c", "/a"),
            ("/a//b", "/a"),
            ("/a/b//", "/a/b"),
            ("/a/%61/b%2fc", "/a"),
            ("/a/main...feature%2fx", "/a"),
            ("/a/%25%37%45%2fx", "/a"),
            ("/a/b%2f%E6%96%87.pdf", "/a"),
            ("/a/b;v=1.0", "/a"),
            ("/a%2fb", ""),
            ("//a", ""),
            ("/;x/a", ""),
        ] {
            assert_eq!(Certain::of(path).unwrap().beginning(), beginning, "{path}");
        }
    }

    #[test]
    fn what_might_climb_begins_nowhere() {
        for path in [
            "/a/../b",
            "/a/b/./c",
            "/a/b/%2e%2E/c",
            "/a/.%2e",
            "/a/b%2f..%2fc",
            "/a/b%5c..%5cc",
            "/a/b/%252e%252e/c",
            "/a/b/%25%32%65%252e/c",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a/x;../b",
            "/a/%2e%20./b",
            "/a/..%3fx",
            "/a/..%20/x%2f",
            "/a/%c0%ae%c0%ae/b",
            "/a/%ff",
            "/a/.%c3%25a9.",
            "/a/.%C3%A9.%2f",
            "/a/%25u002e%25u002e/b",
            "/a/100%25",
        ] {
            assert_eq!(Certain::of(path).unwrap().beginning(), "", "{path}");
        }
    }

    #[test]
    fn nothing_is_certain_of_what_no_path_may_be() {
        for path in [
            "/a/%00",
            "/a/%2500",
            "/a/%0a",
            "/a/%250d%250a",
            "/a/%7f",
            "/a/%c2%85",
            "/a/%25c2%2585",
            "/a/%25252525252e",
            "/a/b\\c",
            "/a/\"b\"",
            "/a/{b}",
            "/a/b|c",
            "/a/caf\u{e9}",
            "/a/\u{1}",
            "/a/%zz",
            "/a/%",
            "/a/%2",
            "/a/%u002e",
        ] {
            assert!(Certain::of(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_path_may_be_meant_that_a_reading_could_pass_through() {
        for (path, wanted, expected) in [
            ("/.logto//callback", "/.logto/callback", true),
            ("//.logto/callback", "/.logto/callback", true),
            ("/x/../.logto/callback", "/.logto/callback", true),
            ("/x%2f..%2f.logto%252fcallback%3fa", "/.logto/callback", true),
            ("/x%5c.logto;y/z/../callback;x", "/.logto/callback", true),
            ("/.logto/auth//x", "/.logto/auth", true),
            ("/api/user/a%2fb", "/.logto/user", false),
            ("/callback/.logto%2fx", "/.logto/callback", false),
            ("/.logto/callbacks//", "/.logto/callback", false),
        ] {
            assert_eq!(Certain::of(path).unwrap().may_reach(wanted), expected, "{path}");
        }
    }
}
