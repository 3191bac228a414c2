//! What `logto-proxy dev` runs beside the proxy: a strict stand-in for Logto and a demo app.
//!
//! Promise: a developer gets a whole sign-in, Hugging Face included, without a tenant and without a network;
//! a test gets an OpenID provider as picky as Logto. Refuses to be of any use elsewhere: both servers bind to
//! loopback only, talk to loopback peers only, and answer only requests whose `Host` is loopback, so that a
//! page on the web cannot reach them by DNS rebinding. Nothing here knows how the proxy works inside.

pub mod demo_app;
mod loopback;
mod page;
pub mod provider;
mod reply;

pub(crate) use loopback::names_loopback;
