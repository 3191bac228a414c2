//! Where the frames of a WebSocket end, read from one direction as it passes.
//!
//! Promises that a frame put in at a boundary is read as a frame, and that none is put in behind a close frame
//! (RFC 6455 §5.5.1). Keeps no payload. Bytes that are no frames give boundaries that mean nothing: then both sides have
//! left the protocol already.

use crate::stop::Reason;

/// Longest head of a frame: opcode, length, 64-bit length, masking key (RFC 6455 §5.2).
#[cfg(test)]
const LONGEST_HEAD: usize = 14;

const MASKED: u8 = 0b1000_0000;
const OPCODE: u8 = 0b0000_1111;
const CLOSE: u8 = 0x8;
/// The last frame of its message, as every control frame is.
const FINAL: u8 = 0b1000_0000;

/// The frames of one direction, as far as they have passed.
#[derive(Debug, Default)]
pub(super) struct Frames {
    place: Place,
    is_close: bool,
}

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// A new frame.
    #[default]
    Boundary,
    /// The second byte of a head.
    Length,
    /// The rest of the length, so many bytes of it, and perhaps a masking key behind it.
    LongLength { left: u8, read: u64, masked: bool },
    /// The masking key, so many bytes of it.
    Mask { left: u8, payload: u64 },
    /// The payload, so many bytes of it.
    Payload { left: u64 },
    /// Nothing: a close frame has passed.
    Closed,
}

impl Frames {
    /// Whether a close frame may follow what has passed.
    pub(super) fn may_close(&self) -> bool {
        self.place == Place::Boundary
    }

    /// Notes bytes that have passed.
    pub(super) fn passed(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            bytes = rest;
            self.place = match self.place {
                Place::Boundary => {
                    self.is_close = byte & OPCODE == CLOSE;
                    Place::Length
                }
                Place::Length => {
                    let masked = byte & MASKED != 0;
                    match byte & !MASKED {
                        126 => long_length(2, masked),
                        127 => long_length(8, masked),
                        length => self.behind_length(u64::from(length), masked),
                    }
                }
                Place::LongLength { left, read, masked } => {
                    let read = read << 8 | u64::from(*byte);
                    match left.saturating_sub(1) {
                        0 => self.behind_length(read, masked),
                        left => Place::LongLength { left, read, masked },
                    }
                }
                Place::Mask { left, payload } => match left.saturating_sub(1) {
                    0 => self.payload(payload),
                    left => Place::Mask { left, payload },
                },
                Place::Payload { left } => {
                    let more = left.saturating_sub(1);
                    let skipped = usize::try_from(more).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = bytes.get(skipped..).unwrap_or_default();
                    self.payload(more.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX)))
                }
                Place::Closed => return,
            };
        }
    }

    const fn behind_length(&self, payload: u64, masked: bool) -> Place {
        if masked {
            Place::Mask { left: 4, payload }
        } else {
            self.payload(payload)
        }
    }

    const fn payload(&self, left: u64) -> Place {
        match (left, self.is_close) {
            (0, true) => Place::Closed,
            (0, false) => Place::Boundary,
            _ => Place::Payload { left },
        }
    }
}

const fn long_length(left: u8, masked: bool) -> Place {
    let read = 0;
    Place::LongLength { left, read, masked }
}

