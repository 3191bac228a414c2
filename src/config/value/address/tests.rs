use super::*;

#[test]
fn public_urls() {
    let url = PublicUrl::parse("https://App.Example.com:443/").unwrap();
    assert_eq!(
        (url.origin(), url.authority(), url.port()),
        ("https://app.example.com", "app.example.com", 443)
    );
    assert_eq!(url.url_of("/a?b"), "https://app.example.com/a?b");
    let url = PublicUrl::parse("http://localhost:3000").unwrap();
    assert_eq!(
        (url.origin(), url.host(), url.port()),
        ("http://localhost:3000", "localhost", 3000)
    );
    assert_eq!(
        PublicUrl::parse("http://[::1]:3000").unwrap().authority(),
        "[::1]:3000"
    );
    for wrong in [
        "",
        "app.example.com",
        "ftp://app.example.com",
        "https:app.example.com",
        "https://",
        "https://a.b/app",
        "https://a.b?x",
        "https://a.b#x",
        "https://user@a.b",
        "https://:p@a.b",
        "https://@a.b",
        "https://a.b.",
        "https:\\\\a.b",
        "https://a. b",
        "http://app.example.com",
        "http://10.0.0.1",
        "https://a.b:99999",
        "http://localhost.example.com",
    ] {
        assert!(PublicUrl::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn listen_addresses() {
    for right in ["0.0.0.0:3000", "[::]:3000", "127.0.0.1:0", "unix:/run/proxy.sock"] {
        assert_eq!(ListenAddress::parse(right).unwrap().to_string(), right);
    }
    let long = format!("unix:/{}", "x".repeat(107));
    for wrong in [
        "",
        "3000",
        ":3000",
        "localhost:3000",
        "127.0.0.1",
        "unix:",
        "unix:run/x",
        "unix:/run/",
        &long,
    ] {
        assert!(ListenAddress::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn upstream_addresses() {
    for (text, shown, authority) in [
        (
            "http://127.0.0.1:8080",
            "http://127.0.0.1:8080",
            Some("127.0.0.1:8080"),
        ),
        ("http://app/", "http://app", Some("app")),
        ("https://[::1]", "https://[::1]", Some("[::1]")),
        ("https://app:80", "https://app:80", Some("app:80")),
        ("unix:/run/app.sock", "unix:/run/app.sock", None),
        ("unix:///run/app.sock", "unix:/run/app.sock", None),
    ] {
        let address = UpstreamAddress::parse(text).unwrap();
        assert_eq!(address.to_string(), shown);
        assert_eq!(address.authority().as_deref(), authority);
    }
    assert_eq!(
        UpstreamAddress::parse("http://[::1]:81").unwrap(),
        UpstreamAddress::Tcp {
            host: "::1".to_owned(),
            port: 81
        }
    );
    for wrong in [
        "",
        "127.0.0.1:8080",
        "tcp://a:1",
        "http://a/app",
        "http://a?b",
        "http://u:p@a",
        "http://a:0",
    ] {
        assert!(UpstreamAddress::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn upstream_hosts() {
    let app = UpstreamAddress::parse("http://app:8080").unwrap();
    let socket = UpstreamAddress::parse("unix:/app").unwrap();
    let value = |text: &str| HeaderValue::from_str(text).unwrap();
    assert_eq!(UpstreamHost::parse("keep", Some(&app)), Ok(UpstreamHost::Keep));
    assert_eq!(
        UpstreamHost::parse("rewrite", Some(&app)),
        Ok(UpstreamHost::Rewrite(value("app:8080")))
    );
    assert!(UpstreamHost::parse("rewrite", Some(&socket)).is_err());
    for right in ["inner.example.com", "inner:81", "[::1]:81", "my_app"] {
        assert_eq!(
            UpstreamHost::parse(right, Some(&app)),
            Ok(UpstreamHost::Value(value(right))),
            "{right}"
        );
    }
    for wrong in [
        "", "a b", "a/b", "user@a", "a:", "a:x", "a:b:c", "http://a", "a,b",
    ] {
        assert!(UpstreamHost::parse(wrong, Some(&app)).is_err(), "{wrong}");
    }
}

#[test]
fn private_names_are_told_from_public_ones() {
    let private = |text: &str| is_private(Url::parse(text).unwrap().host());
    for right in [
        "http://logto:3001",
        "http://10.1.2.3",
        "http://[fd00::1]",
        "http://logto.ns.svc",
        "http://127.0.0.1",
    ] {
        assert!(private(right), "{right}");
    }
    for wrong in [
        "http://logto.example.com",
        "http://8.8.8.8",
        "http://[2001:db8::1]",
        "http://internal.example",
    ] {
        assert!(!private(wrong), "{wrong}");
    }
}

#[test]
fn a_proxy_in_front_of_itself_is_seen() {
    let reaches = |upstream: &str, listener: &str| {
        super::reaches(
            &UpstreamAddress::parse(upstream).unwrap(),
            &ListenAddress::parse(listener).unwrap(),
        )
    };
    assert!(reaches("http://127.0.0.1:3000", "0.0.0.0:3000"));
    assert!(reaches("http://localhost:3000", "127.0.0.1:3000"));
    assert!(reaches("unix:/a", "unix:/a"));
    assert!(!reaches("http://127.0.0.1:3001", "0.0.0.0:3000"));
    assert!(!reaches("http://10.0.0.2:3000", "0.0.0.0:3000"));
    assert!(!reaches("http://127.0.0.1:3000", "10.0.0.1:3000"));
}
