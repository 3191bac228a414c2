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
    let claims = typical_claims(from_hugging_face);
    let established = Established {
        subject: "k3vqk4f8mu7s".to_owned(),
        sid: Some("x".repeat(21)),
        headers: rules.project(&claims),
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
    let claims = json!({
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
    });
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
        let limits = Limits {
            idle: Duration::from_secs(60),
            lifetime: Duration::from_secs(60),
        };
        let cookies = SessionCookies::new(host_cookie(), Arc::new(ring(&[1])), limits).unwrap();
        let session = typical_session(&rules(), &rules().needed_claims(), from_hugging_face);
        let lines = cookies.seal(&session, &HeaderMap::new()).unwrap();
        assert_eq!(lines.len(), 1);
        lines[0].to_str().unwrap().split_once(';').unwrap().0.len()
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
