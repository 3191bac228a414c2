//! Reads a request target, raw for forwarding and canonical for deciding.
//!
//! Promises that the path policy judges is the path that is forwarded, byte for byte: nothing is rewritten. A
//! path that two parties could read differently has no canonical form, only an [`Ambiguity`], so no rule that
//! opens a path can match it. Stops the family of `/public/..;/admin`, `/public/%2e%2e/admin`, `//admin`
//! (CVE-2023-33189, CVE-2026-26205, CVE-2026-40912). Knows no routes. The only place that reads an
//! [`::http::Uri`].

mod certain;

pub use certain::{AmbiguousPath, Certain};

use ::http::Uri;
use ::http::uri::{Authority, PathAndQuery};

/// A request target (RFC 9112 §3.2) in origin-form or absolute-form.
#[derive(Debug, Clone)]
pub struct RequestTarget {
    path_and_query: PathAndQuery,
    authority: Option<Authority>,
    canonical: Canonical,
    /// Of an ambiguous path.
    certain: Option<Box<Certain>>,
}

/// Why a request target is refused. All are the client's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// More bytes than the limit allows: answer 414.
    #[error("the request target is too long")]
    TooLong,
    /// `host:port`, the form of CONNECT (RFC 9112 §3.2.3); also any target without a leading `/`.
    #[error("the request target is in authority-form")]
    AuthorityForm,
    /// `*`, the form of a server-wide OPTIONS (RFC 9112 §3.2.4).
    #[error("the request target is in asterisk-form")]
    AsteriskForm,
    /// An absolute-form target whose scheme is neither `http` nor `https`.
    #[error("the request target has a scheme other than http or https")]
    Scheme,
    /// An absolute-form target with user information in it (RFC 9110 §4.2.4).
    #[error("the request target carries user information")]
    UserInformation,
    /// Anything else that is not a request target.
    #[error("the request target is malformed")]
    Malformed,
}

/// Why a path has no canonical form: some server, proxy or framework would read it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Ambiguity {
    /// A segment `.` or `..`.
    #[error("the path has a dot segment")]
    DotSegment,
    /// Two slashes in a row.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A `\`, which browsers and Windows read as `/`.
    #[error("the path has a backslash")]
    Backslash,
    /// A `;`, at which servlet containers cut.
    #[error("the path has a semicolon")]
    Semicolon,
    /// An escape of `/`, `\`, `%`, `.`, `;`, `?` or `#`, which decoding once or twice turns into structure.
    #[error("the path escapes a character that has a meaning of its own")]
    EscapedDelimiter,
    /// A `%` that two hexadecimal digits do not follow.
    #[error("the path has an invalid escape")]
    InvalidEscape,
    /// Escapes whose bytes are not UTF-8.
    #[error("the path's escapes are not UTF-8")]
    NotUtf8,
    /// A control character, raw or escaped, NUL among them.
    #[error("the path has a control character")]
    Control,
    /// A raw byte outside ASCII.
    #[error("the path has a byte outside ASCII")]
    NonAscii,
    /// One of `"`, `<`, `>`, `^`, `` ` ``, `{`, `|`, `}` and space, which RFC 3986 does not allow raw.
    #[error("the path has a character that must be escaped")]
    Unescaped,
}

#[derive(Debug, Clone)]
enum Canonical {
    /// The raw path holds no escape and nothing doubtful.
    Raw,
    Decoded(Box<str>),
    Ambiguous(Ambiguity),
}

impl RequestTarget {
    /// Reads a target: origin-form, or absolute-form with `http` or `https`. `target_bytes` is the most bytes it
    /// may have as received; a fragment, which no client may send, is already cut off by the HTTP codec.
    ///
    /// # Errors
    /// [`TargetError::TooLong`] asks for a 414, every other error for a 400.
    pub fn parse(uri: &Uri, target_bytes: usize) -> Result<Self, TargetError> {
        let scheme = uri.scheme_str();
        let authority = uri.authority();
        let scheme_bytes = scheme.map_or(0, |scheme| scheme.len().saturating_add("://".len()));
        let authority_bytes = authority.map_or(0, |authority| authority.as_str().len());
        let path_bytes = uri.path_and_query().map_or(0, |path| path.as_str().len());
        if path_bytes
            .saturating_add(authority_bytes)
            .saturating_add(scheme_bytes)
            > target_bytes
        {
            return Err(TargetError::TooLong);
        }
        let authority = match (scheme, authority) {
            (None, None) => None,
            (None, Some(_)) => return Err(TargetError::AuthorityForm),
            (Some("http" | "https"), Some(authority)) => Some(authority),
            (Some("http" | "https"), None) => return Err(TargetError::Malformed),
            (Some(_), _) => return Err(TargetError::Scheme),
        };
        if authority.is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(TargetError::UserInformation);
        }
        let path_and_query = match uri.path_and_query() {
            None => return Err(TargetError::Malformed),
            Some(path) => match path.as_str().as_bytes().first() {
                Some(b'/') => path.clone(),
                Some(b'*') => return Err(TargetError::AsteriskForm),
                // `http://host?query`: the empty path of an absolute-form is `/` (RFC 9110 §4.2.3).
                Some(b'?') if authority.is_some() => PathAndQuery::try_from(format!("/{}", path.as_str()))
                    .map_err(|_| TargetError::Malformed)?,
                Some(_) | None => return Err(TargetError::Malformed),
            },
        };
        let canonical = canonicalise(path_and_query.path());
        let certain = match canonical {
            Canonical::Raw | Canonical::Decoded(_) => None,
            Canonical::Ambiguous(_) => Certain::of(path_and_query.path()).map(Box::new),
        };
        Ok(Self {
            path_and_query,
            authority: authority.cloned(),
            canonical,
            certain,
        })
    }

    /// Path and query as received: what is forwarded.
    pub fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }

    /// The path as received, escapes and all. For forwarding and for logs, never for a decision.
    pub fn raw_path(&self) -> &str {
        self.path_and_query.path()
    }

    /// The query as received, without the `?`.
    pub fn query(&self) -> Option<&str> {
        self.path_and_query.query()
    }

    /// The authority of an absolute-form target (in HTTP/2 the `:authority`). [`crate::http::request_host`]
    /// compares it with `Host`.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// The path that policy judges: its escapes decoded once.
    ///
    /// # Errors
    /// The [`Ambiguity`] when any party could read the path differently. Such a target matches no rule that
    /// opens a path; it may be refused, or passed on raw where signing in is required anyway.
    pub fn canonical_path(&self) -> Result<&str, Ambiguity> {
        match &self.canonical {
            Canonical::Raw => Ok(self.path_and_query.path()),
            Canonical::Decoded(path) => Ok(path),
            Canonical::Ambiguous(ambiguity) => Err(*ambiguity),
        }
    }

    /// The same, with what is certain about a path that has no canonical form.
    ///
    /// # Errors
    /// As [`Self::canonical_path`].
    pub fn judged_path(&self) -> Result<&str, AmbiguousPath<'_>> {
        let certain = self.certain.as_deref();
        self.canonical_path()
            .map_err(|why| AmbiguousPath { why, certain })
    }
}

