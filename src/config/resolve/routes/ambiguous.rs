//! `route.ambiguous_path`.
//!
//! Stops: an ambiguous path on its way to an app that nobody signed in for, or under another name than it was judged by; a word
//! that would have no effect.

use super::field::{given, text};
use crate::config::error::{Origin, Problem};
use crate::config::model::Access;
use crate::config::node::Entry;
use crate::config::reader::{Reader, choose};
use crate::config::value::RoutePath;

const KEY: &str = "route.ambiguous_path";

/// Whether ambiguous paths pass.
pub(super) fn path(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
    path: Option<&RoutePath>,
    access: Option<&Access>,
) -> Option<bool> {
    let words = [("refuse", false), ("pass", true)];
    let (passes, place) = text(reader, entries, origin, KEY, |text| choose(text, &words))?;
    let changes_path = ["route.strip_prefix", "route.rewrite"]
        .iter()
        .any(|key| given(reader, entries, key).is_some());
    let problem = match (path?, access?) {
        _ if !passes => None,
        (_, Access::Public | Access::Optional) => Some(
            Problem::new("what might be another path is let through for nobody without a session")
                .help("leave it out, or close the route: access = \"authenticated\""),
        ),
        _ if changes_path => Some(
            Problem::new("which part of an ambiguous path to replace is ambiguous, too")
                .help("leave strip_prefix and rewrite out of this route"),
        ),
        (RoutePath::Exact(_), _) => Some(
            Problem::new(
                "this would have no effect: only a path that ends in `/*` covers every reading of one",
            )
            .help("give the part of the app that needs it a route such as `/files/*`"),
        ),
        (RoutePath::Prefix(_), _) => None,
    };
    reader.keep(place, KEY, problem.map_or(Ok(passes), Err))
}
