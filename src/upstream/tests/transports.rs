//! TLS and unix sockets.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// An upstream with a certificate for `app.internal`, and the certificate of its authority.
async fn tls_upstream(truncates: bool) -> (Raw, CertificateDer<'static>) {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["app.internal".to_owned()])
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let upstream = raw(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                if truncates {
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").await.unwrap();
                    stream.flush().await.unwrap();
                    return;
                }
                stream.write_all(ANSWER).await.unwrap();
            }
        }
    })
    .await;
    (upstream, authority.der().clone())
}

fn tls_pool(upstream: &Raw, server_name: &'static str, roots: Vec<CertificateDer<'static>>) -> Pool {
    let mut settings = Settings::new(Address::Tls {
        host: "localhost".to_owned(),
        port: upstream.address.port(),
        server_name: ServerName::try_from(server_name).unwrap(),
    });
    settings.extra_roots = roots;
    settings.connect_timeout = Duration::from_millis(500);
    pool(settings)
}

#[tokio::test]
async fn tls_with_an_own_authority_works_and_is_reused() {
    let (upstream, root) = tls_upstream(false).await;
    let pool = tls_pool(&upstream, "app.internal", vec![root]);
    for _ in 0..2 {
        assert_eq!(fetch(&pool, get()).await.unwrap().1, "ok");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused() {
    let (upstream, root) = tls_upstream(false).await;
    for (name, roots) in [
        ("app.internal", vec![]),
        ("app.internal", vec![authority().der().clone()]),
        ("other.internal", vec![root]),
    ] {
        let error = tls_pool(&upstream, name, roots).send(get()).await.err().unwrap();
        assert!(matches!(error, UpstreamError::Tls(_)), "{error:?}");
        assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    }
}

#[tokio::test]
async fn a_silent_handshake_ends_at_the_connect_limit() {
    let upstream = raw(|_, mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let error = tls_pool(&upstream, "app.internal", vec![])
        .send(get())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, UpstreamError::ConnectTimeout), "{error:?}");
    assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    eventually("the upstream sees the end", || upstream.open() == 0).await;
}

#[tokio::test]
async fn an_answer_cut_off_by_a_stranger_is_no_clean_end() {
    // Without Content-Length only TLS's own close tells an end from a cut (RFC 9112 §9.8).
    let (upstream, root) = tls_upstream(true).await;
    let response = tls_pool(&upstream, "app.internal", vec![root])
        .send(get())
        .await
        .unwrap();
    response.into_body().collect().await.unwrap_err();
}

#[tokio::test]
async fn a_unix_socket_works_and_its_absence_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let pool = pool(Settings::new(Address::Unix(path.clone())));
    let error = pool.send(get()).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Refused(_)), "{error:?}");

    let listener = UnixListener::bind(&path).unwrap();
    Tasks::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
            stream.write_all(ANSWER).await.unwrap();
        }
    });
    for _ in 0..2 {
        assert_eq!(fetch(&pool, get()).await.unwrap().1, "ok");
    }
}

#[tokio::test]
async fn a_name_is_tried_at_each_of_its_addresses() {
    // `localhost` may stand for ::1 first, where nobody listens.
    let upstream = answering(ANSWER).await;
    let pool = pool(Settings::new(Address::Tcp {
        host: "localhost".to_owned(),
        port: upstream.address.port(),
    }));
    assert_eq!(fetch(&pool, get()).await.unwrap().1, "ok");
}
