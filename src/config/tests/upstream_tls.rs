//! `[upstream_tls]`, and what a route says in its place.

use super::*;

const TOP: &str = "upstream = \"http://127.0.0.1:8080\"";

fn pem() -> String {
    let made = rcgen::generate_simple_self_signed(["app".to_owned()]).unwrap();
    made.cert.pem()
}

/// One route below the first upstream and a section; both files are there.
fn config(first: &str, section: &str, route: &str) -> Result<Config, ConfigErrors> {
    let text = SMALLEST.replace(TOP, &format!("upstream = \"{first}\""));
    let text = format!("{text}\n[upstream_tls]\n{section}\n[[route]]\npath = \"/a/*\"\n{route}\n");
    let (one, two) = (pem(), pem().repeat(2));
    load(&source(&[
        ("/etc/proxy.toml", &text),
        ("/etc/one.pem", &one),
        ("/etc/two.pem", &two),
    ]))
}

#[test]
fn a_route_says_how_its_upstream_is_trusted_or_the_section_does() {
    const FIRST: &str = "https://10.0.0.1:8443";
    const OWN: &str = "upstream = \"https://10.0.0.2:8443\"\n";
    const SECTION: &str = "server_name = \"first.internal\"\nca_file = \"one.pem\"";
    for (first, section, route, name, anchors) in [
        (FIRST, SECTION, "", Some("first.internal"), 1),
        (FIRST, SECTION, OWN, None, 1),
        (
            FIRST,
            SECTION,
            &format!("upstream = \"{FIRST}\""),
            Some("first.internal"),
            1,
        ),
        (
            FIRST,
            SECTION,
            &format!("{OWN}upstream_tls = {{ server_name = \"own.internal\" }}"),
            Some("own.internal"),
            1,
        ),
        (
            FIRST,
            SECTION,
            &format!("{OWN}upstream_tls = {{ ca_file = \"two.pem\" }}"),
            None,
            2,
        ),
        (
            FIRST,
            SECTION,
            "upstream_tls = { ca_file = \"\", server_name = \"\" }",
            None,
            0,
        ),
        (
            "http://127.0.0.1:8080",
            "",
            &format!("{OWN}upstream_tls = {{ server_name = \"10.0.0.3\", ca_file = \"two.pem\" }}"),
            Some("10.0.0.3"),
            2,
        ),
    ] {
        let config = config(first, section, route).unwrap_or_else(|errors| panic!("{route}: {errors}"));
        let tls = &config.routes[0].upstream_tls;
        let told = tls.server_name.as_ref().map(|name| name.to_str().into_owned());
        assert_eq!((told.as_deref(), tls.ca.len()), (name, anchors), "{route}");
    }
}

#[test]
fn what_a_route_says_wrong_is_refused_at_its_key() {
    const OWN: &str = "upstream = \"https://10.0.0.2:8443\"\n";
    for (route, key, said) in [
        (
            "upstream_tls = { server_name = \"x\" }",
            "route.upstream_tls",
            "not https",
        ),
        (
            "upstream = \"unix:/run/a.sock\"\nupstream_tls = { ca_file = \"one.pem\" }",
            "route.upstream_tls",
            "not https",
        ),
        (
            &format!("{OWN}upstream_tls = \"own.internal\""),
            "route.upstream_tls",
            "expected a table: upstream_tls = {",
        ),
        (
            &format!("{OWN}upstream_tls = {{ server_name = \"a b\" }}"),
            "route.upstream_tls.server_name",
            "expected a host name or an IP address",
        ),
        (
            &format!("{OWN}upstream_tls = {{ server_name = 1 }}"),
            "route.upstream_tls.server_name",
            "expected a string",
        ),
        (
            &format!("{OWN}upstream_tls = {{ ca_file = \"./three.pem\" }}"),
            "route.upstream_tls.ca_file",
            "cannot read",
        ),
        (
            &format!("{OWN}upstream_tls = {{ server_nam = \"x\" }}"),
            "route.upstream_tls.server_nam",
            "did you mean `server_name`?",
        ),
        (
            &format!("{OWN}server_name = \"x\""),
            "route.server_name",
            "`server_name` belongs in [upstream_tls]",
        ),
    ] {
        let errors = config("http://127.0.0.1:8080", "", route).unwrap_err();
        assert_eq!(errors.errors().len(), 1, "{errors}");
        assert_eq!(errors.errors()[0].key(), key, "{errors}");
        assert!(errors.to_string().contains(said), "{errors}");
    }
}
