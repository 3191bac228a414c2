use super::super::keyring::tests::{context, key, ring};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use xaes_256_gcm::Xaes256Gcm;
use xaes_256_gcm::aead::{Aead as _, KeyInit as _, Payload};

fn open(ring: &KeyRing, sealed: &str) -> Result<Vec<u8>, SealReason> {
    ring.open(Purpose::Session, b"name", sealed.as_bytes())
        .map(|opened| opened.plaintext.to_vec())
        .map_err(SealError::reason)
}

fn sealed(plaintext: &[u8]) -> String {
    ring(&[1]).seal(Purpose::Session, b"name", plaintext).unwrap()
}

fn bytes_of(sealed: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(sealed).unwrap()
}

#[test]
fn what_was_sealed_opens() {
    for plaintext in [&b""[..], b"a", b"session", &[7; 9000]] {
        let sealed = sealed(plaintext);
        assert_eq!(sealed.len(), sealed_length(plaintext.len()));
        assert_eq!(open(&ring(&[1]), &sealed).unwrap(), plaintext);
    }
}

#[test]
fn two_seals_of_one_text_differ() {
    assert_ne!(sealed(b"a"), sealed(b"a"));
}

#[test]
fn an_older_key_opens_and_says_so_and_a_removed_one_does_not() {
    let old = sealed(b"a");
    let opened = |ring: &KeyRing| ring.open(Purpose::Session, b"name", old.as_bytes());
    assert!(!opened(&ring(&[1])).unwrap().by_older_key);
    assert!(opened(&ring(&[2, 1])).unwrap().by_older_key);
    assert!(opened(&ring(&[2, 3, 4, 1])).unwrap().by_older_key);
    let Err(error) = opened(&ring(&[2, 3])) else {
        panic!()
    };
    assert_eq!(error.reason(), SealReason::UnknownKey);
}

#[test]
fn a_value_opens_only_for_its_own_purpose_and_name() {
    let ring = ring(&[1]);
    let purposes = [
        Purpose::Session,
        Purpose::SignIn,
        Purpose::SignOut,
        Purpose::Shared,
        Purpose::Form,
    ];
    for own in purposes {
        let sealed = ring.seal(own, b"name", b"a").unwrap();
        for (purpose, name) in purposes
            .into_iter()
            .map(|purpose| (purpose, &b"name"[..]))
            .chain([(own, &b"other"[..]), (own, b"")])
        {
            let opened = ring.open(purpose, name, sealed.as_bytes());
            if (purpose, name) == (own, b"name") {
                assert_eq!(&**opened.ok().unwrap().plaintext, b"a");
                continue;
            }
            let Err(error) = opened else {
                panic!("{own:?} opens as {purpose:?}")
            };
            assert_eq!(error.reason(), SealReason::Tag);
            assert_eq!(error.to_string(), "not a value sealed by this proxy");
        }
    }
}

#[test]
fn a_value_opens_only_in_its_own_deployment() {
    let sealed = sealed(b"a");
    let mut contexts = [context(), context(), context(), context()];
    contexts[0].issuer.push('2');
    contexts[1].client_id.push('2');
    contexts[2].public_origin.push('2');
    // The same letters, cut at another place.
    contexts[3].issuer.push('a');
    contexts[3].client_id.remove(0);
    for other in contexts {
        let ring = KeyRing::new(vec![key(1)], &other).unwrap();
        assert_eq!(open(&ring, &sealed), Err(SealReason::Tag), "{other:?}");
    }
}

#[test]
fn decoding_is_strict() {
    let good = sealed(b"abc");
    assert_ne!(good.len() % 4, 0, "has spare bits in its last character");
    for bad in [
        format!("{good}="),
        format!("{good}=="),
        format!(" {good}"),
        format!("{good}\n"),
        good.replacen(&good[40..41], "+", 1),
        good.replacen(&good[40..41], "/", 1),
        with_spare_bit(&good),
    ] {
        assert_eq!(open(&ring(&[1]), &bad), Err(SealReason::Encoding), "{bad}");
    }
}

/// The last character changed in a bit that carries nothing: a lenient decoder gives the same bytes.
fn with_spare_bit(sealed: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (head, last) = sealed.split_at(sealed.len() - 1);
    let value = ALPHABET
        .iter()
        .position(|byte| *byte == last.as_bytes()[0])
        .unwrap();
    format!("{head}{}", char::from(ALPHABET[value ^ 1]))
}

#[test]
fn other_shapes_are_refused() {
    let ring = ring(&[1]);
    let good = bytes_of(&sealed(b""));
    for length in 0..good.len() {
        let cut = URL_SAFE_NO_PAD.encode(&good[..length]);
        assert!(open(&ring, &cut).is_err(), "{length}");
    }
    let mut version = good;
    version[0] = 2;
    assert_eq!(
        open(&ring, &URL_SAFE_NO_PAD.encode(version)),
        Err(SealReason::Version)
    );
}

