//! The real `oidc-provider` from npm, configured to Logto's surface, and the handles to turn and read it.

use std::path::Path;
use std::process::Command;

use http::Method;
use serde_json::{Value, json};

use super::process::Program;
use super::visitor::Visitor;

/// Major version of the npm package. ID tokens of version 8 carry `typ` and `at_hash`, those of version 9 do not.
pub const VERSIONS: [u8; 2] = [9, 8];

/// Credentials of the one client that the provider knows.
pub const CLIENT_ID: &str = "interop-client";
/// Has characters that HTTP Basic authentication must form-encode (RFC 6749 §2.3.1).
pub const CLIENT_SECRET: &str = "s3cret+with/odd characters:%";

/// A provider running on a loopback port.
pub struct OidcProvider {
    program: Program,
    endpoint: String,
    control: String,
}

impl OidcProvider {
    /// Starts it for a client that lives at `public_url` (an origin without a trailing slash).
    pub async fn start(version: u8, public_url: &str) -> Self {
        Self::start_with(version, public_url, json!({})).await
    }

    /// The same with settings of server.mjs.
    pub async fn start_with(version: u8, public_url: &str, more: Value) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/oidc-provider");
        assert!(
            folder.join("node_modules").is_dir(),
            "{} has no node_modules: run `npm ci` there (tests/run does)",
            folder.display()
        );
        let mut settings = json!({
            "version": version,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "redirect_uris": [format!("{public_url}/.logto/callback")],
            "post_logout_redirect_uris": [format!("{public_url}/"), format!("{public_url}/.logto/sign-out")],
        });
        for (name, value) in more.as_object().expect("settings are an object") {
            settings[name] = value.clone();
        }
        let mut program = Program::start(
            format!("oidc-provider {version}"),
            Command::new("node")
                .arg("server.mjs")
                .arg(settings.to_string())
                .current_dir(folder),
        );
        let ready = program
            .line("says where it listens", |line| {
                serde_json::from_str::<Value>(line)
                    .ok()
                    .filter(|ready| ready["issuer"].is_string())
            })
            .await;
        let text = |name: &str| ready[name].as_str().expect("an address is text").to_owned();
        Self {
            program,
            endpoint: text("endpoint"),
            control: text("control"),
        }
    }

    /// What `logto.endpoint` is set to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Where the proxy of a public URL takes logout tokens; a setting of [`OidcProvider::start_with`].
    pub fn back_channel_logout(public_url: &str, session_required: bool) -> Value {
        json!({
            "backchannel_logout_uri": format!("{public_url}/.logto/back-channel-logout"),
            "backchannel_logout_session_required": session_required,
        })
    }

    /// Stops in its tracks: connections stand, nothing is answered.
    pub fn freeze(&self) {
        self.program.signal("STOP");
    }

    /// Goes on.
    pub fn thaw(&self) {
        self.program.signal("CONT");
    }

    /// Its port refuses connections until it is told otherwise.
    pub async fn listening(&self, on: bool) {
        self.tell("/listening", json!({ "on": on })).await;
    }

    /// Signs with a new key from now on; the one before stays in the JWKS.
    pub async fn rotate_to(&self, algorithm: &str) {
        let done = self
            .command(Method::POST, "/rotate", json!({ "algorithm": algorithm }))
            .await;
        assert_eq!(done["algorithm"], algorithm);
    }

    /// Changes settings of the provider or its client; names as in server.mjs.
    pub async fn set(&self, settings: Value) {
        let done = self.command(Method::POST, "/settings", settings).await;
        assert!(done["error"].is_null(), "{done}");
    }

    /// How often a request was made, for example `POST /oidc/token`.
    pub async fn count(&self, request: &str) -> u64 {
        let counters = self.command(Method::GET, "/counters", Value::Null).await;
        counters[request].as_u64().unwrap_or(0)
    }

    /// How often the token endpoint was asked for a grant: `authorization_code` or `refresh_token`.
    pub async fn token_calls(&self, grant: &str) -> u64 {
        self.count(&format!("grant {grant}")).await
    }

    /// How often a refresh token got a successor.
    pub async fn rotations(&self) -> u64 {
        self.count("refresh_token.consumed").await
    }

    /// What goes wrong at the token endpoint from now on, for a grant or for `*`; `kind` as in server.mjs.
    pub async fn fault(&self, grant: &str, kind: &str, milliseconds: u64, times: Option<u64>) {
        let mut fault = json!({ "grant": grant, "kind": kind, "ms": milliseconds });
        if let Some(times) = times {
            fault["times"] = json!(times);
        }
        self.tell("/faults", fault).await;
    }

    /// Nothing more goes wrong for a grant.
    pub async fn heal(&self, grant: &str) {
        self.fault(grant, "none", 0, None).await;
    }

    /// Changes a user by `sub`; names as in personas.mjs.
    pub async fn change_user(&self, sub: &str, change: Value) {
        self.tell("/users", json!({ "sub": sub, "change": change })).await;
    }

    /// A user's sessions at the provider end; nobody is told.
    pub async fn end_sessions(&self, sub: &str) {
        self.tell("/sessions/end", json!({ "sub": sub })).await;
    }

    /// A user's grants end, as with too many sign-ins elsewhere.
    pub async fn evict_grants(&self, sub: &str) {
        self.tell("/grants/evict", json!({ "sub": sub })).await;
    }

    async fn tell(&self, path: &str, body: Value) {
        let done = self.command(Method::POST, path, body).await;
        assert!(done["error"].is_null(), "{path}: {done}");
    }

    /// The `sub` of every browser signed in at the provider itself.
    pub async fn signed_in(&self) -> Vec<String> {
        let sessions = self.command(Method::GET, "/sessions", Value::Null).await;
        serde_json::from_value(sessions).expect("a list of subjects")
    }

    async fn command(&self, method: Method, path: &str, body: Value) -> Value {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = Visitor::new()
            .send(
                method,
                &format!("{}{path}", self.control),
                "application/json",
                body,
            )
            .await;
        answer.json()
    }
}
