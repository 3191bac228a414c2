//! `[[route]]`: which ones are in each other's way, and what is said about those that may not be meant.

use super::access::{route, with_identities};
use super::*;

#[test]
fn what_a_rule_leans_on_is_said_when_it_is_weak() {
    for (config, said) in [
        (
            route("access = { email = [\"a@example.com\"] }"),
            "add \"identities\"",
        ),
        (
            route("access = { email_domain = [\"example.com\"] }"),
            "did not verify",
        ),
        (
            with_identities("access = { email = [\"a@example.com\"] }"),
            "other social connectors",
        ),
        (
            with_identities("access = { hf_org = [\"x\"] }"),
            "who has left the organization",
        ),
        (
            route("access = { scope = [\"x\"] }"),
            "nobody passes with a session",
        ),
        (route("access = { ip = [\"0.0.0.0/0\"] }"), "every address"),
        (
            route("host = \"app.example.com\"\naccess = \"public\""),
            "the client's choice",
        ),
        (
            route("host = \"app.example.com\"\naccess = \"optional\""),
            "the client's choice",
        ),
        (route("host = \"other.example.com\""), "no session there"),
        (route("host = \"*.app.example.org\""), "no session there"),
        (
            route("access = \"public\"\nunauthenticated = \"401\""),
            "no effect",
        ),
    ] {
        let warnings = config.unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{said}: {warnings:?}");
        assert!(
            warnings[0].contains(said) && warnings[0].contains("/a/*"),
            "{warnings:?}"
        );
    }
    for lines in [
        "access = { any_role = [\"x\"] }",
        "host = \"APP.example.com.\"",
        "host = \"*.example.com\"",
        "access = { sub = [\"x\"] }",
    ] {
        assert_eq!(route(lines).unwrap().warnings, Vec::<String>::new(), "{lines}");
    }
}

#[test]
fn routes_that_cover_the_same_are_named_with_their_lines() {
    let two = |first: &str, second: &str| with("", &format!("[[route]]\n{first}\n[[route]]\n{second}\n"));
    for (first, second, said) in [
        ("path = \"/a\"", "path = \"/a\"", "/a, as does the one of line 13"),
        ("path = \"/*/a/*\"", "path = \"/*/a/*\"", "/*/a/*, as does"),
        (
            "path = \"/a\"\nmethods = [\"GET\", \"PUT\"]",
            "path = \"/a\"\nmethods = [\"PUT\"]",
            "PUT /a, as does the one of line 13",
        ),
        (
            "path = \"/a\"\nmethods = [\"GET\"]",
            "path = \"/a\"\nmethods = [\"HEAD\"]",
            "HEAD /a, as does",
        ),
        (
            "path = \"/a\"\nhost = \"x.example.com\"\naccess = \"public\"",
            "path = \"/a\"\nhost = \"X.example.com.\"",
            "x.example.com/a, as does",
        ),
    ] {
        let errors = two(first, second).expect_err(second);
        assert_eq!(errors.errors().len(), 1, "{errors}");
        assert!(errors.to_string().contains(said), "{errors}");
    }
    for (first, second) in [
        ("path = \"/a\"", "path = \"/a\"\nmethods = \"GET\""),
        (
            "path = \"/a\"\nmethods = \"POST\"",
            "path = \"/a\"\nmethods = \"GET\"",
        ),
        ("path = \"/a\"", "path = \"/a/*\""),
        ("path = \"/a\"", "path = \"/a/\""),
        ("path = \"/a\"", "path = \"/a\"\nhost = \"app.example.com\""),
        ("path = \"/a/*\"", "path = \"/*/a\""),
    ] {
        assert!(two(first, second).is_ok(), "{first} and {second}");
    }
}
