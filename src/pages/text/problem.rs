//! What can go wrong, as pages say it and as URLs, JSON and logs name it.

use super::{Language, Words, words};
use ::http::StatusCode;

/// What a problem page is about. The code travels in the URL, so it is one of a fixed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The sign-in was begun too long ago.
    Expired,
    /// The callback is not one that this browser began.
    OtherBrowser,
    /// The callback's parameters are missing, repeated or not ours.
    BadCallback,
    /// The callback was used before.
    AlreadyUsed,
    /// Logto says that access is denied.
    AccessDenied,
    /// Logto answered with another error.
    RefusedByLogto,
    /// What Logto answered could not be verified.
    NotVerified,
    /// The session does not fit into cookies.
    TooLarge,
    /// Logto cannot be reached.
    Unavailable,
    /// The proxy's own settings at Logto are wrong.
    Misconfigured,
    /// The browser keeps coming back without a session.
    Loop,
    /// Too many sign-ins from one address.
    TooMany,
    /// The parameters of a sign-in URL are not allowed.
    BadRequest,
    /// A sign-out form that another site sent.
    CrossSite,
    /// A form whose token is missing, too old or another session's.
    StaleForm,
    /// A session that is to be ended and is none of the user's.
    NoSuchSession,
    /// Sessions were ended here, but that could not be kept.
    NotKept,
    /// A token that the application needs cannot be had now.
    TokenUnavailable,
    /// The user may not have a token that the application needs.
    TokenNotGranted,
    /// The user has to connect an account anew, for a token that the application needs.
    NeedsConsent,
    /// The application cannot be reached.
    UpstreamUnreachable,
    /// The application took too long.
    UpstreamTimeout,
    /// The request is malformed.
    Rejected,
}

