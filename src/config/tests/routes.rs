//! `[[route]]`: which ones are in each other's way, and what is said about those that may not be meant.

use super::access::{route, with_identities};
use super::*;

#[test]
fn what_a_rule_leans_on_is_said_when_it_is_weak() {
    for (config, said) in [
        (
            route("access = { email = [\"a@example.com\"] }"),
            "add \"identities\"",
        ),
        (
            route("access = { email_domain = [\"example.com\"] }"),
            "did not verify",
        ),
        (
            with_identities("access = { email = [\"a@example.com\"] }"),
            "other social connectors",
        ),
        (
            with_identities("access = { hf_org = [\"x\"] }"),
            "who has left the organization",
        ),
        (route("access = { scope = [\"x\"] }"), "add bearer = true"),
        (route("access = { ip = [\"0.0.0.0/0\"] }"), "every address"),
        (
            route("host = \"app.example.com\"\naccess = \"public\""),
            "the client's choice",
        ),
        (
            route("host = \"app.example.com\"\naccess = \"optional\""),
            "the client's choice",
        ),
        (route("host = \"other.example.com\""), "no session there"),
        (route("host = \"*.app.example.org\""), "no session there"),
        (
            route("access = \"public\"\nunauthenticated = \"401\""),
            "no effect",
        ),
    ] {
        let warnings = config.unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{said}: {warnings:?}");
        assert!(
            warnings[0].contains(said) && warnings[0].contains("/a/*"),
            "{warnings:?}"
        );
    }
    for lines in [
        "access = { any_role = [\"x\"] }",
        "host = \"APP.example.com.\"",
        "host = \"*.example.com\"",
        "access = { sub = [\"x\"] }",
    ] {
        assert_eq!(route(lines).unwrap().warnings, Vec::<String>::new(), "{lines}");
    }
}

#[test]
fn routes_that_cover_the_same_are_named_with_their_lines() {
    let two = |first: &str, second: &str| with("", &format!("[[route]]\n{first}\n[[route]]\n{second}\n"));
    for (first, second, said) in [
        ("path = \"/a\"", "path = \"/a\"", "/a, as does the one of line 13"),
        ("path = \"/*/a/*\"", "path = \"/*/a/*\"", "/*/a/*, as does"),
        (
            "path = \"/a\"\nmethods = [\"GET\", \"PUT\"]",
            "path = \"/a\"\nmethods = [\"PUT\"]",
            "PUT /a, as does the one of line 13",
        ),
        (
            "path = \"/a\"\nmethods = [\"GET\"]",
            "path = \"/a\"\nmethods = [\"HEAD\"]",
            "HEAD /a, as does",
        ),
        (
            "path = \"/a\"\nhost = \"x.example.com\"\naccess = \"public\"",
            "path = \"/a\"\nhost = \"X.example.com.\"",
            "x.example.com/a, as does",
        ),
    ] {
        let errors = two(first, second).expect_err(second);
        assert_eq!(errors.errors().len(), 1, "{errors}");
        assert!(errors.to_string().contains(said), "{errors}");
    }
    for (first, second) in [
        ("path = \"/a\"", "path = \"/a\"\nmethods = \"GET\""),
        (
            "path = \"/a\"\nmethods = \"POST\"",
            "path = \"/a\"\nmethods = \"GET\"",
        ),
        ("path = \"/a\"", "path = \"/a/*\""),
        ("path = \"/a\"", "path = \"/a/\""),
        ("path = \"/a\"", "path = \"/a\"\nhost = \"app.example.com\""),
        ("path = \"/a/*\"", "path = \"/*/a\""),
    ] {
        assert!(two(first, second).is_ok(), "{first} and {second}");
    }
}

