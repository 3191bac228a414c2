//! `[logto]`, `[sign_in]`, `[session]` and `[store]`.

use super::document::quoted;
use super::translate::{SESSION_KEY, Translation};
use super::values::{DAY, endpoint, go_duration, internal_endpoint, public_url, shown};
use std::time::Duration;
use url::Url;

/// Those of `logto.scopes` where it is not set.
const SCOPES: [&str; 5] = [
    "profile",
    "email",
    "roles",
    "urn:logto:scope:organizations",
    "urn:logto:scope:organization_roles",
];
/// Further ones that Logto knows.
const MORE_SCOPES: [&str; 5] = [
    "phone",
    "address",
    "custom_data",
    "identities",
    "urn:logto:scope:sessions",
];

impl Translation<'_> {
    pub(super) fn logto(&mut self) {
        self.document.heading("[logto]");
        let issuer = self.text("oidc_issuer_url").and_then(endpoint);
        match &issuer {
            Some(endpoint) => {
                self.document.text("endpoint", endpoint);
                if let Some(internal) = self
                    .text("redeem_url")
                    .and_then(|url| internal_endpoint(url, endpoint))
                {
                    self.document.text("internal_endpoint", &internal);
                }
                match self.text("client_id").map(str::to_owned) {
                    Some(id) => self.document.text("app_id", &id),
                    None => self.document.text("app_id", "your-app-id"),
                }
            }
            None => {
                self.document.comment(
                    "The sign-in was another provider's. Create an application of the type Traditional web in Logto \
                     (docs/logto-setup.md) and put down here what it shows; the provider becomes a connector there.",
                );
                self.document.text("endpoint", "https://your-tenant.logto.app");
                self.document.text("app_id", "your-app-id");
            }
        }
        self.app_secret(issuer.is_some());
        self.scopes();
        let ca_files = self.options.list("provider_ca_files");
        if let Some(first) = ca_files.first() {
            if ca_files.len() > 1 {
                self.document
                    .comment("provider_ca_files: one file is read; put the others' certificates into it.");
            }
            self.document.text("ca_file", first);
        }
        let prompt = self.text("prompt");
        match prompt {
            Some(prompt @ ("login" | "consent" | "login consent")) => {
                self.document.heading("[sign_in]");
                self.document.text("prompt", prompt);
            }
            Some(_) => self
                .document
                .comment("prompt: Logto knows login and consent alone."),
            None => {}
        }
    }

    fn app_secret(&mut self, is_logto: bool) {
        if is_logto && self.options.says("client_secret_file") && !self.options.says("client_secret") {
            let file = self.text("client_secret_file").unwrap_or_default().to_owned();
            self.document
                .raw("app_secret", &format!("{{ file = {} }}", quoted(&file)));
            return;
        }
        let option = if is_logto { "client_secret" } else { "" };
        self.secret("app_secret", option, "logto_app_secret");
    }

    fn scopes(&mut self) {
        let given: Vec<&str> = self
            .text("scope")
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let more: Vec<&str> = given
            .iter()
            .copied()
            .filter(|scope| MORE_SCOPES.contains(scope))
            .collect();
        if !more.is_empty() {
            let scopes: Vec<&str> = SCOPES.into_iter().chain(more).collect();
            self.document.list("scopes", &scopes);
        }
        let known = |scope: &str| {
            SCOPES.contains(&scope)
                || MORE_SCOPES.contains(&scope)
                || matches!(scope, "openid" | "offline_access")
        };
        if given.iter().any(|scope| !known(scope)) {
            self.document
                .comment("scope: those that Logto does not know are left out.");
        }
        if given.contains(&"offline_access") {
            self.document.text("refresh", "offline");
        }
    }

    pub(super) fn session(&mut self) {
        self.document.heading("[session]");
        if self.secrets_directory.is_none() {
            self.document.comment(format_args!(
                "Sessions have a new key: logto-proxy keygen > {SESSION_KEY}"
            ));
        }
        let path = self.place_of(SESSION_KEY);
        self.document
            .raw("keys", &format!("[{{ file = {} }}]", quoted(&path)));
        self.cookie_domain();
        match self.text("cookie_samesite") {
            Some("none") if public_url(self.text("redirect_url")).is_ok_and(|url| url.starts_with("https:")) => {
                self.document.text("same_site", "none");
            }
            Some("none") => self.document.comment("cookie_samesite: `none` needs https."),
            Some("strict") => self
                .document
                .comment("cookie_samesite: browsers withhold a strict cookie on the way back from the sign-in. It is lax."),
            _ => {}
        }
        let expire = self.text("cookie_expire").map(go_duration);
        let refresh = self.text("cookie_refresh").map(go_duration);
        match expire {
            Some(Some(time)) if !time.is_zero() => {
                self.document
                    .text("lifetime", &shown(time.clamp(Duration::from_secs(60), 400 * DAY)));
            }
            Some(_) => self
                .document
                .comment("cookie_expire: a session has an end, 7 days after the sign-in."),
            None => {}
        }
        self.document
            .comment("Besides the lifetime, a session that is not used ends after idle_timeout, 8 hours.");
        match refresh {
            Some(Some(time)) if !time.is_zero() => {
                self.document
                    .text("recheck", &shown(time.clamp(Duration::from_secs(10), DAY)));
            }
            Some(_) => self
                .document
                .comment("cookie_refresh: sessions are confirmed with Logto every 5 minutes."),
            None => {}
        }
    }

    fn cookie_domain(&mut self) {
        let url = public_url(self.text("redirect_url"))
            .ok()
            .and_then(|url| Url::parse(&url).ok());
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        let mut left_out = false;
        let mut shared = None;
        for given in self.options.list("cookie_domains") {
            let domain = given.trim_start_matches('.').to_ascii_lowercase();
            let holds = host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'));
            if holds && domain.contains('.') && shared.is_none() {
                shared = Some(domain);
            } else if domain != host {
                left_out = true;
            }
        }
        if let Some(domain) = shared {
            self.document.text("cookie_domain", &domain);
        }
        if left_out {
            self.document.comment(
                "cookie_domains: one domain, which the host of public_url is below, can share the cookie.",
            );
        }
    }

    pub(super) fn store(&mut self) {
        if self.text("session_store_type") != Some("redis") {
            return;
        }
        if !self.options.says("redis_connection_url") {
            self.document
                .comment("session_store_type: redis needs store.url, the address of one server.");
            return;
        }
        self.document.heading("[store]");
        self.document
            .comment("Sessions stay in their cookies; Redis tells the other replicas which have ended.");
        self.document.text("kind", "redis");
        self.secret("url", "redis_connection_url", "redis_url");
        if let Some(file) = self.text("redis_ca_path").map(str::to_owned) {
            self.document.text("ca_file", &file);
        }
    }
}
