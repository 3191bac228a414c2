//! Reading the one `Authorization` field of a request (RFC 6750 §2.1), and what kind of token it carries.
//!
//! A token has a kind by its shape, and whatever has no shape of Logto's is refused here: nobody has to ask about it. Tokens in
//! forms and queries (RFC 6750 §2.2, §2.3) are not read.

use super::error::BearerError;
use crate::logto::LONGEST_TOKEN;
use crate::secret::SecretText;
use http::HeaderValue;
use sha2::{Digest, Sha256};

/// Logto's are 43 characters; others may become longer, and a short one would be guessed.
const OPAQUE_LENGTHS: std::ops::RangeInclusive<usize> = 20..=256;
/// What a personal access token begins with.
const PERSONAL: &str = "pat_";

/// Kinds of tokens, by their shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// A JWT access token, which its signature proves.
    Jwt,
    /// An opaque access token, which Logto is asked about.
    Opaque,
    /// A personal access token, which Logto exchanges.
    Personal,
}

impl TokenKind {
    /// The kind as a metric's label and a log field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
            Self::Personal => "personal",
        }
    }
}

/// SHA-256 of a token: what it is remembered by.
pub(super) type TokenHash = [u8; 32];

/// A token that was presented.
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) text: SecretText,
    pub(super) hash: TokenHash,
}

/// What a request's `Authorization` says to us.
pub(super) enum Presentation {
    /// Nothing: there is none, or another scheme's, which is the app's affair.
    None,
    Token(Token),
    Unreadable(BearerError),
}

/// Whether one of a request's `Authorization` fields is for us.
pub fn is_presented<'a>(mut fields: impl Iterator<Item = &'a HeaderValue>) -> bool {
    fields.any(|field| after_scheme(field.as_bytes()).is_some())
}

/// The token of a request that was found good, for asking about it again.
pub fn text_of(fields: &[&HeaderValue]) -> Option<SecretText> {
    match read(fields) {
        Presentation::Token(token) => Some(token.text),
        Presentation::None | Presentation::Unreadable(_) => None,
    }
}

/// Reads all the `Authorization` fields of a request.
pub(super) fn read(fields: &[&HeaderValue]) -> Presentation {
    let Some(after) = fields.iter().find_map(|field| after_scheme(field.as_bytes())) else {
        return Presentation::None;
    };
    // Of two fields the app could read the other one.
    if fields.len() > 1 || after.is_empty() {
        return Presentation::Unreadable(BearerError::InvalidRequest);
    }
    match token(after) {
        Ok(token) => Presentation::Token(token),
        Err(check) => Presentation::Unreadable(BearerError::InvalidToken { check }),
    }
}

/// What follows the scheme `Bearer`, in any case (RFC 9110 §11.1).
fn after_scheme(field: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = field.split_at_checked("bearer".len())?;
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    match rest.first() {
        None => Some(rest),
        Some(b' ' | b'\t') => Some(rest.trim_ascii()),
        // Another scheme, whose name is longer.
        Some(_) => None,
    }
}

pub(super) fn token(bytes: &[u8]) -> Result<Token, &'static str> {
    if bytes.len() > LONGEST_TOKEN {
        return Err("size");
    }
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let text = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.as_bytes().iter().all(fits))
        .ok_or("format")?;
    let kind = match text.matches('.').count() {
        2 => TokenKind::Jwt,
        0 if !OPAQUE_LENGTHS.contains(&text.len()) => return Err("format"),
        0 if text.starts_with(PERSONAL) => TokenKind::Personal,
        0 => TokenKind::Opaque,
        _ => return Err("format"),
    };
    Ok(Token {
        kind,
        text: SecretText::new(text.to_owned()),
        hash: Sha256::digest(bytes).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(fields: &[&[u8]]) -> String {
        let fields: Vec<HeaderValue> = fields
            .iter()
            .map(|field| HeaderValue::from_bytes(field).unwrap())
            .collect();
        let fields: Vec<&HeaderValue> = fields.iter().collect();
        let read = read(&fields);
        assert_eq!(
            is_presented(fields.into_iter()),
            !matches!(read, Presentation::None)
        );
        match read {
            Presentation::None => "none".into(),
            Presentation::Token(token) => format!("{} {}", token.kind.as_str(), token.text.expose()),
            Presentation::Unreadable(error) => error.reason().into(),
        }
    }

    #[test]
    fn the_shape_tells_the_kind() {
        let opaque = "q".repeat(43);
        for (field, expected) in [
            ("Bearer aa.bb.cc".to_owned(), "jwt aa.bb.cc".to_owned()),
            ("bEARER  aa.bb.cc".into(), "jwt aa.bb.cc".into()),
            (format!("Bearer {opaque}"), format!("opaque {opaque}")),
            (format!("Bearer pat_{opaque}"), format!("personal pat_{opaque}")),
            ("Bearer".into(), "request".into()),
            ("Bearer ".into(), "request".into()),
            ("Bearer short".into(), "format".into()),
            ("Bearer pat_".into(), "format".into()),
            (format!("Bearer {}", "q".repeat(257)), "format".into()),
            (format!("Bearer {}", "q".repeat(16 * 1024 + 1)), "size".into()),
            ("Bearer aa.bb".into(), "format".into()),
            ("Bearer aa.bb.cc.dd.ee".into(), "format".into()),
            (format!("Bearer {opaque} {opaque}"), "format".into()),
            (format!("Bearer {opaque}, Bearer {opaque}"), "format".into()),
            (format!("Bearer {opaque}%00"), "format".into()),
            (format!("Bearer {opaque}="), "format".into()),
            ("Basic dTpw".into(), "none".into()),
            ("Bearers aa.bb.cc".into(), "none".into()),
            ("Bear".into(), "none".into()),
            (String::new(), "none".into()),
        ] {
            assert_eq!(outcome(&[field.as_bytes()]), expected, "{field}");
        }
        assert_eq!(outcome(&[]), "none");
        assert_eq!(outcome(&[b"Bearer \xff\xfe.\xff.\xff"]), "format");
    }

    #[test]
    fn a_second_field_is_refused_whatever_it_is() {
        assert_eq!(outcome(&[b"Bearer aa.bb.cc", b"Bearer aa.bb.cc"]), "request");
        assert_eq!(outcome(&[b"Basic dTpw", b"Bearer aa.bb.cc"]), "request");
        assert_eq!(outcome(&[b"Bearer aa.bb.cc", b"Basic dTpw"]), "request");
        assert_eq!(
            outcome(&[b"Basic dTpw", b"Basic dTpw"]),
            "none",
            "the app's affair"
        );
    }
}
