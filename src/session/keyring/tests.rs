use super::*;

/// A key that is different for each number.
pub(in crate::session) fn key(number: u8) -> SessionKey {
    let text: String = (0..32_u8)
        .map(|index| format!("{:02x}", index.wrapping_mul(7).wrapping_add(number)))
        .collect();
    SessionKey::parse(&SecretText::new(text)).unwrap()
}

pub(in crate::session) fn context() -> KeyContext {
    KeyContext {
        issuer: "https://tenant.logto.app/oidc".to_owned(),
        client_id: "app1".to_owned(),
        public_origin: "https://app.example.com".to_owned(),
    }
}

pub(in crate::session) fn ring(numbers: &[u8]) -> KeyRing {
    KeyRing::new(numbers.iter().copied().map(key).collect(), &context()).unwrap()
}

fn parse(text: &str) -> Result<Vec<u8>, WeakKey> {
    SessionKey::parse(&SecretText::new(text.to_owned())).map(|key| key.0.expose().to_vec())
}

#[test]
fn a_key_reads_the_same_in_each_spelling() {
    let bytes: Vec<u8> = (200..=232).chain(1..=3).collect();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let standard = base64::engine::general_purpose::STANDARD.encode(&bytes[..35]);
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes[..35]);
    assert!(standard.ends_with('=') && standard.contains('/') && url_safe.contains('_'));
    assert_eq!(parse(&hex).unwrap(), bytes);
    assert_eq!(parse(&hex.to_uppercase()).unwrap(), bytes);
    assert_eq!(parse(&standard).unwrap(), bytes[..35]);
    assert_eq!(parse(&url_safe).unwrap(), bytes[..35]);
    let text = "the quick brown fox jumps over the dog";
    for ending in ["", "\n", "\r\n"] {
        assert_eq!(parse(&format!("{hex}{ending}")).unwrap(), bytes);
        assert_eq!(parse(&format!("{text}{ending}")).unwrap(), text.as_bytes());
    }
    assert_eq!(
        parse(&format!("{text}\n\n")).unwrap(),
        format!("{text}\n").as_bytes()
    );
}

#[test]
fn weak_keys_are_refused() {
    for (text, expected) in [
        ("", WeakKey::Empty),
        ("\n", WeakKey::Empty),
        ("short", WeakKey::TooShort { bytes: 5 }),
        ("0123456789abcdefghijklmnopqrstu", WeakKey::TooShort { bytes: 31 }),
        ("00000000000000000000000000000000", WeakKey::LowVariety),
        ("abcdefgabcdefgabcdefgabcdefgabcdefg ".trim(), WeakKey::LowVariety),
        (
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            WeakKey::LowVariety,
        ),
        (
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            WeakKey::LowVariety,
        ),
        ("ChangeMeChangeMeChangeMeChangeMe1234567890", WeakKey::Placeholder),
        ("change-me-to-32-random-bytes-please!", WeakKey::Placeholder),
        ("replace this with a long random string", WeakKey::Placeholder),
    ] {
        assert_eq!(parse(text), Err(expected), "{text:?}");
    }
}

#[test]
fn a_ring_holds_one_to_four_different_keys() {
    let make =
        |numbers: &[u8]| KeyRing::new(numbers.iter().copied().map(key).collect(), &context()).map(|_| ());
    assert_eq!(make(&[]), Err(KeyRingError::NoKeys));
    assert_eq!(make(&[1, 2, 3, 4]), Ok(()));
    assert_eq!(make(&[1, 2, 3, 4, 5]), Err(KeyRingError::TooMany));
    assert_eq!(
        make(&[1, 2, 1]),
        Err(KeyRingError::SameKey { first: 1, second: 3 })
    );
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", ring(&[1, 2])), "KeyRing(2 keys)");
    assert_eq!(format!("{:?}", key(1)), "SessionKey([secret])");
}

#[test]
fn lists_of_parts_never_run_together() {
    assert_ne!(length_prefixed(&[b"ab", b"c"]), length_prefixed(&[b"a", b"bc"]));
    assert_ne!(length_prefixed(&[b"", b"a"]), length_prefixed(&[b"a", b""]));
}
