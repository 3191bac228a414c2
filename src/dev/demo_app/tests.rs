//! The demo app driven over real sockets.

use ::http::header::{CONTENT_TYPE, HOST};
use ::http::{Request, StatusCode};
use futures_util::{SinkExt, StreamExt};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

use super::*;

struct World {
    address: SocketAddr,
    tasks: Tasks,
    shutdown: CancellationToken,
}

async fn start() -> World {
    let app = DemoApp::bind("127.0.0.1:0".parse().unwrap(), "/.logto")
        .await
        .unwrap();
    let (address, tasks, shutdown) = (app.address(), Tasks::new(), CancellationToken::new());
    drop(tasks.spawn(app.serve(shutdown.clone(), tasks.clone())));
    World {
        address,
        tasks,
        shutdown,
    }
}

impl World {
    async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        drop(Tasks::new().spawn(connection));
        sender.send_request(request).await.unwrap()
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response<Incoming> {
        let mut request = Request::get(path).header(HOST, "localhost:1");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::default()).unwrap()).await
    }
}

async fn text(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn the_page_greets_whom_the_headers_name() {
    let world = start().await;
    let page = text(world.get("/", &[]).await).await;
    assert!(page.contains("You are signed out.") && page.contains(r#"href="/.logto/sign-in" id="sign-in""#));
    let headers = [
        ("x-user-sub", "hfaceuser001"),
        ("x-user-name", "Name %F0%9F%A4%97 <b>"),
        ("x-user-roles", "a,b"),
    ];
    let page = text(world.get("/", &headers).await).await;
    assert!(
        page.contains("Name 🤗 &lt;b&gt;")
            && page.contains(r#"id="sign-out""#)
            && page.contains("<dd>a,b</dd>")
    );
    assert!(page.contains("<td>x-user-sub</td><td>hfaceuser001</td>"));
    let page = text(world.get("/public", &headers).await).await;
    assert!(page.contains("Everyone may read"));
    let page = text(world.get("/lab", &[("x-user-hf-username", "cafe-hf")]).await).await;
    assert!(
        page.contains("Members of example-lab") && page.contains("cafe-hf"),
        "{page}"
    );
    let json: Value =
        serde_json::from_str(&text(world.get("/headers", &[("x-a", "1"), ("x-a", "2")]).await).await)
            .unwrap();
    assert_eq!(json["x-a"], json!(["1", "2"]));
}

#[tokio::test]
async fn bodies_stream() {
    let world = start().await;
    let request = Request::post("/echo")
        .header(HOST, "127.0.0.1")
        .header(CONTENT_TYPE, "text/x")
        .body(Full::from("hello"));
    let echoed = world.send(request.unwrap()).await;
    assert_eq!(echoed.headers()[CONTENT_TYPE], "text/x");
    assert_eq!(text(echoed).await, "hello");
    for count in [0, 1, 65_536, 200_001] {
        assert_eq!(
            text(world.get(&format!("/bytes/{count}"), &[]).await).await.len(),
            count
        );
    }
    assert_eq!(world.get("/bytes/-1", &[]).await.status(), StatusCode::NOT_FOUND);
    let mut events = world.get("/events", &[]).await.into_body();
    let first = events.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"id: 0\nevent: tick\n"));
}

#[tokio::test]
async fn only_loopback_names_are_served() {
    let world = start().await;
    let request = Request::get("/headers")
        .header(HOST, "example.com")
        .body(Full::default())
        .unwrap();
    assert_eq!(
        world.send(request).await.status(),
        StatusCode::MISDIRECTED_REQUEST
    );
    assert!(DemoApp::bind("0.0.0.0:0".parse().unwrap(), "/").await.is_err());
}

#[tokio::test]
async fn a_web_socket_echoes_and_shutdown_ends_all() {
    let world = start().await;
    assert_eq!(world.get("/ws", &[]).await.status(), StatusCode::UPGRADE_REQUIRED);
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws", world.address))
        .await
        .unwrap();
    for message in [
        Message::text("hello"),
        Message::binary(vec![7; 300]),
        Message::binary(vec![9; 70_000]),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    let events = world.get("/events", &[]).await;
    world.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), world.tasks.drained())
        .await
        .expect("all ended");
    drop(events);
}
