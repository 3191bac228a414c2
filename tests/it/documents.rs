//! What the documents say about headers, configuration, files and tests is what the code does.

mod markdown;
mod operations;
mod presets;

use logto_proxy::config::{self, Environment, Files, Source};
use logto_proxy::identity::headers::Source as HeaderSource;
use logto_proxy::identity::{Claims, HeaderRules};
use logto_proxy::telemetry::Metrics;
use markdown::{headings, quoted, split, table};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A strong key, and a secret, for configurations that name files.
const KEY: &str = "V1d2k9JYc0pX5w3Qe7t8uR6bN4mL1aS+zXoPgH/fIqE=";

/// What a configuration must have; examples that leave it out show a part of one.
const REQUIRED: &[(&str, &str)] = &[
    ("public_url", "https://app.example.com"),
    ("upstream", "http://127.0.0.1:8080"),
    ("logto.endpoint", "https://your-tenant.logto.app"),
    ("logto.app_id", "your-app-id"),
    ("logto.app_secret", "the app secret"),
    ("session.keys", KEY),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every document: those at the root, and those below `docs` and `examples`.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![
        (String::new(), false),
        ("docs/".to_owned(), true),
        ("examples/".to_owned(), true),
    ];
    while let Some((folder, descend)) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}{}", entry.file_name().to_str().unwrap());
            // What an app needs is installed into its own folder.
            let is_installed = path.ends_with("/node_modules") || path.contains("/.");
            if entry.path().is_dir() && descend && !is_installed {
                folders.push((format!("{path}/"), true));
            } else if path.ends_with(".md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() >= 8, "{found:?}");
    found
}

/// Default headers and their claims, as the code has them.
fn default_headers() -> BTreeMap<String, String> {
    let claim = |source: HeaderSource| match source {
        HeaderSource::Claim { path, .. } => path.to_string(),
        other => panic!("a default header of {other:?} needs a row of another kind"),
    };
    HeaderRules::defaults()
        .into_iter()
        .map(|rule| (rule.name.as_str().to_owned(), claim(rule.source)))
        .collect()
}

#[test]
fn the_header_tables_are_the_default_headers() {
    for path in ["README.md", "docs/headers.md"] {
        let rows = table(&read(path), "| Header | Claim | Example |");
        let documented: BTreeMap<String, String> = rows
            .iter()
            .map(|row| {
                let cell = |index: usize| row[index].trim_matches('`').to_owned();
                (cell(0).to_ascii_lowercase(), cell(1))
            })
            .collect();
        assert_eq!(documented.len(), rows.len(), "{path}: a header has two rows");
        assert_eq!(documented, default_headers(), "{path}");
    }
}

