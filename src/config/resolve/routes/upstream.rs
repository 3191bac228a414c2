//! Where the requests of a `[[route]]` go.

use super::Around;
use super::field::given;
use crate::config::error::{Origin, Problem};
use crate::config::node::Entry;
use crate::config::reader::{Reader, duration_of, text_of};
use crate::config::value::address::{self, UpstreamAddress, UpstreamHost};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// `upstream` and `upstream_host`; what a route does not say is as at the top of the file.
pub(super) fn upstream(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
    around: &Around<'_>,
) -> Option<(UpstreamAddress, UpstreamHost)> {
    const ADDRESS: &str = "route.upstream";
    const HOST: &str = "route.upstream_host";
    let own = given(reader, entries, ADDRESS);
    let own_host = given(reader, entries, HOST);
    let (address, place) = match own {
        None => (around.upstream.cloned()?, None),
        Some(node) => {
            let parsed = text_of(&node).and_then(|text| {
                let address = UpstreamAddress::parse(text)?;
                let reaches_us = around
                    .listen
                    .iter()
                    .any(|listener| address::reaches(&address, listener));
                if reaches_us {
                    let problem = "this is where the proxy itself listens: it would forward to itself";
                    return Err(Problem::new(problem));
                }
                Ok(address)
            });
            (
                reader.keep(node.origin.clone(), ADDRESS, parsed)?,
                Some(node.origin),
            )
        }
    };
    let host = match (own_host, around.upstream_host) {
        (Some(node), _) => {
            let parsed = text_of(&node).and_then(|text| UpstreamHost::parse(text, Some(&address)));
            reader.keep(node.origin, HOST, parsed)?
        }
        // Rewritten means: to that of this upstream.
        (None, Some(UpstreamHost::Rewrite(_))) => {
            let parsed = UpstreamHost::parse("rewrite", Some(&address));
            let parsed = parsed.map_err(|problem| problem.help("set upstream_host in this route"));
            reader.keep(place.unwrap_or_else(|| origin.clone()), HOST, parsed)?
        }
        (None, host) => host.cloned()?,
    };
    Some((address, host))
}

/// `timeout`; `None` within: as `limits.upstream_response_timeout` has it.
pub(super) fn timeout(reader: &mut Reader<'_>, entries: &[Entry]) -> Option<Option<Duration>> {
    const KEY: &str = "route.timeout";
    let Some(node) = given(reader, entries, KEY) else {
        return Some(None);
    };
    let parsed = duration_of(&node, &(MILLISECOND..=DAY));
    reader.keep(node.origin, KEY, parsed).map(Some)
}
