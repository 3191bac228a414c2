//! The page on which users see where they are signed in, and end what should not be.
//!
//! Works without JavaScript: each button is a form of its own, and each form carries the token that this page alone
//! has. What a browser says of itself is escaped, cut, and kept from mixing with the text around it.

use super::layout::{Action, Sheet};
use super::text::sessions as text;
use super::{Language, Page, PageSettings, finish};
use crate::clock::UnixSeconds;
use crate::http::user_agent;
use maud::{Markup, html};
use std::net::IpAddr;

/// Most characters of a `User-Agent` that is shown as it is.
const LONGEST_AGENT: usize = 80;

/// One session of the list.
#[derive(Debug, Clone)]
pub struct ListedSession<'a> {
    /// What the form names it by.
    pub id: String,
    /// Whether it is the one that looks at the page.
    pub is_current: bool,
    /// When the user signed in.
    pub signed_in_at: UnixSeconds,
    /// When it was last used, to a minute or so.
    pub last_seen: UnixSeconds,
    /// When it ends, whatever happens.
    pub expires_at: UnixSeconds,
    /// Where its last use came from.
    pub address: Option<IpAddr>,
    /// The `User-Agent` of its last use.
    pub agent: Option<&'a str>,
}

/// How much of the truth the list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// All sessions.
    All,
    /// Those that were used at this server since then.
    Since(UnixSeconds),
    /// Only the one that asks; the store cannot be read.
    OnlyThis,
}

/// All that the page shows.
#[derive(Debug, Clone)]
pub struct SessionList<'a> {
    /// The sessions, in the order to show them.
    pub sessions: &'a [ListedSession<'a>],
    /// How much of the truth they are.
    pub known: Known,
    /// Whether sessions have just been ended from here.
    pub has_ended: bool,
    /// Path that the forms are sent to.
    pub action: &'a str,
    /// Proves that a form comes from this page.
    pub form_token: &'a str,
    /// Logto's origin, to which the end of this very session redirects.
    pub form_origin: Option<&'a str>,
}

/// Where a user is signed in.
pub fn sessions(settings: &PageSettings, language: Language, list: &SessionList<'_>) -> Page {
    let words = text::words(language);
    let sheet = Sheet {
        heading: words.heading,
        body: html! {
            @if list.has_ended { p.note role="status" { (words.done) } }
            p { (words.explanation) }
            @match list.known {
                Known::All => {}
                Known::Since(moment) => {
                    @let (before, after) = text::known_since(language);
                    p.small { (before) (time(moment)) (after) }
                }
                Known::OnlyThis => p.note { (words.away) }
            }
            ul.list {
                @for (index, session) in list.sessions.iter().enumerate() {
                    li { (entry(language, list, session, index)) }
                }
            }
            form method="post" action=(list.action) {
                p.small id="others" { (words.others_explained) }
                input type="hidden" name="token" value=(list.form_token);
                button.action type="submit" name="others" value="yes" aria-describedby="others" { (words.end_others) }
            }
        },
        action: Some(Action {
            href: "/",
            label: words.back,
        }),
    };
    let targets = list
        .form_origin
        .map_or_else(|| "'self'".to_owned(), |origin| format!("'self' {origin}"));
    finish(settings, language, &sheet, &targets)
}

fn entry(language: Language, list: &SessionList<'_>, session: &ListedSession<'_>, index: usize) -> Markup {
    let words = text::words(language);
    // A button is read out with the heading of its entry, since all say the same.
    let heading = format!("session-{index}");
    html! {
        h2 id=(heading) { bdi { (agent(language, session.agent)) } }
        @if session.is_current { p.here { (words.this_one) } }
        dl {
            dt { (words.signed_in) } dd { (time(session.signed_in_at)) }
            dt { (words.last_seen) } dd { (time(session.last_seen)) }
            dt { (words.address) }
            dd { @if let Some(address) = session.address { (address) } @else { (words.no_address) } }
            dt { (words.expires) } dd { (time(session.expires_at)) }
        }
        form method="post" action=(list.action) {
            input type="hidden" name="token" value=(list.form_token);
            button.action.quiet type="submit" name="session" value=(session.id) aria-describedby=(heading) {
                @if session.is_current { (words.end_this) } @else { (words.end) }
            }
        }
    }
}

