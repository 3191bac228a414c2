//! Logto's own parameters of an authorization request, which decide the page a sign-in starts at.
//!
//! Judged as Logto does: together. One bad value voids them all, without a word, so that a relying party that
//! sends a misspelt `first_screen` finds its `direct_sign_in` ignored here too.

use url::form_urlencoded::Serializer;

use super::parameters::Parameters;

/// Values and pages of `first_screen`.
const FIRST_SCREENS: [(&str, &str); 7] = [
    ("sign_in", "sign-in"),
    ("signIn", "sign-in"),
    ("register", "register"),
    ("reset_password", "forgot-password"),
    ("identifier:sign_in", "identifier-sign-in"),
    ("identifier:register", "identifier-register"),
    ("single_sign_on", "single-sign-on"),
];

/// Values and pages of the deprecated `interaction_mode`.
const INTERACTION_MODES: [(&str, &str); 2] = [("signIn", "sign-in"), ("signUp", "register")];

/// Parameters that may have any value, as long as they come once.
const FREE: [&str; 7] = [
    "direct_sign_in",
    "organization_id",
    "login_hint",
    "ui_locales",
    "identifier",
    "one_time_token",
    "theme",
];

/// Where the sign-in starts: a path of this provider with the query that Logto gives it.
pub(super) fn first_page(parameters: &Parameters, client_id: &str) -> String {
    let extra = accepted(parameters).unwrap_or_default();
    let mut query = Serializer::new(String::new());
    query.append_pair("app_id", client_id);
    for name in [
        "organization_id",
        "ui_locales",
        "one_time_token",
        "login_hint",
        "identifier",
    ] {
        if let Some(value) = extra.get(name) {
            query.append_pair(name, value);
        }
    }
    let page = extra
        .get("first_screen")
        .and_then(|value| page_of(&FIRST_SCREENS, value))
        .or_else(|| {
            extra
                .get("interaction_mode")
                .and_then(|value| page_of(&INTERACTION_MODES, value))
        })
        .unwrap_or("sign-in");
    match extra.get("direct_sign_in") {
        Some(direct) => {
            let (method, target) = direct.split_once(':').unwrap_or((direct, ""));
            query.append_pair("fallback", page);
            format!(
                "/direct/{}/{}?{}",
                segment(method),
                segment(target),
                query.finish()
            )
        }
        None => format!("/{page}?{}", query.finish()),
    }
}

/// The extra parameters, unless one is wrong.
fn accepted(parameters: &Parameters) -> Option<Parameters> {
    let first_screen_is_known = parameters
        .get("first_screen")
        .is_none_or(|value| page_of(&FIRST_SCREENS, value).is_some());
    let mode_is_known = parameters
        .get("interaction_mode")
        .is_none_or(|value| page_of(&INTERACTION_MODES, value).is_some());
    let none_repeats = !FREE.iter().any(|name| parameters.is_repeated(name));
    (first_screen_is_known && mode_is_known && none_repeats).then(|| parameters.clone())
}

/// Pages that only have the sign-in page's content here.
pub(super) fn is_sign_in_page(path: &str) -> bool {
    matches!(
        path,
        "/sign-in" | "/forgot-password" | "/identifier-sign-in" | "/single-sign-on"
    )
}

fn page_of(pages: &[(&str, &'static str)], value: &str) -> Option<&'static str> {
    pages
        .iter()
        .find(|(name, _)| *name == value)
        .map(|(_, page)| *page)
}

fn segment(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_follows_the_parameters_and_one_bad_value_voids_all() {
        for (query, page) in [
            ("", "/sign-in?app_id=a"),
            ("first_screen=register", "/register?app_id=a"),
            ("interaction_mode=signUp", "/register?app_id=a"),
            (
                "first_screen=sign_in&interaction_mode=signUp",
                "/sign-in?app_id=a",
            ),
            (
                "first_screen=identifier:register&login_hint=x%40y",
                "/identifier-register?app_id=a&login_hint=x%40y",
            ),
            (
                "direct_sign_in=social:huggingface",
                "/direct/social/huggingface?app_id=a&fallback=sign-in",
            ),
            (
                "direct_sign_in=social:../x&first_screen=register",
                "/direct/social/%2E%2E%2Fx?app_id=a&fallback=register",
            ),
            (
                "direct_sign_in=social:huggingface&first_screen=identifier:sign-in",
                "/sign-in?app_id=a",
            ),
            (
                "direct_sign_in=social:huggingface&interaction_mode=sign_up",
                "/sign-in?app_id=a",
            ),
        ] {
            assert_eq!(
                first_page(&Parameters::parse(query.as_bytes()), "a"),
                page,
                "{query}"
            );
        }
    }
}
