//! The rules that make request headers of claims, compiled once from the configuration.
//!
//! Promises: a rule whose claim is absent leaves its header absent, never empty and never the client's; every name a
//! rule may set is owned on every request. Stops identity spoofing (a client's `X-User-Sub`, in any spelling). Refuses to
//! know sessions: the values it makes are kept by whoever wants to.

use super::claims::{ClaimPath, Claims};
pub use super::encoding::Encoding;
use super::owned::OwnedNames;
pub use super::projected::ProjectedHeaders;
use crate::http::folding::{fold, folded_equals};
use http::HeaderValue;
use http::header::{HeaderMap, HeaderName};
use sha2::{Digest as _, Sha256};

/// Most rules there can be.
pub const MOST_RULES: usize = 64;

/// Longest separator of list items, in bytes.
const LONGEST_JOIN: usize = 8;

/// Names that carry the message itself or its way here; a rule for one would break every request.
const RESERVED: [&[u8]; 20] = [
    b"connection",
    b"content-length",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-real-ip",
    b"x-request-id",
];

/// Where a header's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A claim of the signed-in user.
    Claim {
        /// Which one.
        path: ClaimPath,
        /// How text beyond printable ASCII is written.
        encoding: Encoding,
        /// What stands between the items of a list: 1 to 8 printable ASCII characters, no letter, digit or `%`.
        join: String,
        /// What stands before the value: not empty only in the headers of a [`Preset`](super::Preset).
        prefix: &'static str,
    },
    /// The host that the request names, with its port if it is not the scheme's own. Says nothing of the user, so it goes on
    /// every request.
    Host,
    /// The signed assertion of who is calling. It is made for a request, by whoever sends that.
    Assertion,
    /// The same value for every caller who is known.
    Constant(HeaderValue),
    /// The ID of the application, when a program calls as itself and no user.
    ClientId,
    /// One of the tokens that Logto gave for the session. It is no part of what a session carries: whoever forwards the
    /// request adds it.
    Token(TokenSource),
}

/// A token that any signed-in user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    /// The opaque access token.
    Access,
    /// The ID token.
    Id,
}

/// One header towards the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRule {
    /// Its name.
    pub name: HeaderName,
    /// Where its value comes from.
    pub source: Source,
}

/// Why a set of rules cannot be. All are the operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRulesError {
    /// More than [`MOST_RULES`].
    #[error("at most {MOST_RULES} headers can be configured")]
    TooMany,
    /// Two rules for one name, or for names that upstreams may not tell apart.
    #[error("the headers `{0}` and `{1}` are the same to an upstream")]
    SameName(HeaderName, HeaderName),
    /// A header of the message itself.
    #[error("the header `{0}` cannot carry an identity: the proxy or HTTP itself uses it")]
    Reserved(HeaderName),
    /// A separator that would make lists unreadable.
    #[error(
        "the separator of the list in `{0}` must be 1 to 8 printable ASCII characters, none a letter, a digit or `%`"
    )]
    BadJoin(HeaderName),
}

/// The rules, ready for use.
#[derive(Debug, Clone)]
pub struct HeaderRules {
    rules: Vec<HeaderRule>,
    host_names: Box<[HeaderName]>,
    owned: OwnedNames,
    fingerprint: u64,
}

impl HeaderRule {
    /// A rule that writes a claim percent-encoded, lists with a comma.
    pub fn claim(name: HeaderName, path: ClaimPath) -> Self {
        let source = Source::Claim {
            path,
            encoding: Encoding::Percent,
            join: ",".to_owned(),
            prefix: "",
        };
        Self { name, source }
    }
}

impl HeaderRules {
    /// Compiles rules.
    ///
    /// # Errors
    /// See [`HeaderRulesError`].
    pub fn new(rules: Vec<HeaderRule>) -> Result<Self, HeaderRulesError> {
        if rules.len() > MOST_RULES {
            return Err(HeaderRulesError::TooMany);
        }
        for (index, rule) in rules.iter().enumerate() {
            let folded = fold(rule.name.as_str().as_bytes());
            if RESERVED.contains(&folded.as_ref()) {
                return Err(HeaderRulesError::Reserved(rule.name.clone()));
            }
            let twin = rules
                .iter()
                .take(index)
                .find(|earlier| folded_equals(earlier.name.as_str().as_bytes(), &folded));
            if let Some(twin) = twin {
                return Err(HeaderRulesError::SameName(twin.name.clone(), rule.name.clone()));
            }
            if let Source::Claim { join, .. } = &rule.source
                && !is_separator(join)
            {
                return Err(HeaderRulesError::BadJoin(rule.name.clone()));
            }
        }
        let owned = OwnedNames::new(rules.iter().map(|rule| &rule.name));
        let fingerprint = fingerprint(&rules);
        let of_host = rules.iter().filter(|rule| rule.source == Source::Host);
        Ok(Self {
            host_names: of_host.map(|rule| rule.name.clone()).collect(),
            rules,
            owned,
            fingerprint,
        })
    }

