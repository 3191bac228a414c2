//! Values that cannot be wrong: each type is made by its parser alone.

pub mod address;
pub mod duration;
pub mod path;
pub(super) mod redis_url;
pub mod sign_in;

pub use address::{ListenAddress, PublicUrl, UpstreamAddress, UpstreamHost};
pub use path::RoutePath;
pub use sign_in::{DirectSignIn, FirstScreen, Prompt, SignInParameter};
