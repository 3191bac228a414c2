//! Access tokens and keys: whose signature counts, and what junk can make this proxy do.

use super::access_token::{claims, knowing, outcome, sign};
use super::fake::{DISCOVERY, FakeLogto, Instead, JWKS, TestKey, base64url};
use super::{changed, logout_token, logto};
use aws_lc_rs::hmac;
use serde_json::json;

#[tokio::test]
async fn every_asymmetric_kind_of_key_signs() {
    let fake = FakeLogto::start();
    for key in [
        TestKey::ec("e256", "P-256"),
        TestKey::ec("e521", "P-521"),
        TestKey::rsa("r256", "RS256"),
        TestKey::rsa("p256", "PS256"),
        TestKey::ed("ed"),
    ] {
        fake.publish(&[&key]);
        let token = sign(&key, &claims(&fake));
        outcome(&logto(&fake), &token).await.unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let flipped = if signature.starts_with('A') { "B" } else { "A" };
        let forged = format!("{input}.{flipped}{}", &signature[1..]);
        assert_eq!(
            outcome(&logto(&fake), &forged).await.err().as_deref(),
            Some("signature")
        );
        let others = sign(&key, &changed(&claims(&fake), &json!({ "sub": "victim" })));
        let swapped = format!("{}.{signature}", others.rsplit_once('.').unwrap().0);
        assert_eq!(
            outcome(&logto(&fake), &swapped).await.err().as_deref(),
            Some("signature")
        );
    }
}

#[tokio::test]
async fn hmac_is_never_a_signature() {
    let (fake, key) = (FakeLogto::start(), TestKey::rsa("k1", "RS256"));
    let logto = knowing(&fake, &key).await;
    let header = json!({ "alg": "HS256", "kid": "k1", "typ": "at+jwt" });
    let unsigned = key.sign_with(&header, &claims(&fake).to_string());
    let input = unsigned.rsplit_once('.').unwrap().0;
    for secret in ["s3cret+/", key.jwk()["n"].as_str().unwrap(), ""] {
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
            input.as_bytes(),
        );
        let token = format!("{input}.{}", base64url(tag.as_ref()));
        assert_eq!(outcome(&logto, &token).await.err().as_deref(), Some("alg"));
    }
    assert!(fake.state().calls.is_empty());
}

#[tokio::test]
async fn a_rotation_is_found_out() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let new = TestKey::rsa("k2", "RS256");
    fake.publish(&[&key]);
    fake.hand_out(&key.sign(&fake.claims()));
    let logto = logto(&fake);
    logto.redeem(super::request()).await.unwrap();
    fake.publish(&[&new, &key]);
    outcome(&logto, &sign(&new, &claims(&fake))).await.unwrap();
    assert_eq!(fake.calls(JWKS).len(), 2);
}

/// Anybody can make up key ids and claims that are right: a minute's one fetch is shared by all callers. Logout tokens, which are
/// sent once, have one of their own.
#[tokio::test]
async fn junk_causes_one_fetch_and_takes_none_from_sign_ins() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    fake.publish(&[&key]);
    fake.hand_out(&key.sign(&fake.claims()));
    let logto = logto(&fake);
    logto.redeem(super::request()).await.unwrap();
    fake.state().calls.clear();
    let new = TestKey::ec("k2", "P-384");
    let made_up = claims(&fake);
    let older = changed(
        &made_up,
        &json!({ "iat": made_up["iat"].as_u64().unwrap() - 100 }),
    );
    for attempt in 0..15 {
        // Once the keys were looked at, that is the end of it for tokens from before; of younger ones nobody can say.
        let refused = outcome(&logto, &sign(&new, &older)).await.err();
        assert_eq!(refused.as_deref(), Some("kid"), "{attempt}");
        let error = logto
            .verify_access_token(&sign(&new, &made_up), &["https://api.example.com/".into()])
            .await
            .unwrap_err();
        assert!(error.is_transient(), "{attempt}: {error}");
        let token = logout_token::sign(&new, &logout_token::claims(&fake));
        let refused = logout_token::outcome(&logto, &token).await.err();
        let expected = if attempt == 0 { "kid" } else { "Away" };
        assert_eq!(refused.as_deref(), Some(expected), "{attempt}");
    }
    assert_eq!(fake.state().calls.len(), 2);
    assert_eq!(fake.calls(JWKS).len(), 2);

    fake.publish(&[&new, &key]);
    fake.hand_out(&new.sign(&fake.claims()));
    logto.redeem(super::request()).await.unwrap();
    assert_eq!(fake.calls(JWKS).len(), 3);
    outcome(&logto, &sign(&new, &claims(&fake))).await.unwrap();
    assert_eq!(fake.calls(JWKS).len(), 3);
}

#[tokio::test]
async fn without_keys_it_is_an_outage() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = logto(&fake);
    let token = sign(&key, &claims(&fake));
    fake.state().instead.insert(JWKS, Instead::Answer(503, json!({})));
    for _ in 0..10 {
        let error = logto
            .verify_access_token(&token, &["https://api.example.com/".into()])
            .await
            .unwrap_err();
        assert!(error.is_transient());
    }
    assert_eq!(fake.calls(JWKS).len(), 1);
    assert_eq!(fake.calls(DISCOVERY).len(), 1);
}
