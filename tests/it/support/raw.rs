//! Bytes on a socket, for what no HTTP client would send.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends bytes and reads until the other side closes or says nothing for 700 ms.
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    String::from_utf8_lossy(&read_some(&mut stream).await).into_owned()
}

/// Reads until the other side closes or says nothing for 700 ms.
pub async fn read_some(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while let Ok(Ok(count)) = tokio::time::timeout(Duration::from_millis(700), stream.read(&mut buffer)).await
    {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    answer
}

/// The status of the first answer.
pub fn status(answer: &str) -> u16 {
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// What a health listener answers: status and body.
pub async fn health(admin: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n");
    let answer = exchange(admin, request.as_bytes()).await;
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
    (status(&answer), body)
}
