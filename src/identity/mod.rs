//! Who the user is, as the upstream gets told: claims, and the request headers made of them.
//!
//! Promises that a header the proxy speaks through can carry nothing a client sent, and nothing that a claim
//! smuggled in. Refuses to know cookies, tokens and routes.

pub mod assertion;
pub mod claims;
mod default_headers;
pub mod encoding;
pub mod headers;
pub mod owned;
pub mod presets;
pub mod projected;
mod token_headers;

pub use assertion::{Asserted, AssertionKey, Assertions};
pub use claims::{ClaimPath, Claims};
pub use headers::HeaderRules;
pub use presets::Preset;
pub use projected::ProjectedHeaders;
pub use token_headers::TokenHeaders;
