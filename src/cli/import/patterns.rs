//! Regular expressions over paths, as path patterns.
//!
//! Routes know no regular expressions. A pattern never covers a path that the expression does not, but for the directory
//! itself (`^/public/` becomes `/public/*`, which is `/public` too): what is translated wrongly would be left open. Whatever is
//! not of the few shapes that people write is left to a person.

/// More alternatives than this are somebody's program.
const MOST: usize = 64;

/// The patterns that together cover what the expression does, as nearly as patterns can.
pub(super) fn patterns(expression: &str) -> Result<Vec<String>, &'static str> {
    if matches!(
        expression,
        "" | "/" | "^/" | ".*" | "^.*" | "^.*$" | ".*$" | "^/.*" | "^/.*$"
    ) {
        return Ok(vec!["/*".to_owned()]);
    }
    let body = expression
        .strip_prefix('^')
        .ok_or("without ^ it matches anywhere in a path")?;
    let mut found = Vec::new();
    for alternative in alternatives(body)? {
        for pattern in pattern(&alternative)? {
            if !found.contains(&pattern) {
                found.push(pattern);
            }
        }
    }
    Ok(found)
}

/// Groups taken apart: `/(a|b)/c` is `/a/c` and `/b/c`.
fn alternatives(body: &str) -> Result<Vec<String>, &'static str> {
    let Some((open, close)) = group(body)? else {
        // At the top, `|` would part the whole expression, and only the first part has the ^.
        return if unescaped(body, '|').is_some() {
            Err("its parts do not all begin with ^")
        } else {
            Ok(vec![body.to_owned()])
        };
    };
    let (before, after) = (
        part(body, 0, open),
        part(body, close.saturating_add(1), body.len()),
    );
    let inside = part(body, open.saturating_add(1), close);
    let inside = inside.strip_prefix("?:").unwrap_or(inside);
    if inside.starts_with('?') {
        return Err("it has a group with a switch");
    }
    // "(/.*)?$" and "(/|$)" are ways to say: this and what is below it.
    if (matches!(inside, "/.*" | "/.+") && matches!(after, "?$" | "?"))
        || (matches!(inside, "/|$" | "$|/" | "/.*|$" | "$|/.*") && matches!(after, "" | ".*" | ".*$"))
    {
        return Ok(vec![format!("{before}/.*$")]);
    }
    if after.starts_with(['?', '*', '+', '{']) {
        return Err("it has a group that may repeat or be missing");
    }
    let mut found = Vec::new();
    for choice in inside.split('|') {
        found.extend(alternatives(&format!("{before}{choice}{after}"))?);
        if found.len() > MOST {
            return Err("it has too many alternatives");
        }
    }
    Ok(found)
}

/// Where the first innermost group begins and ends.
fn group(body: &str) -> Result<Option<(usize, usize)>, &'static str> {
    let Some(close) = unescaped(body, ')') else {
        return match unescaped(body, '(') {
            Some(_) => Err("a group is not closed"),
            None => Ok(None),
        };
    };
    let mut open = None;
    let mut from = 0;
    while let Some(next) = unescaped(part(body, from, close), '(') {
        open = Some(from.saturating_add(next));
        from = from.saturating_add(next).saturating_add(1);
    }
    match open {
        Some(open) => Ok(Some((open, close))),
        None => Err("a group is not opened"),
    }
}

fn part(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

/// Where a character stands that no backslash goes before.
fn unescaped(text: &str, wanted: char) -> Option<usize> {
    let mut characters = text.char_indices();
    while let Some((index, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            c if c == wanted => return Some(index),
            _ => {}
        }
    }
    None
}

/// An expression without groups.
fn pattern(body: &str) -> Result<Vec<String>, &'static str> {
    let (body, ended) = match body.strip_suffix('$') {
        Some(body) if !body.ends_with('\\') => (body, true),
        _ => (body, false),
    };
    let (body, slash) = match (body.strip_suffix("/?"), ended) {
        (Some(body), true) => (body, true),
        (Some(body), false) => (body, false),
        (None, _) => (body, false),
    };
    let (body, rest) = match [".*", ".+"].iter().find_map(|rest| body.strip_suffix(rest)) {
        Some(body) => (body, true),
        None => (body, !ended),
    };
    let text = literal(body)?;
    if !rest && text.ends_with("/*") {
        return Err("the last segment is any one; in a route a `*` at the end is also all that is below");
    }
    if !rest {
        let mut both = vec![text.clone()];
        if slash && text != "/" {
            both.push(format!("{text}/"));
        }
        return Ok(both);
    }
    let directory = text.strip_suffix('/').unwrap_or(&text);
    if text.ends_with("/*") {
        // The last segment is any one, and more of it.
        return Ok(vec![text]);
    }
    Ok(vec![format!("{directory}/*")])
}

