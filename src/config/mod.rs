//! From text to [`Config`]: `proxy.toml`, the environment and the command line.
//!
//! Promises: a [`Config`] cannot be wrong, so nothing downstream checks it again; whatever is wrong with
//! its text is reported at once, with its place and remedy. Reads files and variables through [`Source`]
//! alone, and never the network. Precedence: defaults, file, environment, command line.
//!
//! Stops: a start with a weak or empty key, a misspelt setting that leaves a default in force unseen, a
//! secret that ends up in a log because a parser quoted its line.
//!
//! [`keys`] is the one table of keys; the types of [`model`] are what they resolve to.

pub mod keys;
pub mod model;
pub mod value;

mod env;
mod error;
mod file;
mod node;
mod reader;
mod registered;
mod resolve;
mod secret;
mod source;
mod suggest;
mod summary;
#[cfg(test)]
mod tests;

pub use env::Environment;
pub use error::{ConfigError, ConfigErrors, Origin};
pub use model::*;
pub use resolve::DEFAULT_HEADERS;
pub use secret::generate_session_key;
pub use source::{Files, Source};
pub(crate) use suggest::nearest;
pub use summary::Summary;
pub use value::{
    DirectSignIn, FirstScreen, ListenAddress, Prompt, PublicUrl, RoutePath, SignInParameter, UpstreamAddress,
    UpstreamHost,
};

use error::Problem;
use reader::Reader;
use zeroize::Zeroizing;

/// Loads a configuration from its file, environment and command line.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(source: &Source) -> Result<Config, ConfigErrors> {
    let name = source.path.display().to_string();
    let fail = |origin, problem| {
        let errors = vec![ConfigError::new(origin, "", problem)];
        Err(ConfigErrors::new(&name, errors).read_from([source.path.clone()]))
    };
    let bytes = match source.files.read(&source.path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if source.file_optional && error.kind() == std::io::ErrorKind::NotFound => {
            return build(&name, "", source).map_err(|errors| errors.without_file());
        }
        Err(error) => {
            let problem = Problem::new(format!(
                "cannot read the configuration: {}",
                source::describe(&error)
            ));
            return fail(Origin::Nowhere, problem);
        }
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => build(&name, text, source),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = valid.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            fail(
                Origin::File { line, column },
                Problem::new("the file is not UTF-8"),
            )
        }
    }
}

/// Reads a configuration from text. `name` stands for the file in errors, and relative paths start at its
/// directory; secret and certificate files come from the file system.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn parse_str(name: &str, text: &str, environment: Environment) -> Result<Config, ConfigErrors> {
    build(name, text, &Source::new(name, environment))
}

fn build(name: &str, text: &str, source: &Source) -> Result<Config, ConfigErrors> {
    let mut reader = read(text, source);
    let is_readable = reader.errors.iter().all(|error| !error.key().is_empty());
    // A file that is not TOML says nothing about its keys.
    let config = if is_readable {
        resolve::resolve(&mut reader)
    } else {
        None
    };
    match config {
        Some(config) => Ok(config),
        None => Err(ConfigErrors::new(name, reader.errors).read_from(reader.files)),
    }
}

/// The three sources, laid over each other.
fn read<'a>(text: &str, source: &'a Source) -> Reader<'a> {
    let (mut layer, mut errors) = file::read(text);
    for (upper, problems) in [
        env::read_environment(&source.environment),
        env::read_overrides(&source.overrides),
    ] {
        layer.overlay(upper);
        errors.extend(problems);
    }
    let mut reader = Reader::new(layer, errors, source);
    reader.files.insert(source.path.clone());
    reader
}
