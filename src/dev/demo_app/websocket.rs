//! A WebSocket that sends back what it gets (RFC 6455), frame by frame.
//!
//! Own code instead of a library because it is all the product would use one for: it never looks into a
//! message, so fragments are echoed as fragments, and a frame has one bounded buffer.

use ::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use ::http::{HeaderMap, HeaderValue, StatusCode};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::super::reply::{self, Reply};

/// RFC 6455 §1.3.
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Payload bytes a frame may have.
const PAYLOAD_BYTES: usize = 1024 * 1024;

const OPCODE_CLOSE: u8 = 0x8;
const OPCODE_PING: u8 = 0x9;
const OPCODE_PONG: u8 = 0xA;
const PROTOCOL_ERROR: u16 = 1002;
const TOO_BIG: u16 = 1009;

/// The 101 for a sound handshake (RFC 6455 §4.2).
pub(super) fn handshake(headers: &HeaderMap) -> Option<Reply> {
    let has_token = |name, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .any(|line: &str| {
                line.split(',')
                    .any(|given| given.trim().eq_ignore_ascii_case(token))
            })
    };
    let is_sound = has_token(UPGRADE, "websocket")
        && has_token(CONNECTION, "upgrade")
        && headers
            .get(SEC_WEBSOCKET_VERSION)
            .is_some_and(|version| version == "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    let key_is_sound = STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    if !is_sound || !key_is_sound {
        return None;
    }
    let accept = HeaderValue::from_str(&accept_of(key)).ok()?;
    let mut reply = reply::Reply::new(reply::full(""));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = reply.headers_mut();
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Some(reply)
}

fn accept_of(key: &str) -> String {
    let hash = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}{ACCEPT_SUFFIX}").as_bytes(),
    );
    STANDARD.encode(hash.as_ref())
}

/// Echoes until the peer closes or breaks the protocol.
pub(super) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    loop {
        let frame = match read_frame(&mut stream).await? {
            Ok(frame) => frame,
            Err(code) => {
                write_frame(&mut stream, 0x80 | OPCODE_CLOSE, &code.to_be_bytes()).await?;
                return stream.shutdown().await;
            }
        };
        match frame.first & 0x0F {
            OPCODE_PONG => {}
            OPCODE_PING => write_frame(&mut stream, 0x80 | OPCODE_PONG, &frame.payload).await?,
            OPCODE_CLOSE => {
                write_frame(&mut stream, 0x80 | OPCODE_CLOSE, &frame.payload).await?;
                return stream.shutdown().await;
            }
            _ => write_frame(&mut stream, frame.first, &frame.payload).await?,
        }
    }
}

struct Frame {
    /// FIN and opcode.
    first: u8,
    payload: Vec<u8>,
}

/// RFC 6455 §5.2. The inner error is a close code.
async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Result<Frame, u16>> {
    let first = stream.read_u8().await?;
    let second = stream.read_u8().await?;
    let opcode = first & 0x0F;
    let (is_control, is_masked, short_length) = (opcode >= OPCODE_CLOSE, second & 0x80 != 0, second & 0x7F);
    let is_known = matches!(opcode, 0x0..=0x2 | OPCODE_CLOSE..=OPCODE_PONG);
    let control_is_sound = !is_control || (first & 0x80 != 0 && short_length <= 125);
    if !is_masked || first & 0x70 != 0 || !is_known || !control_is_sound {
        return Ok(Err(PROTOCOL_ERROR));
    }
    let length = match short_length {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        length => u64::from(length),
    };
    let Some(length) = usize::try_from(length)
        .ok()
        .filter(|length| *length <= PAYLOAD_BYTES)
    else {
        return Ok(Err(TOO_BIG));
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(Ok(Frame { first, payload }))
}

async fn write_frame<S: AsyncWrite + Unpin>(stream: &mut S, first: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = Vec::with_capacity(payload.len().saturating_add(10));
    frame.push(first);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length <= 125 => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend(u64::try_from(payload.len()).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_value_is_rfc_6455s() {
        assert_eq!(
            accept_of("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    async fn answer_to(frame: &[u8]) -> Vec<u8> {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(frame).await.unwrap();
        client.shutdown().await.unwrap();
        let _ = echo(server).await;
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn breaches_of_the_protocol_end_with_their_code() {
        let close = |code: u16| [&[0x88, 2][..], &code.to_be_bytes()].concat();
        for (frame, code) in [
            (&[0x81, 0x01, b'x'][..], PROTOCOL_ERROR),           // not masked
            (&[0xC1, 0x80, 0, 0, 0, 0], PROTOCOL_ERROR),         // reserved bit
            (&[0x83, 0x80, 0, 0, 0, 0], PROTOCOL_ERROR),         // unknown opcode
            (&[0x09, 0x80, 0, 0, 0, 0], PROTOCOL_ERROR),         // fragmented ping
            (&[0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0], TOO_BIG), // 2^63 bytes and more
        ] {
            assert_eq!(answer_to(frame).await, close(code), "{frame:x?}");
        }
        assert_eq!(
            answer_to(&[0x89, 0x81, 1, 1, 1, 1, b'x' ^ 1]).await,
            [0x8A, 1, b'x'],
            "ping"
        );
    }
}