#[test]
fn no_document_speaks_of_another_header() {
    let known = default_headers();
    for path in ["README.md", "docs/headers.md", "docs/logto-setup.md"] {
        // Examples of configuration may add headers.
        let document = read(path);
        let (examples, _) = split(&document, "toml");
        let text = examples.iter().fold(document.clone(), |text, example| {
            example.lines().fold(text, |text, line| text.replace(line, ""))
        });
        for (at, _) in text.match_indices("X-User-") {
            let name: String = text[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                .collect();
            let is_family = name == "X-User-";
            assert!(
                is_family || known.contains_key(&name.to_ascii_lowercase()),
                "{path}: {name}"
            );
        }
    }
}

#[test]
fn the_examples_of_the_header_tables_are_what_is_sent() {
    let (claims, _) = split(&read("docs/headers.md"), "json");
    let claims = Claims::from_json(claims[0].as_bytes()).expect("claims");
    let rules = HeaderRules::new(HeaderRules::defaults()).unwrap();
    let mut headers = http::HeaderMap::new();
    rules.project(&claims).apply(&rules, &mut headers);
    for path in ["README.md", "docs/headers.md"] {
        for row in table(&read(path), "| Header | Claim | Example |") {
            let cell = |index: usize| row[index].trim_matches('`').to_owned();
            let sent = headers
                .get(cell(0))
                .map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(sent, Some(cell(2)), "{path}: {}", cell(0));
        }
    }
}

#[test]
fn the_examples_of_the_encodings_are_what_is_sent() {
    let claims = Claims::from_json("{\"name\":\"Café 100%\"}".as_bytes()).unwrap();
    let rows = table(
        &read("docs/headers.md"),
        "| `encoding` | The claim `Café 100%` | Read it by |",
    );
    assert_eq!(rows.len(), 4);
    for row in rows {
        let encoding = quoted(&row[0]).next().unwrap();
        let text = format!("[headers]\n'X-User-Name' = {{ claim = 'name', encoding = '{encoding}' }}");
        let config = load("examples", &text);
        let tasks = logto_proxy::tasks::Tasks::new();
        let compiled = logto_proxy::live::compile(
            &config,
            logto_proxy::clock::Clock::system(),
            &tasks,
            &Metrics::new(),
        )
        .unwrap();
        let rules = compiled.gate.header_rules;
        let mut headers = http::HeaderMap::new();
        rules.project(&claims).apply(&rules, &mut headers);
        let sent = String::from_utf8(headers["x-user-name"].as_bytes().to_vec()).unwrap();
        assert_eq!(row[1].trim_matches('`'), sent, "{encoding}");
    }
}

#[test]
fn every_name_that_is_said_to_be_removed_is() {
    let rules = HeaderRules::new(HeaderRules::defaults()).unwrap();
    let rows = table(&read("docs/headers.md"), "| Removed | Why |");
    let owned_rows = rows.iter().take(3);
    let mut seen = 0;
    for name in owned_rows
        .flat_map(|row| quoted(&row[0]))
        .filter(|name| *name != "[headers]")
    {
        let name = name.replace('*', "Anything");
        assert!(rules.is_owned(name.as_bytes()), "{name}");
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

/// Loads a configuration, or a part of one with what it lacks put in, and panics with all that is wrong with it.
fn load(place: &str, text: &str) -> config::Config {
    let given: toml::Table = text
        .parse()
        .unwrap_or_else(|error| panic!("{place}: {error}\n{text}"));
    let overrides = REQUIRED.iter().filter(|(key, _)| {
        let mut parts = key.split('.');
        let first = given.get(parts.next().unwrap());
        parts.next().map_or(first, |second| first?.get(second)).is_none()
    });
    let mut files = BTreeMap::from([(
        PathBuf::from("/etc/logto-proxy/proxy.toml"),
        text.as_bytes().to_vec(),
    )]);
    for name in ["logto_app_secret", "session_key"] {
        for folder in ["/run/secrets", "/etc/logto-proxy/secrets"] {
            files.insert(Path::new(folder).join(name), KEY.as_bytes().to_vec());
        }
    }
    for (name, secret) in [
        (
            "session_key_old",
            "correct horse battery staple, and a few words more",
        ),
        ("redis_url", "rediss://user:password@redis.example.com:6380/0"),
        ("logto_webhook_key", "the-signing-key-of-the-webhook"),
    ] {
        files.insert(Path::new("/run/secrets").join(name), secret.as_bytes().to_vec());
    }
    for name in ["app_secret", "session_key"] {
        files.insert(
            Path::new("/run/secrets/logto").join(name),
            KEY.as_bytes().to_vec(),
        );
    }
    let source = Source {
        overrides: overrides
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        files: Files::Fixed(files),
        ..Source::new("/etc/logto-proxy/proxy.toml", Environment::default())
    };
    config::load(&source).unwrap_or_else(|errors| panic!("{place}: {errors}\n{text}"))
}

#[test]
fn every_configuration_in_the_documents_loads() {
    let mut seen = 0;
    for path in documents() {
        // The tests of `config` load the examples of that one.
        if path == "docs/configuration.md" {
            continue;
        }
        for block in split(&read(&path), "toml").0 {
            load(&path, &block);
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn the_readmes_configuration_is_whole_and_takes_twelve_lines() {
    let (blocks, _) = split(&read("README.md"), "toml");
    let whole = &blocks[0];
    assert!(whole.lines().count() <= 12, "{whole}");
    for (key, _) in REQUIRED {
        let name = key.rsplit('.').next().unwrap();
        assert!(
            whole.lines().any(|line| line.starts_with(&format!("{name} = "))),
            "{key}"
        );
    }
    load("README.md", whole);
}

#[test]
fn every_example_loads_without_a_warning() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let text =
            fs::read_to_string(folder.join("proxy.toml")).unwrap_or_else(|error| panic!("{name}: {error}"));
        let config = load(&name, &text);
        assert_eq!(config.warnings, Vec::<String>::new(), "{name}");
        assert!(folder.join("README.md").is_file(), "{name}");
        assert!(
            read("examples/README.md").contains(&format!("({name}/README.md)")),
            "{name}"
        );
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn the_configurations_for_containers_load() {
    load("docker/proxy.toml", &read("docker/proxy.toml"));
    let manifest = read("docker/kubernetes-sidecar.yaml");
    let (_, block) = manifest.split_once("proxy.toml: |\n").unwrap();
    let indented = block
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "));
    let text: Vec<&str> = indented.map(str::trim_start).collect();
    load("docker/kubernetes-sidecar.yaml", &text.join("\n"));
}

#[test]
fn every_path_in_the_documents_exists() {
    let folders = ["src/", "tests/", "docs/", "examples/", "docker/", "benches/"];
    let mut missing = BTreeSet::new();
    for path in documents() {
        let (_, prose) = split(&read(&path), "");
        for name in quoted(&prose) {
            if folders.iter().any(|folder| name.starts_with(folder)) && !root().join(name).exists() {
                missing.insert(format!("{path}: {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = BTreeSet::new();
    for path in documents() {
        let (_, prose) = split(&read(&path), "");
        for target in prose
            .split("](")
            .skip(1)
            .map(|rest| rest.split(')').next().unwrap())
        {
            if target.starts_with("https://") || target.starts_with("http://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&path).parent().unwrap().to_path_buf();
            let file = if file.is_empty() {
                PathBuf::from(&path)
            } else {
                folder.join(file)
            };
            let there = root().join(&file);
            let has_heading = heading.is_empty()
                || (there.is_file() && headings(&fs::read_to_string(&there).unwrap()).contains(heading));
            if !there.exists() || !has_heading {
                broken.insert(format!("{path}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_known_attack_has_tests_that_exist() {
    let document = read("docs/known-attacks.md");
    let mut rows = 0;
    let mut wrong = Vec::new();
    for section in document.split("| Attack | Why not here | Test |").skip(1) {
        for line in section.lines().skip(2).take_while(|line| line.starts_with('|')) {
            rows += 1;
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
            assert_eq!(cells.len(), 3, "{line}");
            let tests: Vec<&str> = quoted(cells[2]).collect();
            if tests.is_empty() {
                wrong.push(format!("no test: {}", cells[0]));
            }
            wrong.extend(
                tests
                    .into_iter()
                    .filter(|test| !test_exists(test))
                    .map(str::to_owned),
            );
        }
    }
    assert!(rows >= 30, "{rows}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether there is such a test: `http::target::tests::name` in `src`, `it::module::name` in `tests/it`, and
/// the same for `interop`.
fn test_exists(path: &str) -> bool {
    let parts: Vec<&str> = path.split("::").collect();
    if let ["it" | "interop", modules @ .., name] = parts.as_slice() {
        let suite = root().join("tests").join(parts[0]);
        let declared = fs::read_to_string(suite.join("main.rs"))
            .is_ok_and(|main| main.contains(&format!("mod {};", modules[0])));
        let file = modules.join("/");
        let text = [format!("{file}.rs"), format!("{file}/mod.rs")]
            .iter()
            .find_map(|file| fs::read_to_string(suite.join(file)).ok());
        return declared && text.is_some_and(|text| has_function(&text, name));
    }
    let Some((name, modules)) = parts.split_last() else {
        return false;
    };
    let folder = root().join("src").join(modules.join("/"));
    let parent = folder.parent().unwrap().to_path_buf();
    let inline = modules.last() == Some(&"tests");
    let mut files = vec![folder.with_extension("rs"), folder.join("mod.rs")];
    if inline {
        files.extend([parent.with_extension("rs"), parent.join("mod.rs")]);
    }
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .any(|text| (text.contains("#[test]") || text.contains("#[tokio::test")) && has_function(&text, name))
}

fn has_function(text: &str, name: &str) -> bool {
    text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"))
}

#[test]
fn the_finder_of_tests_finds() {
    assert!(!test_exists("policy::table::tests::no_such_test"));
    assert!(test_exists(
        "policy::table::tests::the_most_specific_wins_whatever_the_order"
    ));
}
