//! What follows from a configuration: addresses to register in Logto, and whether programs call.

use super::model::{Access, Config, EndpointPaths, RouteConfig};

impl Config {
    /// Whether some route lets callers in by bearer tokens.
    pub fn takes_bearer(&self) -> bool {
        self.routes.iter().any(RouteConfig::takes_bearer)
    }

    /// The redirect URI: what Logto must have registered, to the letter.
    pub fn redirect_uri(&self) -> String {
        self.public_url.url_of(&self.endpoints.callback)
    }

    /// The post sign-out redirect URI that Logto must have registered.
    pub fn post_sign_out_redirect_uri(&self) -> String {
        self.public_url.url_of(&self.endpoints.after_sign_out)
    }

    /// The back-channel logout URI to register in Logto, which must be able to reach it.
    pub fn back_channel_logout_uri(&self) -> String {
        self.public_url.url_of(&self.endpoints.back_channel_logout)
    }

    /// The endpoint URL of the webhook to make in Logto; `None` when webhooks are not received.
    pub fn webhook_url(&self) -> Option<String> {
        self.webhook_signing_key.as_ref()?;
        Some(self.public_url.url_of(&self.endpoints.webhook))
    }
}

impl RouteConfig {
    /// Whether a bearer token counts here. Where nobody's identity is asked for it is the app's own affair.
    pub fn takes_bearer(&self) -> bool {
        self.bearer && self.access != Access::Public
    }
}

impl EndpointPaths {
    /// Ends sessions that the page of sessions lists.
    pub fn sessions_revoke(&self) -> String {
        format!("{}/revoke", self.sessions)
    }
}
