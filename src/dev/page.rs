//! The frame around every development page: one style sheet, one policy, no JavaScript needed.
//!
//! The policy allows this style sheet by its hash, the one self-submitting script by its hash where a page
//! uses it, and forms to the origins named, because browsers apply `form-action` to redirects too.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::LazyLock;
use url::Url;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1f;--dim:#55555f;--paper:#fff;--line:#8a8a94;--accent:#4a35c8;--on-accent:#fff;--alert:#a1121b}\
@media(prefers-color-scheme:dark){:root{--ink:#f2f2f5;--dim:#b9b9c4;--paper:#17171b;--line:#777783;--accent:#b8acff;--on-accent:#17171b;--alert:#ff9a9f}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\
main{max-width:38rem;margin:0 auto;padding:2rem 1rem}h1{font-size:1.5rem;line-height:1.25}\
p.note,.dim{color:var(--dim)}p.alert{color:var(--alert);font-weight:600}\
button,a.button{display:block;width:100%;margin:.75rem 0;padding:.75rem 1rem;border:1px solid var(--line);border-radius:.5rem;background:transparent;color:inherit;font:inherit;text-align:left;text-decoration:none;cursor:pointer}\
button.primary{background:var(--accent);border-color:var(--accent);color:var(--on-accent);font-weight:600;text-align:center}\
button span{display:block}:focus-visible{outline:3px solid var(--accent);outline-offset:2px}a{color:var(--accent)}\
label{display:block;margin-top:.75rem}input{display:block;width:100%;padding:.6rem;border:1px solid var(--line);border-radius:.5rem;background:transparent;color:inherit;font:inherit}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .5rem;border-bottom:1px solid var(--line)}th{font-weight:600}\
code,td{font-family:ui-monospace,monospace;font-size:.9rem}nav a{margin-right:1rem}";

/// Submits the page's form at once; the button stays for browsers without JavaScript.
pub(super) const SUBMIT_FORM: &str = "document.forms[0].submit()";

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| source_hash(STYLE));
static SCRIPT_HASH: LazyLock<String> = LazyLock::new(|| source_hash(SUBMIT_FORM));

/// A whole page. The title is also its heading.
pub(super) fn page(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (body) } }
        }
    }
}

/// What a page may do.
pub(super) struct Policy {
    text: String,
    form_action: String,
    script: bool,
}

impl Policy {
    /// Nothing but the style sheet, and forms to the page's own origin.
    pub(super) fn new() -> Self {
        Self {
            text: format!(
                "default-src 'none'; style-src '{}'; base-uri 'none'; frame-ancestors 'none'",
                *STYLE_HASH
            ),
            form_action: "'self'".to_owned(),
            script: false,
        }
    }

    /// Also allows the page's form to end up, by redirects, at this URL's origin.
    pub(super) fn form_may_reach(mut self, url: &str) -> Self {
        // Only an http(s) origin is written, so that no value can add a directive of its own.
        if let Ok(url) = Url::parse(url)
            && matches!(url.scheme(), "http" | "https")
        {
            let _ = write!(self.form_action, " {}", url.origin().ascii_serialization());
        }
        self
    }

    /// Also allows [`SUBMIT_FORM`].
    pub(super) fn submits_itself(mut self) -> Self {
        self.script = true;
        self
    }

    /// The header's value.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}; form-action {}", self.text, self.form_action);
        if self.script {
            let _ = write!(text, "; script-src '{}'", *SCRIPT_HASH);
        }
        text
    }
}

/// A CSP source expression for inline text (CSP Level 3 §2.3.1).
fn source_hash(source: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(source.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_cannot_add_a_directive() {
        let policy = Policy::new()
            .form_may_reach("https://app.example.com/cb;script-src *")
            .form_may_reach("javascript:alert(1)")
            .form_may_reach("data:text/html,x");
        assert!(
            policy
                .text()
                .ends_with("form-action 'self' https://app.example.com"),
            "{}",
            policy.text()
        );
        assert!(!policy.text().contains("script-src"));
        assert!(policy.submits_itself().text().contains("script-src 'sha256-"));
    }
}
