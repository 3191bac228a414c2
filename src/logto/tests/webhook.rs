//! Webhooks: the signature, the age, and the shapes that Logto sends.

use crate::clock::UnixSeconds;
use crate::logto::webhook::{WebhookEvent, WebhookKey, WebhookRefusal, read};
use crate::secret::SecretText;
use aws_lc_rs::hmac;
use serde_json::{Value, json};

const KEY: &str = "Jz7hcGsXoCYYYDjX2i9E2qWKs9gPMFvR";
/// 2026-08-21T12:00:00Z.
const NOW: UnixSeconds = UnixSeconds::new(1_787_313_600);

fn key() -> WebhookKey {
    WebhookKey::new(SecretText::new(KEY.into()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signature(key: &str, body: &[u8]) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), body).as_ref())
}

/// What a body comes to that Logto signed.
fn signed(body: &str) -> Result<WebhookEvent, WebhookRefusal> {
    let signature = signature(KEY, body.as_bytes());
    read(&key(), Some(signature.as_bytes()), body.as_bytes(), NOW)
}

/// The same for an event, with the members that every one has.
fn event(name: &str, members: Value) -> WebhookEvent {
    let mut payload = json!({
        "event": name, "createdAt": "2026-08-21T12:00:00.123Z", "hookId": "hook-1", "ip": "192.0.2.1",
        "userAgent": "node"
    });
    payload
        .as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    signed(&payload.to_string()).unwrap()
}

fn changed(subjects: &[&str]) -> WebhookEvent {
    WebhookEvent::Changed {
        subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
    }
}

#[test]
fn only_logtos_signature_counts() {
    let body = br#"{"event":"User.Deleted","createdAt":"2026-08-21T12:00:00.000Z","data":{"id":"u1"}}"#;
    let good = signature(KEY, body);
    assert_eq!(
        good, "fc5f94e0eb7c4986cbff153a28366d8fd9f0040315a37365e8aa2ff36274b017",
        "as OpenSSL makes it"
    );
    let read_with =
        |signature: Option<&str>, body: &[u8]| read(&key(), signature.map(str::as_bytes), body, NOW);
    let deleted = WebhookEvent::Deleted { subject: "u1".into() };
    assert_eq!(read_with(Some(&good), body), Ok(deleted.clone()));
    assert_eq!(read_with(Some(&good.to_uppercase()), body), Ok(deleted));

    let mut forged = body.to_vec();
    forged[66] ^= 1;
    let with_space = [body.as_slice(), b" "].concat();
    let others = signature("another key", body);
    let keyless = signature("", body);
    let first_flipped = format!("{}{}", if good.starts_with('0') { "1" } else { "0" }, &good[1..]);
    let last_flipped = format!("{}{}", &good[..63], if good.ends_with('0') { "1" } else { "0" });
    let twice = format!("{good}{good}");
    let spaced = format!(" {good}");
    let prefixed = format!("sha256={good}");
    let odd = format!("{}g", &good[..63]);
    let wide = format!("{}é", &good[..62]);
    for (case, signature, body) in [
        ("no signature", None, body.as_slice()),
        ("empty", Some(""), body),
        ("half", Some(&good[..32]), body),
        ("one digit less", Some(&good[..63]), body),
        ("twice", Some(&twice), body),
        ("spaced", Some(&spaced), body),
        ("prefixed", Some(&prefixed), body),
        ("not hexadecimal", Some(&odd), body),
        ("not ASCII", Some(&wide), body),
        ("first digit", Some(&first_flipped), body),
        ("last digit", Some(&last_flipped), body),
        ("another key's", Some(&others), body),
        ("an empty key's", Some(&keyless), body),
        ("another body", Some(&good), &forged),
        ("a longer body", Some(&good), &with_space),
        ("no body", Some(&good), b""),
    ] {
        assert_eq!(
            read_with(signature, body),
            Err(WebhookRefusal::Signature),
            "{case}"
        );
    }
    assert!(!format!("{:?}", key()).contains(KEY));
}

#[test]
fn an_unsigned_body_is_not_even_read() {
    let nonsense = [0xff, 0xfe, b'{'];
    assert_eq!(
        read(&key(), Some(b"00"), &nonsense, NOW),
        Err(WebhookRefusal::Signature)
    );
    let signature = signature(KEY, &nonsense);
    assert_eq!(
        read(&key(), Some(signature.as_bytes()), &nonsense, NOW),
        Err(WebhookRefusal::Format)
    );
}

#[test]
fn an_event_is_young() {
    let made = |created: &str| {
        signed(&json!({ "event": "PostSignIn", "createdAt": created, "hookId": "h" }).to_string())
    };
    for fine in [
        "2026-08-21T12:00:00.000Z",
        "2026-08-21T12:00:00Z",
        "2026-08-21T11:55:00.000Z",
        "2026-08-21T12:05:00.999Z",
        "2026-08-21T14:00:00+02:00",
    ] {
        assert_eq!(made(fine), Ok(WebhookEvent::Other), "{fine}");
    }
    for old in [
        "2026-08-21T11:54:59.999Z",
        "2026-08-21T12:05:01.000Z",
        "2026-08-20T12:00:00Z",
        "2026-08-21T12:00:00+02:00",
        "1969-12-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        assert_eq!(made(old), Err(WebhookRefusal::Age), "{old}");
    }
    for odd in ["", "now", "2026-08-21", "2026-08-21T12:00:00", "1787313600"] {
        assert_eq!(made(odd), Err(WebhookRefusal::Format), "{odd}");
    }
    for body in [
        "[]",
        "null",
        r#"{"event":"PostSignIn"}"#,
        r#"{"createdAt":"2026-08-21T12:00:00Z"}"#,
        r#"{"event":"PostSignIn","createdAt":1787313600}"#,
        r#"{"event":"User.Deleted","event":"User.Created","createdAt":"2026-08-21T12:00:00Z"}"#,
    ] {
        assert_eq!(signed(body), Err(WebhookRefusal::Format), "{body}");
    }
}

