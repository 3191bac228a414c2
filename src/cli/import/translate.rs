//! From options to the text of a `proxy.toml`, section by section.

use super::Secret;
use super::catalogue::{Fate, OPTIONS};
use super::document::{Document, quoted};
use super::options::{Options, Origin};
use super::routes::{self, Upstream};
use super::values::{DAY, go_duration, public_url, shown, upstream};
use crate::config::nearest;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use url::Url;

/// The name of the file of the session key.
pub(super) const SESSION_KEY: &str = "session_key";

/// What is read, where secrets go, and what is written.
pub(super) struct Translation<'a> {
    pub(super) options: &'a Options,
    pub(super) secrets_directory: Option<&'a Path>,
    secrets: Vec<Secret>,
    pub(super) document: Document,
}

/// The text, and the secrets that it refers to in `secrets_directory`. The session key is not among them.
pub(super) fn translate(options: &Options, secrets_directory: Option<&Path>) -> (String, Vec<Secret>) {
    let mut translation = Translation {
        options,
        secrets_directory,
        secrets: Vec::new(),
        document: Document::default(),
    };
    translation.document.comment(
        "Made of a configuration of oauth2-proxy. Comments tell what is done in another way. Try it with: logto-proxy check",
    );
    let upstreams = translation.top();
    translation.logto();
    translation.session();
    translation.store();
    translation.endpoints();
    translation.headers();
    routes::write(&mut translation.document, options, &upstreams);
    translation.others();
    translation.leftovers();
    (translation.document.into_text(), translation.secrets)
}

