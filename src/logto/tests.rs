//! The whole module against a small server that answers as Logto does, or as Logto never would.

mod access_token;
mod access_token_keys;
mod breaker;
mod check;
mod discovery;
mod exchange;
mod fake;
mod introspection;
mod key;
mod logout_token;
mod logout_token_keys;
mod outage;
mod personal_access_token;
mod refresh;
mod refresh_verdicts;
mod resource_token;
mod social_token;
mod urls;
mod verification;
mod webhook;

use super::{Logto, RedeemRequest, RefreshMode, Settings, Userinfo, pkce};
use crate::clock::{Clock, ClockHand};
use crate::secret::SecretText;
use crate::tasks::Tasks;
use crate::telemetry::Metrics;
use fake::{FakeLogto, TestKey};
use serde_json::Value;
use url::Url;

const APP_ID: &str = "app id/1";
const NONCE: &str = "the-nonce";

fn settings(fake: &FakeLogto) -> Settings {
    Settings {
        endpoint: fake.endpoint(),
        internal_endpoint: None,
        app_id: APP_ID.into(),
        app_secrets: vec![SecretText::new("s3cret+/".into())],
        extra_roots: Vec::new(),
        redirect_uri: "https://app.example.com/.logto/callback".into(),
        scopes: vec!["profile".into(), "openid".into(), "email".into()],
        sign_in_resources: Vec::new(),
        userinfo: Userinfo::Never,
        refresh: RefreshMode::Session,
    }
}

/// A Logto that signs in user-1.
fn ready() -> (FakeLogto, TestKey) {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    fake.hand_out(&key.sign(&fake.claims()));
    (fake, key)
}

/// Claims with some changed; the text `REMOVED` removes one.
fn changed(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::String(text) if text == "REMOVED" => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    claims
}

fn logto_with(settings: Settings) -> (Logto, ClockHand) {
    let (clock, hand) = Clock::movable();
    (
        Logto::new(settings, clock, Tasks::new(), Metrics::default()).unwrap(),
        hand,
    )
}

fn logto(fake: &FakeLogto) -> Logto {
    logto_with(settings(fake)).0
}

fn request() -> RedeemRequest {
    RedeemRequest {
        code: SecretText::new("the-code".into()),
        code_verifier: pkce::make().0,
        nonce: NONCE.into(),
        max_age: None,
    }
}

fn address(text: &str) -> Url {
    Url::parse(text).unwrap()
}
