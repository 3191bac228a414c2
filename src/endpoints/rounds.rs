//! The loop stop: a browser that completes sign-ins and never comes back with a session.
//!
//! A short-lived cookie of the browser's own remembers when its last callbacks succeeded. It proves nothing
//! and opens nothing, so it is plain; a browser that forges it stops only itself.

use crate::clock::UnixSeconds;
use crate::http::cookies;
use crate::session::CookieSettings;
use crate::session::settings::SIBLINGS;
use ::http::{HeaderMap, HeaderValue};
use std::time::Duration;

/// Three completed callbacks within this time, and no session: stop.
pub const WINDOW: Duration = Duration::from_secs(30);
const LIMIT: usize = 3;
const SUFFIX: &str = SIBLINGS[1];

/// When the browser's latest callbacks completed, newest last.
#[derive(Debug, Clone, Default)]
pub struct Rounds(Vec<UnixSeconds>);

impl Rounds {
    /// The rounds that a request tells of, those within the window.
    pub fn read(headers: &HeaderMap, settings: &CookieSettings, now: UnixSeconds) -> Self {
        let name = settings.sibling_name(SUFFIX);
        let Some((_, value)) = cookies::pairs(headers).find(|(found, _)| *found == name.as_bytes()) else {
            return Self::default();
        };
        let moments = std::str::from_utf8(value)
            .unwrap_or_default()
            .split('.')
            .take(LIMIT)
            .filter_map(|text| text.parse().ok())
            .map(UnixSeconds::new)
            .filter(|moment| *moment <= now && now.since(*moment) <= WINDOW);
        Self(moments.collect())
    }

    /// Whether the browser goes in circles.
    pub fn is_loop(&self) -> bool {
        self.0.len() >= LIMIT
    }

    /// Whether the browser came back from Logto within the window.
    pub fn has_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// The cookie after one more completed callback.
    pub fn completed(mut self, settings: &CookieSettings, now: UnixSeconds) -> Option<HeaderValue> {
        self.0.push(now);
        let kept = self.0.len().saturating_sub(LIMIT);
        let moments: Vec<String> = self
            .0
            .iter()
            .skip(kept)
            .map(|moment| moment.as_u64().to_string())
            .collect();
        settings.sibling_cookie(SUFFIX, &moments.join("."), WINDOW)
    }

    /// The cookie that forgets them, when the user signs out on purpose.
    pub fn forget(settings: &CookieSettings) -> Option<HeaderValue> {
        settings.sibling_cookie(SUFFIX, "", Duration::ZERO)
    }
}
