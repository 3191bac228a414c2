//! Row by row: `table.txt` says what becomes of which request by the routes of `routes.toml`, for the callers of `callers.json`
//! and two programs.

use logto_proxy::clock::Clock;
use logto_proxy::config::{self, Environment};
use logto_proxy::http::RequestTarget;
use logto_proxy::identity::{Claims, ProjectedHeaders};
use logto_proxy::live::{self, Compiled};
use logto_proxy::policy::{Caller, Decision, Machine, Reason, RequestFacts, User, decide};
use logto_proxy::tasks::Tasks;
use logto_proxy::telemetry::Metrics;
use serde_json::Value;

const TABLE: &str = include_str!("table.txt");
const ROUTES: &str = include_str!("routes.toml");
const CALLERS: &str = include_str!("callers.json");

const SCOPES: &str = "[\"profile\", \"email\", \"roles\", \"urn:logto:scope:organizations\", \
                      \"urn:logto:scope:organization_roles\", \"identities\", \"custom_data\"]";

fn compiled(routes: &str) -> Compiled {
    let text = format!(
        "public_url = \"https://app.example.com\"\nupstream = \"http://127.0.0.1:9\"\n[logto]\n\
         endpoint = \"https://tenant.example.com\"\napp_id = \"a\"\napp_secret = \"0123456789abcdef\"\nscopes = {SCOPES}\n\
         [session]\nkeys = [\"{}\"]\n{routes}",
        crate::support::proxy::SESSION_KEY
    );
    let config =
        config::parse_str("rules.toml", &text, Environment::default()).unwrap_or_else(|e| panic!("{e}"));
    live::compile(&config, Clock::system(), &Tasks::new(), &Metrics::new()).unwrap()
}

/// What becomes of `METHOD host/path` for a caller, as the table words it.
fn verdict(compiled: &Compiled, request: &str, caller: &str) -> String {
    let (method, place) = request.split_once(' ').unwrap();
    let (host, target) = place.split_at(place.find('/').unwrap());
    let target = RequestTarget::parse(&target.parse().unwrap(), 8192).unwrap();
    let (name, address) = match caller.split_once(" at the office") {
        Some((name, _)) => (name, "10.1.2.3"),
        None => (caller, "203.0.113.9"),
    };
    let facts = RequestFacts {
        method,
        host: if host.is_empty() { "app.example.com" } else { host },
        path: target.judged_path(),
        address: Some(address.parse().unwrap()),
    };
    let everybody: Value = serde_json::from_str(CALLERS).unwrap();
    let (name, token_for) = match name.split_once(" with a token for ") {
        Some((name, organization)) => (name, Some(organization)),
        None => (name.trim_end_matches(" with a token"), None),
    };
    let claims = everybody
        .get(name)
        .map(|claims| Claims::from_json(claims.to_string().as_bytes()).unwrap());
    // As a session keeps them.
    let claims = claims.map(|claims| claims.keep_only(&compiled.gate.rechecks.kept_claims));
    let (read, write) = ("read".to_owned(), "write".to_owned());
    let (one, both) = ([read.clone()], [read, write]);
    let machine = |organization| Machine {
        client_id: "job",
        scopes: if organization == Some("org1") { &one } else { &both },
        organization,
        identity: ProjectedHeaders::default(),
    };
    let judged_as = match (&claims, name) {
        (Some(claims), subject) => Caller::User(User {
            subject,
            claims,
            scopes: caller.contains("with a token").then_some(&one[..]),
            organization: token_for,
            identity: ProjectedHeaders::default(),
        }),
        (None, "nobody") => Caller::Nobody,
        (None, "job") => Caller::Machine(machine(None)),
        (None, "orgjob") => Caller::Machine(Machine {
            client_id: "orgjob",
            ..machine(Some("org1"))
        }),
        (None, other) => panic!("who is {other}?"),
    };
    match decide(compiled.gate.routes.find(&facts), judged_as) {
        Decision::Forward(permit) if permit.identity().is_some() => "passes".to_owned(),
        Decision::Forward(_) => "passes unseen".to_owned(),
        Decision::SignIn(_) => "sign-in".to_owned(),
        Decision::Refuse(refusal) => match refusal.reason {
            Reason::Unmet(unmet) => format!("refused: {}", unmet.condition.key()),
            Reason::Ambiguous(_) => "refused: ambiguous".to_owned(),
        },
    }
}

#[test]
fn every_row_of_the_table_is_so() {
    let compiled = compiled(ROUTES);
    let mut rows = 0;
    let mut wrong = Vec::new();
    for line in TABLE
        .lines()
        .skip(1)
        .filter(|line| line.contains(" | ") && !line.starts_with('#'))
    {
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [request, caller, expected] = cells[..] else {
            panic!("{line}")
        };
        let found = verdict(&compiled, request, caller);
        rows += 1;
        if found != expected {
            wrong.push(format!("{line}\n    but: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 200, "{rows}");
}

#[test]
fn every_route_decides_some_row() {
    let compiled = compiled(ROUTES);
    let mut deciding = std::collections::BTreeSet::new();
    for line in TABLE
        .lines()
        .skip(1)
        .filter(|line| line.contains(" | ") && !line.starts_with('#'))
    {
        let (method, place) = line.split(" | ").next().unwrap().trim().split_once(' ').unwrap();
        let (host, target) = place.split_at(place.find('/').unwrap());
        let target = RequestTarget::parse(&target.parse().unwrap(), 8192).unwrap();
        let facts = RequestFacts {
            method,
            host,
            path: target.judged_path(),
            address: None,
        };
        deciding.insert(compiled.gate.routes.find(&facts).route().to_string());
    }
    let all = compiled.gate.routes.iter().map(ToString::to_string).collect();
    assert_eq!(deciding, all);
}
