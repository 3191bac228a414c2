//! What closes holds in any letter case, and what opens to the letter.

use super::super::super::caller::{Caller, User};
use super::super::super::decide::{Decision, Reason, decide, permit_preflight};
use super::*;
use crate::http::cors::Preflight;
use crate::identity::{Claims, ProjectedHeaders};
use ::http::{HeaderMap, HeaderValue, Method};
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
use std::cmp::Reverse;

/// `/path` and what it asks for: nothing, a sign-in, or a role.
fn opened(path: &str, access: &str) -> Route {
    let role = |role: &str| Requirement::new(vec![Condition::AnyRole(vec![role.to_owned()])]).unwrap();
    Route {
        access: match access {
            "public" => Access::Public,
            "optional" => Access::Optional,
            "authenticated" => Access::Authenticated,
            name => Access::Required(role(name)),
        },
        ..route(path)
    }
}

#[test]
fn what_closes_holds_in_any_letter_case_and_what_opens_to_the_letter() {
    let rules = [
        ("/*", "public"),
        ("/assets/*", "public"),
        ("/me/*", "authenticated"),
        ("/me/Logo", "public"),
        ("/staff/*", "staff"),
        ("/staff/admin/*", "admin"),
        ("/staff/lobby/*", "authenticated"),
        ("/Reports/*", "staff"),
        // Whoever writes a path in two ways tells them apart.
        ("/twin/*", "staff"),
        ("/Twin/*", "public"),
        ("/k/*", "staff"),
    ];
    let table = RouteTable::new(rules.map(|(path, access)| opened(path, access)).into()).unwrap();
    for (request, expected) in [
        ("/assets/x", "/assets/*"),
        ("/ASSETS/x", "/*"),
        ("/ME", "/me/*"),
        ("/Me/x", "/me/*"),
        ("/me/Logo", "/me/Logo"),
        ("/me/logo", "/me/*"),
        ("/Staff/x", "/staff/*"),
        ("/staff/ADMIN/x", "/staff/admin/*"),
        ("/STAFF/admin/x", "/staff/admin/*"),
        ("/staff/Lobby/x", "/staff/*"),
        ("/reports/x", "/Reports/*"),
        ("/REPORTS", "/Reports/*"),
        ("/twin/x", "/twin/*"),
        ("/Twin/x", "/Twin/*"),
        ("/TWIN/x", "/twin/*"),
        ("/\u{212a}/x", "/k/*"),
        ("/Other", "/*"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
    // Without a rule for everything else that is for signed-in users, and conditions go on top.
    let table = RouteTable::new(vec![opened("/admin/*", "admin"), opened("/open/*", "public")]).unwrap();
    for (request, expected) in [
        ("/ADMIN/x", "/admin/*"),
        ("/OPEN/x", "/*"),
        ("/open/x", "/open/*"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
}

#[test]
fn an_ambiguous_path_passes_by_no_rule_that_closes_in_another_letter_case() {
    let passing = |path: &str| Route {
        passes_ambiguous: true,
        ..opened(path, "authenticated")
    };
    for (rules, requests) in [
        (
            vec![passing("/*"), opened("/admin/*", "admin")],
            &[
                ("/x//y", true),
                ("/admin//y", false),
                ("/ADMIN//y", false),
                ("/Adm%69n//y", false),
            ][..],
        ),
        // Capitals go before small letters, and closer rules before others whatever their letters.
        (
            vec![passing("/Files/*"), opened("/files/secret/*", "admin")],
            &[("/Files//secret", false), ("/Files/x//secret", true)],
        ),
        (
            vec![passing("/files/*"), opened("/Files/secret/*", "admin")],
            &[("/files//secret", false), ("/files/x//secret", true)],
        ),
        // Whoever writes a path in two ways tells them apart.
        (
            vec![passing("/twin/*"), opened("/Twin/*", "admin")],
            &[("/twin//x", true), ("/Twin//x", false), ("/TWIN//x", false)],
        ),
    ] {
        let table = RouteTable::new(rules).unwrap();
        for (target, passes) in requests {
            let target = RequestTarget::parse(&target.parse().unwrap(), 8192).unwrap();
            let matched = table.find(&RequestFacts {
                path: target.judged_path(),
                ..facts("GET", "", "/")
            });
            assert_eq!(matched.refused_path().is_none(), *passes, "{}", target.raw_path());
        }
    }
}

#[test]
fn letter_case_leads_around_no_rule_of_a_host_or_a_method() {
    let limited = Route {
        host: HostPattern::parse("a.b").ok(),
        ..opened("/admin/*", "admin")
    };
    let posting = Route {
        methods: Methods::new(["POST"]),
        ..opened("/write/*", "admin")
    };
    let table = RouteTable::new(vec![limited, posting, opened("/*", "public")]).unwrap();
    for (request, expected) in [
        ("a.b/ADMIN/x", "a.b/admin/*"),
        ("c.b/ADMIN/x", "/*"),
        ("POST /Write", "POST /write/*"),
        ("GET /Write", "/*"),
    ] {
        assert_eq!(found(&table, request), expected, "{request}");
    }
    assert!(table.find(&facts("GET", "", "/Write")).depends_on_method);
}

/// Nobody, and users with these roles.
const CALLERS: &[Option<&[&str]>] = &[
    None,
    Some(&[]),
    Some(&["staff"]),
    Some(&["admin"]),
    Some(&["staff", "admin"]),
];

/// What becomes of `METHOD host/path` for a caller, and by which rule.
fn verdict(table: &RouteTable, request: &str, roles: Option<&[&str]>) -> String {
    let (method, place) = request.split_once(' ').unwrap_or(("GET", request));
    let (host, path) = place.split_at(place.find('/').unwrap());
    let claims = serde_json::json!({ "roles": roles.unwrap_or_default() }).to_string();
    let claims = Claims::from_json(claims.as_bytes()).unwrap();
    let caller = match roles {
        None => Caller::Nobody,
        Some(_) => Caller::User(User {
            subject: "user1",
            claims: &claims,
            scopes: None,
            organization: None,
            identity: ProjectedHeaders::default(),
        }),
    };
    match decide(table.find(&facts(method, host, path)), caller) {
        Decision::Forward(permit) => format!("passes by {}", permit.route()),
        Decision::SignIn(route) => format!("sign-in by {route}"),
        Decision::Refuse(refusal) => {
            assert!(matches!(refusal.reason, Reason::Unmet(_)));
            format!("refused by {}", refusal.route)
        }
    }
}

#[test]
fn another_spelling_never_counts_for_the_easier_condition() {
    let staff: Option<&[&str]> = Some(&["staff"]);
    let admin: Option<&[&str]> = Some(&["admin"]);
    let both: Option<&[&str]> = Some(&["staff", "admin"]);
    let rules = [
        ("/*", "staff"),
        ("/admin/*", "admin"),
        // To an app that minds case the page of this name in small letters is one of the administrators'.
        ("/admin/Help/*", "staff"),
        ("/admin/public/*", "public"),
        ("/admin/lobby/*", "authenticated"),
        ("/Guests/*", "authenticated"),
    ];
    let table = RouteTable::new(rules.map(|(path, access)| opened(path, access)).into()).unwrap();
    for (request, roles, expected) in [
        ("/admin/Help/x", staff, "passes by /admin/Help/*"),
        ("/admin/help/x", staff, "refused by /admin/*"),
        ("/admin/help/x", admin, "refused by /admin/Help/*"),
        ("/admin/help/x", both, "passes by /admin/Help/*"),
        ("/ADMIN/x", staff, "refused by /admin/*"),
        ("/ADMIN/x", admin, "refused by /*"),
        ("/ADMIN/x", both, "passes by /admin/*"),
        ("/ADMIN/x", None, "sign-in by /admin/*"),
        // A part of an app may mind case, and another may not.
        ("/ADMIN/PUBLIC/x", staff, "refused by /admin/*"),
        ("/ADMIN/public/x", None, "sign-in by /admin/*"),
        ("/ADMIN/LOBBY/x", staff, "refused by /admin/*"),
        ("/ADMIN/LOBBY/x", both, "passes by /admin/*"),
        ("/admin/public/x", None, "passes by /admin/public/*"),
        ("/guests/x", Some(&[]), "refused by /*"),
    ] {
        assert_eq!(verdict(&table, request, roles), expected, "{request} {roles:?}");
    }
}

#[test]
fn what_one_host_is_said_holds_beside_what_all_are() {
    let guarded = |text: &str, access: &str| Route {
        access: opened("/", access).access,
        ..route(text)
    };
    let rules = [
        ("a.b/admin/help/*", "staff"),
        ("/admin/*", "admin"),
        ("POST /write/*", "admin"),
        ("/write/drafts/*", "staff"),
        ("POST /files/*", "staff"),
        ("/files/*", "admin"),
        ("/*", "public"),
    ];
    let table = RouteTable::new(rules.map(|(text, access)| guarded(text, access)).into()).unwrap();
    let staff: Option<&[&str]> = Some(&["staff"]);
    for (request, roles, expected) in [
        ("a.b/ADMIN/HELP", staff, "refused by /admin/*"),
        ("c.b/ADMIN/HELP", staff, "refused by /admin/*"),
        ("a.b/ADMIN/HELP", CALLERS[4], "passes by a.b/admin/help/*"),
        ("a.b/admin/help", staff, "passes by a.b/admin/help/*"),
        ("POST /WRITE/DRAFTS", staff, "refused by POST /write/*"),
        ("GET /WRITE/DRAFTS", staff, "passes by /write/drafts/*"),
        ("GET /WRITE/x", None, "passes by /*"),
        // Of two for one path the one for the method.
        ("POST /FILES/x", staff, "passes by POST /files/*"),
        ("GET /FILES/x", staff, "refused by /files/*"),
    ] {
        assert_eq!(verdict(&table, request, roles), expected, "{request} {roles:?}");
    }
}

#[test]
fn a_preflight_passes_where_it_does_in_every_letter_case() {
    let passing = |path: &str, access: &str| Route {
        passes_preflights: true,
        ..opened(path, access)
    };
    let rules = vec![
        opened("/*", "authenticated"),
        passing("/Api/*", "staff"),
        passing("/app/Both/*", "admin"),
        passing("/app/*", "authenticated"),
        opened("/app/closed/*", "authenticated"),
    ];
    let table = RouteTable::new(rules).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("origin", HeaderValue::from_static("https://www.example.com"));
    headers.insert("access-control-request-method", HeaderValue::from_static("GET"));
    let preflight = Preflight::of(&Method::OPTIONS, &headers, false).unwrap();
    for (path, passes) in [
        ("/Api/x", true),
        ("/api/x", false),
        ("/app/both/x", true),
        ("/APP/both/x", false),
        ("/app/x", true),
        ("/app/closed/x", false),
        ("/app/CLOSED/x", false),
    ] {
        let permit = permit_preflight(table.find(&facts("GET", "", path)), &preflight);
        assert_eq!(permit.is_some(), passes, "{path}");
    }
}

/// The spellings of names that are one without regard to case.
const SPELLINGS: &[&[&str]] = &[
    &["a", "A"],
    &["b", "B"],
    &["k", "K", "\u{212a}"],
    &["is", "IS", "\u{130}s", "\u{131}\u{17f}"],
    &["strasse", "STRASSE", "stra\u{df}e", "STRA\u{1e9e}E"],
    &["7"],
];

fn spelling() -> impl Strategy<Value = &'static str> {
    let names = [0, 0, 0, 1, 1, 2, 3, 4, 5].map(|index| SPELLINGS[index]);
    prop::sample::select(names.to_vec()).prop_flat_map(|name| prop::sample::select(name.to_vec()))
}

fn spellings_of(name: &str) -> &'static [&'static str] {
    SPELLINGS
        .iter()
        .find(|spellings| spellings.contains(&name))
        .unwrap()
}

/// A rule as an operator writes it, and what it means, said as plainly as can be.
#[derive(Debug, Clone)]
struct Plain {
    host: &'static str,
    method: &'static str,
    /// Names, and `*`.
    segments: Vec<&'static str>,
    has_rest: bool,
    access: &'static str,
}

#[derive(Debug, Clone)]
struct Request {
    method: &'static str,
    host: &'static str,
    segments: Vec<&'static str>,
}

/// How close a rule is to requests, but for their method; less is closer.
type Closeness = (u8, Reverse<usize>, Vec<u8>);

impl Plain {
    fn text(&self) -> String {
        let method = if self.method.is_empty() {
            String::new()
        } else {
            format!("{} ", self.method)
        };
        let path = self.segments.join("/");
        let rest = match (self.has_rest, path.is_empty()) {
            (true, true) => "*",
            (true, false) => "/*",
            (false, _) => "",
        };
        format!("{method}{}/{path}{rest}", self.host)
    }

    fn covers(&self, request: &Request, is_same: impl Fn(&str, &str) -> bool) -> bool {
        let of_host = match self.host.strip_prefix('*') {
            Some(end) => request.host.ends_with(end),
            None => self.host.is_empty() || self.host == request.host,
        };
        let of_method = self.method.is_empty()
            || self.method == request.method
            || (self.method == "GET" && request.method == "HEAD");
        let (own, theirs) = (&self.segments, &request.segments);
        let of_length = own.len() == theirs.len() || (self.has_rest && own.len() < theirs.len());
        let mut pairs = own.iter().zip(theirs);
        of_host && of_method && of_length && pairs.all(|(own, name)| *own == "*" || is_same(own, name))
    }

    fn closeness(&self) -> Closeness {
        let host = match self.host {
            "" => 2,
            below if below.starts_with('*') => 1,
            _ => 0,
        };
        let segments = self.segments.iter().map(|segment| u8::from(*segment == "*"));
        let end = if self.has_rest { 3 } else { 2 };
        (host, Reverse(self.host.len()), segments.chain([end]).collect())
    }

    fn closes(&self) -> bool {
        !matches!(self.access, "public" | "optional")
    }

    fn lets_pass(&self, roles: Option<&[&str]>) -> bool {
        match self.access {
            "public" | "optional" => true,
            "authenticated" => roles.is_some(),
            role => roles.is_some_and(|roles| roles.contains(&role)),
        }
    }
}

/// The rule for a request to the letter.
fn to_the_letter(rules: &[Plain], request: &Request) -> Plain {
    let covering = rules
        .iter()
        .filter(|rule| rule.covers(request, |own, name| own == name));
    let winner = covering.min_by_key(|rule| (rule.closeness(), rule.method.is_empty()));
    winner.cloned().unwrap_or(Plain {
        host: "",
        method: "",
        segments: Vec::new(),
        has_rest: true,
        access: "authenticated",
    })
}

/// Every way to read a path for whoever does not mind the case of some of its segments.
fn readings(request: &Request) -> Vec<Request> {
    let mut readings = vec![Vec::new()];
    for name in &request.segments {
        let longer = |read: &Vec<&'static str>| {
            let read = read.clone();
            spellings_of(name)
                .iter()
                .map(move |spelling| [&read[..], &[*spelling]].concat())
        };
        readings = readings.iter().flat_map(longer).collect();
    }
    let reading = |segments| Request {
        segments,
        ..request.clone()
    };
    readings.into_iter().map(reading).collect()
}

fn some_rule() -> impl Strategy<Value = Plain> {
    let segment = prop_oneof![4 => spelling(), 1 => Just("*")];
    (
        prop::sample::select(vec!["", "", "", "", "a.b", "*.b"]),
        prop::sample::select(vec!["", "", "", "GET", "POST"]),
        prop::collection::vec(segment, 0..4),
        any::<bool>(),
        prop::sample::select(vec!["public", "optional", "authenticated", "staff", "admin"]),
    )
        .prop_map(|(host, method, segments, has_rest, access)| Plain {
            host,
            method,
            // A final `*` is the rest.
            has_rest: has_rest || segments.last() == Some(&"*"),
            segments,
            access,
        })
}

#[test]
fn no_change_of_letter_case_lets_anybody_pass() {
    let cases = (
        prop::collection::vec(some_rule(), 1..9),
        prop::sample::select(vec!["GET", "POST", "HEAD"]),
        prop::sample::select(vec!["a.b", "c.b", "c"]),
        prop::collection::vec(spelling(), 1..4),
    );
    let (passed, saved) = (Cell::new(0), Cell::new(0));
    let outcome = TestRunner::new(Config::with_cases(3_000)).run(&cases, |(all, method, host, segments)| {
        let (mut rules, mut routes) = (Vec::new(), Vec::new());
        for rule in all {
            routes.push(Route {
                access: opened("/", rule.access).access,
                ..route(&rule.text())
            });
            // Of rules that conflict the later one is left out.
            if RouteTable::new(routes.clone()).is_ok() {
                rules.push(rule);
            } else {
                routes.pop();
            }
        }
        let table = RouteTable::new(routes).unwrap();
        let request = Request {
            method,
            host,
            segments,
        };
        let text = format!("{method} {host}/{}", request.segments.join("/"));
        let own = to_the_letter(&rules, &request);
        let in_any_case = |own: &str, name: &str| spellings_of(own).contains(&name);
        for roles in CALLERS {
            let found = verdict(&table, &text, *roles);
            let passes = found.starts_with("passes");
            let rank = |rule: &Plain| (rule.closeness(), rule.method.is_empty());
            // One that no spelling leads to, for there is another one for the same paths, is none.
            let counts = |rule: &Plain| {
                !rules.iter().any(|other| {
                    other.segments == rule.segments
                        && other.has_rest == rule.has_rest
                        && other.covers(&request, in_any_case)
                        && rank(other) < rank(rule)
                })
            };
            let mut closer = rules.iter().filter(|rule| {
                rule.closes()
                    && rule.covers(&request, in_any_case)
                    && rule.closeness() < own.closeness()
                    && counts(rule)
            });
            let expected = own.lets_pass(*roles) && closer.all(|rule| rule.lets_pass(*roles));
            prop_assert_eq!(passes, expected, "{} {:?}: {}", text, roles, found);
            if !passes {
                saved.set(saved.get() + u32::from(own.lets_pass(*roles)));
                continue;
            }
            passed.set(passed.get() + 1);
            for reading in readings(&request) {
                let read = to_the_letter(&rules, &reading);
                prop_assert!(
                    read.lets_pass(*roles) || read.closeness() >= own.closeness(),
                    "{} {:?} {}, and read as {:?} it is for {}",
                    text,
                    roles,
                    found,
                    reading.segments,
                    read.text()
                );
            }
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(
        passed.get() > 1_000 && saved.get() > 100,
        "the test tries nothing: {passed:?} {saved:?}"
    );
}
