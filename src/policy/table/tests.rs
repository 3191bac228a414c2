//! Which rule wins: examples, and a second way to find it that is plain and slow.

mod letter_case;

use super::super::condition::Condition;
use super::super::host::HostPattern;
use super::super::methods::Methods;
use super::super::pattern::PathPattern;
use super::super::requirement::Requirement;
use super::*;
use crate::http::RequestTarget;
use proptest::prelude::*;

fn facts<'a>(method: &'a str, host: &'a str, path: &'a str) -> RequestFacts<'a> {
    RequestFacts {
        method,
        host,
        path: Ok(path),
        address: None,
    }
}

/// `/path`, `host/path` or `METHOD,METHOD host/path`.
fn route(text: &str) -> Route {
    let (methods, place) = text
        .split_once(' ')
        .map_or((None, text), |(methods, place)| (Some(methods), place));
    let (host, path) = place.split_at(place.find('/').unwrap());
    Route {
        pattern: PathPattern::parse(path).unwrap(),
        host: (!host.is_empty()).then(|| HostPattern::parse(host).unwrap()),
        methods: methods.and_then(|methods| Methods::new(methods.split(','))),
        ..Route::default()
    }
}

fn table(routes: &[&str]) -> RouteTable {
    RouteTable::new(routes.iter().map(|text| route(text)).collect()).unwrap()
}

/// `METHOD host/path` to the rule it falls under.
fn found(table: &RouteTable, request: &str) -> String {
    let (method, place) = request.split_once(' ').unwrap_or(("GET", request));
    let (host, path) = place.split_at(place.find('/').unwrap());
    table.find(&facts(method, host, path)).route().to_string()
}

#[test]
fn the_most_specific_wins_whatever_the_order() {
    let rules = [
        "/open/*",
        "/open/closed/*",
        "/open/closed/door",
        "/open/*/door",
        "/*/closed/door",
    ];
    for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]] {
        let table = table(&order.map(|index| rules[index]));
        for (path, rule) in [
            ("/", "/*"),
            ("/opened", "/*"),
            ("/open", "/open/*"),
            ("/open/", "/open/*"),
            ("/open/x", "/open/*"),
            ("/open/closed", "/open/closed/*"),
            ("/open/closed/x/y", "/open/closed/*"),
            ("/open/closed/door", "/open/closed/door"),
            ("/open/closed/door/knob", "/open/closed/*"),
            ("/open/other/door", "/open/*/door"),
            ("/open/other/door/knob", "/open/*"),
            ("/x/closed/door", "/*/closed/door"),
            ("/x/closed/door/", "/*"),
        ] {
            assert_eq!(found(&table, path), rule, "{path} in order {order:?}");
        }
    }
}

#[test]
fn the_host_goes_before_the_path_and_the_method_last() {
    let table = table(&[
        "/*",
        "/admin/*",
        "app.example.com/*",
        "*.example.com/admin/*",
        "*.deep.example.com/*",
        "GET /docs/*",
        "POST,PUT /docs/*",
        "DELETE /*",
        "[2001:db8::1]/*",
        "GET app.example.com/only",
    ]);
    for (request, rule) in [
        ("app.example.com/admin/x", "app.example.com/*"),
        ("app.example.com./admin/x", "app.example.com/*"),
        ("other.example.com/admin/x", "*.example.com/admin/*"),
        ("other.example.com/x", "/*"),
        ("example.com/admin/x", "/admin/*"),
        ("evilexample.com/admin/x", "/admin/*"),
        ("a.deep.example.com/admin/x", "*.deep.example.com/*"),
        ("a.b.deep.example.com/x", "*.deep.example.com/*"),
        ("deep.example.com/admin", "*.example.com/admin/*"),
        ("[2001:db8:0:0::1]/x", "[2001:db8::1]/*"),
        ("[2001:db8::2]/x", "/*"),
        ("GET x/docs/a", "GET /docs/*"),
        ("HEAD x/docs/a", "GET /docs/*"),
        ("get x/docs/a", "GET /docs/*"),
        ("PUT x/docs/a", "POST,PUT /docs/*"),
        ("PATCH x/docs/a", "/*"),
        ("DELETE x/docs/a", "DELETE /*"),
        ("DELETE x/admin/a", "/admin/*"),
        ("GET app.example.com/only", "GET app.example.com/only"),
        ("POST app.example.com/only", "app.example.com/*"),
        ("OPTIONS nobody/docs", "/*"),
    ] {
        assert_eq!(found(&table, request), rule, "{request}");
    }
}

#[test]
fn what_no_rule_covers_is_for_signed_in_users() {
    let table = RouteTable::new(vec![Route {
        access: Access::Public,
        ..route("GET /open")
    }])
    .unwrap();
    for (method, path, access) in [
        ("GET", "/open", Access::Public),
        ("POST", "/open", Access::Authenticated),
        ("GET", "/open/", Access::Authenticated),
        ("GET", "/x", Access::Authenticated),
    ] {
        assert_eq!(
            table.find(&facts(method, "", path)).route().access,
            access,
            "{method} {path}"
        );
    }
}

#[test]
fn it_is_known_whether_the_method_had_a_say() {
    let table = table(&["/*", "GET /docs/*", "/docs/plain"]);
    for (path, depends) in [("/docs/x", true), ("/docs/plain", false), ("/x", false)] {
        for method in ["GET", "POST"] {
            let matched = table.find(&facts(method, "", path));
            assert_eq!(matched.depends_on_method, depends, "{method} {path}");
        }
    }
}

