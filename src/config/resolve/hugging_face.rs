//! `[hugging_face]`, and what a rule on its organizations leans on.

use crate::config::error::Problem;
use crate::config::model::{Access, HuggingFaceConfig, LiveOrgs, RouteConfig};
use crate::config::reader::Reader;
use crate::config::value::address::is_loopback;
use url::Url;

pub(super) fn hugging_face(reader: &mut Reader<'_>) -> Option<HuggingFaceConfig> {
    let userinfo_endpoint = reader.text("hugging_face.userinfo_endpoint", userinfo_endpoint);
    let live_orgs = reader.choice(
        "hugging_face.live_orgs",
        &[
            ("auto", LiveOrgs::Auto),
            ("required", LiveOrgs::Required),
            ("off", LiveOrgs::Off),
        ],
    );
    Some(HuggingFaceConfig {
        userinfo_endpoint: userinfo_endpoint?,
        live_orgs: live_orgs?,
    })
}

fn userinfo_endpoint(text: &str) -> Result<Url, Problem> {
    let is_http = text.starts_with("https://") || text.starts_with("http://");
    if !is_http || text.contains(['\\', ' ', '\t', '@']) {
        return Err(Problem::new(
            "expected a URL that begins with https:// and has no user name, blank or backslash",
        ));
    }
    let url = Url::parse(text).map_err(|error| Problem::new(format!("not a URL: {error}")))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Problem::new("expected a URL without a query or fragment"));
    }
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(Problem::new(
            "http is allowed on a loopback host only: the users' tokens would travel in clear",
        ));
    }
    Ok(url)
}

/// Warns of a rule that goes by a membership which may be over.
pub(super) fn warn(reader: &mut Reader<'_>, route: &RouteConfig, config: Option<&HuggingFaceConfig>) {
    let Access::Table(table) = &route.access else {
        return;
    };
    let (false, Some(config)) = (table.hf_org.is_empty(), config) else {
        return;
    };
    let what = match config.live_orgs {
        LiveOrgs::Required => return,
        LiveOrgs::Auto => {
            "Hugging Face is asked about users whose token Logto stores; of others hf_org is what it said when the account \
             was linked, so who has left the organization since still passes. Once tokens are stored, set \
             hugging_face.live_orgs = \"required\" (docs/hugging-face.md)"
        }
        LiveOrgs::Off => {
            "hf_org is what Hugging Face said when the account was linked; who has left the organization since still passes"
        }
    };
    reader.warnings.push(format!("route {route}: {what}"));
}
