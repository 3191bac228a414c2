//! The logout-token table (OpenID Connect Back-Channel Logout 1.0 §2.4 to §2.6).

use super::fake::{FakeLogto, TestKey, base64url};
use super::{APP_ID, changed, logto, logto_with, settings};
use crate::clock::UnixSeconds;
use crate::logto::{LogoutToken, Logto, LogtoErrorKind};
use serde_json::{Value, json};
use std::time::Duration;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// As Logto makes it.
pub(super) fn claims(fake: &FakeLogto) -> Value {
    let now = fake.claims()["iat"].as_u64().unwrap();
    json!({
        "iss": fake.issuer(), "aud": APP_ID, "iat": now, "exp": now + 120, "jti": "jti-1", "sub": "user-1",
        "sid": "sid-1", "events": { EVENT: {} }
    })
}

fn header() -> Value {
    json!({ "alg": "ES384", "kid": "k1", "typ": "logout+jwt" })
}

pub(super) fn sign(key: &TestKey, claims: &Value) -> String {
    let header = json!({ "alg": key.algorithm(), "kid": key.kid(), "typ": "logout+jwt" });
    key.sign_with(&header, &claims.to_string())
}

/// The token, or the check that failed.
pub(super) async fn outcome(logto: &Logto, token: &str) -> Result<LogoutToken, String> {
    match logto.verify_logout_token(token).await {
        Ok(token) => Ok(token.into_inner()),
        Err(error) => match error.kind() {
            LogtoErrorKind::InvalidToken { check } => {
                assert_eq!(error.call().name(), "logout_token");
                Err((*check).to_owned())
            }
            other => Err(format!("{other:?}")),
        },
    }
}

pub(super) async fn knowing(fake: &FakeLogto, key: &TestKey) -> Logto {
    fake.publish(&[key]);
    let logto = logto(fake);
    outcome(&logto, &sign(key, &claims(fake))).await.unwrap();
    fake.state().calls.clear();
    logto
}

#[tokio::test]
async fn what_logto_sends_is_read() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    let logto = logto(&fake);
    let honest = claims(&fake);
    let now = UnixSeconds::new(honest["iat"].as_u64().unwrap());
    let token = outcome(&logto, &sign(&key, &honest)).await.unwrap();
    assert_eq!(token.subject.as_deref(), Some("user-1"));
    assert_eq!(token.sid.as_deref(), Some("sid-1"));
    assert_eq!(token.jti, "jti-1");
    assert_eq!(token.issued_at, now);
    assert_eq!(token.refused_from, now.plus(Duration::from_secs(180)));
    assert_eq!(format!("{token:?}"), "LogoutToken");

    // "Session required" off; and by the standard also without a user.
    let token = sign(&key, &changed(&honest, &json!({ "sid": "REMOVED" })));
    assert_eq!(outcome(&logto, &token).await.unwrap().sid, None);
    let token = sign(&key, &changed(&honest, &json!({ "sub": "REMOVED" })));
    assert_eq!(outcome(&logto, &token).await.unwrap().subject, None);
}

