//! Folds the spellings of a field name that an application may take for one and the same.
//!
//! CGI, WSGI, PHP and Rack turn `X-User-Sub`, `X_User_Sub` and `x.user.sub` into one variable
//! (CVE-2025-64484, CVE-2026-39858). A name is therefore compared lower-cased, with every byte that is not a
//! letter or digit read as `-`. This file knows no names: callers bring theirs.

use std::borrow::Cow;

/// One byte of a folded name: ASCII lower case, anything not alphanumeric becomes `-`.
#[inline]
pub const fn fold_byte(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

/// The folded form of a name; borrowed when it is folded already.
pub fn fold(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().all(|byte| fold_byte(*byte) == *byte) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.iter().copied().map(fold_byte).collect())
    }
}

/// Whether `name` folds to `folded`, which must be in folded form. Does not allocate.
#[inline]
pub fn folded_equals(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && folded_starts_with(name, folded)
}

/// Whether `name` folds to something that starts with `prefix`, which must be in folded form. Does not allocate.
#[inline]
pub fn folded_starts_with(name: &[u8], prefix: &[u8]) -> bool {
    name.len() >= prefix.len()
        && name
            .iter()
            .zip(prefix)
            .all(|(byte, folded)| fold_byte(*byte) == *folded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn twins_fold_together() {
        for twin in [
            "X-User-Sub",
            "x_user_sub",
            "X.User.Sub",
            "x-user_sub",
            "X!user~SUB",
            "x'User|sub",
        ] {
            assert!(folded_equals(twin.as_bytes(), b"x-user-sub"), "{twin}");
            assert_eq!(fold(twin.as_bytes()).as_ref(), b"x-user-sub", "{twin}");
        }
        for other in ["x-user-su", "x-user-subs", "xuser-sub", "x--user-sub", ""] {
            assert!(!folded_equals(other.as_bytes(), b"x-user-sub"), "{other}");
        }
        assert!(folded_starts_with(b"X_User_Anything", b"x-user-"));
        assert!(!folded_starts_with(b"X_User", b"x-user-"));
        assert!(matches!(fold(b"x-user-sub"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn whatever_cgi_reads_as_one_name_folds_equal(name in "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,40}") {
            let cgi = |text: &str| -> String {
                text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
            };
            let folded = fold(name.as_bytes()).into_owned();
            prop_assert!(folded_equals(name.as_bytes(), &folded));
            prop_assert_eq!(cgi(&name), cgi(std::str::from_utf8(&folded).unwrap()));
            prop_assert_eq!(fold(&folded).into_owned(), folded.clone());
        }
    }
}
