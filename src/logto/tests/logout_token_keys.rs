//! Logout tokens and keys: whose signature counts, and what junk can make this proxy do.

use super::fake::{DISCOVERY, FakeLogto, Instead, JWKS, TestKey, base64url};
use super::logout_token::{claims, knowing, outcome, sign};
use super::{changed, logto, logto_with, settings};
use crate::clock::monotonic;
use crate::logto::LogtoErrorKind;
use crate::logto::presented::MOST_WAITING;
use crate::tasks::Tasks;
use aws_lc_rs::hmac;
use serde_json::json;
use std::time::Duration;

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
    let header = json!({ "alg": "HS256", "kid": "k1", "typ": "logout+jwt" });
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
}

#[tokio::test]
async fn a_missing_kid_is_fine_while_one_key_fits() {
    let fake = FakeLogto::start();
    let (one, two) = (TestKey::ec("k1", "P-384"), TestKey::ec("k2", "P-384"));
    let header = json!({ "alg": "ES384", "typ": "logout+jwt" });
    let token = one.sign_with(&header, &claims(&fake).to_string());
    fake.publish(&[&one]);
    assert_eq!(outcome(&logto(&fake), &token).await.err(), None);
    fake.publish(&[&one, &two]);
    assert_eq!(outcome(&logto(&fake), &token).await.err().as_deref(), Some("kid"));
    // A key for encryption is none.
    let mut for_encryption = one.jwk();
    for_encryption["use"] = json!("enc");
    fake.state().jwks = json!({ "keys": [for_encryption] });
    assert_eq!(outcome(&logto(&fake), &token).await.err().as_deref(), Some("kid"));
}

/// Anybody can make up key ids, and claims that are right.
#[tokio::test]
async fn junk_causes_one_fetch_and_takes_none_from_sign_ins() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = knowing(&fake, &key).await;
    // The first key set came by a search of this path, a moment ago.
    let new = TestKey::ec("k2", "P-384");
    for _ in 0..30 {
        let token = sign(&new, &claims(&fake));
        let error = logto.verify_logout_token(&token).await.unwrap_err();
        assert!(error.is_transient(), "it may be of a key that came since");
    }
    // One that is older than the keys cannot be.
    let old = fake.claims()["iat"].as_u64().unwrap() - 70;
    let token = sign(
        &new,
        &changed(&claims(&fake), &json!({ "iat": old, "exp": old + 120 })),
    );
    assert_eq!(outcome(&logto, &token).await.err().as_deref(), Some("kid"));
    assert!(fake.state().calls.is_empty());

    // A sign-in with the new key finds it nevertheless, and then it is known here too.
    fake.publish(&[&new, &key]);
    fake.hand_out(&new.sign(&fake.claims()));
    logto.redeem(super::request()).await.unwrap();
    assert_eq!(fake.calls(JWKS).len(), 1);
    outcome(&logto, &sign(&new, &claims(&fake))).await.unwrap();
    assert_eq!(fake.calls(JWKS).len(), 1);
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

/// While nothing is known, a logout token proves nothing: that is an outage, not a forgery.
#[tokio::test]
async fn without_keys_it_is_an_outage() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let (logto, _) = logto_with(settings(&fake));
    let token = sign(&key, &claims(&fake));
    fake.state().instead.insert(JWKS, Instead::Answer(503, json!({})));
    for _ in 0..30 {
        let error = logto.verify_logout_token(&token).await.unwrap_err();
        assert!(error.is_transient());
    }
    assert_eq!(fake.calls(JWKS).len(), 1);
    assert_eq!(fake.calls(DISCOVERY).len(), 1);
}

/// Logto sends a logout token once, and a new key signs from the moment of a rotation.
#[tokio::test]
async fn junk_only_delays_a_logout_with_a_new_key() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = knowing(&fake, &key).await;
    let junk = TestKey::ec("junk", "P-384");
    let late = |token: String| {
        let logto = logto.clone();
        Tasks::new().spawn(async move { logto.verify_logout_token_later(&token).await })
    };
    let before: Vec<_> = (0..20).map(|_| late(sign(&junk, &claims(&fake)))).collect();
    let new = TestKey::rsa("k2", "RS256");
    fake.publish(&[&new, &key]);
    let token = sign(&new, &claims(&fake));
    let error = logto.verify_logout_token(&token).await.unwrap_err();
    assert!(error.is_transient());
    let begun = monotonic();
    let honest = late(token);
    let after: Vec<_> = (0..20).map(|_| late(sign(&junk, &claims(&fake)))).collect();
    honest.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    for junk in before.into_iter().chain(after) {
        let error = junk.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), &LogtoErrorKind::InvalidToken { check: "kid" });
    }
    assert_eq!(fake.calls(JWKS).len(), 1);
}

#[tokio::test]
async fn no_more_than_so_many_wait_and_none_after_the_end() {
    let (fake, key) = (FakeLogto::start(), TestKey::ec("k1", "P-384"));
    let logto = knowing(&fake, &key).await;
    let token = sign(&TestKey::ec("junk", "P-384"), &claims(&fake));
    let late = || {
        let (logto, token) = (logto.clone(), token.clone());
        Tasks::new().spawn(async move { logto.verify_logout_token_later(&token).await })
    };
    let waiting: Vec<_> = (0..MOST_WAITING).map(|_| late()).collect();
    tokio::task::yield_now().await;
    let begun = monotonic();
    assert!(late().await.unwrap().unwrap_err().is_transient());
    assert!(begun.elapsed() < Duration::from_secs(1), "there is no place");
    logto.stop();
    for stopped in waiting {
        assert!(stopped.await.unwrap().unwrap_err().is_transient());
    }
    let long = format!("{token}{}", "A".repeat(4 * 1024));
    assert!(logto.verify_logout_token_later(&long).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert!(fake.state().calls.is_empty());
}
