//! Header values that say who one caller is, in the form in which a session carries them.
//!
//! Promises that putting them on a request copies no value: all are slices of one buffer. Refuses to know claims and
//! encodings. They belong to the rules they were made by; whoever keeps them keeps the rules' fingerprint beside them.

use super::headers::HeaderRules;
use bytes::Bytes;
use http::HeaderValue;
use http::header::HeaderMap;

/// Longest header value kept, in bytes; a longer one could not travel in a request anyway.
const LONGEST_VALUE: usize = 16 * 1024;

/// Values for the rules of a [`HeaderRules`] that are no constants, by the rules' position.
///
/// As bytes: for each value the rule's position (1 byte), its length (2 bytes, big-endian) and itself.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProjectedHeaders(Bytes);

impl ProjectedHeaders {
    pub(super) fn collect(values: impl Iterator<Item = (u8, HeaderValue)>) -> Self {
        let mut encoded = Vec::new();
        for (position, value) in values {
            let value = value.as_bytes();
            let Ok(length) = u16::try_from(value.len()) else {
                continue;
            };
            if value.len() > LONGEST_VALUE {
                continue;
            }
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
        let mut at = 0_usize;
        std::iter::from_fn(move || {
            let (head, rest) = self.0.get(at..)?.split_first_chunk::<3>()?;
            let [position, high, low] = *head;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let start = at.checked_add(3)?;
            let end = start.checked_add(length)?;
            rest.get(..length)?;
            at = end;
            let value = HeaderValue::from_maybe_shared(self.0.slice(start..end)).ok()?;
            Some((position, value))
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
        let projected = ProjectedHeaders::collect([(3, HeaderValue::from_static("ada"))].into_iter());
        let range = projected.as_bytes().as_ptr_range();
        let (position, value) = projected.values().next().unwrap();
        assert_eq!((position, value.as_bytes()), (3, &b"ada"[..]));
        assert!(range.contains(&value.as_bytes().as_ptr()));
    }

    #[test]
    fn a_value_too_long_to_travel_is_left_out() {
        let long = HeaderValue::try_from("x".repeat(LONGEST_VALUE + 1)).unwrap();
        let projected =
            ProjectedHeaders::collect([(0, long), (1, HeaderValue::from_static("b"))].into_iter());
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
        fn values_round_trip(values in prop::collection::vec((any::<u8>(), "[ -~]{0,40}"), 0..6)) {
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
            prop_assert!(read.values().count() <= 22);
        }
    }
}
