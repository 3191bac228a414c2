//! A condition of an access table: what is asked, which claims that takes, and how it is said.
//!
//! A condition holds on what was proved of the caller, and on nothing else. What is absent, `null` or of another type than
//! expected fulfils none. Texts are compared to the letter, the domain of an e-mail address without regard to case.

use crate::identity::ClaimPath;
use ipnet::IpNet;
use serde_json::Value;
use std::fmt;

/// One condition: a key of an access table.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// `any_role`: claim `roles` names one of these.
    AnyRole(Vec<String>),
    /// `all_roles`: claim `roles` names every one of these.
    AllRoles(Vec<String>),
    /// `organization`: claim `organizations` names this ID, or the caller's access token is for it.
    Organization(String),
    /// `any_organization_role`: claim `organization_roles` names one of these.
    AnyOrganizationRole {
        /// Names of roles.
        roles: Vec<String>,
        /// The organization in which; `None`: in any.
        organization: Option<String>,
    },
    /// `scope`: the access token has every one of these. A session has none.
    Scope(Vec<String>),
    /// `sub`: the user's ID, or a program's application ID.
    Sub(Vec<String>),
    /// `email`: claim `email` is one of these addresses.
    Email(Vec<String>, EmailProof),
    /// `email_domain`: claim `email` is an address of one of these domains; not of those below them.
    EmailDomain(Vec<String>, EmailProof),
    /// `hf_user`: the ID of the Hugging Face account that the user has linked.
    HfUser(Vec<String>),
    /// `hf_org`: a Hugging Face organization of the linked account, by ID (24 hexadecimal digits) or else by name.
    HfOrg(Vec<String>, OrganizationProof),
    /// `ip`: the client's address is in one of these networks.
    Ip(Vec<IpNet>),
    /// `claim`: the value at this path, or an item of the list there, is one of these.
    Claim {
        /// Where.
        path: ClaimPath,
        /// Strings, integers, `true` or `false`.
        any_of: Vec<Value>,
    },
}

/// What is asked before an address that Logto states counts. Logto calls every address verified, also one that a social
/// connector handed on unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailProof {
    /// Nothing: Logto's word.
    None,
    /// Of users with a Hugging Face account: that Hugging Face has verified this very address. Needs the claim `identities`.
    HuggingFace,
}

/// What is asked before a Hugging Face organization counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationProof {
    /// Nothing: who was a member when the account was linked may still be taken for one.
    None,
    /// That Hugging Face itself was asked for the list, as `identities.huggingface.orgs_checked_at` says.
    Asked,
}

impl Condition {
    /// The key in the access table.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::AnyRole(_) => "any_role",
            Self::AllRoles(_) => "all_roles",
            Self::Organization(_) => "organization",
            Self::AnyOrganizationRole { .. } => "any_organization_role",
            Self::Scope(_) => "scope",
            Self::Sub(_) => "sub",
            Self::Email(..) => "email",
            Self::EmailDomain(..) => "email_domain",
            Self::HfUser(_) => "hf_user",
            Self::HfOrg(..) => "hf_org",
            Self::Ip(_) => "ip",
            Self::Claim { .. } => "claim",
        }
    }

    /// The claims that it reads.
    pub fn needed_claims(&self) -> Vec<ClaimPath> {
        let paths: &[&str] = match self {
            Self::AnyRole(_) | Self::AllRoles(_) => &["roles"],
            Self::Organization(_) => &["organizations"],
            Self::AnyOrganizationRole { .. } => &["organization_roles"],
            Self::Scope(_) | Self::Sub(_) | Self::Ip(_) => &[],
            Self::Email(_, EmailProof::None) | Self::EmailDomain(_, EmailProof::None) => &["email"],
            Self::Email(_, EmailProof::HuggingFace) | Self::EmailDomain(_, EmailProof::HuggingFace) => &[
                "email",
                "identities.huggingface.details.rawData.email",
                "identities.huggingface.details.rawData.email_verified",
            ],
            Self::HfUser(_) => &["identities.huggingface.userId"],
            Self::HfOrg(_, OrganizationProof::None) => &["identities.huggingface.details.rawData.orgs"],
            Self::HfOrg(_, OrganizationProof::Asked) => &[
                "identities.huggingface.details.rawData.orgs",
                "identities.huggingface.orgs_checked_at",
            ],
            Self::Claim { path, .. } => return vec![path.clone()],
        };
        paths.iter().filter_map(|path| path.parse().ok()).collect()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted =
            |texts: &[String], last: &str| listed(texts.iter().map(|text| format!("{text:?}")), last);
        match self {
            Self::AnyRole(roles) => write!(formatter, "role {}", quoted(roles, "or")),
            Self::AllRoles(roles) => write!(formatter, "role {}", quoted(roles, "and")),
            Self::Organization(id) => write!(formatter, "member of organization {id:?}"),
            Self::AnyOrganizationRole { roles, organization } => {
                write!(formatter, "organization role {}", quoted(roles, "or"))?;
                match organization {
                    Some(id) => write!(formatter, " in {id:?}"),
                    None => formatter.write_str(" in any organization"),
                }
            }
            Self::Scope(scopes) => write!(formatter, "access token with scope {}", quoted(scopes, "and")),
            Self::Sub(ids) => write!(formatter, "ID {}", quoted(ids, "or")),
            Self::Email(addresses, _) => write!(formatter, "e-mail address {}", quoted(addresses, "or")),
            Self::EmailDomain(domains, _) => write!(formatter, "e-mail address at {}", quoted(domains, "or")),
            Self::HfUser(ids) => write!(formatter, "Hugging Face user {}", quoted(ids, "or")),
            Self::HfOrg(organizations, _) => {
                write!(
                    formatter,
                    "Hugging Face organization {}",
                    quoted(organizations, "or")
                )
            }
            Self::Ip(networks) => {
                let networks = networks.iter().map(ToString::to_string);
                write!(formatter, "address in {}", listed(networks, "or"))
            }
            Self::Claim { path, any_of } => {
                let values = any_of.iter().map(ToString::to_string);
                write!(formatter, "claim {path} is {}", listed(values, "or"))
            }
        }
    }
}

/// `a`, `a or b`, `a, b or c`; of a long list its beginning.
fn listed(items: impl ExactSizeIterator<Item = String>, last: &str) -> String {
    const SHOWN: usize = 6;
    let total = items.len();
    let mut shown: Vec<String> = items.take(SHOWN).collect();
    if total > SHOWN {
        shown.pop();
        shown.push(format!("{} more", total.saturating_sub(shown.len())));
    }
    match shown.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
