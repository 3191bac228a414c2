//! From a request to the handler of its path, past the checks that every request meets and the faults that a
//! test may have set.

use ::http::header::{CONTENT_LENGTH, LOCATION};
use ::http::{HeaderValue, Method, Request, StatusCode};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::super::reply::{self, Reply};
use super::call::{Call, Refused};
use super::connector::Place;
use super::control::count;
use super::error::{Failure, OidcError, Outcome};
use super::extra_parameters::is_sign_in_page;
use super::fault::{EndpointFault, Misbehaviour};
use super::state::Shared;
use super::{
    authorize, discovery, end_session, hugging_face_account, revocation, sign_in, social, social_account,
    token, userinfo, vault,
};

/// Hugging Face's userinfo endpoint, which can be made to fail.
const HUGGING_FACE_USERINFO_PATH: &str = "/huggingface/oauth/userinfo";

const BEFORE_THE_CUT: Duration = Duration::from_millis(50);

/// Answers one request; an error resets the connection.
pub(super) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Reply, Failure> {
    let call = match Call::read(request).await {
        Ok(call) => call,
        Err(Refused::Host) => {
            return Ok(reply::text(
                StatusCode::MISDIRECTED_REQUEST,
                "This server answers to loopback names only.\n",
            ));
        }
        Err(Refused::Body) => {
            return Ok(reply::text(
                StatusCode::PAYLOAD_TOO_LARGE,
                "The form is too long.\n",
            ));
        }
    };
    let fault = next_fault(&shared, &call);
    if fault.delay > Duration::ZERO {
        tokio::time::sleep(fault.delay).await;
    }
    let outcome = match fault.misbehaviour {
        None => handle(&shared, &call).await,
        Some(misbehaviour) => misbehave(&shared, &call, &misbehaviour).await,
    };
    let mut reply = match outcome {
        Ok(reply) => reply,
        Err(Failure::Reset) => return Err(Failure::Reset),
        Err(Failure::Internal) => server_error(StatusCode::INTERNAL_SERVER_ERROR),
    };
    reply
        .headers_mut()
        .insert("keep-alive", HeaderValue::from_static("timeout=5"));
    Ok(reply)
}

async fn handle(shared: &Shared, call: &Call) -> Outcome {
    let get = call.method == Method::GET;
    let post = call.method == Method::POST;
    if !is_for_clients(&call.path) && call.is_cross_site_post() {
        return Ok(reply::text(
            StatusCode::FORBIDDEN,
            "Another site may not send this form.\n",
        ));
    }
    match call.path.as_str() {
        "/" if get => Ok(sign_in::home(shared)),
        "/oidc/.well-known/openid-configuration" | "/oidc/.well-known/oauth-authorization-server" if get => {
            count(&shared.counters.discovery);
            discovery::metadata(shared, call)
        }
        "/oidc/jwks" if get => {
            count(&shared.counters.jwks);
            discovery::jwks(shared, call)
        }
        "/oidc/auth" if get || post => authorize::authorize(shared, call),
        "/oidc/token" if post => token::exchange(shared, call),
        "/oidc/token/revocation" if post => revocation::revoke(shared, call),
        "/oidc/token/introspection" if post => revocation::introspect(shared, call),
        "/oidc/me" if get || post => userinfo::userinfo(shared, call),
        "/oidc/session/end" if get || post => end_session::end_session(shared, call),
        end_session::CONFIRM_PATH if post => end_session::confirm(shared, call).await,
        "/sign-in" if post => sign_in::submit(shared, call),
        "/register" | "/identifier-register" if get => sign_in::show_register(shared, call),
        "/register" if post => sign_in::submit_register(shared, call),
        "/unknown-session" if get => Ok(sign_in::unknown_session()),
        hugging_face_account::ORGANIZATIONS_PATH if get => hugging_face_account::organizations(shared),
        hugging_face_account::ORGANIZATIONS_PATH if post => {
            hugging_face_account::change_organizations(shared, call)
        }
        path if get && is_sign_in_page(path) => sign_in::show(shared, call),
        path => match (path.strip_prefix("/oidc/auth/"), vault_target(path)) {
            (Some(interaction), _) if get => authorize::resume(shared, call, interaction),
            (_, Some(target)) if get => vault::stored_token(shared, call, target),
            _ => by_connector(shared, call),
        },
    }
}

/// What belongs to a social connector or to the third party it leads to.
fn by_connector(shared: &Shared, call: &Call) -> Outcome {
    let get = call.method == Method::GET;
    let found = shared.state().connector_at(&call.path);
    match found {
        Some((connector, Place::Direct)) if get => social::begin(shared, call, &connector),
        Some((connector, Place::Callback)) if get => social::callback(shared, call, &connector),
        Some((connector, Place::Authorize)) if get => social::consent(shared, call, &connector),
        Some((connector, Place::Authorize)) if call.method == Method::POST => {
            social::decide(shared, call, &connector)
        }
        Some((connector, Place::Userinfo)) if get => social_account::userinfo(shared, call, &connector),
        None if get && call.path.starts_with("/direct/") => social::fall_back(shared, call),
        _ => Ok(unrecognized(call)),
    }
}

