//! Webhooks in Logto's shapes, signed as Logto signs them: hexadecimal HMAC-SHA256 of the body.
//!
//! Nothing is sent unless a test says so: at Logto they follow a call of its Management API, which is not here.

use aws_lc_rs::hmac;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::time::Duration;

use super::control::Control;
use super::delivery::{self, DeliveryError, DeliveryKind, Message};
use super::persona::{ClaimsFor, Persona};
use crate::clock::UnixSeconds;
use crate::hex::hex;
use crate::secret::SecretText;

/// The field that carries the signature.
pub const SIGNATURE_FIELD: &str = "logto-signature-sha-256";
/// How long Logto waits for an answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Where webhooks go, and the key they are signed with.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Plain http to loopback, or an origin that [`Control::route`] leads there.
    pub url: String,
    /// Logto's signing key of this hook: its characters are the key.
    pub signing_key: SecretText,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookEvent {
    /// `User.SuspensionStatus.Updated`: the persona was suspended, or is free again.
    SuspensionUpdated,
    /// `User.Deleted`.
    Deleted,
    /// `User.Data.Updated` with the user as its data.
    DataUpdated,
    /// `User.Data.Updated` after a change of `custom_data`: that is its data, and the user is named in `params` alone.
    CustomDataUpdated,
    /// `User.Data.Updated` by the user at Logto's own account page: no `params`, the user as its data.
    AccountUpdated,
    /// `Organization.Membership.Updated`, the persona having left; the user ids that Logto names since 1.42.
    MemberRemoved,
    /// The same as earlier versions sent it: an organisation, and nobody named.
    MembershipUpdated,
    /// `Grant.LimitExceeded`: more sign-ins at the application than are allowed.
    GrantLimitExceeded,
    /// `PostSignIn`, which takes nothing from anyone.
    SignedIn,
    /// `Role.Scopes.Updated`, which names no user.
    RoleUpdated,
}

/// A webhook's body with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// JSON.
    pub body: String,
    /// The value of [`SIGNATURE_FIELD`].
    pub signature: String,
}

impl Webhook {
    /// Signs any body.
    pub fn sign(body: String, signing_key: &SecretText) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, signing_key.expose().as_bytes());
        let signature = hex(hmac::sign(&key, body.as_bytes()).as_ref());
        Self { body, signature }
    }
}

impl Control {
    /// Webhooks go here from now on.
    pub fn set_hook(&self, hook: Hook) {
        self.shared.state().hook = Some(hook);
    }

    /// The webhook that tells of an event which befell a persona, deleted ones included, created now. `None` without
    /// such a persona or without a hook.
    pub fn webhook(&self, event: HookEvent, persona: &str) -> Option<Webhook> {
        let state = self.shared.state();
        let is_meant = |candidate: &&Persona| candidate.key == persona;
        let persona = state
            .personas
            .iter()
            .find(is_meant)
            .or_else(|| state.deleted.iter().rev().find(is_meant))?;
        let hook = state.hook.as_ref()?;
        let body = payload(event, persona, self.shared.now()).to_string();
        Some(Webhook::sign(body, &hook.signing_key))
    }

    /// Sends a webhook, once. The status of the answer.
    pub async fn send_webhook(&self, webhook: &Webhook) -> Result<u16, DeliveryError> {
        let hook = self.shared.state().hook.clone();
        let message = Message {
            kind: DeliveryKind::Webhook,
            url: hook.ok_or(DeliveryError::Nowhere)?.url,
            content_type: "application/json",
            user_agent: "Logto (https://logto.io/)",
            field: Some((SIGNATURE_FIELD, webhook.signature.clone())),
            body: Bytes::from(webhook.body.clone()),
            limit: LIMIT,
        };
        delivery::send(&self.shared, message).await
    }
}

