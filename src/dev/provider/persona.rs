//! The people who can sign in at the stand-in, and the claims Logto would say about them.
//!
//! Invented for the purpose, with ids that never change, so that a test can name them.

use serde_json::{Map, Value, json};

use super::connector::Connector;
use super::social_account::SocialAccount;

/// A user of the stand-in.
#[derive(Debug, Clone, PartialEq)]
pub struct Persona {
    /// What the sign-in button's value and [`super::Control`] call this persona, such as `plain`.
    pub key: String,
    /// Logto's user id: 12 lower-case letters and digits. The `sub` of every token.
    pub id: String,
    /// Logto's username; null in the claims when absent.
    pub username: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Email address. Logto calls every address verified.
    pub email: Option<String>,
    /// Picture URL.
    pub picture: Option<String>,
    /// Names of global roles.
    pub roles: Vec<String>,
    /// Organisations the persona is a member of.
    pub organizations: Vec<Organization>,
    /// The linked Hugging Face account.
    pub hugging_face: Option<HuggingFaceAccount>,
    /// That account as it is now, where it changed since Logto recorded it.
    pub hugging_face_now: Option<HuggingFaceAccount>,
    /// Linked accounts at the third parties of generic connectors.
    pub accounts: Vec<SocialAccount>,
    /// `custom_data`, userinfo only.
    pub custom_data: Map<String, Value>,
    /// Suspended: sign-in is refused on the provider's own page.
    pub suspended: bool,
    /// Refused by application-level access control: a refresh answers `access_denied`.
    pub access_denied: bool,
    /// Milliseconds since the epoch, as Logto writes it.
    pub created_at: u64,
    /// Milliseconds since the epoch; moves at every sign-in, as Logto's does.
    pub updated_at: u64,
}

/// A Logto organisation, seen from one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Logto's organisation id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// The member's roles in it.
    pub roles: Vec<String>,
}

/// A Hugging Face account as Logto's connector records it at the first sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HuggingFaceAccount {
    /// Hugging Face's `sub`, which is never Logto's.
    pub user_id: String,
    /// `preferred_username` at Hugging Face.
    pub username: String,
    /// Display name at Hugging Face.
    pub name: String,
    /// Email address at Hugging Face.
    pub email: String,
    /// Picture URL at Hugging Face.
    pub picture: String,
    /// Organisations at Hugging Face: id and handle.
    pub organizations: Vec<(String, String)>,
}

/// Which document claims are made for: Logto leaves the heavy ones out of the ID token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClaimsFor {
    IdToken,
    UserInfo,
}

impl Persona {
    /// The personas `logto-proxy dev` starts with: `plain`, `admin`, `huggingface`, `acme`, `suspended`.
    pub fn built_in() -> Vec<Self> {
        let plain = Self {
            username: Some("plain".into()),
            name: Some("Plain User".into()),
            email: Some("plain@example.com".into()),
            ..Self::new("plain", "plainuser001")
        };
        let admin = Self {
            username: Some("admin".into()),
            name: Some("Admin User".into()),
            email: Some("admin@example.com".into()),
            picture: Some("https://example.com/admin.png".into()),
            roles: vec!["admin".into(), "editor".into()],
            organizations: vec![
                Organization {
                    id: "exampleorg01".into(),
                    name: "Example Organization".into(),
                    roles: vec!["owner".into(), "billing".into()],
                },
                Organization {
                    id: "exampleorg02".into(),
                    name: "Second Organization".into(),
                    roles: vec!["member".into()],
                },
            ],
            custom_data: Map::from_iter([("theme".to_owned(), json!("dark"))]),
            ..Self::new("admin", "adminuser001")
        };
        let hugging_face = Self {
            // A name outside ASCII, so that whoever puts it into a header must encode it.
            name: Some("Hugging Face User 🤗".into()),
            email: Some("huggingface@example.org".into()),
            picture: Some("https://example.org/huggingface.png".into()),
            hugging_face: Some(HuggingFaceAccount {
                user_id: "65a000000000000000000001".into(),
                username: "example-hf-user".into(),
                name: "Hugging Face User 🤗".into(),
                email: "huggingface@example.org".into(),
                picture: "https://example.org/huggingface.png".into(),
                organizations: vec![
                    ("65b000000000000000000001".into(), "example-lab".into()),
                    ("65b000000000000000000002".into(), "example-models".into()),
                ],
            }),
            ..Self::new("huggingface", "hfaceuser001")
        };
        let acme_account = json!({
            "uid": 1001, "login": "acme-user", "display_name": "Acme User", "mail": "acme@example.org",
            "avatar_url": "https://example.org/acme.png", "projects": ["anvil", "rocket"],
        });
        let acme = Self {
            name: Some("Acme User".into()),
            email: Some("acme@example.org".into()),
            picture: Some("https://example.org/acme.png".into()),
            accounts: vec![SocialAccount::linked(
                &Connector::acme(),
                acme_account.as_object().cloned().unwrap_or_default(),
            )],
            ..Self::new("acme", "acmeuser0001")
        };
        let suspended = Self {
            username: Some("suspended".into()),
            name: Some("Suspended User".into()),
            email: Some("suspended@example.com".into()),
            suspended: true,
            ..Self::new("suspended", "suspended001")
        };
        vec![plain, admin, hugging_face, acme, suspended]
    }

