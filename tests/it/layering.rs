//! The direction of dependencies that `ARCHITECTURE.md` draws, read from the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules from the bottom up; one may use those of lower lines.
const LAYERS: &[&[&str]] = &[
    &[
        "back_channel",
        "clock",
        "hex",
        "secret",
        "tasks",
        "stop",
        "telemetry",
        "vectored",
    ],
    &["http"],
    &["identity", "pages"],
    &["request"],
    &["policy"],
    &["session", "logto", "hugging_face", "upstream"],
    &["store"],
    &["recheck", "bearer", "streams"],
    &["tokens"],
    &["config"],
    &["endpoints", "proxy"],
    &["live"],
    &["listen", "admin", "dev"],
    &["app"],
    &["cli", "main"],
];

/// Uses within a line. Each of them goes one way only.
const WITHIN_A_LAYER: &[(&str, &str)] = &[("proxy", "endpoints"), ("admin", "listen"), ("main", "cli")];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

fn may_use(user: &str, used: &str) -> bool {
    let (Some(above), Some(below)) = (layer(user), layer(used)) else {
        return false;
    };
    // Each part is given a small compiled struct of its own; the file's types end at `live`.
    let knows_too_much = used == "config" && Some(above) < layer("live");
    user == used || WITHIN_A_LAYER.contains(&(user, used)) || (below < above && !knows_too_much)
}

#[test]
fn every_use_points_downwards() {
    let mut wrong = BTreeSet::new();
    let mut seen = 0;
    for file in sources() {
        let text = without_tests(&without_comments(&fs::read_to_string(&file).unwrap()));
        let path = file.strip_prefix(source_root()).unwrap();
        let place = module_path(path);
        let user = place.first().map_or("lib", String::as_str);
        if user == "lib" {
            continue;
        }
        for used in modules_used(&text, &place) {
            seen += 1;
            if layer(&used).is_some() && !may_use(user, &used) {
                wrong.insert(format!("src/{}: {user} may not use {used}", path.display()));
            }
        }
    }
    assert!(seen > 100, "the reader of the source finds only {seen} uses");
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_its_place() {
    let found: BTreeSet<String> = fs::read_dir(source_root())
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .filter(|name| name != "lib")
        .collect();
    let placed: BTreeSet<String> = LAYERS
        .iter()
        .copied()
        .flatten()
        .map(|name| (*name).to_owned())
        .collect();
    assert_eq!(found, placed);
}

#[test]
fn the_map_shows_the_layers() {
    let map = include_str!("../../ARCHITECTURE.md");
    let rows: Vec<BTreeSet<String>> = map
        .lines()
        .filter_map(|line| line.strip_prefix("| `src/"))
        .map(|line| line.split(" |").next().unwrap())
        .map(|cell| {
            cell.split('`')
                .map(|path| {
                    path.trim()
                        .trim_start_matches("src/")
                        .trim_end_matches('/')
                        .trim_end_matches(".rs")
                })
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect()
        })
        .collect();
    let layers: Vec<BTreeSet<String>> = LAYERS
        .iter()
        .map(|modules| modules.iter().map(|name| (*name).to_owned()).collect())
        .collect();
    assert_eq!(rows, layers);
    for (user, used) in WITHIN_A_LAYER {
        assert!(
            map.contains(&format!("`{user}` uses `{used}`")),
            "{user} uses {used}"
        );
    }
}

#[test]
fn the_reader_of_the_source_sees_each_way_to_name_a_module() {
    let place = ["proxy".to_owned(), "pipeline".to_owned()];
    let seen = |text: &str| modules_used(&without_tests(&without_comments(text)), &place);
    assert_eq!(seen("use crate::http::body::Body;"), ["http"]);
    assert_eq!(
        seen("use crate::{config::{Config, Source}, live, self};"),
        ["config", "live"]
    );
    assert_eq!(seen("fn f(x: crate::policy::Route) {}"), ["policy"]);
    assert_eq!(seen("use super::super::config::Config;"), ["config"]);
    assert_eq!(
        seen("use super::forward;\nuse ::http::Uri;"),
        Vec::<String>::new()
    );
    assert_eq!(seen("fn main() { logto_proxy::cli::main() }"), ["cli"]);
    assert_eq!(
        seen("// crate::dev\n/// [`crate::dev`]\nlet url = \"http://x\"; crate::live::x();"),
        ["live"]
    );
    let with_tests = "use crate::http;\n#[cfg(test)]\nmod tests;\nuse crate::live;\n#[cfg(test)]\nmod more { fn f() { crate::dev::g(); } }\nuse crate::app;";
    assert_eq!(seen(with_tests), ["http", "live", "app"]);
    assert!(may_use("proxy", "endpoints") && !may_use("endpoints", "proxy"));
    assert!(may_use("live", "config") && !may_use("endpoints", "config") && !may_use("http", "config"));
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file but those of unit tests.
fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![source_root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|name| name == "tests");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                files.push(path);
            }
        }
    }
    files
}

/// `proxy/pipeline.rs` is `["proxy", "pipeline"]`, `proxy/mod.rs` is `["proxy"]`, `lib.rs` is the root.
fn module_path(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_str().unwrap().to_owned())
        .collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    parts
}

/// Takes out line comments, those in documentation included. A `//` inside a string is left alone.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| {
            let comment = line
                .match_indices("//")
                .map(|(at, _)| at)
                .find(|at| line[..*at].matches('"').count() % 2 == 0);
            format!("{}\n", &line[..comment.unwrap_or(line.len())])
        })
        .collect()
}

/// Takes out the items under `#[cfg(test)]`.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let mut depth = 0_usize;
        let end = item.char_indices().find_map(|(at, character)| {
            match character {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0 && matches!(character, '}' | ';')).then_some(at + 1)
        });
        rest = &item[end.unwrap_or(item.len())..];
    }
    kept + rest
}

/// The top-level modules that paths in a file lead to, in order: by `crate::`, by the crate's name, and by enough
/// `super::`.
fn modules_used(text: &str, place: &[String]) -> Vec<String> {
    let to_root = "super::".repeat(place.len());
    let mut used = Vec::new();
    for root in ["crate::", "logto_proxy::", to_root.as_str()] {
        for (at, _) in text.match_indices(root) {
            let is_longer_name = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let goes_on = root == to_root && (text[..at].ends_with("super::"));
            if is_longer_name || goes_on {
                continue;
            }
            used.extend(first_names(&text[at + root.len()..]));
        }
    }
    used
}

/// `http::body::Body` begins with `http`; `{config::{A, B}, live}` with `config` and `live`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut names = vec![name(group)];
    let mut depth = 1_usize;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty() && name != "self");
    names
}
