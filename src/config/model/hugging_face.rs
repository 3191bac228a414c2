//! `[hugging_face]`.

use url::Url;

/// `[hugging_face]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HuggingFaceConfig {
    /// Where Hugging Face says whose a token is and which organizations that account is in.
    pub userinfo_endpoint: Url,
    /// Whether it is asked.
    pub live_orgs: LiveOrgs,
}

/// `hugging_face.live_orgs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveOrgs {
    /// About users whose token Logto stores; of others that counts which Logto knew when the account was linked.
    Auto,
    /// About them alone: others are in no organization.
    Required,
    /// About nobody.
    Off,
}
