//! What is wrong with a configuration, said so that it can be put right at once.
//!
//! Promises: every problem is reported in one go, each with its place, its key, what was expected and,
//! where one is near, the right spelling. Never shows a line of the file or a value, since either may be
//! a secret; key names, variable names and file paths are all it repeats.

use std::fmt;
use std::path::PathBuf;

/// Where a value, or a problem, came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A place in the configuration file; both count from 1, the column in characters.
    File {
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// An environment variable of this name.
    Variable(String),
    /// A value given on the command line for this key.
    Flag(String),
    /// The configuration as a whole: a default, or something that is missing.
    Nowhere,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    origin: Origin,
    key: String,
    problem: String,
    help: Option<String>,
}

impl ConfigError {
    #[cold]
    pub(super) fn new(origin: Origin, key: impl Into<String>, problem: Problem) -> Self {
        Self {
            origin,
            key: key.into(),
            problem: problem.text,
            help: problem.help,
        }
    }

    /// Where it is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The dotted path of the key; empty when no key is concerned.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, and what was expected.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// How to put it right, where that is known.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    fn rank(&self) -> (u8, usize, usize) {
        match self.origin {
            Origin::File { line, column } => (0, line, column),
            Origin::Nowhere => (1, 0, 0),
            Origin::Variable(_) => (2, 0, 0),
            Origin::Flag(_) => (3, 0, 0),
        }
    }
}

/// All problems of one configuration. `Display` is the text to show, one block a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: String,
    errors: Vec<ConfigError>,
    files: ReadFiles,
}

/// Files by name; where a name was expected, someone may have put a secret, so they are not shown.
#[derive(Clone, PartialEq, Eq, Default)]
struct ReadFiles(Vec<PathBuf>);

impl fmt::Debug for ReadFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} files", self.0.len())
    }
}

impl ConfigErrors {
    pub(super) fn new(file: impl Into<String>, mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(ConfigError::rank);
        Self {
            file: file.into(),
            errors,
            files: ReadFiles::default(),
        }
    }

    /// Notes which files were read, or looked for.
    pub(super) fn read_from(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.files = ReadFiles(files.into_iter().collect());
        self
    }

    /// Says first that there is no file, which explains the rest.
    pub(super) fn without_file(mut self) -> Self {
        let problem = Problem::new("there is no such file, and variables alone do not make a configuration")
            .help("name the file with --config or LOGTO_PROXY_CONFIG");
        self.errors
            .insert(0, ConfigError::new(Origin::Nowhere, "", problem));
        self
    }

    /// The problems: those of the file first, in its order.
    pub fn errors(&self) -> &[ConfigError] {
        &self.errors
    }

    /// The files that were read, or looked for: a change of one of them may put it right. Not to be shown: where a name was
    /// expected, someone may have put a secret.
    pub fn files(&self) -> &[PathBuf] {
        &self.files.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            match &error.origin {
                Origin::File { line, column } => write!(formatter, "{}:{line}:{column}: ", self.file)?,
                Origin::Variable(name) => write!(formatter, "environment variable {name}: ")?,
                Origin::Flag(_) => write!(formatter, "command line: ")?,
                Origin::Nowhere => write!(formatter, "{}: ", self.file)?,
            }
            if !error.key.is_empty() {
                write!(formatter, "{}: ", error.key)?;
            }
            write!(formatter, "{}", error.problem)?;
            if let Some(help) = &error.help {
                write!(formatter, "\n    help: {help}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// What is wrong with one value, before it is known where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    text: String,
    help: Option<String>,
}

impl Problem {
    #[cold]
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            help: None,
        }
    }

    #[cold]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Unless there is help already.
    #[cold]
    pub(super) fn or_help(mut self, help: impl Into<String>) -> Self {
        self.help.get_or_insert_with(|| help.into());
        self
    }

    #[cold]
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// A key name as a message may repeat it: short, and without characters that could disturb a terminal.
pub(super) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut text: String = name
        .chars()
        .take(LONGEST)
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect();
    if name.chars().count() > LONGEST {
        text.push('…');
    }
    text
}
