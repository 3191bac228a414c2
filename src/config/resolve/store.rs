//! `[store]` and `[webhook]`.

use super::super::error::Problem;
use super::super::model::StoreConfig;
use super::super::reader::Reader;
use super::super::value::redis_url::RedisUrl;
use super::certificates;
use crate::secret::SecretText;
use std::path::PathBuf;

/// A webhook's key of fewer bytes could be guessed, and whoever knows it can end anybody's sessions. Logto's have more.
const SHORTEST_SIGNING_KEY: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memory,
    File,
    Redis,
}

const KINDS: &[(&str, Kind)] = &[
    ("memory", Kind::Memory),
    ("file", Kind::File),
    ("redis", Kind::Redis),
];

pub(super) fn store(reader: &mut Reader<'_>) -> Option<StoreConfig> {
    let kind = reader.choice("store.kind", KINDS);
    let path = path(reader);
    let url = reader.optional_secret("store.url");
    let ca = certificates(reader, "store.ca_file");
    let (path, url, ca) = (path?, url?, ca?);
    let kind = kind?;
    let mut fits = true;
    for (key, is_set, of) in [
        ("store.path", path.is_some(), Kind::File),
        ("store.url", url.is_some(), Kind::Redis),
        ("store.ca_file", !ca.is_empty(), Kind::Redis),
    ] {
        if is_set && of != kind {
            let problem = format!("store.kind is `{}`, so this has no effect", word(kind));
            let help = format!("set store.kind = \"{}\"", word(of));
            reader.fail(key, Problem::new(problem).help(help));
            fits = false;
        }
    }
    if !fits {
        return None;
    }
    match kind {
        Kind::Memory => Some(StoreConfig::Memory),
        Kind::File => match path {
            Some(path) => Some(StoreConfig::File { path }),
            None => missing(reader, "store.path", kind),
        },
        Kind::Redis => {
            let Some((url, origin)) = url else {
                return missing(reader, "store.url", kind);
            };
            let url = reader.keep(origin, "store.url", RedisUrl::parse(&url))?;
            if url.in_clear {
                reader.warnings.push(
                    "store.url is redis:// to a host that is not private: what is said, the password too, can be \
                     read and changed on the way; rediss:// speaks TLS"
                        .to_owned(),
                );
            }
            if !url.tls && !ca.is_empty() {
                let problem = Problem::new("store.url is not rediss://, so this has no effect");
                reader.fail("store.ca_file", problem);
                return None;
            }
            Some(StoreConfig::Redis { url: url.url, ca })
        }
    }
}

fn path(reader: &mut Reader<'_>) -> Option<Option<PathBuf>> {
    let text = reader.optional_text("store.path", |text| {
        if text.ends_with('/') {
            Err(Problem::new(
                "expected the path of a file, found one of a directory",
            ))
        } else {
            Ok(text.to_owned())
        }
    })?;
    let Some(text) = text else {
        return Some(None);
    };
    let path = reader.located(&reader.origin("store.path"), &text);
    if reader.files.contains(&path) {
        let problem = Problem::new("the configuration is read from this file: the store would overwrite it");
        reader.fail("store.path", problem);
        return None;
    }
    Some(Some(path))
}

fn missing(reader: &mut Reader<'_>, key: &'static str, kind: Kind) -> Option<StoreConfig> {
    let problem = Problem::new(format!("required with store.kind = \"{}\"", word(kind)));
    let help =
        super::super::keys::find(key).map(|key| format!("{} Variable: {}.", key.meaning, key.variable()));
    reader.fail(key, problem.maybe_help(help));
    None
}

fn word(kind: Kind) -> &'static str {
    KINDS
        .iter()
        .find(|(_, other)| *other == kind)
        .map_or("", |(word, _)| word)
}

pub(super) fn webhook_signing_key(reader: &mut Reader<'_>) -> Option<Option<SecretText>> {
    const KEY: &str = "webhook.signing_key";
    let Some((key, origin)) = reader.optional_secret(KEY)? else {
        return Some(None);
    };
    if key.expose().len() < SHORTEST_SIGNING_KEY {
        let problem = Problem::new(format!("expected at least {SHORTEST_SIGNING_KEY} bytes"));
        let help = "copy the signing key from the webhook's page in Logto";
        reader.fail_at(origin, KEY, problem.help(help));
        return None;
    }
    Some(Some(key))
}
