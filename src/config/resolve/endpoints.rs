//! `[routes]`.

use super::super::error::Problem;
use super::super::model::EndpointPaths;
use super::super::reader::Reader;
use super::super::value::path::{parse_endpoint, parse_local};

pub(super) fn endpoints(reader: &mut Reader<'_>) -> Option<EndpointPaths> {
    let prefix = reader.text("routes.prefix", |text| {
        parse_endpoint(text).map_err(|problem| {
            if text == "/" {
                problem.help("set the path of each endpoint instead")
            } else {
                problem
            }
        })
    });
    let under = prefix.clone().unwrap_or_default();
    let mut endpoint = |key: &'static str, name: &str| {
        let path = reader.optional_text(key, parse_endpoint);
        path.map(|path| path.unwrap_or_else(|| format!("{under}/{name}")))
    };
    let sign_in = endpoint("routes.sign_in", "sign-in");
    let sign_up = endpoint("routes.sign_up", "sign-up");
    let callback = endpoint("routes.callback", "callback");
    let sign_out = endpoint("routes.sign_out", "sign-out");
    let user = endpoint("routes.user", "user");
    let auth = endpoint("routes.auth", "auth");
    let back_channel_logout = endpoint("routes.back_channel_logout", "back-channel-logout");
    let webhook = endpoint("routes.webhook", "webhook");
    let jwks = endpoint("routes.jwks", "jwks");
    let sessions = endpoint("routes.sessions", "sessions");
    let after_sign_out = reader.text("routes.after_sign_out", parse_local);
    let paths = EndpointPaths {
        prefix: prefix?,
        sign_in: sign_in?,
        sign_up: sign_up?,
        callback: callback?,
        sign_out: sign_out?,
        user: user?,
        auth: auth?,
        back_channel_logout: back_channel_logout?,
        webhook: webhook?,
        jwks: jwks?,
        sessions: sessions?,
        after_sign_out: after_sign_out?,
    };
    let all = paths.all();
    for (index, (key, path)) in all.iter().enumerate() {
        if let Some((other, _)) = all.iter().take(index).find(|(_, earlier)| earlier == path) {
            let (key, other) = if reader.is_given(key) {
                (key, other)
            } else {
                (other, key)
            };
            let problem = Problem::new(format!("{path} is the path of two endpoints"));
            reader.fail(key, problem.help(format!("the other is that of {other}")));
        }
    }
    let below_auth = |path: &str| {
        path.strip_prefix(&paths.auth)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    if let Some((key, path)) = all.iter().find(|(_, path)| below_auth(path)) {
        let key = if reader.is_given(key) { key } else { "routes.auth" };
        let problem = Problem::new(format!("{path} is below {}, the path of routes.auth", paths.auth));
        reader.fail(
            key,
            problem.help("paths below that one describe requests to check"),
        );
    }
    // Someone signed out and sent to the sign-in would be signed in again without a question.
    let end = paths.after_sign_out.split('?').next().unwrap_or_default();
    if all.iter().any(|(_, path)| path == end) || below_auth(end) {
        reader.fail(
            "routes.after_sign_out",
            Problem::new("a sign-out cannot end at one of the proxy's own endpoints"),
        );
    }
    Some(paths)
}

impl EndpointPaths {
    /// Each endpoint's key and path. The key of the page of sessions stands for two.
    pub(super) fn all(&self) -> [(&'static str, String); 11] {
        [
            ("routes.sign_in", self.sign_in.clone()),
            ("routes.sign_up", self.sign_up.clone()),
            ("routes.callback", self.callback.clone()),
            ("routes.sign_out", self.sign_out.clone()),
            ("routes.user", self.user.clone()),
            ("routes.auth", self.auth.clone()),
            ("routes.back_channel_logout", self.back_channel_logout.clone()),
            ("routes.webhook", self.webhook.clone()),
            ("routes.jwks", self.jwks.clone()),
            ("routes.sessions", self.sessions.clone()),
            ("routes.sessions", self.sessions_revoke()),
        ]
    }
}