/// A close frame with its status (RFC 6455 §7.4.1) and words for a log. Towards a server it is masked by a fresh random
/// key (§5.3), as all that a client sends; `None` when the system gives no random bytes.
pub(super) fn close_frame(reason: Reason, towards_server: bool) -> Option<Vec<u8>> {
    let (status, words) = match reason {
        // "Policy violation".
        Reason::SessionOver => (1008_u16, "the session is over"),
        // "Going away".
        Reason::ProxyStopping => (1001_u16, "the proxy is stopping"),
    };
    let mut payload = status.to_be_bytes().to_vec();
    payload.extend_from_slice(words.as_bytes());
    let length = u8::try_from(payload.len()).ok()?;
    let mut frame = vec![FINAL | CLOSE];
    if towards_server {
        let mut key = [0; 4];
        getrandom::fill(&mut key).ok()?;
        frame.push(MASKED | length);
        frame.extend_from_slice(&key);
        frame.extend(
            payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    } else {
        frame.push(length);
        frame.extend_from_slice(&payload);
    }
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as RFC 6455 §5.2 draws it, with the shortest length field unless told otherwise.
    fn frame(first: u8, masked: bool, payload: usize, longest_field: bool) -> Vec<u8> {
        let mask = if masked { MASKED } else { 0 };
        let mut frame = vec![first];
        match payload {
            _ if longest_field => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
            0..=125 => frame.push(mask | u8::try_from(payload).unwrap()),
            126..=65_535 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([0x88, 0, 0x81, 0x7f]);
        }
        // Looks like heads, so that whoever loses count stumbles.
        frame.extend([0x88, 0x00].iter().cycle().take(payload));
        frame
    }

    fn may_close_after(bytes: &[u8]) -> bool {
        let mut frames = Frames::default();
        frames.passed(bytes);
        frames.may_close()
    }

    #[test]
    fn only_between_frames() {
        assert!(may_close_after(b""), "nothing was sent yet");
        for masked in [false, true] {
            for payload in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
                let one = frame(0x82, masked, payload, false);
                assert!(may_close_after(&one), "{payload}");
                assert!(!may_close_after(&one[..one.len() - 1]), "{payload}: a byte short");
                assert!(
                    !may_close_after(&[one.as_slice(), &[0x81]].concat()),
                    "{payload}: a byte more"
                );
            }
        }
    }

    #[test]
    fn fragments_are_frames_too() {
        let first = frame(0x01, false, 10, false);
        let ping = frame(0x89, false, 4, false);
        let last = frame(0x80, false, 10, false);
        assert!(may_close_after(&[first, ping, last].concat()));
    }

    #[test]
    fn never_behind_a_close_frame() {
        let close = frame(0x88, false, 2, false);
        assert!(!may_close_after(&close));
        assert!(!may_close_after(&close[..1]));
        assert!(!may_close_after(&[close, frame(0x81, false, 5, false)].concat()));
    }

    #[test]
    fn a_frame_that_never_ends_has_no_boundary() {
        let endless = [&[0x82, 127][..], &[0xff; 8], &[0; 100_000]].concat();
        assert!(!may_close_after(&endless));
    }

    #[test]
    fn a_close_frame_is_read_as_one_with_its_status() {
        use tokio_tungstenite::tungstenite::protocol::Role;
        use tokio_tungstenite::tungstenite::{Message, WebSocket};
        for (reason, status) in [(Reason::SessionOver, 1008), (Reason::ProxyStopping, 1001)] {
            for (towards_server, role) in [(true, Role::Server), (false, Role::Client)] {
                let frame = close_frame(reason, towards_server).unwrap();
                assert!(!may_close_after(&frame), "it is a whole close frame");
                assert!(frame.len() <= LONGEST_HEAD + 125);
                let stream = std::io::Cursor::new(frame);
                let read = WebSocket::from_raw_socket(stream, role, None).read().unwrap();
                let Message::Close(Some(close)) = read else {
                    panic!("{read:?}");
                };
                assert_eq!(u16::from(close.code), status);
            }
        }
        assert_ne!(
            close_frame(Reason::SessionOver, true),
            close_frame(Reason::SessionOver, true),
            "the key is fresh"
        );
    }

    proptest! {
        #[test]
        fn any_cut_of_any_frames_has_the_same_boundaries(
            frames in prop::collection::vec(
                (prop::sample::select(&[0x00_u8, 0x81, 0x82, 0x89, 0x8a, 0xc1, 0x88][..]), any::<bool>(),
                 prop_oneof![0_usize..4, 120_usize..130, 65_533_usize..65_539], any::<bool>()),
                0..5,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let mut bytes = Vec::new();
            let mut boundaries = vec![0];
            let mut is_closed = false;
            for (first, masked, payload, longest) in frames {
                bytes.extend(frame(first, masked, payload, longest));
                is_closed |= first == 0x88;
                if !is_closed {
                    boundaries.push(bytes.len());
                }
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            // The interesting cuts are those near boundaries.
            cuts.extend(boundaries.iter().flat_map(|at| [at.saturating_sub(1), *at, at + 1, at + 2, at + 9]));
            cuts.push(bytes.len());
            cuts.retain(|cut| *cut <= bytes.len());
            cuts.sort_unstable();
            let mut tracked = Frames::default();
            let mut passed = 0;
            for cut in cuts {
                tracked.passed(&bytes[passed..cut]);
                passed = cut;
                prop_assert_eq!(tracked.may_close(), boundaries.contains(&cut), "at {} of {:?}", cut, boundaries);
            }
        }
    }
}
