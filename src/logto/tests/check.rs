//! Asking userinfo whether a user is still who they were.

use super::fake::{DISCOVERY, Instead, TOKEN, USERINFO};
use super::{logto, ready};
use crate::logto::CheckFailure;
use crate::secret::SecretText;
use serde_json::{Value, json};

#[tokio::test]
async fn an_access_token_confirms_its_user() {
    let (fake, _) = ready();
    let logto = logto(&fake);
    let token = SecretText::new("an-access-token".into());
    fake.state().userinfo =
        json!({ "sub": "user-1", "roles": ["editor"], "sid": "x", "exp": 1, "acr": "high" });
    let claims = logto.check(&token, "user-1").await.unwrap().into_inner();
    assert_eq!(
        Value::Object(claims),
        json!({ "sub": "user-1", "roles": ["editor"] }),
        "only what is about the user, and need not be signed"
    );
    assert_eq!(
        fake.calls(USERINFO)[0].authorization.as_deref(),
        Some("Bearer an-access-token")
    );
    assert!(fake.calls(TOKEN).is_empty());
}

#[tokio::test]
async fn every_failure_of_a_check_is_told_apart() {
    let (fake, _) = ready();
    let token = SecretText::new("an-access-token".into());
    let answers = [
        (
            Instead::Answer(401, json!({ "error": "invalid_token" })),
            "refused",
            1,
        ),
        (Instead::Answer(401, json!({})), "refused", 1),
        (Instead::Answer(403, json!({})), "refused", 1),
        (Instead::Answer(200, json!({ "sub": "user-2" })), "other user", 1),
        (Instead::Answer(200, json!({ "sub": "USER-1" })), "other user", 1),
        (Instead::Answer(200, json!({})), "transient", 1),
        (Instead::Answer(200, json!({ "sub": 1 })), "transient", 1),
        (Instead::Text(200, "<html>".into()), "transient", 1),
        (Instead::Answer(404, json!({})), "transient", 1),
        (Instead::Answer(400, json!({})), "transient", 1),
        // A GET changes nothing, so an outage is worth a second attempt.
        (Instead::Answer(500, json!({})), "transient", 2),
        (Instead::Reset, "transient", 2),
    ];
    for (instead, expected, calls) in answers {
        let logto = logto(&fake);
        fake.state().calls.clear();
        fake.state().instead.insert(USERINFO, instead.clone());
        let failure = logto.check(&token, "user-1").await.unwrap_err();
        let kind = match failure {
            CheckFailure::Refused => "refused",
            CheckFailure::OtherUser => "other user",
            CheckFailure::Transient(_) => "transient",
        };
        assert_eq!(kind, expected, "{instead:?}");
        assert_eq!(fake.calls(USERINFO).len(), calls, "{instead:?}");
    }
    let fresh = logto(&fake);
    fake.state().instead.insert(DISCOVERY, Instead::Reset);
    let failure = fresh.check(&token, "user-1").await.unwrap_err();
    assert!(matches!(failure, CheckFailure::Transient(_)));
}
