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
fn every_log_line_that_is_explained_is_written() {
    let mut source = String::new();
    add_sources(&root().join("src"), &mut source);
    let rows = table(&read("docs/operations.md"), "| Line | Level | What to do |");
    assert!(rows.len() >= 8, "{}", rows.len());
    for row in rows {
        let line = row[0].trim_matches('`');
        assert!(source.contains(&format!("\"{line}")), "{line}");
    }
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
