//! Each condition, and what fulfils it.

use super::super::caller::{Caller, Machine, User};
use super::super::check::Why;
use super::*;
use crate::identity::{Claims, ProjectedHeaders};
use serde_json::json;

fn claims(value: Value) -> Claims {
    match value {
        Value::Object(members) => Claims::new(members),
        other => panic!("not an object: {other}"),
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// What a condition says of a user with these claims.
fn asked(condition: &Condition, user_claims: Value) -> Result<(), Why> {
    let claims = claims(user_claims);
    let user = User {
        subject: "user1",
        claims: &claims,
        scopes: None,
        organization: None,
        identity: ProjectedHeaders::default(),
    };
    condition.check(&Caller::User(user), Some("10.1.2.3".parse().unwrap()))
}

const NO: Result<(), Why> = Err(Why::Differs);
const ABSENT: Result<(), Why> = Err(Why::Absent);

#[test]
fn roles_are_compared_to_the_letter() {
    let any = Condition::AnyRole(texts(&["admin", "editor"]));
    let all = Condition::AllRoles(texts(&["admin", "editor"]));
    for (roles, one, both) in [
        (json!({"roles": ["admin", "editor", "x"]}), Ok(()), Ok(())),
        (json!({"roles": ["editor"]}), Ok(()), NO),
        (json!({"roles": ["Admin"]}), NO, NO),
        (json!({"roles": ["admin "]}), NO, NO),
        (json!({"roles": ["administrator"]}), NO, NO),
        (json!({"roles": [["admin", "editor"]]}), NO, NO),
        (json!({"roles": [{"name": "admin"}]}), NO, NO),
        (json!({"roles": "admin"}), Ok(()), NO),
        (json!({"roles": "admin,editor"}), NO, NO),
        (json!({"roles": {"admin": true}}), NO, NO),
        (json!({"roles": []}), NO, NO),
        (json!({"roles": null}), ABSENT, ABSENT),
        (json!({}), ABSENT, ABSENT),
        (json!({"role": ["admin", "editor"]}), ABSENT, ABSENT),
    ] {
        assert_eq!(asked(&any, roles.clone()), one, "any_role, {roles}");
        assert_eq!(asked(&all, roles.clone()), both, "all_roles, {roles}");
    }
}

#[test]
fn organizations_and_roles_in_them() {
    let member = Condition::Organization("org1".to_owned());
    let role_in = |organization: Option<&str>| Condition::AnyOrganizationRole {
        roles: texts(&["owner", "a:b"]),
        organization: organization.map(str::to_owned),
    };
    assert_eq!(asked(&member, json!({"organizations": ["org0", "org1"]})), Ok(()));
    assert_eq!(asked(&member, json!({"organizations": ["org11"]})), NO);
    assert_eq!(
        asked(&member, json!({"organization_roles": ["org1:owner"]})),
        ABSENT
    );
    for (held, anywhere, in_org1) in [
        (json!(["org1:owner"]), Ok(()), Ok(())),
        (json!(["org2:owner"]), Ok(()), NO),
        (json!(["org1:member", "org2:owner"]), Ok(()), NO),
        (json!(["org1:a:b"]), Ok(()), Ok(())),
        (json!(["owner"]), NO, NO),
        (json!(["org1:owner:"]), NO, NO),
        (json!([":owner"]), Ok(()), NO),
        (json!([]), NO, NO),
    ] {
        let claims = json!({"organization_roles": held});
        assert_eq!(asked(&role_in(None), claims.clone()), anywhere, "{claims}");
        assert_eq!(asked(&role_in(Some("org1")), claims.clone()), in_org1, "{claims}");
    }
}

#[test]
fn addresses_count_with_their_last_at_sign() {
    let address = Condition::Email(texts(&["Admin@Example.com"]), EmailProof::None);
    let domain = Condition::EmailDomain(texts(&["example.com"]), EmailProof::None);
    for (email, same, in_domain) in [
        (json!("Admin@example.COM"), Ok(()), Ok(())),
        (json!("admin@example.com"), NO, Ok(())),
        (json!("Admin@example.com.evil.test"), NO, NO),
        (json!("Admin@sub.example.com"), NO, NO),
        (json!("\"Admin@example.com\"@evil.test"), NO, NO),
        (json!("evil.test@example.com@evil.test"), NO, NO),
        (json!("Admin@example.com "), NO, NO),
        (json!("\"a@b\"@example.com"), NO, Ok(())),
        (json!("example.com"), NO, NO),
        (json!(["Admin@example.com"]), ABSENT, ABSENT),
        (json!(null), ABSENT, ABSENT),
    ] {
        let claims = json!({"email": email, "email_verified": true});
        assert_eq!(asked(&address, claims.clone()), same, "{claims}");
        assert_eq!(asked(&domain, claims.clone()), in_domain, "{claims}");
    }
}

#[test]
fn a_hugging_face_address_counts_when_hugging_face_has_verified_it() {
    let condition = Condition::Email(texts(&["admin@example.com"]), EmailProof::HuggingFace);
    let unverified = Err(Why::Unverified);
    for (identities, expected) in [
        (json!({}), Ok(())),
        (json!({"github": {"userId": "1"}}), Ok(())),
        (
            json!({"huggingface": {"details": {"rawData": {"email": "admin@example.com", "email_verified": true}}}}),
            Ok(()),
        ),
        (
            json!({"huggingface": {"details": {"rawData": {"email": "admin@example.com", "email_verified": false}}}}),
            unverified,
        ),
        (
            json!({"huggingface": {"details": {"rawData": {"email": "admin@example.com", "email_verified": "true"}}}}),
            unverified,
        ),
        (
            json!({"huggingface": {"details": {"rawData": {"email": "other@example.com", "email_verified": true}}}}),
            unverified,
        ),
        (
            json!({"huggingface": {"details": {"rawData": {"email_verified": true}}}}),
            unverified,
        ),
        (json!({"huggingface": {"details": {}}}), unverified),
        (json!({"huggingface": {}}), unverified),
        (json!({"huggingface": null}), unverified),
        (json!([]), ABSENT),
        (json!(null), ABSENT),
    ] {
        let claims = json!({"email": "admin@example.com", "email_verified": true, "identities": identities});
        assert_eq!(asked(&condition, claims.clone()), expected, "{claims}");
    }
    // Whether there is a Hugging Face account is not known.
    assert_eq!(asked(&condition, json!({"email": "admin@example.com"})), ABSENT);
}

#[test]
fn what_is_kept_of_the_claims_is_enough_to_tell_that_there_is_no_account() {
    let condition = Condition::Email(texts(&["admin@example.com"]), EmailProof::HuggingFace);
    for (identities, expected) in [
        (json!({}), Ok(())),
        (
            json!({"huggingface": {"userId": "1", "details": {"rawData": {}}}}),
            Err(Why::Unverified),
        ),
        (json!({"huggingface": {"userId": "1"}}), Err(Why::Unverified)),
    ] {
        let all = claims(json!({"email": "admin@example.com", "identities": identities}));
        let kept = all.keep_only(&condition.needed_claims()).into_members();
        assert_eq!(
            asked(&condition, Value::Object(kept.clone())),
            expected,
            "{kept:?}"
        );
    }
}

#[test]
fn hugging_face_accounts_and_organizations() {
    let id = "65b000000000000000000001";
    let user = Condition::HfUser(texts(&["u1"]));
    let account = |orgs: Value| json!({"identities": {"huggingface": {"userId": "u1", "details": {"rawData": {"orgs": orgs}}}}});
    assert_eq!(asked(&user, account(json!([]))), Ok(()));
    assert_eq!(
        asked(&user, json!({"identities": {"huggingface": {"userId": "u2"}}})),
        NO
    );
    assert_eq!(
        asked(&user, json!({"identities": {"github": {"userId": "u1"}}})),
        ABSENT
    );
    assert_eq!(asked(&user, json!({"identities": {}})), ABSENT);
    let by_id = Condition::HfOrg(texts(&[id]), OrganizationProof::None);
    let by_name = Condition::HfOrg(texts(&["lab"]), OrganizationProof::None);
    for (orgs, id_fits, name_fits) in [
        (
            json!([{"sub": id, "preferred_username": "lab", "name": "Lab"}]),
            Ok(()),
            Ok(()),
        ),
        (
            json!([{"sub": "65b000000000000000000002", "preferred_username": id}]),
            NO,
            NO,
        ),
        (json!([{"sub": "lab", "preferred_username": "other"}]), NO, NO),
        (
            json!([{"sub": "x", "preferred_username": "x", "name": "lab"}]),
            NO,
            NO,
        ),
        (
            json!([{"sub": id, "preferred_username": "lab", "pendingSSO": true}]),
            NO,
            NO,
        ),
        (
            json!([{"sub": id, "preferred_username": "lab", "missingMFA": true}]),
            NO,
            NO,
        ),
        (
            json!([{"sub": id, "preferred_username": "lab", "pendingSSO": false, "missingMFA": null}]),
            Ok(()),
            Ok(()),
        ),
        (json!([]), NO, NO),
        (json!(null), ABSENT, ABSENT),
    ] {
        assert_eq!(asked(&by_id, account(orgs.clone())), id_fits, "{orgs}");
        assert_eq!(asked(&by_name, account(orgs.clone())), name_fits, "{orgs}");
    }
    let live = Condition::HfOrg(texts(&["lab"]), OrganizationProof::Asked);
    for (checked_at, expected) in [
        (json!(1_700_000_000), Ok(())),
        (json!(0), Err(Why::NotAsked)),
        (json!(null), ABSENT),
        (json!("1700000000"), ABSENT),
    ] {
        let mut claims = account(json!([{"sub": id, "preferred_username": "lab"}]));
        claims["identities"]["huggingface"]["orgs_checked_at"] = checked_at.clone();
        assert_eq!(asked(&live, claims), expected, "{checked_at}");
    }
}

#[test]
fn a_claim_has_one_of_the_values_or_holds_one() {
    let condition = |any_of: Vec<Value>| Condition::Claim {
        path: "custom_data.plan".parse().unwrap(),
        any_of,
    };
    let plan = |value: Value| json!({"custom_data": {"plan": value}});
    for (value, any_of, expected) in [
        (json!("pro"), json!(["pro"]), Ok(())),
        (json!("Pro"), json!(["pro"]), NO),
        (json!(["free", "pro"]), json!(["pro"]), Ok(())),
        (json!(3), json!([3]), Ok(())),
        (json!(3), json!(["3"]), NO),
        (json!("3"), json!([3]), NO),
        (json!(3.5), json!([3]), NO),
        (json!(true), json!([true]), Ok(())),
        (json!("true"), json!([true]), NO),
        (json!(1), json!([true]), NO),
        (json!(0), json!([false]), NO),
        (json!({"pro": true}), json!(["pro", true]), NO),
        (json!([["pro"]]), json!(["pro"]), NO),
        (json!([]), json!(["pro"]), NO),
        (json!(""), json!(["pro"]), NO),
        (json!(null), json!(["pro"]), ABSENT),
    ] {
        let any_of = any_of.as_array().unwrap().clone();
        assert_eq!(
            asked(&condition(any_of.clone()), plan(value.clone())),
            expected,
            "{value} of {any_of:?}"
        );
    }
    assert_eq!(
        asked(&condition(vec![json!("pro")]), json!({"custom_data": "pro"})),
        ABSENT
    );
    assert_eq!(
        asked(&condition(vec![json!("pro")]), json!({"custom_data.plan": "pro"})),
        ABSENT
    );
}

#[test]
fn networks_hold_the_address_that_is_known() {
    let networks = |list: &[&str]| Condition::Ip(list.iter().map(|text| text.parse().unwrap()).collect());
    let user = |address: Option<&str>, condition: &Condition| {
        let claims = Claims::default();
        let user = User {
            subject: "user1",
            claims: &claims,
            scopes: None,
            organization: None,
            identity: ProjectedHeaders::default(),
        };
        condition.check(
            &Caller::User(user),
            address.map(|address| address.parse().unwrap()),
        )
    };
    let condition = networks(&["10.0.0.0/8", "2001:db8::/32"]);
    for (address, expected) in [
        (Some("10.255.0.1"), Ok(())),
        (Some("::ffff:10.0.0.1"), Ok(())),
        (Some("2001:db8:1::1"), Ok(())),
        (Some("11.0.0.1"), NO),
        (Some("::10.0.0.1"), NO),
        (None, NO),
    ] {
        assert_eq!(user(address, &condition), expected, "{address:?}");
    }
}

#[test]
fn a_program_fulfils_no_condition_on_users_and_a_session_has_no_scope() {
    let scopes = texts(&["read", "write", "roles"]);
    let machine = |organization: Option<&'static str>| {
        Caller::Machine(Machine {
            client_id: "client1",
            scopes: Box::leak(scopes.clone().into_boxed_slice()),
            organization,
            identity: ProjectedHeaders::default(),
        })
    };
    for condition in [
        Condition::AnyRole(texts(&["read", "client1"])),
        Condition::AllRoles(texts(&["read"])),
        Condition::AnyOrganizationRole {
            roles: texts(&["read"]),
            organization: None,
        },
        Condition::Email(texts(&["client1@example.com"]), EmailProof::None),
        Condition::EmailDomain(texts(&["example.com"]), EmailProof::HuggingFace),
        Condition::HfUser(texts(&["client1"])),
        Condition::HfOrg(texts(&["client1"]), OrganizationProof::None),
        Condition::Claim {
            path: "sub".parse().unwrap(),
            any_of: vec![json!("client1")],
        },
    ] {
        assert_eq!(
            condition.check(&machine(None), None),
            Err(Why::Program),
            "{condition}"
        );
    }
    let read_and_write = Condition::Scope(texts(&["read", "write"]));
    assert_eq!(read_and_write.check(&machine(None), None), Ok(()));
    assert_eq!(
        Condition::Scope(texts(&["read", "delete"])).check(&machine(None), None),
        NO
    );
    assert_eq!(
        Condition::Sub(texts(&["client1"])).check(&machine(None), None),
        Ok(())
    );
    assert_eq!(Condition::Sub(texts(&["user1"])).check(&machine(None), None), NO);
    let member = Condition::Organization("org1".to_owned());
    assert_eq!(member.check(&machine(Some("org1")), None), Ok(()));
    assert_eq!(member.check(&machine(Some("org2")), None), NO);
    assert_eq!(member.check(&machine(None), None), NO);
    assert_eq!(
        asked(&read_and_write, json!({"scope": "read write"})),
        Err(Why::Session)
    );
    assert_eq!(
        asked(&Condition::Sub(texts(&["user1"])), json!({"sub": "other"})),
        Ok(())
    );
    assert_eq!(
        asked(&Condition::Sub(texts(&["other"])), json!({"sub": "other"})),
        NO
    );
    for condition in [
        read_and_write,
        member,
        Condition::Ip(vec!["0.0.0.0/0".parse().unwrap()]),
    ] {
        let address = Some("10.0.0.1".parse().unwrap());
        assert_eq!(
            condition.check(&Caller::Nobody, address),
            Err(Why::Nobody),
            "{condition}"
        );
    }
}

#[test]
fn every_path_that_is_read_can_be_kept() {
    for (condition, count) in [
        (Condition::AnyRole(Vec::new()), 1),
        (Condition::Email(Vec::new(), EmailProof::HuggingFace), 3),
        (Condition::EmailDomain(Vec::new(), EmailProof::None), 1),
        (Condition::HfUser(Vec::new()), 1),
        (Condition::HfOrg(Vec::new(), OrganizationProof::None), 1),
        (Condition::HfOrg(Vec::new(), OrganizationProof::Asked), 2),
        (Condition::Sub(Vec::new()), 0),
    ] {
        assert_eq!(condition.needed_claims().len(), count, "{}", condition.key());
    }
}
