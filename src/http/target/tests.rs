use super::*;
use percent_encoding::percent_decode_str;
use proptest::prelude::*;

fn parse(target: &str) -> Result<RequestTarget, TargetError> {
    RequestTarget::parse(&target.parse::<Uri>().expect("the http crate takes it"), 8192)
}

fn canonical(path: &str) -> Result<String, Ambiguity> {
    parse(path).expect("a target").canonical_path().map(str::to_owned)
}

#[test]
fn honest_paths_have_a_canonical_form() {
    for (raw, expected) in [
        ("/", "/"),
        ("/a/b.html", "/a/b.html"),
        ("/a/", "/a/"),
        (
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration",
        ),
        ("/...", "/..."),
        ("/..a/b../.c./a..b", "/..a/b../.c./a..b"),
        ("/caf%C3%A9", "/café"),
        ("/a%20b", "/a b"),
        ("/%61dmin", "/admin"),
        ("/%e6%97%a5", "/日"),
        (
            "/@scope/a:b/(c)/d,e/$f/!g/'h'/i*j/k+l/m=n/o&p/~q/[id]",
            "/@scope/a:b/(c)/d,e/$f/!g/'h'/i*j/k+l/m=n/o&p/~q/[id]",
        ),
        ("/a?next=https://x//y/..;/%2f%zz\\", "/a"),
    ] {
        assert_eq!(canonical(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn paths_that_someone_reads_differently_have_none() {
    use Ambiguity::*;
    for (raw, expected) in [
        ("/.", DotSegment),
        ("/..", DotSegment),
        ("/./", DotSegment),
        ("/public/../admin", DotSegment),
        ("/public/.", DotSegment),
        ("/public/..", DotSegment),
        ("/public/..?x", DotSegment),
        ("//admin", EmptySegment),
        ("//evil.test/x", EmptySegment),
        ("/a//b", EmptySegment),
        ("/a//", EmptySegment),
        ("/public\\..\\admin", Backslash),
        ("/\\evil.test", Backslash),
        ("/public/..;/admin", Semicolon),
        ("/a;jsessionid=1", Semicolon),
        ("/public/%2e%2e/admin", EscapedDelimiter),
        ("/public/%2E/admin", EscapedDelimiter),
        ("/public/.%2e/admin", EscapedDelimiter),
        ("/public%2f..%2fadmin", EscapedDelimiter),
        ("/public%5cadmin", EscapedDelimiter),
        ("/public/%252e%252e/admin", EscapedDelimiter),
        ("/a%3bb", EscapedDelimiter),
        ("/admin%23/public", EscapedDelimiter),
        ("/admin%3F/public", EscapedDelimiter),
        ("/public/%00/../admin", DotSegment),
        ("/public/%00", Control),
        ("/a%0d%0ab", Control),
        ("/a%7f", Control),
        ("/a%C2%85b", Control),
        ("/%", InvalidEscape),
        ("/%2", InvalidEscape),
        ("/%zz", InvalidEscape),
        ("/%u002e", InvalidEscape),
        ("/% 20", Unescaped),
        ("/%ff", NotUtf8),
        ("/%c0%ae%c0%ae/", NotUtf8),
        ("/%ed%a0%80", NotUtf8),
        ("/caf\u{e9}", NonAscii),
        ("/\"", Unescaped),
        ("/{a}", Unescaped),
        ("/a|b", Unescaped),
        ("/a^b", Unescaped),
        ("/`", Unescaped),
    ] {
        if let Ok(uri) = Uri::try_from(raw) {
            let target = RequestTarget::parse(&uri, 8192).expect("a target");
            assert_eq!(target.canonical_path(), Err(expected), "{raw}");
            let query = raw.split_once('?');
            assert_eq!(
                target.raw_path(),
                query.map_or(raw, |(path, _)| path),
                "forwarded as received"
            );
        } else {
            assert!(
                matches!(canonicalise(raw), Canonical::Ambiguous(found) if found == expected),
                "{raw}"
            );
        }
    }
    for raw in ["/<", "/>", "/a b", "/a\tb", "/a\u{0}"] {
        assert!(
            matches!(canonicalise(raw), Canonical::Ambiguous(Unescaped | Control)),
            "{raw}"
        );
    }
}

#[test]
fn only_origin_form_and_http_absolute_form_pass() {
    use TargetError::*;
    for (target, expected) in [
        ("*", AsteriskForm),
        ("x", AuthorityForm),
        ("example.com:443", AuthorityForm),
        ("ftp://example.com/", Scheme),
        ("ws://example.com/", Scheme),
        ("http://user@example.com/", UserInformation),
        ("http://user:secret@example.com/", UserInformation),
    ] {
        assert_eq!(parse(target).map(|_| ()), Err(expected), "{target}");
    }
    if let Ok(uri) = Uri::try_from("javascript:alert(1)") {
        assert!(RequestTarget::parse(&uri, 8192).is_err());
    }
    for (target, forwarded) in [
        ("http://Example.com", "/"),
        ("http://example.com/", "/"),
        ("https://example.com:8443/a?b", "/a?b"),
        ("http://example.com?q", "/?q"),
    ] {
        let parsed = parse(target).expect(target);
        assert_eq!(parsed.path_and_query().as_str(), forwarded, "{target}");
        assert!(parsed.authority().is_some(), "{target}");
    }
    let parsed = parse("/a/b?c=d&e").expect("origin-form");
    assert_eq!((parsed.raw_path(), parsed.query()), ("/a/b", Some("c=d&e")));
    assert!(parsed.authority().is_none());
}

#[test]
fn the_limit_counts_every_byte() {
    for (target, bytes) in [("/12345?789", 10), ("http://a.b/cd?e", 15)] {
        let uri: Uri = target.parse().unwrap();
        assert!(RequestTarget::parse(&uri, bytes).is_ok(), "{target}");
        assert_eq!(
            RequestTarget::parse(&uri, bytes - 1).map(|_| ()),
            Err(TargetError::TooLong),
            "{target}"
        );
    }
}

/// RFC 3986 §5.2.4, as servers do it.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let last = segments.len() - 1;
    for (index, segment) in segments.iter().enumerate() {
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if index == last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// However another party decodes, normalises or cuts the forwarded path, in whatever order, it gets what was judged.
    #[test]
    fn no_normaliser_reads_another_path(
        path in "(/a|/b%61|/%C3%A9|/c.d|/..e|~|/|\\.|\\.\\.|;|\\\\|a|b c|%2e|%2F|%5c|%25|%61|%C3%A9|%00|%3b|%ff|%C2|é|%|2|\\||admin|\u{ff0e}|[ -~]){0,12}"
    ) {
        let path = format!("/{path}");
        let Ok(uri) = Uri::try_from(path.as_str()) else { return Ok(()) };
        let target = RequestTarget::parse(&uri, 8192).unwrap();
        let Ok(judged) = target.canonical_path() else { return Ok(()) };
        let raw = target.raw_path();

        prop_assert_eq!(decoded(raw), judged, "decoding once");
        prop_assert_eq!(decoded(&decoded(raw)), judged, "decoding twice");
        prop_assert_eq!(remove_dot_segments(&decoded(raw)), judged, "decode, then dots");
        prop_assert_eq!(decoded(&remove_dot_segments(raw)), judged, "dots, then decode");
        prop_assert_eq!(decoded(raw).replace('\\', "/"), judged, "Windows");
        prop_assert_eq!(decoded(raw).replace("//", "/"), judged, "merged slashes");
        for cut in [';', '?', '#', '\0'] {
            let whole = decoded(raw);
            prop_assert_eq!(whole.split(cut).next().unwrap(), judged, "cut at {:?}", cut);
        }
        let browser = url::Url::parse("http://h.test").unwrap().join(raw).unwrap();
        prop_assert_eq!(browser.host_str(), Some("h.test"));
        prop_assert_eq!(decoded(browser.path()), judged, "WHATWG");
        let segments = |text: &str| text.split('/').count();
        prop_assert_eq!(segments(raw), segments(judged), "same number of segments");
    }

    #[test]
    fn nothing_panics(target in "[ -~]{0,40}", limit in 0_usize..60) {
        if let Ok(uri) = Uri::try_from(target.as_str())
            && let Ok(parsed) = RequestTarget::parse(&uri, limit)
        {
            prop_assert!(target.len() <= limit || target.contains('#'));
            prop_assert!(parsed.path_and_query().as_str().starts_with('/'));
            let _ = parsed.canonical_path();
        }
    }
}