/// Logto's payload: who made the change and how, then what the event tells, then which hook this is.
fn payload(event: HookEvent, persona: &Persona, now: UnixSeconds) -> Value {
    let id = &persona.id;
    let organization = persona
        .organizations
        .first()
        .map_or("exampleorg01", |organization| organization.id.as_str());
    let call = |method: &str, path: String, route: &str, status: u16, params: Value| json!({"method": method, "path": path, "matchedRoute": route, "status": status, "params": params});
    let on_user = |method: &str, rest: &str, status: u16| {
        call(
            method,
            format!("/users/{id}{rest}"),
            &format!("/users/:userId{rest}"),
            status,
            json!({"userId": id}),
        )
    };
    let (name, parts) = match event {
        HookEvent::SuspensionUpdated => (
            "User.SuspensionStatus.Updated",
            vec![
                on_user("PATCH", "/is-suspended", 200),
                json!({"data": user(persona)}),
            ],
        ),
        HookEvent::Deleted => (
            "User.Deleted",
            vec![on_user("DELETE", "", 204), json!({"data": user(persona)})],
        ),
        HookEvent::DataUpdated => (
            "User.Data.Updated",
            vec![on_user("PATCH", "", 200), json!({"data": user(persona)})],
        ),
        HookEvent::CustomDataUpdated => (
            "User.Data.Updated",
            vec![
                on_user("PATCH", "/custom-data", 200),
                json!({"data": persona.custom_data}),
            ],
        ),
        HookEvent::AccountUpdated => ("User.Data.Updated", vec![json!({"data": user(persona)})]),
        HookEvent::MemberRemoved => (
            "Organization.Membership.Updated",
            vec![
                call(
                    "DELETE",
                    format!("/organizations/{organization}/users/{id}"),
                    "/organizations/:id/users/:userId",
                    204,
                    json!({"id": organization, "userId": id}),
                ),
                json!({"organizationId": organization, "removedUserIds": [id]}),
            ],
        ),
        HookEvent::MembershipUpdated => (
            "Organization.Membership.Updated",
            vec![
                call(
                    "PUT",
                    format!("/organizations/{organization}/users"),
                    "/organizations/:id/users",
                    204,
                    json!({"id": organization}),
                ),
                json!({"organizationId": organization}),
            ],
        ),
        HookEvent::GrantLimitExceeded => (
            "Grant.LimitExceeded",
            vec![json!({
                "application": application(), "userId": id, "applicationId": "example-app", "revokedGrantIds": ["an-old-grant"],
                "maxAllowedGrants": 1, "preRevocationActiveGrantCount": 2,
            })],
        ),
        HookEvent::SignedIn => (
            "PostSignIn",
            vec![json!({
                "interactionEvent": "SignIn", "sessionId": "example-session", "userId": id, "userIp": "203.0.113.7",
                "user": user(persona), "application": application(),
            })],
        ),
        HookEvent::RoleUpdated => (
            "Role.Scopes.Updated",
            vec![
                call(
                    "POST",
                    "/roles/examplerole01/scopes".to_owned(),
                    "/roles/:id/scopes",
                    201,
                    json!({"id": "examplerole01"}),
                ),
                json!({"data": [{"id": "examplescope1", "name": "read:things"}]}),
            ],
        ),
    };
    let mut whole = Map::new();
    let envelope = json!({
        "event": name, "createdAt": timestamp(now), "userAgent": "Mozilla/5.0", "ip": "203.0.113.7", "hookId": "examplehook01",
    });
    for part in std::iter::once(envelope).chain(parts) {
        whole.extend(part.as_object().cloned().unwrap_or_default());
    }
    Value::Object(whole)
}

/// The members of a user that Logto shows in its Management API.
fn user(persona: &Persona) -> Value {
    let identities = persona.claims(&["identities".to_owned()], ClaimsFor::UserInfo);
    json!({
        "id": persona.id,
        "username": persona.username,
        "primaryEmail": persona.email,
        "primaryPhone": null,
        "name": persona.name,
        "avatar": persona.picture,
        "customData": persona.custom_data,
        "identities": identities.get("identities"),
        "lastSignInAt": persona.updated_at,
        "createdAt": persona.created_at,
        "updatedAt": persona.updated_at,
        "profile": {},
        "applicationId": null,
        "isSuspended": persona.suspended,
    })
}

fn application() -> Value {
    json!({"id": "example-app", "type": "Traditional", "name": "Example", "description": null})
}

/// `2026-01-31T12:00:00.000Z`, as JavaScript's `toISOString` writes it.
fn timestamp(moment: UnixSeconds) -> String {
    format!("{}.000Z", moment.to_rfc3339().trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_javascript_does() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(timestamp(UnixSeconds::new(seconds)), text);
        }
    }

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let key = SecretText::new("Jefe".into());
        let signed = Webhook::sign("what do ya want for nothing?".to_owned(), &key);
        assert_eq!(
            signed.signature,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
