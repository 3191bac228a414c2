//! Answers to other proxies that ask whether a request may pass.
//!
//! Promises that nothing but a permit is answered by what such a proxy takes for one: a 2xx. Promises each kind of proxy an
//! answer that it understands, with the same meaning. Refuses to know why anyone may pass.

use crate::http::body::Body;
use crate::identity::HeaderRules;
use crate::pages::answer;
use crate::request::CheckForm;
use ::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

/// Where a person is to be sent; for nginx, which passes no redirect on.
const X_AUTH_REQUEST_REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");

/// The `Set-Cookie` lines one by one; for nginx, whose variables hold one line, or several run together. As many as a session
/// has pieces: one of them missing, it would be none.
const SET_COOKIES: [HeaderName; 5] = [
    HeaderName::from_static("x-logto-set-cookie-1"),
    HeaderName::from_static("x-logto-set-cookie-2"),
    HeaderName::from_static("x-logto-set-cookie-3"),
    HeaderName::from_static("x-logto-set-cookie-4"),
    HeaderName::from_static("x-logto-set-cookie-5"),
];

/// What Envoy is to take out of the client's request.
const X_ENVOY_AUTH_HEADERS_TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// Marks an answer that is made of a permit.
#[derive(Debug, Clone, Copy)]
struct Permitted {
    owns_authorization: bool,
}

/// 200 with what the application is to be told of the caller: the fields of `forwarded`, a permitted request as it would be
/// forwarded, that only the proxy may send. `Authorization` is among them where it is the caller's token.
pub fn permitted(
    rules: &HeaderRules,
    forwarded: &HeaderMap,
    owns_authorization: bool,
    cookies: Vec<HeaderValue>,
) -> Response<Body> {
    let mut response = answer::empty(StatusCode::OK);
    let headers = response.headers_mut();
    for (name, value) in forwarded {
        if rules.is_owned(name.as_str().as_bytes()) || (owns_authorization && name == header::AUTHORIZATION) {
            headers.append(name.clone(), value.clone());
        }
    }
    for line in cookies {
        headers.append(header::SET_COOKIE, line);
    }
    response.extensions_mut().insert(Permitted { owns_authorization });
    response
}

/// Any answer to a check, as the proxy that asks understands it.
pub fn shape(form: CheckForm, rules: &HeaderRules, mut response: Response<Body>) -> Response<Body> {
    let permitted = response.extensions().get::<Permitted>().copied();
    let is_permitted = permitted.is_some();
    // Envoy takes 200 alone for a permit, and passes the other answers on.
    let passes_for_permit = match form {
        CheckForm::Target => response.status() == StatusCode::OK,
        CheckForm::Forwarded | CheckForm::Original => response.status().is_success(),
    };
    if !is_permitted && passes_for_permit {
        return answer::empty(StatusCode::FORBIDDEN);
    }
    match form {
        CheckForm::Forwarded => {}
        CheckForm::Target => {
            if let Some(permitted) = permitted {
                name_absent(rules, permitted, response.headers_mut());
            }
        }
        CheckForm::Original => for_nginx(is_permitted, &mut response),
    }
    response
}

/// 403 for a request that needs a session, to a host that no session can be used at.
pub(super) fn foreign_host() -> Response<Body> {
    let document = json!({
        "error": "foreign_host",
        "error_description": "nobody can be signed in at this host: it is not that of public_url, nor below session.cookie_domain",
    });
    answer::json(StatusCode::FORBIDDEN, &document)
}

/// Envoy sets what the answer has and leaves the rest of the client's request as it is: it is told to take out what could
/// pass for ours there.
fn name_absent(rules: &HeaderRules, permitted: Permitted, headers: &mut HeaderMap) {
    let mut names = rules.names();
    names.extend(permitted.owns_authorization.then_some(header::AUTHORIZATION));
    let absent: Vec<&str> = names
        .iter()
        .filter(|name| !headers.contains_key(*name))
        .map(HeaderName::as_str)
        .collect();
    if let Ok(list) = HeaderValue::try_from(absent.join(","))
        && !list.is_empty()
    {
        headers.insert(X_ENVOY_AUTH_HEADERS_TO_REMOVE, list);
    }
}

