//! What is written down of each request: a count, and one line without anything secret.
//!
//! Queries are left out, since codes and states travel in them; so are cookies and tokens, always.

use super::access_log::AccessLog;
use super::standing::Standing;
use crate::clock::monotonic;
use crate::http::body::Body;
use crate::policy::Route;
use crate::request::{CleanRequest, RawRequest};
use crate::telemetry::metrics::{Fate, RequestCounter};
use ::http::{HeaderValue, Method, Response};
use http_body::Body as _;
use std::sync::Arc;
use tokio::time::Instant;

/// What is known of one request while it is being served.
#[derive(Debug)]
pub(super) struct Record {
    counter: RequestCounter,
    fate: Fate,
    /// `None` when nothing is logged.
    line: Option<Box<Line>>,
}

#[derive(Debug)]
struct Line {
    settings: AccessLog,
    begun: Instant,
    method: Method,
    path: String,
    request_id: Option<HeaderValue>,
    client: Option<std::net::IpAddr>,
    subject: Option<String>,
    /// The application that a bearer token was given to.
    client_id: Option<String>,
    fate: Fate,
    route: Option<Arc<Route>>,
}

impl Record {
    /// A request that counts as refused, by `rejects`, until it is found to be good.
    pub(super) fn begin(settings: &AccessLog, rejects: RequestCounter, raw: &RawRequest) -> Self {
        let line = settings.enabled.then(|| {
            Box::new(Line {
                settings: *settings,
                begun: monotonic(),
                method: raw.message.method().clone(),
                path: String::new(),
                request_id: None,
                client: raw.peer.address.map(|address| address.ip()),
                subject: None,
                client_id: None,
                fate: Fate::Rejected,
                route: None,
            })
        });
        Self {
            counter: rejects,
            fate: Fate::Rejected,
            line,
        }
    }

    pub(super) fn request(&mut self, clean: &CleanRequest) {
        if let Some(line) = &mut self.line {
            clean.target().raw_path().clone_into(&mut line.path);
            line.request_id = Some(clean.request_id().clone());
            line.client = clean.client().address;
        }
    }

    pub(super) fn subject(&mut self, subject: &str) {
        if let Some(line) = &mut self.line {
            line.subject = line.settings.shown(subject);
        }
    }

    /// Whose bearer token it came with.
    pub(super) fn caller(&mut self, standing: &Standing) {
        if let Some(line) = &mut self.line
            && let Some(token) = &standing.token
        {
            line.subject = token
                .subject
                .as_deref()
                .and_then(|subject| line.settings.shown(subject));
            line.client_id = Some(token.client_id.clone());
        }
    }

    /// One of the proxy's own endpoints answers it.
    pub(super) fn endpoint(&mut self, counter: RequestCounter) {
        self.counter = counter;
        self.fate = Fate::Endpoint;
    }

    /// It was judged by a route.
    pub(super) fn judged(&mut self, fate: Fate, route: &Arc<Route>, counter: RequestCounter) {
        self.counter = counter;
        self.fate = fate;
        if let Some(line) = &mut self.line {
            line.route = Some(Arc::clone(route));
        }
    }

    /// Counts it, and writes the line when the answer's body has ended, however it ends.
    pub(super) fn finish(self, response: Response<Body>) -> Response<Body> {
        self.counter.count(self.fate, response.status());
        let Some(mut line) = self.line else {
            return response;
        };
        line.fate = self.fate;
        let status = response.status().as_u16();
        let head = line.begun.elapsed();
        let bytes = response.body().size_hint().exact();
        response.map(|body| {
            body.with_guard(Ending {
                line,
                status,
                head_micros: head.as_micros(),
                bytes,
            })
        })
    }
}

/// Writes the line when it is dropped.
#[derive(Debug)]
struct Ending {
    line: Box<Line>,
    status: u16,
    head_micros: u128,
    bytes: Option<u64>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let line = &self.line;
        tracing::info!(
            target: "logto_proxy::access",
            request_id = line.request_id.as_ref().and_then(|id| id.to_str().ok()),
            client = line.client.map(tracing::field::display),
            method = %line.method,
            path = line.path,
            status = self.status,
            bytes = self.bytes,
            head_us = u64::try_from(self.head_micros).unwrap_or(u64::MAX),
            total_us = u64::try_from(line.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            route = line.route.as_ref().map(tracing::field::display),
            decision = line.fate.as_str(),
            sub = line.subject,
            client_id = line.client_id,
            "request"
        );
    }
}
