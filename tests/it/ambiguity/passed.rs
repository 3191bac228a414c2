//! Where a route takes ambiguous paths: whoever reads one that passes, and however, finds it under that very route.

use super::{PIECES, readings, runner};
use logto_proxy::endpoints::EndpointPaths;
use logto_proxy::http::RequestTarget;
use logto_proxy::policy::{Access, HostPattern, Methods, PathPattern, RequestFacts, Route, RouteTable};
use proptest::prelude::*;
use std::cell::Cell;

const NAMES: &[&str] = &["a", "b", "admin", "docs", "users", "x", "*"];

fn some_route() -> impl Strategy<Value = Route> {
    let path = prop::collection::vec(prop::sample::select(NAMES), 0..3);
    let end = prop::sample::select(vec!["/*", "/*", "/*", "", "/"]);
    let host = prop::sample::select(vec!["", "", "", "h.test", "*.test"]);
    let methods = prop::sample::select(vec!["", "", "", "GET", "POST"]);
    let access = prop::sample::select(vec![
        Access::Public,
        Access::Optional,
        Access::Authenticated,
        Access::Authenticated,
    ]);
    let passes = prop::sample::select(vec![true, true, false]);
    (path, end, host, methods, access, passes).prop_map(|(path, end, host, methods, access, passes)| {
        let path = path.iter().map(|name| format!("/{name}")).collect::<String>() + end;
        let path = if path.is_empty() { "/" } else { &path };
        Route {
            pattern: PathPattern::parse(path).unwrap(),
            host: (!host.is_empty()).then(|| HostPattern::parse(host).unwrap()),
            methods: Methods::new([methods].into_iter().filter(|method| !method.is_empty())),
            access,
            passes_ambiguous: passes,
            ..Route::default()
        }
    })
}

/// Those that do not conflict.
fn table(routes: Vec<Route>) -> RouteTable {
    let mut kept: Vec<Route> = Vec::new();
    for route in routes {
        kept.push(route);
        if RouteTable::new(kept.clone()).is_err() {
            kept.pop();
        }
    }
    RouteTable::new(kept).unwrap()
}

fn target(text: &str) -> Option<RequestTarget> {
    RequestTarget::parse(&text.parse().ok()?, 8192).ok()
}

#[test]
fn every_reading_of_a_path_that_passes_falls_under_its_route() {
    let starts = prop::sample::select(vec![
        "/a/",
        "/b/",
        "/a/b/",
        "/docs/",
        "/admin/x/",
        "/",
        "/users/a/b/",
    ]);
    let rest = prop::collection::vec(prop::sample::select(PIECES), 1..7);
    let hosts = prop::sample::select(vec!["h.test", "i.test", "other"]);
    let methods = prop::sample::select(vec!["GET", "HEAD", "POST", "PUT"]);
    let cases = (
        // One that is closed and takes all, which what climbs needs, and others beside it.
        (any::<bool>(), prop::collection::vec(some_route(), 0..5)),
        starts,
        rest,
        hosts,
        methods,
    );
    let (passed, refused, climbing) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let outcome = runner(60_000).run(&cases, |((for_all, mut routes), start, rest, host, method)| {
        let text = format!("{start}{}", rest.concat());
        let Some(target) = target(&text).filter(|target| target.canonical_path().is_err()) else {
            return Ok(());
        };
        if for_all {
            routes.push(Route {
                passes_ambiguous: true,
                ..Route::default()
            });
        }
        let table = table(routes);
        let facts = RequestFacts {
            method,
            host,
            path: target.judged_path(),
            address: None,
        };
        let matched = table.find(&facts);
        if matched.refused_path().is_some() {
            refused.set(refused.get() + 1);
            return Ok(());
        }
        passed.set(passed.get() + 1);
        let route = matched.route();
        prop_assert!(route.passes_ambiguous, "{} by {}", text, route);
        prop_assert!(!matches!(route.access, Access::Public | Access::Optional));
        let raw = target.raw_path();
        prop_assert!(!raw.contains("%00") && !raw.contains('\\'), "{}", text);
        for reading in readings(target.raw_path()) {
            prop_assert!(reading.starts_with('/'));
            if reading.contains("/../") {
                climbing.set(climbing.get() + 1);
            }
            let read = RequestFacts {
                path: Ok(&reading),
                ..facts
            };
            let found = table.find(&read).route();
            prop_assert_eq!(
                found.place,
                route.place,
                "{} {}{} passes by {}, and read as {} it falls under {}",
                method,
                host,
                text,
                route,
                reading,
                found
            );
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(
        passed.get() > 1_000 && refused.get() > 10_000 && climbing.get() > 100,
        "the test tries nothing: {passed:?} {refused:?} {climbing:?}"
    );
}

#[test]
fn no_reading_of_a_path_that_passes_is_an_endpoint_of_the_proxy() {
    let mut paths = EndpointPaths::under("/a");
    "/a/x/users".clone_into(&mut paths.sign_in);
    "/admin".clone_into(&mut paths.callback);
    "/docs/me".clone_into(&mut paths.auth);
    let texts = prop::collection::vec(prop::sample::select(PIECES), 1..8);
    let (free, own) = (Cell::new(0), Cell::new(0));
    let outcome = runner(20_000).run(&texts, |pieces| {
        let text = format!("/{}", pieces.concat());
        let Some(target) = target(&text) else {
            return Ok(());
        };
        let Some(certain) = target.judged_path().err().and_then(|ambiguous| ambiguous.certain) else {
            return Ok(());
        };
        if paths.may_be_meant(certain) {
            own.set(own.get() + 1);
            return Ok(());
        }
        free.set(free.get() + 1);
        for reading in readings(target.raw_path()) {
            prop_assert!(!paths.is_own(&reading), "{} can be read as {}", text, reading);
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(
        free.get() > 3_000 && own.get() > 300,
        "the test tries nothing: {free:?} {own:?}"
    );
}
