//! `[headers_presets]` and `[assertion]`.

use super::*;
use crate::identity::{AssertionKey, Preset};

#[test]
fn presets_are_read_once_each_and_their_headers_may_be_taken_away() {
    let text = "[headers_presets]\nuse = [\"google-iap\", \"authelia\", \"google-iap\"]\n[headers]\n\"Remote-Groups\" = false";
    let config = with("", text).unwrap();
    assert_eq!(config.header_presets, [Preset::GoogleIap, Preset::Authelia]);
    assert_eq!(config.removed_headers, ["remote-groups"]);
    let by_email = |warning: &&String| warning.contains("google-iap tell users apart by e-mail");
    assert_eq!(
        config.warnings.iter().filter(by_email).count(),
        1,
        "{:?}",
        config.warnings
    );
    let authelia = with("", "[headers_presets]\nuse = \"authelia\"").unwrap();
    assert_eq!(authelia.warnings, with("", "").unwrap().warnings);
}

#[test]
fn an_assertion_has_a_key_and_what_is_not_given_has_a_default() {
    let key = AssertionKey::generate().unwrap();
    let section = format!("[assertion]\nkey = '''{}'''\n", key.expose());
    let config = with("", &section).unwrap();
    let assertion = config.assertion.clone().unwrap();
    assert_eq!(assertion.header, "x-logto-assertion");
    assert_eq!(
        (assertion.issuer.as_str(), assertion.audience),
        ("https://app.example.com", None)
    );
    assert_eq!(assertion.ttl, Duration::from_secs(60));
    assert_eq!(config.endpoints.jwks, "/.logto/jwks");
    let shown = format!("{config:?} {:?}", config.summary());
    assert!(
        !shown.contains(key.expose().lines().nth(1).unwrap()),
        "the key is never shown"
    );
    // A route's own audience means nothing without a key.
    let route = "[[route]]\npath = \"/a\"\naudience = \"app\"\n";
    let lost = |config: Config| {
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("audience has no effect"))
    };
    assert!(lost(with("", route).unwrap()));
    assert!(!lost(with("", &format!("{section}{route}")).unwrap()));
    for (text, key) in [
        (format!("{section}header = \"Host\""), "assertion.header"),
        (
            format!("{section}header = \"X_Team\"\n[headers]\n\"X-Team\" = \"team\""),
            "assertion.header",
        ),
        (format!("{section}ttl = \"2h\""), "assertion.ttl"),
        (format!("{section}audience = \" a\""), "assertion.audience"),
        ("[assertion]\nkey = \"secret\"".to_owned(), "assertion.key"),
        ("[assertion]\nkey = []".to_owned(), "assertion.key"),
        ("[assertion]\nttl = \"30s\"".to_owned(), "assertion.ttl"),
        (
            format!("[assertion]\nkey = ['''{0}''', '''{0}''']", key.expose()),
            "assertion.key",
        ),
    ] {
        let errors = with("", &text).unwrap_err();
        assert_eq!(errors.errors()[0].key(), key, "{text}");
        assert!(!errors.to_string().contains("MIG"), "{errors}");
    }
}
