use super::*;
use crate::http::folding::fold;
use proptest::prelude::*;

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

fn peer(address: &str) -> Peer {
    Peer {
        address: Some(address.parse().unwrap()),
        tls: false,
    }
}

fn trusted() -> TrustedProxies {
    TrustedProxies::new(
        vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        false,
    )
}

const NEAR: &str = "10.0.0.1:5000";
const FAR: &str = "203.0.113.9:5000";
const UNIX: Peer = Peer {
    address: None,
    tls: false,
};

#[test]
fn trust_is_by_network_whatever_the_spelling() {
    for (address, expected) in [
        ("10.1.2.3:1", true),
        ("[::ffff:10.1.2.3]:1", true),
        ("[fd12::1]:1", true),
        ("11.0.0.1:1", false),
        ("[::ffff:11.0.0.1]:1", false),
        ("[2001:db8::1]:1", false),
    ] {
        assert_eq!(trusted().trusts(&peer(address)), expected, "{address}");
    }
    let mapped = TrustedProxies::new(vec!["::ffff:192.168.0.0/112".parse().unwrap()], false);
    assert!(mapped.trusts(&peer("192.168.7.7:1")));
    assert!(!mapped.trusts(&peer("192.169.7.7:1")));
    assert!(!trusted().trusts(&UNIX));
    assert!(TrustedProxies::new(vec![], true).trusts(&UNIX));
    assert!(!TrustedProxies::default().trusts(&peer("127.0.0.1:1")));
}

