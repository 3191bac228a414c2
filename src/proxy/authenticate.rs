//! Who is calling: what the presented cookies prove.

use super::record::Record;
use crate::clock::UnixSeconds;
use crate::identity::{HeaderRules, ProjectedHeaders};
use crate::session::{Presented, SessionCookies, SessionView};
use ::http::{HeaderMap, HeaderValue, header};

/// The caller of a request.
#[derive(Debug)]
pub(super) struct Caller {
    /// What the upstream may be told, when there is a valid session.
    pub(super) identity: Option<ProjectedHeaders>,
    /// What is to become of the cookies.
    pub(super) cookies: CookieFate,
}

/// What the answer does to the browser's session cookies.
#[derive(Debug)]
pub(super) enum CookieFate {
    /// Nothing.
    Keep,
    /// They are worth renewing.
    Renew(Box<SessionView>),
    /// They open no session.
    Invalid,
}

/// Opens the session cookies of a request, and notes whose they are. No I/O, no lock, one AEAD.
pub(super) fn authenticate(
    cookies: &SessionCookies,
    rules: &HeaderRules,
    headers: &HeaderMap,
    now: UnixSeconds,
    record: &mut Record,
) -> Caller {
    match cookies.open(headers, now) {
        Presented::None => Caller {
            identity: None,
            cookies: CookieFate::Keep,
        },
        Presented::Invalid(reason) => {
            tracing::debug!(reason = reason.as_str(), "presented cookies open no session");
            Caller {
                identity: None,
                cookies: CookieFate::Invalid,
            }
        }
        Presented::Session(view, _) => {
            let due = SessionCookies::should_renew(&view, now);
            record.subject(view.subject());
            Caller {
                identity: Some(view.headers(rules)),
                cookies: if due {
                    CookieFate::Renew(Box::new(view))
                } else {
                    CookieFate::Keep
                },
            }
        }
    }
}

impl CookieFate {
    /// The cookies of the session as renewed now, if it is due.
    pub(super) fn renewal(
        self,
        cookies: &SessionCookies,
        rules: &HeaderRules,
        headers: &HeaderMap,
        now: UnixSeconds,
    ) -> Vec<HeaderValue> {
        let Self::Renew(view) = self else {
            return Vec::new();
        };
        let mut session = view.to_session();
        session.project(rules);
        session.renew(now);
        cookies.seal(&session, headers).unwrap_or_default()
    }

    /// Expires cookies that open nothing, on answers that are the proxy's own.
    pub(super) fn clear_invalid(
        &self,
        cookies: &SessionCookies,
        request: &HeaderMap,
        answer: &mut HeaderMap,
    ) {
        if matches!(self, Self::Invalid) {
            for line in cookies.clear(request) {
                answer.append(header::SET_COOKIE, line);
            }
        }
    }
}
