//! A sign-in that is like its route says: from the page that needs it, and from every link that leads back there.

use crate::support::{Browser, World, proxy, request};

const SECTIONS: &str = r#"
[sign_in]
first_screen = "register"
ui_locales = ["ja"]
extra_params = { theme = "dark", tenant = "a" }

[[route]]
path = "/hf/*"
sign_in = { direct = "social:huggingface", first_screen = "", extra_params = { theme = "light" } }

[[route]]
path = "/staff/*"
sign_in = { prompt = "login", organization_id = "org_1", ui_locales = ["en", "fr"] }

[[route]]
path = "/staff/*"
methods = ["POST"]
unauthenticated = "redirect"
sign_in = { first_screen = "sign_in" }

[[route]]
path = "/open/*"
access = "public"
"#;

const USUAL: &[(&str, &str)] = &[
    ("first_screen", "register"),
    ("tenant", "a"),
    ("theme", "dark"),
    ("ui_locales", "ja"),
];
const HUGGING_FACE: &[(&str, &str)] = &[
    ("direct_sign_in", "social:huggingface"),
    ("tenant", "a"),
    ("theme", "light"),
    ("ui_locales", "ja"),
];
const STAFF: &[(&str, &str)] = &[
    ("first_screen", "register"),
    ("organization_id", "org_1"),
    ("prompt", "login"),
    ("tenant", "a"),
    ("theme", "dark"),
    ("ui_locales", "en fr"),
];

/// What of a redirect to Logto the configuration has a say in.
fn asked(url: &url::Url) -> Vec<(String, String)> {
    const OURS: [&str; 7] = [
        "direct_sign_in",
        "first_screen",
        "prompt",
        "ui_locales",
        "organization_id",
        "theme",
        "tenant",
    ];
    let mut pairs: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| OURS.contains(&name.as_ref()))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    pairs.sort();
    pairs
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    expected.iter().map(owned).collect()
}

async fn page_of_logto(browser: &mut Browser, path: &str) -> String {
    let answer = browser.navigate(path).await;
    assert_eq!(answer.status, 302, "{path}: {answer:?}");
    let answer = browser.open(answer.location()).await;
    answer.location().path().to_owned()
}

