//! Secrets out of the configuration: `"value"`, `{ env = "NAME" }` or `{ file = "PATH" }`.
//!
//! Promises: no error says anything of a secret but that it is missing, empty or weak; a weak session key
//! never gets through. Stops: sessions forged with a key that was guessed, copied from an example or left
//! as a placeholder.

use super::error::{Origin, Problem};
use super::node::{Entry, Node, Value};
use super::reader::{Reader, text_of};
use crate::secret::SecretText;
use crate::session::keyring::{SHORTEST_KEY, SessionKey, WeakKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

impl Reader<'_> {
    /// One to `most` secrets, all different, each with the place it was set at.
    pub(super) fn secrets(&mut self, path: &'static str, most: usize) -> Option<Vec<(SecretText, Origin)>> {
        let node = self.node(path)?;
        let origin = node.origin.clone();
        let items = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        if items.is_empty() || items.len() > most {
            self.fail_at(
                origin,
                path,
                Problem::new(format!("expected 1 to {most} secrets, found {}", items.len())),
            );
            return None;
        }
        let total = items.len();
        let mut secrets: Vec<(SecretText, Origin)> = Vec::with_capacity(total);
        for item in items {
            let Some(secret) = self.secret(path, &item) else {
                continue;
            };
            if secrets.iter().any(|(other, _)| *other == secret) {
                self.fail_at(item.origin, path, Problem::new("the same secret is given twice"));
            } else {
                secrets.push((secret, item.origin));
            }
        }
        (secrets.len() == total).then_some(secrets)
    }

    /// One secret and where it was set, if there is one: an empty string is none.
    pub(super) fn optional_secret(&mut self, path: &'static str) -> Option<Option<(SecretText, Origin)>> {
        let node = self.node(path)?;
        if matches!(&node.value, Value::Text(text) if text.is_empty()) {
            return Some(None);
        }
        let secret = self.secret(path, &node)?;
        Some(Some((secret, node.origin)))
    }

    /// One secret: its text, less one line break at the end.
    pub(super) fn secret(&mut self, path: &str, node: &Node) -> Option<SecretText> {
        self.secret_with(path, node, |text| {
            text.trim() == text && !text.chars().any(char::is_control)
        })
    }

    /// One secret that may have several lines, as PEM has.
    pub(super) fn secret_of_lines(&mut self, path: &str, node: &Node) -> Option<SecretText> {
        self.secret_with(path, node, |_| true)
    }

    fn secret_with(&mut self, path: &str, node: &Node, fits: impl Fn(&str) -> bool) -> Option<SecretText> {
        let result = match &node.value {
            Value::Text(text) if is_unexpanded(text) => Err(Problem::new("`${NAME}` is not expanded here")
                .help("write { env = \"NAME\" } to take the value of a variable")),
            Value::Text(text) => Ok(SecretText::new(text.to_string())),
            Value::Table(entries) => self.secret_elsewhere(entries),
            other => Err(Problem::new(format!(
                "expected {FORMS}, found {}",
                other.describe()
            ))),
        };
        let checked = result.and_then(|secret| {
            let text = without_line_break(secret.expose());
            if text.is_empty() {
                Err(Problem::new("the secret is empty"))
            } else if !fits(text) {
                Err(Problem::new(
                    "the secret has blanks around it or line breaks in it",
                ))
            } else {
                Ok(SecretText::new(text.to_owned()))
            }
        });
        self.keep(node.origin.clone(), path, checked)
    }

    fn secret_elsewhere(&mut self, entries: &[Entry]) -> Result<SecretText, Problem> {
        let [entry] = entries else {
            return Err(Problem::new(format!("expected {FORMS}")));
        };
        let named = text_of(&entry.node)?;
        match entry.name.as_str() {
            "env" => {
                let shown = if looks_like_variable(named) {
                    format!("`{named}`")
                } else {
                    "of this name".to_owned()
                };
                let value = self.source.environment.get(named);
                let value = value
                    .ok_or_else(|| Problem::new(format!("the environment variable {shown} is not set")))?;
                let text = value.to_str();
                let text = text
                    .ok_or_else(|| Problem::new(format!("the environment variable {shown} is not UTF-8")))?;
                Ok(SecretText::new(text.to_owned()))
            }
            "file" => {
                let bytes = Zeroizing::new(self.file(&entry.node.origin, named)?);
                let text =
                    std::str::from_utf8(&bytes).map_err(|_| Problem::new("the file is not UTF-8 text"))?;
                Ok(SecretText::new(text.to_owned()))
            }
            _ => Err(Problem::new(format!("expected {FORMS}"))),
        }
    }
}

const FORMS: &str = "\"value\", { env = \"NAME\" } or { file = \"PATH\" }";

/// A name that can be repeated in a message: someone may have put the secret itself there.
fn looks_like_variable(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What a shell would replace.
fn is_unexpanded(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// Why a session key is refused, if it is. The keyring's own rules, in the words of a configuration error.
pub(super) fn check_session_key(key: &SecretText) -> Result<(), Problem> {
    let why = match SessionKey::parse(key) {
        Ok(_) => return Ok(()),
        Err(WeakKey::Placeholder) => "it is a placeholder",
        Err(WeakKey::Empty | WeakKey::TooShort { .. }) => "expected at least 32 bytes as base64, hex or text",
        Err(WeakKey::LowVariety) => "its bytes repeat",
    };
    Err(Problem::new(format!("weak session key: {why}")).help("`logto-proxy keygen` prints a good one"))
}

/// Makes a session key: 32 bytes from the system's random source, in base64.
///
/// # Errors
/// When the system has no randomness to give.
pub fn generate_session_key() -> Result<SecretText, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; SHORTEST_KEY]);
    getrandom::fill(bytes.as_mut_slice())?;
    Ok(SecretText::new(BASE64_STANDARD.encode(bytes.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<(), Problem> {
        check_session_key(&SecretText::new(text.to_owned()))
    }

    #[test]
    fn strong_keys_pass_in_every_form() {
        for strong in [
            "V1d2k9JYc0pX5w3Qe7t8uR6bN4mL1aS+zXoPgH/fIqE=",
            "V1d2k9JYc0pX5w3Qe7t8uR6bN4mL1aS-zXoPgH_fIqE",
            "3f9a1c5e7b2d4f60819aa3b5c7d9e1f20314253647586970a1b2c3d4e5f60718",
            "correct horse battery staple, and a few words more",
        ] {
            assert_eq!(check(strong), Ok(()), "{strong}");
        }
    }

    #[test]
    fn weak_keys_are_refused() {
        for weak in [
            "short",
            "thirty-one bytes are not enough",
            "changeme-changeme-changeme-changeme",
            "please CHANGE_ME before going live, thank you",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0123456701234567012345670123456701234567012345670123456701234567",
        ] {
            assert!(check(weak).is_err(), "{weak}");
        }
    }

    #[test]
    fn generated_keys_are_strong_and_differ() {
        let (one, other) = (generate_session_key().unwrap(), generate_session_key().unwrap());
        assert_eq!(check_session_key(&one), Ok(()));
        assert_eq!(one.expose().len(), 44);
        assert!(one != other);
    }
}
