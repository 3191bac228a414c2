//! Parameters of a query or form, as received: in order, with repetitions.

use url::form_urlencoded;

/// Decoded parameters. An empty value counts as absent (OAuth 2.0, RFC 6749 §3.1).
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Decodes `application/x-www-form-urlencoded` text.
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// The first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// Whether this parameter is given more than once.
    pub(super) fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|(key, _)| key == name).count() > 1
    }

    /// A parameter given more than once, which no request may do (RFC 6749 §3.1); `resource` may (RFC 8707 §2).
    pub(super) fn repeated(&self) -> Option<&str> {
        self.0
            .iter()
            .map(|(key, _)| key.as_str())
            .find(|key| *key != "resource" && self.is_repeated(key))
    }

    /// Every pair in the order received.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// The space-separated words of a value.
pub(super) fn words(value: &str) -> Vec<String> {
    value.split_ascii_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_is_seen_and_resource_may_repeat() {
        let parameters = Parameters::parse(b"resource=a&resource=b&state=&x=1");
        assert_eq!(parameters.repeated(), None);
        assert_eq!(parameters.get("state"), None);
        assert_eq!(Parameters::parse(b"x=1&y=2&x=").repeated(), Some("x"));
    }
}
