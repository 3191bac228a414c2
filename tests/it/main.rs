//! The promises of the proxy, kept against the strict stand-in for Logto and raw sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::wrong_self_convention,
    clippy::type_complexity,
    missing_docs
)]

mod documents;
mod layering;
mod support;

mod ambiguity;
mod ambiguous_path;
mod assertion;
mod back_channel_logout;
mod bearer;
mod bearer_answers;
mod bearer_attacks;
mod binding;
mod callback;
mod callback_once;
mod command_line;
mod cors;
mod drills;
mod explain;
mod forward_auth;
mod forward_auth_callers;
mod forward_auth_clients;
mod forward_auth_examples;
mod forwarded;
mod harness;
mod hosts;
mod hugging_face;
mod id_token;
mod identity_headers;
mod import;
mod import_addresses;
mod limits;
mod logto_outage;
mod loop_stop;
mod metrics;
mod presets;
mod properties;
mod recheck;
mod recheck_failures;
mod recheck_streams;
mod reload;
mod replicas;
mod return_path;
mod revocation;
mod route_sign_in;
mod routes;
mod rules;
mod session_attacks;
mod session_cookie;
mod session_life;
mod session_size;
mod sessions_page;
mod shutdown;
mod sign_in;
mod sign_in_parameters;
mod sign_out;
mod silent_sign_in;
mod silent_sign_in_attacks;
mod single_flight;
mod smuggling;
mod social_tokens;
mod spoofing;
mod store_file;
mod store_redis;
mod streaming;
mod streams_end;
mod streams_unfit;
mod tabs;
mod targets;
mod token_calls;
mod tokens;
mod tokens_elsewhere;
mod tokens_withdrawn;
mod unauthenticated;
mod unix_sockets;
mod unsent_forms;
mod upstream_failures;
mod upstream_tls;
mod upstreams;
mod user;
mod webhook;
mod websocket;
