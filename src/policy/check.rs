//! Whether a condition holds for a caller.
//!
//! Promises to fail closed: what is not there, or has another shape than Logto gives it, fulfils nothing. A program fulfils no
//! condition on users; a session has no scopes.

use super::caller::{Caller, User};
use super::condition::{Condition, EmailProof, OrganizationProof};
use crate::identity::Claims;
use serde_json::Value;
use std::fmt;
use std::net::IpAddr;

/// Length of a Hugging Face ID in hexadecimal digits.
const HUGGING_FACE_ID: usize = 24;

/// Why a condition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody is signed in.
    Nobody,
    /// The claim it asks about is not there. A session made before the condition was may lack it though Logto has it.
    Absent,
    /// What is there is something else.
    Differs,
    /// Hugging Face has not verified the address, or knows another one.
    Unverified,
    /// Hugging Face itself was not asked about the user, or gave no answer.
    NotAsked,
    /// It is about users, and the caller is a program.
    Program,
    /// It is about access tokens, and the caller has a session.
    Session,
}

impl Why {
    /// In words, for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody is signed in",
            Self::Absent => "the user has no such claim",
            Self::Differs => "it is none of these",
            Self::Unverified => "the address is not the one that Hugging Face has verified",
            Self::NotAsked => "Hugging Face itself has not said so",
            Self::Program => "the caller is a program",
            Self::Session => "the caller has a session, not an access token",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl Condition {
    /// Whether it holds for a caller at an address.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, caller: &Caller<'_>, address: Option<IpAddr>) -> Result<(), Why> {
        if matches!(caller, Caller::Nobody) {
            return Err(Why::Nobody);
        }
        match self {
            Self::Ip(networks) => {
                let address = address.map(|address| address.to_canonical());
                holds(
                    address.is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
                )
            }
            Self::Sub(ids) => holds(ids.iter().any(|id| id == subject(caller))),
            Self::Scope(wanted) => {
                let scopes = scopes(caller).ok_or(Why::Session)?;
                holds(wanted.iter().all(|scope| scopes.contains(scope)))
            }
            Self::Organization(id) => match caller {
                Caller::Machine(machine) => holds(machine.organization == Some(id)),
                Caller::User(User {
                    organization: Some(token),
                    ..
                }) => holds(token == id),
                _ => {
                    let organizations = claim(user(caller)?.claims, "organizations")?;
                    holds(texts(organizations).any(|organization| organization == id))
                }
            },
            Self::AnyRole(wanted) => {
                let roles = claim(user(caller)?.claims, "roles")?;
                holds(texts(roles).any(|role| wanted.iter().any(|wanted| wanted == role)))
            }
            Self::AllRoles(wanted) => {
                let roles = claim(user(caller)?.claims, "roles")?;
                holds(
                    wanted
                        .iter()
                        .all(|wanted| texts(roles).any(|role| role == wanted)),
                )
            }
            Self::AnyOrganizationRole { roles, organization } => {
                let user = user(caller)?;
                let held = claim(user.claims, "organization_roles")?;
                let mut pairs = texts(held).filter_map(|pair| pair.split_once(':'));
                holds(pairs.any(|(id, role)| {
                    organization.as_ref().is_none_or(|wanted| wanted == id)
                        // A token for one organization carries no role into another.
                        && user.organization.is_none_or(|token| token == id)
                        && roles.iter().any(|wanted| wanted == role)
                }))
            }
            Self::Email(addresses, proof) => {
                let address = email(user(caller)?.claims, *proof)?;
                holds(addresses.iter().any(|wanted| is_same_address(wanted, address)))
            }
            Self::EmailDomain(domains, proof) => {
                let (_, domain) = email(user(caller)?.claims, *proof)?;
                holds(domains.iter().any(|wanted| wanted.eq_ignore_ascii_case(domain)))
            }
            Self::HfUser(ids) => {
                let account = hugging_face(user(caller)?.claims)?;
                let id = account.get("userId").and_then(Value::as_str).ok_or(Why::Absent)?;
                holds(ids.iter().any(|wanted| wanted == id))
            }
            Self::HfOrg(wanted, proof) => {
                let account = hugging_face(user(caller)?.claims)?;
                if *proof == OrganizationProof::Asked {
                    match account.get("orgs_checked_at").and_then(Value::as_u64) {
                        None => return Err(Why::Absent),
                        Some(0) => return Err(Why::NotAsked),
                        Some(_) => {}
                    }
                }
                let organizations = account.pointer("/details/rawData/orgs").and_then(Value::as_array);
                let organizations = organizations.ok_or(Why::Absent)?;
                holds(
                    wanted
                        .iter()
                        .any(|wanted| organizations.iter().any(|held| is_organization(held, wanted))),
                )
            }
            Self::Claim { path, any_of } => {
                let value = user(caller)?.claims.at(path).ok_or(Why::Absent)?;
                holds(items(value).any(|item| any_of.contains(item)))
            }
        }
    }
}

