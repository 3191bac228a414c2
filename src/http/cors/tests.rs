use super::*;

fn map(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

fn rules(origins: &[&str]) -> CorsRules {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let patterns = origins.iter().map(|text| OriginPattern::parse(text).unwrap());
    CorsRules {
        origins: (origins != ["*"]).then(|| patterns.collect()),
        methods: texts(&["GET", "POST"]),
        headers: Some(texts(&["Content-Type", "X-Trace"])),
        expose: Vec::new(),
        credentials: false,
        max_age: Duration::from_secs(600),
    }
}

fn policy(rules: CorsRules) -> Arc<CorsPolicy> {
    Arc::new(CorsPolicy::new(rules).unwrap())
}

/// The answer to a preflight, as lines in the order of their names.
fn preflight(policy: &CorsPolicy, lines: &[(&str, &str)]) -> Result<Vec<String>, Forbidden> {
    let headers = map(lines);
    let preflight = Preflight::of(&Method::OPTIONS, &headers, false).expect("a preflight");
    policy.preflight(&preflight).map(|fields| shown(&fields))
}

fn shown(headers: &HeaderMap) -> Vec<String> {
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort_unstable();
    lines
}

const SITE: &str = "https://www.example.com";

#[test]
fn an_origin_has_one_spelling() {
    for text in [
        SITE,
        "http://localhost:5173",
        "https://[2001:db8::1]:8443",
        "https://xn--mnchen-3ya.example",
        "chrome-extension://abcdefghijklmnop",
        "capacitor://localhost",
        "https://*.example.com",
        "https://*.example.com:8443",
        "null",
    ] {
        assert_eq!(OriginPattern::parse(text).unwrap().to_string(), text);
    }
    for (text, right) in [
        ("https://www.example.com/", SITE),
        ("https://WWW.example.com", SITE),
        ("HTTPS://www.example.com", SITE),
        ("https://www.example.com:443", SITE),
        ("https://www.example.com/app?x", SITE),
        ("https://*.Example.com", "https://*.example.com"),
        ("https://*.example.com/", "https://*.example.com"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
    ] {
        let wrong = OriginPattern::parse(text);
        assert_eq!(wrong, Err(OriginError::Spelling(right.to_owned())), "{text}");
    }
    for text in [
        "",
        "*",
        "www.example.com",
        "https://",
        "https:www.example.com",
        "//www.example.com",
        "NULL",
        "https://user@www.example.com",
        "https://a b",
        "ftp ://x",
        "app://",
        "app://a/b",
        "App://a",
    ] {
        assert_eq!(OriginPattern::parse(text), Err(OriginError::Malformed), "{text}");
    }
    for text in [
        "https://*",
        "https://*.com",
        "https://*.localhost",
        "https://*.192.0.2.1",
        "https://a.*.example.com",
        "https://*x.example.com",
        "https://*.*.example.com",
        "app://*.example.com",
        "https://*.[::1]",
    ] {
        assert!(OriginPattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn no_origin_passes_for_another() {
    for (pattern, origin, covered) in [
        (SITE, SITE, true),
        (SITE, "https://www.example.com.evil.test", false),
        (SITE, "https://www.example.co", false),
        (SITE, "http://www.example.com", false),
        (SITE, "https://www.example.com:8443", false),
        (SITE, "https://WWW.EXAMPLE.COM", false),
        (SITE, "null", false),
        (SITE, "", false),
        ("https://*.example.com", "https://a.example.com", true),
        ("https://*.example.com", "https://a.b.example.com", true),
        ("https://*.example.com", "https://example.com", false),
        ("https://*.example.com", "https://.example.com", false),
        ("https://*.example.com", "https://evilexample.com", false),
        ("https://*.example.com", "https://evil.test/.example.com", false),
        ("https://*.example.com", "https://evil.test:1.example.com", false),
        ("https://*.example.com", "https://evil.test#.example.com", false),
        ("https://*.example.com", "https://evil.test@a.example.com", false),
        ("https://*.example.com", "https://a.example.com:8443", false),
        ("https://*.example.com", "http://a.example.com", false),
        ("https://*.example.com:8443", "https://a.example.com:8443", true),
        ("null", "null", true),
        ("null", "", false),
    ] {
        let pattern = OriginPattern::parse(pattern).unwrap();
        assert_eq!(pattern.covers(origin.as_bytes()), covered, "{pattern} {origin}");
    }
}

#[test]
fn plain_origins_are_known() {
    for (origin, plain) in [
        ("http://www.example.com", true),
        ("http://*.example.com", true),
        ("http://192.0.2.1:8080", true),
        ("http://localhost:5173", false),
        ("http://app.localhost", false),
        ("http://127.0.0.1:3000", false),
        ("http://[::1]:3000", false),
        (SITE, false),
        ("null", false),
    ] {
        assert_eq!(
            OriginPattern::parse(origin).unwrap().is_plain(),
            plain,
            "{origin}"
        );
    }
}

#[test]
fn a_preflight_is_what_browsers_send_and_nothing_else() {
    let origin = ("origin", SITE);
    let asks = ("access-control-request-method", "POST");
    let is = |method: Method, lines: &[(&str, &str)], has_body: bool| {
        Preflight::of(&method, &map(lines), has_body).is_some()
    };
    assert!(is(Method::OPTIONS, &[origin, asks], false));
    assert!(is(
        Method::OPTIONS,
        &[("origin", "null"), ("access-control-request-method", "BREW")],
        false
    ));
    for (what, method, lines, has_body) in [
        ("another method", Method::GET, &[origin, asks][..], false),
        ("a body", Method::OPTIONS, &[origin, asks], true),
        ("no origin", Method::OPTIONS, &[asks], false),
        ("two origins", Method::OPTIONS, &[origin, origin, asks], false),
        ("no method asked for", Method::OPTIONS, &[origin], false),
        ("two", Method::OPTIONS, &[origin, asks, asks], false),
        (
            "no method's name",
            Method::OPTIONS,
            &[origin, ("access-control-request-method", "A B")],
            false,
        ),
        (
            "nothing",
            Method::OPTIONS,
            &[origin, ("access-control-request-method", "")],
            false,
        ),
        (
            "another method by a field",
            Method::OPTIONS,
            &[origin, asks, ("x_http_method_override", "DELETE")],
            false,
        ),
        (
            "cookies",
            Method::OPTIONS,
            &[origin, asks, ("cookie", "a=b")],
            false,
        ),
        (
            "a token",
            Method::OPTIONS,
            &[origin, asks, ("authorization", "Bearer x")],
            false,
        ),
    ] {
        assert!(!is(method, lines, has_body), "{what}");
    }
}

#[test]
fn a_preflight_is_answered_by_the_lists() {
    let policy = policy(rules(&[SITE, "https://*.example.org"]));
    let ask = |origin, method, headers| {
        let lines = [
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
        ];
        preflight(&policy, &lines)
    };
    let expected = |origin: &str| {
        vec![
            "access-control-allow-headers: content-type, x-trace".to_owned(),
            "access-control-allow-methods: GET, POST".to_owned(),
            format!("access-control-allow-origin: {origin}"),
            "access-control-max-age: 600".to_owned(),
            "vary: Origin".to_owned(),
        ]
    };
    assert_eq!(ask(SITE, "POST", ""), Ok(expected(SITE)));
    assert_eq!(ask(SITE, "POST", "x-trace,Content-Type, "), Ok(expected(SITE)));
    assert_eq!(
        ask("https://a.example.org", "GET", ""),
        Ok(expected("https://a.example.org"))
    );
    assert_eq!(ask("https://evil.test", "POST", ""), Err(Forbidden::Origin));
    assert_eq!(ask("null", "POST", ""), Err(Forbidden::Origin));
    assert_eq!(ask("*", "POST", ""), Err(Forbidden::Origin));
    assert_eq!(ask(SITE, "DELETE", ""), Err(Forbidden::Method));
    assert_eq!(ask(SITE, "post", ""), Err(Forbidden::Method));
    assert_eq!(
        ask(SITE, "POST", "x-trace, authorization"),
        Err(Forbidden::Headers)
    );
    assert_eq!(ask(SITE, "POST", "x trace"), Err(Forbidden::Headers));
}

#[test]
fn any_header_is_named_and_never_a_star() {
    let policy = policy(CorsRules {
        headers: None,
        credentials: true,
        ..rules(&[SITE])
    });
    let mut lines = vec![("origin", SITE), ("access-control-request-method", "GET")];
    let fields = preflight(&policy, &lines).unwrap();
    assert!(
        !fields.iter().any(|line| line.contains("allow-headers")),
        "{fields:?}"
    );
    lines.push(("access-control-request-headers", "Authorization,x-a"));
    let fields = preflight(&policy, &lines).unwrap();
    assert!(fields.contains(&"access-control-allow-headers: authorization, x-a".to_owned()));
    assert!(fields.contains(&"access-control-allow-credentials: true".to_owned()));
}

#[test]
fn credentials_are_for_named_origins() {
    for origins in [&["*"][..], &["null"], &[SITE, "null"]] {
        let rules = CorsRules {
            credentials: true,
            ..rules(origins)
        };
        assert!(
            matches!(CorsPolicy::new(rules), Err(CorsError::Credentials)),
            "{origins:?}"
        );
    }
}

#[test]
fn an_answer_says_it_once_whatever_the_app_says() {
    let theirs = [
        ("Access-Control-Allow-Origin", "*"),
        ("access-control-allow-origin", "https://evil.test"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PURGE"),
        ("access-control-allow-headers", "*"),
        ("access-control-expose-headers", "x-secret"),
        ("access-control-max-age", "9"),
        ("access-control-allow-private-network", "true"),
        ("vary", "Accept-Encoding"),
        ("x-other", "kept"),
    ];
    let listed = policy(CorsRules {
        expose: vec!["X-Total".to_owned()],
        credentials: true,
        ..rules(&[SITE])
    });
    let told = |policy: &Arc<CorsPolicy>, request: &[(&str, &str)]| {
        let mut answer = map(&theirs);
        policy.grant(&map(request)).apply(&mut answer);
        shown(&answer)
    };
    assert_eq!(
        told(&listed, &[("origin", SITE)]),
        [
            "access-control-allow-credentials: true",
            "access-control-allow-origin: https://www.example.com",
            "access-control-expose-headers: X-Total",
            "vary: Accept-Encoding",
            "vary: Origin",
            "x-other: kept",
        ]
    );
    // A cache must not keep for the listed origin what it got without one.
    let nothing = ["vary: Accept-Encoding", "vary: Origin", "x-other: kept"];
    assert_eq!(told(&listed, &[("origin", "https://evil.test")]), nothing);
    assert_eq!(told(&listed, &[("origin", "null")]), nothing);
    assert_eq!(told(&listed, &[("origin", SITE), ("origin", SITE)]), nothing);
    assert_eq!(told(&listed, &[]), nothing);
    let any = policy(rules(&["*"]));
    let open = [
        "access-control-allow-origin: *",
        "vary: Accept-Encoding",
        "x-other: kept",
    ];
    assert_eq!(told(&any, &[("origin", SITE)]), open);
}

#[test]
fn vary_is_said_once() {
    for said in ["origin", "Accept, ORIGIN", "*"] {
        let mut answer = map(&[("vary", said)]);
        policy(rules(&[SITE])).grant(&HeaderMap::new()).apply(&mut answer);
        assert_eq!(shown(&answer), [format!("vary: {said}")]);
    }
}
