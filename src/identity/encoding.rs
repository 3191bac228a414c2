//! A claim's value as the value of a request header.
//!
//! Promises one line of bytes that reads back as exactly one value, or as exactly the items of a list: nothing in a
//! claim can end the header, start another, or add an item. A value that holds a control character gives no header at
//! all, since whatever put it there meant no good. Refuses to know which header it is for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use serde_json::Value;
use std::borrow::Cow;

/// How text beyond printable ASCII is written into a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// `%XX` of the UTF-8 bytes for everything outside printable ASCII, for `%`, and for a space at either end.
    #[default]
    Percent,
    /// UTF-8 as it is (RFC 9110 §5.5 calls it opaque `obs-text`). Text with white space at an end gives no header, since
    /// recipients trim it and would read another name.
    Utf8,
    /// MIME encoded-words in Base64 (RFC 2047 §2), only where printable ASCII does not do.
    Rfc2047,
    /// Base64 of the UTF-8 bytes, with padding (RFC 4648 §4), always.
    Base64,
}

impl Encoding {
    /// The name used in the configuration file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Percent => "percent",
            Self::Utf8 => "utf8",
            Self::Rfc2047 => "rfc2047",
            Self::Base64 => "base64",
        }
    }

    /// Writes a claim. Lists become their items with `join` between them; inside an item `%`, the characters of `join`
    /// and spaces at the ends become `%XX` whatever the encoding, so that cutting at `join` gives back the items.
    ///
    /// `None`: the value is null or empty, or holds a control character.
    pub fn write(self, value: &Value, join: &str) -> Option<HeaderValue> {
        let encoded = match value {
            Value::Array(items) => {
                let mut joined = String::new();
                for item in items {
                    let text = text_of(item);
                    if text.chars().any(char::is_control) {
                        return None;
                    }
                    if text.is_empty() {
                        continue;
                    }
                    if !joined.is_empty() {
                        joined.push_str(join);
                    }
                    self.write_item(&text, join, &mut joined);
                }
                match self {
                    // Its items are percent-encoded already; a second pass would encode the `%` of the first.
                    Self::Percent => joined.into_bytes(),
                    _ => self.write_text(&joined)?,
                }
            }
            single => {
                let text = text_of(single);
                if text.chars().any(char::is_control) {
                    return None;
                }
                self.write_text(&text)?
            }
        };
        if encoded.is_empty() {
            return None;
        }
        HeaderValue::from_bytes(&encoded).ok()
    }

    fn write_item(self, item: &str, join: &str, out: &mut String) {
        let only_spaces = join.bytes().all(|byte| byte == b' ');
        let last = item.len().saturating_sub(1);
        for (index, character) in item.char_indices() {
            let at_an_end = index == 0 || index == last;
            let separates = join.contains(character) && (character != ' ' || only_spaces);
            let keep = character != '%'
                && !separates
                && !(at_an_end && character == ' ')
                && (self != Self::Percent || is_printable(character));
            push_escaped(character, keep, out);
        }
    }

    fn write_text(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Percent => {
                let mut out = String::with_capacity(text.len());
                let last = text.len().saturating_sub(1);
                for (index, character) in text.char_indices() {
                    let edge_space = character == ' ' && (index == 0 || index == last);
                    let keep = character != '%' && !edge_space && is_printable(character);
                    push_escaped(character, keep, &mut out);
                }
                Some(out.into_bytes())
            }
            Self::Utf8 => (text.trim() == text).then(|| text.as_bytes().to_vec()),
            Self::Rfc2047 => {
                let plain = text.chars().all(is_printable) && text.trim() == text && !text.contains("=?");
                Some(if plain {
                    text.as_bytes().to_vec()
                } else {
                    encoded_words(text).into_bytes()
                })
            }
            Self::Base64 => Some(STANDARD.encode(text).into_bytes()),
        }
    }
}

const fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~')
}

fn push_escaped(character: char, keep: bool, out: &mut String) {
    if keep {
        out.push(character);
        return;
    }
    let mut buffer = [0; 4];
    for byte in character.encode_utf8(&mut buffer).bytes() {
        out.push('%');
        out.push(char::from(hex_digit(byte >> 4)));
        out.push(char::from(hex_digit(byte & 0x0F)));
    }
}

const fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'A' + nibble - 10,
    }
}

/// Encoded-words of at most 75 characters (RFC 2047 §2), each holding whole characters.
fn encoded_words(text: &str) -> String {
    const BYTES_A_WORD: usize = 45;
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len().saturating_add(character.len_utf8()) > BYTES_A_WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)))
        .collect();
    words.join(" ")
}

