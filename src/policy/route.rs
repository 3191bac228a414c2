//! One rule: which requests it is for, and what opens it.

use super::host::HostPattern;
use super::methods::Methods;
use super::pattern::PathPattern;
use super::requirement::Requirement;
use std::cmp::{Ordering, Reverse};
use std::fmt;

/// What opens a route.
#[derive(Debug, Clone, PartialEq)]
pub enum Access {
    /// Anyone; the upstream is told nothing about who it is.
    Public,
    /// Anyone; the upstream is told who it is when that is known.
    Optional,
    /// Whoever is signed in. The default.
    Authenticated,
    /// Whoever is signed in and fulfils this.
    Required(Requirement),
}

impl fmt::Display for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Public => "public",
            Self::Optional => "optional",
            Self::Authenticated => "authenticated",
            Self::Required(requirement) => return requirement.fmt(formatter),
        })
    }
}

/// What a request without a session gets on a route that needs one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unauthenticated {
    /// A browser's navigation is redirected to the sign-in, everything else gets 401.
    #[default]
    Auto,
    /// Always the redirect.
    Redirect,
    /// Always 401.
    Status401,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The paths it covers.
    pub pattern: PathPattern,
    /// The hosts; `None`: any.
    pub host: Option<HostPattern>,
    /// The methods; `None`: any.
    pub methods: Option<Methods>,
    /// What opens it.
    pub access: Access,
    /// What a request that may not pass for want of a session gets.
    pub unauthenticated: Unauthenticated,
    /// Whether CORS preflights go on to the upstream, as nobody's.
    pub passes_preflights: bool,
    /// Whether an ambiguous path that this rule alone can be about goes on as it came. Only where a sign-in is needed.
    pub passes_ambiguous: bool,
    /// Its number in the table, which the table gives it; at most that of the rules, so that it can index an array.
    pub place: usize,
}

impl Default for Route {
    /// Everything not named in the configuration: signed-in users only.
    fn default() -> Self {
        Self {
            pattern: PathPattern::EVERYTHING,
            host: None,
            methods: None,
            access: Access::Authenticated,
            unauthenticated: Unauthenticated::Auto,
            passes_preflights: false,
            passes_ambiguous: false,
            place: 0,
        }
    }
}

impl Route {
    /// The more specific of two routes comes first: by host (one before all below a name, a longer name before a shorter,
    /// none last), then by path, then with methods before without. The rest makes the order the same in every run.
    pub fn by_specificity(&self, other: &Self) -> Ordering {
        let host = |route: &Self| match &route.host {
            Some(HostPattern::Exact(host)) => (0, Reverse(0), host.clone()),
            Some(HostPattern::Below(name)) => (1, Reverse(name.len()), name.clone()),
            None => (2, Reverse(0), String::new()),
        };
        let methods = |route: &Self| {
            let methods = route.methods.as_ref().map(ToString::to_string);
            (methods.is_none(), methods)
        };
        host(self)
            .cmp(&host(other))
            .then_with(|| self.pattern.by_specificity(&other.pattern))
            .then_with(|| methods(self).cmp(&methods(other)))
    }

    /// Whether it takes a method.
    pub(super) fn takes(&self, method: &str) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.covers(method))
    }

    /// Whether an ambiguous path with this beginning falls under this rule in every reading, and may go on.
    pub(super) fn takes_ambiguous(&self, beginning: &str) -> bool {
        let is_closed = match self.access {
            Access::Public | Access::Optional => false,
            Access::Authenticated | Access::Required(_) => true,
        };
        self.passes_ambiguous && is_closed && self.pattern.covers_all_below(beginning)
    }

    /// The conditions, where there are any.
    pub const fn requirement(&self) -> Option<&Requirement> {
        match &self.access {
            Access::Required(requirement) => Some(requirement),
            Access::Public | Access::Optional | Access::Authenticated => None,
        }
    }
}

impl fmt::Display for Route {
    /// `/admin/*`, `app.example.com/admin/*`, `GET,POST app.example.com/admin/*`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(methods) = &self.methods {
            write!(formatter, "{methods} ")?;
        }
        if let Some(host) = &self.host {
            host.fmt(formatter)?;
        }
        self.pattern.fmt(formatter)
    }
}
