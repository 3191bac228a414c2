//! The frame that all pages share: one style sheet, dark mode, one main action.

use super::PageSettings;
use super::text::{self, Language};
use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// Colours meet WCAG AA contrast in both schemes (at least 4.5:1 for text).
const STYLE: &str = "\
:root{color-scheme:light dark;--text:#1c1b22;--back:#fbfbfe;--card:#fff;--line:#cfcfd8;--accent:#4f35c9;--on:#fff;--soft:#55545f}\
@media(prefers-color-scheme:dark){:root{--text:#f4f3fa;--back:#17161d;--card:#22212b;--line:#4a4956;--accent:#b9adff;--on:#17161d;--soft:#b9b8c6}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--back);color:var(--text);font:1rem/1.6 system-ui,sans-serif}\
main{max-width:34rem;width:100%;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;overflow-wrap:anywhere}\
h1{margin:0 0 .75rem;font-size:1.4rem;line-height:1.3;text-wrap:balance}\
.app{margin:0 0 1rem;color:var(--soft)}\
.small{font-size:.875rem;color:var(--soft)}\
a{color:var(--accent)}\
.action{display:inline-block;margin:.75rem 0;padding:.6rem 1.2rem;border:0;border-radius:.5rem;background:var(--accent);color:var(--on);font:inherit;text-decoration:none;cursor:pointer}\
.quiet{background:none;color:var(--accent);border:1px solid var(--accent)}\
.note{padding:.6rem 1rem;border-left:4px solid var(--accent)}\
.list{list-style:none;margin:1.5rem 0;padding:0}\
.list>li{padding:1rem 0;border-top:1px solid var(--line)}\
h2{margin:0;font-size:1.05rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1rem;margin:.5rem 0}\
dt{color:var(--soft)}\
dd{margin:0}\
time{white-space:nowrap}\
.here{display:inline-block;margin:.25rem 0 0;padding:0 .6rem;border:1px solid var(--line);border-radius:1rem;font-size:.875rem}\
@media(max-width:30rem){body{padding:.75rem}main{padding:1.25rem}dl{grid-template-columns:1fr}dd{margin-bottom:.5rem}}\
:focus-visible{outline:3px solid var(--accent);outline-offset:3px}";

/// The link that a page offers as the way on.
pub(super) struct Action<'a> {
    pub(super) href: &'a str,
    pub(super) label: &'a str,
}

/// What differs between pages.
pub(super) struct Sheet<'a> {
    pub(super) heading: &'a str,
    pub(super) body: Markup,
    pub(super) action: Option<Action<'a>>,
}

/// `sha256-…` of the style sheet, as the Content-Security-Policy names it.
pub(super) fn style_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| {
        let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        format!("sha256-{digest}")
    })
}

/// The whole document.
pub(super) fn render(settings: &PageSettings, language: Language, sheet: &Sheet<'_>) -> String {
    html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (sheet.heading) @if !settings.title.is_empty() { " · " (settings.title) } }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    @if !settings.title.is_empty() { p.app { (settings.title) } }
                    h1 { (sheet.heading) }
                    (sheet.body)
                    @if let Some(action) = &sheet.action { p { a.action href=(action.href) { (action.label) } } }
                    @if let Some(support) = &settings.support_url {
                        p.small { a href=(support) rel="noreferrer" { (text::support(language)) } }
                    }
                }
            }
        }
    }
    .into_string()
}
