//! What Logto says of a user, and paths into it.
//!
//! Promises that a claim with the JSON value `null` counts as absent (Logto sends explicit nulls) and that a reduced
//! copy holds nothing but what was asked for. Refuses to know where the claims came from: that they were verified is
//! the caller's affair. Personal data never shows in `Debug`.

use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// The claims of one user: a JSON object.
#[derive(Clone, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

/// Where in the claims a value lies: member names from the outside in.
///
/// Written with dots (`identities.huggingface.userId`); `\.` is a dot inside a name and `\\` a backslash, so that claims
/// named by a URL can be reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimPath(Vec<String>);

/// Why a text is not a [`ClaimPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimPathError {
    /// The text, or a name between two dots, is empty.
    #[error("a claim path has a name on each side of every dot")]
    EmptyName,
    /// A backslash stands before something other than a dot or a backslash.
    #[error("in a claim path a backslash may only stand before a dot or a backslash")]
    BadEscape,
}

impl Claims {
    /// Wraps a JSON object.
    pub const fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Reads a JSON object; `None` when the bytes are anything else.
    pub fn from_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    /// The claims as compact JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and numbers in a tree of maps cannot fail to serialise; an empty object would be the safe answer.
        serde_json::to_vec(&self.0).unwrap_or_else(|_| b"{}".to_vec())
    }

    /// The members of the object.
    pub const fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Gives the members away.
    pub fn into_members(self) -> Map<String, Value> {
        self.0
    }

    /// The value at a path. `null`, and a path that leads through something other than objects, are absent.
    pub fn at(&self, path: &ClaimPath) -> Option<&Value> {
        let (first, rest) = path.0.split_first()?;
        rest.iter()
            .try_fold(self.0.get(first)?, |value, name| value.as_object()?.get(name))
            .filter(|value| !value.is_null())
    }

    /// A copy that holds what the paths lead to, nested as it was, and nothing else. Where a path ends half-way, the objects
    /// that it goes through stay, without their content: that there is no such member can be told from not having asked.
    #[must_use]
    pub fn keep_only(&self, paths: &[ClaimPath]) -> Self {
        let mut kept = Map::new();
        for path in paths {
            copy_along(&self.0, &path.0, &mut kept);
        }
        Self(kept)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl ClaimPath {
    /// The member names, from the outside in; never empty.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The name of the outermost claim: what the ID token or userinfo must carry.
    pub fn top_level(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

impl FromStr for ClaimPath {
    type Err = ClaimPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut names = Vec::new();
        let mut name = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '.' => names.push(finished(&mut name)?),
                '\\' => match characters.next() {
                    Some(escaped @ ('.' | '\\')) => name.push(escaped),
                    _ => return Err(ClaimPathError::BadEscape),
                },
                plain => name.push(plain),
            }
        }
        names.push(finished(&mut name)?);
        Ok(Self(names))
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(".")?;
            }
            formatter.write_str(&name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

fn finished(name: &mut String) -> Result<String, ClaimPathError> {
    if name.is_empty() {
        return Err(ClaimPathError::EmptyName);
    }
    Ok(std::mem::take(name))
}

/// Copies what a path leads to. A place already filled by a shorter path holds all of it: left alone.
fn copy_along(from: &Map<String, Value>, path: &[String], to: &mut Map<String, Value>) {
    let (mut from, mut to) = (from, to);
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    for parent in parents {
        let Some(Value::Object(inner)) = from.get(parent) else {
            return;
        };
        from = inner;
        let place = to
            .entry(parent.as_str())
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(inner) = place else { return };
        to = inner;
    }
    if let Some(value) = from.get(last).filter(|value| !value.is_null()) {
        to.insert(last.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(members) => Claims::new(members),
            other => panic!("not an object: {other}"),
        }
    }

    fn path(text: &str) -> ClaimPath {
        text.parse().unwrap()
    }

    #[test]
    fn paths_are_read_and_written_back() {
        for (text, names) in [
            ("sub", vec!["sub"]),
            (
                "identities.huggingface.details.rawData.preferred_username",
                vec![
                    "identities",
                    "huggingface",
                    "details",
                    "rawData",
                    "preferred_username",
                ],
            ),
            (r"https://example\.com/roles", vec!["https://example.com/roles"]),
            (r"a\\b.c", vec![r"a\b", "c"]),
        ] {
            let path = path(text);
            assert_eq!(path.names(), names, "{text}");
            assert_eq!(path.to_string(), text);
            assert_eq!(path.top_level(), names[0]);
        }
    }

    #[test]
    fn malformed_paths_are_refused() {
        for text in ["", ".", "a.", ".a", "a..b"] {
            assert_eq!(
                text.parse::<ClaimPath>(),
                Err(ClaimPathError::EmptyName),
                "{text}"
            );
        }
        for text in [r"a\", r"a\b", r"\"] {
            assert_eq!(
                text.parse::<ClaimPath>(),
                Err(ClaimPathError::BadEscape),
                "{text}"
            );
        }
    }

    #[test]
    fn null_and_missing_are_absent() {
        let claims = claims(
            json!({"name": null, "identities": {"huggingface": {"userId": "7", "email": null}}, "n": 1}),
        );
        assert_eq!(claims.at(&path("name")), None);
        assert_eq!(claims.at(&path("missing")), None);
        assert_eq!(claims.at(&path("n.deeper")), None);
        assert_eq!(claims.at(&path("identities.huggingface.email")), None);
        assert_eq!(
            claims.at(&path("identities.huggingface.userId")),
            Some(&json!("7"))
        );
    }

    #[test]
    fn a_reduced_copy_holds_only_what_was_asked_for() {
        let all = claims(json!({
            "sub": "u1", "email": "a@example.com", "phone_number": "+1", "name": null,
            "identities": {"huggingface": {"userId": "7", "details": {"email": "secret@example.com", "name": "Admin"}}}
        }));
        let kept = all.keep_only(&[
            path("sub"),
            path("name"),
            path("identities.huggingface.userId"),
            path("identities.huggingface.details.name"),
        ]);
        assert_eq!(
            kept,
            claims(
                json!({"sub": "u1", "identities": {"huggingface": {"userId": "7", "details": {"name": "Admin"}}}})
            )
        );
    }

    #[test]
    fn overlapping_paths_keep_the_wider_one_in_any_order() {
        let all = claims(json!({"identities": {"huggingface": {"userId": "7"}, "github": {"userId": "8"}}}));
        for paths in [
            ["identities", "identities.huggingface.userId"],
            ["identities.huggingface.userId", "identities"],
        ] {
            assert_eq!(all.keep_only(&paths.map(path)), all);
        }
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let shown = format!("{:?}", claims(json!({"email": "admin@example.com"})));
        assert!(shown.contains("email") && !shown.contains("admin"), "{shown}");
    }

    #[test]
    fn json_round_trips_and_anything_but_an_object_is_refused() {
        let all = claims(json!({"sub": "u1", "roles": ["a", "b"]}));
        assert_eq!(Claims::from_json(&all.to_json()), Some(all));
        assert_eq!(Claims::from_json(b"[1]"), None);
        assert_eq!(Claims::from_json(b"{"), None);
    }
}
