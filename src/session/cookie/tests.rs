mod shared;

use super::super::keyring::tests::ring;
use super::super::session::tests::{DAY, LIMITS, START, established, rules};
use super::super::settings::tests::{domain_cookie, host_cookie};
use super::*;
use ::http::header::COOKIE;
use proptest::prelude::*;
use serde_json::json;

fn cookies() -> SessionCookies {
    with(host_cookie(), &[1])
}

fn with(settings: CookieSettings, keys: &[u8]) -> SessionCookies {
    SessionCookies::new(settings, Arc::new(ring(keys)), LIMITS).unwrap()
}

/// A session whose cookie takes more room the longer the name.
fn session(name_bytes: usize) -> Session {
    let claims = json!({"sub": "k3vqk4f8mu7s", "name": "n".repeat(name_bytes)});
    Session::establish(established(&claims)).unwrap()
}

fn request(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    headers
}

/// The `name=value` pairs of `Set-Cookie` lines.
fn pairs_of(lines: &[HeaderValue]) -> Vec<String> {
    let pair = |line: &HeaderValue| line.to_str().unwrap().split_once(';').unwrap().0.to_owned();
    lines.iter().map(pair).collect()
}

fn sealed(name_bytes: usize) -> Vec<String> {
    pairs_of(&cookies().seal(&session(name_bytes), &HeaderMap::new()).unwrap())
}

fn reason(pairs: &[&str]) -> Option<Reason> {
    match cookies().open(&request(pairs), START) {
        Presented::Invalid(reason) => Some(reason),
        Presented::None | Presented::Session(..) => None,
    }
}

fn names(lines: &[HeaderValue]) -> Vec<String> {
    let name = |pair: &String| pair.split_once('=').unwrap().0.to_owned();
    pairs_of(lines).iter().map(name).collect()
}

#[test]
fn a_session_comes_back_as_it_was_sealed() {
    for (name_bytes, pieces) in [(10, 1), (2_000, 2), (4_000, 3), (5_600, 5)] {
        let session = session(name_bytes);
        let lines = cookies().seal(&session, &HeaderMap::new()).unwrap();
        let pairs = pairs_of(&lines);
        assert_eq!(pairs.len(), pieces, "{name_bytes}");
        assert!(lines.iter().all(|line| line.len() <= 4_096));
        for headers in [
            request(&[&format!("a=b; {}; c=d", pairs.join("; "))]),
            request(&pairs.iter().rev().map(String::as_str).collect::<Vec<_>>()),
        ] {
            let Presented::Session(view, false) = cookies().open(&headers, START) else {
                panic!("{name_bytes}")
            };
            assert_eq!(view.id(), session.id());
            let mut sent = HeaderMap::new();
            view.headers(&rules()).apply(&rules(), &mut sent);
            assert_eq!(sent["x-user-sub"], "k3vqk4f8mu7s");
            assert_eq!(sent["x-user-name"].len(), name_bytes);
        }
    }
}