    /// A persona with no data but its key and id.
    pub fn new(key: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            id: id.into(),
            username: None,
            name: None,
            email: None,
            picture: None,
            roles: Vec::new(),
            organizations: Vec::new(),
            hugging_face: None,
            hugging_face_now: None,
            accounts: Vec::new(),
            custom_data: Map::new(),
            suspended: false,
            access_denied: false,
            created_at: 1_700_000_000_000,
            updated_at: 1_700_000_000_000,
        }
    }

    /// What the buttons call this persona.
    pub(super) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.key)
    }

    /// The claims Logto gives for these scopes, `sub` included. Missing values are explicit nulls.
    pub(super) fn claims(&self, scopes: &[String], claims_for: ClaimsFor) -> Map<String, Value> {
        let has = |scope: &str| scopes.iter().any(|granted| granted == scope);
        let mut claims = Map::new();
        let mut set = |name: &str, value: Value| {
            claims.insert(name.to_owned(), value);
        };
        set("sub", json!(self.id));
        if has("profile") {
            set("name", json!(self.name));
            set("picture", json!(self.picture));
            set("username", json!(self.username));
            if let Some(username) = &self.username {
                set("preferred_username", json!(username));
            }
            set("created_at", json!(self.created_at));
            set("updated_at", json!(self.updated_at));
        }
        if has("email") {
            set("email", json!(self.email));
            set("email_verified", json!(self.email.is_some()));
        }
        if has("phone") {
            set("phone_number", Value::Null);
            set("phone_number_verified", json!(false));
        }
        if has("roles") {
            set("roles", json!(self.roles));
        }
        if has("urn:logto:scope:organizations") {
            set(
                "organizations",
                self.organizations
                    .iter()
                    .map(|organization| json!(organization.id))
                    .collect(),
            );
        }
        if has("urn:logto:scope:organization_roles") {
            set("organization_roles", self.organization_roles());
        }
        if claims_for == ClaimsFor::UserInfo {
            if has("urn:logto:scope:organizations") {
                set("organization_data", self.organization_data());
            }
            if has("identities") {
                set("identities", self.identities());
                set("sso_identities", json!([]));
            }
            if has("custom_data") {
                set("custom_data", Value::Object(self.custom_data.clone()));
            }
        }
        claims
    }

    fn organization_roles(&self) -> Value {
        self.organizations
            .iter()
            .flat_map(|organization| {
                organization
                    .roles
                    .iter()
                    .map(move |role| json!(format!("{}:{role}", organization.id)))
            })
            .collect()
    }

    fn organization_data(&self) -> Value {
        self.organizations
            .iter()
            .map(
                |organization| json!({"id": organization.id, "name": organization.name, "description": null}),
            )
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Vec<String> {
        super::super::parameters::words(text)
    }

    #[test]
    fn ids_have_logtos_shape_and_addresses_are_reserved_ones() {
        for persona in Persona::built_in() {
            assert_eq!(persona.id.len(), 12, "{}", persona.key);
            assert!(
                persona
                    .id
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            );
            let email = persona.email.unwrap();
            assert!(
                email.ends_with("@example.com") || email.ends_with("@example.org"),
                "{email}"
            );
        }
    }

    #[test]
    fn the_id_token_lacks_what_logto_leaves_out() {
        let personas = Persona::built_in();
        let all = scopes(
            "openid profile email phone roles identities custom_data urn:logto:scope:organizations urn:logto:scope:organization_roles",
        );
        let admin = personas.iter().find(|persona| persona.key == "admin").unwrap();
        let id_token = admin.claims(&all, ClaimsFor::IdToken);
        for absent in ["identities", "sso_identities", "custom_data", "organization_data"] {
            assert!(!id_token.contains_key(absent), "{absent}");
        }
        assert_eq!(id_token["roles"], json!(["admin", "editor"]));
        assert_eq!(id_token["organizations"], json!(["exampleorg01", "exampleorg02"]));
        assert_eq!(
            id_token["organization_roles"],
            json!([
                "exampleorg01:owner",
                "exampleorg01:billing",
                "exampleorg02:member"
            ])
        );
        let userinfo = admin.claims(&all, ClaimsFor::UserInfo);
        assert_eq!(userinfo["custom_data"], json!({"theme": "dark"}));
        assert_eq!(userinfo["identities"], json!({}));
        assert_eq!(userinfo["organization_data"][0]["name"], "Example Organization");
    }

    #[test]
    fn a_hugging_face_user_has_no_username_and_nested_organisations() {
        let personas = Persona::built_in();
        let persona = personas
            .iter()
            .find(|persona| persona.key == "huggingface")
            .unwrap();
        let claims = persona.claims(&scopes("openid profile identities"), ClaimsFor::UserInfo);
        assert_eq!(claims["username"], Value::Null);
        assert!(!claims.contains_key("preferred_username"));
        assert!(!claims.contains_key("email"), "no email scope");
        let raw = &claims["identities"]["huggingface"]["details"]["rawData"];
        assert_eq!(raw["preferred_username"], "example-hf-user");
        assert_eq!(raw["orgs"][1]["preferred_username"], "example-models");
        assert!(
            claims["created_at"].as_u64().unwrap() > 1_000_000_000_000,
            "milliseconds"
        );
    }
}
