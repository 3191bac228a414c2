//! How Hugging Face is asked for organizations, from `[hugging_face]`.

use super::error::CompileError;
use crate::back_channel::SetupFailure;
use crate::config::{Access, Config, LiveOrgs};
use crate::hugging_face::HuggingFace;
use crate::identity::{ClaimPath, HeaderRules};
use crate::logto::SetupError;
use crate::recheck::{KEPT_CLAIMS, LiveOrganizations};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Where claims have the list.
const LIST: &str = "identities.huggingface.details.rawData.orgs";

/// Whether any route asks for an organization, and Hugging Face is to be asked about it.
fn is_asked(config: &Config) -> bool {
    let asks = |access: &Access| matches!(access, Access::Table(table) if !table.hf_org.is_empty());
    config.hugging_face.live_orgs != LiveOrgs::Off && config.routes.iter().any(|route| asks(&route.access))
}

/// What sessions keep for it.
pub(super) fn claims(config: &Config) -> Result<Vec<ClaimPath>, CompileError> {
    let names: &[&str] = if is_asked(config) { &KEPT_CLAIMS } else { &[] };
    names.iter().map(|name| Ok(name.parse()?)).collect()
}

/// `before`: how it was asked so far; whoever asks at the same address goes on, with what is known of its being away.
pub(super) fn live_organizations(
    config: &Config,
    before: Option<&LiveOrganizations>,
) -> Result<Option<LiveOrganizations>, CompileError> {
    if !is_asked(config) {
        return Ok(None);
    }
    let address = &config.hugging_face.userinfo_endpoint;
    let before = before.filter(|before| before.hugging_face.userinfo() == address);
    let hugging_face = match before {
        Some(before) => Arc::clone(&before.hugging_face),
        None => Arc::new(
            HuggingFace::new(address.clone()).map_err(|failure| match failure {
                SetupFailure::TrustAnchor => SetupError::TrustAnchor,
                SetupFailure::Tls => SetupError::Tls,
            })?,
        ),
    };
    Ok(Some(LiveOrganizations {
        hugging_face,
        required: config.hugging_face.live_orgs == LiveOrgs::Required,
        told: before.map_or_else(
            || Arc::new(AtomicBool::new(false)),
            |before| Arc::clone(&before.told),
        ),
    }))
}

/// Those that rules ask for; `None` where a header, or another condition, reads the list of all.
pub(super) fn organizations_asked_for(
    config: &Config,
    rules: &HeaderRules,
) -> Result<Option<Vec<String>>, CompileError> {
    let list: ClaimPath = LIST.parse()?;
    let meets = |path: &ClaimPath| {
        path.names()
            .iter()
            .zip(list.names())
            .all(|(one, other)| one == other)
    };
    if rules.needed_claims().iter().any(meets) {
        return Ok(None);
    }
    let mut asked_for = Vec::new();
    for route in &config.routes {
        if let Access::Table(table) = &route.access {
            asked_for.extend(table.hf_org.iter().cloned());
            if let Some(claim) = &table.claim
                && meets(&claim.path.parse().map_err(CompileError::ConditionClaim)?)
            {
                return Ok(None);
            }
        }
    }
    Ok(Some(asked_for))
}