/// What a raw byte means in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Slash,
    Dot,
    Percent,
    Refused(Ambiguity),
}

const fn class(byte: u8) -> Class {
    match byte {
        b'/' => Class::Slash,
        b'.' => Class::Dot,
        b'%' => Class::Percent,
        b'\\' => Class::Refused(Ambiguity::Backslash),
        b';' => Class::Refused(Ambiguity::Semicolon),
        b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' | b' ' => Class::Refused(Ambiguity::Unescaped),
        0x00..=0x1f | 0x7f => Class::Refused(Ambiguity::Control),
        0x80..=0xff => Class::Refused(Ambiguity::NonAscii),
        _ => Class::Plain,
    }
}

/// [`class`] of every byte, so that an ordinary byte costs one look-up.
static CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0_u8;
    loop {
        // A constant's evaluation: an index out of bounds would not compile.
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            classes[byte as usize] = class(byte);
        }
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

fn classify(byte: u8) -> Class {
    CLASSES
        .get(usize::from(byte))
        .copied()
        .unwrap_or(Class::Refused(Ambiguity::NonAscii))
}

/// One walk over the path. `path` starts with `/`.
fn canonicalise(path: &str) -> Canonical {
    let mut has_escape = false;
    // How the segment begun by the last slash looks so far: its length while it holds nothing but dots.
    let mut dots: Option<usize> = None;
    let mut after_slash = false;
    for byte in path.bytes() {
        match classify(byte) {
            Class::Plain => {
                dots = None;
                after_slash = false;
            }
            Class::Slash => {
                if after_slash {
                    return Canonical::Ambiguous(Ambiguity::EmptySegment);
                }
                if matches!(dots, Some(1 | 2)) {
                    return Canonical::Ambiguous(Ambiguity::DotSegment);
                }
                dots = Some(0);
                after_slash = true;
            }
            Class::Dot => {
                dots = dots.map(|count| count.saturating_add(1));
                after_slash = false;
            }
            Class::Percent => {
                has_escape = true;
                dots = None;
                after_slash = false;
            }
            Class::Refused(ambiguity) => return Canonical::Ambiguous(ambiguity),
        }
    }
    if matches!(dots, Some(1 | 2)) {
        return Canonical::Ambiguous(Ambiguity::DotSegment);
    }
    if !has_escape {
        return Canonical::Raw;
    }
    match decode(path) {
        Ok(decoded) => Canonical::Decoded(decoded),
        Err(ambiguity) => Canonical::Ambiguous(ambiguity),
    }
}

/// Decodes the escapes of a path once.
fn decode(path: &str) -> Result<Box<str>, Ambiguity> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'%' {
            decoded.push(*byte);
            rest = after;
            continue;
        }
        let [high, low, after @ ..] = after else {
            return Err(Ambiguity::InvalidEscape);
        };
        let value = match (hexadecimal(*high), hexadecimal(*low)) {
            (Some(high), Some(low)) => (high << 4) | low,
            _ => return Err(Ambiguity::InvalidEscape),
        };
        match value {
            b'/' | b'\\' | b'%' | b'.' | b';' | b'?' | b'#' => return Err(Ambiguity::EscapedDelimiter),
            0x00..=0x1f | 0x7f => return Err(Ambiguity::Control),
            _ => decoded.push(value),
        }
        rest = after;
    }
    let text = String::from_utf8(decoded).map_err(|_| Ambiguity::NotUtf8)?;
    // U+0080 to U+009F: controls that some terminals and parsers obey.
    if text.chars().any(char::is_control) {
        return Err(Ambiguity::Control);
    }
    Ok(text.into_boxed_str())
}

const fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
