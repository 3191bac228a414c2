//! The few pages that the proxy itself shows: accessible, without JavaScript, in English or Japanese.
//!
//! Nothing from a query string is ever echoed; every text is a constant of [`text`] or escaped by the
//! template. The only values from outside are the operator's title and support address, and the user's own
//! name on the refused page.

pub mod answer;
mod layout;
mod sessions;
pub mod text;

use layout::{Action, Sheet};
use maud::html;
pub use sessions::{Known, ListedSession, SessionList, sessions};
pub use text::{Language, Problem};

/// What an operator may set on every page.
#[derive(Debug, Clone, Default)]
pub struct PageSettings {
    /// Name of the guarded application.
    pub title: String,
    /// Where users find help: an https or mailto address.
    pub support_url: Option<String>,
}

/// A page ready to be sent.
#[derive(Debug, Clone)]
pub struct Page {
    /// The HTML document.
    pub html: String,
    /// The Content-Security-Policy that belongs to it.
    pub content_security_policy: String,
}

/// Policy of a page without a form: nothing loads, nothing frames it, its own style sheet is named by hash.
fn policy(form_targets: &str) -> String {
    format!(
        "default-src 'none'; style-src '{}'; img-src data:; base-uri 'none'; form-action {form_targets}; frame-ancestors 'none'",
        layout::style_hash()
    )
}

fn finish(settings: &PageSettings, language: Language, sheet: &Sheet<'_>, form_targets: &str) -> Page {
    Page {
        html: layout::render(settings, language, sheet),
        content_security_policy: policy(form_targets),
    }
}

/// Something went wrong with a sign-in or on the way to the application.
pub fn problem(
    settings: &PageSettings,
    language: Language,
    problem: Problem,
    try_again: Option<&str>,
    request_id: &str,
) -> Page {
    let words = problem.words(language);
    let label = text::try_again(language);
    let sheet = Sheet {
        heading: words.heading,
        body: html! {
            p { (words.explanation) }
            @if !words.causes.is_empty() { ul { @for cause in words.causes { li { (*cause) } } } }
            p.small { (text::request_id(language)) " " code { (request_id) } }
        },
        action: try_again.map(|href| Action { href, label }),
    };
    finish(settings, language, &sheet, "'none'")
}

/// A browser that is sent around in circles.
pub fn loop_stopped(settings: &PageSettings, language: Language, try_again: &str, request_id: &str) -> Page {
    problem(settings, language, Problem::Loop, Some(try_again), request_id)
}

/// Signed out here.
pub fn signed_out(settings: &PageSettings, language: Language, ended_at_logto: bool, sign_in: &str) -> Page {
    let words = text::signed_out(language, ended_at_logto);
    let sheet = Sheet {
        heading: words.heading,
        body: html! { p { (words.explanation) } },
        action: Some(Action {
            href: sign_in,
            label: text::sign_in(language),
        }),
    };
    finish(settings, language, &sheet, "'none'")
}

/// Asks whether to sign out, because the request came from another site. `form_origin` is Logto's origin, to
/// which the answer of the form redirects.
pub fn confirm_sign_out(
    settings: &PageSettings,
    language: Language,
    action: &str,
    redirect: Option<&str>,
    form_origin: Option<&str>,
) -> Page {
    let words = text::confirm_sign_out(language);
    let sheet = Sheet {
        heading: words.heading,
        body: html! {
            p { (words.explanation) }
            form method="post" action=(action) {
                @if let Some(redirect) = redirect { input type="hidden" name="redirect" value=(redirect); }
                button.action type="submit" name="confirm" value="yes" { (text::sign_out(language)) }
            }
            p { a href="/" { (text::stay(language)) } }
        },
        action: None,
    };
    let targets = form_origin.map_or_else(|| "'self'".to_owned(), |origin| format!("'self' {origin}"));
    finish(settings, language, &sheet, &targets)
}

/// A form that nobody signed in sent. `back` is the page that it was sent from.
pub fn form_not_sent(
    settings: &PageSettings,
    language: Language,
    sign_in: &str,
    back: &str,
    request_id: &str,
) -> Page {
    let words = text::form_not_sent(language);
    let sheet = Sheet {
        heading: words.heading,
        body: html! {
            p { (words.explanation) }
            p.note { (text::keep_what_you_typed(language)) }
            p { a href=(back) { (text::go_back(language)) } }
            p.small { (text::request_id(language)) " " code { (request_id) } }
        },
        action: Some(Action {
            href: sign_in,
            label: text::sign_in(language),
        }),
    };
    finish(settings, language, &sheet, "'none'")
}

/// This account may not see the page.
pub fn refused(
    settings: &PageSettings,
    language: Language,
    signed_in_as: &str,
    another_account: &str,
    decision_id: &str,
) -> Page {
    let words = text::refused(language);
    let sheet = Sheet {
        heading: words.heading,
        body: html! {
            p { (text::signed_in_as(language)) " " strong { (signed_in_as) } }
            p { (words.explanation) }
            p.small { (text::request_id(language)) " " code { (decision_id) } }
        },
        action: Some(Action {
            href: another_account,
            label: text::another_account(language),
        }),
    };
    finish(settings, language, &sheet, "'none'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_escape_and_load_nothing() {
        let settings = PageSettings {
            title: "<Shop>".into(),
            support_url: None,
        };
        let page = refused(
            &settings,
            Language::English,
            "<script>alert(1)</script>",
            "/again",
            "abc",
        );
        assert!(!page.html.contains("<script"));
        assert!(page.html.contains("&lt;script&gt;"));
        assert!(page.html.contains("&lt;Shop&gt;"));
        assert!(page.content_security_policy.starts_with("default-src 'none'"));
        assert!(page.content_security_policy.contains("frame-ancestors 'none'"));
    }

    #[test]
    fn a_form_that_was_not_sent_has_two_ways_on() {
        for language in [Language::English, Language::Japanese] {
            let (sign_in, back) = ("/.logto/sign-in?redirect=%2Fa", "https://x/a?b&\"><i>");
            let page = form_not_sent(&PageSettings::default(), language, sign_in, back, "abc");
            assert!(page.html.contains("href=\"/.logto/sign-in?redirect=%2Fa\""));
            assert!(
                page.html
                    .contains("href=\"https://x/a?b&amp;&quot;&gt;&lt;i&gt;\"")
            );
            assert!(page.content_security_policy.contains("form-action 'none'"));
        }
    }

    #[test]
    fn every_problem_has_words_in_both_languages() {
        for kind in Problem::ALL {
            let english = kind.words(Language::English);
            let japanese = kind.words(Language::Japanese);
            assert!(english.heading.is_ascii() && !english.explanation.is_empty());
            assert!(!japanese.heading.is_ascii() && !japanese.explanation.is_ascii());
            assert_eq!(english.causes.len(), japanese.causes.len());
            assert_eq!(Problem::from_code(kind.code()), Some(*kind));
        }
    }

    #[test]
    fn the_page_names_its_language_and_the_hash_of_its_style() {
        let page = signed_out(
            &PageSettings::default(),
            Language::Japanese,
            true,
            "/.logto/sign-in",
        );
        assert!(page.html.contains("<html lang=\"ja\""));
        assert!(page.content_security_policy.contains("'sha256-"));
    }
}
