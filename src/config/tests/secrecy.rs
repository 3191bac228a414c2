//! What errors never say, and that no text makes the loader panic.

use super::*;
use proptest::prelude::*;

#[test]
fn no_error_repeats_a_value() {
    const MARK: &str = "hunter2Hunter2";
    for line in [
        "app_secret = \"hunter2Hunter2",
        "app_secret = hunter2Hunter2",
        "app_secret \"hunter2Hunter2\"",
        "app_secret = \"hunter2Hunter2\" trailing",
        "app_secret = '''hunter2Hunter2",
        "app_secret = \"\\qhunter2Hunter2\"",
        "app_secret = [\"hunter2Hunter2\", 1]",
        "app_secret = { value = \"hunter2Hunter2\" }",
        "app_secret = { env = \"hunter2Hunter2\" }",
        "app_secret = { file = \"hunter2Hunter2\" }",
        "app_secret = \" hunter2Hunter2 \"",
        "app_secret = \"a\"\napp_secret = \"hunter2Hunter2\"",
        "app_secret = [\"hunter2Hunter2\", \"hunter2Hunter2\"]",
        "app_secrt = \"hunter2Hunter2\"",
    ] {
        let errors = replacing("app_secret = \"the-app-secret\"", line).expect_err(line);
        assert!(
            !errors.to_string().contains(MARK) && !format!("{errors:?}").contains(MARK),
            "{line}: {errors}"
        );
    }
    for key in super::super::keys::KEYS {
        let variables: Environment = [(key.variable(), MARK)].into_iter().collect();
        if let Err(errors) = parse_str("proxy.toml", SMALLEST, variables) {
            assert!(
                !format!("{errors} {errors:?}").contains(MARK),
                "{}: {errors}",
                key.path
            );
        }
    }
    let config = with("", "[headers]\n\"X-A\" = { constant = \"hunter2Hunter2\" }").unwrap();
    let text = format!("{config:?}");
    assert!(!text.contains(MARK) && !text.contains("the-app-secret") && !text.contains(KEY));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_the_loader_panic(text in ".{0,200}") {
        let _ = parse_str("proxy.toml", &text, Environment::default());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_loader_panic(at in 0..SMALLEST.len(), by in "[\"\\[\\]{}=#.\\n a0\u{e9}-]{0,3}") {
        let text = format!("{}{by}{}", &SMALLEST[..at], &SMALLEST[at + 1..]);
        if let Err(errors) = parse_str("proxy.toml", &text, Environment::default()) {
            prop_assert!(!errors.to_string().contains("the-app-secret"));
        }
    }
}
