//! A Hugging Face account: what userinfo says of it, now and as Logto recorded it at the first sign-in; and the page on which its
//! owner leaves and joins organizations.

use ::http::StatusCode;
use maud::html;
use serde_json::{Value, json};

use super::super::page::{Policy, page};
use super::super::reply;
use super::call::Call;
use super::control::Control;
use super::error::Outcome;
use super::persona::{HuggingFaceAccount, Persona};
use super::state::Shared;

/// Where accounts leave and join organizations.
pub(super) const ORGANIZATIONS_PATH: &str = "/huggingface/settings/organizations";

impl Persona {
    /// The linked account as it is now.
    pub(super) fn hugging_face_today(&self) -> Option<&HuggingFaceAccount> {
        self.hugging_face_now.as_ref().or(self.hugging_face.as_ref())
    }
}

impl HuggingFaceAccount {
    /// What Hugging Face's userinfo says of it.
    pub(super) fn userinfo(&self) -> Value {
        let orgs: Value = self
            .organizations
            .iter()
            .map(|(id, handle)| {
                json!({
                    "sub": id, "name": handle, "preferred_username": handle, "picture": format!("https://example.org/{handle}.png"),
                    "isEnterprise": false, "canPay": false, "roleInOrg": "contributor",
                })
            })
            .collect();
        json!({
            "sub": self.user_id, "name": self.name, "preferred_username": self.username,
            "profile": format!("https://example.org/{}", self.username), "picture": self.picture,
            "email": self.email, "email_verified": true, "isPro": false, "orgs": orgs,
        })
    }
}

/// `GET /huggingface/settings/organizations`: the organizations that Logto recorded, and which of them an account is in now.
pub(super) fn organizations(shared: &Shared) -> Outcome {
    let state = shared.state();
    let body = html! {
        p.note { "This page stands in for huggingface.co. Logto is not told of what happens here." }
        @for persona in &state.personas {
            @if let (Some(recorded), Some(today)) = (&persona.hugging_face, persona.hugging_face_today()) {
                h2 { (today.username) }
                @for organization in &recorded.organizations {
                    form method="post" action=(ORGANIZATIONS_PATH) {
                        input type="hidden" name="persona" value=(persona.key);
                        input type="hidden" name="organization" value=(organization.0);
                        @if today.organizations.contains(organization) {
                            button type="submit" name="member" value="no" id={ "leave-" (organization.1) } { "Leave " (organization.1) }
                        } @else {
                            button type="submit" name="member" value="yes" id={ "join-" (organization.1) } { "Join " (organization.1) " again" }
                        }
                    }
                }
            }
        }
    };
    Ok(reply::html(
        StatusCode::OK,
        page("Organizations at Hugging Face", &body),
        &Policy::new().text(),
    ))
}

/// `POST /huggingface/settings/organizations` with `persona`, `organization` (its ID) and `member=yes` or `no`.
pub(super) fn change_organizations(shared: &Shared, call: &Call) -> Outcome {
    let mut state = shared.state();
    let persona = call.form.get("persona").and_then(|key| state.persona_mut(key));
    let id = call.form.get("organization").unwrap_or_default();
    if let Some(persona) = persona
        && let Some(recorded) = persona.hugging_face.clone()
        && let Some(organization) = recorded.organizations.iter().find(|(known, _)| known == id)
    {
        let today = persona.hugging_face_now.get_or_insert_with(|| recorded.clone());
        today.organizations.retain(|(known, _)| known != id);
        if call.form.get("member") == Some("yes") {
            today.organizations.push(organization.clone());
        }
    }
    Ok(reply::see_other(ORGANIZATIONS_PATH))
}

impl Control {
    /// Changes a persona's account at Hugging Face. Logto's claims stay as they were at the first sign-in. False when the
    /// persona or its account does not exist.
    pub fn update_hugging_face(&self, key: &str, change: impl FnOnce(&mut HuggingFaceAccount)) -> bool {
        let mut state = self.shared.state();
        let Some(persona) = state.persona_mut(key) else {
            return false;
        };
        let Some(recorded) = &persona.hugging_face else {
            return false;
        };
        change(persona.hugging_face_now.get_or_insert_with(|| recorded.clone()));
        true
    }
}