proptest! {
    #[test]
    fn any_flipped_bit_is_refused(plaintext in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>()) {
        let mut bytes = bytes_of(&sealed(&plaintext));
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(open(&ring(&[1]), &URL_SAFE_NO_PAD.encode(bytes)).is_err());
    }

    #[test]
    fn any_other_text_is_refused(text in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(ring(&[1]).open(Purpose::Session, b"name", &text).is_err());
    }

    #[test]
    fn a_mix_of_two_is_refused(first in "[a-z]{40}", second in "[a-z]{40}", cut in 34_usize..88) {
        let (first, second) = (bytes_of(&sealed(first.as_bytes())), bytes_of(&sealed(second.as_bytes())));
        let mixed = [&first[..cut], &second[cut..]].concat();
        prop_assert!(open(&ring(&[1]), &URL_SAFE_NO_PAD.encode(mixed)).is_err());
    }
}

/// The vectors of <https://c2sp.org/XAES-256-GCM>: the cipher the sealing stands on is the one it is called.
#[test]
fn the_cipher_meets_the_published_vectors() {
    for (key, associated_data, expected) in [
        (
            1_u8,
            &b""[..],
            "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
        ),
        (
            3,
            b"c2sp.org/XAES-256-GCM",
            "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
        ),
    ] {
        let payload = Payload {
            msg: b"XAES-256-GCM",
            aad: associated_data,
        };
        let cipher = Xaes256Gcm::new(&[key; 32].into());
        let made = cipher
            .encrypt(&(*b"ABCDEFGHIJKLMNOPQRSTUVWX").into(), payload)
            .unwrap();
        assert_eq!(hex(&made), expected);
    }
}

/// The accumulated vector: 10,000 messages, keys, nonces and lengths drawn from one SHAKE128, ciphertexts fed to another.
#[test]
fn the_cipher_meets_the_accumulated_vector() {
    let mut source = shake128::Sponge::new();
    assert_eq!(
        hex(&shake128::Sponge::new().read(16)),
        "7f9c2ba4e88f827d616045507605853e"
    );
    let mut sink = shake128::Sponge::new();
    for _ in 0..10_000 {
        let key: [u8; 32] = source.read(32).try_into().unwrap();
        let nonce: [u8; 24] = source.read(24).try_into().unwrap();
        let length = source.read(1)[0].into();
        let message = source.read(length);
        let length = source.read(1)[0].into();
        let associated_data = source.read(length);
        let cipher = Xaes256Gcm::new(&key.into());
        let payload = Payload {
            msg: &message,
            aad: &associated_data,
        };
        let made = cipher.encrypt(&nonce.into(), payload).unwrap();
        let payload = Payload {
            msg: &made,
            aad: &associated_data,
        };
        assert_eq!(cipher.decrypt(&nonce.into(), payload).unwrap(), message);
        sink.write(&made);
    }
    assert_eq!(
        hex(&sink.read(32)),
        "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHAKE128 (FIPS 202), only to make and check the accumulated vector.
mod shake128 {
    const RATE: usize = 168;

    pub struct Sponge {
        lanes: [u64; 25],
        at: usize,
        reading: bool,
    }

    impl Sponge {
        pub fn new() -> Self {
            Self {
                lanes: [0; 25],
                at: 0,
                reading: false,
            }
        }

        pub fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.mix(self.at, *byte);
                self.at += 1;
                if self.at == RATE {
                    permute(&mut self.lanes);
                    self.at = 0;
                }
            }
        }

        pub fn read(&mut self, length: usize) -> Vec<u8> {
            if !self.reading {
                self.mix(self.at, 0x1F);
                self.mix(RATE - 1, 0x80);
                (self.at, self.reading) = (RATE, true);
            }
            (0..length)
                .map(|_| {
                    if self.at == RATE {
                        permute(&mut self.lanes);
                        self.at = 0;
                    }
                    let byte = self.lanes[self.at / 8].to_le_bytes()[self.at % 8];
                    self.at += 1;
                    byte
                })
                .collect()
        }

        fn mix(&mut self, at: usize, byte: u8) {
            self.lanes[at / 8] ^= u64::from(byte) << (8 * (at % 8));
        }
    }

    /// Keccak-f[1600] (FIPS 202 §3.3), lane (x, y) at x + 5y. Rotations and constants computed as §3.2 defines them.
    fn permute(lanes: &mut [u64; 25]) {
        let mut feedback = 1_u8;
        for _ in 0..24 {
            let column: [u64; 5] = std::array::from_fn(|x| (0..5).fold(0, |sum, y| sum ^ lanes[x + 5 * y]));
            for (index, lane) in lanes.iter_mut().enumerate() {
                *lane ^= column[(index + 4) % 5] ^ column[(index % 5 + 1) % 5].rotate_left(1);
            }
            let (mut x, mut y, mut carried) = (1, 0, lanes[1]);
            for step in 0..24_u32 {
                (x, y) = (y, (2 * x + 3 * y) % 5);
                let rotation = (step + 1) * (step + 2) / 2 % 64;
                carried = std::mem::replace(&mut lanes[x + 5 * y], carried.rotate_left(rotation));
            }
            for row in lanes.chunks_mut(5) {
                let old: [u64; 5] = std::array::from_fn(|x| row[x]);
                for x in 0..5 {
                    row[x] = old[x] ^ (!old[(x + 1) % 5] & old[(x + 2) % 5]);
                }
            }
            for exponent in 0..7 {
                if feedback & 1 == 1 {
                    lanes[0] ^= 1 << ((1_u32 << exponent) - 1);
                }
                feedback = (feedback << 1) ^ (if feedback & 0x80 == 0 { 0 } else { 0x71 });
            }
        }
    }
}
