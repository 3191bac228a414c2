//! What API callers may pass with.

use super::*;

const ROUTE: &str = "[[route]]\npath = \"/api/*\"\nbearer = true";

/// The smallest configuration with lines more in `[logto]`, and sections after it.
fn logto(lines: &str, sections: &str) -> Result<Config, ConfigErrors> {
    let text = SMALLEST.replace("[logto]\n", &format!("[logto]\n{lines}\n"));
    parse_str("proxy.toml", &format!("{text}{sections}"), Environment::default())
}

#[test]
fn nobody_calls_unless_a_route_says_so() {
    let config = with("", "[[route]]\npath = \"/x\"").unwrap();
    assert!(!config.routes[0].bearer);
    assert!(config.logto.resources.is_empty() && config.logto.trusted_clients.is_empty());
    assert!(with("", ROUTE).unwrap().routes[0].bearer);
    for wrong in ["\"true\"", "1", "\"\"", "[]"] {
        let text = format!("[[route]]\npath = \"/x\"\nbearer = {wrong}");
        let errors = with("", &text).unwrap_err();
        assert_eq!(errors.errors()[0].key(), "route.bearer", "{wrong}");
    }
}

#[test]
fn resources_are_taken_to_the_letter() {
    let lines = r#"
        resources = ["https://api.example.com/", "https://api.example.com", "urn:example:api", "urn:logto:organization:org_1",
            "urn:logto:organization:*", "https://api.example.com/"]
        trusted_clients = "cli-app""#;
    let config = logto(lines, ROUTE).unwrap();
    assert_eq!(
        config.logto.resources,
        [
            "https://api.example.com/",
            "https://api.example.com",
            "urn:example:api",
            "urn:logto:organization:org_1",
            "urn:logto:organization:*"
        ]
    );
    assert_eq!(config.logto.trusted_clients, ["cli-app"]);
    assert_eq!(config.warnings, Vec::<String>::new());
    for wrong in [
        "",
        "api",
        "/api",
        "https://api.example.com/#x",
        "https://api.example.com/ x",
        "https://*.example.com/",
        "*",
        "urn:logto:organization:",
        "urn:logto:organization:a b",
        "urn:logto:organization:a*",
        "urn:logto:resource:organizations",
    ] {
        let errors = logto(&format!("resources = {wrong:?}"), ROUTE).unwrap_err();
        assert_eq!(errors.errors()[0].key(), "logto.resources", "{wrong}");
    }
    for wrong in ["", "a b", "ä", "a/b"] {
        let errors = logto(&format!("trusted_clients = {wrong:?}"), ROUTE).unwrap_err();
        assert_eq!(errors.errors()[0].key(), "logto.trusted_clients", "{wrong}");
    }
}

#[test]
fn what_lets_nobody_in_is_warned_of() {
    let config = logto("resources = \"urn:x:y\"\ntrusted_clients = \"a\"", "").unwrap();
    assert_eq!(
        config.warnings,
        [
            "logto.resources has no effect: no route has bearer = true",
            "logto.trusted_clients has no effect: no route has bearer = true"
        ]
    );
    let config = with("", &format!("{ROUTE}\naccess = \"public\"")).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(
        config.warnings[0].contains("bearer has no effect"),
        "{:?}",
        config.warnings
    );
    let config = with("", &format!("{ROUTE}\naccess = \"optional\"")).unwrap();
    assert_eq!(config.warnings, Vec::<String>::new());
}
