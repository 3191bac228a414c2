//! Paths without regard to letter case.
//!
//! Many apps take `/ADMIN` for `/admin` (Express and ASP.NET do unless told otherwise, and so do the file systems of Windows
//! and macOS). A rule that closes has to hold for whatever an app may take for its path.

use std::borrow::Cow;

/// A path as it is for whoever does not mind capitals. Letters that are capitals of the same one become the same: `K`, `k` and
/// the Kelvin sign; `s` and the long s; `i` and the dotless one.
pub(super) fn folded(path: &str) -> Cow<'_, str> {
    if path
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(path);
    }
    let upper = path.chars().flat_map(char::to_uppercase);
    Cow::Owned(upper.flat_map(char::to_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn letters_that_may_be_taken_for_one_become_one() {
        for (path, expected) in [
            ("/admin/x-1", "/admin/x-1"),
            ("/ADMIN/x", "/admin/x"),
            ("/\u{212a}ey", "/key"),
            ("/\u{17f}ecret", "/secret"),
            ("/adm\u{131}n", "/admin"),
            ("/\u{c9}T\u{c9}", "/\u{e9}t\u{e9}"),
            ("/stra\u{df}e", "/strasse"),
        ] {
            assert_eq!(folded(path), expected, "{path}");
            assert_eq!(folded(&folded(path)), expected, "{path}");
        }
    }
}