async fn world() -> World {
    proxy().section(SECTIONS).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_needs_a_session_and_a_link_to_it_ask_for_the_same() {
    let world = world().await;
    for (page, expected) in [
        ("/", USUAL),
        ("/x?a=/hf/", USUAL),
        ("/hf", HUGGING_FACE),
        ("/hf/a%20b?c=d", HUGGING_FACE),
        ("/hfx", USUAL),
        ("/staff/x", STAFF),
    ] {
        let answer = world.browser().navigate(page).await;
        assert_eq!(asked(&answer.location()), pairs(expected), "{page}");
        let link: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
        let link = format!("/.logto/sign-in?redirect={link}");
        let answer = world.browser().navigate(&link).await;
        assert_eq!(asked(&answer.location()), pairs(expected), "{link}");
    }
    // A request that is redirected is judged as itself, not as the page that its browser comes back to.
    let mut browser = world.browser();
    let url = "https://app.example.com/staff/x".parse().unwrap();
    let answer = browser.send("POST", url, &[], bytes::Bytes::new()).await;
    let mut posted = pairs(USUAL);
    posted[0].1 = "sign_in".to_owned();
    assert_eq!(asked(&answer.location()), posted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_where_its_browser_will_ask() {
    let world = world().await;
    for (redirect, expected) in [
        ("/x/../hf/a", HUGGING_FACE),
        ("/x/%2e%2e/hf/a", HUGGING_FACE),
        ("/%68f/a", HUGGING_FACE),
        ("/hf/a#/staff", HUGGING_FACE),
        ("/hf/../x", USUAL),
        ("/hf//a", USUAL),
        ("//evil.test/hf/", USUAL),
        ("https://evil.test/hf/", USUAL),
        ("/open/x", USUAL),
        ("", USUAL),
    ] {
        let link: String = url::form_urlencoded::byte_serialize(redirect.as_bytes()).collect();
        let answer = world
            .browser()
            .navigate(&format!("/.logto/sign-in?redirect={link}"))
            .await;
        assert_eq!(asked(&answer.location()), pairs(expected), "{redirect}");
    }
    // What the URL may set goes before what the route says.
    let link = "/.logto/sign-in?redirect=/hf/a&first_screen=single_sign_on&ui_locales=de";
    let answer = world.browser().navigate(link).await;
    assert_eq!(
        asked(&answer.location()),
        pairs(&[
            ("direct_sign_in", "social:huggingface"),
            ("first_screen", "single_sign_on"),
            ("tenant", "a"),
            ("theme", "light"),
            ("ui_locales", "de"),
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_url_of_a_401_is_that_of_its_page() {
    let world = world().await;
    let mut browser = world.browser();
    let fields = [
        ("referer", "https://app.example.com/hf/page"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-origin"),
    ];
    let url = "https://app.example.com/api/x".parse().unwrap();
    let answer = browser.send("GET", url, &fields, bytes::Bytes::new()).await;
    assert_eq!(answer.status, 401);
    let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let link = document["sign_in_url"].as_str().unwrap();
    let answer = browser.open(link.parse().unwrap()).await;
    assert_eq!(asked(&answer.location()), pairs(HUGGING_FACE), "{link}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hugging_face_stands_at_its_route_alone_and_a_session_counts_everywhere() {
    let world = proxy()
        .section("[[route]]\npath = \"/hf/*\"\nsign_in = { direct = \"social:huggingface\" }")
        .section("[[route]]\npath = \"/*\"")
        .start()
        .await;
    assert_eq!(page_of_logto(&mut world.browser(), "/x").await, "/sign-in");
    assert_eq!(
        page_of_logto(&mut world.browser(), "/hf/x").await,
        "/direct/social/huggingface"
    );
    let cookies = world.signed_in("plain").await.cookie_field();
    let message = request("GET", "/hf/x", &[("Cookie", &cookies)]);
    assert_eq!(world.ask(message).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_a_route_asks_for() {
    let world = world().await;
    let text = world.text.replace("social:huggingface", "sso:connector-1");
    world.reload(&text).await;
    let answer = world.browser().navigate("/hf/x").await;
    let first = &asked(&answer.location())[0];
    assert_eq!(
        *first,
        ("direct_sign_in".to_owned(), "sso:connector-1".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_has_the_parameters_of_the_host_that_it_leads_to() {
    let hosts = r#"
[[route]]
host = "hf.example.com"
path = "/*"
sign_in = { direct = "social:huggingface" }

[[route]]
host = "app.example.com"
path = "/*"
sign_in = { prompt = "login" }
"#;
    let other: &[_] = &[("direct_sign_in", "social:huggingface")];
    let own: &[_] = &[("prompt", "login")];
    let shared = proxy()
        .session("cookie_domain = \"example.com\"")
        .section(hosts)
        .start()
        .await;
    let alone = proxy().section(hosts).start().await;
    for (redirect, where_shared) in [
        ("/x", own),
        ("https://app.example.com/x", own),
        ("https://hf.example.com/x", other),
        ("//hf.example.com/x", own),
        ("/\\hf.example.com/x", own),
        ("http://hf.example.com/x", own),
        ("https://hf.example.com@app.example.com/x", own),
        ("https://app.example.com@hf.example.com/x", own),
        ("https://hf.example.com.evil.test/x", own),
        ("https://evil.test/x", own),
    ] {
        let link: String = url::form_urlencoded::byte_serialize(redirect.as_bytes()).collect();
        let link = format!("/.logto/sign-in?redirect={link}");
        // Where no session is shared, no link leads to another host.
        for (world, expected) in [(&shared, where_shared), (&alone, own)] {
            let url = world.browser().navigate(&link).await.location();
            assert_eq!(asked(&url), pairs(expected), "{redirect}");
            let back = url.query_pairs().find(|(name, _)| name == "redirect_uri");
            let (_, back) = back.expect("a redirect_uri");
            assert_eq!(back, "https://app.example.com/.logto/callback", "{redirect}");
        }
    }
}
