//! `tokens` and `social_token` of a `[[route]]`.
//!
//! Stops: a token in a header that something else is said in, two tokens in one header, a token for everybody.

use super::Around;
use super::field::field;
use crate::config::error::{Origin, Problem, shown};
use crate::config::model::{
    Access, LogtoConfig, RefreshMode, RouteConfig, RouteToken, SocialTokenConfig, TokenKind, TokenSource,
    WhenAbsent,
};
use crate::config::node::{Entry, Node, Value};
use crate::config::reader::{Reader, choose, text_of};
use crate::config::resolve::headers::{fold, header_name, token_source};
use crate::config::suggest;
use crate::config::value::sign_in::parse_identifier;

const TOKENS: &str = "route.tokens";
const SOCIAL: &str = "route.social_token";

pub(super) fn tokens(reader: &mut Reader<'_>, entries: &[Entry], origin: &Origin) -> Option<Vec<RouteToken>> {
    let node = field(reader, entries, origin, TOKENS)?;
    let Value::List(items) = node.value else {
        let problem = format!("expected a list of tables, found {}", node.value.describe());
        reader.fail_at(node.origin, TOKENS, Problem::new(problem));
        return None;
    };
    let mut tokens = Vec::with_capacity(items.len());
    for item in &items {
        tokens.push(token(reader, item)?);
    }
    Some(tokens)
}

fn token(reader: &mut Reader<'_>, node: &Node) -> Option<RouteToken> {
    let fields = Fields::of(
        reader,
        TOKENS,
        node,
        &["token", "resource", "organization", "header", "when_absent"],
    )?;
    let source = fields.optional(reader, "token", token_source)?;
    let resource = fields.optional(reader, "resource", resource)?;
    let organization = fields.optional(reader, "organization", parse_identifier)?;
    let header = fields.required(reader, "header", header_name)?;
    let when_absent = fields.when_absent(reader)?;
    let token = match (source, resource, organization) {
        (None | Some(TokenSource::Access), None, None) => TokenKind::Access,
        (Some(TokenSource::Id), None, None) => TokenKind::Id,
        (None | Some(TokenSource::Access), resource, organization) => TokenKind::For {
            resource,
            organization,
        },
        (Some(TokenSource::Id), _, _) => {
            let problem = Problem::new("an ID token is for no resource and no organization");
            reader.fail_at(node.origin.clone(), TOKENS, problem);
            return None;
        }
    };
    Some(RouteToken {
        token,
        header,
        when_absent,
    })
}

/// An empty table is none.
pub(super) fn social_token(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
) -> Option<Option<SocialTokenConfig>> {
    let node = field(reader, entries, origin, SOCIAL)?;
    if matches!(&node.value, Value::Table(entries) if entries.is_empty()) {
        return Some(None);
    }
    let fields = Fields::of(reader, SOCIAL, &node, &["target", "header", "when_absent"])?;
    let target = fields.required(reader, "target", parse_identifier)?;
    let header = fields.required(reader, "header", header_name)?;
    let when_absent = fields.when_absent(reader)?;
    Some(Some(SocialTokenConfig {
        target,
        header,
        when_absent,
    }))
}

/// A resource indicator is an absolute URI without a fragment (RFC 8707 §2).
fn resource(text: &str) -> Result<String, Problem> {
    let fits = url::Url::parse(text).is_ok() && !text.contains('#') && text.len() <= 512;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    if fits && plain {
        Ok(text.to_owned())
    } else {
        Err(Problem::new(
            "expected an API indicator as Logto shows it, such as `https://api.example.com`",
        ))
    }
}

