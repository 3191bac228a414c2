//! Apps that speak TLS: each is trusted by the name and the authority that are said of it, and by no others.

use crate::support::{World, get, proxy};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An app whose certificate is for this name, signed by an authority of its own.
struct App {
    address: SocketAddr,
    ca_file: PathBuf,
}

impl App {
    async fn start(name: &'static str, directory: &TempDir) -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let ca_file = directory.path().join(format!("{name}.pem"));
        std::fs::write(&ca_file, authority.pem()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Self { address, ca_file }
    }

    fn route(&self, path: &str, tls: &str) -> String {
        let address = self.address;
        let tls = tls.replace("CA", &format!("ca_file = \"{}\"", self.ca_file.display()));
        format!(
            "[[route]]\npath = \"{path}\"\naccess = \"public\"\nupstream = \"https://{address}\"\n\
             upstream_tls = {{ {tls} }}\n"
        )
    }
}

async fn answer(world: &World, target: &str) -> (u16, String) {
    let answer = world.ask(get(target)).await;
    (answer.status, answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_upstream_is_trusted_by_its_own_name_and_authority() {
    let directory = TempDir::new().unwrap();
    let first = App::start("first.internal", &directory).await;
    let other = App::start("other.internal", &directory).await;
    let section = format!(
        "[upstream_tls]\nserver_name = \"first.internal\"\nca_file = \"{}\"",
        first.ca_file.display()
    );
    let world = proxy()
        .upstream_url(format!("https://{}", first.address))
        .section(&section)
        .section("[[route]]\npath = \"/first/*\"\naccess = \"public\"")
        .section(&other.route("/other/*", "CA, server_name = \"other.internal\""))
        .section(&other.route("/nameless/*", "CA"))
        .section(&other.route("/misnamed/*", "CA, server_name = \"first.internal\""))
        .section(&other.route("/unsigned/*", "server_name = \"other.internal\""))
        .section(&first.route("/renamed/*", "CA, server_name = \"other.internal\""))
        .start()
        .await;
    for (target, name) in [("/first/x", "first.internal"), ("/other/x", "other.internal")] {
        let (status, text) = answer(&world, target).await;
        assert_eq!((status, text.as_str()), (200, name), "{target}");
    }
    for target in ["/nameless/x", "/misnamed/x", "/unsigned/x", "/renamed/x"] {
        assert_eq!(answer(&world, target).await.0, 502, "{target}");
    }
    // The connections of one route are not those of another to the same address.
    assert_eq!(answer(&world, "/other/x").await.0, 200);
    assert_eq!(answer(&world, "/misnamed/x").await.0, 502);
}
