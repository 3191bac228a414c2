//! The nearest right spelling of a wrong word.

use super::keys::{self, KEYS, Key, ROUTE_KEYS, SECTIONS};

/// The candidate nearest to `word`, when it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A key read as a word: case, the kind of dash and a dot for it do not make it another one.
    let folded = |text: &str| text.to_lowercase().replace(['-', ' ', '.'], "_");
    let word = folded(word);
    let allowed = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &folded(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to say about a key that section `section` (empty: the top of the file) does not have.
pub(super) fn unknown_key(section: &str, name: &str) -> Option<String> {
    let all = || KEYS.iter().chain(ROUTE_KEYS);
    let here = all()
        .filter(|key| key.section() == section && key.name() != section)
        .map(Key::name);
    let sections = SECTIONS
        .iter()
        .map(|(section, _)| *section)
        .filter(|_| section.is_empty());
    if let Some(near) = nearest(name, here.chain(sections)) {
        return Some(format!("did you mean `{near}`?"));
    }
    let homes = |name: &str| -> Vec<String> {
        let matching = all().filter(|key| key.name() == name && !keys::is_section(key.path));
        matching.map(|key| place(key.section())).collect()
    };
    let mut exact = homes(name);
    if keys::is_section(name) {
        exact.push(format!("a section of its own, {}", bracketed(name)));
    }
    if !exact.is_empty() {
        return Some(format!("`{name}` belongs {}", exact.join(" or ")));
    }
    let elsewhere = nearest(name, all().filter(|key| key.section() != section).map(Key::name))?;
    Some(format!("`{elsewhere}` belongs {}", homes(elsewhere).join(" or ")))
}

/// What a dotted path that is no key's was meant to be, as far as it can be told.
pub(super) fn path(path: &str) -> Option<Meant> {
    let flat = |path: &str| path.replace('.', "_");
    if let Some(key) = KEYS.iter().find(|key| flat(key.path) == flat(path)) {
        return Some(Meant::Key(key.path));
    }
    let Some((section, name)) = path.split_once('.') else {
        return nearest(path, KEYS.iter().map(|key| key.path)).map(Meant::Key);
    };
    // `[[route]]` is set as a whole.
    let sections = SECTIONS.iter().map(|(section, _)| *section);
    let section = nearest(section, sections.filter(|name| *name != "route"))?;
    let within = || {
        KEYS.iter()
            .filter(|key| key.section() == section && key.path != section)
    };
    let near = nearest(name, within().map(Key::name));
    let key = near.and_then(|near| within().find(|key| key.name() == near));
    Some(key.map_or(Meant::Section(section), |key| Meant::Key(key.path)))
}

/// What a misspelt path was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// This key.
    Key(&'static str),
    /// Some key of this section.
    Section(&'static str),
}

fn place(section: &str) -> String {
    if section.is_empty() {
        "at the top of the file, above the first [section]".to_owned()
    } else {
        format!("in {}", bracketed(section))
    }
}

fn bracketed(section: &str) -> String {
    if section == "route" {
        "[[route]]".to_owned()
    } else {
        format!("[{section}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_of_the_pen_and_no_more() {
        assert_eq!(nearest("endpoit", ["endpoint", "app_id"]), Some("endpoint"));
        assert_eq!(
            nearest("idel_timeout", ["idle_timeout", "lifetime"]),
            Some("idle_timeout")
        );
        assert_eq!(
            nearest("identifier:sign-in", ["sign_in", "identifier:sign_in"]),
            Some("identifier:sign_in")
        );
        assert_eq!(nearest("App-Id", ["app_id"]), Some("app_id"));
        assert_eq!(nearest("database", ["endpoint", "app_id"]), None);
        assert_eq!(nearest("tls", ["log"]), None);
    }

    #[test]
    fn a_path_is_near_as_a_whole_or_by_its_section() {
        for (text, meant) in [
            ("sesion.keys", Some(Meant::Key("session.keys"))),
            ("session_keys", Some(Meant::Key("session.keys"))),
            ("sesion.idel_timeout", Some(Meant::Key("session.idle_timeout"))),
            ("log_to.app_id", Some(Meant::Key("logto.app_id"))),
            ("headres.x-team", Some(Meant::Section("headers"))),
            ("sesion.foo", Some(Meant::Section("session"))),
            ("upstream.host", Some(Meant::Key("upstream_host"))),
            ("sesion_keys", Some(Meant::Key("session.keys"))),
            ("listn", Some(Meant::Key("listen"))),
            ("routs.path", Some(Meant::Section("routes"))),
            ("database.url", None),
            ("service.host", None),
            ("x", None),
        ] {
            assert_eq!(path(text), meant, "{text}");
        }
    }

    #[test]
    fn knows_where_a_key_belongs() {
        assert_eq!(
            unknown_key("logto", "endpoit").as_deref(),
            Some("did you mean `endpoint`?")
        );
        assert_eq!(
            unknown_key("", "app_id").as_deref(),
            Some("`app_id` belongs in [logto]")
        );
        assert_eq!(
            unknown_key("logto", "upstream").as_deref(),
            Some("`upstream` belongs at the top of the file, above the first [section] or in [[route]]")
        );
        assert_eq!(
            unknown_key("routes", "access").as_deref(),
            Some("`access` belongs in [log] or in [[route]]")
        );
        assert_eq!(
            unknown_key("", "sesion").as_deref(),
            Some("did you mean `session`?")
        );
        assert_eq!(
            unknown_key("logto", "headers").as_deref(),
            Some("`headers` belongs in [limits] or a section of its own, [headers]")
        );
        assert_eq!(unknown_key("", "database"), None);
    }
}
