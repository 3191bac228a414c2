//! `[upstream_tls]`, and what a route lays over it.

use super::routes::field::field;
use super::{certificates, certificates_of};
use crate::config::error::{Origin, Problem, shown};
use crate::config::model::{RouteConfig, UpstreamTlsConfig};
use crate::config::node::{Entry, Value};
use crate::config::reader::{Reader, text_of};
use crate::config::suggest;
use crate::config::value::UpstreamAddress;
use rustls::pki_types::ServerName;

const ROUTE: &str = "route.upstream_tls";
const NOT_TLS: &str = "the upstream is not https, so this has no effect";

/// The section; [`check`] says what of it nothing is used for.
pub(super) fn upstream_tls(reader: &mut Reader<'_>) -> Option<UpstreamTlsConfig> {
    let ca = certificates(reader, "upstream_tls.ca_file");
    let server_name = reader.optional_text("upstream_tls.server_name", server_name);
    Some(UpstreamTlsConfig {
        ca: ca?,
        server_name: server_name?,
    })
}

/// What is given and no upstream has a use for, is an error.
pub(super) fn check(
    reader: &mut Reader<'_>,
    tls: &UpstreamTlsConfig,
    upstream: Option<&UpstreamAddress>,
    routes: &[RouteConfig],
) {
    let (first, any) = (
        upstream.is_none_or(UpstreamAddress::is_tls),
        routes.iter().any(|route| route.upstream.is_tls()),
    );
    let unused = [
        ("upstream_tls.ca_file", !tls.ca.is_empty() && !first && !any),
        ("upstream_tls.server_name", tls.server_name.is_some() && !first),
    ];
    for (key, _) in unused.into_iter().filter(|(_, is_unused)| *is_unused) {
        reader.fail(key, Problem::new(NOT_TLS));
    }
}

/// The whole of what counts for the upstream of a route: the keys of its table in the place of those of the section, whose
/// `server_name` is that of one upstream alone.
pub(super) fn of_route(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
    usual: Option<&UpstreamTlsConfig>,
    first: Option<&UpstreamAddress>,
    upstream: Option<&UpstreamAddress>,
) -> Option<UpstreamTlsConfig> {
    let node = field(reader, entries, origin, ROUTE)?;
    let Value::Table(keys) = node.value else {
        let problem = Problem::new("expected a table: upstream_tls = { server_name = \"app.internal\" }");
        reader.fail_at(node.origin, ROUTE, problem);
        return None;
    };
    if !keys.is_empty() && upstream.is_some_and(|upstream| !upstream.is_tls()) {
        reader.fail_at(node.origin, ROUTE, Problem::new(NOT_TLS));
        return None;
    }
    let mut tls = usual.cloned();
    if let Some(tls) = tls.as_mut().filter(|_| first != upstream) {
        tls.server_name = None;
    }
    let mut laid_over = tls.unwrap_or_default();
    let before = reader.errors.len();
    for key in &keys {
        lay_over(reader, &mut laid_over, key);
    }
    (usual.is_some() && reader.errors.len() == before).then_some(laid_over)
}

/// Empty is as if nothing stood in the section.
fn lay_over(reader: &mut Reader<'_>, tls: &mut UpstreamTlsConfig, entry: &Entry) {
    let Entry { name, origin, node } = entry;
    let path = format!("{ROUTE}.{}", shown(name));
    let text = |reader: &mut Reader<'_>| {
        let text = text_of(node).map(str::to_owned);
        reader.keep(node.origin.clone(), &path, text)
    };
    match name.as_str() {
        "ca_file" => {
            let Some(file) = text(reader) else { return };
            tls.ca.clear();
            if !file.is_empty() {
                let ca = certificates_of(reader, &node.origin, &path, &file);
                tls.ca = ca.unwrap_or_default();
            }
        }
        "server_name" => {
            let Some(name) = text(reader) else { return };
            let parsed = (!name.is_empty()).then(|| server_name(&name)).transpose();
            tls.server_name = reader.keep(node.origin.clone(), &path, parsed).flatten();
        }
        _ => {
            let near = suggest::nearest(name, ["ca_file", "server_name"]);
            let problem = Problem::new("unknown key");
            let problem = problem.maybe_help(near.map(|near| format!("did you mean `{near}`?")));
            reader.fail_at(origin.clone(), &path, problem);
        }
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, Problem> {
    ServerName::try_from(text.to_owned()).map_err(|_| Problem::new("expected a host name or an IP address"))
}
