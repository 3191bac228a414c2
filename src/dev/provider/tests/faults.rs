//! Misbehaviour on purpose does what its name says.

use ::http::StatusCode;
use serde_json::json;
use std::time::Duration;

use super::super::{CallbackIssuerFault, EndpointFault, Faults, IdTokenFault, Misbehaviour};
use super::browser::{CALLBACK, SECRET, VERIFIER, decode, start};
use crate::clock;

const DISCOVERY: &str = "/oidc/.well-known/openid-configuration";

#[tokio::test]
async fn endpoints_fail_as_told_and_recover() {
    let world = start().await;
    let set = |misbehaviour: Misbehaviour| {
        world.control.set_faults(Faults {
            discovery: misbehaviour.into(),
            ..Faults::default()
        });
    };
    set(Misbehaviour::Status(503));
    assert_eq!(
        world.get(DISCOVERY).await.error(),
        (503, "server_error".to_owned())
    );
    set(Misbehaviour::Garbage);
    let garbage = world.get(DISCOVERY).await;
    assert!(
        garbage.status == StatusCode::OK && serde_json::from_str::<serde_json::Value>(&garbage.body).is_err()
    );
    set(Misbehaviour::Oversized(2_000_000));
    assert!(world.get(DISCOVERY).await.body.len() > 2_000_000);
    set(Misbehaviour::Redirect("http://127.0.0.1:9/".into()));
    assert_eq!(world.get(DISCOVERY).await.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(
        world.get("/oidc/jwks").await.status,
        StatusCode::OK,
        "the others go on"
    );
    world.control.set_faults(Faults::default());
    assert_eq!(world.get(DISCOVERY).await.status, StatusCode::OK);
    assert_eq!(world.control.counts().discovery, 5);
}

#[tokio::test]
async fn a_delay_delays() {
    let world = start().await;
    let delay = EndpointFault {
        delay: Duration::from_millis(150),
        misbehaviour: None,
    };
    world.control.set_faults(Faults {
        jwks: delay,
        ..Faults::default()
    });
    let before = clock::monotonic();
    assert_eq!(world.get("/oidc/jwks").await.status, StatusCode::OK);
    assert!(before.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn faults_may_happen_so_many_times_and_to_one_grant_alone() {
    let world = start().await;
    world.control.set_faults(Faults {
        refresh: Misbehaviour::Status(503).times(2).into(),
        code_exchange: Misbehaviour::Status(500).times(1).into(),
        token: Misbehaviour::Status(502).into(),
        ..Faults::default()
    });
    let ask = async |grant: &str| {
        let pairs = [("grant_type", grant)];
        world
            .post_as("app", SECRET, "/oidc/token", &pairs)
            .await
            .status
            .as_u16()
    };
    let mut answers = Vec::new();
    for grant in [
        "refresh_token",
        "refresh_token",
        "refresh_token",
        "authorization_code",
        "authorization_code",
        "other",
    ] {
        answers.push(ask(grant).await);
    }
    assert_eq!(answers, [503, 503, 400, 500, 400, 502]);
}

#[tokio::test]
async fn an_answer_may_be_late_or_cut_after_the_work_is_done() {
    let world = start().await;
    let set = |misbehaviour: Misbehaviour| {
        world.control.set_faults(Faults {
            code_exchange: misbehaviour.into(),
            ..Faults::default()
        });
    };
    let mut browser = world.browser();
    let code = browser.sign_in(&world.authorize(&[]), "plain").await["code"].clone();
    set(Misbehaviour::AnswerLate(Duration::from_secs(30)));
    let late = tokio::time::timeout(Duration::from_millis(300), world.redeem(&code, VERIFIER)).await;
    assert!(late.is_err());
    world.control.set_faults(Faults::default());
    assert_eq!(
        world.redeem(&code, VERIFIER).await.error().1,
        "invalid_grant",
        "the code was spent"
    );
    set(Misbehaviour::CutAnswer);
    let code = browser.get(&world.authorize(&[])).await.callback()["code"].clone();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("client_id", "app"),
        ("client_secret", SECRET),
    ];
    assert!(world.post("/oidc/token", &[], &pairs).await.is_err());
    assert_eq!(world.control.counts().code_exchanges, 3);
}

#[tokio::test]
async fn every_authorization_may_be_refused() {
    let world = start().await;
    world.control.set_faults(Faults {
        authorization_error: Some("temporarily_unavailable".into()),
        ..Faults::default()
    });
    let callback = world.browser().get(&world.authorize(&[])).await.callback();
    assert_eq!(callback["error"], "temporarily_unavailable");
    assert_eq!(callback["state"], "the-state");
    assert_eq!(callback["iss"], world.issuer);
}

#[tokio::test]
async fn a_reset_may_come_before_or_after_the_code_is_spent() {
    let world = start().await;
    let code = world.browser().sign_in(&world.authorize(&[]), "plain").await["code"].clone();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("client_id", "app"),
        ("client_secret", SECRET),
    ];
    let set = |misbehaviour: Misbehaviour| {
        world.control.set_faults(Faults {
            token: misbehaviour.into(),
            ..Faults::default()
        });
    };
    set(Misbehaviour::Reset);
    assert!(world.post("/oidc/token", &[], &pairs).await.is_err());
    assert_eq!(world.control.counts().code_exchanges, 0, "not looked at");
    set(Misbehaviour::ResetAfterProcessing);
    let error = world.post("/oidc/token", &[], &pairs).await.unwrap_err();
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    assert_eq!(
        cause.map(std::io::Error::kind),
        Some(std::io::ErrorKind::ConnectionReset),
        "{error:?}"
    );
    world.control.set_faults(Faults::default());
    assert_eq!(world.redeem(&code, VERIFIER).await.error().1, "invalid_grant");
    assert_eq!(world.control.grants_revoked(), 1, "the code was spent");
}

#[tokio::test]
async fn id_tokens_are_wrong_in_the_way_asked_for() {
    let world = start().await;
    let now = clock::Clock::system().now().as_u64();
    let id_token = async |fault: IdTokenFault| {
        world.control.set_faults(Faults {
            id_token: Some(fault),
            ..Faults::default()
        });
        let tokens = world.tokens_of("plain", &[]).await;
        tokens["id_token"].as_str().map(str::to_owned)
    };
    assert_eq!(id_token(IdTokenFault::Missing).await, None);
    for (fault, claim, value) in [
        (
            IdTokenFault::WrongIssuer,
            "iss",
            json!("https://other.example.com/oidc"),
        ),
        (IdTokenFault::WrongAudience, "aud", json!("another-client")),
        (
            IdTokenFault::ExtraAudience,
            "aud",
            json!(["app", "another-client"]),
        ),
        (
            IdTokenFault::ForeignAuthorizedParty,
            "azp",
            json!("another-client"),
        ),
        (IdTokenFault::WrongNonce, "nonce", json!("another-nonce")),
        (IdTokenFault::EmptySubject, "sub", json!("")),
        (IdTokenFault::OtherSubject, "sub", json!("otheruser001")),
    ] {
        assert_eq!(decode(&id_token(fault).await.unwrap()).1[claim], value);
    }
    for (fault, claim) in [
        (IdTokenFault::NoAudience, "aud"),
        (IdTokenFault::NoNonce, "nonce"),
        (IdTokenFault::NoExpiry, "exp"),
        (IdTokenFault::NoIssuedAt, "iat"),
        (IdTokenFault::NoSubject, "sub"),
    ] {
        assert!(
            decode(&id_token(fault).await.unwrap()).1.get(claim).is_none(),
            "{claim}"
        );
    }
    for (fault, claim, is_future) in [
        (IdTokenFault::Expired, "exp", false),
        (IdTokenFault::IssuedInTheFuture, "iat", true),
        (IdTokenFault::IssuedLongAgo, "iat", false),
        (IdTokenFault::NotYetValid, "nbf", true),
    ] {
        let moment = decode(&id_token(fault).await.unwrap()).1[claim].as_u64().unwrap();
        assert!(
            moment.abs_diff(now) > 1_800 && (moment > now) == is_future,
            "{claim}"
        );
    }
    assert!(
        decode(&id_token(IdTokenFault::WrongAccessTokenHash).await.unwrap())
            .1
            .get("at_hash")
            .is_some()
    );
    assert_eq!(
        decode(&id_token(IdTokenFault::WrongType).await.unwrap()).0["typ"],
        "at+jwt"
    );
    let unsigned = id_token(IdTokenFault::AlgorithmNone).await.unwrap();
    assert!(decode(&unsigned).0["alg"] == "none" && unsigned.ends_with('.'));
    assert_eq!(
        decode(&id_token(IdTokenFault::Hs256WithClientSecret).await.unwrap()).0["alg"],
        "HS256"
    );
    let published = world.get("/oidc/jwks").await.json()["keys"][0]["kid"].clone();
    assert_ne!(
        decode(&id_token(IdTokenFault::UnknownKey).await.unwrap()).0["kid"],
        published
    );
    assert_eq!(
        decode(&id_token(IdTokenFault::StolenKeyId).await.unwrap()).0["kid"],
        published
    );
    assert_eq!(
        decode(&id_token(IdTokenFault::BadSignature).await.unwrap()).0["kid"],
        published
    );
}

#[tokio::test]
async fn documents_and_callbacks_lie_as_told() {
    let world = start().await;
    world.control.set_faults(Faults {
        discovery_issuer: Some("https://other.example.com/oidc".into()),
        endpoints_origin: Some("http://10.0.0.1".into()),
        userinfo_subject: Some("otheruser001".into()),
        callback_issuer: Some(CallbackIssuerFault::Other(
            "https://other.example.com/oidc".into(),
        )),
        ..Faults::default()
    });
    let document = world.get(DISCOVERY).await.json();
    assert_eq!(document["issuer"], "https://other.example.com/oidc");
    assert_eq!(
        document["end_session_endpoint"],
        "http://10.0.0.1/oidc/session/end"
    );
    let callback = world.browser().sign_in(&world.authorize(&[]), "plain").await;
    assert_eq!(callback["iss"], "https://other.example.com/oidc");
    let tokens = world.redeem(&callback["code"], VERIFIER).await.json();
    let userinfo = world
        .userinfo(tokens["access_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(userinfo["sub"], "otheruser001");
    world.control.set_faults(Faults {
        callback_issuer: Some(CallbackIssuerFault::Missing),
        ..Faults::default()
    });
    assert!(
        !world
            .browser()
            .sign_in(&world.authorize(&[]), "plain")
            .await
            .contains_key("iss")
    );
}
