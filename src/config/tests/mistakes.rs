//! What a tired operator writes, and what is said of it.

use super::*;

#[test]
fn a_mistake_is_answered_with_what_was_meant() {
    for (sections, said) in [
        (
            "[[routes]]\npath = \"/x\"\naccess = \"public\"",
            "[[route]] says who may pass where",
        ),
        ("[route]\npath = \"/x\"", "write [[route]] with two brackets"),
        (
            "[[route]]\npath = \"/x\"\naccess = true",
            "`public`, `optional` or `authenticated`, found true or false",
        ),
        (
            "[[route]]\npath = \"/x\"\ncors = true",
            "`off` or `pass`, found true or false",
        ),
        ("[[route]]\npath = \"/x\"\ncors = true", "or a table: cors = "),
        (
            "[hugging_face]\nlive_orgs = true",
            "`auto`, `required` or `off`, found true or false",
        ),
        (
            "[[route]]\npath = \"/x\"\ntimeout = \"8 hours\"",
            "integers, each with a unit (ms, s, m, h, d or w)",
        ),
        ("[[route]]\npath = \"/x\"\ntimeout = 30", "add a unit"),
        (
            "[webhook]\nsigning_key = \"${WEBHOOK_SIGNING_KEY}\"",
            "write { env = \"NAME\" }",
        ),
    ] {
        let errors = with("", sections).expect_err(sections);
        assert_eq!(errors.errors().len(), 1, "{sections}\n{errors}");
        assert!(errors.to_string().contains(said), "{sections}\n{errors}");
    }
    for placeholder in ["${LOGTO_APP_SECRET}", "${}"] {
        let line = format!("app_secret = \"{placeholder}\"");
        let errors = replacing("app_secret = \"the-app-secret\"", &line).expect_err(&line);
        let text = errors.to_string();
        assert!(
            text.contains("logto.app_secret") && text.contains("is not expanded"),
            "{text}"
        );
        assert!(!text.contains("LOGTO_APP_SECRET}"), "no value is shown: {text}");
    }
    assert!(replacing("app_secret = \"the-app-secret\"", "app_secret = \"$ecret{\"").is_ok());
}

#[test]
fn a_header_that_no_session_will_have_is_warned_of() {
    for (headers, said) in [
        ("\"X-Name\" = \"nmae\"", "did you mean `name`?"),
        (
            "\"X-Tenant\" = \"https://example\\\\.com/tenant.id\"",
            "users at Logto have no claim https://example\\.com/tenant,",
        ),
        ("\"X-Team\" = \"custom_data.team\"", "add \"custom_data\""),
        (
            "\"X-Acme\" = { claim = \"identities.acme.userId\" }",
            "add \"identities\"",
        ),
    ] {
        let warnings = with("", &format!("[headers]\n{headers}")).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(said), "{warnings:?}");
    }
    let fine = "[headers]\n\"X-Sub\" = \"sub\"\n\"X-Locale\" = \"locale\"\n\"X-Orgs\" = \"organization_data\"\n\"X-Fixed\" = { constant = \"a\" }";
    assert_eq!(with("", fine).unwrap().warnings, Vec::<String>::new());
}

#[test]
fn a_guard_that_ends_in_a_slash_is_warned_of() {
    for (access, warned) in [
        ("{ any_role = [\"admin\"] }", 1),
        ("\"authenticated\"", 1),
        ("\"public\"", 0),
    ] {
        let warnings = with("", &format!("[[route]]\npath = \"/admin/\"\naccess = {access}"))
            .unwrap()
            .warnings;
        assert_eq!(warnings.len(), warned, "{warnings:?}");
        assert!(
            warnings.iter().all(|warning| warning.contains("/admin/*")),
            "{warnings:?}"
        );
    }
    let warnings = with("", "[[route]]\npath = \"/\"\n[[route]]\npath = \"/admin\"")
        .unwrap()
        .warnings;
    assert_eq!(warnings, Vec::<String>::new());
}
