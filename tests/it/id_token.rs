//! What Logto's answers must prove before there is a session.

use crate::support::{World, proxy};
use logto_proxy::dev::provider::{Client, ClientSecret, Faults, IdTokenFault, Misbehaviour};
use logto_proxy::secret::SecretText;

#[rustfmt::skip]
const EVERY_FAULT: &[(IdTokenFault, &str)] = &[
    (IdTokenFault::Missing, "not_verified"),
    (IdTokenFault::WrongIssuer, "not_verified"),
    (IdTokenFault::WrongAudience, "not_verified"),
    (IdTokenFault::ExtraAudience, "not_verified"),
    (IdTokenFault::NoAudience, "not_verified"),
    (IdTokenFault::ForeignAuthorizedParty, "not_verified"),
    (IdTokenFault::WrongNonce, "not_verified"),
    (IdTokenFault::NoNonce, "not_verified"),
    (IdTokenFault::Expired, "not_verified"),
    (IdTokenFault::NoExpiry, "not_verified"),
    (IdTokenFault::IssuedInTheFuture, "not_verified"),
    (IdTokenFault::IssuedLongAgo, "not_verified"),
    (IdTokenFault::NoIssuedAt, "not_verified"),
    (IdTokenFault::NotYetValid, "not_verified"),
    (IdTokenFault::NoSubject, "not_verified"),
    (IdTokenFault::EmptySubject, "not_verified"),
    (IdTokenFault::OtherSubject, "not_verified"),
    (IdTokenFault::AlgorithmNone, "not_verified"),
    (IdTokenFault::Hs256WithClientSecret, "not_verified"),
    (IdTokenFault::BadSignature, "not_verified"),
    (IdTokenFault::UnknownKey, "not_verified"),
    (IdTokenFault::StolenKeyId, "not_verified"),
    (IdTokenFault::WrongAccessTokenHash, "not_verified"),
    (IdTokenFault::WrongType, "not_verified"),
    (IdTokenFault::Malformed, "not_verified"),
];

fn spoil(world: &World, fault: Option<IdTokenFault>) {
    world.logto.set_faults(Faults {
        id_token: fault,
        ..Faults::default()
    });
}

