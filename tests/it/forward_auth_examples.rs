//! What the configurations of other proxies in `examples/` must never lose. What they do is tested with the real programs.

use logto_proxy::identity::HeaderRules;
use std::fs;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/examples/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Without comments and in small letters.
fn lines(path: &str) -> Vec<String> {
    let text = read(path).to_ascii_lowercase();
    let bare = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    bare.map(|line| line.trim().to_owned()).collect()
}

/// The headers that tell an app who asks, as they are without configuration.
fn names() -> Vec<String> {
    let defaults = HeaderRules::defaults().into_iter();
    let names = defaults.map(|rule| rule.name.as_str().to_owned());
    names.chain(["x-client-id".to_owned()]).collect()
}

#[test]
fn every_identity_header_is_taken_from_the_client_first() {
    let nginx = lines("nginx-forward-auth/nginx.conf");
    let caddy = lines("caddy-forward-auth/Caddyfile");
    let place = |line: &str| caddy.iter().position(|other| other == line);
    let (family, client) = (
        place("request_header -x-user-*"),
        place("request_header -x-client-id"),
    );
    let asked = place("rewrite /.logto/auth");
    assert!(family.is_some() && client.is_some() && family < asked && client < asked);
    // Newer ones drop underscores themselves, so that only the words can be looked at.
    for name in ["x-user_*", "x_user*", "x-client_*", "x_client*"] {
        let removed = place(&format!("request_header -{name}"));
        assert!(removed.is_some() && removed < asked, "{name}");
    }
    for name in names() {
        let variable = name.replace('-', "_");
        for line in [
            format!("auth_request_set ${variable} $upstream_http_{variable};"),
            format!("proxy_set_header {name} ${variable};"),
        ] {
            assert!(nginx.contains(&line), "nginx: {line}");
        }
        for line in [
            format!("@{variable} not vars {{rp.header.{name}}} \"\""),
            format!("request_header @{variable} {name} {{rp.header.{name}}}"),
        ] {
            assert!(caddy.contains(&line), "Caddy: {line}");
        }
        assert!(name.starts_with("x-user-") || name == "x-client-id", "{name}");
    }
    let envoy = read("envoy-forward-auth/envoy.yaml");
    assert!(envoy.contains("patterns: [{ prefix: x-user- }, { exact: x-client-id }]"));
    assert!(read("traefik-forward-auth/dynamic.yml").contains("(?i)^x.(user.[a-z._-]+|client.id)$"));
}

#[test]
fn no_header_makes_the_app_serve_something_else_than_was_judged() {
    let nginx = lines("nginx-forward-auth/nginx.conf");
    let caddy = lines("caddy-forward-auth/Caddyfile");
    let envoy = read("envoy-forward-auth/envoy.yaml");
    let (_, removed) = envoy.split_once("request_headers_to_remove: [").unwrap();
    let (removed, _) = removed.split_once(']').unwrap();
    let removed: Vec<&str> = removed.split(',').map(str::trim).collect();
    let traefik = lines("traefik-forward-auth/dynamic.yml");
    for name in [
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-prefix",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "forwarded",
    ] {
        let cleared = format!("proxy_set_header {name} \"\";");
        assert!(nginx.contains(&cleared), "nginx: {name}");
        assert!(
            caddy.contains(&format!("request_header -{name}")),
            "Caddy: {name}"
        );
        assert!(removed.contains(&name), "Envoy: {name}");
        assert!(traefik.contains(&format!("{name}: \"\"")), "Traefik: {name}");
    }
}

#[test]
fn no_upgrade_but_to_websocket_passes() {
    let nginx = lines("nginx-forward-auth/nginx.conf");
    assert!(nginx.contains(&"proxy_set_header upgrade $websocket;".to_owned()));
    let caddy = lines("caddy-forward-auth/Caddyfile");
    assert!(caddy.contains(&"request_header @other_protocol -upgrade".to_owned()));
    assert!(read("envoy-forward-auth/envoy.yaml").contains("upgrade_configs: [{ upgrade_type: websocket }]"));
    let traefik = read("traefik-forward-auth/dynamic.yml");
    assert!(traefik.contains("Host(`app.example.com`) && !HeaderRegexp(`Upgrade`, `(?i)h2c`)"));
}

#[test]
fn what_nginx_asks_about_is_what_it_forwards() {
    let lines = lines("nginx-forward-auth/nginx.conf");
    assert!(lines.contains(&"proxy_set_header x-original-url $scheme://$host$request_uri;".to_owned()));
    assert!(
        !lines.iter().any(|line| line.contains("$http_host")),
        "the client's own"
    );
    // What is odd about a client's own would break the question, and nginx answer 500.
    assert!(lines.contains(&"proxy_set_header host logto-proxy;".to_owned()));
    // With a path, nginx would forward its own reading of the target.
    assert!(lines.contains(&"proxy_pass http://app;".to_owned()));
    for name in ["x-forwarded-method", "x-forwarded-uri"] {
        assert!(
            lines.contains(&format!("proxy_set_header {name} \"\";")),
            "{name}"
        );
    }
}

#[test]
fn nobody_asks_from_outside() {
    for (file, needed) in [
        (
            "nginx-forward-auth/nginx.conf",
            "location = /.logto/auth { return 404; }",
        ),
        (
            "nginx-forward-auth/nginx.conf",
            "location ^~ /.logto/auth/ { return 404; }",
        ),
        ("nginx-forward-auth/nginx.conf", "internal;"),
        (
            "caddy-forward-auth/Caddyfile",
            "@auth path /.logto/auth /.logto/auth/*",
        ),
        ("caddy-forward-auth/Caddyfile", "respond @auth 404"),
        (
            "envoy-forward-auth/envoy.yaml",
            "- match: { path_separated_prefix: /.logto/auth }\n",
        ),
        (
            "traefik-forward-auth/dynamic.yml",
            "&& !PathRegexp(`^/\\.logto/auth(/|$)`)",
        ),
        ("traefik-forward-auth/dynamic.yml", "trustForwardHeader: false"),
    ] {
        assert!(read(file).contains(needed), "{file}: {needed}");
    }
}
