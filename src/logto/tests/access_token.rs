//! The access-token table (RFC 9068 §4).

use super::fake::{FakeLogto, TestKey, base64url};
use super::{APP_ID, changed, logto, logto_with, settings};
use crate::clock::UnixSeconds;
use crate::logto::{AccessToken, Logto, LogtoErrorKind};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const RESOURCE: &str = "https://api.example.com/";

/// As Logto makes it for a user.
pub(super) fn claims(fake: &FakeLogto) -> Value {
    let now = fake.claims()["iat"].as_u64().unwrap();
    json!({
        "jti": "jti-1", "sub": "user-1", "iat": now, "exp": now + 3600, "scope": "read:things write:things",
        "client_id": "another-app", "iss": fake.issuer(), "aud": RESOURCE
    })
}

fn header() -> Value {
    json!({ "alg": "ES384", "kid": "k1", "typ": "at+jwt" })
}

pub(super) fn sign(key: &TestKey, claims: &Value) -> String {
    let header = json!({ "alg": key.algorithm(), "kid": key.kid(), "typ": "at+jwt" });
    key.sign_with(&header, &claims.to_string())
}

fn resources() -> Vec<String> {
    vec![
        RESOURCE.into(),
        "urn:other".into(),
        "urn:logto:organization:org-1".into(),
    ]
}

pub(super) async fn outcome(logto: &Logto, token: &str) -> Result<AccessToken, String> {
    outcome_for(logto, token, &resources()).await
}

