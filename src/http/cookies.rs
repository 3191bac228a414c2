//! Reads and cuts the `Cookie` field as bytes.
//!
//! Promises that one odd cookie never hides another (CVE-2023-28625 was a null pointer on `;;`), that names are
//! compared byte for byte, and that cookies which are not the proxy's reach the application unchanged and in
//! order. Knows no cookie names, decodes nothing, unquotes nothing, never fails.

use super::trim_optional_whitespace;
use ::http::header::{COOKIE, Entry, HeaderMap, HeaderValue};
use bytes::Bytes;

/// Every `name=value` of every `Cookie` line, in order, spaces and tabs around both taken off.
///
/// Pieces without `=` or without a name are left out; duplicates are not.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|line| Pieces::of(line.as_bytes()))
        .filter_map(pair)
}

/// Removes the proxy's own cookies, those whose name `is_own` knows, so that the application never sees them.
///
/// Other cookies stay byte for byte and in order, and the field goes when none is left. A single line without
/// own cookies is not touched. Several lines (HTTP/2 sends one a cookie) become one, as RFC 9113 §8.2.3 wants,
/// because applications read only the first.
pub fn remove_own(headers: &mut HeaderMap, is_own: impl Fn(&[u8]) -> bool) {
    let Entry::Occupied(mut entry) = headers.entry(COOKIE) else {
        return;
    };
    let is_own_piece = |piece: &[u8]| pair(piece).is_some_and(|(name, _)| is_own(name));
    let has_one_line = entry.iter().nth(1).is_none();
    if has_one_line && !Pieces::of(entry.get().as_bytes()).any(is_own_piece) {
        return;
    }

    let mut kept = Kept::default();
    for line in entry.iter() {
        kept.begin_line();
        for piece in Pieces::of(line.as_bytes()) {
            if is_own_piece(piece) {
                kept.skipped();
            } else {
                kept.push(piece);
            }
        }
    }
    // Only bytes of valid field values and "; " went in, so the conversion cannot fail; failing closed anyway.
    match kept.into_value() {
        Some(value) => {
            entry.insert(value);
        }
        None => {
            entry.remove_entry_mult();
        }
    }
}

/// The name and value of one piece of a `Cookie` line.
fn pair(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', piece)?;
    let (name, value) = piece.split_at_checked(equals)?;
    let name = trim_optional_whitespace(name);
    let value = trim_optional_whitespace(value.get(1..)?);
    (!name.is_empty()).then_some((name, value))
}

/// The pieces of one line between its semicolons, untrimmed.
struct Pieces<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Pieces<'a> {
    fn of(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let Some((piece, after)) = memchr::memchr(b';', rest).and_then(|end| rest.split_at_checked(end))
        else {
            return Some(rest);
        };
        self.rest = after.get(1..);
        Some(piece)
    }
}

/// What stays of the `Cookie` lines. Holds no memory until something is kept.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    /// Nothing of the current line has been kept yet.
    at_line_start: bool,
    /// A cookie stood before the first kept piece of this line, so that piece begins with the space after it.
    has_skipped: bool,
}

impl Kept {
    fn begin_line(&mut self) {
        self.at_line_start = true;
        self.has_skipped = false;
    }

    fn skipped(&mut self) {
        self.has_skipped = true;
    }

    fn push(&mut self, piece: &[u8]) {
        let mut piece = piece;
        if self.at_line_start {
            if self.has_skipped {
                while let [b' ' | b'\t', rest @ ..] = piece {
                    piece = rest;
                }
            }
            if trim_optional_whitespace(piece).is_empty() {
                return;
            }
            if !self.bytes.is_empty() {
                self.bytes.extend_from_slice(b"; ");
            }
            self.at_line_start = false;
        } else {
            self.bytes.push(b';');
        }
        self.bytes.extend_from_slice(piece);
    }

    fn into_value(self) -> Option<HeaderValue> {
        if self.bytes.is_empty() {
            return None;
        }
        let mut value = HeaderValue::from_maybe_shared(Bytes::from(self.bytes)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests;
