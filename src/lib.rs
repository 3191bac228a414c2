//! An authenticating reverse proxy for Logto. See `ARCHITECTURE.md` for the map.

pub mod clock;
pub mod dev;
pub mod secret;
pub mod tasks;
