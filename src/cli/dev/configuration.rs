//! The configuration of `logto-proxy dev`: a file of the user's with another tenant in it, or one of its own.

use super::{DevFlags, Failure, fresh_secret, loopback};
use crate::config::{self, Config, Environment, Source};
use crate::identity::AssertionKey;
use crate::secret::SecretText;
use std::path::Path;

/// The stand-in, as the proxy is told of it.
pub(super) struct Tenant {
    /// Its endpoint.
    pub(super) endpoint: String,
    /// The application that is registered there.
    pub(super) app_id: &'static str,
    /// Its secret.
    pub(super) app_secret: SecretText,
}

impl Tenant {
    /// Where the stand-in says what Hugging Face would.
    fn hugging_face_userinfo(&self) -> String {
        format!("{}/huggingface/oauth/userinfo", self.endpoint)
    }
}

/// What the flags ask for. `demo`: where the demo app is, if it is to be guarded.
pub(super) fn configure(flags: &DevFlags, tenant: &Tenant, demo: Option<String>) -> Result<Config, Failure> {
    match &flags.config {
        Some(file) => load(Source::new(file, Environment::of_process()), flags, tenant),
        None => write(flags, tenant, demo.as_deref()),
    }
}

fn public_url(flags: &DevFlags) -> String {
    format!("http://localhost:{}", flags.port)
}

/// A `proxy.toml` as it is, but for what belongs to a place: addresses, the tenant, secrets and the store.
fn load(mut source: Source, flags: &DevFlags, tenant: &Tenant) -> Result<Config, Failure> {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let set = [
        ("public_url", public_url(flags)),
        ("listen", loopback(flags.port).to_string()),
        ("admin.listen", String::new()),
        ("logto.endpoint", tenant.endpoint.clone()),
        ("logto.internal_endpoint", String::new()),
        ("logto.ca_file", String::new()),
        ("logto.app_id", tenant.app_id.to_owned()),
        ("logto.app_secret", tenant.app_secret.expose().to_owned()),
        ("hugging_face.userinfo_endpoint", tenant.hugging_face_userinfo()),
        ("session.keys", format!("[{}]", quoted(fresh_secret()?.expose()))),
        ("store.kind", "memory".to_owned()),
        ("store.path", String::new()),
        ("store.url", String::new()),
        ("store.ca_file", String::new()),
        ("webhook.signing_key", String::new()),
    ];
    source.overrides = set.map(|(key, value)| (key.to_owned(), value)).to_vec();
    if let Some(upstream) = &flags.upstream {
        source.overrides.push(("upstream".to_owned(), upstream.clone()));
    }
    if flags.access_log {
        source
            .overrides
            .push(("log.access".to_owned(), "true".to_owned()));
    }
    if has_assertion_key(&source.path) {
        let key = AssertionKey::generate().map_err(|_| Failure::Secret)?;
        source
            .overrides
            .push(("assertion.key".to_owned(), key.expose().to_owned()));
    }
    source.overrides.extend(flags.overrides.iter().cloned());
    config::load(&source).map_err(Failure::Config)
}

/// Whether the file names a key for `[assertion]`. What is wrong with the file is told when it is loaded.
fn has_assertion_key(file: &Path) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    let assertion = table.get("assertion");
    assertion.and_then(|assertion| assertion.get("key")).is_some()
}

