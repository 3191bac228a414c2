//! Ways to a Redis, and what is said of them.

use super::redis_server::{Redis, Replica};
use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const PASSWORD: &str = "Geheim-ßecret";
const ENCODED: &str = "Geheim-%C3%9Fecret";

fn refusal(url: &str) -> String {
    let opened = Store::open(at_url(url), Clock::system(), Tasks::new(), Metrics::new());
    opened.unwrap_err().to_string()
}

#[test]
fn a_url_that_is_wrong_is_refused_without_being_shown() {
    for (url, reason) in [
        ("geheim", "not a URL"),
        ("http://:geheim@host", "must begin with redis://"),
        ("redis-sentinel://:geheim@host", "must begin with redis://"),
        (
            "rediss://:geheim@host#insecure",
            "certificates are always verified",
        ),
        ("redis://:geheim@host/database", "a number for the database"),
        ("redis://:geheim@host?db=3", "the database goes into the path"),
        ("redis://:geheim@host:port", "not a URL"),
        ("redis://", "needs a host"),
        ("rediss://:geheim@ho st", "not a URL"),
    ] {
        let text = refusal(url);
        assert!(
            text.starts_with("store.url: ") && text.contains(reason),
            "{url}: {text}"
        );
        assert!(!text.contains("geheim"), "{text}");
    }
    for url in [
        "redis://host",
        "redis://user:pass@[::1]:7000/15",
        "rediss://127.0.0.1",
        "unix:///run/redis.sock?db=2&user=u&pass=p",
    ] {
        drop(open(at_url(url)));
    }
    let shown = format!("{:?}", at_url("redis://:geheim@host"));
    assert!(!shown.contains("geheim"), "{shown}");
}

#[tokio::test]
async fn the_password_is_used_and_a_wrong_one_is_told_without_being_shown() {
    let Some(redis) = Redis::start(&["--requirepass", PASSWORD]) else {
        return;
    };
    let with = |login: &str| format!("redis://{login}127.0.0.1:{}/3", redis.port());
    let right = Replica::start(&with(&format!(":{ENCODED}@"))).await;
    right.store.publish_notice(ending(1)).await.unwrap();
    assert_eq!(right.store.health().pending, 0);
    for (login, reason) in [(":falsch@", "user name or password refused"), ("", "NOAUTH")] {
        let wrong = Replica::begin(at_url(&with(login)));
        wrong.knows(false).await;
        let told = || wrong.store.health().reason.unwrap_or_default();
        within(Duration::from_secs(3), reason, || {
            told().contains(reason) || told().contains("password")
        })
        .await;
        assert!(
            !told().contains("falsch") && !told().contains("127.0.0.1"),
            "{}",
            told()
        );
    }
    let missing = Replica::begin(at_url(&format!(
        "redis://:{ENCODED}@127.0.0.1:{}/99",
        redis.port()
    )));
    let told = || missing.store.health().reason.unwrap_or_default();
    within(Duration::from_secs(3), "no database", || {
        told().contains("no such database")
    })
    .await;
    // Another database is another store.
    let url = format!("redis://:{ENCODED}@127.0.0.1:{}", redis.port());
    assert!(Replica::start(&url).await.store.revocations().is_empty());
    let socket = redis.socket();
    let url = format!("unix://{}?db=3&pass={ENCODED}", socket.display());
    assert!(
        is_over(&Replica::start(&url).await.store, 1),
        "by the unix socket"
    );
}

#[tokio::test]
async fn tls_is_verified() {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &authority)
        .unwrap();
    let files = folder();
    let write = |name: &str, pem: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = (
        write("cert", &certificate.pem()),
        write("key", &key.serialize_pem()),
    );
    let arguments = [
        "--tls-port",
        "{port}",
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
    ];
    let arguments = [&arguments[..], &["--tls-auth-clients", "no"]].concat();
    let Some(redis) = Redis::start(&arguments) else {
        return;
    };
    assert!(redis.folder().exists());
    let url = |host: &str| SecretText::new(format!("rediss://{host}:{}", redis.port()));
    let begin = |host: &str, ca: Vec<rustls::pki_types::CertificateDer<'static>>| {
        Replica::begin(settings(Kind::Redis { url: url(host), ca }))
    };
    let ca = vec![authority.der().clone()];
    let trusting = begin("127.0.0.1", ca.clone());
    trusting.knows(true).await;
    trusting.store.publish_notice(ending(1)).await.unwrap();
    assert_eq!(trusting.store.health().pending, 0);
    for (replica, reason) in [
        (begin("127.0.0.1", Vec::new()), "UnknownIssuer"),
        (begin("localhost", ca), "not valid for name"),
    ] {
        let told = || replica.store.health().reason.unwrap_or_default();
        within(Duration::from_secs(5), reason, || told().contains(reason)).await;
        assert!(!replica.store.health().available);
    }
}
