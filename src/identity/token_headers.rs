//! Tokens of the caller as headers of one request.
//!
//! Promises that a header for a token is the proxy's own: with no token it is absent, whatever the client sent. Refuses to know
//! where tokens come from, and is never kept beyond its request.

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// What a request's token headers are to be.
#[derive(Default)]
pub struct TokenHeaders(Vec<(HeaderName, Option<HeaderValue>)>);

impl TokenHeaders {
    /// Each header with its value, or without one, in which case it is taken off the request.
    pub fn new(headers: impl IntoIterator<Item = (HeaderName, Option<HeaderValue>)>) -> Self {
        Self(headers.into_iter().collect())
    }

    /// Puts them on a request.
    pub fn apply(self, headers: &mut HeaderMap) {
        for (name, value) in self.0 {
            match value {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }
    }
}

/// Names alone.
impl std::fmt::Debug for TokenHeaders {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_never_heard_under_these_names() {
        let (sent, absent) = (
            HeaderName::from_static("authorization"),
            HeaderName::from_static("x-token"),
        );
        let mut headers = HeaderMap::new();
        for name in [&sent, &absent] {
            headers.append(name.clone(), HeaderValue::from_static("forged"));
            headers.append(name.clone(), HeaderValue::from_static("forged too"));
        }
        let value = HeaderValue::from_static("Bearer right");
        let tokens = TokenHeaders::new([(sent.clone(), Some(value)), (absent, None)]);
        assert!(!format!("{tokens:?}").contains("right"));
        tokens.apply(&mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers.get(sent).unwrap(), "Bearer right");
    }
}
