//! Where the proxy's own endpoints are.

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
        }
    }

    /// The endpoint at a canonical path, compared whole and case-sensitively.
    pub fn find(&self, canonical_path: &str) -> Option<Endpoint> {
        [
            (&self.sign_in, Endpoint::SignIn),
            (&self.sign_up, Endpoint::SignUp),
            (&self.callback, Endpoint::Callback),
            (&self.sign_out, Endpoint::SignOut),
            (&self.user, Endpoint::User),
        ]
        .into_iter()
        .find_map(|(path, endpoint)| (path == canonical_path).then_some(endpoint))
    }

    /// Whether a canonical path is one of the proxy's own.
    pub fn contains(&self, canonical_path: &str) -> bool {
        self.find(canonical_path).is_some()
    }
}
