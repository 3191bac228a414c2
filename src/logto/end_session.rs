//! Sending a browser to end its session at Logto (OpenID Connect RP-Initiated Logout 1.0 §2).
//!
//! The client is named by `client_id`, never by `id_token_hint`: Logto answers a hint that was signed with a rotated-out key
//! with an error that strands the user, and an ID token has no place in a browser's history.

use super::discovery::Metadata;
use url::Url;

/// `None` when Logto names no end-session endpoint.
pub(super) fn url(
    metadata: &Metadata,
    client_id: &str,
    post_logout_redirect_uri: &str,
    state: Option<&str>,
) -> Option<Url> {
    let mut url = metadata.end_session_endpoint.clone()?;
    url.query_pairs_mut()
        .append_pair("client_id", client_id)
        .append_pair("post_logout_redirect_uri", post_logout_redirect_uri);
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    Some(url)
}