impl<'a> Translation<'a> {
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.options.text(name)
    }

    /// Top of the file; where requests go to.
    fn top(&mut self) -> Vec<Upstream> {
        self.document.gap();
        match public_url(self.text("redirect_url")) {
            Ok(url) => self.document.text("public_url", &url),
            Err(why) => {
                self.document.comment(why);
                self.document.text("public_url", "https://app.example.com");
            }
        }
        self.listen();
        let upstreams = self.upstreams();
        if !self.options.is_true("pass_host_header", true) {
            self.document.text("upstream_host", "rewrite");
        }
        self.trusted();
        upstreams
    }

    fn listen(&mut self) {
        let given = self.text("http_address").unwrap_or("127.0.0.1:4180").to_owned();
        let address = given.strip_prefix("http://").unwrap_or(&given);
        let address = address.replacen("localhost:", "127.0.0.1:", 1);
        let address = match address.strip_prefix(':') {
            Some(port) => format!("0.0.0.0:{port}"),
            None => address,
        };
        if let Some(path) = address.strip_prefix("unix:") {
            let path = format!("/{}", path.trim_start_matches('/'));
            self.document.text("listen", &format!("unix:{path}"));
        } else if address.parse::<SocketAddr>().is_ok() {
            self.document.text("listen", &address);
        } else {
            self.document.comment("http_address is no address and port.");
            self.document.text("listen", "127.0.0.1:4180");
        }
        if self.options.says("https_address") {
            self.document
                .comment("https_address: plain HTTP is listened for. Let TLS end in front, at a load balancer or nginx.");
        }
    }

    fn upstreams(&mut self) -> Vec<Upstream> {
        let mut found: Vec<Upstream> = Vec::new();
        for given in self.options.list("upstreams") {
            match upstream(given) {
                Ok(upstream) if found.iter().any(|other| other.path == upstream.path) => {}
                Ok(upstream) => found.push(upstream),
                Err(why) => self.document.comment(format_args!("upstreams: {why}")),
            }
        }
        let everything = found.iter().find(|upstream| upstream.path == "/*");
        if let Some(address) = everything
            .or_else(|| found.first())
            .map(|upstream| upstream.address.clone())
        {
            self.document.text("upstream", &address);
        } else {
            self.document
                .comment("The app's address: there was none to take.");
            self.document.text("upstream", "http://127.0.0.1:8080");
        }
        found
    }

    fn trusted(&mut self) {
        if !self.options.is_true("reverse_proxy", false) {
            return;
        }
        let networks = self.options.list("trusted_proxy_ips");
        let is_network =
            |text: &&String| text.parse::<IpAddr>().is_ok() || text.parse::<ipnet::IpNet>().is_ok();
        let networks: Vec<&String> = networks.iter().filter(is_network).collect();
        if networks.is_empty() {
            self.document.comment(
                "reverse_proxy: oauth2-proxy believes X-Forwarded-* of everybody. Name the addresses of what stands in front:",
            );
            self.document.comment("trusted_proxies = [\"10.0.0.0/8\"]");
        } else {
            self.document.list("trusted_proxies", &networks);
        }
    }

    fn endpoints(&mut self) {
        let given = self
            .text("proxy_prefix")
            .unwrap_or("/oauth2")
            .trim_end_matches('/')
            .to_owned();
        let fits = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        let is_path = given.starts_with('/')
            && !given.contains("//")
            && given.chars().all(fits)
            && !given.contains("/.");
        self.document.heading("[routes]");
        let prefix = if is_path { given } else { "/oauth2".to_owned() };
        self.addresses(&prefix);
        self.document.text("prefix", &prefix);
        self.document.text("sign_in", &format!("{prefix}/start"));
        self.document.text("sign_out", &format!("{prefix}/sign_out"));
        self.document.text("user", &format!("{prefix}/userinfo"));
        let callback = self.text("redirect_url").and_then(|url| Url::parse(url).ok());
        let callback = callback
            .map(|url| url.path().to_owned())
            .filter(|path| path.len() > 1);
        if let Some(callback) = callback.filter(|callback| *callback != format!("{prefix}/callback")) {
            self.document.text("callback", &callback);
        }
    }

    /// What becomes of the addresses that apps, bookmarks, other proxies and probes know.
    fn addresses(&mut self, prefix: &str) {
        let ping = self.text("ping_path").unwrap_or("/ping");
        let ready = self.text("ready_path").unwrap_or("/ready");
        let lines = [
            "What apps, bookmarks, other proxies and probes may have to change:".to_owned(),
            format!(
                "{prefix}/start stays. Where to go then is in `redirect`, {prefix}/start?redirect=/page; with rd it is an error."
            ),
            format!(
                "{prefix}/sign_in is a path of the app now. Write {prefix}/start instead: no page comes before Logto's."
            ),
            format!(
                "{prefix}/sign_out stays. It ends the session at Logto too, so no rd need lead there; a page of this site to end \
                 at is in `redirect`, and rd is passed over."
            ),
            format!("{prefix}/callback stays, or what redirect_url says: the redirect URI that Logto knows."),
            format!(
                "{prefix}/userinfo stays and is always 200: with isAuthenticated, and claims.sub, claims.email, claims.roles and \
                 claims.username for user, email, groups and preferredUsername."
            ),
            format!(
                "{prefix}/auth stays, with 200 for 202. Who asks has to be one of trusted_proxies, and to describe the request \
                 as docs/configuration.md says of forward-auth; parameters such as allowed_groups are rules of routes."
            ),
            format!(
                "{ping} and {ready} are /livez and /readyz at admin.listen. There is no /robots.txt but the app's."
            ),
        ];
        lines.iter().for_each(|line| self.document.comment(line));
    }

    fn headers(&mut self) {
        let forwarded =
            self.options.is_true("pass_user_headers", true) || self.options.is_true("pass_basic_auth", true);
        let requested = self.options.is_true("set_xauthrequest", false);
        if !forwarded && !requested {
            return;
        }
        self.document.heading("[headers_presets]");
        self.document
            .comment("X-Forwarded-User and X-Auth-Request-User and their kin; see docs/headers.md. The proxy's own come too.");
        self.document.list("use", &["oauth2-proxy"]);
        let groups = match self.text("oidc_groups_claim") {
            Some(claim @ ("organizations" | "organization_roles")) => Some(claim),
            _ => None,
        };
        let by_address = self.options.is_true("prefer_email_to_user", false);
        if groups.is_none() && !by_address {
            return;
        }
        self.document.heading("[headers]");
        if by_address {
            self.document.text(&quoted("X-Forwarded-User"), "email");
        }
        if let Some(claim) = groups {
            self.document.text(&quoted("X-Forwarded-Groups"), claim);
            self.document.text(&quoted("X-Auth-Request-Groups"), claim);
        }
    }

    fn others(&mut self) {
        if let Some(time) = self.text("upstream_timeout").and_then(go_duration) {
            let time = time.clamp(Duration::from_millis(1), DAY);
            self.document.heading("[limits]");
            self.document.text("upstream_response_timeout", &shown(time));
        }
        let metrics =
            self.text("metrics_address")
                .unwrap_or_default()
                .replacen("localhost:", "127.0.0.1:", 1);
        let metrics = metrics
            .strip_prefix(':')
            .map(|port| format!("0.0.0.0:{port}"))
            .unwrap_or(metrics);
        if metrics.parse::<SocketAddr>().is_ok() {
            self.document.heading("[admin]");
            self.document.text("listen", &metrics);
        }
        if !self.options.is_true("request_logging", true) {
            self.document.heading("[log]");
            self.document.raw("access", "false");
        }
    }

    /// What has no equal, and names that are none of oauth2-proxy's.
    fn leftovers(&mut self) {
        let mut lines = Vec::new();
        for setting in OPTIONS {
            if let (Fate::None(why), true) = (setting.fate, self.options.says(setting.name)) {
                lines.push(format!("{}: {why}.", setting.name));
            }
        }
        let unknown: Vec<_> = self
            .options
            .unknown
            .iter()
            .map(|name| {
                let near = nearest(name, OPTIONS.iter().map(|setting| setting.name));
                let near = near.map_or_else(String::new, |near| format!(" Is {near} meant?"));
                format!("{name}: no option of oauth2-proxy 7.{near}")
            })
            .collect();
        lines.extend(unknown);
        if lines.is_empty() {
            return;
        }
        self.document.heading("# Not carried over:");
        lines.iter().for_each(|line| self.document.comment(line));
    }

    /// A key that holds a secret: the variable that it stood in, or a file; never the value.
    pub(super) fn secret(&mut self, key: &str, option: &str, file: &'static str) {
        if self.options.origin(option) == Some(Origin::Environment) && self.secrets_directory.is_none() {
            let variable = format!("OAUTH2_PROXY_{}", option.to_ascii_uppercase());
            self.document
                .raw(key, &format!("{{ env = {} }}", quoted(&variable)));
            return;
        }
        match (self.text(option).map(str::to_owned), self.secrets_directory) {
            (Some(value), Some(_)) => self.secrets.push(Secret { file, value }),
            (Some(_), None) => self.document.comment(format_args!(
                "Put the value of {option} into this file, or have --secrets DIRECTORY do it."
            )),
            (None, _) => self.document.comment("Put it into this file."),
        }
        let path = self.place_of(file);
        self.document.raw(key, &format!("{{ file = {} }}", quoted(&path)));
    }

    pub(super) fn place_of(&self, file: &str) -> String {
        match self.secrets_directory {
            Some(directory) => directory.join(file).display().to_string(),
            None => file.to_owned(),
        }
    }
}
