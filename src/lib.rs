//! An authenticating reverse proxy for Logto. See `ARCHITECTURE.md` for the map.

pub mod clock;
pub mod identity;
pub mod secret;
pub mod session;
pub mod tasks;