/// The target in the path of a stored token.
fn vault_target(path: &str) -> Option<&str> {
    let target = path
        .strip_prefix(vault::PATH_PREFIX)?
        .strip_suffix(vault::PATH_SUFFIX)?;
    (!target.is_empty() && !target.contains('/')).then_some(target)
}

/// Endpoints that other origins may post to: browsers on behalf of clients, and clients themselves.
fn is_for_clients(path: &str) -> bool {
    path.starts_with("/oidc/") && path != end_session::CONFIRM_PATH
}

fn unrecognized(call: &Call) -> Reply {
    let error = OidcError {
        status: StatusCode::NOT_FOUND,
        ..OidcError::new(
            "invalid_request",
            format!(
                "unrecognized route or not allowed method ({} on {})",
                call.method, call.path
            ),
        )
    };
    error.reply(call.wants_own_error_members())
}

fn server_error(status: StatusCode) -> Reply {
    OidcError {
        status,
        ..OidcError::new("server_error", "oops! something went wrong")
    }
    .reply(true)
}

/// What this call meets.
fn next_fault(shared: &Shared, call: &Call) -> EndpointFault {
    let mut faults = shared.faults.lock().unwrap_or_else(PoisonError::into_inner);
    let fault = match (call.path.as_str(), call.form.get("grant_type")) {
        ("/oidc/.well-known/openid-configuration", _) => &mut faults.discovery,
        ("/oidc/jwks", _) => &mut faults.jwks,
        ("/oidc/token", Some("authorization_code")) if faults.code_exchange.is_set() => {
            &mut faults.code_exchange
        }
        ("/oidc/token", Some("refresh_token")) if faults.refresh.is_set() => &mut faults.refresh,
        ("/oidc/token", Some("urn:ietf:params:oauth:grant-type:token-exchange"))
            if faults.token_exchange.is_set() =>
        {
            &mut faults.token_exchange
        }
        ("/oidc/token", _) => &mut faults.token,
        ("/oidc/me", _) => &mut faults.userinfo,
        ("/oidc/token/revocation", _) => &mut faults.revocation,
        ("/oidc/token/introspection", _) => &mut faults.introspection,
        (HUGGING_FACE_USERINFO_PATH, _) => &mut faults.hugging_face_userinfo,
        (path, _) if vault_target(path).is_some() => &mut faults.stored_token,
        _ => return EndpointFault::default(),
    };
    fault.take()
}

/// Instead of answering. The call counts nevertheless.
async fn misbehave(shared: &Shared, call: &Call, misbehaviour: &Misbehaviour) -> Outcome {
    match misbehaviour {
        Misbehaviour::ResetAfterProcessing => {
            handle(shared, call).await?;
            return Err(Failure::Reset);
        }
        Misbehaviour::AnswerLate(delay) => {
            let answer = handle(shared, call).await;
            tokio::time::sleep(*delay).await;
            return answer;
        }
        Misbehaviour::CutAnswer => return cut(handle(shared, call).await?).await,
        _ => {}
    }
    count_only(shared, &call.path);
    match misbehaviour {
        Misbehaviour::Status(status) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Ok(server_error(status))
        }
        Misbehaviour::Garbage => Ok(reply::bytes(
            StatusCode::OK,
            "application/json; charset=utf-8",
            "{\"issuer\": <html>",
        )),
        Misbehaviour::Oversized(length) => {
            let body = format!("{{\"padding\":\"{}\"}}", "x".repeat(*length));
            Ok(reply::bytes(
                StatusCode::OK,
                "application/json; charset=utf-8",
                body,
            ))
        }
        Misbehaviour::Redirect(location) => {
            let mut reply = reply::bytes(StatusCode::TEMPORARY_REDIRECT, "text/plain; charset=utf-8", "");
            reply.headers_mut().insert(
                LOCATION,
                HeaderValue::from_str(location).map_err(|_| Failure::Internal)?,
            );
            Ok(reply)
        }
        // The others were dealt with above; a count within a count resets too.
        _ => Err(Failure::Reset),
    }
}

/// The same answer, of which the first half arrives and then the end of the connection.
async fn cut(reply: Reply) -> Outcome {
    let (mut head, body) = reply.into_parts();
    let bytes = body.collect().await.map_err(|_| Failure::Internal)?.to_bytes();
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    let first = stream::once(async move { Ok(Frame::data(half)) });
    let end = stream::once(async {
        // What is written must have left before the error ends the connection.
        tokio::time::sleep(BEFORE_THE_CUT).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    Ok(Reply::from_parts(
        head,
        StreamBody::new(first.chain(end)).boxed_unsync(),
    ))
}

fn count_only(shared: &Shared, path: &str) {
    let counters = &shared.counters;
    match path {
        "/oidc/jwks" => count(&counters.jwks),
        "/oidc/token" => count(&counters.token),
        "/oidc/me" => count(&counters.userinfo),
        "/oidc/token/revocation" => count(&counters.revocation),
        "/oidc/token/introspection" => count(&counters.introspection),
        HUGGING_FACE_USERINFO_PATH => count(&counters.hugging_face_userinfo),
        path if vault_target(path).is_some() => count(&counters.stored_tokens),
        _ => count(&counters.discovery),
    }
}
