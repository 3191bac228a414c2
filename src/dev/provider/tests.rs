//! The provider driven over real sockets, by a browser and a relying party made for it.

mod browser;
mod deliveries;
mod end_session;
mod faults;
mod logout;
mod pages;
mod people;
mod receiver;
mod refresh;
mod requests;
mod tokens;
mod webhooks;
