//! Access tables: what is read, and what is refused.

use super::super::keys::ACCESS_KEYS;
use super::*;

pub(super) fn route(lines: &str) -> Result<Config, ConfigErrors> {
    with("", &format!("[[route]]\npath = \"/a/*\"\n{lines}"))
}

/// The access table of the only route.
fn table(lines: &str) -> AccessTable {
    let config = route(lines).unwrap_or_else(|errors| panic!("{lines}\n{errors}"));
    match &config.routes[0].access {
        Access::Table(table) => AccessTable::clone(table),
        other => panic!("{lines}: {other:?}"),
    }
}

const IDENTITIES: &str = "[\"profile\", \"email\", \"roles\", \"identities\", \"custom_data\", \
                          \"urn:logto:scope:organizations\", \"urn:logto:scope:organization_roles\"]";

pub(super) fn with_identities(lines: &str) -> Result<Config, ConfigErrors> {
    let text = SMALLEST.replace("[logto]", &format!("[logto]\nscopes = {IDENTITIES}"));
    let text = format!("{text}\n[[route]]\npath = \"/a/*\"\n{lines}");
    parse_str("proxy.toml", &text, Environment::default())
}

#[test]
fn every_condition_is_read() {
    let config = with_identities(
        r#"
        [route.access]
        any_role = "admin"
        all_roles = ["a", "b", "a"]
        organization = "org_123"
        any_organization_role = ["owner"]
        scope = ["read:x"]
        sub = ["user00000001"]
        email = ["Admin@Example.com"]
        email_domain = ["example.com"]
        hf_user = ["65a000000000000000000001"]
        hf_org = ["65b000000000000000000001", "some-lab"]
        ip = ["10.0.0.0/8", "::1"]
        claim = { path = "custom_data.level", any_of = ["x", 7, true] }
        "#,
    );
    let config = config.unwrap();
    let Access::Table(table) = &config.routes[0].access else {
        panic!("no table");
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let expected = AccessTable {
        any_role: texts(&["admin"]),
        all_roles: texts(&["a", "b"]),
        organization: Some("org_123".to_owned()),
        any_organization_role: texts(&["owner"]),
        scope: texts(&["read:x"]),
        sub: texts(&["user00000001"]),
        email: texts(&["Admin@Example.com"]),
        email_domain: texts(&["example.com"]),
        hf_user: texts(&["65a000000000000000000001"]),
        hf_org: texts(&["65b000000000000000000001", "some-lab"]),
        ip: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        claim: Some(ClaimCondition {
            path: "custom_data.level".to_owned(),
            any_of: vec![
                ClaimValue::Text("x".to_owned()),
                ClaimValue::Integer(7),
                ClaimValue::Boolean(true),
            ],
        }),
    };
    assert_eq!(**table, expected);
    let shown = format!("{expected:?}");
    for (key, _) in ACCESS_KEYS {
        assert!(shown.contains(&format!("{key}: ")), "{key}");
    }
}

#[test]
fn a_table_may_be_written_in_any_way_of_toml() {
    for lines in [
        "access = { any_role = [\"x\"] }",
        "access.any_role = \"x\"",
        "[route.access]\nany_role = [\"x\"]",
    ] {
        assert_eq!(table(lines).any_role, ["x"], "{lines}");
    }
}

#[test]
fn wrong_tables_are_refused_at_their_key() {
    for (lines, key, said) in [
        ("access = {}", "route.access", "without a condition"),
        ("access = 1", "route.access", "found an integer"),
        ("access = \"admin\"", "route.access", "or a table"),
        ("access = \"Public\"", "route.access", "did you mean `public`"),
        (
            "access = { any_roles = [\"x\"] }",
            "route.access.any_roles",
            "did you mean `any_role`",
        ),
        (
            "access = { group = [\"x\"] }",
            "route.access.group",
            "`all_roles`",
        ),
        (
            "access = { public = true }",
            "route.access.public",
            "unknown condition",
        ),
        (
            "access = { any_role = [] }",
            "route.access.any_role",
            "lets nobody pass",
        ),
        (
            "access = { any_role = [\"\"] }",
            "route.access.any_role",
            "role's name",
        ),
        (
            "access = { any_role = [\" admin\"] }",
            "route.access.any_role",
            "blanks",
        ),
        (
            "access = { any_role = [1] }",
            "route.access.any_role",
            "expected a string",
        ),
        (
            "access = { any_role = true }",
            "route.access.any_role",
            "a list of strings",
        ),
        (
            "access = { organization = [\"a\"] }",
            "route.access.organization",
            "expected a string",
        ),
        (
            "access = { organization = \"a b\" }",
            "route.access.organization",
            "an ID of Logto's",
        ),
        (
            "access = { organization = \"\" }",
            "route.access.organization",
            "an ID of Logto's",
        ),
        (
            "access = { sub = [\"a:b\"] }",
            "route.access.sub",
            "an ID of Logto's",
        ),
        (
            "access = { scope = [\"a b\"] }",
            "route.access.scope",
            "one scope",
        ),
        (
            "access = { email = [\"admin\"] }",
            "route.access.email",
            "e-mail address",
        ),
        (
            "access = { email = [\"@example.com\"] }",
            "route.access.email",
            "e-mail address",
        ),
        (
            "access = { email = [\"*@example.com\"] }",
            "route.access.email",
            "e-mail address",
        ),
        (
            "access = { email = [\"a@b c\"] }",
            "route.access.email",
            "e-mail address",
        ),
        (
            "access = { email_domain = [\"@example.com\"] }",
            "route.access.email_domain",
            "leave out the `@`",
        ),
        (
            "access = { email_domain = [\"*.example.com\"] }",
            "route.access.email_domain",
            "one by one",
        ),
        (
            "access = { email_domain = [\"example..com\"] }",
            "route.access.email_domain",
            "a domain",
        ),
        (
            "access = { ip = [\"10.0.0.0/33\"] }",
            "route.access.ip",
            "a network",
        ),
        (
            "access = { ip = [\"10.0.0.1/8\"] }",
            "route.access.ip",
            "10.0.0.0/8 for the network",
        ),
        ("access = { ip = [\"unix\"] }", "route.access.ip", "a network"),
        ("access = { ip = [] }", "route.access.ip", "lets nobody pass"),
        (
            "access = { claim = \"roles\" }",
            "route.access.claim",
            "expected a table",
        ),
        (
            "access = { claim = { path = \"roles\" } }",
            "route.access.claim",
            "`any_of` is required",
        ),
        (
            "access = { claim = { any_of = [1] } }",
            "route.access.claim",
            "`path` is required",
        ),
        (
            "access = { claim = { path = \"role\", any_of = [1] } }",
            "route.access.claim.path",
            "did you mean `roles`",
        ),
        (
            "access = { claim = { path = \"groups\", any_of = [1] } }",
            "route.access.claim.path",
            "no such claim",
        ),
        (
            "access = { claim = { path = \"roles.\", any_of = [1] } }",
            "route.access.claim.path",
            "a claim's path",
        ),
        (
            "access = { claim = { path = \"roles\", any_of = [] } }",
            "route.access.claim.any_of",
            "lets nobody pass",
        ),
        (
            "access = { claim = { path = \"roles\", any_of = [1.5] } }",
            "route.access.claim.any_of",
            "a decimal number",
        ),
        (
            "access = { claim = { path = \"roles\", anyof = [1], any_of = [1] } }",
            "route.access.claim.anyof",
            "did you mean `any_of`",
        ),
        (
            "access = \"public\"\nany_role = [\"x\"]",
            "route.any_role",
            "lets everyone pass",
        ),
        (
            "access = \"optional\"\nsub = [\"x\"]",
            "route.sub",
            "lets everyone pass",
        ),
        ("any_role = [\"x\"]", "route.any_role", "inside `access`"),
        ("methods = [\"get\"]", "route.methods", "in capitals"),
        ("methods = []", "route.methods", "covers no request"),
        ("methods = [\"TRACE\"]", "route.methods", "no such request"),
        ("methods = 1", "route.methods", "a list of strings"),
        ("host = \"app.example.com:443\"", "route.host", "without a port"),
        ("host = \"app.*.com\"", "route.host", "without a port"),
        ("host = \"münchen.example\"", "route.host", "xn--"),
        ("hots = \"app.example.com\"", "route.hots", "did you mean `host`"),
    ] {
        let errors = route(lines).expect_err(lines);
        assert_eq!(errors.errors().len(), 1, "{lines}: {errors}");
        assert_eq!(errors.errors()[0].key(), key, "{lines}");
        assert!(errors.to_string().contains(said), "{lines}: {errors}");
        assert!(
            matches!(errors.errors()[0].origin(), Origin::File { .. }),
            "{lines}"
        );
    }
    let user_name = with_identities("access = { hf_user = [\"some-user\"] }").unwrap_err();
    assert!(
        user_name.to_string().contains("24 hexadecimal digits"),
        "{user_name}"
    );
}

#[test]
fn a_scope_that_a_condition_needs_is_named() {
    let reduced = |scopes: &str, lines: &str| {
        let text = SMALLEST.replace("[logto]", &format!("[logto]\nscopes = {scopes}"));
        let text = format!("{text}\n[[route]]\npath = \"/a\"\naccess = {lines}");
        parse_str("proxy.toml", &text, Environment::default())
    };
    for (lines, scope) in [
        ("{ any_role = [\"x\"] }", "roles"),
        ("{ all_roles = [\"x\"] }", "roles"),
        ("{ organization = \"x\" }", "urn:logto:scope:organizations"),
        (
            "{ any_organization_role = [\"x\"] }",
            "urn:logto:scope:organization_roles",
        ),
        ("{ email = [\"a@example.com\"] }", "email"),
        ("{ email_domain = [\"example.com\"] }", "email"),
        ("{ hf_user = [\"65a000000000000000000001\"] }", "identities"),
        ("{ hf_org = [\"x\"] }", "identities"),
        (
            "{ claim = { path = \"custom_data.x\", any_of = [1] } }",
            "custom_data",
        ),
        (
            "{ claim = { path = \"organization_data\", any_of = [1] } }",
            "urn:logto:scope:organizations",
        ),
        ("{ claim = { path = \"name\", any_of = [\"x\"] } }", "profile"),
    ] {
        let errors = reduced("[]", lines).expect_err(lines).to_string();
        assert!(
            errors.contains(&format!("add \"{scope}\" to logto.scopes")),
            "{lines}: {errors}"
        );
        let asked = reduced(&format!("[\"{scope}\"]"), lines);
        assert!(asked.is_ok(), "{lines}: {asked:?}");
    }
    for lines in [
        "{ sub = [\"x\"] }",
        "{ ip = [\"::1\"] }",
        "{ claim = { path = \"sub\", any_of = [\"x\"] } }",
    ] {
        assert!(reduced("[]", lines).is_ok(), "{lines}");
    }
}
