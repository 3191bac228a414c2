//! What `docs/operations.md` says of metrics and log lines is what the code has.

use super::markdown::{quoted, table};
use super::{read, root};
use logto_proxy::telemetry::Metrics;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The names that the source registers. What was never counted is not rendered, so that the source is what to ask.
fn registered() -> BTreeSet<String> {
    let mut source = fs::read_to_string(root().join("src/telemetry/metrics.rs")).unwrap();
    let folder = root().join("src/telemetry/metrics");
    if folder.is_dir() {
        add_sources(&folder, &mut source);
    }
    let names: BTreeSet<String> = [".register(", "encode_descriptor(", "name: "]
        .into_iter()
        .flat_map(|call| source.split(call).skip(1))
        .filter_map(|rest| rest.trim_start().strip_prefix('"'))
        .map(|rest| format!("logto_proxy_{}", rest.split('"').next().unwrap()))
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    names
}

/// The names of series as `/metrics` shows them, from the kinds of those that have been counted.
fn rendered() -> BTreeSet<String> {
    let metrics = Metrics::default();
    metrics.sign_in("started", "");
    metrics.recheck("confirmed");
    metrics.session_ended("sign_out");
    metrics.notice("session", "sign_out", "here");
    metrics.back_channel_logout("accepted");
    metrics.webhook("suspended", "accepted");
    metrics.cookie_refused("expired");
    metrics.bearer("jwt", "accepted");
    metrics.stream_ended("websocket");
    metrics.hugging_face_check("live");
    metrics.logto_call("token", "ok", Duration::from_millis(5));
    metrics
        .render()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, "info") => format!("{name}_info"),
            (name, _) => name.to_owned(),
        })
        .collect()
}

#[test]
fn every_metric_is_explained_and_no_other() {
    let document = read("docs/operations.md");
    let rows = table(&document, "| Metric | Labels | What it counts |");
    let explained: BTreeSet<String> = rows
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    assert_eq!(explained.len(), rows.len(), "a metric has two rows");
    let bare = |name: &String| {
        let name = name.strip_suffix("_total").unwrap_or(name);
        name.strip_suffix("_info").unwrap_or(name).to_owned()
    };
    assert_eq!(
        explained.iter().map(bare).collect::<BTreeSet<_>>(),
        registered(),
        "docs/operations.md and src/telemetry/metrics.rs"
    );
    let rendered = rendered();
    assert!(rendered.len() >= 12, "{rendered:?}");
    let unexplained: Vec<_> = rendered.difference(&explained).collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
    for name in quoted(&document).filter(|name| name.starts_with("logto_proxy_")) {
        assert!(explained.contains(name), "{name}");
    }
}

#[test]
fn every_word_that_labels_are_said_to_have_is_in_the_source() {
    let source = sources();
    let rows = table(
        &read("docs/operations.md"),
        "| Metric | Labels | What it counts |",
    );
    let mut seen = 0;
    for row in rows {
        let words = quoted(&row[2]).filter(|word| !word.contains(['=', '.']));
        for word in words.filter(|word| *word != "2xx") {
            assert!(source.contains(&format!("\"{word}\"")), "{}: {word}", row[0]);
            seen += 1;
        }
    }
    assert!(seen >= 40, "{seen}");
}

#[test]
fn every_warning_and_error_is_explained_and_every_line_that_is_explained_is_written() {
    let written = log_lines();
    let document = read("docs/operations.md");
    let rows = table(&document, "| Line | Level | What to do |");
    let explained: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row[0].trim_matches('`'), row[1].as_str()))
        .collect();
    for (line, level) in &explained {
        let is_it = |(written_level, text): &(&str, String)| written_level == level && text.starts_with(line);
        assert!(written.iter().any(is_it), "{level}: {line}");
    }
    let unexplained: Vec<_> = written
        .iter()
        .filter(|(level, _)| matches!(*level, "warn" | "error"))
        .filter(|(_, text)| !explained.iter().any(|(line, _)| text.starts_with(line)))
        .collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

/// Level and message of each line that the source logs. One that is made of something else alone is left out.
fn log_lines() -> Vec<(&'static str, String)> {
    let source = sources();
    let mut lines = Vec::new();
    for level in ["info", "warn", "error"] {
        let macro_name = format!("tracing::{level}!(");
        for call in source.split(&macro_name).skip(1) {
            let call = call.split(");").next().unwrap();
            // Messages have several words and begin with one; other texts in a call do not.
            let is_message = |text: &&str| text.contains(' ') && text.starts_with(char::is_alphabetic);
            let message = call.split('"').skip(1).step_by(2).find(is_message);
            let single = call.split('"').nth(1).map(str::to_owned);
            let message = message.map(str::to_owned).or(single).unwrap_or_default();
            if !message.starts_with('{') && !message.is_empty() {
                lines.push((level, message));
            }
        }
    }
    assert!(lines.len() >= 40, "{}", lines.len());
    lines
}

#[test]
fn what_needs_a_restart_is_told() {
    let source = read("src/live/reload.rs");
    let (_, list) = source.split_once("fn need_restart(").unwrap();
    let keys: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    assert!(keys.contains("listen") && keys.len() >= 5, "{keys:?}");
    let told = |path: &str, beginning: &str, end: &str| {
        let document = read(path);
        let (_, sentence) = document
            .split_once(beginning)
            .unwrap_or_else(|| panic!("{path}: {beginning}"));
        let sentence = sentence.split(end).next().unwrap().to_owned();
        quoted(&sentence).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let keys: BTreeSet<String> = keys.into_iter().map(str::to_owned).collect();
    assert_eq!(
        told("docs/operations.md", "A change of ", " waits for a restart"),
        keys
    );
    assert_eq!(
        told("docs/configuration.md", "The keys ", " count at the start alone"),
        keys
    );
}

fn sources() -> String {
    let mut source = String::new();
    add_sources(&root().join("src"), &mut source);
    source
}

fn add_sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