/// Text of a value: strings as they are, null as nothing, everything else as JSON.
fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Null => Cow::Borrowed(""),
        other => Cow::Owned(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn written(encoding: Encoding, value: Value) -> Option<String> {
        encoding
            .write(&value, ",")
            .map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn each_encoding_writes_what_it_says() {
        use Encoding::{Base64, Percent, Rfc2047, Utf8};
        for (encoding, value, expected) in [
            (Percent, json!("Admin User"), Some("Admin User")),
            (Percent, json!("Café 100%"), Some("Caf%C3%A9 100%25")),
            (Percent, json!("a, b"), Some("a, b")),
            (Percent, json!(" admin "), Some("%20admin%20")),
            (Percent, json!(" "), Some("%20")),
            (Percent, json!("ü"), Some("%C3%BC")),
            (Percent, json!(true), Some("true")),
            (Percent, json!(1_700_000_000_000_u64), Some("1700000000000")),
            (Percent, json!(["admin", "dev"]), Some("admin,dev")),
            (
                Percent,
                json!(["a,b", "50%", "é", " x "]),
                Some("a%2Cb,50%25,%C3%A9,%20x%20"),
            ),
            (Percent, json!(["", "a", null, ""]), Some("a")),
            (Percent, json!([]), None),
            (Percent, json!(""), None),
            (Percent, json!(null), None),
            (Utf8, json!("Café 100%"), Some("Café 100%")),
            (Utf8, json!("admin "), None),
            (Utf8, json!("\u{a0}admin"), None),
            (Utf8, json!(["a,b", "é%"]), Some("a%2Cb,é%25")),
            (Rfc2047, json!("Admin"), Some("Admin")),
            (Rfc2047, json!("Café"), Some("=?UTF-8?B?Q2Fmw6k=?=")),
            (
                Rfc2047,
                json!("=?UTF-8?B?eA==?="),
                Some("=?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?="),
            ),
            (Base64, json!("Café"), Some("Q2Fmw6k=")),
            (Base64, json!(["a", "b,c"]), Some("YSxiJTJDYw==")),
            (Base64, json!(""), None),
        ] {
            assert_eq!(
                written(encoding, value.clone()).as_deref(),
                expected,
                "{encoding:?} {value}"
            );
        }
    }

    #[test]
    fn a_control_character_drops_the_header_in_every_encoding() {
        for encoding in [
            Encoding::Percent,
            Encoding::Utf8,
            Encoding::Rfc2047,
            Encoding::Base64,
        ] {
            for bad in ["a\r\nX-User-Sub: admin", "a\0", "\t", "a\u{7f}", "a\u{85}b"] {
                assert_eq!(written(encoding, json!(bad)), None, "{encoding:?} {bad:?}");
                assert_eq!(
                    written(encoding, json!(["ok", bad])),
                    None,
                    "{encoding:?} {bad:?}"
                );
            }
        }
    }

    #[test]
    fn long_text_becomes_several_encoded_words() {
        let text = "é".repeat(40);
        let written = written(Encoding::Rfc2047, json!(text)).unwrap();
        let words: Vec<&str> = written.split(' ').collect();
        assert_eq!(words.len(), 2);
        assert!(words.iter().all(|word| word.len() <= 75));
        let decoded: String = words
            .iter()
            .map(|word| word.trim_start_matches("=?UTF-8?B?").trim_end_matches("?="))
            .map(|word| String::from_utf8(STANDARD.decode(word).unwrap()).unwrap())
            .collect();
        assert_eq!(decoded, text);
    }

    proptest! {
        #[test]
        fn a_percent_encoded_list_reads_back_as_its_items(
            items in prop::collection::vec("[^\\p{Cc}]{1,12}", 1..5),
            join in prop::sample::select(vec![",", ", ", " ", ";", "|", " | "]),
        ) {
            let value = Encoding::Percent.write(&json!(items), join).unwrap();
            let read: Vec<String> = value
                .to_str()
                .unwrap()
                .split(join)
                .map(|item| percent_encoding::percent_decode_str(item).decode_utf8().unwrap().into_owned())
                .collect();
            prop_assert_eq!(read, items);
        }

        #[test]
        fn any_text_reads_back_percent_decoded(text in "[^\\p{Cc}]{1,40}") {
            let value = Encoding::Percent.write(&json!(text), ",").unwrap();
            let bytes = value.as_bytes();
            prop_assert!(bytes.iter().all(|byte| (b' '..=b'~').contains(byte)));
            prop_assert!(bytes.first() != Some(&b' ') && bytes.last() != Some(&b' '));
            prop_assert_eq!(percent_encoding::percent_decode(bytes).decode_utf8().unwrap(), text);
        }
    }
}
