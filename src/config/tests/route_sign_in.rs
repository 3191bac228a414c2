//! `route.sign_in`: what it is laid over, and what is refused.

use super::access::route;
use super::*;
use crate::config::model::SignInConfig;
use crate::config::value::{DirectSignIn, FirstScreen, Prompt};

const USUAL: &str = r#"
[sign_in]
direct = "sso:a"
first_screen = "register"
prompt = "consent"
ui_locales = ["ja"]
organization_id = "org_1"
extra_params = { one = "1", two = "2" }
allow_params = ["prompt"]
"#;

fn sign_in(lines: &str) -> Option<Box<SignInConfig>> {
    let section = format!("{USUAL}\n[[route]]\npath = \"/x\"\n{lines}");
    let config = with("", &section).unwrap_or_else(|errors| panic!("{lines}\n{errors}"));
    config.routes[0].sign_in.clone()
}

#[test]
fn what_a_route_does_not_say_is_as_at_the_top() {
    assert_eq!(sign_in(""), None);
    assert_eq!(sign_in("sign_in = {}"), None);
    let usual = sign_in("sign_in = { prompt = \"consent\" }").unwrap();
    assert_eq!(
        *sign_in(
            "sign_in = { direct = \"social:huggingface\", extra_params = { two = \"b\", three = \"c\" } }"
        )
        .unwrap(),
        SignInConfig {
            direct: Some(DirectSignIn::Social("huggingface".to_owned())),
            extra_params: [("one", "1"), ("two", "b"), ("three", "c")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            ..SignInConfig::clone(&usual)
        }
    );
    assert_eq!(
        *sign_in(
            "[route.sign_in]\nfirst_screen = \"sign_in\"\nprompt = \"login\"\nui_locales = \"en\"\norganization_id = \"org_2\""
        )
        .unwrap(),
        SignInConfig {
            first_screen: Some(FirstScreen::SignIn),
            prompt: Some(Prompt::Login),
            ui_locales: vec!["en".to_owned()],
            organization_id: Some("org_2".to_owned()),
            ..SignInConfig::clone(&usual)
        }
    );
    let empty = "direct = \"\", first_screen = \"\", prompt = \"\", ui_locales = [], organization_id = \"\"";
    assert_eq!(
        *sign_in(&format!("sign_in = {{ {empty} }}")).unwrap(),
        SignInConfig {
            direct: None,
            first_screen: None,
            prompt: None,
            ui_locales: Vec::new(),
            organization_id: None,
            ..SignInConfig::clone(&usual)
        }
    );
}

#[test]
fn what_is_wrong_is_said_at_its_key() {
    for (value, key, said) in [
        ("\"social:huggingface\"", "route.sign_in", "expected a table"),
        ("{ directt = \"sso:a\" }", "route.sign_in.directt", "`direct`"),
        ("{ max_age = \"5m\" }", "route.sign_in.max_age", "unknown key"),
        (
            "{ direct = \"huggingface\" }",
            "route.sign_in.direct",
            "social:<target>",
        ),
        ("{ direct = 1 }", "route.sign_in.direct", "expected a string"),
        (
            "{ first_screen = \"regster\" }",
            "route.sign_in.first_screen",
            "`register`",
        ),
        ("{ prompt = \"none\" }", "route.sign_in.prompt", "`login`"),
        (
            "{ ui_locales = [\"en_US\"] }",
            "route.sign_in.ui_locales",
            "language tag",
        ),
        (
            "{ ui_locales = true }",
            "route.sign_in.ui_locales",
            "expected a string",
        ),
        (
            "{ organization_id = \"a b\" }",
            "route.sign_in.organization_id",
            "an ID",
        ),
        ("{ allow_params = [] }", "route.sign_in.allow_params", "[sign_in]"),
        (
            "{ extra_params = { state = \"x\" } }",
            "route.sign_in.extra_params.state",
            "the proxy alone",
        ),
        (
            "{ extra_params = { max_age = \"60\" } }",
            "route.sign_in.extra_params.max_age",
            "[sign_in]",
        ),
        (
            "{ extra_params = { prompt = \"login\" } }",
            "route.sign_in.extra_params.prompt",
            "a key of its own",
        ),
    ] {
        let errors = route(&format!("sign_in = {value}")).unwrap_err();
        let [error] = errors.errors() else {
            panic!("{value}: {errors}");
        };
        assert_eq!(error.key(), key, "{value}");
        assert!(errors.to_string().contains(said), "{value}: {errors}");
    }
}