fn holds(holds: bool) -> Result<(), Why> {
    if holds { Ok(()) } else { Err(Why::Differs) }
}

fn subject<'a>(caller: &Caller<'a>) -> &'a str {
    match caller {
        Caller::Nobody => "",
        Caller::User(user) => user.subject,
        Caller::Machine(machine) => machine.client_id,
    }
}

fn scopes<'a>(caller: &Caller<'a>) -> Option<&'a [String]> {
    match caller {
        Caller::Nobody => None,
        Caller::User(user) => user.scopes,
        Caller::Machine(machine) => Some(machine.scopes),
    }
}

fn user<'a, 'c>(caller: &'a Caller<'c>) -> Result<&'a User<'c>, Why> {
    match caller {
        Caller::Nobody => Err(Why::Nobody),
        Caller::User(user) => Ok(user),
        Caller::Machine(_) => Err(Why::Program),
    }
}

/// A claim of the outermost level; `null` is none.
fn claim<'a>(claims: &'a Claims, name: &str) -> Result<&'a Value, Why> {
    let value = claims.members().get(name);
    value.filter(|value| !value.is_null()).ok_or(Why::Absent)
}

/// The items of a list; of anything else itself.
fn items(value: &Value) -> std::slice::Iter<'_, Value> {
    value
        .as_array()
        .map_or_else(|| std::slice::from_ref(value).iter(), |items| items.iter())
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    items(value).filter_map(Value::as_str)
}

/// The Hugging Face account that Logto knows of.
fn hugging_face(claims: &Claims) -> Result<&Value, Why> {
    let account = claim(claims, "identities")?.get("huggingface");
    account.filter(|account| account.is_object()).ok_or(Why::Absent)
}

/// The user's address in two parts, when it may be relied on as far as `proof` says.
fn email(claims: &Claims, proof: EmailProof) -> Result<(&str, &str), Why> {
    let address = claim(claims, "email")?.as_str().ok_or(Why::Absent)?;
    if proof == EmailProof::HuggingFace {
        // Whether there is an account must be known; an account of which nothing else is known proves nothing.
        let identities = claim(claims, "identities")?.as_object().ok_or(Why::Absent)?;
        if let Some(account) = identities.get("huggingface") {
            let raw = account.pointer("/details/rawData");
            let is_verified = raw.and_then(|raw| raw.get("email_verified")) == Some(&Value::Bool(true));
            let is_same = raw.and_then(|raw| raw.get("email")).and_then(Value::as_str) == Some(address);
            if !is_verified || !is_same {
                return Err(Why::Unverified);
            }
        }
    }
    // The last `@`: all before it may be quoted text.
    address.rsplit_once('@').ok_or(Why::Differs)
}

fn is_same_address(wanted: &str, (local, domain): (&str, &str)) -> bool {
    wanted
        .rsplit_once('@')
        .is_some_and(|(wanted, at)| wanted == local && at.eq_ignore_ascii_case(domain))
}

/// Whether an organization of a Hugging Face account is the wanted one. A text that looks like an ID is never compared with a
/// name, which anybody may choose. One that has not let its member in yet, for want of its single sign-on or of a second factor,
/// is none: Logto's snapshot lists such too.
pub fn is_organization(held: &Value, wanted: &str) -> bool {
    let is_unmet = |name: &&str| held.get(name) == Some(&Value::Bool(true));
    if ["pendingSSO", "missingMFA"].iter().any(is_unmet) {
        return false;
    }
    let is_id = wanted.len() == HUGGING_FACE_ID && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    let member = if is_id { "sub" } else { "preferred_username" };
    held.get(member).and_then(Value::as_str) == Some(wanted)
}