#[test]
fn a_route_has_an_upstream_of_its_own_or_the_first_one() {
    let config = |top: &str, lines: &str| with(top, &format!("[[route]]\npath = \"/a/*\"\n{lines}"));
    let upstream = |top: &str, lines: &str| {
        let mut config = config(top, lines).unwrap_or_else(|errors| panic!("{errors}"));
        let route = config.routes.remove(0);
        (route.upstream.to_string(), route.upstream_host)
    };
    let of = |text: &str| ::http::HeaderValue::from_str(text).unwrap();
    let first = "http://127.0.0.1:8080";
    assert_eq!(upstream("", ""), (first.to_owned(), UpstreamHost::Keep));
    for address in ["http://10.0.0.1", "https://b.example", "unix:/run/b.sock"] {
        let line = format!("upstream = \"{address}\"");
        assert_eq!(upstream("", &line), (address.to_owned(), UpstreamHost::Keep));
    }
    let rewrite = "upstream_host = \"rewrite\"";
    assert_eq!(
        upstream(rewrite, "").1,
        UpstreamHost::Rewrite(of("127.0.0.1:8080"))
    );
    let other = "upstream = \"http://b.example:81\"";
    assert_eq!(
        upstream(rewrite, other).1,
        UpstreamHost::Rewrite(of("b.example:81"))
    );
    assert_eq!(
        upstream(rewrite, &format!("{other}\nupstream_host = \"keep\"")).1,
        UpstreamHost::Keep
    );
    for (top, lines, key, said) in [
        (
            "",
            "upstream = \"127.0.0.1:1\"",
            "route.upstream",
            "expected http",
        ),
        ("", "upstream = \"\"", "route.upstream", "expected http"),
        (
            "",
            "upstream = \"http://b/path\"",
            "route.upstream",
            "without a path",
        ),
        (
            "",
            "upstream = \"http://127.0.0.1:3000\"",
            "route.upstream",
            "proxy itself",
        ),
        (
            "",
            "upstream_host = \"a b\"",
            "route.upstream_host",
            "expected `keep`",
        ),
        (
            rewrite,
            "upstream = \"unix:/run/b.sock\"",
            "route.upstream_host",
            "no host",
        ),
        ("", "timeout = \"0s\"", "route.timeout", "from 1ms to 1d"),
        ("", "timeout = \"2d\"", "route.timeout", "from 1ms to 1d"),
        ("", "timeout = 5", "route.timeout", "unit"),
    ] {
        let errors = config(top, lines).unwrap_err();
        let error = &errors.errors()[0];
        assert_eq!((errors.errors().len(), error.key()), (1, key), "{errors}");
        assert!(
            error.problem().contains(said) || error.help().is_some_and(|help| help.contains(said)),
            "{errors}"
        );
    }
}

