//! What nginx, Caddy and Envoy let through between client and app after they have asked once.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use crate::support::front::{Front, Kind};
use crate::support::proxy::Place;
use crate::support::setting::Around;

/// An app that speaks h2c is not offered it: what came through that tunnel, nobody would be asked about.
pub async fn lets_no_tunnel_pass(kind: Kind) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let app = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            std::thread::spawn(move || speak_h2c(socket));
        }
    });
    let around = Around::new(Place::choose(), json!({})).await;
    let proxy = around
        .deployment()
        .top("trusted_proxies = [\"127.0.0.1/32\"]")
        .section("[[route]]\npath = \"/public\"\naccess = \"public\"")
        .start_elsewhere()
        .await;
    let port = around.place.port();
    let _front = Front::guarding(kind, port, proxy.port(), &app).await;
    // Without HTTP2-Settings, by which the proxy would know it.
    for upgrade in [
        "Upgrade: h2c",
        "upgrade: H2C",
        "Upgrade: h2c, websocket",
        "Upgrade: h2c\r\nUpgrade: websocket",
        "Upgrade: websocket\r\nUpgrade: h2c",
        "Upgrade: plain",
    ] {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the front listens");
        let request = format!(
            "GET /public HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: Upgrade\r\n{upgrade}\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).expect("a request");
        let mut answer = [0; 64];
        let length = socket.read(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        let (_, status) = answer.split_once(' ').expect("a status line");
        assert!(
            status.starts_with("200") || status.starts_with("403"),
            "{upgrade:?}: {answer}"
        );
    }
}

/// Answers one connection.
fn speak_h2c(mut socket: TcpStream) {
    let mut head = [0; 4096];
    while let Ok(length @ 1..) = socket.read(&mut head) {
        let head = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
        let answer = if head.contains("h2c") {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        };
        if socket.write_all(answer.as_bytes()).is_err() {
            break;
        }
    }
}
