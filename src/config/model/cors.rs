//! `route.cors`.

use std::time::Duration;

/// What becomes of scripts of other origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    /// Nothing in particular: a preflight is a request like any other.
    Off,
    /// Preflights go on to the app, which answers for itself.
    Pass,
    /// The proxy answers.
    Answer(Box<CorsTable>),
}

/// The keys of a table in `route.cors`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsTable {
    /// As browsers write them, or `scheme://*.` and a name, or `null`; empty: any, and then without credentials.
    pub origins: Vec<String>,
    /// In capitals, at least one.
    pub methods: Vec<String>,
    /// Names of fields that requests may set; `None`: any.
    pub headers: Option<Vec<String>>,
    /// Names of fields of answers; `*` only without credentials.
    pub expose: Vec<String>,
    /// Whether cookies may come along.
    pub credentials: bool,
    /// How long browsers go by the answer to a preflight.
    pub max_age: Duration,
}
