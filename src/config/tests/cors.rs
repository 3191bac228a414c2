//! `route.cors`: what is read, what is refused, what is warned of.

use super::super::keys::CORS_KEYS;
use super::access::route;
use super::*;
use std::time::Duration;

fn cors(lines: &str) -> Cors {
    let config = route(lines).unwrap_or_else(|errors| panic!("{lines}\n{errors}"));
    config.routes[0].cors.clone()
}

fn table(lines: &str) -> CorsTable {
    match cors(lines) {
        Cors::Answer(table) => CorsTable::clone(&table),
        other => panic!("{lines}: {other:?}"),
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn words_and_tables_are_read() {
    assert_eq!(cors(""), Cors::Off);
    assert_eq!(cors("cors = \"off\""), Cors::Off);
    assert_eq!(cors("cors = \"pass\""), Cors::Pass);
    let presets = table("cors = { origins = \"https://www.example.com\" }");
    let expected = CorsTable {
        origins: texts(&["https://www.example.com"]),
        methods: texts(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]),
        headers: Some(texts(&["Content-Type"])),
        expose: Vec::new(),
        credentials: false,
        max_age: Duration::from_secs(600),
    };
    assert_eq!(presets, expected);
    let whole = table(
        r#"
        methods = ["GET", "POST"]
        [route.cors]
        origins = ["https://www.example.com", "https://*.example.org", "http://localhost:5173", "http://localhost:5173"]
        methods = "DELETE"
        headers = ["Authorization", "X-Trace"]
        expose = ["X-Total"]
        credentials = true
        max_age = "1h"
        "#,
    );
    let expected = CorsTable {
        origins: texts(&[
            "https://www.example.com",
            "https://*.example.org",
            "http://localhost:5173",
        ]),
        methods: texts(&["DELETE"]),
        headers: Some(texts(&["Authorization", "X-Trace"])),
        expose: texts(&["X-Total"]),
        credentials: true,
        max_age: Duration::from_secs(3_600),
    };
    assert_eq!(whole, expected);
    let open = table(
        "methods = [\"PUT\"]\ncors = { origins = \"*\", headers = \"*\", expose = \"*\", max_age = \"0s\" }",
    );
    assert_eq!((open.origins, open.headers), (Vec::new(), None));
    assert_eq!((open.methods, open.max_age), (texts(&["PUT"]), Duration::ZERO));
    assert_eq!(
        table("cors = { origins = \"null\", headers = [] }").headers,
        Some(Vec::new())
    );
}

#[test]
fn what_is_wrong_is_said_at_its_key() {
    for (lines, key, said) in [
        ("cors = \"on\"", "route.cors", "`off`"),
        ("cors = true", "route.cors", "`off` or `pass`"),
        ("cors = {}", "route.cors", "`origins` is required"),
        (
            "cors = { credentials = true }",
            "route.cors",
            "`origins` is required",
        ),
        ("cors = { origins = [] }", "route.cors.origins", "no script"),
        ("cors = { origins = 7 }", "route.cors.origins", "list of strings"),
        (
            "cors = { origins = \"www.example.com\" }",
            "route.cors.origins",
            "did you mean `https://www.example.com`?",
        ),
        (
            "cors = { origins = \"https://www.example.com/\" }",
            "route.cors.origins",
            "`https://www.example.com`",
        ),
        (
            "cors = { origins = \"https://*\" }",
            "route.cors.origins",
            "two labels",
        ),
        (
            "cors = { origins = [\"*\", \"https://www.example.com\"] }",
            "route.cors",
            "the others say nothing",
        ),
        (
            "cors = { origins = \"*\", credentials = true }",
            "route.cors",
            "every page in the world",
        ),
        (
            "cors = { origins = [\"https://a.example.com\", \"null\"], credentials = true }",
            "route.cors",
            "every page in the world",
        ),
        (
            "cors = { origins = \"https://a.example.com\", credentials = true, expose = \"*\" }",
            "route.cors",
            "name them",
        ),
        (
            "cors = { origins = \"*\", methods = \"get\" }",
            "route.cors.methods",
            "capitals",
        ),
        (
            "cors = { origins = \"*\", methods = \"TRACE\" }",
            "route.cors.methods",
            "no such request",
        ),
        (
            "cors = { origins = \"*\", headers = \"a b\" }",
            "route.cors.headers",
            "the name of a header",
        ),
        (
            "cors = { origins = \"*\", credentials = \"yes\" }",
            "route.cors.credentials",
            "true or false",
        ),
        (
            "cors = { origins = \"*\", max_age = \"25h\" }",
            "route.cors.max_age",
            "24h",
        ),
        (
            "cors = { origins = \"*\", max_age = \"1500ms\" }",
            "route.cors.max_age",
            "whole seconds",
        ),
        (
            "cors = { orgins = \"*\" }",
            "route.cors.orgins",
            "did you mean `origins`?",
        ),
    ] {
        let errors = route(lines).expect_err(lines).to_string();
        assert!(
            errors.contains(&format!("{key}: ")) && errors.contains(said),
            "{lines}\n{errors}"
        );
    }
}

#[test]
fn every_key_of_the_table_is_known() {
    for (key, _) in CORS_KEYS {
        let value = match *key {
            "credentials" => "false",
            "max_age" => "\"1m\"",
            "methods" => "\"GET\"",
            _ => "\"*\"",
        };
        let origins = if *key == "origins" {
            ""
        } else {
            "origins = \"*\", "
        };
        table(&format!("cors = {{ {origins}{key} = {value} }}"));
    }
}

#[test]
fn what_may_not_be_meant_is_warned_of() {
    let warnings = |lines: &str| route(lines).unwrap().warnings;
    for (lines, said) in [
        (
            "cors = { origins = \"http://www.example.com\", credentials = true }",
            "http://www.example.com",
        ),
        ("access = \"public\"\ncors = \"pass\"", "no effect"),
    ] {
        let warnings = warnings(lines);
        assert_eq!(warnings.len(), 1, "{lines}: {warnings:?}");
        assert!(
            warnings[0].contains(said) && warnings[0].contains("/a/*"),
            "{warnings:?}"
        );
    }
    for lines in [
        "cors = { origins = \"http://www.example.com\" }",
        "cors = { origins = [\"http://localhost:3000\", \"https://www.example.com\"], credentials = true }",
        "cors = \"pass\"",
    ] {
        assert_eq!(warnings(lines), Vec::<String>::new(), "{lines}");
    }
}
