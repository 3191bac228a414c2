//! An authenticating reverse proxy for Logto. See `ARCHITECTURE.md` for the map.

pub mod clock;
pub mod http;
pub mod secret;
pub mod tasks;
