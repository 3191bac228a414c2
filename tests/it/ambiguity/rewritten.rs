//! Where the beginning of a path is replaced: whoever reads what goes on, and however, finds the rest where the rule put it.

use super::{PIECES, readings, runner};
use logto_proxy::http::{RequestTarget, Rewrite};
use logto_proxy::policy::PathPattern;
use proptest::prelude::*;
use std::cell::Cell;

/// What rules match, how many segments of it give way, and to what.
const RULES: &[(&str, usize, &str)] = &[
    ("/a/*", 1, "/"),
    ("/a/*", 1, "/v2"),
    ("/a/b/*", 1, "/"),
    ("/a/b/*", 2, "/v2/old"),
    ("/users/*/x/*", 1, "/people"),
    ("/*", 0, "/inner"),
    ("/docs/*", 1, "/caf\u{e9} x"),
];

fn target(text: &str) -> Option<RequestTarget> {
    RequestTarget::parse(&text.parse().ok()?, 8192).ok()
}

#[test]
fn no_reading_of_a_rewritten_path_leaves_where_its_rule_puts_it() {
    let starts = prop::sample::select(vec!["/a", "/a/b", "/users/me/x", "/docs", ""]);
    let rest = prop::collection::vec(prop::sample::select(PIECES), 0..7);
    let cases = (prop::sample::select(RULES), starts, rest);
    let (rewritten, refused) = (Cell::new(0), Cell::new(0));
    let outcome = runner(40_000).run(&cases, |((path, segments, beginning), start, rest)| {
        let Some(asked) = target(&format!("{start}/{}", rest.concat())) else {
            return Ok(());
        };
        let rewrite = Rewrite::new(segments, beginning).unwrap();
        let Ok(judged) = asked.canonical_path() else {
            refused.set(refused.get() + 1);
            prop_assert_eq!(rewrite.apply(&asked), None, "{}", asked.raw_path());
            return Ok(());
        };
        if !PathPattern::parse(path).unwrap().covers(judged) {
            return Ok(());
        }
        let sent = rewrite.apply(&asked).unwrap();
        let read_again = target(sent.as_str()).unwrap();
        let below = beginning.trim_end_matches('/');
        let kept: String = judged
            .split('/')
            .skip(1 + segments)
            .map(|segment| format!("/{segment}"))
            .collect();
        let expected = format!("{below}{kept}");
        let expected = if expected.is_empty() { "/" } else { &expected };
        prop_assert_eq!(
            read_again.canonical_path(),
            Ok(expected),
            "{} as {}",
            asked.raw_path(),
            sent
        );
        prop_assert_eq!(sent.query(), asked.query());
        // A reader that decodes nothing sees the beginning as it is escaped.
        for reading in readings(read_again.raw_path()) {
            let stays = [below, rewrite.beginning().trim_end_matches('/')]
                .iter()
                .any(|place| {
                    let rest = reading.strip_prefix(place);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                });
            prop_assert!(
                stays,
                "{} goes on as {}, read as {}",
                asked.raw_path(),
                sent,
                reading
            );
        }
        rewritten.set(rewritten.get() + 1);
        Ok(())
    });
    outcome.unwrap();
    assert!(
        rewritten.get() > 1_500 && refused.get() > 5_000,
        "the test tries nothing: {rewritten:?} {refused:?}"
    );
}
