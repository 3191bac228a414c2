use super::*;
use crate::secret::SecretText;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

const NOW: UnixSeconds = UnixSeconds::new(1_000_000);
const FAR: UnixSeconds = UnixSeconds::new(2_000_000);
const AUDIENCE: &str = "https://app.example.com/*";

fn key() -> AssertionKey {
    AssertionKey::parse(&AssertionKey::generate().unwrap()).unwrap()
}

fn assertions(keys: Vec<AssertionKey>) -> Assertions {
    let settings = AssertionSettings {
        keys,
        issuer: "https://app.example.com".to_owned(),
        ttl: Duration::from_secs(60),
    };
    Assertions::new(settings).unwrap()
}

fn admin(claims: &[u8]) -> Asserted<'_> {
    Asserted::User {
        subject: "admin",
        claims,
    }
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Header and payload of an assertion that a published key made.
fn checked(assertion: &HeaderValue, jwks: &Value) -> (Value, Value) {
    let text = assertion.to_str().unwrap();
    let (message, signature) = text.rsplit_once('.').unwrap();
    let (head, payload) = message.split_once('.').unwrap();
    let head = decode(head);
    let keys = jwks["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == head["kid"]).unwrap();
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], number("x"), number("y")].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .expect("signed by the key that it names");
    (head, decode(payload))
}

#[test]
fn an_assertion_says_who_for_whom_and_how_long() {
    let assertions = assertions(vec![key()]);
    let claims = br#"{"email":"admin@example.com","roles":["admin"],"name":null}"#;
    let assertion = assertions.make(AUDIENCE, admin(claims), FAR, NOW).unwrap();
    assert!(assertion.is_sensitive());
    let (head, payload) = checked(&assertion, &assertions.jwks());
    assert_eq!((&head["alg"], &head["typ"]), (&json!("ES256"), &json!("JWT")));
    assert_eq!(
        payload,
        json!({
            "iss": "https://app.example.com", "aud": AUDIENCE, "sub": "admin", "iat": 1_000_000, "exp": 1_000_060,
            "email": "admin@example.com", "roles": ["admin"]
        })
    );
}

#[test]
fn claims_overwrite_nothing_that_the_assertion_says_and_add_no_word_of_a_token() {
    let assertions = assertions(vec![key()]);
    let mut claims: Map<String, Value> = OWN_CLAIMS
        .into_iter()
        .map(|name| (name.to_owned(), json!("forged")))
        .collect();
    claims.insert("email".to_owned(), json!("admin@example.com"));
    let claims = serde_json::to_vec(&claims).unwrap();
    let assertion = assertions.make(AUDIENCE, admin(&claims), FAR, NOW).unwrap();
    let (_, payload) = checked(&assertion, &assertions.jwks());
    assert_eq!(
        payload,
        json!({
            "iss": "https://app.example.com", "aud": AUDIENCE, "sub": "admin", "iat": 1_000_000, "exp": 1_000_060,
            "email": "admin@example.com"
        })
    );
}

#[test]
fn a_program_has_no_subject() {
    let assertions = assertions(vec![key()]);
    let program = Asserted::Program { client_id: "m2m" };
    let assertion = assertions.make(AUDIENCE, program, FAR, NOW).unwrap();
    let (_, payload) = checked(&assertion, &assertions.jwks());
    assert_eq!((&payload["client_id"], payload.get("sub")), (&json!("m2m"), None));
    let user = Asserted::User {
        subject: "m2m",
        claims: b"",
    };
    assert_ne!(assertions.make(AUDIENCE, user, FAR, NOW), Some(assertion));
}

