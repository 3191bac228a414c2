//! Tells a person's browser from a program, and which language the person reads.
//!
//! Only a top-level navigation gets a redirect to sign in. A script, an image, a prefetch or an iframe that
//! followed one would end in a CORS error, start sign-ins nobody asked for, or show a page that must not be
//! framed; those get a 401. So does a form, as a page: who sent it should hear that it was not delivered. What is
//! decided here grants nothing.

use super::grpc::Grpc;
use ::http::Method;
use ::http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderMap, HeaderName, UPGRADE};

static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
static SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
static PURPOSE: HeaderName = HeaderName::from_static("purpose");
static X_MOZ: HeaderName = HeaderName::from_static("x-moz");
static X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Who waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A browser that navigates its top-level page: may be redirected, reads pages.
    Browser,
    /// A browser that navigates its top-level page by sending a form: reads pages; a redirect would lose the form.
    Form,
    /// A script, a tool, a sub-resource, a frame or a prefetch: gets a status and JSON.
    Program,
}

/// A language the proxy's own pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English, also when the client asks for none of the others.
    #[default]
    English,
    /// Japanese.
    Japanese,
}

/// Who waits for the answer to a request that needs signing in.
///
/// Anything but GET, HEAD and POST, and any prefetch, is a program's. Otherwise Fetch Metadata decides where it is
/// sent; without it `X-Requested-With`, `Upgrade` and a gRPC content type speak for a program, and last
/// `Accept` must ask for HTML by name and not prefer JSON. A POST is a form's if `Accept` does, whatever else is sent.
pub fn audience(method: &Method, headers: &HeaderMap) -> Audience {
    let is_form = method == Method::POST;
    if (method != Method::GET && method != Method::HEAD && !is_form) || is_prefetch(headers) {
        return Audience::Program;
    }
    let speaks_of_itself = headers.contains_key(&SEC_FETCH_MODE) || headers.contains_key(&SEC_FETCH_DEST);
    let is_browser = if speaks_of_itself {
        // A browser sends each once; where somebody added another line, all have to agree.
        let all = |name: &HeaderName, wanted: &str| headers.get_all(name).iter().all(|value| value == wanted);
        all(&SEC_FETCH_MODE, "navigate") && all(&SEC_FETCH_DEST, "document")
    } else {
        !is_scripted(headers)
            && !headers.contains_key(UPGRADE)
            && Grpc::in_content_type(headers).is_none()
            && accepts_html(headers)
    };
    match (is_browser, is_form) {
        (true, false) => Audience::Browser,
        (true, true) if accepts_html(headers) => Audience::Form,
        _ => Audience::Program,
    }
}

/// Whether `Accept` asks for HTML by name (`text/html`, `application/xhtml+xml`, `text/*`) and does not prefer
/// JSON. `*/*` asks for nothing by name. Between equals the first in the list wins.
pub fn accepts_html(headers: &HeaderMap) -> bool {
    let mut html = 0;
    let mut json = 0;
    for (media, quality) in weighted(headers, &ACCEPT) {
        let is = |name: &str| media.eq_ignore_ascii_case(name.as_bytes());
        if is("text/html") || is("application/xhtml+xml") || is("text/*") {
            // A later equal does not win over JSON named before.
            if quality > json {
                html = html.max(quality);
            }
        } else if is("application/json") || is("application/*") || ends_with_json(media) {
            json = json.max(quality);
        }
    }
    html > 0 && html >= json
}

/// The language of the proxy's pages for this client, by the weights of `Accept-Language` (RFC 9110 §12.5.4).
pub fn language(headers: &HeaderMap) -> Language {
    let mut best = (0, Language::English);
    for (range, quality) in weighted(headers, &ACCEPT_LANGUAGE) {
        let primary = range.split(|byte| *byte == b'-').next().unwrap_or_default();
        let language = if primary.eq_ignore_ascii_case(b"ja") {
            Language::Japanese
        } else if primary.eq_ignore_ascii_case(b"en") {
            Language::English
        } else {
            continue;
        };
        if quality > best.0 {
            best = (quality, language);
        }
    }
    best.1
}

/// A page loaded before the person asked for it, which must neither begin nor finish a sign-in, nor sign out.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    [&SEC_PURPOSE, &PURPOSE, &X_MOZ].into_iter().any(|name| {
        headers.get_all(name).iter().any(|value| {
            let value = value.as_bytes();
            starts_with_ignore_case(value, b"prefetch") || starts_with_ignore_case(value, b"preview")
        })
    })
}

/// `X-Requested-With` as scripts set it. Android's WebView puts its package name there on navigations too, and
/// every package name has a dot.
fn is_scripted(headers: &HeaderMap) -> bool {
    headers
        .get(&X_REQUESTED_WITH)
        .is_some_and(|value| !value.as_bytes().contains(&b'.'))
}

fn ends_with_json(media: &[u8]) -> bool {
    media
        .len()
        .checked_sub(b"+json".len())
        .and_then(|start| media.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(b"+json"))
}

fn starts_with_ignore_case(value: &[u8], prefix: &[u8]) -> bool {
    value
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The items of a weighted list with their weights in thousandths (RFC 9110 §12.4.2): 1000 when none is given,
/// 0 when it is malformed, so that nobody's preference is guessed.
fn weighted<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = (&'a [u8], u16)> {
    super::list_items(headers, name).map(|item| {
        let mut parts = item
            .split(|byte| *byte == b';')
            .map(super::trim_optional_whitespace);
        let value = parts.next().unwrap_or_default();
        let weight = parts.find_map(|parameter| match parameter {
            [b'q' | b'Q', b'=', digits @ ..] => Some(thousandths(digits)),
            _ => None,
        });
        (value, weight.unwrap_or(1000))
    })
}

/// `0`, `1`, `0.5`, `0.123`, `1.000`.
fn thousandths(digits: &[u8]) -> u16 {
    let (whole, fraction) = match digits {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return 0,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let mut value = u16::from(*whole - b'0') * 1000;
    let mut unit = 100;
    for digit in fraction {
        value += u16::from(*digit - b'0') * unit;
        unit /= 10;
    }
    if value > 1000 { 0 } else { value }
}

impl Language {
    /// Its tag (RFC 5646), as in `lang` and `Content-Language`.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }
}

#[cfg(test)]
mod tests;
