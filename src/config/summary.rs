//! What `check` says about a configuration, but for its routes, which policy puts in words. Nothing secret is in it.

use super::model::{Config, HeaderSource, RefreshMode, StoreConfig, TokenSource};
use super::value::duration::display;

/// A configuration in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Name and value of what matters most.
    pub settings: Vec<(&'static str, String)>,
    /// What must be registered in Logto: the field's name there, and the URI or why there is none.
    pub register: Vec<(&'static str, String)>,
    /// Configured header and where its value comes from; default headers are not among them.
    pub headers: Vec<(String, String)>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
}

impl Config {
    /// This configuration in words, for `check`.
    pub fn summary(&self) -> Summary {
        let list = |items: Vec<String>| {
            if items.is_empty() {
                "none".to_owned()
            } else {
                items.join(", ")
            }
        };
        let mut trusted: Vec<String> = self.trusted_proxies.iter().map(ToString::to_string).collect();
        trusted.extend(self.trust_unix_peers.then(|| "unix".to_owned()));
        let admin = self
            .admin
            .as_ref()
            .map_or_else(|| "off".to_owned(), ToString::to_string);
        let settings = vec![
            ("public url", self.public_url.to_string()),
            (
                "listen",
                list(self.listen.iter().map(ToString::to_string).collect()),
            ),
            ("upstream", self.upstream.to_string()),
            ("admin", admin),
            ("trusted proxies", list(trusted)),
            ("workers", self.workers.to_string()),
            ("issuer", self.logto.issuer.clone()),
            ("application", self.logto.app_id.clone()),
            ("scopes", self.scopes_asked().join(" ")),
            ("session cookie", self.session.cookie_name.clone()),
            ("session keys", self.session.keys.len().to_string()),
            ("idle timeout", display(self.session.idle_timeout)),
            ("lifetime", display(self.session.lifetime)),
            ("re-check", self.recheck_in_words()),
            ("refresh", self.logto.refresh.in_words().to_owned()),
            ("store", self.store.in_words()),
        ];
        let webhook = self
            .webhook_url()
            .unwrap_or_else(|| "none: webhook.signing_key is not set".to_owned());
        let register = vec![
            ("Redirect URIs", self.redirect_uri()),
            ("Post sign-out redirect URIs", self.post_sign_out_redirect_uri()),
            ("Back-channel logout URI", self.back_channel_logout_uri()),
            ("Webhook endpoint URL", webhook),
        ];
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|header| {
                let source = match &header.source {
                    HeaderSource::Claim { path, .. } => path.clone(),
                    HeaderSource::Constant(_) => "a constant".to_owned(),
                    HeaderSource::Token(TokenSource::Access) => "the access token".to_owned(),
                    HeaderSource::Token(TokenSource::Id) => "the ID token".to_owned(),
                };
                (header.name.to_string(), source)
            })
            .collect();
        headers.splice(
            0..0,
            self.header_presets
                .iter()
                .map(|preset| ("preset".to_owned(), preset.as_str().to_owned())),
        );
        headers.extend(self.assertion.as_ref().map(|assertion| {
            let name = assertion.header.to_string();
            (name, format!("an assertion signed by {}", assertion.issuer))
        }));
        headers.extend(
            self.removed_headers
                .iter()
                .map(|name| (name.to_string(), "not sent".to_owned())),
        );
        Summary {
            settings,
            register,
            headers,
            warnings: self.warnings.clone(),
        }
    }

    fn scopes_asked(&self) -> Vec<&str> {
        let offline = (self.logto.refresh == RefreshMode::Offline).then_some("offline_access");
        let scopes = self.logto.scopes.iter().map(String::as_str);
        scopes.chain(offline).collect()
    }

    fn recheck_in_words(&self) -> String {
        let (recheck, grace) = (self.session.recheck, self.session.recheck_grace);
        let outage = if grace.is_zero() {
            "not served while Logto cannot be asked".to_owned()
        } else {
            format!("served {} longer while Logto cannot be asked", display(grace))
        };
        format!("every {} of use, then {outage}", display(recheck))
    }
}

impl RefreshMode {
    /// What sessions are confirmed with, for an operator.
    fn in_words(self) -> &'static str {
        match self {
            Self::Session => {
                "session: needs \"Always issue refresh token\" at the application; else as with \"none\""
            }
            Self::Offline => {
                "offline: the refresh token outlives the Logto session; a sign-out here revokes it"
            }
            Self::None => {
                "none: by userinfo for the hour that an access token lives, then by a redirect to Logto"
            }
        }
    }
}

impl StoreConfig {
    /// What the store means, for an operator. Never its URL.
    pub fn in_words(&self) -> String {
        match self {
            Self::Memory => {
                "memory: a restart forgets which sessions have ended, and replicas are not told".to_owned()
            }
            Self::File { path } => format!(
                "file {}: a restart remembers which sessions have ended; replicas are not told",
                path.display()
            ),
            Self::Redis { url, .. } => {
                let how = match url.expose().split_once("://").map(|(scheme, _)| scheme) {
                    Some("rediss") => "over TLS",
                    Some("redis") => "without TLS",
                    _ => "over a unix socket",
                };
                format!("redis {how}: replicas are told which sessions have ended, and share re-checks")
            }
        }
    }
}
