//! The sentences of the page of sessions.

use super::{Language, either};

/// What the page says, whatever is on it.
#[derive(Debug, Clone, Copy)]
pub struct SessionWords {
    /// Heading and title.
    pub heading: &'static str,
    /// What the page is for.
    pub explanation: &'static str,
    /// Marks the session that looks at the page.
    pub this_one: &'static str,
    /// Label of the time of the sign-in.
    pub signed_in: &'static str,
    /// Label of the time of the last use.
    pub last_seen: &'static str,
    /// Label of the time of the end.
    pub expires: &'static str,
    /// Label of the client's address.
    pub address: &'static str,
    /// In the place of an address.
    pub no_address: &'static str,
    /// In the place of a browser.
    pub no_agent: &'static str,
    /// Label of the button that ends another session.
    pub end: &'static str,
    /// Label of the button that ends this session.
    pub end_this: &'static str,
    /// What ending all others does.
    pub others_explained: &'static str,
    /// Label of the button that ends all others.
    pub end_others: &'static str,
    /// The store cannot be read.
    pub away: &'static str,
    /// After sessions were ended.
    pub done: &'static str,
    /// Label of the way back to the application.
    pub back: &'static str,
}

/// The words in a language.
pub const fn words(language: Language) -> SessionWords {
    match language {
        Language::English => ENGLISH,
        Language::Japanese => JAPANESE,
    }
}

const ENGLISH: SessionWords = SessionWords {
    heading: "Where you are signed in",
    explanation: "Each entry is a browser in which you are signed in to this site. End those that you do not know or no longer use.",
    this_one: "This browser",
    signed_in: "Signed in",
    last_seen: "Last seen",
    expires: "Ends at the latest",
    address: "Address",
    no_address: "Not known",
    no_agent: "Unknown browser",
    end: "End this session",
    end_this: "Sign out here",
    others_explained: "This ends all your sessions on this site except the one in this browser, also those that are not listed.",
    end_others: "Sign out everywhere else",
    away: "The list cannot be read right now, so only this browser is shown. You can still sign out everywhere else.",
    done: "Done: what you chose to end has ended.",
    back: "Back to the application",
};

const JAPANESE: SessionWords = SessionWords {
    heading: "サインイン中のブラウザー",
    explanation: "このサイトにサインインしているブラウザーの一覧です。心当たりのないもの、使わなくなったものは終了してください。",
    this_one: "このブラウザー",
    signed_in: "サインイン日時",
    last_seen: "最後の利用",
    expires: "有効期限",
    address: "アドレス",
    no_address: "不明",
    no_agent: "不明なブラウザー",
    end: "このセッションを終了する",
    end_this: "ここでサインアウトする",
    others_explained: "このブラウザー以外の、このサイトのすべてのセッションを終了します。一覧にないものも含みます。",
    end_others: "ほかのすべてからサインアウトする",
    away: "現在一覧を取得できないため、このブラウザーだけを表示しています。ほかのすべてからサインアウトすることはできます。",
    done: "選択したセッションを終了しました。",
    back: "アプリケーションに戻る",
};

/// What stands around the moment since when the list is kept: text before and after it.
pub const fn known_since(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::English => (
            "This server keeps its list since ",
            ". A session that it has not seen since then is missing here until it is used again.",
        ),
        Language::Japanese => (
            "このサーバーは ",
            " から一覧を記録しています。それ以降に利用されていないセッションは、次に利用されるまで表示されません。",
        ),
    }
}

/// A browser on a system, by their names.
pub fn browser_on_system(language: Language, browser: Option<&str>, system: Option<&str>) -> Option<String> {
    match (browser, system) {
        (Some(browser), Some(system)) => Some(match language {
            Language::English => format!("{browser} on {system}"),
            Language::Japanese => format!("{browser} ({system})"),
        }),
        (Some(browser), None) => Some(browser.to_owned()),
        (None, Some(system)) => Some(format!(
            "{} ({system})",
            either(language, "Browser", "ブラウザー")
        )),
        (None, None) => None,
    }
}