    /// Tells one set of claim rules from another: values made under one fingerprint fit no other.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[HeaderRule] {
        &self.rules
    }

    /// The claims the rules read.
    pub fn needed_claims(&self) -> Vec<ClaimPath> {
        let paths = self.rules.iter().filter_map(|rule| match &rule.source {
            Source::Claim { path, .. } => Some(path.clone()),
            _ => None,
        });
        paths.collect()
    }

    /// Makes the header values of one user. A claim that is absent or empty, or holds a control character, gives none.
    pub fn project(&self, claims: &Claims) -> ProjectedHeaders {
        let values = self
            .rules
            .iter()
            .zip(0_u8..)
            .filter_map(|(rule, position)| match &rule.source {
                Source::Claim {
                    path,
                    encoding,
                    join,
                    prefix,
                } => {
                    let value = encoding.write(claims.at(path)?, join)?;
                    Some((position, prefixed(prefix, value)?))
                }
                _ => None,
            });
        ProjectedHeaders::collect(values)
    }

    /// Makes the header values of a program that calls as itself: whatever its token claims, none of a user's.
    pub fn project_program(&self, client_id: &str) -> ProjectedHeaders {
        let values = self
            .rules
            .iter()
            .zip(0_u8..)
            .filter_map(|(rule, position)| match rule.source {
                Source::ClientId => Some((position, HeaderValue::from_str(client_id).ok()?)),
                _ => None,
            });
        ProjectedHeaders::collect(values)
    }

    /// Is this a name that tells who the user is, by a rule or by custom, in whatever spelling?
    pub fn carries(&self, name: &[u8]) -> bool {
        self.sets(name) || OwnedNames::new(std::iter::empty()).contains(name)
    }

    /// Whether a rule sets a header of this name, in whatever spelling.
    pub fn sets(&self, name: &[u8]) -> bool {
        let folded = fold(name);
        self.rules
            .iter()
            .any(|rule| folded_equals(rule.name.as_str().as_bytes(), &folded))
    }

    /// The owned names that there is a word for, each once: those of the rules, of the default headers, and the single ones that
    /// are always owned. Whole families are owned besides.
    pub fn names(&self) -> Vec<HeaderName> {
        let mut names: Vec<HeaderName> = Vec::new();
        let rules = self.rules.iter().map(|rule| rule.name.clone());
        let defaults = Self::defaults().into_iter().map(|rule| rule.name);
        for name in rules.chain(defaults).chain(self.owned.names()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Is this a name a client may not send, in whatever spelling?
    pub fn is_owned(&self, name: &[u8]) -> bool {
        self.owned.contains(name)
    }

    /// Removes every header that only the proxy may send, and its look-alikes. For every request, before anything else.
    pub fn strip(&self, headers: &mut HeaderMap) {
        self.owned.strip(headers);
    }

    /// The headers whose value is the same for every caller who is known.
    pub fn constants(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.rules.iter().filter_map(|rule| match &rule.source {
            Source::Constant(value) => Some((&rule.name, value)),
            _ => None,
        })
    }

    /// The headers that carry a token.
    pub fn tokens(&self) -> impl Iterator<Item = (&HeaderName, TokenSource)> {
        self.rules.iter().filter_map(|rule| match rule.source {
            Source::Token(token) => Some((&rule.name, token)),
            _ => None,
        })
    }

    /// The same rules, with further names that clients may not send: those that only some routes set.
    #[must_use]
    pub fn owning<'a>(mut self, names: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        self.owned.add(names);
        self
    }

    /// Puts the host that a request names under the names of the rules that ask for it.
    pub fn apply_host(&self, host: &HeaderValue, headers: &mut HeaderMap) {
        for name in &self.host_names {
            headers.insert(name.clone(), host.clone());
        }
    }

    /// The header that carries the assertion.
    pub fn assertion_header(&self) -> Option<&HeaderName> {
        let rule = self.rules.iter().find(|rule| rule.source == Source::Assertion);
        rule.map(|rule| &rule.name)
    }

    /// The name of the rule at a position, where its value is projected.
    pub(super) fn projected_header(&self, position: u8) -> Option<&HeaderName> {
        self.rules
            .get(usize::from(position))
            .and_then(|rule| match rule.source {
                Source::Claim { .. } | Source::ClientId => Some(&rule.name),
                _ => None,
            })
    }
}

fn prefixed(prefix: &str, value: HeaderValue) -> Option<HeaderValue> {
    if prefix.is_empty() {
        return Some(value);
    }
    HeaderValue::from_bytes(&[prefix.as_bytes(), value.as_bytes()].concat()).ok()
}

/// Letters, digits and `%` would run into the `%XX` of an item.
fn is_separator(join: &str) -> bool {
    let usable = |byte: u8| matches!(byte, b' '..=b'~') && !byte.is_ascii_alphanumeric() && byte != b'%';
    (1..=LONGEST_JOIN).contains(&join.len()) && join.bytes().all(usable)
}

fn fingerprint(rules: &[HeaderRule]) -> u64 {
    fn feed(hash: &mut Sha256, part: &[u8]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut hash = Sha256::new();
    feed(&mut hash, b"headers/2");
    for rule in rules {
        feed(&mut hash, rule.name.as_str().as_bytes());
        match &rule.source {
            Source::Claim {
                path,
                encoding,
                join,
                prefix,
            } => {
                feed(&mut hash, path.to_string().as_bytes());
                feed(&mut hash, encoding.as_str().as_bytes());
                feed(&mut hash, join.as_bytes());
                feed(&mut hash, prefix.as_bytes());
            }
            // What is not made of claims is not in the projected values; only the position counts.
            Source::Constant(_) | Source::Host | Source::Assertion | Source::Token(_) => feed(&mut hash, b""),
            Source::ClientId => feed(&mut hash, b"client id"),
        }
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk::<8>().copied().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
