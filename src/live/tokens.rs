//! Which tokens the routes hand on.

use super::error::CompileError;
use crate::config::{self, Access, Config, RouteConfig, TokenKind};
use crate::identity::headers::{HeaderRules, TokenSource};
use crate::recheck::{Keeps, Want};
use crate::tokens::{TokenOf, TokenRule, TokenRules, WhenAbsent};
use http::{HeaderName, header};

/// The tokens of a route, and of requests that fall under none; `None` where there are none. `rules` may send some everywhere.
///
/// # Errors
/// A token is to go in the header of something else.
pub(super) fn token_rules(
    rules: &HeaderRules,
    route: Option<&RouteConfig>,
) -> Result<Option<TokenRules>, CompileError> {
    let mut headers = route.into_iter().flat_map(RouteConfig::token_headers);
    match headers.find(|header| rules.sets(header.as_str().as_bytes())) {
        Some(header) => Err(CompileError::TokenHeader(header.clone())),
        None => Ok(TokenRules::new(listed(rules, route))),
    }
}

fn listed(rules: &HeaderRules, route: Option<&RouteConfig>) -> Vec<TokenRule> {
    if route.is_some_and(|route| matches!(route.access, Access::Public)) {
        return Vec::new();
    }
    let everywhere = rules.tokens().map(|(header, token)| TokenRule {
        header: header.clone(),
        token: TokenOf::Logto(match token {
            TokenSource::Access => Want::Access,
            TokenSource::Id => Want::Id,
        }),
        when_absent: WhenAbsent::Omit,
    });
    let own = route.into_iter().flat_map(|route| &route.tokens);
    let own = own.map(|token| TokenRule {
        header: token.header.clone(),
        token: TokenOf::Logto(want(&token.token)),
        when_absent: when_absent(token.when_absent),
    });
    let social = route.and_then(|route| route.social_token.as_ref());
    let social = social.map(|token| TokenRule {
        header: token.header.clone(),
        token: TokenOf::Social(token.target.as_str().into()),
        when_absent: when_absent(token.when_absent),
    });
    everywhere.chain(own).chain(social).collect()
}

fn want(token: &TokenKind) -> Want {
    match token {
        TokenKind::Access => Want::Access,
        TokenKind::Id => Want::Id,
        TokenKind::For {
            resource,
            organization,
        } => Want::For {
            resource: resource.clone(),
            organization: organization.clone(),
        },
    }
}

const fn when_absent(when_absent: config::WhenAbsent) -> WhenAbsent {
    match when_absent {
        config::WhenAbsent::Omit => WhenAbsent::Omit,
        config::WhenAbsent::Refuse => WhenAbsent::Refuse,
    }
}

/// Which of the tokens that every refresh brings are kept: those that some route hands on or needs to ask for others.
pub(super) fn keeps(config: &Config, rules: &HeaderRules) -> Keeps {
    let routes = config.routes.iter().map(Some).chain([None]);
    let all: Vec<TokenOf> = routes
        .flat_map(|route| listed(rules, route))
        .map(|rule| rule.token)
        .collect();
    let is_social = |token: &TokenOf| matches!(token, TokenOf::Social(_));
    Keeps {
        access: all
            .iter()
            .any(|token| is_social(token) || *token == TokenOf::Logto(Want::Access)),
        id: all.contains(&TokenOf::Logto(Want::Id)),
    }
}

/// Targets of the third parties whose tokens are handed on.
pub(super) fn consent_targets(config: &Config) -> Vec<String> {
    let social = config
        .routes
        .iter()
        .filter_map(|route| route.social_token.as_ref());
    social.map(|token| token.target.clone()).collect()
}

/// The headers that only some routes send, which no request may bring along on any. `Authorization` is not among them: where
/// no token takes its place, it is the app's own.
pub(super) fn owned_names(config: &Config) -> impl Iterator<Item = &HeaderName> {
    let names = config.routes.iter().flat_map(RouteConfig::token_headers);
    names.filter(|name| **name != header::AUTHORIZATION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::{Environment, parse_str};
    use crate::live::compile;
    use crate::tasks::Tasks;
    use crate::telemetry::Metrics;

    /// What comes of a route with these keys, and of these sections.
    fn compiled(keys: &str, sections: &str) -> Result<(), CompileError> {
        let text = format!(
            "public_url = \"https://app.example.com\"\nupstream = \"http://127.0.0.1:9\"\n[logto]\n\
             endpoint = \"https://tenant.example.com\"\napp_id = \"a\"\napp_secret = \"0123456789abcdef\"\n\
             scopes = [\"identities\"]\n[session]\nkeys = [\"{}\"]\n[[route]]\npath = \"/x/*\"\n{keys}\n{sections}",
            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
        );
        let config = parse_str("proxy.toml", &text, Environment::default()).unwrap();
        compile(&config, Clock::system(), &Tasks::new(), &Metrics::new()).map(drop)
    }

    #[tokio::test]
    async fn a_token_has_a_header_of_its_own() {
        let token = |header: &str| format!("tokens = [{{ header = \"{header}\" }}]");
        let social =
            |header: &str| format!("social_token = {{ target = \"huggingface\", header = \"{header}\" }}");
        let tenant = "[headers]\n\"X-Tenant\" = \"custom_data.tenant\"";
        let id = "[headers]\n\"X-Id\" = { token = \"id\" }";
        let preset = "[headers_presets]\nuse = [\"oauth2-proxy\"]";
        for (header, sections) in [
            ("X-User-Sub", ""),
            ("x_user.sub", ""),
            ("X-Tenant", tenant),
            ("X_Tenant", tenant),
            ("X-Id", id),
            ("X-Forwarded-User", preset),
        ] {
            for keys in [token(header), social(header)] {
                let result = compiled(&keys, sections);
                let Err(CompileError::TokenHeader(name)) = result else {
                    panic!("{keys} {sections}: {result:?}");
                };
                assert_eq!(name.as_str(), header.to_ascii_lowercase());
            }
        }
        for (header, sections) in [
            ("Authorization", tenant),
            ("X-Token", id),
            ("X-User-Sub", "[headers]\n\"X-User-Sub\" = false"),
        ] {
            for keys in [token(header), social(header)] {
                let result = compiled(&keys, sections);
                assert!(result.is_ok(), "{keys} {sections}: {result:?}");
            }
        }
    }
}
