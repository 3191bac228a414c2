use super::*;
use serde_json::{Value, json};

fn claims(value: Value) -> Claims {
    Claims::from_json(value.to_string().as_bytes()).unwrap()
}

fn rules() -> HeaderRules {
    HeaderRules::new(HeaderRules::defaults()).unwrap()
}

fn name(text: &'static str) -> HeaderName {
    HeaderName::from_static(text)
}

fn claim(header: &'static str, path: &str, encoding: Encoding, join: &str) -> HeaderRule {
    let source = Source::Claim {
        path: path.parse().unwrap(),
        encoding,
        join: join.to_owned(),
        prefix: "",
    };
    HeaderRule {
        name: name(header),
        source,
    }
}

fn sent(rules: &HeaderRules, value: Value) -> Vec<(String, String)> {
    let mut headers = HeaderMap::new();
    rules.project(&claims(value)).apply(rules, &mut headers);
    let mut sent: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    sent.sort();
    sent
}

#[test]
fn the_default_headers_of_a_hugging_face_user() {
    let user = json!({
        "sub": "k3vqk4f8mu7s", "name": "Café", "email": "cafe@example.com", "username": null,
        "picture": "https://example.com/cafe.png", "roles": ["admin", "a,b"],
        "organizations": ["org1", "org2"], "organization_roles": ["org1:owner"],
        "identities": {"huggingface": {"userId": "60f1", "details": {"rawData": {"preferred_username": "cafe"}}}}
    });
    let expected = [
        ("x-user-email", "cafe@example.com"),
        ("x-user-hf-id", "60f1"),
        ("x-user-hf-username", "cafe"),
        ("x-user-name", "Caf%C3%A9"),
        ("x-user-org-roles", "org1:owner"),
        ("x-user-orgs", "org1,org2"),
        ("x-user-picture", "https://example.com/cafe.png"),
        ("x-user-roles", "admin,a%2Cb"),
        ("x-user-sub", "k3vqk4f8mu7s"),
    ];
    let sent = sent(&rules(), user);
    let sent: Vec<_> = sent
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(sent, expected);
}

#[test]
fn an_absent_empty_or_hostile_claim_leaves_its_header_absent() {
    let user =
        json!({"sub": "u1", "name": "", "email": null, "roles": [], "picture": "a\r\nX-User-Sub: root"});
    assert_eq!(sent(&rules(), user), [("x-user-sub".to_owned(), "u1".to_owned())]);
}

#[test]
fn applying_replaces_what_is_there() {
    let rules = rules();
    let mut headers = HeaderMap::new();
    headers.append("x-user-sub", HeaderValue::from_static("forged"));
    headers.append("x-user-sub", HeaderValue::from_static("forged again"));
    rules
        .project(&claims(json!({"sub": "u1"})))
        .apply(&rules, &mut headers);
    let left: Vec<_> = headers.get_all("x-user-sub").iter().collect();
    assert_eq!(left, ["u1"]);
}

#[test]
fn constants_are_sent_and_owned() {
    let constant = HeaderRule {
        name: name("x-proxied-by"),
        source: Source::Constant(HeaderValue::from_static("logto")),
    };
    let rules = HeaderRules::new(vec![constant, claim("x-id", "sub", Encoding::Percent, ",")]).unwrap();
    let expected = [("x-id", "u1"), ("x-proxied-by", "logto")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(sent(&rules, json!({"sub": "u1"})), expected);
    assert!(rules.is_owned(b"X_Proxied_By") && rules.is_owned(b"x.id"));
    assert!(rules.is_owned(b"x-user-sub"), "owned though no rule sets it");
}

#[test]
fn stripping_removes_every_owned_header() {
    let mut headers = HeaderMap::new();
    for owned in ["x-user-sub", "x_user_roles", "remote-user", "accept"] {
        headers.append(name(owned), HeaderValue::from_static("v"));
    }
    rules().strip(&mut headers);
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["accept"]);
}

#[test]
fn impossible_rules_are_refused() {
    let plain = |header| claim(header, "sub", Encoding::Percent, ",");
    for (rules, expected) in [
        (
            vec![plain("x-a-b"), plain("x_a_b")],
            HeaderRulesError::SameName(name("x-a-b"), name("x_a_b")),
        ),
        (vec![plain("host")], HeaderRulesError::Reserved(name("host"))),
        (
            vec![plain("x_forwarded_for")],
            HeaderRulesError::Reserved(name("x_forwarded_for")),
        ),
        (
            vec![plain("transfer-encoding")],
            HeaderRulesError::Reserved(name("transfer-encoding")),
        ),
    ] {
        assert_eq!(HeaderRules::new(rules).unwrap_err(), expected);
    }
    for join in ["", "%", "a", "2C", "\t", "é", "\r\n", ",,,,,,,,,"] {
        let rule = claim("x-roles", "roles", Encoding::Percent, join);
        let expected = HeaderRulesError::BadJoin(name("x-roles"));
        assert_eq!(HeaderRules::new(vec![rule]).unwrap_err(), expected, "{join:?}");
    }
    let many = (0..=MOST_RULES).map(|index| HeaderRule {
        name: HeaderName::try_from(format!("x-h{index}")).unwrap(),
        source: Source::Constant(HeaderValue::from_static("v")),
    });
    assert_eq!(
        HeaderRules::new(many.collect()).unwrap_err(),
        HeaderRulesError::TooMany
    );
}

#[test]
fn the_fingerprint_follows_whatever_changes_the_values() {
    let print = |rules| HeaderRules::new(rules).unwrap().fingerprint();
    let base = || claim("x-id", "sub", Encoding::Percent, ",");
    let constant = |value| HeaderRule {
        name: name("x-c"),
        source: Source::Constant(HeaderValue::from_static(value)),
    };
    assert_eq!(print(vec![base()]), print(vec![base()]));
    for other in [
        vec![],
        vec![claim("x-id2", "sub", Encoding::Percent, ",")],
        vec![claim("x-id", "name", Encoding::Percent, ",")],
        vec![claim("x-id", "sub", Encoding::Utf8, ",")],
        vec![claim("x-id", "sub", Encoding::Percent, ";")],
        vec![constant("a"), base()],
    ] {
        assert_ne!(print(other.clone()), print(vec![base()]), "{other:?}");
    }
    assert_eq!(
        print(vec![base(), constant("a")]),
        print(vec![base(), constant("b")])
    );
}

#[test]
fn the_claims_that_are_needed_are_named() {
    let rules = HeaderRules::new(HeaderRules::hugging_face()).unwrap();
    let needed: Vec<_> = rules.needed_claims().iter().map(ToString::to_string).collect();
    assert_eq!(
        needed,
        [
            "identities.huggingface.userId",
            "identities.huggingface.details.rawData.preferred_username"
        ]
    );
    assert_eq!(HeaderRules::defaults().len(), 10);
}
