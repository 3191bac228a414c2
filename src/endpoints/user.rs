//! `GET user`: who is signed in, for front ends.
//!
//! Always 200 and never stored by a cache. Tokens are not in it. Asking does not keep a session alive.

use super::Endpoints;
use crate::http::body::Body;
use crate::pages::answer;
use crate::request::CleanRequest;
use crate::session::Presented;
use ::http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

/// Answers with `{"isAuthenticated": …}`; with a session also `claims`, `expiresAt` and `idleExpiresAt`, both
/// in Unix seconds.
pub(super) fn serve(endpoints: &Endpoints, request: &CleanRequest) -> Response<Body> {
    let limits = endpoints.cookies.limits();
    let document = match endpoints.session(request.headers()) {
        Presented::None | Presented::Invalid(_) => json!({ "isAuthenticated": false }),
        Presented::Session(session, _) => {
            let mut claims = session.claims().into_members();
            claims.insert("sub".to_owned(), Value::from(session.subject()));
            json!({
                "isAuthenticated": true,
                "claims": claims,
                "expiresAt": session.expires_at().as_u64(),
                "idleExpiresAt": session.idle_expires_at(limits.idle).as_u64(),
            })
        }
    };
    let mut response = answer::json(StatusCode::OK, &document);
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Cookie"));
    if *request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}
