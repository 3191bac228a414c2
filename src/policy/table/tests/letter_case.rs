//! What closes holds in any letter case, and what opens to the letter.

mod random;

use super::super::super::caller::{Caller, User};
use super::super::super::decide::{Decision, Reason, decide, permit_preflight};
use super::*;
use crate::http::cors::Preflight;
use crate::identity::{Claims, ProjectedHeaders};
use ::http::{HeaderMap, HeaderValue, Method};

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
