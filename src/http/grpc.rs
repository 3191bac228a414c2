//! Answers that gRPC clients understand.
//!
//! A gRPC client takes JSON for a broken server. It is answered in headers alone ("Trailers-Only", gRPC over HTTP/2): the HTTP
//! status as for anybody else, which clients map by themselves, and beside it `grpc-status` and `grpc-message`, which they
//! prefer.

use super::body::Body;
use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ::http::{Method, Response, StatusCode};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// The kind of gRPC that a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grpc {
    /// `application/grpc`.
    Native,
    /// `application/grpc-web`: from a browser.
    Web,
    /// `application/grpc-web-text`: the same in base64.
    WebText,
}

impl Grpc {
    /// What a request speaks; `None` when it is not gRPC. Every call is a POST.
    pub fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        if *method != Method::POST {
            return None;
        }
        Self::in_content_type(headers)
    }

    /// The same by the content type alone.
    pub fn in_content_type(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.as_bytes();
        let media = content_type
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default();
        let media = media.trim_ascii().to_ascii_lowercase();
        let subtype = media.strip_prefix(b"application/grpc")?;
        // `application/grpc+proto`: the format of the messages does not matter.
        let kind = subtype.split(|byte| *byte == b'+').next().unwrap_or_default();
        match kind {
            b"" => Some(Self::Native),
            b"-web" => Some(Self::Web),
            b"-web-text" => Some(Self::WebText),
            _ => None,
        }
    }

    const fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Native => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        })
    }

    /// Puts an answer of the proxy's own into these words. `message` is in printable ASCII without `%`.
    pub fn reword(self, response: &mut Response<Body>, message: &'static str) {
        let code = code(response.status());
        *response.body_mut() = Body::empty();
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, self.content_type());
        headers.insert(&GRPC_STATUS, HeaderValue::from(code));
        headers.insert(&GRPC_MESSAGE, HeaderValue::from_static(message));
    }
}

/// The gRPC code for an HTTP status (gRPC: `doc/http-grpc-status-mapping.md`).
const fn code(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_its_content_type() {
        for (content_type, expected) in [
            ("application/grpc", Some(Grpc::Native)),
            ("application/grpc+proto", Some(Grpc::Native)),
            ("Application/GRPC; charset=utf-8", Some(Grpc::Native)),
            ("application/grpc-web", Some(Grpc::Web)),
            ("application/grpc-web+json", Some(Grpc::Web)),
            ("application/grpc-web-text+proto", Some(Grpc::WebText)),
            ("application/grpcish", None),
            ("application/json", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(Grpc::of(&Method::POST, &headers), expected, "{content_type}");
            assert_eq!(Grpc::of(&Method::GET, &headers), None);
        }
        assert_eq!(Grpc::of(&Method::POST, &HeaderMap::new()), None);
    }

    #[test]
    fn every_status_of_the_proxy_has_a_code() {
        for (status, expected) in [
            (401, "16"),
            (403, "7"),
            (502, "14"),
            (503, "14"),
            (504, "14"),
            (413, "2"),
        ] {
            let mut response = Response::new(Body::full("{}"));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Grpc::Web.reword(&mut response, "no");
            assert_eq!(
                response.status(),
                status,
                "clients that know no gRPC-Web see it too"
            );
            assert_eq!(response.headers()["grpc-status"], expected);
            assert_eq!(response.headers()["content-type"], "application/grpc-web");
            assert!(response.body().is_empty());
        }
    }
}
