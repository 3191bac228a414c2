use super::*;
use proptest::prelude::*;

fn map(lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
    }
    headers
}

fn is_own(name: &[u8]) -> bool {
    name.starts_with(b"__Host-logto")
}

fn after_removal(lines: &[&[u8]]) -> Vec<String> {
    let mut headers = map(lines);
    remove_own(&mut headers, is_own);
    headers
        .get_all(COOKIE)
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
        .collect()
}

#[test]
fn pairs_survive_odd_neighbours() {
    let headers = map(&[
        b"a=1; b = 2 ;;  ; c; =d; e=; f=g=h;\t\"i\"=\"j;k\"",
        b"A=\xff\xfe; a=again",
        b"",
        b"\xa0a=nbsp",
    ]);
    let found: Vec<(&[u8], &[u8])> = pairs(&headers).collect();
    let expected: Vec<(&[u8], &[u8])> = vec![
        (b"a", b"1"),
        (b"b", b"2"),
        (b"e", b""),
        (b"f", b"g=h"),
        (b"\"i\"", b"\"j"),
        (b"A", b"\xff\xfe"),
        (b"a", b"again"),
        (b"\xa0a", b"nbsp"),
    ];
    assert_eq!(found, expected);
    assert_eq!(pairs(&HeaderMap::new()).count(), 0);
}

#[test]
fn own_cookies_go_and_others_stay() {
    for (lines, expected) in [
        (&[&b"__Host-logto=x"[..]][..], &[][..]),
        (&[b"__Host-logto=x;"], &[]),
        (
            &[b" __Host-logto = x ; __Host-logto.1=y; __Host-logto-browser=z"],
            &[],
        ),
        (&[b"a=1; __Host-logto=x"], &["a=1"]),
        (&[b"__Host-logto=x; a=1"], &["a=1"]),
        (&[b"a=1; __Host-logto=x; b=2"], &["a=1; b=2"]),
        (&[b"a=1;__Host-logto=x;b=2"], &["a=1;b=2"]),
        (
            &[b"__Host-logto=x;a = 1 ;;b;__Host-logto=y; =c"],
            &["a = 1 ;;b; =c"],
        ),
        (&[b"__HOST-LOGTO=x"], &["__HOST-LOGTO=x"]),
        (&[b"a=__Host-logto=x"], &["a=__Host-logto=x"]),
        (&[b"a=1", b"__Host-logto=x", b"b=2"], &["a=1; b=2"]),
        (&[b"__Host-logto=x", b"__Host-logto.1=y"], &[]),
        (&[b"", b"a=1"], &["a=1"]),
        (&[b"  a=1 ;; "], &["  a=1 ;; "]),
    ] {
        assert_eq!(after_removal(lines), expected, "{lines:?}");
    }
}

#[test]
fn a_line_without_own_cookies_keeps_its_very_bytes() {
    let mut headers = map(&[b"a=1; b=2"]);
    let before = headers[COOKIE].as_bytes().as_ptr();
    remove_own(&mut headers, is_own);
    assert_eq!(headers[COOKIE].as_bytes().as_ptr(), before);
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        Just(b"__Host-logto".to_vec()),
        Just(b"__Host-logto.1".to_vec()),
        Just(b" __Host-logto ".to_vec()),
        proptest::collection::vec(
            prop_oneof![32_u8..=58, 60_u8..=126, 128_u8..=255, Just(9_u8)],
            0..6
        ),
    ];
    let value = proptest::collection::vec(prop_oneof![32_u8..=58, 60_u8..=126, 128_u8..=255], 0..6);
    (name, proptest::option::of(value)).prop_map(|(mut piece, value)| {
        if let Some(value) = value {
            piece.push(b'=');
            piece.extend(value);
        }
        piece
    })
}

proptest! {
    #[test]
    fn every_foreign_byte_is_kept(lines in proptest::collection::vec(proptest::collection::vec(piece(), 0..6), 0..4)) {
        let joined: Vec<Vec<u8>> = lines.iter().map(|pieces| pieces.join(&b';')).collect();
        let mut headers = map(&joined.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let foreign: Vec<(Vec<u8>, Vec<u8>)> = pairs(&headers)
            .filter(|(name, _)| !is_own(name))
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        // Nameless pieces are foreign too; only spaces beside a cut may go.
        let squeeze = |bytes: &[u8]| -> Vec<u8> {
            bytes.iter().copied().filter(|byte| !matches!(byte, b' ' | b'\t' | b';')).collect()
        };
        let bytes: Vec<u8> = headers
            .get_all(COOKIE)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            .filter(|piece| !pair(piece).is_some_and(|(name, _)| is_own(name)))
            .flat_map(squeeze)
            .collect();

        remove_own(&mut headers, is_own);

        let after: Vec<(Vec<u8>, Vec<u8>)> =
            pairs(&headers).map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        prop_assert_eq!(after, foreign);
        prop_assert!(headers.get_all(COOKIE).iter().count() <= 1);
        let bytes_after = headers.get(COOKIE).map(|line| squeeze(line.as_bytes())).unwrap_or_default();
        prop_assert_eq!(bytes_after, bytes);
    }
}
