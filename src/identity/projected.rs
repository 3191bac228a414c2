//! Header values that say who one caller is, in the form in which a session carries them.
//!
//! Promises that putting them on a request copies no value: all are slices of one buffer. Refuses to know claims and
//! encodings. They belong to the rules they were made by; whoever keeps them keeps the rules' fingerprint beside them.

use super::headers::HeaderRules;
use bytes::Bytes;
use http::HeaderValue;
use http::header::HeaderMap;
use std::ops::Range;

/// Longest header value kept, in bytes; a longer one could not travel in a request anyway.
const LONGEST_VALUE: usize = 16 * 1024;

/// In place of a length: the value is that of an earlier position, which follows in 1 byte.
const SAME_AS: u16 = u16::MAX;

/// Values for the rules of a [`HeaderRules`] that are projected, by the rules' position.
///
/// As bytes: for each value the rule's position (1 byte), its length (2 bytes, big-endian) and itself. A value that was there
/// before is not written again, for several headers may say the same and all of it travels in a cookie.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProjectedHeaders(Bytes);

/// What stands behind a position.
enum Entry {
    /// A value, at this place of the buffer.
    Value(Range<usize>),
    /// The value of another position.
    SameAs(u8),
}

impl ProjectedHeaders {
    pub(super) fn collect(values: impl Iterator<Item = (u8, HeaderValue)>) -> Self {
        let mut encoded = Vec::new();
        let mut written: Vec<(u8, HeaderValue)> = Vec::new();
        for (position, value) in values {
            if let Some((earlier, _)) = written.iter().find(|(_, earlier)| *earlier == value) {
                encoded.push(position);
                encoded.extend_from_slice(&SAME_AS.to_be_bytes());
                encoded.push(*earlier);
                continue;
            }
            written.push((position, value.clone()));
            let value = value.as_bytes();
            let Some(length) = u16::try_from(value.len())
                .ok()
                .filter(|_| value.len() <= LONGEST_VALUE)
            else {
                written.pop();
                continue;
            };
            encoded.push(position);
            encoded.extend_from_slice(&length.to_be_bytes());
            encoded.extend_from_slice(value);
        }
        Self(Bytes::from(encoded))
    }

    /// Takes back what [`as_bytes`](Self::as_bytes) gave; only from a place that proves it unchanged.
    pub const fn from_bytes(encoded: Bytes) -> Self {
        Self(encoded)
    }

    /// The binary form.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The values with the position of their rule, as slices of the one buffer. Ends early at bytes that make no sense.
    pub fn values(&self) -> impl Iterator<Item = (u8, HeaderValue)> + '_ {
        self.entries().filter_map(|(position, entry)| {
            let place = match entry {
                Entry::Value(place) => place,
                Entry::SameAs(earlier) => self.place_of(earlier)?,
            };
            let value = HeaderValue::from_maybe_shared(self.0.slice(place)).ok()?;
            Some((position, value))
        })
    }

    fn entries(&self) -> impl Iterator<Item = (u8, Entry)> + '_ {
        let mut at = 0_usize;
        std::iter::from_fn(move || {
            let (head, rest) = self.0.get(at..)?.split_first_chunk::<3>()?;
            let [position, high, low] = *head;
            let length = u16::from_be_bytes([high, low]);
            let start = at.checked_add(3)?;
            if length == SAME_AS {
                at = start.checked_add(1)?;
                return Some((position, Entry::SameAs(*rest.first()?)));
            }
            let length = usize::from(length);
            rest.get(..length)?;
            at = start.checked_add(length)?;
            Some((position, Entry::Value(start..at)))
        })
    }

    /// Where the value of a position is written out.
    fn place_of(&self, wanted: u8) -> Option<Range<usize>> {
        self.entries().find_map(|(position, entry)| match entry {
            Entry::Value(place) if position == wanted => Some(place),
            Entry::Value(_) | Entry::SameAs(_) => None,
        })
    }

    /// Puts the values, and the rules' constants, on a request, in place of anything that is there under their names.
    pub fn apply(&self, rules: &HeaderRules, headers: &mut HeaderMap) {
        for (position, value) in self.values() {
            if let Some(name) = rules.projected_header(position) {
                headers.insert(name.clone(), value);
            }
        }
        for (name, value) in rules.constants() {
            headers.insert(name.clone(), value.clone());
        }
    }
}

impl std::fmt::Debug for ProjectedHeaders {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ProjectedHeaders({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_share_the_buffer() {
        let projected = ProjectedHeaders::collect([(3, HeaderValue::from_static("admin"))].into_iter());
        let range = projected.as_bytes().as_ptr_range();
        let (position, value) = projected.values().next().unwrap();
        assert_eq!((position, value.as_bytes()), (3, &b"admin"[..]));
        assert!(range.contains(&value.as_bytes().as_ptr()));
    }

    #[test]
    fn a_value_that_several_headers_say_is_kept_once() {
        let values = [
            (0, "admin@example.com"),
            (1, "admin"),
            (5, "admin@example.com"),
            (9, "admin@example.com"),
        ];
        let values = values.map(|(position, value)| (position, HeaderValue::from_static(value)));
        let projected = ProjectedHeaders::collect(values.iter().cloned());
        assert_eq!(projected.as_bytes().len(), (3 + 17) + (3 + 5) + 4 + 4);
        assert_eq!(projected.values().collect::<Vec<_>>(), values);
    }

    #[test]
    fn a_value_too_long_to_travel_is_left_out() {
        let long = HeaderValue::try_from("x".repeat(LONGEST_VALUE + 1)).unwrap();
        let values = [(0, long.clone()), (1, HeaderValue::from_static("b")), (2, long)];
        let projected = ProjectedHeaders::collect(values.into_iter());
        assert_eq!(
            projected
                .values()
                .map(|(position, _)| position)
                .collect::<Vec<_>>(),
            [1]
        );
    }

    proptest! {
        #[test]
        fn values_round_trip(values in prop::collection::btree_map(any::<u8>(), "[ -~]{0,2}|[ -~]{0,40}", 0..6)) {
            // Each rule has one position.
            let values: Vec<(u8, HeaderValue)> = values
                .into_iter()
                .map(|(position, text)| (position, HeaderValue::try_from(text).unwrap()))
                .collect();
            let projected = ProjectedHeaders::collect(values.iter().cloned());
            let read = ProjectedHeaders::from_bytes(Bytes::copy_from_slice(projected.as_bytes()));
            prop_assert_eq!(read.values().collect::<Vec<_>>(), values);
        }

        #[test]
        fn any_bytes_end_the_walk_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let read = ProjectedHeaders::from_bytes(Bytes::from(bytes));
            prop_assert!(read.values().count() <= 22, "each takes three bytes at least");
        }
    }
}
