//! Unix sockets on both sides.

use crate::support::program::Setup;
use crate::support::{Upstream, Wire, get, proxy, request};
use hyper_util::rt::TokioIo;
use std::os::unix::net::UnixListener as BlockingListener;
use tokio::net::UnixListener;

#[tokio::test(flavor = "multi_thread")]
async fn the_app_may_listen_on_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service =
                hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                    let host = request.headers()["host"].to_str().unwrap().to_owned();
                    let body = format!("{} for {host}", request.uri());
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(http_body_util::Full::new(
                        bytes::Bytes::from(body),
                    )))
                });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    let world = proxy()
        .upstream_url(format!("unix:{}", path.display()))
        .route("/*", "public")
        .start()
        .await;
    for _ in 0..3 {
        assert_eq!(world.ask(get("/x?y")).await.text(), "/x?y for app.example.com");
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        world
            .ask(request("GET", "/x", &[("Connection", "close")]))
            .await
            .status
            / 100,
        2,
        "pooled"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_socket_of_the_app_is_a_502() {
    let world = proxy()
        .upstream_url("unix:/nonexistent/app.sock")
        .route("/*", "public")
        .start()
        .await;
    assert_eq!(world.ask(get("/x")).await.status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_may_listen_on_a_unix_socket_and_takes_the_file_away_again() {
    let upstream = Upstream::start().await;
    for (trusted, told) in [
        ("", "app.example.com"),
        ("trusted_proxies = [\"unix\"]", "stated.example.com"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proxy.sock");
        // What a crash left behind: a file that nobody listens on.
        drop(BlockingListener::bind(&path).unwrap());
        assert!(path.exists());
        let setup = Setup::valid(
            &format!(
                "listen = \"unix:{}\"\nupstream = \"http://{}\"\n{trusted}",
                path.display(),
                upstream.address
            ),
            "[[route]]\npath = \"/open\"\naccess = \"public\"\n",
        );
        let running = setup.serve();
        upstream.forget();
        let mut wire = Wire::connect_unix(&path).await;
        wire.send(request(
            "GET",
            "/open",
            &[("X-Forwarded-Host", "stated.example.com")],
        ))
        .await;
        assert_eq!(wire.reply().await.status, 200);
        let seen = upstream.only();
        assert_eq!(seen.header("x-forwarded-host"), Some(told), "{trusted}");
        assert_eq!(seen.header("x-forwarded-for"), None, "a unix peer has no address");
        wire.send(get("/closed")).await;
        assert_eq!(wire.reply().await.status, 401);

        let ended = setup.run(&["run"]);
        assert_eq!(
            ended.code,
            Some(2),
            "a socket in use is not taken over: {ended:?}"
        );
        assert!(ended.stderr.contains("proxy.sock"), "{}", ended.stderr);
        let mut again = Wire::connect_unix(&path).await;
        again.send(get("/open")).await;
        assert_eq!(again.reply().await.status, 200, "the first goes on");

        running.terminate();
        assert_eq!(running.wait().code, Some(0));
        assert!(!path.exists(), "the socket file is left behind");
    }
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious.txt");
    std::fs::write(&path, "precious").unwrap();
    let setup = Setup::valid(&format!("listen = \"unix:{}\"", path.display()), "");
    assert_eq!(setup.run(&["run"]).code, Some(2));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}