#[test]
fn one_is_sent_again_for_half_its_time_and_only_while_nothing_changes() {
    let assertions = assertions(vec![key()]);
    let claims = br#"{"roles":["admin"]}"#;
    let at = |seconds: u64| UnixSeconds::new(NOW.as_u64() + seconds);
    let first = assertions.make(AUDIENCE, admin(claims), FAR, NOW).unwrap();
    assert_eq!(
        assertions.make(AUDIENCE, admin(claims), FAR, at(29)),
        Some(first.clone())
    );
    let next = assertions.make(AUDIENCE, admin(claims), FAR, at(30)).unwrap();
    assert_ne!(next, first);
    assert_eq!(checked(&next, &assertions.jwks()).1["exp"], json!(1_000_090));
    for other in [
        assertions.make("https://app.example.com/admin/*", admin(claims), FAR, at(30)),
        assertions.make(AUDIENCE, admin(br#"{"roles":[]}"#), FAR, at(30)),
        assertions.make(AUDIENCE, admin(claims), at(500_000), at(30)),
        // The clock was put back.
        assertions.make(AUDIENCE, admin(claims), FAR, UnixSeconds::new(500_000)),
    ] {
        assert_ne!(other.unwrap(), next);
    }
}

#[test]
fn none_outlives_its_session() {
    let assertions = assertions(vec![key()]);
    let soon = UnixSeconds::new(1_000_010);
    let assertion = assertions.make(AUDIENCE, admin(b"{}"), soon, NOW).unwrap();
    assert_eq!(checked(&assertion, &assertions.jwks()).1["exp"], json!(1_000_010));
    assert_eq!(assertions.make(AUDIENCE, admin(b"{}"), soon, soon), None);
}

#[test]
fn while_a_key_is_replaced_both_are_published_and_the_first_signs() {
    let (old, new) = (
        AssertionKey::generate().unwrap(),
        AssertionKey::generate().unwrap(),
    );
    let of = |texts: [&SecretText; 2]| {
        let keys = texts.map(|text| AssertionKey::parse(text).unwrap());
        assertions(keys.into_iter().collect())
    };
    let (before, after) = (of([&old, &new]), of([&new, &old]));
    let made = |assertions: &Assertions| assertions.make(AUDIENCE, admin(b"{}"), FAR, NOW).unwrap();
    // Whoever has either set of keys can check both.
    let kid = |assertion: &HeaderValue, jwks: &Value| checked(assertion, jwks).0["kid"].clone();
    let (one, other) = (made(&before), made(&after));
    assert_ne!(kid(&one, &after.jwks()), kid(&other, &before.jwks()));
    assert_eq!(before.jwks()["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn keys_are_read_from_pem_and_jwk() {
    let pem = AssertionKey::generate().unwrap();
    let key = AssertionKey::parse(&pem).unwrap();
    assert!(
        pem.expose().lines().all(|line| line.len() <= 64),
        "{}",
        pem.expose()
    );
    // RFC 7517 appendix A.2.
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
        "use":"enc","kid":"1"}"#;
    let of_jwk = AssertionKey::parse(&SecretText::new(jwk.to_owned())).unwrap();
    assert_eq!(
        of_jwk.jwk()["x"],
        json!("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4")
    );
    for key in [key, of_jwk] {
        assert!(key.jwk().get("d").is_none(), "the private half stays here");
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("AssertionKey({})", key.kid()));
        let assertions = assertions(vec![key]);
        let assertion = assertions.make(AUDIENCE, admin(b"{}"), FAR, NOW).unwrap();
        checked(&assertion, &assertions.jwks());
    }
}

#[test]
fn sec1_keys_are_read_as_openssl_writes_them() {
    let pair =
        aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING)
            .unwrap();
    let der: aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let label = "EC PRIVATE KEY";
    let text = format!(
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n\
         -----BEGIN {label}-----\n{body}\n-----END {label}-----\n"
    );
    AssertionKey::parse(&SecretText::new(text)).unwrap();
}

#[test]
fn other_keys_are_refused() {
    let p384 =
        aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING)
            .unwrap()
            .to_pkcs8v1()
            .unwrap();
    let pem = |label: &str, der: &[u8]| {
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    };
    let ed25519 =
        aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    // A public key that is not that of the private one.
    let mixed = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"AAAAB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}"#;
    let public = r#"{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;
    for text in [
        String::new(),
        "secret".to_owned(),
        "{".to_owned(),
        public.to_owned(),
        mixed.to_owned(),
        pem("PRIVATE KEY", p384.as_ref()),
        pem("PRIVATE KEY", ed25519.as_ref()),
        pem("PRIVATE KEY", b"junk"),
        pem("CERTIFICATE", b"junk"),
    ] {
        let read = AssertionKey::parse(&SecretText::new(text.clone()));
        assert_eq!(read.map(|_| ()), Err(BadAssertionKey), "{text}");
    }
}
