//! Every sentence of the pages, in English and Japanese.

mod problem;
pub mod sessions;

pub use crate::http::navigation::Language;
pub use problem::Problem;

/// Heading and explanation of a page.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// The page's heading and title.
    pub heading: &'static str,
    /// What happened and what to do.
    pub explanation: &'static str,
    /// Likely causes, one a line; may be empty.
    pub causes: &'static [&'static str],
}

const fn words(heading: &'static str, explanation: &'static str) -> Words {
    Words {
        heading,
        explanation,
        causes: &[],
    }
}

/// The signed-out page; `ended_at_logto` says whether the Logto session ended too.
pub const fn signed_out(language: Language, ended_at_logto: bool) -> Words {
    match (language, ended_at_logto) {
        (Language::English, true) => words("You are signed out", "Your session has ended."),
        (Language::English, false) => words(
            "You are signed out here",
            "Your session on this site has ended. The sign-in service could not be reached, so you may still be signed in there; close the browser on a shared computer.",
        ),
        (Language::Japanese, true) => words("サインアウトしました", "セッションは終了しました。"),
        (Language::Japanese, false) => words(
            "このサイトからサインアウトしました",
            "このサイトのセッションは終了しましたが、サインインサービスに接続できなかったため、そちらではサインインしたままの可能性があります。共用の端末ではブラウザーを閉じてください。",
        ),
    }
}

/// The question before a sign-out that another site asked for.
pub const fn confirm_sign_out(language: Language) -> Words {
    match language {
        Language::English => words("Sign out?", "A link on another site asks to sign you out."),
        Language::Japanese => words(
            "サインアウトしますか?",
            "別のサイトのリンクからサインアウトが求められました。",
        ),
    }
}

/// The 403 page.
pub const fn refused(language: Language) -> Words {
    match language {
        Language::English => words(
            "No access",
            "This account has no access to this page. Another account may.",
        ),
        Language::Japanese => words(
            "アクセスできません",
            "このアカウントではこのページを表示できません。別のアカウントをお試しください。",
        ),
    }
}

/// The page for a form that needs a session and has none. The form may come from another site, with which browsers send no
/// session even where there is one.
pub const fn form_not_sent(language: Language) -> Words {
    match language {
        Language::English => words(
            "You are signed out",
            "Your form was not sent. It needs you to be signed in, and your session has ended or did not come with it.",
        ),
        Language::Japanese => words(
            "サインアウトしています",
            "フォームは送信されませんでした。送信にはサインインが必要ですが、セッションが終了しているか、フォームと一緒に届きませんでした。",
        ),
    }
}

/// What somebody can do whose form was not sent.
pub const fn keep_what_you_typed(language: Language) -> &'static str {
    either(
        language,
        "To keep what you typed: sign in in a new tab, then come back to this one, use your browser's Back button and send the form again.",
        "入力内容を残すには、新しいタブでサインインしてからこのタブに戻り、ブラウザーの「戻る」ボタンを押して、もう一度送信してください。",
    )
}

/// Label of the link to the page that a form was sent from.
pub const fn go_back(language: Language) -> &'static str {
    either(language, "Go back to the page", "元のページに戻る")
}

const fn either(language: Language, english: &'static str, japanese: &'static str) -> &'static str {
    match language {
        Language::English => english,
        Language::Japanese => japanese,
    }
}

/// Label of the link that starts over.
pub const fn try_again(language: Language) -> &'static str {
    either(language, "Try again", "もう一度試す")
}

/// Label of the sign-in link.
pub const fn sign_in(language: Language) -> &'static str {
    either(language, "Sign in", "サインイン")
}

/// Label of the sign-out button.
pub const fn sign_out(language: Language) -> &'static str {
    either(language, "Sign out", "サインアウト")
}

/// Label of the link that does not sign out.
pub const fn stay(language: Language) -> &'static str {
    either(language, "Stay signed in", "サインインしたままにする")
}

/// Label of the link to another account.
pub const fn another_account(language: Language) -> &'static str {
    either(language, "Use another account", "別のアカウントを使用する")
}

/// Introduces the name of the signed-in user.
pub const fn signed_in_as(language: Language) -> &'static str {
    either(language, "Signed in as", "サインイン中のアカウント:")
}

/// Introduces the id of the request.
pub const fn request_id(language: Language) -> &'static str {
    either(language, "Request", "リクエスト ID:")
}

/// Label of the operator's help link.
pub const fn support(language: Language) -> &'static str {
    either(language, "Get help", "ヘルプ")
}
