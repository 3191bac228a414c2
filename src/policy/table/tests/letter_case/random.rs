//! Random rules and requests, against what the rules mean, said as plainly as can be.

use super::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::Cell;
use std::cmp::Reverse;

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

/// The rules as a table has them. Of those that conflict the later one is left out.
fn without_conflicts(
    all: impl IntoIterator<Item = Plain>,
    passes_ambiguous: impl Fn(&Plain) -> bool,
) -> (Vec<Plain>, RouteTable) {
    let (mut rules, mut routes) = (Vec::new(), Vec::new());
    for rule in all {
        routes.push(Route {
            passes_ambiguous: passes_ambiguous(&rule),
            access: opened("/", rule.access).access,
            ..route(&rule.text())
        });
        if RouteTable::new(routes.clone()).is_ok() {
            rules.push(rule);
        } else {
            routes.pop();
        }
    }
    (rules, RouteTable::new(routes).unwrap())
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
        let (rules, table) = without_conflicts(all, |_| false);
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

#[test]
fn no_ambiguous_path_passes_by_a_rule_when_a_closer_one_may_be_meant() {
    let name = || prop::sample::select(vec!["a", "A", "b", "B"]);
    let some_rule = (
        prop::collection::vec(name(), 0..4),
        prop::sample::select(vec!["", "", "POST"]),
        prop::sample::select(vec!["authenticated", "staff", "public"]),
    );
    let cases = (
        prop::collection::vec(some_rule, 1..7),
        prop::collection::vec(name(), 1..3),
        prop::collection::vec(name(), 1..3),
    );
    let passed = Cell::new(0);
    let outcome = TestRunner::new(Config::with_cases(2_000)).run(&cases, |(all, start, rest)| {
        let all = all.into_iter().map(|(segments, method, access)| Plain {
            host: "",
            method,
            segments,
            has_rest: true,
            access,
        });
        let (rules, table) = without_conflicts(all, Plain::closes);
        let text = format!("/{}//{}", start.join("/"), rest.join("/"));
        let target = RequestTarget::parse(&text.parse().unwrap(), 8192).unwrap();
        let matched = table.find(&RequestFacts {
            path: target.judged_path(),
            ..facts("GET", "", "/")
        });
        if matched.refused_path().is_some() {
            return Ok(());
        }
        let by = matched.route().to_string();
        // The one for everything else has no rule here, and takes no such path.
        let own = rules.iter().find(|rule| rule.text() == by).unwrap();
        let read = Request {
            method: "GET",
            host: "",
            segments: [start, rest].concat(),
        };
        let in_any_case = |own: &str, name: &str| spellings_of(own).contains(&name);
        let closer = rules.iter().find(|rule| {
            rule.closes() && rule.covers(&read, in_any_case) && rule.closeness() < own.closeness()
        });
        prop_assert!(closer.is_none(), "{} passes by {}: {:?}", text, by, closer);
        passed.set(passed.get() + 1);
        Ok(())
    });
    outcome.unwrap();
    assert!(passed.get() > 100, "the test tries nothing: {passed:?}");
}