#[tokio::test]
async fn claims_are_judged_before_keys() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = knowing(&fake, &key).await;
    let honest = claims(&fake);
    let now = honest["iat"].as_i64().unwrap();
    let refused = [
        (
            "another issuer",
            json!({ "iss": "https://evil.example/oidc" }),
            "iss",
        ),
        (
            "issuer with a slash",
            json!({ "iss": format!("{}/", fake.issuer()) }),
            "iss",
        ),
        ("no issuer", json!({ "iss": "REMOVED" }), "iss"),
        ("issuers", json!({ "iss": [fake.issuer()] }), "iss"),
        ("another audience", json!({ "aud": "other" }), "aud"),
        ("no audience", json!({ "aud": "REMOVED" }), "aud"),
        ("null audience", json!({ "aud": null }), "aud"),
        ("empty audiences", json!({ "aud": [] }), "aud"),
        ("an extra audience", json!({ "aud": [APP_ID, "other"] }), "aud"),
        ("an odd audience", json!({ "aud": [APP_ID, 7] }), "aud"),
        ("nested audiences", json!({ "aud": [[APP_ID]] }), "aud"),
        ("another party", json!({ "azp": "other" }), "azp"),
        ("null party", json!({ "azp": null }), "azp"),
        ("no issue time", json!({ "iat": "REMOVED" }), "iat"),
        ("issue time as text", json!({ "iat": now.to_string() }), "iat"),
        (
            "issued in the future",
            json!({ "iat": now + 90, "exp": now + 200 }),
            "iat",
        ),
        (
            "issued long ago",
            json!({ "iat": now - 601, "exp": now + 3600 }),
            "iat",
        ),
        ("issued before time began", json!({ "iat": -1 }), "iat"),
        ("no expiry", json!({ "exp": "REMOVED" }), "exp"),
        ("null expiry", json!({ "exp": null }), "exp"),
        ("expired", json!({ "iat": now - 200, "exp": now - 61 }), "exp"),
        ("expiry that overflows", json!({ "exp": 1e300 }), "exp"),
        ("not valid yet", json!({ "nbf": now + 90 }), "nbf"),
        ("odd start", json!({ "nbf": "now" }), "nbf"),
        ("nobody's", json!({ "sub": "REMOVED", "sid": "REMOVED" }), "sub"),
        ("empty subject", json!({ "sub": "" }), "sub"),
        ("null subject", json!({ "sub": null }), "sub"),
        ("number as subject", json!({ "sub": 7 }), "sub"),
        ("long subject", json!({ "sub": "x".repeat(256) }), "sub"),
        ("control in subject", json!({ "sub": "a\u{85}b" }), "sub"),
        ("empty session", json!({ "sid": "" }), "sid"),
        ("long session", json!({ "sid": "x".repeat(256) }), "sid"),
        ("control in session", json!({ "sid": "a\nb" }), "sid"),
        ("odd session", json!({ "sid": ["sid-1"] }), "sid"),
        ("no events", json!({ "events": "REMOVED" }), "events"),
        (
            "another event",
            json!({ "events": { "http://example.com/": {} } }),
            "events",
        ),
        ("event in a list", json!({ "events": [EVENT] }), "events"),
        ("event as text", json!({ "events": EVENT }), "events"),
        ("event is null", json!({ "events": { EVENT: null } }), "events"),
        ("event is true", json!({ "events": { EVENT: true } }), "events"),
        ("event is a list", json!({ "events": { EVENT: [] } }), "events"),
        ("with a nonce", json!({ "nonce": "n" }), "nonce"),
        ("with a null nonce", json!({ "nonce": null }), "nonce"),
        ("no id", json!({ "jti": "REMOVED" }), "jti"),
        ("empty id", json!({ "jti": "" }), "jti"),
        ("number as id", json!({ "jti": 1 }), "jti"),
        ("long id", json!({ "jti": "x".repeat(256) }), "jti"),
    ];
    for (case, changes, check) in refused {
        let claims = changed(&honest, &changes);
        let token = sign(&key, &claims);
        assert_eq!(
            outcome(&logto, &token).await.err().as_deref(),
            Some(check),
            "{case}"
        );
        // A stranger's key that nobody knows changes nothing: none of these is worth a fetch.
        let token = sign(&TestKey::ec("k9", "P-384"), &claims);
        assert_eq!(
            outcome(&logto, &token).await.err().as_deref(),
            Some(check),
            "{case}"
        );
    }
    let accepted = [
        ("audience in a list", json!({ "aud": [APP_ID] })),
        ("us as party", json!({ "azp": APP_ID })),
        (
            "expired within the leeway",
            json!({ "iat": now - 150, "exp": now - 30 }),
        ),
        ("issued a little ahead", json!({ "iat": now + 30 })),
        (
            "fractions of seconds",
            json!({ "iat": now as f64 + 0.5, "exp": now as f64 + 10.5 }),
        ),
        ("valid since long", json!({ "nbf": now - 1000 })),
        (
            "details of the event",
            json!({ "events": { EVENT: { "x": 1 }, "http://example.com/": {} } }),
        ),
        (
            "unknown claims",
            json!({ "custom": { "deep": [1, { "er": null }] } }),
        ),
        (
            "longest identifiers",
            json!({ "sub": "x".repeat(255), "sid": "y".repeat(255), "jti": "z".repeat(255) }),
        ),
        ("letters of the world", json!({ "sub": "ü".repeat(255) })),
    ];
    for (case, changes) in accepted {
        let token = sign(&key, &changed(&honest, &changes));
        assert_eq!(outcome(&logto, &token).await.err(), None, "{case}");
    }
    assert!(fake.state().calls.is_empty());
}