/// The token, or the check that failed.
async fn outcome_for(logto: &Logto, token: &str, resources: &[String]) -> Result<AccessToken, String> {
    match logto.verify_access_token(token, resources).await {
        Ok(token) => Ok(token.into_inner()),
        Err(error) => match error.kind() {
            LogtoErrorKind::InvalidToken { check } => {
                assert_eq!(error.call().name(), "access_token");
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
async fn what_logto_issues_is_read() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = knowing(&fake, &key).await;
    let honest = claims(&fake);
    let now = UnixSeconds::new(honest["iat"].as_u64().unwrap());
    let custom = json!({ "roles": ["admin"], "nonce": "x", "sid": "y" });
    let token = outcome(&logto, &sign(&key, &changed(&honest, &custom)))
        .await
        .unwrap();
    assert_eq!(
        (token.subject.as_str(), token.client_id.as_str()),
        ("user-1", "another-app")
    );
    assert_eq!(token.scopes, ["read:things", "write:things"]);
    assert_eq!((token.organization.as_deref(), token.is_machine()), (None, false));
    assert_eq!(token.issued_at, now);
    assert_eq!(token.expires_at, now.plus(Duration::from_secs(3600)));
    assert_eq!(
        Value::Object(token.claims.clone()),
        json!({ "sub": "user-1", "roles": ["admin"] }),
        "nothing about the token itself"
    );
    let shown = format!("{token:?}");
    assert!(!shown.contains("user-1") && !shown.contains("admin"), "{shown}");

    let machine = changed(&honest, &json!({ "sub": "another-app", "scope": "" }));
    let token = outcome(&logto, &sign(&key, &machine)).await.unwrap();
    assert!(token.is_machine() && token.scopes.is_empty());

    let member = changed(&honest, &json!({ "organization_id": "org-7" }));
    let token = outcome(&logto, &sign(&key, &member)).await.unwrap();
    assert_eq!(token.organization.as_deref(), Some("org-7"));
    let organization = changed(&honest, &json!({ "aud": "urn:logto:organization:org-1" }));
    let token = outcome(&logto, &sign(&key, &organization)).await.unwrap();
    assert_eq!(token.organization.as_deref(), Some("org-1"));
}

#[tokio::test]
async fn organizations_are_accepted_by_name_or_all() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = knowing(&fake, &key).await;
    let any = vec!["urn:logto:organization:*".to_owned()];
    let of = |aud: Value| sign(&key, &changed(&claims(&fake), &json!({ "aud": aud })));
    let token = of(json!("urn:logto:organization:org-9"));
    assert_eq!(outcome(&logto, &token).await.err().as_deref(), Some("aud"));
    let read = outcome_for(&logto, &token, &any).await.unwrap();
    assert_eq!(read.organization.as_deref(), Some("org-9"));
    for aud in [
        json!(RESOURCE),
        json!("urn:logto:organization:"),
        json!("urn:logto:organization"),
        json!("URN:logto:organization:org-9"),
        json!(["urn:logto:organization:org-1", "urn:logto:organization:org-2"]),
    ] {
        let token = of(aud.clone());
        assert_eq!(
            outcome_for(&logto, &token, &any).await.err().as_deref(),
            Some("aud"),
            "{aud}"
        );
    }
    // Of an organization that is not accepted nothing is taken over.
    let token = of(json!(["urn:logto:organization:org-2", RESOURCE]));
    assert_eq!(outcome(&logto, &token).await.unwrap().organization, None);
    let token = of(json!("urn:logto:organization:org-1"));
    for nothing in [Vec::new(), vec![String::new()], vec!["*".to_owned()]] {
        assert_eq!(
            outcome_for(&logto, &token, &nothing).await.err().as_deref(),
            Some("aud")
        );
    }
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
        (
            "another audience",
            json!({ "aud": "https://other.example.com/" }),
            "aud",
        ),
        (
            "a resource in another case",
            json!({ "aud": "https://API.example.com/" }),
            "aud",
        ),
        (
            "a resource without its slash",
            json!({ "aud": "https://api.example.com" }),
            "aud",
        ),
        (
            "a longer resource",
            json!({ "aud": "https://api.example.com/x" }),
            "aud",
        ),
        (
            "our application, as in an ID token",
            json!({ "aud": APP_ID }),
            "aud",
        ),
        ("no audience", json!({ "aud": "REMOVED" }), "aud"),
        ("null audience", json!({ "aud": null }), "aud"),
        ("empty audiences", json!({ "aud": [] }), "aud"),
        ("an odd audience", json!({ "aud": [RESOURCE, 7] }), "aud"),
        (
            "another organization",
            json!({ "aud": "urn:logto:organization:org-2" }),
            "aud",
        ),
        (
            "another organization's name",
            json!({ "aud": "urn:logto:organization:org-1", "organization_id": "org-2" }),
            "organization_id",
        ),
        (
            "odd organization",
            json!({ "organization_id": 7 }),
            "organization_id",
        ),
        (
            "empty organization",
            json!({ "organization_id": "" }),
            "organization_id",
        ),
        ("no issue time", json!({ "iat": "REMOVED" }), "iat"),
        ("issue time as text", json!({ "iat": now.to_string() }), "iat"),
        ("issued in the future", json!({ "iat": now + 90 }), "iat"),
        ("no expiry", json!({ "exp": "REMOVED" }), "exp"),
        ("null expiry", json!({ "exp": null }), "exp"),
        ("expired", json!({ "iat": now - 200, "exp": now - 61 }), "exp"),
        ("expiry that overflows", json!({ "exp": 1e300 }), "exp"),
        ("not valid yet", json!({ "nbf": now + 90 }), "nbf"),
        ("odd start", json!({ "nbf": "now" }), "nbf"),
        ("nobody's", json!({ "sub": "REMOVED" }), "sub"),
        ("empty subject", json!({ "sub": "" }), "sub"),
        ("null subject", json!({ "sub": null }), "sub"),
        ("long subject", json!({ "sub": "x".repeat(256) }), "sub"),
        ("control in subject", json!({ "sub": "a\r\nb" }), "sub"),
        ("no application", json!({ "client_id": "REMOVED" }), "client_id"),
        ("odd application", json!({ "client_id": ["x"] }), "client_id"),
        (
            "control in application",
            json!({ "client_id": "a\nb" }),
            "client_id",
        ),
        ("odd token id", json!({ "jti": 7 }), "jti"),
        ("scopes in a list", json!({ "scope": ["read:things"] }), "scope"),
        ("control in scope", json!({ "scope": "a\nb" }), "scope"),
        ("bound to a key", json!({ "cnf": { "jkt": "x" } }), "cnf"),
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
        ("audience in a list", json!({ "aud": [RESOURCE] })),
        (
            "another audience beside ours",
            json!({ "aud": ["https://other.example.com/", RESOURCE] }),
        ),
        (
            "expired within the leeway",
            json!({ "iat": now - 150, "exp": now - 30 }),
        ),
        ("issued a little ahead", json!({ "iat": now + 30 })),
        ("issued long ago", json!({ "iat": now - 1_000_000 })),
        ("valid since long", json!({ "nbf": now - 1000 })),
        ("no token id", json!({ "jti": "REMOVED" })),
        ("no scope", json!({ "scope": "REMOVED" })),
        ("longest subject", json!({ "sub": "ü".repeat(255) })),
        (
            "unknown claims",
            json!({ "custom": { "deep": [1, { "er": null }] } }),
        ),
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
    let honest = claims(&fake).to_string();
    let with = |changes: Value| key.sign_with(&changed(&header(), &changes), &honest);
    let for_us = changed(&fake.claims(), &json!({ "aud": RESOURCE, "client_id": APP_ID }));
    let refused = [
        ("an ID token", key.sign(&fake.claims()), "typ"),
        ("an ID token for the resource", key.sign(&for_us), "typ"),
        ("an ID token with the type", sign(&key, &fake.claims()), "aud"),
        ("no type", with(json!({ "typ": "REMOVED" })), "typ"),
        ("null type", with(json!({ "typ": null })), "typ"),
        ("JWT", with(json!({ "typ": "JWT" })), "typ"),
        ("logout token", with(json!({ "typ": "logout+jwt" })), "typ"),
        ("almost the type", with(json!({ "typ": "text/at+jwt" })), "typ"),
        ("none", with(json!({ "alg": "none" })), "alg"),
        ("NONE", with(json!({ "alg": "NONE" })), "alg"),
        ("no algorithm", with(json!({ "alg": "REMOVED" })), "alg"),
        ("HS256 named", with(json!({ "alg": "HS256" })), "alg"),
        ("HS512 named", with(json!({ "alg": "HS512" })), "alg"),
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
            stranger.sign_with(&changed(&header(), &json!({ "jwk": stranger.jwk() })), &honest),
            "signature",
        ),
        (
            "repeated type",
            format!(
                "{}.e30.AAAA",
                base64url(br#"{"alg":"ES384","typ":"JWT","typ":"at+jwt"}"#)
            ),
            "format",
        ),
        ("nothing", String::new(), "format"),
        ("dots", "..".into(), "format"),
        ("two parts", "e30.e30".into(), "format"),
        ("five parts", "e30.e30.e30.e30.e30".into(), "format"),
        ("padding", format!("{}=", sign(&key, &claims(&fake))), "format"),
        (
            "not UTF-8 inside",
            format!("{}.e30.AAAA", base64url(b"{\"typ\":\"\xff\"}")),
            "format",
        ),
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
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert_eq!(
            outcome(&logto, &with(json!({ "typ": typ }))).await.err(),
            None,
            "{typ}"
        );
    }
    // And an access token is no logout token, whatever it says.
    let error = logto
        .verify_logout_token(&sign(&key, &claims(&fake)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), &LogtoErrorKind::InvalidToken { check: "typ" });
    assert!(fake.state().calls.is_empty());
}

#[tokio::test]
async fn repeated_members_are_refused() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = knowing(&fake, &key).await;
    let honest = claims(&fake);
    for (name, value) in honest.as_object().unwrap() {
        let doubled = format!("{{\"{name}\":{value},{}", &honest.to_string()[1..]);
        let token = key.sign_with(&header(), &doubled);
        assert_eq!(
            outcome(&logto, &token).await.err().as_deref(),
            Some("format"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_clock_given_decides() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    let (logto, hand) = logto_with(settings(&fake));
    let token = sign(&key, &claims(&fake));
    outcome(&logto, &token).await.unwrap();
    hand.advance(3600 + 55);
    assert_eq!(outcome(&logto, &token).await.err(), None);
    hand.advance(5);
    assert_eq!(outcome(&logto, &token).await.err().as_deref(), Some("exp"));
}
