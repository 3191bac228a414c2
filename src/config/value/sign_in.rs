//! Parameters of a sign-in. Logto silently drops all extra parameters when one of them is wrong, so every
//! one is checked here.

use super::super::error::Problem;
use super::super::reader::choose;
use crate::logto::is_identifier;
use std::fmt;

/// Which way of signing in Logto goes to at once (`direct_sign_in`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DirectSignIn {
    /// A social connector's target, such as `huggingface`.
    Social(String),
    /// An enterprise connector's ID.
    Sso(String),
}

/// Logto's first screen (`first_screen`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FirstScreen {
    /// The sign-in page.
    SignIn,
    /// The registration page.
    Register,
    /// The page for a forgotten password.
    ResetPassword,
    /// The sign-in page with an identifier field alone.
    IdentifierSignIn,
    /// The registration page with an identifier field alone.
    IdentifierRegister,
    /// The enterprise sign-in page.
    SingleSignOn,
}

/// OpenID Connect Core §3.1.2.1 `prompt`: the values that Logto takes from a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prompt {
    /// Ask for credentials even of someone signed in at Logto.
    Login,
    /// Ask for consent.
    Consent,
    /// Both.
    LoginConsent,
}

/// A parameter that the sign-in URL may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignInParameter {
    /// `first_screen`.
    FirstScreen,
    /// `direct_sign_in`.
    DirectSignIn,
    /// `login_hint`.
    LoginHint,
    /// `ui_locales`.
    UiLocales,
    /// `organization_id`.
    OrganizationId,
    /// `one_time_token`.
    OneTimeToken,
    /// `prompt`.
    Prompt,
}

const FIRST_SCREENS: &[(&str, FirstScreen)] = &[
    ("sign_in", FirstScreen::SignIn),
    ("register", FirstScreen::Register),
    ("reset_password", FirstScreen::ResetPassword),
    ("identifier:sign_in", FirstScreen::IdentifierSignIn),
    ("identifier:register", FirstScreen::IdentifierRegister),
    ("single_sign_on", FirstScreen::SingleSignOn),
];

const PROMPTS: &[(&str, Prompt)] = &[
    ("login", Prompt::Login),
    ("consent", Prompt::Consent),
    ("login consent", Prompt::LoginConsent),
];

const PARAMETERS: &[(&str, SignInParameter)] = &[
    ("first_screen", SignInParameter::FirstScreen),
    ("direct_sign_in", SignInParameter::DirectSignIn),
    ("login_hint", SignInParameter::LoginHint),
    ("ui_locales", SignInParameter::UiLocales),
    ("organization_id", SignInParameter::OrganizationId),
    ("one_time_token", SignInParameter::OneTimeToken),
    ("prompt", SignInParameter::Prompt),
];

fn word<T: PartialEq>(table: &'static [(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, candidate)| candidate == value)
        .map_or("", |(word, _)| word)
}

impl FirstScreen {
    /// The word Logto knows it by.
    pub fn as_str(self) -> &'static str {
        word(FIRST_SCREENS, &self)
    }

    /// Reads Logto's word; `None` for any other.
    pub fn from_word(text: &str) -> Option<Self> {
        choose(text, FIRST_SCREENS).ok()
    }

    pub(in super::super) fn parse(text: &str) -> Result<Self, Problem> {
        choose(text, FIRST_SCREENS)
    }
}

impl Prompt {
    /// The value of the parameter.
    pub fn as_str(self) -> &'static str {
        word(PROMPTS, &self)
    }

    /// Reads the value of the parameter; `None` for any that Logto would refuse or a person should not ask for.
    pub fn from_word(text: &str) -> Option<Self> {
        choose(text, PROMPTS).ok()
    }

    pub(in super::super) fn parse(text: &str) -> Result<Self, Problem> {
        // The order means nothing (OpenID Connect Core §3.1.2.1: a space-delimited list).
        if text == "consent login" {
            Ok(Self::LoginConsent)
        } else {
            choose(text, PROMPTS)
        }
    }
}

impl SignInParameter {
    /// The parameter's name, in the sign-in URL and at Logto.
    pub fn as_str(self) -> &'static str {
        word(PARAMETERS, &self)
    }

    pub(in super::super) fn parse(text: &str) -> Result<Self, Problem> {
        choose(text, PARAMETERS)
    }
}

impl DirectSignIn {
    /// Reads `social:<target>` or `sso:<connector id>`; `None` for anything else.
    pub fn from_word(text: &str) -> Option<Self> {
        let (kind, target) = text.split_once(':')?;
        if !is_identifier(target) {
            return None;
        }
        match kind {
            "social" => Some(Self::Social(target.to_owned())),
            "sso" => Some(Self::Sso(target.to_owned())),
            _ => None,
        }
    }

    pub(in super::super) fn parse(text: &str) -> Result<Self, Problem> {
        Self::from_word(text)
            .ok_or_else(|| Problem::new("expected `social:<target>` or `sso:<connector id>`"))
    }
}

impl fmt::Display for DirectSignIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Social(target) => write!(formatter, "social:{target}"),
            Self::Sso(connector) => write!(formatter, "sso:{connector}"),
        }
    }
}

/// Whether this has the form of a language tag (RFC 5646 §2.1, without looking words up).
pub fn is_language_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    let first = subtags.next().unwrap_or_default();
    (2..=8).contains(&first.len())
        && first.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags
            .all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

pub(in super::super) fn parse_identifier(text: &str) -> Result<String, Problem> {
    let problem = || Problem::new("expected an ID of Logto's: letters, digits, `-`, `_` and `.`");
    if is_identifier(text) {
        Ok(text.to_owned())
    } else {
        Err(problem())
    }
}

pub(in super::super) fn parse_language_tag(text: &str) -> Result<String, Problem> {
    let problem = || Problem::new("expected a language tag such as `en` or `pt-BR`");
    if is_language_tag(text) {
        Ok(text.to_owned())
    } else {
        Err(problem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for (text, screen) in FIRST_SCREENS {
            assert_eq!(
                (FirstScreen::from_word(text), screen.as_str()),
                (Some(*screen), *text)
            );
        }
        for (text, prompt) in PROMPTS {
            assert_eq!((Prompt::from_word(text), prompt.as_str()), (Some(*prompt), *text));
        }
        for (text, parameter) in PARAMETERS {
            assert_eq!(
                (SignInParameter::parse(text), parameter.as_str()),
                (Ok(*parameter), *text)
            );
        }
        for text in ["social:huggingface", "sso:a1b2c3"] {
            assert_eq!(DirectSignIn::from_word(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_logto_would_drop_is_refused() {
        // Logto's documentation prints this one with a dash; its server does not take it.
        assert!(FirstScreen::parse("identifier:sign-in").is_err());
        for wrong in ["none", "select_account", "create", "login  consent", ""] {
            assert!(Prompt::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in [
            "huggingface",
            "social:",
            "Social:x",
            "oidc:x",
            "social:a b",
            "social:a:b",
            "social:a&b",
        ] {
            assert!(DirectSignIn::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "e", "en_US", "en-", "en--US", "1a", "toolonglanguage"] {
            assert!(!is_language_tag(wrong), "{wrong}");
        }
        assert!(is_language_tag("zh-Hant-TW"));
    }
}
