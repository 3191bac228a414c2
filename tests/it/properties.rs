//! What holds for every request, tried with random ones through the running proxy.

use crate::support::{World, proxy, request};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

/// So many values of a strategy, the same ones in every run.
fn samples<T: std::fmt::Debug>(count: usize, strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}

/// What different servers may make of a path: decoded once or twice, `\` as `/`, cut at `;`, slashes merged,
/// dot segments resolved.
fn readings(target: &str) -> Vec<String> {
    let raw = target.split(['?', '#']).next().unwrap().to_owned();
    let mut readings = vec![raw];
    for step in [
        decode,
        |path: &str| path.replace('\\', "/"),
        cut_parameters,
        decode,
        merge_slashes,
        resolve_dots,
        cut_at_nul,
    ] {
        for reading in readings.clone() {
            let next = step(&reading);
            if !readings.contains(&next) {
                readings.push(next);
            }
        }
    }
    readings
}

fn decode(path: &str) -> String {
    percent_encoding::percent_decode_str(path)
        .decode_utf8_lossy()
        .into_owned()
}

fn cut_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| segment.split(';').next().unwrap());
    segments.collect::<Vec<_>>().join("/")
}

fn merge_slashes(path: &str) -> String {
    let mut merged = path.to_owned();
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    merged
}

fn resolve_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

fn cut_at_nul(path: &str) -> String {
    path.split('\0').next().unwrap().to_owned()
}

fn is_admin(path: &str) -> bool {
    path.eq_ignore_ascii_case("/admin") && path == "/admin" || path.starts_with("/admin/")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reading_of_an_open_target_leads_to_a_closed_path() {
    let world = proxy()
        .route("/*", "public")
        .route("/admin/*", "authenticated")
        .start()
        .await;
    let pieces = prop::sample::select(vec![
        "/", "/", "/", "admin", "admin", "public", "..", ".", ";", ";x=1", "\\", "%2f", "%2F", "%5c", "%2e",
        "%2E%2e", "%61dmin", "a%64min", "%252e", "%25", "%00", "%3b", "%23", "%3f", "?", "?x", "#", "%c0%af",
        "x", "%41", "//", "~", "@", "%20", "%zz", "%",
    ]);
    let targets = samples(
        1500,
        prop::collection::vec(pieces, 1..9).prop_map(|pieces| format!("/{}", pieces.concat())),
    );
    let mut open = 0;
    for target in targets {
        world.upstream.forget();
        let reply = world.ask(request("GET", &target, &[])).await;
        match reply.status {
            400 | 401 => assert!(world.upstream.seen().is_empty(), "{target}"),
            200 => {
                open += 1;
                let seen = world.upstream.only();
                assert_eq!(
                    seen.target,
                    target.split('#').next().unwrap(),
                    "forwarded otherwise"
                );
                for reading in readings(&seen.target) {
                    assert!(
                        !is_admin(&reading),
                        "{target} is open and can be read as {reading}"
                    );
                }
            }
            other => panic!("{target}: {other}"),
        }
    }
    assert!(open > 50, "only {open} targets were open: the test tries nothing");
}

async fn spoofable() -> (World, String) {
    let world = proxy().route("/public/*", "public").start().await;
    let cookies = world.signed_in("admin").await.cookie_field();
    (world, cookies)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_an_owned_name_arrives() {
    let (world, cookies) = spoofable().await;
    let names = prop::sample::select(vec![
        "x-user-sub",
        "x-user-email",
        "x-user-roles",
        "x-user-orgs",
        "x-user-anything",
        "x-user",
        "remote-user",
        "x-forwarded-user",
        "x-auth-request-email",
        "logto-id-token",
        "x-logto-assertion",
    ]);
    let signs = prop::collection::vec(prop::sample::select(b"-_.!#$%&'*+^`|~".to_vec()), 6);
    let twins = (names, signs, any::<u32>()).prop_map(|(name, signs, upper)| {
        let mut signs = signs.into_iter().cycle();
        name.bytes()
            .enumerate()
            .map(|(index, byte)| match byte {
                b'-' => char::from(signs.next().unwrap()),
                letter if upper >> (index % 32) & 1 == 1 => char::from(letter.to_ascii_uppercase()),
                letter => char::from(letter),
            })
            .collect::<String>()
    });
    for twins in samples(300, prop::collection::vec(twins, 1..6)) {
        for path in ["/public/x", "/closed"] {
            world.upstream.forget();
            let mut fields: Vec<(&str, &str)> = twins.iter().map(|name| (name.as_str(), "forged")).collect();
            fields.push(("Cookie", &cookies));
            assert_eq!(
                world.ask(request("GET", path, &fields)).await.status,
                200,
                "{twins:?}"
            );
            let seen = world.upstream.only();
            assert!(
                seen.headers.values().all(|value| value != "forged"),
                "{twins:?}: {seen:?}"
            );
            let told = (path == "/closed").then_some("adminuser001");
            assert_eq!(seen.header("x-user-sub"), told);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_random_cookie_gets_in_or_breaks_anything() {
    let (world, cookies) = spoofable().await;
    let cookies = cookies.split(';').next().unwrap();
    let (name, value) = cookies.split_once('=').unwrap();
    assert_eq!(name, "__Host-logto");
    let alphabet = b"ABCxyz019-_=;, \"%\\.\t\xe9\xff".to_vec();
    let garbage = prop::collection::vec(prop::sample::select(alphabet), 0..200)
        .prop_map(|garbage| [b"__Host-logto=".as_slice(), &garbage].concat());
    let whole = value.as_bytes().to_vec();
    let flipped = (0..whole.len(), 0_u8..6).prop_map(move |(position, bit)| {
        let mut value = whole.clone();
        value[position] ^= 1 << bit;
        [b"__Host-logto=".as_slice(), &value].concat()
    });
    let whole = value.to_owned();
    let cut =
        (0..whole.len()).prop_map(move |length| format!("__Host-logto={}", &whole[..length]).into_bytes());
    let doubled = vec![
        format!("{cookies}; {cookies}").into_bytes(),
        format!("{cookies}; {name}=").into_bytes(),
        format!("{name}.1=x; {cookies}x").into_bytes(),
        format!("\u{2000}{cookies}").into_bytes(),
        format!("\u{a0}{cookies}").into_bytes(),
        format!("__host-logto={value}").into_bytes(),
        format!("logto={value}").into_bytes(),
        format!("{name}=2{}", &value[1..]).into_bytes(),
        format!("{name}={}", "1A".repeat(9000)).into_bytes(),
    ];
    let random = samples(400, prop_oneof![garbage, flipped, cut]);
    let mut refused = 0;
    for cookie in random.into_iter().chain(doubled) {
        if cookie
            .iter()
            .any(|byte| *byte < 0x20 && *byte != b'\t' || *byte == 0x7f)
        {
            continue;
        }
        let mut bytes = b"GET /closed HTTP/1.1\r\nHost: app.example.com\r\nCookie: ".to_vec();
        bytes.extend_from_slice(&cookie);
        bytes.extend_from_slice(b"\r\n\r\n");
        let reply = world.ask(bytes).await;
        let shown = String::from_utf8_lossy(&cookie).into_owned();
        assert_eq!(reply.status, 401, "{shown}");
        refused += 1;
    }
    assert!(refused > 300, "only {refused} were tried");
    assert!(world.upstream.seen().is_empty());
    let foreign = format!("a=\u{e9}; {cookies}; b=\"x");
    assert_eq!(
        world
            .ask(request("GET", "/closed", &[("Cookie", &foreign)]))
            .await
            .status,
        200,
        "beside foreign ones"
    );
}
