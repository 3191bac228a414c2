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
        let Some((piece, after)) = memchr::memchr(b';', rest).and_then(|end| rest.split_at_checked(end)) else {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    fn is_own(name: &[u8]) -> bool {
        name.starts_with(b"__Host-logto")
    }

    fn after_removal(lines: &[&[u8]]) -> Vec<String> {
        let mut headers = map(lines);
        remove_own(&mut headers, is_own);
        headers
            .get_all(COOKIE)
            .iter()
            .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
            .collect()
    }

    #[test]
    fn pairs_survive_odd_neighbours() {
        let headers = map(&[
            b"a=1; b = 2 ;;  ; c; =d; e=; f=g=h;\t\"i\"=\"j;k\"",
            b"A=\xff\xfe; a=again",
            b"",
            b"\xa0a=nbsp",
        ]);
        let found: Vec<(&[u8], &[u8])> = pairs(&headers).collect();
        let expected: Vec<(&[u8], &[u8])> = vec![
            (b"a", b"1"),
            (b"b", b"2"),
            (b"e", b""),
            (b"f", b"g=h"),
            (b"\"i\"", b"\"j"),
            (b"A", b"\xff\xfe"),
            (b"a", b"again"),
            (b"\xa0a", b"nbsp"),
        ];
        assert_eq!(found, expected);
        assert_eq!(pairs(&HeaderMap::new()).count(), 0);
    }

    #[test]
    fn own_cookies_go_and_others_stay() {
        for (lines, expected) in [
            (&[&b"__Host-logto=x"[..]][..], &[][..]),
            (&[b"__Host-logto=x;"], &[]),
            (&[b" __Host-logto = x ; __Host-logto.1=y; __Host-logto-browser=z"], &[]),
            (&[b"a=1; __Host-logto=x"], &["a=1"]),
            (&[b"__Host-logto=x; a=1"], &["a=1"]),
            (&[b"a=1; __Host-logto=x; b=2"], &["a=1; b=2"]),
            (&[b"a=1;__Host-logto=x;b=2"], &["a=1;b=2"]),
            (&[b"__Host-logto=x;a = 1 ;;b;__Host-logto=y; =c"], &["a = 1 ;;b; =c"]),
            (&[b"__HOST-LOGTO=x"], &["__HOST-LOGTO=x"]),
            (&[b"a=__Host-logto=x"], &["a=__Host-logto=x"]),
            (&[b"a=1", b"__Host-logto=x", b"b=2"], &["a=1; b=2"]),
            (&[b"__Host-logto=x", b"__Host-logto.1=y"], &[]),
            (&[b"", b"a=1"], &["a=1"]),
            (&[b"  a=1 ;; "], &["  a=1 ;; "]),
        ] {
            assert_eq!(after_removal(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_line_without_own_cookies_keeps_its_very_bytes() {
        let mut headers = map(&[b"a=1; b=2"]);
        let before = headers[COOKIE].as_bytes().as_ptr();
        remove_own(&mut headers, is_own);
        assert_eq!(headers[COOKIE].as_bytes().as_ptr(), before);
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let name = prop_oneof![
            Just(b"__Host-logto".to_vec()),
            Just(b"__Host-logto.1".to_vec()),
            Just(b" __Host-logto ".to_vec()),
            proptest::collection::vec(prop_oneof![32_u8..=58, 60_u8..=126, 128_u8..=255, Just(9_u8)], 0..6),
        ];
        let value = proptest::collection::vec(prop_oneof![32_u8..=58, 60_u8..=126, 128_u8..=255], 0..6);
        (name, proptest::option::of(value)).prop_map(|(mut piece, value)| {
            if let Some(value) = value {
                piece.push(b'=');
                piece.extend(value);
            }
            piece
        })
    }

    proptest! {
        #[test]
        fn every_foreign_byte_is_kept(lines in proptest::collection::vec(proptest::collection::vec(piece(), 0..6), 0..4)) {
            let joined: Vec<Vec<u8>> = lines.iter().map(|pieces| pieces.join(&b';')).collect();
            let mut headers = map(&joined.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let foreign: Vec<(Vec<u8>, Vec<u8>)> = pairs(&headers)
                .filter(|(name, _)| !is_own(name))
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect();
            // Nameless pieces are foreign too; only spaces beside a cut may go.
            let squeeze = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().copied().filter(|byte| !matches!(byte, b' ' | b'\t' | b';')).collect()
            };
            let bytes: Vec<u8> = headers
                .get_all(COOKIE)
                .iter()
                .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
                .filter(|piece| !pair(piece).is_some_and(|(name, _)| is_own(name)))
                .flat_map(squeeze)
                .collect();

            remove_own(&mut headers, is_own);

            let after: Vec<(Vec<u8>, Vec<u8>)> =
                pairs(&headers).map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(after, foreign);
            prop_assert!(headers.get_all(COOKIE).iter().count() <= 1);
            let bytes_after = headers.get(COOKIE).map(|line| squeeze(line.as_bytes())).unwrap_or_default();
            prop_assert_eq!(bytes_after, bytes);
        }
    }
}
