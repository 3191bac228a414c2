//! The provider driven over real sockets, by a browser and a relying party made for it.

mod browser;
mod end_session;
mod faults;
mod pages;
mod refresh;
mod requests;
mod tokens;
