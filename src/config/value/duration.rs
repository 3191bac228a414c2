//! Durations as people write them: `90s`, `1h30m`, `7d`.

use super::super::error::Problem;
use std::time::Duration;

const UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

/// Reads one or more of integer and unit, without spaces; each unit at most once.
pub(in super::super) fn parse(text: &str) -> Result<Duration, Problem> {
    let problem = || {
        let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let help = if bare {
            "add a unit: ms, s, m, h, d or w"
        } else {
            "integers, each with a unit (ms, s, m, h, d or w), without blanks"
        };
        Problem::new("expected a duration such as \"90s\", \"1h30m\" or \"7d\"").help(help)
    };
    let mut rest = text;
    let mut milliseconds: u64 = 0;
    let mut used = Vec::new();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).ok_or_else(problem)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at_checked(letters).ok_or_else(problem)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(problem)?;
        if used.contains(factor) {
            return Err(problem());
        }
        used.push(*factor);
        let number: u64 = number.parse().map_err(|_| problem())?;
        milliseconds = number
            .checked_mul(*factor)
            .and_then(|part| milliseconds.checked_add(part))
            .ok_or_else(|| Problem::new("the duration is too long"))?;
        rest = after;
    }
    if used.is_empty() {
        Err(problem())
    } else {
        Ok(Duration::from_millis(milliseconds))
    }
}

/// The shortest way to write a duration, to the millisecond.
pub fn display(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut text = String::new();
    // Weeks are read but not written: `14d` says more than `2w`.
    for (name, factor) in UNITS.iter().rev().skip(1) {
        let count = rest / u128::from(*factor);
        rest %= u128::from(*factor);
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("1h30m", 5400),
            ("7d", 604_800),
            ("2w", 1_209_600),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5h",
            "10 s",
            "1h1h",
            "1y",
            "1H",
            "1é",
            "99999999999999999999s",
            "9999999999999999w",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0s", "250ms", "1m30s", "8h", "7d", "400d", "1d1h1m1s1ms"] {
            assert_eq!(display(parse(text).unwrap()), text);
        }
    }
}
