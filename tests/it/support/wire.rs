//! One connection to the proxy, byte by byte: what is sent is exactly what was written, and an answer is read
//! to its end and not a byte further.

use super::{World, proxy::ORIGIN};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// The host that requests name unless a test says otherwise.
pub const HOST: &str = "app.example.com";

const PATIENCE: Duration = Duration::from_secs(10);

trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection.
pub struct Wire {
    stream: Box<dyn Transport>,
    buffer: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Fields behind the last chunk.
    pub trailers: Vec<(String, String)>,
    /// Whether the body came to the end that its framing announced.
    pub complete: bool,
}

impl Reply {
    /// The value of a field, if it came exactly once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut found = self
            .fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        let (_, value) = found.next()?;
        assert!(found.next().is_none(), "{name} came twice: {self:?}");
        Some(value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.fields
            .iter()
            .any(|(field, _)| field.eq_ignore_ascii_case(name))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Whether the sender says that it closes the connection.
    pub fn says_close(&self) -> bool {
        self.field("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A request without a body.
pub fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n").into_bytes();
    for (name, value) in fields {
        text.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    text.extend_from_slice(b"\r\n");
    text
}

pub fn get(target: &str) -> Vec<u8> {
    request("GET", target, &[])
}

/// The fields of a WebSocket handshake from the site's own page.
pub const HANDSHAKE: &[(&str, &str)] = &[
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Origin", ORIGIN),
];

impl World {
    pub async fn wire(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// Sends one request on a connection of its own and reads the answer.
    pub async fn ask(&self, request: impl AsRef<[u8]>) -> Reply {
        let mut wire = self.wire().await;
        wire.send(request).await;
        wire.reply().await
    }

    /// Sends a request that must be refused with this status, the connection closed behind it.
    pub async fn refused(&self, request: impl AsRef<[u8]>, status: u16) -> Reply {
        let request = request.as_ref();
        let what = String::from_utf8_lossy(request).into_owned();
        let mut wire = self.wire().await;
        wire.send(request).await;
        let reply = wire.reply().await;
        assert_eq!(reply.status, status, "{what:?} got {reply:?}");
        assert!(wire.is_closed().await, "{what:?}: the connection stays open");
        reply
    }
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub async fn connect_unix(path: &Path) -> Self {
        Self::over(UnixStream::connect(path).await.unwrap())
    }

    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            buffer: Vec::new(),
        }
    }

    /// Writes; a peer that closed already is no failure, its answer tells.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    /// Writes as much as is taken within a time; says how many bytes.
    pub async fn send_for(&mut self, bytes: &[u8], time: Duration) -> usize {
        let mut sent = 0;
        let writing = async {
            while sent < bytes.len() {
                match self.stream.write(&bytes[sent..]).await {
                    Ok(0) | Err(_) => return,
                    Ok(count) => sent += count,
                }
            }
        };
        let _ = tokio::time::timeout(time, writing).await;
        sent
    }

    /// Reads the next answer.
    pub async fn reply(&mut self) -> Reply {
        self.read_reply(false).await
    }

    /// Reads the answer to a HEAD, which has no body.
    pub async fn reply_to_head(&mut self) -> Reply {
        self.read_reply(true).await
    }

    /// Reads a message head.
    pub async fn head(&mut self) -> (String, Vec<(String, String)>) {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            assert!(
                self.read_more().await,
                "the connection ended in a head: {:?}",
                String::from_utf8_lossy(&self.buffer)
            );
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        (first.to_owned(), fields(rest))
    }

    /// The next head, however long it takes; `None` when the other side closes before.
    pub async fn next_head(&mut self) -> Option<(String, Vec<(String, String)>)> {
        let nothing_yet = self.buffer.is_empty();
        if nothing_yet && !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
            return None;
        }
        Some(self.head().await)
    }

    async fn read_reply(&mut self, is_head: bool) -> Reply {
        let (first, fields) = self.head().await;
        let status = first
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no status line: {first:?}"));
        let mut reply = Reply {
            status,
            fields,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: true,
        };
        if is_head || status < 200 || matches!(status, 204 | 304) {
            return reply;
        }
        if reply
            .field("transfer-encoding")
            .is_some_and(|coding| coding == "chunked")
        {
            while let Some(chunk) = self.chunk().await {
                if chunk.is_empty() {
                    let end = self.through(b"\r\n").await.unwrap_or_default();
                    if !end.is_empty() {
                        let mut rest = end;
                        rest.extend(self.through(b"\r\n\r\n").await.unwrap_or_default());
                        reply.trailers = self::fields(&String::from_utf8_lossy(&rest));
                    }
                    return reply;
                }
                reply.body.extend_from_slice(&chunk);
            }
            reply.complete = false;
        } else if let Some(length) = reply.field("content-length") {
            let length: usize = length.parse().unwrap();
            reply.body = self.take(length).await;
            reply.complete = reply.body.len() == length;
        } else {
            while self.read_more().await {}
            reply.body = std::mem::take(&mut self.buffer);
        }
        reply
    }

    /// The next chunk of a chunked body, empty at its end; `None` when the connection ended first.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.through(b"\r\n").await?;
        let size = usize::from_str_radix(String::from_utf8_lossy(&size).trim(), 16).unwrap();
        if size == 0 {
            return Some(Vec::new());
        }
        let data = self.take(size).await;
        self.through(b"\r\n").await?;
        (data.len() == size).then_some(data)
    }

    /// Everything up to a mark, without it.
    async fn through(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.buffer, mark) {
                let found = self.buffer[..end].to_vec();
                self.buffer.drain(..end + mark.len());
                return Some(found);
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    /// So many bytes, or fewer when the connection ends.
    pub async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length && self.read_more().await {}
        let taken = self.buffer.len().min(length);
        self.buffer.drain(..taken).collect()
    }

    /// Whether the other side closes, and says nothing before it does.
    pub async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        self.buffer.is_empty()
            && match tokio::time::timeout(PATIENCE, self.stream.read(&mut byte)).await {
                Ok(Ok(count)) => count == 0,
                Ok(Err(_)) => true,
                Err(_) => false,
            }
    }

    /// Waits until the other side closes, whatever it says before.
    pub async fn is_cut(&mut self) {
        while self.read_more().await {}
    }

    /// The same however long it takes: for an app that is not to be the first to hang up.
    pub async fn lasts(&mut self) {
        let mut bytes = [0; 1_024];
        while self.stream.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
    }

    /// Whether the other side says nothing and does not close either, for a while.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        let mut byte = [0];
        self.buffer.is_empty()
            && tokio::time::timeout(time, self.stream.read(&mut byte))
                .await
                .is_err()
    }

    async fn read_more(&mut self) -> bool {
        let reading = self.stream.read_buf(&mut self.buffer);
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(count)) => count > 0,
            Ok(Err(_)) => false,
            Err(_) => panic!("silence after {:?}", String::from_utf8_lossy(&self.buffer)),
        }
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

fn fields(lines: &str) -> Vec<(String, String)> {
    lines
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}