#[tokio::test]
async fn no_other_token_passes_for_one() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let stranger = TestKey::ec("k1", "P-384");
    let logto = knowing(&fake, &key).await;
    let logout = claims(&fake).to_string();
    let with = |changes: Value| key.sign_with(&changed(&header(), &changes), &logout);
    let id_token = fake.claims();
    let with_event = changed(&id_token, &json!({ "jti": "j", "events": { EVENT: {} } }));
    let refused = [
        ("an ID token", key.sign(&id_token), "typ"),
        ("an ID token with the type", sign(&key, &id_token), "events"),
        (
            "an ID token with type and event",
            sign(&key, &with_event),
            "nonce",
        ),
        ("no type", with(json!({ "typ": "REMOVED" })), "typ"),
        ("null type", with(json!({ "typ": null })), "typ"),
        ("JWT", with(json!({ "typ": "JWT" })), "typ"),
        ("access token", with(json!({ "typ": "at+jwt" })), "typ"),
        (
            "another type",
            with(json!({ "typ": "application/secevent+jwt" })),
            "typ",
        ),
        (
            "almost the type",
            with(json!({ "typ": "text/logout+jwt" })),
            "typ",
        ),
        (
            "twice the type",
            with(json!({ "typ": "application/application/logout+jwt" })),
            "typ",
        ),
        ("none", with(json!({ "alg": "none" })), "alg"),
        ("None", with(json!({ "alg": "None" })), "alg"),
        ("no algorithm", with(json!({ "alg": "REMOVED" })), "alg"),
        ("HS256 named", with(json!({ "alg": "HS256" })), "alg"),
        ("encryption", with(json!({ "alg": "A128GCM" })), "alg"),
        (
            "critical extension",
            with(json!({ "crit": ["b64"], "b64": false })),
            "header",
        ),
        ("nested", with(json!({ "cty": "JWT" })), "header"),
        ("odd key id", with(json!({ "kid": 1 })), "kid"),
        ("stranger's key", sign(&stranger, &claims(&fake)), "signature"),
        (
            "key in the header",
            stranger.sign_with(&changed(&header(), &json!({ "jwk": stranger.jwk() })), &logout),
            "signature",
        ),
        (
            "repeated type",
            format!(
                "{}.e30.AAAA",
                base64url(br#"{"alg":"ES384","typ":"JWT","typ":"logout+jwt"}"#)
            ),
            "format",
        ),
        ("nothing", String::new(), "format"),
        ("dots", "..".into(), "format"),
        ("two parts", "e30.e30".into(), "format"),
        ("five parts", "e30.e30.e30.e30.e30".into(), "format"),
        ("padding", format!("{}=", sign(&key, &claims(&fake))), "format"),
        ("space", format!(" {}", sign(&key, &claims(&fake))), "format"),
        ("claims in a list", key.sign_with(&header(), "[]"), "format"),
        (
            "too long",
            sign(
                &key,
                &changed(&claims(&fake), &json!({ "x": "x".repeat(12 * 1024) })),
            ),
            "size",
        ),
    ];
    for (case, token, check) in refused {
        assert_eq!(
            outcome(&logto, &token).await.err().as_deref(),
            Some(check),
            "{case}"
        );
    }
    for typ in [
        "logout+jwt",
        "LOGOUT+JWT",
        "application/logout+jwt",
        "Application/Logout+JWT",
    ] {
        assert_eq!(
            outcome(&logto, &with(json!({ "typ": typ }))).await.err(),
            None,
            "{typ}"
        );
    }
    assert!(fake.state().calls.is_empty());
}

#[tokio::test]
async fn repeated_members_are_refused() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = knowing(&fake, &key).await;
    let honest = claims(&fake);
    for (name, value) in honest.as_object().unwrap() {
        let text = honest.to_string();
        let doubled = format!("{{\"{name}\":{value},{}", &text[1..]);
        let token = key.sign_with(&header(), &doubled);
        assert_eq!(
            outcome(&logto, &token).await.err().as_deref(),
            Some("format"),
            "{name}"
        );
    }
    let nested = honest.to_string().replace(
        &format!("{{\"{EVENT}\":{{}}}}"),
        &format!("{{\"{EVENT}\":{{}},\"{EVENT}\":{{}}}}"),
    );
    assert_ne!(nested, honest.to_string());
    let token = key.sign_with(&header(), &nested);
    assert_eq!(outcome(&logto, &token).await.err().as_deref(), Some("format"));
}

#[tokio::test]
async fn the_clock_given_decides() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    let (logto, hand) = logto_with(settings(&fake));
    let token = sign(&key, &claims(&fake));
    let read = outcome(&logto, &token).await.unwrap();
    let left = read.refused_from.since(read.issued_at).as_secs();
    hand.advance(i64::try_from(left).unwrap() - 5);
    assert_eq!(outcome(&logto, &token).await.err(), None);
    hand.advance(5);
    assert_eq!(outcome(&logto, &token).await.err().as_deref(), Some("exp"));
    // However long it claims to live, after ten minutes it is refused.
    let honest = claims(&fake);
    let now = honest["iat"].as_u64().unwrap();
    hand.advance(-i64::try_from(left).unwrap());
    let token = sign(&key, &changed(&honest, &json!({ "exp": now + 1_000_000 })));
    let read = outcome(&logto, &token).await.unwrap();
    assert_eq!(read.refused_from, UnixSeconds::new(now + 600));
    hand.advance(600);
    assert_eq!(outcome(&logto, &token).await.err().as_deref(), Some("iat"));
}
