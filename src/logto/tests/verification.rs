//! The ID-token table: what OpenID Connect's certification asks of a relying party, and the checks openidconnect leaves open.

use super::fake::{FakeLogto, JWKS, TOKEN, TestKey, base64url};
use super::{APP_ID, changed, logto, request};
use crate::logto::{LogtoErrorKind, SignedIn};
use aws_lc_rs::{digest, hmac};
use serde_json::{Value, json};
use std::time::Duration;

/// What a sign-in with this token comes to: the subject, or the check that failed.
async fn outcome(fake: &FakeLogto, token: &str) -> Result<SignedIn, String> {
    fake.hand_out(token);
    match logto(fake).redeem(request()).await {
        Ok(signed_in) => Ok(signed_in.into_inner()),
        Err(error) => match error.kind() {
            LogtoErrorKind::InvalidToken { check } => Err((*check).to_owned()),
            other => Err(format!("{other:?}")),
        },
    }
}

#[tokio::test]
async fn claims_are_judged() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    let honest = fake.claims();
    let now = honest["iat"].as_i64().unwrap();
    let hash = |token: &str| base64url(&digest::digest(&digest::SHA384, token.as_bytes()).as_ref()[..24]);
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
        ("no issuer", json!({ "iss": "REMOVED" }), "format"),
        ("no subject", json!({ "sub": "REMOVED" }), "format"),
        ("empty subject", json!({ "sub": "" }), "sub"),
        ("null subject", json!({ "sub": null }), "format"),
        ("number as subject", json!({ "sub": 7 }), "format"),
        ("long subject", json!({ "sub": "x".repeat(256) }), "sub"),
        ("control in subject", json!({ "sub": "a\nb" }), "sub"),
        ("another audience", json!({ "aud": "other" }), "aud"),
        (
            "our id with other case",
            json!({ "aud": APP_ID.to_uppercase() }),
            "aud",
        ),
        ("no audience", json!({ "aud": "REMOVED" }), "aud"),
        ("empty audiences", json!({ "aud": [] }), "aud"),
        ("an extra audience", json!({ "aud": [APP_ID, "other"] }), "aud"),
        ("another party", json!({ "azp": "other" }), "azp"),
        ("no issue time", json!({ "iat": "REMOVED" }), "format"),
        ("issued in the future", json!({ "iat": now + 90 }), "iat"),
        ("issued long ago", json!({ "iat": now - 660 }), "iat"),
        ("no expiry", json!({ "exp": "REMOVED" }), "format"),
        ("expired", json!({ "exp": now - 61 }), "exp"),
        ("expiry that overflows", json!({ "exp": 1e300 }), "format"),
        ("expiry as text", json!({ "exp": "never" }), "format"),
        ("not valid yet", json!({ "nbf": now + 90 }), "nbf"),
        ("not valid for ever", json!({ "nbf": 1e300 }), "nbf"),
        ("another nonce", json!({ "nonce": "other" }), "nonce"),
        (
            "longer nonce",
            json!({ "nonce": format!("{}x", super::NONCE) }),
            "nonce",
        ),
        ("no nonce", json!({ "nonce": "REMOVED" }), "nonce"),
        ("null nonce", json!({ "nonce": null }), "nonce"),
        (
            "hash of another access token",
            json!({ "at_hash": hash("other") }),
            "at_hash",
        ),
        (
            "half a hash",
            json!({ "at_hash": &hash("the-access-token")[..8] }),
            "at_hash",
        ),
    ];
    for (case, changes, check) in refused {
        let token = key.sign(&changed(&honest, &changes));
        assert_eq!(
            outcome(&fake, &token).await.err().as_deref(),
            Some(check),
            "{case}"
        );
    }
    let accepted = [
        ("as it is", json!({})),
        ("audience in a list", json!({ "aud": [APP_ID] })),
        ("us as party", json!({ "azp": APP_ID })),
        ("expired within the leeway", json!({ "exp": now - 30 })),
        ("issued a little ahead", json!({ "iat": now + 30 })),
        ("valid since long", json!({ "nbf": now - 1000 })),
        ("fractions of seconds", json!({ "exp": now as f64 + 10.5 })),
        ("the right hash", json!({ "at_hash": hash("the-access-token") })),
        ("verified as a word", json!({ "email_verified": "true" })),
        ("verified as a truth value", json!({ "email_verified": true })),
        (
            "unknown claims",
            json!({ "custom_data": { "deep": [1, { "er": null }] } }),
        ),
        ("longest subject", json!({ "sub": "x".repeat(255) })),
    ];
    for (case, changes) in accepted {
        let token = key.sign(&changed(&honest, &changes));
        assert_eq!(outcome(&fake, &token).await.err(), None, "{case}");
    }
}