/// To the minute, in UTC: the proxy does not know where the reader is.
fn time(moment: UnixSeconds) -> Markup {
    let exact = moment.to_rfc3339();
    let (date, time) = exact.split_once('T').unwrap_or((&exact, ""));
    let minutes = time.rsplit_once(':').map_or(time, |(minutes, _)| minutes);
    html! { time datetime=(exact) { (date) " " (minutes) " UTC" } }
}

/// In words when they are known, else what the client said, cut.
fn agent(language: Language, text: Option<&str>) -> String {
    let said = text.map(str::trim).filter(|text| !text.is_empty());
    let Some(said) = said else {
        return text::words(language).no_agent.to_owned();
    };
    let described = user_agent::describe(said);
    text::browser_on_system(language, described.browser, described.system).unwrap_or_else(|| {
        let mut shown: String = said
            .chars()
            .filter(|c| !c.is_control())
            .take(LONGEST_AGENT)
            .collect();
        if said.chars().count() > LONGEST_AGENT {
            shown.push('…');
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(agent: Option<&str>) -> ListedSession<'_> {
        ListedSession {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            is_current: false,
            signed_in_at: UnixSeconds::new(1_735_689_600),
            last_seen: UnixSeconds::new(1_735_693_205),
            expires_at: UnixSeconds::new(1_736_294_400),
            address: Some("2001:db8::1".parse().unwrap()),
            agent,
        }
    }

    fn shown(language: Language, sessions: &[ListedSession<'_>], known: Known) -> Page {
        let list = SessionList {
            sessions,
            known,
            has_ended: false,
            action: "/.logto/sessions/revoke",
            form_token: "the-token",
            form_origin: Some("https://logto.test"),
        };
        super::sessions(&PageSettings::default(), language, &list)
    }

    #[test]
    fn a_session_is_shown_with_its_times_place_and_browser() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let page = shown(Language::English, &[listed(Some(firefox))], Known::All);
        for expected in [
            "Firefox on Linux",
            "<time datetime=\"2025-01-01T00:00:00Z\">2025-01-01 00:00 UTC</time>",
            "<time datetime=\"2025-01-01T01:00:05Z\">2025-01-01 01:00 UTC</time>",
            "2001:db8::1",
            "name=\"session\" value=\"0123456789abcdef0123456789abcdef\"",
            "name=\"others\" value=\"yes\"",
            "End this session",
        ] {
            assert!(page.html.contains(expected), "{expected}: {}", page.html);
        }
        assert!(!page.html.contains("This browser"));
        assert!(!page.html.contains("<script"));
        assert!(
            page.content_security_policy
                .contains("form-action 'self' https://logto.test;")
        );
        assert_eq!(
            page.html.matches("<form").count(),
            page.html.matches("value=\"the-token\"").count()
        );
    }

    #[test]
    fn what_a_browser_says_of_itself_is_escaped_and_cut() {
        let hostile = format!("<script>alert(1)</script>\u{7}{}", "x".repeat(300));
        let page = shown(Language::English, &[listed(Some(&hostile))], Known::All);
        assert!(!page.html.contains("<script") && !page.html.contains('\u{7}'));
        assert!(page.html.contains("<bdi>&lt;script&gt;"));
        assert!(
            page.html.contains(&format!("{}…</bdi>", "x".repeat(55))),
            "{}",
            page.html
        );
        let page = shown(Language::English, &[listed(None)], Known::All);
        assert!(page.html.contains("Unknown browser"));
    }

    #[test]
    fn the_page_says_how_much_it_knows_in_both_languages() {
        let since = Known::Since(UnixSeconds::new(1_735_689_600));
        for (language, since_when, away) in [
            (Language::English, "keeps its list since", "cannot be read"),
            (Language::Japanese, "から一覧を記録", "取得できない"),
        ] {
            let all = shown(language, &[listed(None)], Known::All).html;
            assert!(!all.contains(since_when) && !all.contains(away));
            let part = shown(language, &[listed(None)], since).html;
            assert!(part.contains(since_when), "{part}");
            assert!(part.contains("datetime=\"2025-01-01T00:00:00Z\""));
            assert!(
                shown(language, &[listed(None)], Known::OnlyThis)
                    .html
                    .contains(away)
            );
        }
    }
}
