//! How large the session cookie of a typical user will be, to tell before anybody signs in.
//!
//! Promises the very figure that sealing such a session gives. Refuses to know keys: lengths do not depend on them.

use super::seal::sealed_length;
use super::session::{Established, Session, SessionId};
use crate::clock::UnixSeconds;
use crate::identity::claims::{ClaimPath, Claims};
use crate::identity::headers::HeaderRules;
use crate::secret::SecretText;
use serde_json::json;
use std::time::Duration;

/// Length of a refresh token of Logto's, in characters.
const REFRESH_TOKEN: usize = 43;

/// Bytes of `name=value` that a typical user's browser will send: one with name, email, picture, three roles, two
/// organisations and a refresh token, and where `from_hugging_face` also a Hugging Face identity. `kept` are the claims
/// that sessions keep.
pub fn expected_cookie_bytes(
    cookie_name: &str,
    rules: &HeaderRules,
    kept: &[ClaimPath],
    from_hugging_face: bool,
) -> usize {
    let session = typical_session(rules, kept, from_hugging_face);
    let sealed = sealed_length(session.to_plaintext().len());
    // The name, `=` and the digit that says how many pieces there are.
    cookie_name.len().saturating_add(2).saturating_add(sealed)
}

fn typical_session(rules: &HeaderRules, kept: &[ClaimPath], from_hugging_face: bool) -> Session {
    session_of(&typical_claims(from_hugging_face), rules, kept)
}

fn session_of(claims: &Claims, rules: &HeaderRules, kept: &[ClaimPath]) -> Session {
    let established = Established {
        subject: "k3vqk4f8mu7s".to_owned(),
        sid: Some("x".repeat(21)),
        headers: rules.project(claims),
        fingerprint: rules.fingerprint(),
        claims: claims.keep_only(kept),
        signed_in_at: UnixSeconds::new(0),
        lifetime: Duration::ZERO,
        refresh_token: Some(SecretText::new("x".repeat(REFRESH_TOKEN))),
        access_token: None,
    };
    Session::with_id(SessionId::from_bytes([0; 16]), established)
}

/// What Logto's userinfo says of such a user.
fn typical_claims(from_hugging_face: bool) -> Claims {
    let picture = "https://cdn-avatars.example.com/v1/production/uploads/60f1abe7544c2adfd699860c.png";
    let identity = json!({
        "huggingface": {
            "userId": "60f1abe7544c2adfd699860c",
            "details": {"rawData": {"preferred_username": "ghopper"}}
        }
    });
    from_json(json!({
        "sub": "k3vqk4f8mu7s",
        "name": "Grace Brewster Hopper",
        "username": "grace_hopper",
        "email": "grace.hopper@example.com",
        "email_verified": true,
        "picture": picture,
        "roles": ["admin", "developer", "billing"],
        "organizations": ["v1zy9q3k2m5t", "b7c4x8w0n6r1"],
        "organization_roles": ["v1zy9q3k2m5t:admin", "b7c4x8w0n6r1:member"],
        "identities": if from_hugging_face { identity } else { json!({}) }
    }))
}

fn from_json(claims: serde_json::Value) -> Claims {
    match claims {
        serde_json::Value::Object(members) => Claims::new(members),
        _ => Claims::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cookie::{Limits, SessionCookies};
    use super::super::keyring::tests::ring;
    use super::super::settings::tests::host_cookie;
    use super::*;
    use http::HeaderMap;
    use std::sync::Arc;

    fn sent_bytes(from_hugging_face: bool) -> usize {
        let session = typical_session(&rules(), &rules().needed_claims(), from_hugging_face);
        let (cookies, bytes) = sent(&session);
        assert_eq!(cookies, 1);
        bytes
    }

    /// How many cookies carry a session, and the bytes of their names and values.
    fn sent(session: &Session) -> (usize, usize) {
        let limits = Limits {
            idle: Duration::from_secs(60),
            lifetime: Duration::from_secs(60),
        };
        let cookies = SessionCookies::new(host_cookie(), Arc::new(ring(&[1])), limits).unwrap();
        let lines = cookies.seal(session, &HeaderMap::new()).unwrap();
        let pair = |line: &http::HeaderValue| line.to_str().unwrap().split_once(';').unwrap().0.len();
        (lines.len(), lines.iter().map(pair).sum())
    }

    /// A typical user, but with so many roles, and with so many organisations and a role in each.
    fn with_many(roles: usize, organizations: usize) -> Claims {
        let ids: Vec<String> = (0..organizations).map(|n| format!("v1zy9q3k{n:04}")).collect();
        let mut members = typical_claims(false).into_members();
        let mut set = |name: &str, values: Vec<String>| members.insert(name.to_owned(), json!(values));
        set(
            "roles",
            (0..roles).map(|n| format!("department-{n:02}")).collect(),
        );
        set(
            "organization_roles",
            ids.iter().map(|id| format!("{id}:member")).collect(),
        );
        set("organizations", ids);
        Claims::new(members)
    }

    #[test]
    fn cookies_are_as_large_as_they_must_be() {
        for (user, claims, most_cookies, most_bytes) in [
            ("sub only", from_json(json!({"sub": "k3vqk4f8mu7s"})), 1, 400),
            ("typical", typical_claims(false), 1, 1_200),
            ("typical, Hugging Face", typical_claims(true), 1, 1_400),
            ("50 roles, 20 organisations", with_many(50, 20), 2, 5_500),
        ] {
            let session = session_of(&claims, &rules(), &rules().needed_claims());
            let (cookies, bytes) = sent(&session);
            println!("{user}: {bytes} bytes in {cookies}");
            assert!(cookies <= most_cookies && bytes <= most_bytes, "{user}: {bytes}");
        }
    }

    fn rules() -> HeaderRules {
        HeaderRules::new(HeaderRules::defaults()).unwrap()
    }

    #[test]
    fn a_typical_users_cookie_fits_in_1_2_kb() {
        assert!(sent_bytes(false) <= 1_200, "{}", sent_bytes(false));
        assert!(sent_bytes(true) <= 1_400, "{}", sent_bytes(true));
    }

    #[test]
    fn the_expected_size_is_the_size() {
        for from_hugging_face in [false, true] {
            let kept = rules().needed_claims();
            let expected = expected_cookie_bytes("__Host-logto", &rules(), &kept, from_hugging_face);
            assert_eq!(expected, sent_bytes(from_hugging_face));
        }
    }
}