async fn every_fault_is_refused(world: World) {
    for (fault, expected) in EVERY_FAULT {
        spoil(&world, Some(fault.clone()));
        let mut browser = world.browser();
        let callback = browser.to_callback("huggingface", "/reports").await;
        let answer = browser.open(callback).await;
        assert_eq!(answer.problem().as_deref(), Some(*expected), "{fault:?}");
        assert!(!browser.has_session(), "{fault:?}");
        assert_eq!(browser.open(answer.location()).await.status, 502, "{fault:?}");
        assert_eq!(browser.fetch("/reports").await.status, 401, "{fault:?}");
    }
    assert!(world.upstream.seen().is_empty());
    let jwks = world.logto.counts().jwks;
    assert!(jwks <= 3, "unknown keys cost {jwks} fetches");
    spoil(&world, None);
    let mut browser = world.browser();
    assert_eq!(browser.sign_in("huggingface", "/reports").await.status, 200);
    assert_eq!(world.upstream.last().header("x-user-sub"), Some("hfaceuser001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_with_any_fault_is_refused_and_a_clean_one_accepted() {
    every_fault_is_refused(proxy().start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_with_the_id_tokens_of_older_logtos() {
    let legacy = proxy().provider(|settings| settings.legacy_id_token_shape = true);
    every_fault_is_refused(legacy.start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_with_rs256() {
    let world = proxy().start().await;
    world.logto.rotate_to_rs256().unwrap();
    assert_eq!(world.browser().sign_in("plain", "/").await.status, 200);
    world.upstream.forget();
    every_fault_is_refused(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_rotation_costs_no_sign_in() {
    let world = proxy().start().await;
    let mut old = world.signed_in("plain").await;
    let before = world.logto.counts().jwks;
    world.logto.rotate_to_rs256().unwrap();
    for _ in 0..4 {
        assert_eq!(world.browser().sign_in("plain", "/").await.status, 200);
    }
    assert_eq!(world.logto.counts().jwks, before + 1);
    assert_eq!(
        old.fetch("/").await.status,
        200,
        "sessions do not hang on Logto's keys"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn userinfo_of_somebody_else_is_refused() {
    let world = proxy().start().await;
    for subject in ["adminuser001", "", "plainuser0012", "PLAINUSER001"] {
        world.logto.set_faults(Faults {
            userinfo_subject: Some(subject.to_owned()),
            ..Faults::default()
        });
        let mut browser = world.browser();
        let callback = browser.to_callback("plain", "/reports").await;
        let answer = browser.open(callback).await;
        assert_eq!(answer.problem().as_deref(), Some("not_verified"), "{subject:?}");
        assert!(!browser.has_session());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn userinfo_is_asked_for_when_a_header_needs_it_or_as_configured() {
    let without = ["profile", "email", "roles"];
    let all = [
        "urn:logto:scope:organizations",
        "urn:logto:scope:organization_roles",
    ];
    let standard: Vec<&str> = without.iter().copied().chain(all).collect();
    let hugging_face: Vec<&str> = standard.iter().copied().chain(["identities"]).collect();
    for (scopes, mode, calls) in [
        (&standard, None, 0),
        (&hugging_face, None, 1),
        (&standard, Some("always"), 1),
        (&hugging_face, Some("never"), 0),
    ] {
        let mut builder = proxy().scopes(scopes.clone());
        if let Some(mode) = mode {
            builder = builder.logto(&format!("userinfo = \"{mode}\""));
        }
        let world = builder.start().await;
        world.browser().sign_in("huggingface", "/").await;
        assert_eq!(world.logto.counts().userinfo, calls, "{scopes:?} {mode:?}");
        let seen = world.upstream.last();
        assert_eq!(seen.header("x-user-sub"), Some("hfaceuser001"));
        let id = seen.header("x-user-hf-id");
        let expected = (calls == 1 && mode.is_none()).then_some("65a000000000000000000001");
        assert_eq!(id, expected, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_client_secret_gives_way_to_the_next() {
    let old = "the old secret";
    let change = |client: &mut Client| {
        let expired = ClientSecret {
            text: SecretText::new("the old secret".to_owned()),
            expired: true,
        };
        client.secrets.insert(0, expired);
    };
    let new = crate::support::proxy::APP_SECRET;
    for secrets in [&[old, new], &["never registered", new], &[new, old]] {
        let world = proxy().client(change).secrets(secrets).start().await;
        for _ in 0..3 {
            assert_eq!(
                world.browser().sign_in("plain", "/").await.status,
                200,
                "{secrets:?}"
            );
        }
        assert_eq!(
            world.logto.counts().code_exchanges,
            3,
            "no code was sent to be spent twice"
        );
        assert_eq!(world.logto.grants_revoked(), 0);
    }
    let world = proxy().client(change).secrets(&[old]).start().await;
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/").await;
    let answer = browser.open(callback).await;
    assert_eq!(answer.problem().as_deref(), Some("misconfigured"));
    let page = browser.open(answer.location()).await;
    assert_eq!(page.status, 500);
    assert!(!page.body.contains("secret"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_with_max_age_wants_to_know_when_the_user_was_authenticated() {
    let world = proxy()
        .section("[sign_in]\nextra_params = { max_age = \"300\" }")
        .start()
        .await;
    assert_eq!(world.browser().sign_in("plain", "/").await.status, 200);
    // Someone takes max_age out on the way to Logto, which then answers without `auth_time`.
    let mut browser = world.browser();
    let url = browser.navigate("/").await.location();
    let stripped = url.as_str().replace("&max_age=300", "");
    assert_ne!(stripped, url.as_str());
    let answer = browser.open(stripped.parse().unwrap()).await;
    let page = browser.follow(answer, |_| false).await;
    let callback = browser.choose(&page, "plain").await.location();
    let answer = browser.open(callback).await;
    assert_eq!(answer.problem().as_deref(), Some("not_verified"));
    assert!(!browser.has_session());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_from_the_token_endpoint_is_not_followed() {
    let world = proxy().start().await;
    let stranger = crate::support::Upstream::start().await;
    world.logto.set_faults(Faults {
        token: Misbehaviour::Redirect(format!("http://{}/token", stranger.address)).into(),
        ..Faults::default()
    });
    let mut browser = world.browser();
    let callback = browser.to_callback("plain", "/").await;
    let answer = browser.open(callback).await;
    assert!(answer.problem().is_some());
    assert!(
        stranger.seen().is_empty(),
        "the client secret went to {stranger:?}",
        stranger = stranger.seen()
    );
}