#[tokio::test]
async fn repeated_members_are_refused() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    for name in [
        "sub", "iss", "aud", "exp", "nonce", "nbf", "sid", "roles", "email",
    ] {
        let text = fake.claims().to_string();
        let value = fake
            .claims()
            .get(name)
            .map_or("null".to_owned(), Value::to_string);
        let doubled = format!("{{\"{name}\":{value},\"{name}\":{value},{}", &text[1..]);
        let token = key.sign_with(&json!({ "alg": "ES384", "kid": "k1" }), &doubled);
        assert_eq!(
            outcome(&fake, &token).await.err().as_deref(),
            Some("format"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_asymmetric_kind_of_key_verifies() {
    let fake = FakeLogto::start();
    for key in [
        TestKey::ec("e256", "P-256"),
        TestKey::ec("e384", "P-384"),
        TestKey::ec("e521", "P-521"),
        TestKey::rsa("r256", "RS256"),
        TestKey::rsa("r512", "RS512"),
        TestKey::rsa("p256", "PS256"),
        TestKey::ed("ed"),
    ] {
        fake.publish(&[&key]);
        let token = key.sign(&fake.claims());
        assert_eq!(outcome(&fake, &token).await.err(), None, "{}", key.algorithm());
        // One flipped bit in the signature, and one character of the claims.
        let (input, signature) = token.rsplit_once('.').unwrap();
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{input}.{flipped}{}", &signature[1..]);
        assert_eq!(
            outcome(&fake, &forged).await.err().as_deref(),
            Some("signature"),
            "{}",
            key.algorithm()
        );
        let others = key.sign(&changed(&fake.claims(), &json!({ "sub": "victim" })));
        let swapped = format!("{}.{signature}", others.rsplit_once('.').unwrap().0);
        assert_eq!(
            outcome(&fake, &swapped).await.err().as_deref(),
            Some("signature"),
            "{}",
            key.algorithm()
        );
        assert!(outcome(&fake, &format!("{input}.")).await.is_err());
    }
}

#[tokio::test]
async fn the_header_chooses_nothing() {
    let fake = FakeLogto::start();
    let (key, rsa, stranger) = (
        TestKey::ec("k1", "P-384"),
        TestKey::rsa("k2", "RS256"),
        TestKey::ec("k1", "P-384"),
    );
    fake.publish(&[&key, &rsa]);
    let claims = fake.claims().to_string();
    let with = |header: Value| key.sign_with(&header, &claims);
    let own_jwk = stranger.jwk();
    let refused = [
        ("none", with(json!({ "alg": "none", "kid": "k1" })), "alg"),
        ("None", with(json!({ "alg": "None", "kid": "k1" })), "format"),
        ("no algorithm", with(json!({ "kid": "k1" })), "format"),
        ("HS256 named", with(json!({ "alg": "HS256", "kid": "k1" })), "alg"),
        (
            "encryption",
            with(json!({ "alg": "A128GCM", "kid": "k1" })),
            "header",
        ),
        (
            "another curve",
            with(json!({ "alg": "ES256", "kid": "k1" })),
            "kid",
        ),
        (
            "another kind of key",
            with(json!({ "alg": "RS256", "kid": "k1" })),
            "kid",
        ),
        ("unknown key", with(json!({ "alg": "ES384", "kid": "k9" })), "kid"),
        (
            "stranger's key",
            stranger.sign_with(&json!({ "alg": "ES384", "kid": "k1" }), &claims),
            "signature",
        ),
        (
            "key in the header",
            stranger.sign_with(&json!({ "alg": "ES384", "kid": "k1", "jwk": own_jwk }), &claims),
            "signature",
        ),
        (
            "address of a key",
            stranger.sign_with(
                &json!({ "alg": "ES384", "kid": "k1", "jku": "https://evil.example/" }),
                &claims,
            ),
            "signature",
        ),
        (
            "critical extension",
            with(json!({ "alg": "ES384", "kid": "k1", "crit": ["b64"], "b64": false })),
            "header",
        ),
        (
            "nested",
            with(json!({ "alg": "ES384", "kid": "k1", "cty": "JWT" })),
            "header",
        ),
        (
            "access token",
            with(json!({ "alg": "ES384", "kid": "k1", "typ": "at+jwt" })),
            "header",
        ),
        (
            "logout token",
            with(json!({ "alg": "ES384", "kid": "k1", "typ": "logout+jwt" })),
            "header",
        ),
        ("nothing", String::new(), "format"),
        ("dots", "..".into(), "format"),
        ("five parts", "a.b.c.d.e".into(), "format"),
    ];
    for (case, token, check) in refused {
        assert_eq!(
            outcome(&fake, &token).await.err().as_deref(),
            Some(check),
            "{case}"
        );
    }
    for typ in ["JWT", "jwt", "application/jwt"] {
        let token = with(json!({ "alg": "ES384", "kid": "k1", "typ": typ }));
        assert_eq!(outcome(&fake, &token).await.err(), None, "{typ}");
    }
}

/// The public key, and the client secret, as HMAC keys, with signatures of every length.
#[tokio::test]
async fn hmac_is_never_a_signature() {
    let (fake, key) = (FakeLogto::start(), TestKey::rsa("k1", "RS256"));
    fake.publish(&[&key]);
    for (name, algorithm) in [
        ("HS256", hmac::HMAC_SHA256),
        ("HS384", hmac::HMAC_SHA384),
        ("HS512", hmac::HMAC_SHA512),
    ] {
        let unsigned = key.sign_with(&json!({ "alg": name, "kid": "k1" }), &fake.claims().to_string());
        let input = unsigned.rsplit_once('.').unwrap().0;
        for secret in ["s3cret+/", key.jwk()["n"].as_str().unwrap(), ""] {
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret.as_bytes()), input.as_bytes());
            for length in [0, 1, tag.as_ref().len()] {
                let token = format!("{input}.{}", base64url(&tag.as_ref()[..length]));
                assert_eq!(
                    outcome(&fake, &token).await.err().as_deref(),
                    Some("alg"),
                    "{name}"
                );
            }
        }
    }
    assert!(fake.calls(JWKS).len() <= 27, "no search for keys");
}

#[tokio::test]
async fn a_missing_kid_is_fine_while_one_key_fits() {
    let fake = FakeLogto::start();
    let (one, two) = (TestKey::ec("k1", "P-384"), TestKey::ec("k2", "P-384"));
    let token = one.sign_with(&json!({ "alg": "ES384" }), &fake.claims().to_string());
    fake.publish(&[&one]);
    assert_eq!(outcome(&fake, &token).await.err(), None);
    fake.publish(&[&one, &two]);
    assert_eq!(outcome(&fake, &token).await.err().as_deref(), Some("kid"));
}

#[tokio::test]
async fn keys_that_do_not_sign_are_passed_over() {
    let fake = FakeLogto::start();
    let (key, rsa) = (TestKey::ec("k1", "P-256"), TestKey::rsa("r1", "PS256"));
    // Some versions of Logto label every EC key ES384.
    let mut mislabelled = key.jwk();
    mislabelled["alg"] = json!("ES384");
    let mut for_encryption = rsa.jwk();
    for_encryption["use"] = json!("enc");
    fake.state().jwks = json!({ "keys": [
        { "kty": "oct", "k": "AAAA", "kid": "k1" }, { "kty": "new", "x": 5 }, 7, null,
        { "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "short" },
        mislabelled, for_encryption
    ] });
    assert_eq!(outcome(&fake, &key.sign(&fake.claims())).await.err(), None);
    assert_eq!(
        outcome(&fake, &rsa.sign(&fake.claims())).await.err().as_deref(),
        Some("kid")
    );
}

#[tokio::test]
async fn max_age_wants_a_recent_authentication() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    let now = fake.claims()["iat"].as_i64().unwrap();
    for (auth_time, accepted) in [
        (json!(now - 10), true),
        (json!(now - 350), true),
        (json!(now - 370), false),
        (json!(now + 90), false),
        (json!(null), false),
        (json!("REMOVED"), false),
    ] {
        fake.hand_out(&key.sign(&changed(&fake.claims(), &json!({ "auth_time": auth_time }))));
        let request = super::RedeemRequest {
            max_age: Some(Duration::from_secs(300)),
            ..request()
        };
        assert_eq!(
            logto(&fake).redeem(request).await.is_ok(),
            accepted,
            "{auth_time}"
        );
    }
}

#[tokio::test]
async fn the_clock_given_decides() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    let (logto, hand) = super::logto_with(super::settings(&fake));
    fake.hand_out(&key.sign(&fake.claims()));
    assert!(logto.redeem(request()).await.is_ok());
    hand.advance(3700);
    let error = logto.redeem(request()).await.unwrap_err();
    assert_eq!(error.kind(), &LogtoErrorKind::InvalidToken { check: "exp" });
    assert!(error.to_string().contains("clock"));
    assert_eq!(fake.calls(TOKEN).len(), 2);
}
