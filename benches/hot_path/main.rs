//! What a signed-in request costs inside the proxy, step by step and as a whole.
//!
//! `cargo bench --bench hot_path`. Allocations are counted beside the times: they say more than nanoseconds do on a
//! machine that others use too.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

mod fixture;
mod whole;

use divan::{AllocProfiler, Bencher, black_box};
use fixture::Fixture;
use http::Version;
use logto_proxy::clock::{Clock, UnixSeconds};
use logto_proxy::http::forwarded::{self, TrustedProxies};
use logto_proxy::http::request_id::write_request_id;
use logto_proxy::http::{RequestTarget, check_framing, cookies, remove_hop_by_hop, request_host};
use logto_proxy::identity::{Claims, ProjectedHeaders};
use logto_proxy::policy::{
    Access, Caller, Condition, Decision, HostPattern, Methods, PathPattern, RequestFacts, Requirement, Route,
    RouteTable, User, decide,
};
use logto_proxy::session::{Cause, Effect, Notice, Presented, Revocations, Scope, SessionView};
use std::sync::atomic::{AtomicU64, Ordering};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The caller's session, opened.
fn open(fixture: &Fixture) -> SessionView {
    match fixture.gate.cookies.open(&fixture.headers, Clock::system().now()) {
        Presented::Session(view, _) => view,
        other => unreachable!("the cookie opens no session: {other:?}"),
    }
}

#[divan::bench]
fn open_session(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    bencher.bench(|| open(black_box(&fixture)));
}

/// Of a session that is not concerned, as nearly all are: nothing in force, one notice, many.
#[divan::bench(args = [0, 1, 10_000])]
fn check_revocations(bencher: Bencher<'_, '_>, notices: u32) {
    let view = open(&Fixture::new());
    let revocations = Revocations::new(20_000);
    for number in 0..notices {
        revocations.apply(&Notice {
            scope: Scope::Subject {
                subject: format!("user-{number}"),
                except: None,
            },
            effect: Effect::End(Cause::BackChannelLogout),
            at: view.signed_in_at(),
            until: view.expires_at(),
        });
    }
    bencher.bench(|| {
        let marks = black_box(&view).marks();
        (
            revocations.ended(&marks),
            revocations.recheck_due(&marks, view.checked_at()),
        )
    });
}

/// Putting the one after so many in force.
#[divan::bench(args = [0, 10_000, 100_000])]
fn revoke(bencher: Bencher<'_, '_>, notices: u64) {
    let revocations = Revocations::new(200_000);
    let next = AtomicU64::new(0);
    let apply = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        revocations.apply(&Notice {
            scope: Scope::LogtoSession(format!("session-{number}")),
            effect: Effect::End(Cause::BackChannelLogout),
            at: UnixSeconds::new(number),
            until: UnixSeconds::new(u64::MAX),
        })
    };
    for _ in 0..notices {
        apply();
    }
    bencher.bench(apply);
}

#[divan::bench]
fn read_the_time(bencher: Bencher<'_, '_>) {
    let clock = Clock::system();
    bencher.bench(|| clock.now());
}

/// Routes of every kind: exact, with a rest, with `*`, by host and by method.
fn routes(count: usize, access: &Access) -> RouteTable {
    let routes = (0..count).map(|number| {
        let (path, host, methods) = match number % 5 {
            0 => (format!("/area-{number}/*"), None, None),
            1 => (format!("/area-{number}/files/report"), None, None),
            2 => (format!("/area-{number}/*/report"), None, None),
            3 => (format!("/area-{number}/*"), Some("*.example.com"), None),
            _ => (format!("/area-{number}/*"), None, Some("GET")),
        };
        Route {
            pattern: PathPattern::parse(&path).unwrap(),
            host: host.map(|host| HostPattern::parse(host).unwrap()),
            methods: Methods::new(methods),
            access: access.clone(),
            ..Route::default()
        }
    });
    RouteTable::new(routes.collect()).unwrap()
}

fn judge(table: &RouteTable, claims: &Claims) -> bool {
    let facts = RequestFacts {
        method: "GET",
        host: "app.example.com",
        path: Ok("/area-0/files/report"),
        address: None,
    };
    let caller = Caller::User(User {
        subject: "u5x9p2mfkq01",
        claims,
        scopes: None,
        organization: None,
        identity: ProjectedHeaders::default(),
    });
    matches!(
        decide(table.find(black_box(&facts)), caller),
        Decision::Forward(_)
    )
}

#[divan::bench(args = [1, 20, 200, 2_000])]
fn decide_among_routes(bencher: Bencher<'_, '_>, count: usize) {
    let table = routes(count, &Access::Authenticated);
    let nothing = Claims::default();
    bencher.bench(|| judge(black_box(&table), &nothing));
}

/// By a role, claims read from the session's JSON as they are for such a route.
#[divan::bench(args = [1, 200])]
fn decide_by_role(bencher: Bencher<'_, '_>, count: usize) {
    let role = Condition::AnyRole(vec!["owner".to_owned(), "admin".to_owned()]);
    let table = routes(count, &Access::Required(Requirement::new(vec![role]).unwrap()));
    let view = open(&Fixture::new());
    bencher.bench(|| judge(black_box(&table), &view.claims()));
}

/// From the opened session to the fields of the request that goes on.
#[divan::bench]
fn tell_who_it_is(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let view = open(&fixture);
    let rules = &fixture.gate.header_rules;
    bencher
        .with_inputs(|| fixture.headers.clone())
        .bench_local_values(|mut headers| {
            view.headers(rules).apply(rules, &mut headers);
            headers
        });
}

#[divan::bench]
fn strip_owned_names(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    bencher
        .with_inputs(|| fixture.headers.clone())
        .bench_local_values(|mut headers| {
            fixture.gate.header_rules.strip(&mut headers);
            headers
        });
}

#[divan::bench]
fn remove_own_cookies(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    bencher
        .with_inputs(|| fixture.headers.clone())
        .bench_local_values(|mut headers| {
            cookies::remove_own(&mut headers, |name| fixture.gate.cookies.is_own(name));
            headers
        });
}

/// What the sanitiser does to an ordinary request, in its order.
#[divan::bench]
fn sanitise(bencher: Bencher<'_, '_>) {
    let fixture = Fixture::new();
    let uri = "/area-0/files/report?page=2".parse().unwrap();
    let trusted = TrustedProxies::new(Vec::new(), false);
    let public = &fixture.gate.sanitizer.public_origin;
    bencher
        .with_inputs(|| fixture.headers.clone())
        .bench_local_values(|mut headers| {
            let target = RequestTarget::parse(black_box(&uri), 8192).unwrap();
            let host = request_host(Version::HTTP_11, &headers, &target).unwrap();
            check_framing(Version::HTTP_11, &headers).unwrap();
            remove_hop_by_hop(&mut headers);
            fixture.gate.header_rules.strip(&mut headers);
            let client = forwarded::client(&headers, fixture::PEER, &trusted);
            forwarded::write_forwarded(&mut headers, fixture::PEER, &client, &host, public);
            let id = write_request_id(&mut headers, client.trusted_peer);
            (headers, target, host, id)
        });
}
