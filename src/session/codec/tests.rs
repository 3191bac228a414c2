use super::*;
use proptest::prelude::*;

const EXPIRES: UnixSeconds = UnixSeconds::new(6);

fn numbers() -> Numbers {
    Numbers {
        id: SessionId::from_bytes([9; 16]),
        signed_in_at: UnixSeconds::new(1),
        renewed_at: UnixSeconds::new(2),
        expires_at: UnixSeconds::new(3),
        checked_at: UnixSeconds::new(5),
        fingerprint: 4,
    }
}

fn parts<'a>(subject: &'a str, claims: &'a [u8], refresh_token: &'a str) -> Parts<'a> {
    Parts {
        subject,
        sid: "sid",
        headers: b"headers",
        claims,
        refresh_token,
        access_token: None,
    }
}

fn with_access_token(access_token: &str) -> Parts<'_> {
    Parts {
        access_token: Some((access_token, EXPIRES)),
        ..parts("u1", b"{}", "")
    }
}

/// A plaintext put together by hand, with this after the claims.
fn ending_in(end: &[&[u8]]) -> Vec<u8> {
    let bytes = write(&numbers(), &parts("u1", b"{}", ""));
    let (no_refresh_token, start) = bytes.split_last().unwrap();
    assert_eq!(*no_refresh_token, 0);
    [start, &end.concat()].concat()
}

proptest! {
    #[test]
    fn what_is_written_is_found(
        subject in ".{1,80}",
        claims in prop::collection::vec(any::<u8>(), 0..20_000),
        refresh_token in "[ -~]{0,200}",
        access_token in prop::option::of(("[ -~]{0,2000}", any::<u64>())),
    ) {
        let access_token = access_token.as_ref().map(|(token, at)| (token.as_str(), UnixSeconds::new(*at)));
        let bytes = write(&numbers(), &Parts { access_token, ..parts(&subject, &claims, &refresh_token) });
        let layout = read(&bytes).unwrap();
        prop_assert_eq!(layout.numbers, numbers());
        prop_assert_eq!(&bytes[layout.subject], subject.as_bytes());
        prop_assert_eq!(&bytes[layout.sid], b"sid");
        prop_assert_eq!(&bytes[layout.headers], b"headers");
        prop_assert_eq!(&bytes[layout.claims], &claims[..]);
        prop_assert_eq!(&bytes[layout.refresh_token], refresh_token.as_bytes());
        let found = layout.access_token.map(|(range, at)| (bytes[range].to_vec(), at));
        let kept = access_token.filter(|(token, _)| refresh_token.is_empty() && !token.is_empty());
        prop_assert_eq!(found, kept.map(|(token, at)| (token.as_bytes().to_vec(), at)));
        prop_assert!(bytes.capacity() < bytes.len() + 200, "the buffer moved");
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = read(&[&[VERSION][..], &bytes].concat());
        let _ = read(&ending_in(&[&bytes]));
    }

    #[test]
    fn what_is_read_is_what_would_be_written(end in prop::collection::vec(0_u8..4, 0..24)) {
        let bytes = ending_in(&[&end]);
        if let Some(layout) = read(&bytes) {
            let text = |range: &Range<usize>| std::str::from_utf8(&bytes[range.clone()]).unwrap();
            let again = write(&layout.numbers, &Parts {
                access_token: layout.access_token.as_ref().map(|(token, at)| (text(token), *at)),
                ..parts("u1", b"{}", text(&layout.refresh_token))
            });
            prop_assert_eq!(&*again, &bytes);
        }
    }
}

#[test]
fn the_token_comes_last() {
    let bytes = write(&numbers(), &parts("u1", b"{}", "token"));
    assert!(bytes.ends_with(b"token"));
    let bytes = write(&numbers(), &with_access_token("access"));
    assert!(bytes.ends_with(b"access"));
}

#[test]
fn writing_never_moves_the_buffer() {
    let claims = vec![7; 20_000];
    let token = "t".repeat(5_000);
    for parts in [
        parts("u1", &claims, "token"),
        parts("u1", &claims, &token),
        Parts {
            access_token: Some((&token, EXPIRES)),
            ..parts("u1", &claims, "")
        },
    ] {
        let bytes = write(&numbers(), &parts);
        assert!(bytes.capacity() < bytes.len() + 200);
    }
}

#[test]
fn anything_else_is_no_session() {
    for parts in [parts("u1", b"{}", "token"), with_access_token("access")] {
        let good = write(&numbers(), &parts);
        assert!(read(&good).is_some());
        for length in 0..good.len() {
            let cut = read(&good[..length]);
            let without_access_token =
                parts.access_token.is_some() && length == good.len() - "access".len() - 1 - 8;
            assert_eq!(cut.is_some(), without_access_token, "{length}");
        }
        assert_eq!(read(&[&good[..], b"x"].concat()), None, "surplus");
        for version in [0, 1, 3, 255] {
            let mut other = good.clone();
            other[0] = version;
            assert_eq!(read(&other), None, "version {version}");
        }
    }
    assert_eq!(
        read(&write(&numbers(), &parts("", b"{}", ""))),
        None,
        "no subject"
    );
    let good = write(&numbers(), &parts("u1", b"{}", ""));
    let mut endless = good[..FIXED_BYTES].to_vec();
    endless.extend_from_slice(&[0xFF; 12]);
    assert_eq!(read(&endless), None, "length without an end");
}

#[test]
fn an_access_token_stands_only_where_there_is_no_refresh_token() {
    let expires = EXPIRES.as_u64().to_be_bytes();
    assert!(read(&ending_in(&[b"\0"])).is_some());
    assert!(read(&ending_in(&[b"\0", &expires, b"\x01a"])).is_some());
    assert_eq!(read(&ending_in(&[b"\x01r", &expires, b"\x01a"])), None, "beside");
    assert_eq!(read(&ending_in(&[b"\0", &expires, b"\0"])), None, "empty");
    assert_eq!(read(&ending_in(&[b"\0", &expires])), None, "no token");
    assert_eq!(read(&ending_in(&[b"\0", &expires[..7]])), None, "half a time");
}