#[test]
fn the_client_is_the_right_most_untrusted_address() {
    let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    for (from, lines, expected) in [
        (FAR, &["1.1.1.1"][..], "203.0.113.9"),
        (NEAR, &[], "10.0.0.1"),
        (NEAR, &["1.1.1.1"], "1.1.1.1"),
        (NEAR, &["9.9.9.9, 1.1.1.1"], "1.1.1.1"),
        (NEAR, &["9.9.9.9, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        (NEAR, &["9.9.9.9", "1.1.1.1", "10.0.0.2,\t10.0.0.3 "], "1.1.1.1"),
        (NEAR, &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (NEAR, &["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
        (NEAR, &["1.1.1.1, 10.0.0.2 10.0.0.3"], "10.0.0.1"),
        (NEAR, &["1.1.1.1:8080"], "1.1.1.1"),
        (NEAR, &["[2001:db8::1]:8080"], "2001:db8::1"),
        (NEAR, &["[2001:db8::1]"], "2001:db8::1"),
        (NEAR, &["2001:db8::1"], "2001:db8::1"),
        (NEAR, &["::ffff:1.1.1.1"], "1.1.1.1"),
        (NEAR, &["1.1.1.1, ::ffff:10.0.0.2,,"], "1.1.1.1"),
        ("[::ffff:203.0.113.9]:1", &[], "203.0.113.9"),
    ] {
        let lines: Vec<(&str, &str)> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let found = client(&map(&lines), peer(from), &trusted());
        assert_eq!(found.address, address(expected), "{from} {lines:?}");
    }
    let on_unix = client(
        &map(&[("x-forwarded-for", "1.1.1.1")]),
        UNIX,
        &TrustedProxies::new(vec![], true),
    );
    assert_eq!(
        (on_unix.address, on_unix.trusted_peer),
        (address("1.1.1.1"), true)
    );
    assert_eq!(
        client(&map(&[("x-forwarded-for", "1.1.1.1")]), UNIX, &trusted()).address,
        None
    );
}

#[test]
fn the_scheme_comes_from_the_connection_or_a_trusted_peer() {
    let scheme = |from: Peer, lines: &[(&str, &str)]| client(&map(lines), from, &trusted()).scheme;
    let stated = [("x-forwarded-proto", "https")];
    assert_eq!(scheme(peer(FAR), &stated), "http");
    assert_eq!(
        scheme(
            Peer {
                tls: true,
                ..peer(FAR)
            },
            &[("x-forwarded-proto", "http")]
        ),
        "https"
    );
    assert_eq!(scheme(peer(NEAR), &stated), "https");
    assert_eq!(
        scheme(peer(NEAR), &[("x-forwarded-proto", "https, http")]),
        "http",
        "the nearest proxy's word"
    );
    assert_eq!(scheme(peer(NEAR), &[("x-forwarded-proto", "javascript")]), "http");
}

fn written(from: Peer, lines: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut headers = map(lines);
    let found = client(&headers, from, &trusted());
    let host = "app.example.com".parse().unwrap();
    write_forwarded(
        &mut headers,
        from,
        &found,
        &host,
        &PublicOrigin::parse("https://app.test").unwrap(),
    );
    let mut lines: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    lines.sort();
    lines
}

fn owned(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn an_untrusted_peers_word_is_replaced() {
    let all = [
        ("accept", "*/*"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "127.0.0.2"),
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarded-uri", "/admin"),
        ("x-forwarded-method", "GET"),
        ("x-forwarded-server", "x"),
        ("x-forwarded", "for=1.1.1.1"),
        ("forwarded", "for=1.1.1.1"),
        ("forwarded-for", "1.1.1.1"),
        ("x-original-url", "/admin"),
        ("x-original-uri", "/admin"),
        ("x-original-host", "evil.test"),
        ("x-rewrite-url", "/admin"),
        ("x-real-ip", "127.0.0.1"),
        ("x-client-ip", "127.0.0.1"),
        ("client-ip", "127.0.0.1"),
        ("true-client-ip", "127.0.0.1"),
        ("cf-connecting-ip", "127.0.0.1"),
        ("x-envoy-original-path", "/admin"),
        ("x_forwarded_for", "127.0.0.1"),
        ("x.forwarded.proto", "http"),
        ("x_original_url", "/admin"),
        ("x_real-ip", "127.0.0.1"),
        ("true_client_ip", "127.0.0.1"),
    ];
    let expected = owned(&[
        ("accept", "*/*"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "app.example.com"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
    ]);
    assert_eq!(written(peer(FAR), &all), expected);
    assert_eq!(written(peer(FAR), &[("accept", "*/*")]), expected);
    let without_address: Vec<_> = expected
        .into_iter()
        .filter(|line| line.0 != "x-forwarded-for")
        .collect();
    assert_eq!(
        written(UNIX, &all),
        without_address,
        "an untrusted unix peer has no address to tell"
    );
}

#[test]
fn a_trusted_peers_word_is_kept_and_extended() {
    assert_eq!(
        written(
            peer(NEAR),
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-for", "10.0.0.2"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "other.example.com:81"),
                ("x-forwarded-port", "81"),
                ("x-forwarded-prefix", "/app"),
                ("x-real-ip", "1.1.1.1"),
                ("forwarded", "for=1.1.1.1"),
                ("x_forwarded_for", "127.0.0.1"),
                ("x_real_ip", "127.0.0.1"),
            ],
        ),
        owned(&[
            ("forwarded", "for=1.1.1.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-forwarded-for", "1.1.1.1, 10.0.0.2, 10.0.0.1"),
            ("x-forwarded-host", "other.example.com:81"),
            ("x-forwarded-port", "81"),
            ("x-forwarded-prefix", "/app"),
            ("x-forwarded-proto", "http"),
            ("x-real-ip", "1.1.1.1"),
        ])
    );
    assert_eq!(
        written(
            peer("[fd00::1]:1"),
            &[
                ("forwarded", "for=1.1.1.1"),
                ("x-forwarded-proto", "javascript"),
                ("x-forwarded-host", "a.test"),
                ("x-forwarded-host", "b.test"),
                ("x-forwarded-port", "0"),
            ],
        ),
        owned(&[
            ("forwarded", "for=\"[fd00::1]\""),
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-for", "fd00::1"),
            ("x-forwarded-host", "app.example.com"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
        ])
    );
}

proptest! {
    #[test]
    fn no_twin_of_the_family_survives(
        stem in proptest::sample::select(vec![
            "x-forwarded-for", "x-forwarded-proto", "x-forwarded-prefix", "x-real-ip", "x-original-url",
            "x-rewrite-url", "forwarded-for", "true-client-ip", "x-client-ip",
        ]),
        separators in "[-_.!#$%&'*+^`|~]{4}",
        from_trusted in any::<bool>(),
    ) {
        let mut separators = separators.chars();
        let name: String = stem.chars().map(|c| if c == '-' { separators.next().unwrap() } else { c }).collect();
        let mut headers = map(&[(&name, "spoofed")]);
        let from = peer(if from_trusted { NEAR } else { FAR });
        let found = client(&headers, from, &trusted());
        write_forwarded(&mut headers, from, &found, &"a.test".parse().unwrap(), &PublicOrigin::parse("https://app.test").unwrap());
        for survivor in headers.keys() {
            let folded = fold(survivor.as_str().as_bytes());
            prop_assert_eq!(folded.as_ref(), survivor.as_str().as_bytes(), "only exact spellings");
        }
        if !from_trusted {
            prop_assert!(headers.values().all(|value| value != "spoofed"));
        }
    }
}