#[test]
fn what_the_writer_accepts_the_reader_does_and_the_rest_is_refused_with_sizes() {
    let mut refused = 0;
    for cookie_bytes in [2_000, 16_384, 1 << 20] {
        let settings = CookieSettings {
            cookie_bytes,
            ..host_cookie()
        };
        let cookies = with(settings, &[1]);
        for name_bytes in (0..8_000).step_by(137) {
            match cookies.seal(&session(name_bytes), &HeaderMap::new()) {
                Ok(lines) => {
                    let pairs = pairs_of(&lines);
                    let headers = request(&[&pairs.join("; ")]);
                    assert!(
                        matches!(cookies.open(&headers, START), Presented::Session(..)),
                        "{name_bytes}"
                    );
                    let bytes: usize = pairs
                        .iter()
                        .map(|pair| pair.split_once('=').unwrap().1.len())
                        .sum();
                    assert!(bytes <= cookie_bytes);
                }
                Err(WriteError::TooLarge(too_large)) => {
                    refused += 1;
                    assert!(too_large.bytes > too_large.most);
                    let text = too_large.to_string();
                    assert!(
                        text.contains("claim name") && text.contains("header values"),
                        "{text}"
                    );
                    assert!(!text.contains("nnn"));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(refused > 10);
}

#[test]
fn foreign_cookies_do_not_disturb_ours() {
    let ours = &sealed(10)[0];
    for foreign in [
        "x=é",
        "x",
        "=x",
        ";;",
        "x=1; x=2",
        "__host-logto=1",
        "\u{2000}__Host-logto=1",
        "__Host-logto .1=1",
        "__Host-logtoo=1",
        "__Host-logto.x=1",
        "__Host-logto.10=1",
    ] {
        let line = format!("{foreign}; {ours}; \t{foreign}");
        assert_eq!(reason(&[&line]), None, "{foreign}");
        assert!(
            matches!(cookies().open(&request(&[foreign]), START), Presented::None),
            "{foreign}"
        );
    }
}

#[test]
fn pieces_that_do_not_fit_together_are_refused() {
    let (one, two, other) = (sealed(10), sealed(2_000), sealed(2_000));
    let value = |pair: &str| pair.split_once('=').unwrap().1.to_owned();
    let count = |digit: &str| format!("__Host-logto={digit}{}", &value(&one[0])[1..]);
    let swapped = [
        format!("__Host-logto=2{}", value(&two[1])),
        format!("__Host-logto.1={}", &value(&two[0])[1..]),
    ];
    for (pairs, expected) in [
        (vec![one[0].as_str(), one[0].as_str()], Reason::Duplicate),
        (vec![&two[0], &two[1], &two[1]], Reason::Duplicate),
        (vec!["__Host-logto="], Reason::Count),
        (vec![&count("0")], Reason::Count),
        (vec![&count("6")], Reason::Count),
        (vec![&count("9")], Reason::Count),
        (vec![&count("x")], Reason::Count),
        (vec![&count("2")], Reason::Incomplete),
        (vec![&two[0]], Reason::Incomplete),
        (vec![&two[1]], Reason::Incomplete),
        (vec![&two[0], &other[1]], Reason::Seal(SealReason::Tag)),
        (vec![&other[0], &two[1]], Reason::Seal(SealReason::Tag)),
    ] {
        assert_eq!(reason(&pairs), Some(expected), "{pairs:?}");
    }
    assert!(matches!(
        reason(&[&swapped[0], &swapped[1]]),
        Some(Reason::Seal(_))
    ));
    let long = format!("__Host-logto=1{}", "A".repeat(16_384));
    assert_eq!(reason(&[&long]), Some(Reason::TooLong));
    let gap = two[1].replace(".1=", ".2=");
    assert_eq!(reason(&[&two[0], &gap]), Some(Reason::Incomplete));
}

#[test]
fn a_cookie_of_another_name_does_not_open_as_ours() {
    let other = with(
        CookieSettings {
            name: "__Host-other".to_owned(),
            ..host_cookie()
        },
        &[1],
    );
    let pairs = pairs_of(&other.seal(&session(10), &HeaderMap::new()).unwrap());
    let renamed = pairs[0].replace("__Host-other", "__Host-logto");
    assert_eq!(reason(&[&renamed]), Some(Reason::Seal(SealReason::Tag)));
}

#[test]
fn a_session_that_is_over_is_refused_whatever_its_cookie_says() {
    let pairs = sealed(10);
    let headers = request(&[&pairs[0]]);
    let at = |seconds| cookies().open(&headers, START.plus(Duration::from_secs(seconds)));
    assert!(matches!(at(8 * 3600 - 1), Presented::Session(..)));
    assert!(matches!(
        at(8 * 3600),
        Presented::Invalid(Reason::Ended(Ended::Idle))
    ));
    assert!(matches!(
        at(7 * 86_400),
        Presented::Invalid(Reason::Ended(Ended::Lifetime))
    ));
}

#[test]
fn the_cookie_ends_when_the_session_would() {
    let mut session = session(10);
    let max_age = |session: &Session| {
        let line = cookies().seal(session, &HeaderMap::new()).unwrap()[0].clone();
        let (_, rest) = line.to_str().unwrap().split_once("Max-Age=").unwrap();
        rest.split_once(';').unwrap().0.parse::<u64>().unwrap()
    };
    assert_eq!(max_age(&session), 8 * 3600);
    session.renew(START.plus(7 * DAY - Duration::from_secs(100)));
    assert_eq!(max_age(&session), 100);
}

#[test]
fn stale_pieces_are_ignored_and_then_taken_away() {
    let stale = sealed(5_600);
    let current = sealed(10);
    let headers = request(&[&current[0], &stale[1], &stale[4]]);
    assert!(matches!(cookies().open(&headers, START), Presented::Session(..)));
    let lines = cookies().seal(&session(2_000), &headers).unwrap();
    assert_eq!(
        names(&lines),
        ["__Host-logto", "__Host-logto.1", "__Host-logto.4"]
    );
    assert!(
        lines[2]
            .to_str()
            .unwrap()
            .starts_with("__Host-logto.4=; Max-Age=0;")
    );
}

#[test]
fn clearing_takes_away_what_the_request_carried() {
    let five = sealed(5_600);
    let headers = request(&[
        &five.join("; "),
        "other=1; __Host-logto-browser=x; __Host-logto.9=x",
    ]);
    let lines = cookies().clear(&headers);
    let expected = ["", ".1", ".2", ".3", ".4", ".9"].map(|suffix| format!("__Host-logto{suffix}"));
    assert_eq!(names(&lines), expected);
    for line in &lines {
        let line = line.to_str().unwrap();
        assert!(
            line.contains("=; Max-Age=0;") && line.contains("; Secure;"),
            "{line}"
        );
    }
    assert!(cookies().clear(&request(&["other=1"])).is_empty());
}

#[test]
fn a_twin_from_before_a_domain_was_configured_is_taken_away() {
    let cookies = with(domain_cookie(), &[1]);
    let headers = request(&["logto=1a; logto=1b"]);
    let lines = cookies.seal(&session(10), &headers).unwrap();
    let lines: Vec<_> = lines.iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("Domain=example.com"));
    assert!(lines[1].starts_with("logto=; Max-Age=0;") && !lines[1].contains("Domain"));
    assert_eq!(cookies.clear(&headers).len(), 2);
    assert_eq!(cookies.clear(&request(&["logto=1a"])).len(), 1);
}

#[test]
fn our_own_cookies_are_known_by_name() {
    let cookies = cookies();
    for own in [
        "__Host-logto",
        "__Host-logto.1",
        "__Host-logto.9",
        "__Host-logto-browser",
    ] {
        assert!(cookies.is_own(own.as_bytes()), "{own}");
    }
    for other in [
        "",
        "__Host-logt",
        "__host-logto",
        "__Host-logto.",
        "__Host-logto.0",
        "__Host-logto.10",
        "__Host-logto_1",
        "__Host-logto-browser2",
        "logto",
    ] {
        assert!(!cookies.is_own(other.as_bytes()), "{other}");
    }
}

#[test]
fn renewal_waits_a_minute_and_so_does_a_newer_key() {
    let headers = request(&[&sealed(10)[0]]);
    let Presented::Session(view, by_older_key) = with(host_cookie(), &[2, 1]).open(&headers, START) else {
        panic!()
    };
    assert!(by_older_key);
    assert!(!SessionCookies::should_renew(&view, START));
    assert!(!SessionCookies::should_renew(
        &view,
        START.plus(Duration::from_secs(59))
    ));
    assert!(SessionCookies::should_renew(
        &view,
        START.plus(Duration::from_secs(60))
    ));
}

#[test]
fn settings_browsers_refuse_make_no_cookies() {
    let settings = CookieSettings {
        secure: false,
        ..host_cookie()
    };
    let made = SessionCookies::new(settings, Arc::new(ring(&[1])), LIMITS);
    assert_eq!(made.unwrap_err(), CookieSettingsError::NotSecure);
}

proptest! {
    #[test]
    fn any_change_to_any_piece_is_refused(name_bytes in 0_usize..5_000, at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_=.;-]") {
        let mut pairs = sealed(name_bytes);
        let which = at.index(pairs.len());
        let start = pairs[which].find('=').unwrap() + 1;
        let place = start + at.index(pairs[which].len() - start);
        prop_assume!(pairs[which][place..=place] != to);
        pairs[which].replace_range(place..=place, &to);
        prop_assert!(reason(&pairs.iter().map(String::as_str).collect::<Vec<_>>()).is_some());
    }

    #[test]
    fn any_cut_is_refused(name_bytes in 0_usize..5_000, at in any::<prop::sample::Index>()) {
        let mut pairs = sealed(name_bytes);
        let which = at.index(pairs.len());
        let start = pairs[which].find('=').unwrap() + 1;
        let keep = start + at.index(pairs[which].len() - start);
        pairs[which].truncate(keep);
        prop_assert!(reason(&pairs.iter().map(String::as_str).collect::<Vec<_>>()).is_some());
    }

    #[test]
    fn any_cookie_header_is_read_without_a_panic(lines in prop::collection::vec(prop::collection::vec(9_u8..=255, 0..200), 0..4)) {
        let mut headers = HeaderMap::new();
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                headers.append(COOKIE, value);
            }
        }
        prop_assert!(!matches!(cookies().open(&headers, START), Presented::Session(..)));
    }

    #[test]
    fn no_pieces_of_chance_open(pieces in prop::collection::vec("[0-9A-Za-z_-]{0,120}", 0..6), digit in 1..=5_usize) {
        let pairs: Vec<String> = pieces
            .iter()
            .enumerate()
            .map(|(number, piece)| match number {
                0 => format!("__Host-logto={digit}{piece}"),
                _ => format!("__Host-logto.{number}={piece}"),
            })
            .collect();
        let lines: Vec<&str> = pairs.iter().map(String::as_str).collect();
        prop_assert!(!matches!(cookies().open(&request(&lines), START), Presented::Session(..)));
        let _ = cookies().clear(&request(&lines));
    }

    #[test]
    fn reading_keeps_names_and_values_byte_for_byte(pairs_in in prop::collection::vec(("[!-:<>-~]{1,9}", "[!-:<-~]{0,9}"), 0..6)) {
        let text: Vec<String> = pairs_in.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = request(&[&text.join("; ")]);
        let read: Vec<(&[u8], &[u8])> = pairs(&headers).collect();
        let expected: Vec<(&[u8], &[u8])> = pairs_in.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        prop_assert_eq!(read, expected);
    }
}
