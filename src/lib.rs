//! logto-proxy: an authenticating reverse proxy for Logto.
//!
//! `ARCHITECTURE.md` has the map. In short, from the bottom up: helpers that know nothing of each other
//! ([`clock`], [`secret`], [`tasks`], [`stop`], [`http`]); what a request is and who sent it ([`identity`], [`request`], [`bearer`],
//! [`policy`], [`session`]); the two parties it talks to ([`logto`], [`upstream`]); the steps of a request
//! ([`endpoints`], [`proxy`]); and what makes a running program of it ([`live`], [`listen`], [`app`], [`cli`]).

pub mod admin;
pub mod app;
pub mod back_channel;
pub mod bearer;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dev;
pub mod endpoints;
pub mod hex;
pub mod http;
pub mod hugging_face;
pub mod identity;
pub mod listen;
pub mod live;
pub mod logto;
pub mod pages;
pub mod policy;
pub mod proxy;
pub mod recheck;
pub mod request;
pub mod secret;
pub mod session;
pub mod stop;
pub mod store;
pub mod streams;
pub mod tasks;
pub mod telemetry;
pub mod tokens;
pub mod upstream;
mod vectored;