/// The keys of one table.
struct Fields<'a> {
    path: &'static str,
    origin: Origin,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    fn of(reader: &mut Reader<'_>, path: &'static str, node: &'a Node, known: &[&str]) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            let problem = format!("expected a table, found {}", node.value.describe());
            reader.fail_at(node.origin.clone(), path, Problem::new(problem));
            return None;
        };
        for entry in entries {
            if !known.contains(&entry.name.as_str()) {
                let near = suggest::nearest(&entry.name, known.iter().copied());
                let problem = Problem::new("unknown key")
                    .maybe_help(near.map(|near| format!("did you mean `{near}`?")));
                reader.fail_at(
                    entry.origin.clone(),
                    &format!("{path}.{}", shown(&entry.name)),
                    problem,
                );
                return None;
            }
        }
        Some(Self {
            path,
            origin: node.origin.clone(),
            entries,
        })
    }

    fn optional<T>(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Option<T>> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            return Some(None);
        };
        let parsed = text_of(&entry.node).and_then(parse);
        let path = format!("{}.{name}", self.path);
        reader.keep(entry.node.origin.clone(), &path, parsed).map(Some)
    }

    fn required<T>(
        &self,
        reader: &mut Reader<'_>,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let given = self.optional(reader, name, parse)?;
        if given.is_none() {
            let path = format!("{}.{name}", self.path);
            reader.fail_at(self.origin.clone(), &path, Problem::new("required"));
        }
        given
    }

    fn when_absent(&self, reader: &mut Reader<'_>) -> Option<WhenAbsent> {
        let choices = [("omit", WhenAbsent::Omit), ("refuse", WhenAbsent::Refuse)];
        let given = self.optional(reader, "when_absent", |text| choose(text, &choices))?;
        Some(given.unwrap_or(WhenAbsent::Omit))
    }
}

/// Says what tokens come to where there is nothing to ask Logto for another one with.
pub(super) fn warn(reader: &mut Reader<'_>, route: &RouteConfig, logto: Option<&LogtoConfig>) {
    let has_tokens = !route.tokens.is_empty() || route.social_token.is_some();
    if has_tokens && logto.is_some_and(|logto| logto.refresh == RefreshMode::None) {
        reader.warnings.push(format!(
            "route {route}: with logto.refresh = \"none\" there are no tokens for resources or organizations, and the others end an hour \
             after the sign-in"
        ));
    }
}

/// What tokens of a route may not be.
pub(super) fn check(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    route: &RouteConfig,
    around: &Around<'_>,
) -> Option<()> {
    let before = reader.errors.len();
    let origin = |key: &str| {
        let entry = entries.iter().find(|entry| entry.name == key);
        entry.map_or(Origin::Nowhere, |entry| entry.origin.clone())
    };
    let given = |key: &'static str| (key, origin(key.trim_start_matches("route.")));
    let (tokens_at, social_at) = (given(TOKENS), given(SOCIAL));
    let used = [
        (tokens_at, !route.tokens.is_empty()),
        (social_at.clone(), route.social_token.is_some()),
    ];
    if route.access == Access::Public {
        for ((key, origin), _) in used.into_iter().filter(|(_, used)| *used) {
            let problem = Problem::new("a public route has no user whose token it could be")
                .help("write access = \"optional\" to send it when there is one");
            reader.fail_at(origin, key, problem);
        }
    }
    let names: Vec<String> = route.token_headers().map(|name| fold(name.as_str())).collect();
    let set = route.set_headers.iter().map(|(name, _)| fold(name.as_str()));
    if let Some(name) = set.into_iter().find(|name| names.contains(name)) {
        let problem = Problem::new(format!("set_headers says something else for the header `{name}`"));
        reader.fail_at(origin("set_headers"), TOKENS, problem);
    }
    if let Some((_, name)) = names
        .iter()
        .enumerate()
        .find(|(place, name)| names.iter().take(*place).any(|earlier| earlier == *name))
    {
        let problem = Problem::new(format!("two tokens for the header `{name}`"));
        reader.fail_at(origin("tokens"), TOKENS, problem);
    }
    if route.social_token.is_some() && around.logto.is_some_and(|logto| !logto.asks_identities()) {
        let problem = Problem::new("Logto hands out stored tokens for the scope `identities` only")
            .help("add \"identities\" to logto.scopes");
        reader.fail_at(social_at.1, SOCIAL, problem);
    }
    (reader.errors.len() == before).then_some(())
}