#[test]
fn suspension_and_deletion_name_their_user() {
    // PATCH /users/:userId/is-suspended: `data` is the whole user.
    let suspension = |suspended: Value| {
        event(
            "User.SuspensionStatus.Updated",
            json!({
                "path": "/users/u1/is-suspended", "method": "PATCH", "status": 200, "params": { "userId": "u1" },
                "matchedRoute": "/users/:userId/is-suspended",
                "data": { "id": "u1", "username": "a", "primaryEmail": null, "customData": {}, "isSuspended": suspended }
            }),
        )
    };
    assert_eq!(
        suspension(json!(true)),
        WebhookEvent::Suspended { subject: "u1".into() }
    );
    assert_eq!(suspension(json!(false)), WebhookEvent::Other);
    assert_eq!(suspension(json!("yes")), changed(&["u1"]));

    let deleted = WebhookEvent::Deleted { subject: "u1".into() };
    let whole = json!({ "path": "/users/u1", "method": "DELETE", "status": 204, "params": { "userId": "u1" }, "data": { "id": "u1" } });
    assert_eq!(event("User.Deleted", whole), deleted);
    // Earlier versions answer that route with nothing.
    let bare =
        json!({ "path": "/users/u1", "method": "DELETE", "status": 204, "params": { "userId": "u1" } });
    assert_eq!(event("User.Deleted", bare), deleted);
    assert_eq!(event("User.Deleted", json!({ "data": { "id": "u1" } })), deleted);
}

#[test]
fn changed_users_are_named() {
    // From the user's own account page or a sign-in: no route.
    assert_eq!(
        event(
            "User.Data.Updated",
            json!({ "interactionEvent": "SignIn", "sessionId": "s", "application": { "id": "app" }, "data": { "id": "u1", "name": "x" } })
        ),
        changed(&["u1"])
    );
    // PATCH /users/:userId/custom-data answers with what the user may have written there.
    assert_eq!(
        event(
            "User.Data.Updated",
            json!({ "params": { "userId": "u1" }, "data": { "id": "victim" } })
        ),
        changed(&["u1"])
    );
    assert_eq!(
        event(
            "Grant.LimitExceeded",
            json!({ "userId": "u1", "applicationId": "app", "revokedGrantIds": ["g"], "maxAllowedGrants": 1, "preRevocationActiveGrantCount": 2 })
        ),
        changed(&["u1"])
    );
}

#[test]
fn members_are_named_or_not() {
    let membership = |members: Value| event("Organization.Membership.Updated", members);
    // Up to 1.42, and for just-in-time members.
    assert_eq!(
        membership(json!({ "organizationId": "o1" })),
        WebhookEvent::MembershipChanged
    );
    assert_eq!(
        membership(
            json!({ "organizationId": "o1", "addedUserIds": ["u2", "u1"], "removedUserIds": ["u3", "u1"] })
        ),
        changed(&["u1", "u2", "u3"])
    );
    assert_eq!(
        membership(json!({ "organizationId": "o1", "removedUserIds": ["u1"], "addedApplicationIds": ["m"] })),
        changed(&["u1"])
    );
    assert_eq!(
        membership(json!({ "organizationId": "o1", "removedApplicationIds": ["m"] })),
        WebhookEvent::Other
    );
    // Many, and what no id can be.
    let many: Vec<_> = (0..101).map(|number| format!("u{number}")).collect();
    assert_eq!(
        membership(json!({ "removedUserIds": many })),
        WebhookEvent::MembershipChanged
    );
    assert_eq!(
        membership(json!({ "removedUserIds": ["u1", ""] })),
        WebhookEvent::MembershipChanged
    );
}

/// "Send test payload" in Logto's console names an invented id in other places, and no user.
#[test]
fn what_concerns_nobody_is_let_be() {
    let test = json!({ "path": "/fake-path/:id", "method": "POST", "status": 200, "params": { "id": "fake-id" }, "data": { "result": "success" } });
    for name in [
        "User.SuspensionStatus.Updated",
        "User.Deleted",
        "User.Data.Updated",
        "User.Created",
        "Role.Data.Updated",
        "TrustedDevice.Deleted",
        "Identifier.Lockout",
        "Grant.LimitExceeded",
        "Something.New",
    ] {
        assert_eq!(event(name, test.clone()), WebhookEvent::Other, "{name}");
    }
    for odd in [
        json!({ "data": null }),
        json!({ "data": [] }),
        json!({ "data": "u1" }),
        json!({ "data": { "id": 7 } }),
        json!({ "data": { "id": "" } }),
        json!({ "data": { "id": "x".repeat(256) } }),
        json!({ "params": { "userId": null }, "data": { "id": "u1" } }),
        json!({ "params": "u1" }),
    ] {
        assert_eq!(event("User.Deleted", odd.clone()), WebhookEvent::Other, "{odd}");
    }
}
