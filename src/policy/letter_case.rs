//! Paths without regard to letter case.
//!
//! Many apps take `/ADMIN` for `/admin` (Express and ASP.NET do unless told otherwise, and so do the file systems of Windows
//! and macOS). A rule that closes has to hold for whatever an app may take for its path.

use std::borrow::Cow;

/// What some make of a dotted capital I in small letters: the dot is left over.
const DOT_ABOVE: char = '\u{307}';

/// A path as it is for whoever does not mind capitals. Letters that are capitals of the same one become the same, and so do
/// those that are small letters of the same one: `K`, `k` and the Kelvin sign; `s` and the long s; `i` with and without its
/// dot, whichever the language.
pub(super) fn folded(path: &str) -> Cow<'_, str> {
    if path
        .bytes()
        .all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
    {
        return Cow::Borrowed(path);
    }
    let small = path.chars().flat_map(char::to_lowercase);
    let small_again = small.flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let mut folded = String::with_capacity(path.len());
    for letter in small_again {
        if letter != DOT_ABOVE || !folded.ends_with('i') {
            folded.push(letter);
        }
    }
    Cow::Owned(folded)
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
            ("/adm\u{130}n", "/admin"),
            ("/admi\u{307}n", "/admin"),
            ("/\u{307}", "/\u{307}"),
            ("/\u{c9}T\u{c9}", "/\u{e9}t\u{e9}"),
            ("/stra\u{df}e", "/strasse"),
            ("/STRA\u{1e9e}E", "/strasse"),
            ("/\u{ff21}", "/\u{ff41}"),
        ] {
            assert_eq!(folded(path), expected, "{path}");
        }
    }

    #[test]
    fn every_letter_is_what_its_capital_is_and_its_small_letter() {
        // Beyond are signs without case.
        for letter in '\0'..='\u{1ffff}' {
            let text = letter.to_string();
            let own = folded(&text);
            assert_eq!(folded(&own), own, "{letter:?}");
            for other in [text.to_uppercase(), text.to_lowercase()] {
                assert_eq!(folded(&other), own, "{letter:?} {other:?}");
            }
            // Whether a segment has letters, is empty or means something stays.
            assert!(own == text || own.chars().any(char::is_alphabetic), "{letter:?}");
            let meaning = |c: char| matches!(c, '/' | '*' | '%' | '.' | ';' | '?' | '#' | '\\');
            assert!(own == text || !own.contains(meaning), "{letter:?}");
        }
    }
}