/// Names and whole segments of any text.
fn literal(body: &str) -> Result<String, &'static str> {
    const SHAPE: &str = "routes know names and whole segments only";
    let mut text = String::new();
    let mut rest = body;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[^/]+") {
            if !text.ends_with('/') || !(after.is_empty() || after.starts_with('/')) {
                return Err(SHAPE);
            }
            text.push('*');
            rest = after;
            continue;
        }
        let mut characters = rest.chars();
        let c = match characters.next() {
            Some('\\') => match characters.next() {
                Some(escaped) if !escaped.is_alphanumeric() => escaped,
                _ => return Err(SHAPE),
            },
            // Any character in a regular expression; the dot itself is what people mean.
            Some('.') => '.',
            Some(c) if !"[](){}*+?|^$".contains(c) => c,
            _ => return Err(SHAPE),
        };
        rest = characters.as_str();
        if rest.starts_with(['*', '+', '?', '{']) {
            return Err(SHAPE);
        }
        let forbidden = c.is_control() || matches!(c, ';' | '\\' | '?' | '#' | '%' | '*');
        if forbidden || (c == '/' && text.ends_with('/')) {
            return Err("no route is about such a path");
        }
        text.push(c);
    }
    let dots = text.split('/').any(|segment| matches!(segment, "." | ".."));
    if !text.starts_with('/') || dots {
        return Err("no route is about such a path");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_that_people_write() {
        for (expression, expected) in [
            ("^/health$", vec!["/health"]),
            ("^/health/?$", vec!["/health", "/health/"]),
            ("^/public/", vec!["/public/*"]),
            ("^/public", vec!["/public/*"]),
            ("^/public/.*", vec!["/public/*"]),
            ("^/public/.+$", vec!["/public/*"]),
            ("^/public(/.*)?$", vec!["/public/*"]),
            ("^/public(/|$)", vec!["/public/*"]),
            ("^/favicon\\.ico$", vec!["/favicon.ico"]),
            ("^/favicon.ico$", vec!["/favicon.ico"]),
            ("^/(css|js)/", vec!["/css/*", "/js/*"]),
            ("^/(?:a|b)/(c|d)$", vec!["/a/c", "/a/d", "/b/c", "/b/d"]),
            ("^/users/[^/]+/picture$", vec!["/users/*/picture"]),
            ("^/", vec!["/*"]),
            ("^/.*$", vec!["/*"]),
            ("^/a-b_c~d$", vec!["/a-b_c~d"]),
        ] {
            assert_eq!(
                patterns(expression).as_deref(),
                Ok(&*expected.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "{expression}"
            );
        }
    }

    #[test]
    fn what_is_not_of_these_shapes_opens_nothing() {
        for expression in [
            "/health",
            "\\.css$",
            "^/.*\\.png$",
            "^/users/\\d+$",
            "^/users/[0-9]+/x$",
            "^/a|/b",
            "^/a|^/b",
            "(?i)^/a",
            "^(?i)/a",
            "^/a[bc]",
            "^/ab*",
            "^/a?",
            "^/(a|b)*$",
            "^/(a",
            "^/a)",
            "^/a//b",
            "^/../x",
            "^x",
            "^/a\\?b",
            "^/%2e",
            "^/a{2}",
            "^/[^/]+x$",
            "^/a;b",
            "^/(a|b)?$",
            "^/[^/]+$",
            "^/users/[^/]+$",
            "^/users/[^/]+/?$",
            "^/(users|teams)/[^/]+$",
            "^",
        ] {
            assert!(
                patterns(expression).is_err(),
                "{expression}: {:?}",
                patterns(expression)
            );
        }
    }
}