/// One of our own, written as a `proxy.toml` and read like one.
fn write(flags: &DevFlags, tenant: &Tenant, demo: Option<&str>) -> Result<Config, Failure> {
    let text = |value: &str| toml::Value::from(value);
    let mut logto = toml::Table::new();
    logto.insert("endpoint".into(), text(&tenant.endpoint));
    logto.insert("app_id".into(), text(tenant.app_id));
    logto.insert("app_secret".into(), text(tenant.app_secret.expose()));
    let scopes = [
        "profile",
        "email",
        "roles",
        "urn:logto:scope:organizations",
        "urn:logto:scope:organization_roles",
        "identities",
    ];
    logto.insert("scopes".into(), scopes.map(text).to_vec().into());
    if demo.is_some() {
        let resource = super::api::resource(&public_url(flags));
        logto.insert("resources".into(), text(&resource));
    }
    let mut hugging_face = toml::Table::new();
    hugging_face.insert("userinfo_endpoint".into(), text(&tenant.hugging_face_userinfo()));
    let mut session = toml::Table::new();
    // What is changed at the stand-in is to be seen soon.
    session.insert("recheck".into(), text("10s"));
    session.insert("keys".into(), vec![text(fresh_secret()?.expose())].into());
    let mut log = toml::Table::new();
    log.insert("access".into(), flags.access_log.into());
    // Several may run side by side, and nobody probes them.
    let mut admin = toml::Table::new();
    admin.insert("listen".into(), text(""));
    let mut sign_in = toml::Table::new();
    if let Some(direct) = &flags.direct {
        sign_in.insert("direct".into(), text(direct));
    }
    let mut routes: Vec<toml::Value> = Vec::new();
    let mut open = |path: &str, access: &str| {
        let route = toml::Table::from_iter([
            ("path".to_owned(), text(path)),
            ("access".to_owned(), text(access)),
        ]);
        routes.push(route.into());
    };
    for path in &flags.public {
        open(path, "public");
    }
    if demo.is_some() {
        open("/", "optional");
        open("/public", "public");
        let members = toml::Table::from_iter([("hf_org".to_owned(), text("65b000000000000000000001"))]);
        let lab = toml::Table::from_iter([
            ("path".to_owned(), text("/lab/*")),
            ("access".to_owned(), members.into()),
        ]);
        routes.push(lab.into());
        let api = toml::Table::from_iter([
            ("path".to_owned(), text("/api/*")),
            ("bearer".to_owned(), true.into()),
        ]);
        routes.push(api.into());
    }
    let mut file = toml::Table::new();
    file.insert("public_url".into(), text(&public_url(flags)));
    file.insert("listen".into(), text(&loopback(flags.port).to_string()));
    file.insert(
        "upstream".into(),
        text(flags.upstream.as_deref().or(demo).unwrap_or_default()),
    );
    file.insert("logto".into(), logto.into());
    file.insert("hugging_face".into(), hugging_face.into());
    file.insert("session".into(), session.into());
    file.insert("log".into(), log.into());
    file.insert("admin".into(), admin.into());
    file.insert("sign_in".into(), sign_in.into());
    file.insert("route".into(), routes.into());
    config::parse_str("logto-proxy dev", &file.to_string(), Environment::new(Vec::new()))
        .map_err(Failure::Config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StoreConfig;
    use std::path::PathBuf;

    fn flags(config: PathBuf) -> DevFlags {
        DevFlags {
            config: Some(config),
            upstream: None,
            port: 3000,
            logto_port: 3001,
            public: Vec::new(),
            direct: None,
            overrides: Vec::new(),
            access_log: false,
        }
    }

    fn tenant() -> Tenant {
        Tenant {
            endpoint: "http://localhost:3001".to_owned(),
            app_id: "dev",
            app_secret: SecretText::new("a secret".to_owned()),
        }
    }

    #[test]
    fn the_key_of_assertions_is_replaced_like_every_secret_of_the_proxy() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.toml");
        let rest = "public_url = \"https://app.example.com\"\nupstream = \"http://127.0.0.1:8080\"\n\
                    [logto]\nendpoint = \"https://tenant.logto.app\"\napp_id = \"a\"\napp_secret = { file = \"no\" }\n\
                    [session]\nkeys = [{ file = \"no\" }]\n";
        for (assertion, keys) in [("", 0), ("[assertion]\nkey = { file = \"no\" }\n", 1)] {
            std::fs::write(&file, format!("{rest}{assertion}")).unwrap();
            let config = configure(&flags(file.clone()), &tenant(), None);
            let config = config.unwrap_or_else(|_| panic!("{assertion}"));
            let made = config.assertion.map_or(0, |assertion| assertion.keys.len());
            assert_eq!(made, keys);
        }
    }

    #[test]
    fn every_example_can_be_tried_without_its_secrets_and_its_tenant() {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
        let files: Vec<_> = std::fs::read_dir(examples)
            .unwrap()
            .map(|entry| entry.unwrap().path().join("proxy.toml"))
            .filter(|file| file.is_file())
            .collect();
        assert!(files.len() >= 4, "{files:?}");
        for file in files {
            let config = match configure(&flags(file.clone()), &tenant(), None) {
                Ok(config) => config,
                Err(Failure::Config(errors)) => panic!("{}: {errors}", file.display()),
                Err(_) => panic!("{}", file.display()),
            };
            assert_eq!(config.public_url.origin(), "http://localhost:3000");
            assert_eq!(config.logto.endpoint.as_str(), "http://localhost:3001/");
            assert_eq!(config.store, StoreConfig::Memory);
            assert_eq!(
                config.hugging_face.userinfo_endpoint.as_str(),
                "http://localhost:3001/huggingface/oauth/userinfo",
                "no token of an invented user goes to the real one"
            );
        }
    }
}
