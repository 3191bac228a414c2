//! The provider driven over real sockets, by a browser and a relying party made for it.

mod browser;
mod connectors;
mod deliveries;
mod end_session;
mod faults;
mod logout;
mod pages;
mod people;
mod personal_access_tokens;
mod receiver;
mod refresh;
mod requests;
mod resources;
mod tokens;
mod vault;
mod webhooks;
