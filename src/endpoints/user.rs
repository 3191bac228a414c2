//! `GET user`: who is signed in, for front ends.
//!
//! Always 200 and never stored by a cache. Tokens are not in it. Asking does not keep a session alive, but it is confirmed
//! with Logto when that is due, so that nobody is shown as signed in who would be refused elsewhere.

use super::{CurrentSession, Endpoints, set_cookies};
use crate::http::body::Body;
use crate::pages::answer;
use crate::request::CleanRequest;
use ::http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

/// Answers with `{"isAuthenticated": …}`; with a session also `claims`, `expiresAt` and `idleExpiresAt`, both
/// in Unix seconds.
pub(super) async fn serve(endpoints: &Endpoints, request: &CleanRequest) -> Response<Body> {
    let limits = endpoints.cookies.limits();
    let (document, cookies) = match endpoints.current_session(request.headers()).await {
        None => (json!({ "isAuthenticated": false }), Vec::new()),
        Some(CurrentSession { session, cookies }) => {
            let mut claims = session.claims().clone().into_members();
            claims.insert("sub".to_owned(), Value::from(session.subject()));
            let document = json!({
                "isAuthenticated": true,
                "claims": claims,
                "expiresAt": session.expires_at().as_u64(),
                "idleExpiresAt": session.idle_expires_at(limits.idle).as_u64(),
            });
            (document, cookies)
        }
    };
    let mut response = answer::json(StatusCode::OK, &document);
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Cookie"));
    set_cookies(response.headers_mut(), cookies);
    if *request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}
