//! The table of keys, the code that reads them, the documentation and the example stay in step.

use super::super::keys::{self, ACCESS_KEYS, CORS_KEYS, KEYS, Key, Kind, ROUTE_KEYS, SECTIONS};
use super::super::node::Value;
use super::super::{file, read, resolve};
use super::*;
use crate::identity::AssertionKey;

const DOCUMENTATION: &str = include_str!("../../../docs/configuration.md");

fn all() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(ROUTE_KEYS)
}

#[test]
fn every_key_of_the_table_is_read_and_no_other() {
    let source = Source::new("proxy.toml", Environment::default());
    let text = format!("{SMALLEST}\n[[route]]\npath = \"/x\"");
    let mut reader = read(&text, &source);
    assert!(resolve::resolve(&mut reader).is_some(), "{:?}", reader.errors);
    let asked: Vec<&str> = reader.asked.iter().copied().collect();
    let mut table: Vec<&str> = all().map(|key| key.path).collect();
    table.sort_unstable();
    assert_eq!(asked, table);
}

#[test]
fn every_preset_has_the_shape_of_its_key() {
    for key in all() {
        let keys::Preset::Value(text) = key.preset else {
            continue;
        };
        let node = file::read_value(text, &Origin::Nowhere).unwrap_or_else(|| panic!("{}", key.path));
        let fits = match key.kind {
            Kind::Text | Kind::Duration | Kind::Secret => matches!(node.value, Value::Text(_)),
            Kind::TextList | Kind::Secrets => matches!(node.value, Value::Text(_) | Value::List(_)),
            Kind::Integer => matches!(node.value, Value::Integer(_)),
            Kind::Boolean => matches!(node.value, Value::Boolean(_)),
            Kind::Map => matches!(node.value, Value::Table(_)),
            Kind::Tables => matches!(node.value, Value::List(_)),
            Kind::TextOrTable => matches!(node.value, Value::Text(_) | Value::Table(_)),
        };
        assert!(fits, "{}", key.path);
    }
}

#[test]
fn every_key_belongs_to_a_documented_section() {
    for key in all() {
        assert!(
            SECTIONS.iter().any(|(section, _)| *section == key.section()),
            "{}",
            key.path
        );
    }
}

/// The rows that the documentation must hold for one section.
fn rows(section: &str) -> Vec<String> {
    let preset = |key: &Key| match key.preset {
        keys::Preset::Required => "required".to_owned(),
        keys::Preset::Value(text) => format!("`{text}`"),
        keys::Preset::Computed(words) => words.to_owned(),
    };
    let belongs = |key: &&Key| key.section() == section && !(section == "route" && key.path == "route");
    // The keys of tables in a route stand in tables of their own, below the keys of a route.
    let inner = CORS_KEYS.iter().chain(ACCESS_KEYS).filter(|_| section == "route");
    let inner = inner.map(|(key, meaning)| format!("| `{key}` | {meaning} |"));
    all()
        .filter(belongs)
        .map(|key| {
            format!(
                "| `{}` | {} | {} | {} |",
                key.name(),
                key.kind.describe(),
                preset(key),
                key.meaning
            )
        })
        .chain(inner)
        .collect()
}

#[test]
fn the_documentation_lists_every_key_with_its_default_and_no_other() {
    let mut wrong = String::new();
    for (index, (section, heading)) in SECTIONS.iter().enumerate() {
        let expected = rows(section);
        let place = format!("\n## {heading}\n");
        let body = DOCUMENTATION
            .split_once(place.as_str())
            .map_or("", |(_, after)| after);
        let body = body.split("\n## ").next().unwrap_or_default();
        let found: Vec<&str> = body.lines().filter(|line| line.starts_with("| `")).collect();
        if found != expected {
            wrong.push_str(&format!(
                "{index}. section {heading} should hold:\n{}\n\n",
                expected.join("\n")
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/configuration.md is out of step with src/config/keys/table.rs\n{wrong}"
    );
    let rows = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| `"))
        .count();
    assert_eq!(
        rows,
        all().count() - 1 + ACCESS_KEYS.len() + CORS_KEYS.len(),
        "a row outside the known sections"
    );
}

/// The example with what it lacks of the smallest configuration.
fn completed(example: &str) -> String {
    let mut text = String::new();
    if !example.contains("public_url") {
        text.push_str("public_url = \"https://app.example.com\"\nupstream = \"http://127.0.0.1:8080\"\n");
    }
    text.push_str(example);
    for section in ["[logto]", "[session]"] {
        if !example.contains(section) {
            let body = SMALLEST.split_once(section).unwrap().1.split('[').next().unwrap();
            text.push_str(&format!("{section}{body}"));
        }
    }
    text
}

#[test]
fn every_example_in_the_documentation_loads() {
    let assertion_key = AssertionKey::generate().unwrap();
    let mut examples = 0;
    for block in DOCUMENTATION.split("```toml\n").skip(1) {
        let example = block.split("```").next().unwrap();
        let text = completed(example);
        let files = [
            ("/etc/proxy.toml", text.as_str()),
            ("/run/secrets/logto_app_secret", "the-app-secret"),
            ("/run/secrets/session_key", KEY),
            ("/run/secrets/session_key_old", OTHER_KEY),
            (
                "/run/secrets/redis_url",
                "rediss://user:password@redis.example.com:6380/0",
            ),
            ("/run/secrets/logto_webhook_key", "the-signing-key-of-the-webhook"),
            ("/run/secrets/assertion_key", assertion_key.expose()),
        ];
        let mut source = source(&files);
        source.environment = [("UPSTREAM_CREDENTIAL", "Basic dTpw")].into_iter().collect();
        if let Err(errors) = load(&source) {
            panic!("{example}\n{errors}");
        }
        examples += 1;
    }
    assert!(examples >= 3, "{examples}");
}

#[test]
fn the_example_at_the_root_loads_once_its_secrets_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let text = include_str!("../../../proxy.toml");
    let secrets = directory.path().to_str().unwrap();
    std::fs::write(
        directory.path().join("proxy.toml"),
        text.replace("/run/secrets", secrets),
    )
    .unwrap();
    let source = Source::new(directory.path().join("proxy.toml"), Environment::default());
    let errors = load(&source).unwrap_err();
    assert_eq!(
        errors.errors().iter().map(ConfigError::key).collect::<Vec<_>>(),
        ["logto.app_secret", "session.keys"]
    );
    std::fs::write(directory.path().join("logto_app_secret"), "s3cret\n").unwrap();
    std::fs::write(directory.path().join("session_key"), format!("{KEY}\n")).unwrap();
    let config = load(&source).unwrap();
    assert_eq!(config.public_url.origin(), "https://app.example.com");
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!(config.files.len(), 3);
}

#[test]
fn the_commented_out_part_of_the_example_loads_too() {
    let text = include_str!("../../../proxy.toml");
    let shown: String = text
        .lines()
        .map(|line| {
            let bare = line.trim_start_matches("# ");
            let is_setting = bare.starts_with('[') || bare.contains(" = \"");
            format!("{}\n", if is_setting { bare } else { line })
        })
        .collect();
    let files = [
        ("/etc/proxy.toml", shown.as_str()),
        ("/run/secrets/logto_app_secret", "x"),
        ("/run/secrets/session_key", KEY),
    ];
    let config = load(&source(&files)).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!((config.routes.len(), config.headers.len()), (1, 1));
}