/// nginx knows 2xx, 401 and 403, and lets its configuration read fields, each as one line.
fn for_nginx(is_permitted: bool, response: &mut Response<Body>) {
    let location = response.headers_mut().remove(header::LOCATION);
    if !is_permitted {
        let status = match response.status() {
            StatusCode::UNAUTHORIZED => StatusCode::UNAUTHORIZED,
            status if status.is_redirection() => StatusCode::UNAUTHORIZED,
            // Its own errors are told apart from refusals, and let nothing pass either.
            status if status.is_server_error() => status,
            StatusCode::BAD_REQUEST => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        };
        *response.status_mut() = status;
    }
    let headers = response.headers_mut();
    if let Some(location) = location {
        headers.insert(X_AUTH_REQUEST_REDIRECT, location);
    }
    let lines: Vec<HeaderValue> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    for (name, line) in SET_COOKIES.into_iter().zip(lines) {
        headers.insert(name, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_permit_reads_like_one() {
        let rules = HeaderRules::new(HeaderRules::standard()).unwrap();
        let forms = [CheckForm::Forwarded, CheckForm::Original, CheckForm::Target];
        for form in forms {
            for status in 100..600_u16 {
                let status = StatusCode::from_u16(status).unwrap();
                let shaped = shape(form, &rules, answer::empty(status)).status();
                // Envoy passes every other answer on, a 204 to a preflight among them.
                let passes = match form {
                    CheckForm::Target => shaped == StatusCode::OK,
                    CheckForm::Forwarded | CheckForm::Original => shaped.is_success(),
                };
                assert!(!passes, "{form:?} {status} {shaped}");
                let known = shaped == StatusCode::UNAUTHORIZED || shaped == StatusCode::FORBIDDEN;
                let is_fault = shaped.is_server_error() || shaped == StatusCode::BAD_REQUEST;
                assert!(
                    form != CheckForm::Original || known || is_fault,
                    "{status} {shaped}"
                );
            }
            let permit = permitted(&rules, &HeaderMap::new(), false, Vec::new());
            assert_eq!(shape(form, &rules, permit).status(), StatusCode::OK);
        }
    }

    #[test]
    fn envoy_is_told_every_name_that_the_answer_lacks() {
        let rules = HeaderRules::new(HeaderRules::standard()).unwrap();
        let mut forwarded = HeaderMap::new();
        forwarded.insert("x-user-sub", HeaderValue::from_static("admin"));
        forwarded.insert("x-other", HeaderValue::from_static("the client's"));
        let shaped = shape(
            CheckForm::Target,
            &rules,
            permitted(&rules, &forwarded, false, Vec::new()),
        );
        assert_eq!(shaped.headers()["x-user-sub"], "admin");
        assert!(!shaped.headers().contains_key("x-other"));
        let list = shaped.headers()[X_ENVOY_AUTH_HEADERS_TO_REMOVE].to_str().unwrap();
        let names: Vec<&str> = list.split(',').collect();
        assert!(!names.contains(&"x-user-sub"), "{list}");
        for name in ["x-user-roles", "x-user-hf-id", "x-client-id", "x-forwarded-user"] {
            assert!(names.contains(&name), "{name} of {list}");
        }
    }

    #[test]
    fn authorization_is_told_or_taken_out_where_it_is_the_callers_token() {
        let rules = HeaderRules::new(HeaderRules::standard()).unwrap();
        let shaped = |forwarded: &HeaderMap, owns| {
            let answer = permitted(&rules, forwarded, owns, Vec::new());
            shape(CheckForm::Target, &rules, answer).headers().clone()
        };
        let is_removed = |headers: &HeaderMap| {
            let list = headers[X_ENVOY_AUTH_HEADERS_TO_REMOVE].to_str().unwrap();
            list.split(',').any(|name| name == "authorization")
        };
        let mut forwarded = HeaderMap::new();
        assert!(is_removed(&shaped(&forwarded, true)));
        assert!(!is_removed(&shaped(&forwarded, false)));
        forwarded.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer token"));
        let told = shaped(&forwarded, true);
        assert!(told[header::AUTHORIZATION] == "Bearer token" && !is_removed(&told));
        assert!(!shaped(&forwarded, false).contains_key(header::AUTHORIZATION));
    }
}
