//! No path that an open route lets through can be read as a closed one: tried with random paths, against every composition of
//! what servers, proxies and frameworks do to a path.

mod passed;
mod rewritten;

use logto_proxy::http::RequestTarget;
use logto_proxy::policy::{Access, Caller, Decision, PathPattern, RequestFacts, Route, RouteTable, decide};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeSet;

/// What is closed, below `/*`, which is open.
const CLOSED: &[&str] = &["/admin/*", "/users/*/secret", "/a/b", "/docs/private/*"];

fn table() -> RouteTable {
    let route = |path: &str, access: Access| Route {
        pattern: PathPattern::parse(path).unwrap(),
        access,
        ..Route::default()
    };
    let closed = CLOSED.iter().map(|path| route(path, Access::Authenticated));
    let open = ["/*", "/docs/*", "/users/me/*"].map(|path| route(path, Access::Public));
    RouteTable::new(closed.chain(open).collect()).unwrap()
}

fn is_open(table: &RouteTable, target: &RequestTarget) -> bool {
    let facts = RequestFacts {
        method: "GET",
        host: "app.example.com",
        path: target.judged_path(),
        address: None,
    };
    matches!(decide(table.find(&facts), Caller::Nobody), Decision::Forward(_))
}

/// One thing that somebody does to a path.
type Normaliser = fn(&str) -> String;

const NORMALISERS: &[(&str, Normaliser)] = &[
    ("decode", |path| {
        percent_encoding::percent_decode_str(path)
            .decode_utf8_lossy()
            .into_owned()
    }),
    ("backslash is a slash", |path| path.replace('\\', "/")),
    ("cut parameters of segments", |path| {
        let cut = path.split('/').map(|segment| segment.split(';').next().unwrap());
        cut.collect::<Vec<_>>().join("/")
    }),
    ("cut all from the first semicolon", |path| {
        path.split(';').next().unwrap().to_owned()
    }),
    ("merge slashes", |path| {
        let merged = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        format!(
            "/{merged}{}",
            if path.ends_with('/') && !merged.is_empty() {
                "/"
            } else {
                ""
            }
        )
    }),
    ("resolve dots (RFC 3986)", |path| resolve(path, false)),
    ("resolve dots, empty segments first", |path| resolve(path, true)),
    ("URL standard", |path| {
        let base = url::Url::parse("http://h/").unwrap();
        let joined = base.join(&format!("http://h{path}?end"));
        joined.map_or_else(|_| path.to_owned(), |url| url.path().to_owned())
    }),
    ("cut at NUL", |path| path.split('\0').next().unwrap().to_owned()),
    ("drop controls", |path| {
        path.chars().filter(|c| !c.is_control()).collect()
    }),
    ("cut at ?", |path| path.split('?').next().unwrap().to_owned()),
    ("cut at #", |path| path.split('#').next().unwrap().to_owned()),
];

fn resolve(path: &str, drop_empty: bool) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            "" if drop_empty => {}
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

/// All that any composition of normalisers makes of a path, up to a number that no short path reaches.
fn readings(path: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from([path.to_owned()]);
    let mut waiting = vec![path.to_owned()];
    while let Some(reading) = waiting.pop() {
        for (_, normalise) in NORMALISERS {
            let next = normalise(&reading);
            if found.len() < 2_000 && found.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    found
}

fn is_closed(path: &str) -> bool {
    CLOSED
        .iter()
        .any(|pattern| PathPattern::parse(pattern).unwrap().covers(path))
}

/// Tries the same cases in every run.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new_with_rng(
        Config {
            cases,
            failure_persistence: None,
            ..Config::default()
        },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    )
}

/// What random paths are made of.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "/", "/", "/", "/", "admin", "users", "secret", "me", "a", "b", "docs", "private", "..", ".", ";", ";x=1",
    "\\", "%2f", "%2F", "%5c", "%2e", "%2E%2e", "%61dmin", "a%64min", "%252e", "%252f", "%25", "%00", "%3b",
    "%23", "%3f", "?x", "%c0%af", "%c0%ae", "%ef%bc%8f", "%e2%80%8b", "%0a", "%09", "x", "%41", "//", "~", "@",
    "%20", "%zz", "%",
];

#[test]
fn no_reading_of_an_open_path_is_closed() {
    let table = table();
    let targets = prop::collection::vec(prop::sample::select(PIECES), 1..9)
        .prop_map(|pieces| format!("/{}", pieces.concat()));
    let mut runner = runner(20_000);
    let (mut open, mut refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    runner
        .run(&targets, |text| {
            let Ok(uri) = text.parse() else { return Ok(()) };
            let Ok(target) = RequestTarget::parse(&uri, 8192) else {
                return Ok(());
            };
            if target.canonical_path().is_err() {
                refused.set(refused.get() + 1);
                prop_assert!(!is_open(&table, &target), "{}", text);
            } else if is_open(&table, &target) {
                open.set(open.get() + 1);
                for reading in readings(target.raw_path()) {
                    prop_assert!(
                        !is_closed(&reading),
                        "{} is open and can be read as {}",
                        text,
                        reading
                    );
                }
            }
            Ok(())
        })
        .unwrap();
    assert!(
        *open.get_mut() > 500 && *refused.get_mut() > 5_000,
        "the test tries nothing"
    );
}

#[test]
fn the_normalisers_find_what_is_known_to_be_dangerous() {
    for path in [
        "/x/..;/admin",
        "/x/%2e%2e/admin",
        "/x/%252e%252e/admin",
        "/x\\..\\admin",
        "/x/%00/../admin",
        "//admin",
        "/users/7;a=b/secret",
        "/users/7%2fsecret",
        "/%61dmin",
        "/docs/./private/x",
    ] {
        assert!(readings(path).iter().any(|reading| is_closed(reading)), "{path}");
    }
    assert!(
        !readings("/docs/public/x")
            .iter()
            .any(|reading| is_closed(reading))
    );
}
