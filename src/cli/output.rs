//! What commands print. A closed pipe is no reason to fail.

use std::fmt::Display;
use std::io::Write as _;

/// A line on standard output.
pub(super) fn say(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line on standard error.
pub(super) fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
