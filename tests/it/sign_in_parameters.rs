//! Parameters of a sign-in: those configured reach Logto exactly, those of the URL only where allowed.

use crate::support::{World, proxy};

/// Section, path, what Logto gets of it, and the page that Logto shows.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

/// What Logto got besides the protocol's own parameters.
fn extra(world: &World) -> Vec<(String, String)> {
    const PROTOCOL: [&str; 8] = [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ];
    let mut pairs = world.logto.last_authorization();
    pairs.retain(|(name, _)| !PROTOCOL.contains(&name.as_str()));
    pairs.sort();
    pairs
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    pairs.sort();
    pairs
}

/// Follows a path to Logto; the path of the page that Logto showed.
async fn page_at_logto(world: &World, path: &str) -> String {
    let mut browser = world.browser();
    let answer = browser.navigate(path).await;
    assert_eq!(answer.status, 302, "{path}: {answer:?}");
    let answer = browser.open(answer.location()).await;
    answer.location().path().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_parameters_reach_logto_exactly() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("", "/x", &[], "/sign-in"),
        ("direct = \"social:huggingface\"", "/x", &[("direct_sign_in", "social:huggingface")], "/direct/social/huggingface"),
        ("direct = \"sso:connector-1\"", "/x", &[("direct_sign_in", "sso:connector-1")], "/direct/sso/connector-1"),
        ("first_screen = \"register\"", "/x", &[("first_screen", "register")], "/register"),
        ("first_screen = \"identifier:sign_in\"", "/x", &[("first_screen", "identifier:sign_in")], "/identifier-sign-in"),
        ("prompt = \"login consent\"", "/x", &[("prompt", "login consent")], "/sign-in"),
        ("ui_locales = [\"ja\", \"en-GB\"]", "/x", &[("ui_locales", "ja en-GB")], "/sign-in"),
        ("organization_id = \"org_1\"", "/x", &[("organization_id", "org_1")], "/sign-in"),
        ("extra_params = { identifier = \"email phone\", theme = \"a b&c=d\" }", "/x", &[("identifier", "email phone"), ("theme", "a b&c=d")], "/sign-in"),
        ("", "/.logto/sign-up", &[("first_screen", "register")], "/register"),
        ("first_screen = \"single_sign_on\"", "/.logto/sign-up", &[("first_screen", "register")], "/register"),
        ("first_screen = \"reset_password\"", "/.logto/sign-in", &[("first_screen", "reset_password")], "/forgot-password"),
    ];
    for (section, path, expected, page) in cases {
        let world = proxy().section(&format!("[sign_in]\n{section}")).start().await;
        assert_eq!(page_at_logto(&world, path).await, *page, "{section} {path}");
        assert_eq!(extra(&world), pairs(expected), "{section} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_url_may_set_what_is_allowed_and_goes_before_the_configuration() {
    let section = "[sign_in]\nfirst_screen = \"register\"\nprompt = \"login\"\nallow_params = [\"first_screen\", \
                   \"login_hint\", \"ui_locales\", \"one_time_token\", \"direct_sign_in\", \"organization_id\", \"prompt\"]";
    let world = proxy().section(section).start().await;
    let fixed = [("first_screen", "register"), ("prompt", "login")];
    #[rustfmt::skip]
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &fixed),
        ("first_screen=sign_in", &[("first_screen", "sign_in"), ("prompt", "login")]),
        ("prompt=consent", &[("first_screen", "register"), ("prompt", "consent")]),
        ("login_hint=admin%2Bx%40example.com", &[fixed[0], fixed[1], ("login_hint", "admin+x@example.com")]),
        ("ui_locales=ja+en", &[fixed[0], fixed[1], ("ui_locales", "ja en")]),
        ("one_time_token=t.o-k_en", &[fixed[0], fixed[1], ("one_time_token", "t.o-k_en")]),
        ("direct_sign_in=social%3Ahuggingface", &[fixed[0], fixed[1], ("direct_sign_in", "social:huggingface")]),
        ("organization_id=org_1&redirect=/a", &[fixed[0], fixed[1], ("organization_id", "org_1")]),
    ];
    for (query, expected) in cases {
        page_at_logto(&world, &format!("/.logto/sign-in?{query}")).await;
        assert_eq!(extra(&world), pairs(expected), "{query}");
    }
    let default = proxy().start().await;
    page_at_logto(&default, "/.logto/sign-in?prompt=login").await;
    assert_eq!(
        extra(&default),
        pairs(&[("prompt", "login")]),
        "it can only ask for more"
    );
    page_at_logto(&world, "/.logto/sign-up?first_screen=sign_in").await;
    assert_eq!(extra(&world), pairs(&fixed), "the endpoint's name says more");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_allowed_or_would_void_the_others_at_logto_is_refused() {
    let everything = "[sign_in]\nallow_params = [\"first_screen\", \"login_hint\", \"ui_locales\", \
                      \"one_time_token\", \"direct_sign_in\", \"organization_id\", \"prompt\"]";
    let open = proxy().section(everything).start().await;
    let default = proxy().start().await;
    let by_default = [
        "direct_sign_in=social:huggingface",
        "organization_id=org_1",
        "prompt=consent",
        "prompt=login%20consent",
    ];
    let always = [
        "first_screen=identifier:sign-in",
        "first_screen=Register",
        "first_screen=register&first_screen=register",
        "first_screen=register&first%5Fscreen=sign_in",
        "prompt=none",
        "prompt=select_account",
        "prompt=login%20none",
        "direct_sign_in=huggingface",
        "direct_sign_in=social:",
        "direct_sign_in=social:../../x",
        "direct_sign_in=other:x",
        "ui_locales=ja%0D%0AX:y",
        "ui_locales=%E2%80%AE",
        "login_hint=a%00b",
        "organization_id=a%20b",
        "scope=openid%20all",
        "redirect_uri=https://evil.test/",
        "state=x",
        "nonce=x",
        "response_mode=fragment",
        "max_age=0",
        "code_challenge_method=plain",
        "resource=https://api.example.com",
        "client_id=other",
        "unheard_of=1",
        "redirect=/a&redirect=//evil.test",
    ];
    let cases = by_default.iter().map(|query| (&default, *query)).chain(
        always
            .iter()
            .flat_map(|query| [(&default, *query), (&open, *query)]),
    );
    for (world, query) in cases {
        for endpoint in ["sign-in", "sign-up"] {
            let answer = world
                .browser()
                .navigate(&format!("/.logto/{endpoint}?{query}"))
                .await;
            assert_eq!(answer.status, 400, "{endpoint}?{query}: {answer:?}");
            assert!(answer.set_cookies().is_empty(), "{query}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert!(!answer.body.contains("evil.test"), "{query} is echoed");
        }
    }
    assert_eq!(
        default.logto.counts().authorize + open.logto.counts().authorize,
        0
    );
}
