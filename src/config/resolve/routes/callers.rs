//! Callers without a browser: what about them is probably not meant.

use crate::config::model::{Access, RouteConfig};
use crate::config::reader::Reader;

/// Says what a route says of callers in vain.
pub(super) fn warn(reader: &mut Reader<'_>, route: &RouteConfig) {
    if route.access == Access::Public && route.bearer {
        reader.warnings.push(format!(
            "route {route}: bearer has no effect, since nobody's identity is asked for"
        ));
    }
    let Access::Table(table) = &route.access else {
        return;
    };
    if route.bearer && !table.hf_org.is_empty() {
        reader.warnings.push(format!(
            "route {route}: Hugging Face is not asked about callers with a token; hf_org is for them what it said when the \
             account was linked, or never holds where hugging_face.live_orgs is \"required\""
        ));
    }
    if !table.scope.is_empty() && !route.bearer {
        reader.warnings.push(format!(
            "route {route}: nobody can pass, since only access tokens have scopes: add bearer = true"
        ));
    }
}

/// Says when API callers were thought of, and no route lets them in.
pub(in crate::config::resolve) fn warn_without_bearer(
    reader: &mut Reader<'_>,
    routes: Option<&[RouteConfig]>,
) {
    if routes.is_none_or(|routes| routes.iter().any(|route| route.bearer)) {
        return;
    }
    for key in ["logto.resources", "logto.trusted_clients"] {
        if reader.is_given(key) {
            reader
                .warnings
                .push(format!("{key} has no effect: no route has bearer = true"));
        }
    }
}