impl Problem {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Expired,
        Self::OtherBrowser,
        Self::BadCallback,
        Self::AlreadyUsed,
        Self::AccessDenied,
        Self::RefusedByLogto,
        Self::NotVerified,
        Self::TooLarge,
        Self::Unavailable,
        Self::Misconfigured,
        Self::Loop,
        Self::TooMany,
        Self::BadRequest,
        Self::CrossSite,
        Self::StaleForm,
        Self::NoSuchSession,
        Self::NotKept,
        Self::TokenUnavailable,
        Self::TokenNotGranted,
        Self::NeedsConsent,
        Self::UpstreamUnreachable,
        Self::UpstreamTimeout,
        Self::Rejected,
    ];

    /// The word for it in URLs, JSON and logs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Expired => "sign_in_expired",
            Self::OtherBrowser => "other_browser",
            Self::BadCallback => "bad_callback",
            Self::AlreadyUsed => "already_used",
            Self::AccessDenied => "access_denied",
            Self::RefusedByLogto => "refused_by_logto",
            Self::NotVerified => "not_verified",
            Self::TooLarge => "session_too_large",
            Self::Unavailable => "logto_unavailable",
            Self::Misconfigured => "misconfigured",
            Self::Loop => "redirect_loop",
            Self::TooMany => "too_many_sign_ins",
            Self::BadRequest => "bad_request",
            Self::CrossSite => "cross_site",
            Self::StaleForm => "stale_form",
            Self::NoSuchSession => "no_such_session",
            Self::NotKept => "not_kept",
            Self::TokenUnavailable => "token_unavailable",
            Self::TokenNotGranted => "token_not_granted",
            Self::NeedsConsent => "consent_needed",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Rejected => "rejected",
        }
    }

    /// The problem that a code names, if any.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|problem| problem.code() == code)
    }

    /// The status of the page.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NeedsConsent => StatusCode::UNAUTHORIZED,
            Self::AccessDenied | Self::CrossSite | Self::StaleForm | Self::TokenNotGranted => {
                StatusCode::FORBIDDEN
            }
            Self::NoSuchSession => StatusCode::NOT_FOUND,
            Self::Unavailable | Self::TokenUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLarge | Self::Misconfigured | Self::NotKept => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotVerified | Self::UpstreamUnreachable => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Expired
            | Self::OtherBrowser
            | Self::BadCallback
            | Self::AlreadyUsed
            | Self::RefusedByLogto
            | Self::Loop
            | Self::BadRequest
            | Self::Rejected => StatusCode::BAD_REQUEST,
        }
    }

    /// Its words.
    pub const fn words(self, language: Language) -> Words {
        match language {
            Language::English => self.english(),
            Language::Japanese => self.japanese(),
        }
    }

    const fn english(self) -> Words {
        match self {
            Self::Expired => words(
                "This sign-in has expired",
                "It was begun too long ago. Please start again.",
            ),
            Self::OtherBrowser => Words {
                heading: "This sign-in was not begun here",
                explanation: "The browser did not bring back the cookie that was set when the sign-in began.",
                causes: &[
                    "The sign-in was begun in another browser or a private window.",
                    "Cookies are blocked for this site.",
                    "The site is open at another address than the one it is configured for.",
                ],
            },
            Self::BadCallback => words(
                "The sign-in could not be completed",
                "The answer that came back is incomplete or was changed. Please start again.",
            ),
            Self::AlreadyUsed => words(
                "This sign-in was already used",
                "Each sign-in works once. Please start again.",
            ),
            Self::AccessDenied => words(
                "Access was denied",
                "Your account may not use this application. Ask whoever runs it for access.",
            ),
            Self::RefusedByLogto => words(
                "The sign-in was refused",
                "The sign-in service did not accept the request. Please start again.",
            ),
            Self::NotVerified => words(
                "The sign-in could not be verified",
                "The answer of the sign-in service did not pass its checks, so it was not used.",
            ),
            Self::TooLarge => words(
                "Your profile is too large",
                "The session does not fit into this browser's cookies. Whoever runs this site can map fewer claims.",
            ),
            Self::Unavailable => words(
                "Sign-in is not available right now",
                "The sign-in service cannot be reached. Please try again in a moment.",
            ),
            Self::Misconfigured => words(
                "Sign-in is not set up correctly",
                "The sign-in service refused this site's own credentials. Whoever runs it finds the reason in the log.",
            ),
            Self::Loop => Words {
                heading: "Signing in does not stick",
                explanation: "You were signed in several times within seconds, and each time the browser came back without a session. To stop the circle, you were not redirected again. Wait half a minute, then try again.",
                causes: &[
                    "The browser refused the session cookie, or an extension removed it.",
                    "The site is reached over http while its cookie is for https only.",
                    "The clocks of this site's servers differ.",
                    "The configured public_url is not the address in the browser's address bar.",
                ],
            },
            Self::TooMany => words(
                "Too many sign-ins",
                "Too many sign-ins were begun from your address. Please wait a minute.",
            ),
            Self::BadRequest => words(
                "This sign-in address is not valid",
                "It carries a parameter that is unknown, repeated or not allowed.",
            ),
            Self::CrossSite => words(
                "This came from another site",
                "Signing out has to be asked for on this site itself.",
            ),
            Self::StaleForm => words(
                "This page was open for too long",
                "Its buttons work for an hour and for the session that opened it. Open it again, then repeat what you chose.",
            ),
            Self::NoSuchSession => words(
                "There is no such session",
                "None of your sessions goes by this name. It may have ended already.",
            ),
            Self::NotKept => words(
                "This could not be completed",
                "What you chose to end has ended on this server, but that could not be recorded, so it may come back. Please try again.",
            ),
            Self::TokenUnavailable => words(
                "The application cannot act for you right now",
                "It needs a key of yours from the sign-in service, which does not answer. Please try again in a moment.",
            ),
            Self::TokenNotGranted => words(
                "The application may not act for you here",
                "It needs a key that your account is not given. Ask whoever runs it for access.",
            ),
            Self::NeedsConsent => words(
                "Connect your account again",
                "The application needs your permission to act for you at another service. It is missing or has ended. Sign in through that service again to give it.",
            ),
            Self::UpstreamUnreachable => words(
                "The application does not answer",
                "You reached its door, but the application behind it could not be reached.",
            ),
            Self::UpstreamTimeout => words(
                "The application took too long",
                "It did not answer in time. Please try again.",
            ),
            Self::Rejected => words(
                "This request is malformed",
                "It was refused before it reached the application.",
            ),
        }
    }

    const fn japanese(self) -> Words {
        match self {
            Self::Expired => words(
                "サインインの有効期限が切れました",
                "開始から時間が経ちすぎています。もう一度やり直してください。",
            ),
            Self::OtherBrowser => Words {
                heading: "このブラウザーで始めたサインインではありません",
                explanation: "サインインを始めたときに設定した Cookie が戻ってきませんでした。",
                causes: &[
                    "別のブラウザーまたはプライベートウィンドウでサインインを始めました。",
                    "このサイトの Cookie がブロックされています。",
                    "設定とは異なるアドレスでサイトを開いています。",
                ],
            },
            Self::BadCallback => words(
                "サインインを完了できませんでした",
                "戻ってきた応答が不完全か、変更されています。もう一度やり直してください。",
            ),
            Self::AlreadyUsed => words(
                "このサインインは使用済みです",
                "サインインは一度だけ有効です。もう一度やり直してください。",
            ),
            Self::AccessDenied => words(
                "アクセスが拒否されました",
                "このアカウントではこのアプリケーションを利用できません。管理者に問い合わせてください。",
            ),
            Self::RefusedByLogto => words(
                "サインインが受け付けられませんでした",
                "サインインサービスが要求を受け付けませんでした。もう一度やり直してください。",
            ),
            Self::NotVerified => words(
                "サインインを検証できませんでした",
                "サインインサービスの応答が検査に合格しなかったため、使用しませんでした。",
            ),
            Self::TooLarge => words(
                "プロフィールが大きすぎます",
                "セッションがブラウザーの Cookie に収まりません。管理者は対応付けるクレームを減らせます。",
            ),
            Self::Unavailable => words(
                "現在サインインできません",
                "サインインサービスに接続できません。しばらくしてからもう一度お試しください。",
            ),
            Self::Misconfigured => words(
                "サインインの設定に誤りがあります",
                "サインインサービスがこのサイトの認証情報を拒否しました。理由はログに記録されています。",
            ),
            Self::Loop => Words {
                heading: "サインインの状態が保たれません",
                explanation: "数秒のうちに何度もサインインが完了しましたが、そのたびにセッションが失われました。繰り返しを止めるため、これ以上は移動しません。30 秒ほど待ってからお試しください。",
                causes: &[
                    "ブラウザーまたは拡張機能がセッション Cookie を拒否しています。",
                    "https 専用の Cookie を使うサイトに http で接続しています。",
                    "サーバーの時計がずれています。",
                    "設定された public_url がアドレスバーのアドレスと異なります。",
                ],
            },
            Self::TooMany => words(
                "サインインの回数が多すぎます",
                "このアドレスからのサインインが多すぎます。1 分ほどお待ちください。",
            ),
            Self::BadRequest => words(
                "サインインのアドレスが正しくありません",
                "不明、重複、または許可されていないパラメーターが含まれています。",
            ),
            Self::CrossSite => words(
                "別のサイトからの要求です",
                "サインアウトはこのサイト上で行ってください。",
            ),
            Self::StaleForm => words(
                "ページを開いてから時間が経ちすぎました",
                "このページのボタンは、開いたときのセッションで 1 時間だけ使えます。開き直してからもう一度操作してください。",
            ),
            Self::NoSuchSession => words(
                "該当するセッションがありません",
                "あなたのセッションの中に見つかりません。すでに終了している可能性があります。",
            ),
            Self::NotKept => words(
                "操作を完了できませんでした",
                "このサーバーでは終了しましたが、記録できなかったため、元に戻る可能性があります。もう一度お試しください。",
            ),
            Self::TokenUnavailable => words(
                "現在アプリケーションはあなたの代わりに操作できません",
                "必要なトークンをサインインサービスから取得できません。しばらくしてからもう一度お試しください。",
            ),
            Self::TokenNotGranted => words(
                "アプリケーションはあなたの代わりに操作できません",
                "必要なトークンがこのアカウントには発行されません。管理者に問い合わせてください。",
            ),
            Self::NeedsConsent => words(
                "アカウントを接続し直してください",
                "別のサービスであなたの代わりに操作する許可がないか、期限が切れています。そのサービスからもう一度サインインしてください。",
            ),
            Self::UpstreamUnreachable => words(
                "アプリケーションが応答しません",
                "入口までは到達しましたが、その先のアプリケーションに接続できませんでした。",
            ),
            Self::UpstreamTimeout => words(
                "アプリケーションの応答に時間がかかりすぎました",
                "時間内に応答がありませんでした。もう一度お試しください。",
            ),
            Self::Rejected => words(
                "要求の形式が正しくありません",
                "アプリケーションに届く前に拒否されました。",
            ),
        }
    }
}
