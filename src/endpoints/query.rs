//! Parameters of the proxy's own endpoints, read strictly.

use crate::secret::SecretText;

/// The parameters of a query string or form, each name once.
#[derive(Debug)]
pub struct Parameters(Vec<(String, SecretText)>);

/// A parameter name occurs more than once (RFC 6749 §3.1 forbids it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a parameter is repeated")]
pub struct Repeated;

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` text. Values may be codes, so they are kept as secrets.
    pub fn parse(text: &[u8]) -> Result<Self, Repeated> {
        let mut parameters: Vec<(String, SecretText)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(Repeated);
            }
            parameters.push((name.into_owned(), SecretText::new(value.into_owned())));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter; an empty one counts as absent (RFC 6749 §3.1).
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.expose())
            .filter(|value| !value.is_empty())
    }

    /// All names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_refused_however_it_is_spelt() {
        assert_eq!(Parameters::parse(b"state=a&st%61te=b").err(), Some(Repeated));
        let parameters = Parameters::parse(b"code=a%20b&empty=&state=x").unwrap();
        assert_eq!(parameters.value("code"), Some("a b"));
        assert_eq!(parameters.value("empty"), None);
        assert_eq!(parameters.value("absent"), None);
    }
}