#[test]
fn every_rule_has_a_place_of_its_own() {
    for paths in [["/a", "/a/*", "GET /b"], ["/*", "x/*", "/b"]] {
        let table = table(&paths);
        let places: std::collections::BTreeSet<usize> = table.iter().map(|route| route.place).collect();
        assert_eq!(places.len(), table.iter().count());
        assert!(places.iter().all(|place| *place <= paths.len()));
        assert_eq!(table.iter().last().unwrap().to_string(), "/*");
    }
}

#[test]
fn two_rules_for_one_request_are_a_conflict() {
    for (left, right, conflict) in [
        ("/a/*", "/a/*", true),
        ("/a/*", "/a", false),
        ("x/a", "/a", false),
        ("x/a", "X./a", true),
        ("*.x/a", "x/a", false),
        ("GET /a", "GET /a", true),
        ("GET,POST /a", "POST,PUT /a", true),
        ("GET /a", "HEAD /a", true),
        ("GET /a", "POST /a", false),
        ("GET /a", "/a", false),
        ("/a/*/b", "/a/*/b", true),
        ("/*/b", "/a/*", false),
    ] {
        let result = RouteTable::new(vec![route(left), route(right)]);
        assert_eq!(result.is_err(), conflict, "{left} and {right}");
    }
}

#[test]
fn patterns_that_combine_in_too_many_ways_are_refused() {
    // Any subset of these can fit a path, as the places of `a` in it say.
    let stars = |count: usize| "/*".repeat(count);
    let routes =
        (0..17).map(|number| route(&format!("{}/a{}/end{number}", stars(number), stars(17 - number))));
    assert!(matches!(
        RouteTable::new(routes.collect()),
        Err(RouteConflict::Combinations(_))
    ));
}

#[test]
fn an_ambiguous_path_falls_under_no_rule() {
    let table = RouteTable::new(vec![Route {
        access: Access::Public,
        ..Route::default()
    }])
    .unwrap();
    let matched = table.find(&RequestFacts {
        path: Err(AmbiguousPath {
            why: Ambiguity::DotSegment,
            certain: None,
        }),
        ..facts("GET", "", "/")
    });
    assert_eq!(matched.route().access, Access::Authenticated);
    assert!(matched.asks_who());
}

/// Every rule that covers a request, by the definitions alone; the first in the order of specificity.
fn plainly<'t>(routes: &'t [Route], facts: &RequestFacts<'_>) -> Option<&'t Route> {
    let covers = |route: &&Route| {
        let host = normal(facts.host);
        let fits_host = match &route.host {
            None => true,
            Some(HostPattern::Exact(name)) => *name == *host,
            Some(HostPattern::Below(name)) => host
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.ends_with('.')),
        };
        let fits_method = route
            .methods
            .as_ref()
            .is_none_or(|methods| methods.covers(facts.method));
        fits_host && fits_method && route.pattern.covers(facts.path.unwrap())
    };
    let mut covering: Vec<&Route> = routes.iter().filter(covers).collect();
    covering.sort_by(|left, right| left.by_specificity(right));
    covering.first().copied()
}

fn pieces() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c", "*", "*"])
}

fn some_route() -> impl Strategy<Value = String> {
    let path = prop::collection::vec(pieces(), 0..5);
    let end = prop::sample::select(vec!["", "", "/*", "/"]);
    let host = prop::sample::select(vec!["", "", "", "a.b", "*.b", "b", "*.a.b"]);
    let methods = prop::sample::select(vec!["", "", "", "GET ", "POST ", "GET,POST ", "HEAD "]);
    (path, end, host, methods).prop_map(|(path, end, host, methods)| {
        let path = path.join("/");
        let end = if path.is_empty() {
            end.trim_start_matches('/')
        } else {
            end
        };
        format!("{methods}{host}/{path}{end}")
    })
}

proptest! {
    #[test]
    fn the_table_finds_what_the_definitions_say_in_every_order(
        (routes, shuffled) in prop::collection::vec(some_route(), 0..14)
            .prop_flat_map(|routes| (Just(routes.clone()), Just(routes).prop_shuffle())),
        requests in prop::collection::vec(
            (
                prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "head"]),
                prop::sample::select(vec!["", "b", "a.b", "x.a.b", "c.b", "a.b."]),
                prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 0..6),
                any::<bool>(),
            ),
            1..20,
        ),
    ) {
        // Rules that conflict are left out, the later one.
        let keep = |texts: &[String]| {
            let mut kept: Vec<Route> = Vec::new();
            for text in texts {
                kept.push(route(text));
                if RouteTable::new(kept.clone()).is_err() {
                    kept.pop();
                }
            }
            kept
        };
        let kept = keep(&routes);
        let names: Vec<String> = kept.iter().map(ToString::to_string).collect();
        let again: Vec<Route> = shuffled.iter().map(|text| route(text)).filter(|route| names.contains(&route.to_string())).collect();
        let table = RouteTable::new(kept.clone()).unwrap();
        let mut unique = again.clone();
        unique.dedup_by_key(|route| route.to_string());
        let other = RouteTable::new(unique);
        for (method, host, path, slash) in &requests {
            let path = format!("/{}{}", path.join("/"), if *slash && !path.is_empty() { "/" } else { "" });
            let facts = facts(method, host, &path);
            let found = table.find(&facts).route().to_string();
            let plain = plainly(&kept, &facts).map_or_else(|| "/*".to_owned(), ToString::to_string);
            prop_assert_eq!(&found, &plain, "{} {}{}", method, host, path);
            if let Ok(other) = &other {
                prop_assert_eq!(other.find(&facts).route().to_string(), found);
            }
        }
    }
}
