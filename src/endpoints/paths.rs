//! Where the proxy's own endpoints are.

use crate::http::Certain;

/// One of the proxy's own endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Starts a sign-in.
    SignIn,
    /// Starts a sign-in whose first screen is the registration.
    SignUp,
    /// Finishes a sign-in.
    Callback,
    /// Ends the session here and at Logto.
    SignOut,
    /// Tells a front end who is signed in.
    User,
    /// Where Logto says that a user signed out elsewhere.
    BackChannelLogout,
    /// Where Logto says what happened to users.
    Webhook,
    /// The public keys of the identity assertion.
    Jwks,
    /// Shows a user the sessions they have.
    Sessions,
    /// Ends some of them.
    SessionsRevoke,
}

impl Endpoint {
    /// The methods that it answers, as an `Allow` field has them.
    pub(super) const fn methods(self) -> &'static str {
        match self {
            Self::Callback | Self::SignOut => "GET, POST",
            Self::SignIn | Self::SignUp | Self::Sessions => "GET",
            Self::User | Self::Jwks => "GET, HEAD",
            Self::BackChannelLogout | Self::Webhook | Self::SessionsRevoke => "POST",
        }
    }

    /// Whether it is for browsers, and loading it ahead would cost the user something.
    pub(super) const fn minds_prefetch(self) -> bool {
        !matches!(
            self,
            Self::User | Self::BackChannelLogout | Self::Webhook | Self::Jwks
        )
    }
}

impl Endpoint {
    /// A fixed word, for `/metrics`; no route's path, which would begin with a slash.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SignUp => "sign_up",
            Self::Callback => "callback",
            Self::SignOut => "sign_out",
            Self::User => "user",
            Self::BackChannelLogout => "back_channel_logout",
            Self::Webhook => "webhook",
            Self::Jwks => "jwks",
            Self::Sessions => "sessions",
            Self::SessionsRevoke => "sessions_revoke",
        }
    }
}

/// The absolute path of each endpoint, as it appears in a canonical request path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPaths {
    /// `routes.sign_in`.
    pub sign_in: String,
    /// `routes.sign_up`.
    pub sign_up: String,
    /// `routes.callback`.
    pub callback: String,
    /// `routes.sign_out`.
    pub sign_out: String,
    /// `routes.user`.
    pub user: String,
    /// `routes.auth`. What is asked here and below never arrives as an endpoint's request, but as the one it is about.
    pub auth: String,
    /// `routes.back_channel_logout`.
    pub back_channel_logout: String,
    /// `routes.webhook`.
    pub webhook: String,
    /// `routes.jwks`.
    pub jwks: String,
    /// `routes.sessions`.
    pub sessions: String,
    /// `revoke` below `routes.sessions`.
    pub sessions_revoke: String,
}

impl EndpointPaths {
    /// The default names under a prefix such as `/.logto`.
    pub fn under(prefix: &str) -> Self {
        Self {
            sign_in: format!("{prefix}/sign-in"),
            sign_up: format!("{prefix}/sign-up"),
            callback: format!("{prefix}/callback"),
            sign_out: format!("{prefix}/sign-out"),
            user: format!("{prefix}/user"),
            auth: format!("{prefix}/auth"),
            back_channel_logout: format!("{prefix}/back-channel-logout"),
            webhook: format!("{prefix}/webhook"),
            jwks: format!("{prefix}/jwks"),
            sessions: format!("{prefix}/sessions"),
            sessions_revoke: format!("{prefix}/sessions/revoke"),
        }
    }

    /// The endpoint at a canonical path, compared whole and case-sensitively.
    pub fn find(&self, canonical_path: &str) -> Option<Endpoint> {
        let mut all = self.all().into_iter();
        all.find_map(|(path, endpoint)| (path == canonical_path).then_some(endpoint))
    }

    const fn all(&self) -> [(&String, Endpoint); 10] {
        [
            (&self.sign_in, Endpoint::SignIn),
            (&self.sign_up, Endpoint::SignUp),
            (&self.callback, Endpoint::Callback),
            (&self.sign_out, Endpoint::SignOut),
            (&self.user, Endpoint::User),
            (&self.back_channel_logout, Endpoint::BackChannelLogout),
            (&self.webhook, Endpoint::Webhook),
            (&self.jwks, Endpoint::Jwks),
            (&self.sessions, Endpoint::Sessions),
            (&self.sessions_revoke, Endpoint::SessionsRevoke),
        ]
    }

    /// Whether a canonical path is one of the proxy's own.
    pub fn is_own(&self, canonical_path: &str) -> bool {
        self.find(canonical_path).is_some() || self.is_check(canonical_path)
    }

    /// Whether somebody could read an ambiguous path as one of the proxy's own. What was meant for those (codes, tokens, notices)
    /// is not for the app.
    pub fn may_be_meant(&self, path: &Certain) -> bool {
        let own = self.all().into_iter().map(|(own, _)| own);
        own.chain([&self.auth]).any(|own| path.may_reach(own))
    }

    /// Whether a canonical path is one of the proxy's own, but not a page that a browser may be sent to.
    pub(super) fn is_no_destination(&self, canonical_path: &str) -> bool {
        self.is_check(canonical_path)
            || self
                .find(canonical_path)
                .is_some_and(|endpoint| endpoint != Endpoint::Sessions)
    }

    fn is_check(&self, canonical_path: &str) -> bool {
        canonical_path
            .strip_prefix(&self.auth)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