#[test]
fn what_a_route_changes_of_requests_fits_its_path() {
    let config = |path: &str, lines: &str| with("", &format!("[[route]]\npath = \"{path}\"\n{lines}"));
    let rewrite = |path: &str, lines: &str| {
        let config = config(path, lines).unwrap_or_else(|errors| panic!("{errors}"));
        let rewrite = config.routes[0].rewrite.clone().unwrap();
        (rewrite.segments, rewrite.beginning, rewrite.stripped)
    };
    let made = |segments, beginning: &str, stripped: Option<&str>| {
        (segments, beginning.to_owned(), stripped.map(str::to_owned))
    };
    for (path, lines, expected) in [
        ("/a/b/*", "strip_prefix = \"/a\"", made(1, "/", Some("/a"))),
        ("/a/b", "strip_prefix = \"/a/b\"", made(2, "/", Some("/a/b"))),
        ("/a/b/*", "rewrite = \"/c\"", made(2, "/c", None)),
        ("/a/b/*", "rewrite = \"/\"", made(2, "/", None)),
        ("/*", "rewrite = \"/c\"", made(0, "/c", None)),
        ("/a", "rewrite = \"/c/\"", made(1, "/c/", None)),
        (
            "/a/*/c",
            "strip_prefix = \"/a\"\nrewrite = \"/d\"",
            made(1, "/d", None),
        ),
    ] {
        assert_eq!(rewrite(path, lines), expected, "{path} {lines}");
    }
    for (path, lines, key, said) in [
        (
            "/a/*",
            "strip_prefix = \"/b\"",
            "route.strip_prefix",
            "does not begin",
        ),
        (
            "/ab/*",
            "strip_prefix = \"/a\"",
            "route.strip_prefix",
            "does not begin",
        ),
        (
            "/a/*",
            "strip_prefix = \"/a/\"",
            "route.strip_prefix",
            "final `/`",
        ),
        ("/a/*", "strip_prefix = \"/\"", "route.strip_prefix", "final `/`"),
        ("/a/*", "strip_prefix = \"/a/*\"", "route.strip_prefix", "no `*`"),
        (
            "/a/*",
            "strip_prefix = \"/a%20\"",
            "route.strip_prefix",
            "decoded",
        ),
        (
            "/a/*",
            "strip_prefix = \"/a/../b\"",
            "route.strip_prefix",
            "segment",
        ),
        ("/a/*", "rewrite = \"/b/\"", "route.rewrite", "final `/`"),
        ("/a/*", "rewrite = \"/b/*\"", "route.rewrite", "no `*`"),
        ("/a/*", "rewrite = \"b\"", "route.rewrite", "begins with"),
        ("/a/*", "rewrite = \"/../b\"", "route.rewrite", "segment"),
        ("/a/*/b", "rewrite = \"/c\"", "route.rewrite", "lost"),
        (
            "/a",
            "set_headers = \"x\"",
            "route.set_headers",
            "expected a table",
        ),
        (
            "/a",
            "set_headers = { \"Host\" = \"x\" }",
            "route.set_headers.Host",
            "depends on",
        ),
        (
            "/a",
            "set_headers = { \"TE\" = \"x\" }",
            "route.set_headers.TE",
            "depends on",
        ),
        (
            "/a",
            "set_headers = { \"a b\" = \"x\" }",
            "route.set_headers.a b",
            "not a header",
        ),
        (
            "/a",
            "set_headers = { \"X-A\" = \"\u{e9}\" }",
            "route.set_headers.X-A",
            "ASCII",
        ),
        (
            "/a",
            "set_headers = { \"X-A\" = \"1\", \"x_a\" = \"2\" }",
            "route.set_headers.x_a",
            "same header",
        ),
    ] {
        let errors = config(path, lines).unwrap_err();
        let error = &errors.errors()[0];
        assert_eq!((errors.errors().len(), error.key()), (1, key), "{errors}");
        let told = format!("{} {}", error.problem(), error.help().unwrap_or_default());
        assert!(told.contains(said), "{errors}");
    }
}

#[test]
fn ambiguous_paths_pass_only_where_that_is_safe_and_of_use() {
    let config = |path: &str, lines: &str| with("", &format!("[[route]]\npath = \"{path}\"\n{lines}"));
    let passes = |lines: &str| config("/a/*", lines).map(|config| config.routes[0].passes_ambiguous);
    assert!(!passes("").unwrap() && !passes("ambiguous_path = \"refuse\"\naccess = \"public\"").unwrap());
    let pass = "ambiguous_path = \"pass\"";
    assert!(passes(pass).unwrap() && passes(&format!("{pass}\naccess = {{ any_role = [\"x\"] }}")).unwrap());
    for (path, lines, said) in [
        ("/a/*", "access = \"public\"", "without a session"),
        ("/a/*", "access = \"optional\"", "without a session"),
        ("/a/*", "strip_prefix = \"/a\"", "leave strip_prefix"),
        ("/a/*", "rewrite = \"/b\"", "leave strip_prefix"),
        ("/a", "", "no effect"),
        ("/a/*/b", "", "no effect"),
    ] {
        let errors = config(path, &format!("{pass}\n{lines}")).unwrap_err();
        let error = &errors.errors()[0];
        assert_eq!(
            (errors.errors().len(), error.key()),
            (1, "route.ambiguous_path"),
            "{errors}"
        );
        let told = format!("{} {}", error.problem(), error.help().unwrap_or_default());
        assert!(told.contains(said), "{errors}");
    }
    let errors = passes("ambiguous_path = \"raw\"").unwrap_err();
    assert_eq!(errors.errors()[0].key(), "route.ambiguous_path");
}
