//! Fields that some frameworks take a method from; what is judged is the one in the request line.

use super::folding::folded_equals;
use ::http::HeaderName;

const NAMES: [&[u8]; 3] = [b"x-http-method", b"x-http-method-override", b"x-method-override"];

/// Whether an app may take another method from a field of this name, in any spelling.
pub fn is_method_override(name: &HeaderName) -> bool {
    NAMES
        .iter()
        .any(|known| folded_equals(name.as_str().as_bytes(), known))
}
