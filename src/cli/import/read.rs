//! The three forms that options of oauth2-proxy stand in: its file (TOML), variables, a command line.
//!
//! Which one a text is shows in its first word. No message shows a line or a value, for it may be a secret.

use super::options::{Options, Origin};
use super::{Kind, catalogue};

/// Reads a text into `options`. `file` is its name in messages.
pub(super) fn read(options: &mut Options, file: &str, text: &str) -> Result<(), String> {
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    let first = first.unwrap_or_default();
    if is_variable(first) || first == "environment:" {
        variables(options, text).map_err(|line| at(file, line))
    } else if is_command(first) {
        command_line(options, file, text)
    } else {
        toml_file(options, file, text)
    }
}

fn at(file: &str, line: usize) -> String {
    format!("{file}:{line}: expected NAME=VALUE")
}

/// A line of flags, with or without the program before them, or an item of a YAML list of them.
fn is_command(first: &str) -> bool {
    let program = first.split_whitespace().next().unwrap_or_default();
    first.starts_with('-') || program.rsplit('/').next() == Some("oauth2-proxy")
}

fn is_variable(first: &str) -> bool {
    variable(first).is_some_and(|(name, _)| {
        let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        !name.is_empty() && name.bytes().all(fits)
    })
}

/// Name and value: `NAME=value`, or below `environment:` of a Compose file `- NAME=value` or `NAME: value`.
fn variable(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("- ").map_or(line, |item| unquoted(item.trim()));
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (assigned, entry) = (line.split_once('='), line.split_once(": "));
    let (name, value) = match (assigned, entry) {
        (Some((name, _)), Some(entry)) if entry.0.len() < name.len() => entry,
        (Some(assigned), _) => assigned,
        (None, entry) => entry?,
    };
    Some((name.trim_end(), unquoted(value.trim())))
}

fn toml_file(options: &mut Options, file: &str, text: &str) -> Result<(), String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count().saturating_add(1));
        format!(
            "{file}:{line}: this is no TOML, no command line and no file of OAUTH2_PROXY_ variables; the alpha configuration \
             (YAML) is not read"
        )
    })?;
    for (name, value) in &table {
        let Some(setting) = catalogue::OPTIONS.iter().find(|setting| setting.name == name) else {
            options.unknown.push(name.clone());
            continue;
        };
        let values = match value {
            toml::Value::Array(items) => items.iter().map(scalar).collect::<Option<Vec<_>>>(),
            single => scalar(single).map(|text| split(setting.kind, &text)),
        };
        let values = values.ok_or_else(|| format!("{file}: {name}: expected a string, or a list of them"))?;
        options.set(setting.name, values, Origin::File);
    }
    Ok(())
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// As `docker --env-file`, systemd, shells and Compose files have them. `Err` is the line that is none.
fn variables(options: &mut Options, text: &str) -> Result<(), usize> {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line == "environment:" {
            continue;
        }
        let (name, value) = variable(line).ok_or(index.saturating_add(1))?;
        let Some(name) = name.strip_prefix("OAUTH2_PROXY_") else {
            continue; // somebody else's variable
        };
        let name = name.to_ascii_lowercase();
        match catalogue::OPTIONS.iter().find(|setting| setting.name == name) {
            Some(setting) => options.set(setting.name, split(setting.kind, value), Origin::Environment),
            None => options.unknown.push(name),
        }
    }
    Ok(())
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value)
}

fn command_line(options: &mut Options, file: &str, text: &str) -> Result<(), String> {
    let words = words(text).ok_or_else(|| format!("{file}: a quotation mark is not closed"))?;
    let mut seen: Vec<(&'static str, Vec<String>)> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let flag = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        let Some(flag) = flag.filter(|flag| !flag.is_empty()) else {
            continue; // the program's name, or the dash of a list
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let Some(setting) = catalogue::OPTIONS.iter().find(|setting| setting.flag == name) else {
            options.unknown.push(name.to_owned());
            if value.is_none() {
                words.next_if(|next| !next.starts_with('-'));
            }
            continue;
        };
        let value = match (value, setting.kind) {
            (Some(value), _) => value,
            (None, Kind::Flag) => "true".to_owned(),
            (None, _) => words
                .next()
                .ok_or_else(|| format!("{file}: --{name}: expected a value"))?,
        };
        let values = split(setting.kind, &value);
        match seen.iter_mut().find(|(seen, _)| *seen == setting.name) {
            Some((_, list)) if setting.kind == Kind::List => list.extend(values),
            Some((_, single)) => *single = values,
            None => seen.push((setting.name, values)),
        }
    }
    for (name, values) in seen {
        options.set(name, values, Origin::CommandLine);
    }
    Ok(())
}

/// Items of a list are separated by commas; an empty text is none of them.
fn split(kind: Kind, text: &str) -> Vec<String> {
    if kind != Kind::List {
        return vec![text.to_owned()];
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(str::to_owned).collect()
}

/// Words as a shell reads them: quotation marks, backslashes, and comments to the end of the line. `None`: a mark is open.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => match characters.next() {
                Some('\n') | None => {}
                Some('\r') => drop(characters.next()),
                Some(escaped) => {
                    let word = word.get_or_insert_default();
                    // Within double quotes a backslash stays before everything else.
                    if quote.is_some() && !matches!(escaped, '"' | '\\' | '$' | '`') {
                        word.push('\\');
                    }
                    word.push(escaped);
                }
            },
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => {
                characters.by_ref().find(|c| *c == '\n');
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Options {
        let mut options = Options::default();
        read(&mut options, "file", text).unwrap();
        options
    }

    #[test]
    fn all_three_forms_say_the_same() {
        let file = "# a comment\nupstreams = [\"http://a:1/\", \"http://b:2/x/\"]\nreverse_proxy = \"true\"\nclient_id=\"id one\"\n";
        let variables = "\n# x\nexport OAUTH2_PROXY_UPSTREAMS=http://a:1/,http://b:2/x/\nPATH=/bin\nOAUTH2_PROXY_REVERSE_PROXY=true\nOAUTH2_PROXY_CLIENT_ID='id one'\n";
        let command = "/bin/oauth2-proxy --upstream=http://a:1/ \\\n  --upstream http://b:2/x/ --reverse-proxy '--client-id=id one'";
        let compose = "environment:\n  # x\n  - OAUTH2_PROXY_UPSTREAMS=http://a:1/,http://b:2/x/\n  - \"OAUTH2_PROXY_REVERSE_PROXY=true\"\n  - OAUTH2_PROXY_CLIENT_ID=id one\n";
        let entries = "OAUTH2_PROXY_UPSTREAMS: \"http://a:1/,http://b:2/x/\"\nOAUTH2_PROXY_REVERSE_PROXY: 'true'\nOTHER: a=b\nOAUTH2_PROXY_CLIENT_ID: id one\n";
        let list = "- --upstream=http://a:1/\n- \"--upstream=http://b:2/x/\"\n- --reverse-proxy=true\n- --client-id=\"id one\" # it\n";
        for text in [file, variables, compose, entries, command, list] {
            let options = options(text);
            assert_eq!(
                options.list("upstreams"),
                ["http://a:1/", "http://b:2/x/"],
                "{text}"
            );
            assert!(options.is_true("reverse_proxy", false), "{text}");
            assert_eq!(options.text("client_id"), Some("id one"), "{text}");
            assert!(options.unknown.is_empty(), "{text}");
        }
    }

    #[test]
    fn the_command_line_goes_before_variables_and_those_before_the_file() {
        let mut options = options("--cookie-expire=1h");
        read(
            &mut options,
            "b",
            "OAUTH2_PROXY_COOKIE_EXPIRE=2h\nOAUTH2_PROXY_SCOPE=openid",
        )
        .unwrap();
        read(
            &mut options,
            "c",
            "cookie_expire = \"3h\"\nscope = \"email\"\nprompt = \"login\"",
        )
        .unwrap();
        assert_eq!(options.text("cookie_expire"), Some("1h"));
        assert_eq!(options.text("scope"), Some("openid"));
        assert_eq!(options.text("prompt"), Some("login"));
    }

    #[test]
    fn no_message_shows_what_may_be_a_secret() {
        for text in [
            "client_secret = s3cr3t",
            "client_secret = \"s3cr3t",
            "client_secret = { value = \"s3cr3t\" }",
            "--client-secret='s3cr3t",
            "OAUTH2_PROXY_CLIENT_ID=x\ns3cr3t",
            "s3cr3t",
        ] {
            let error = read(&mut Options::default(), "file", text).unwrap_err();
            assert!(error.starts_with("file:") && !error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn what_oauth2_proxy_does_not_know_is_kept_by_name() {
        assert_eq!(options("nothing = 1").unknown, ["nothing"]);
        assert_eq!(options("OAUTH2_PROXY_NOTHING=1").unknown, ["nothing"]);
        assert_eq!(
            options("--nothing value --else=1 --scope x").unknown,
            ["nothing", "else"]
        );
    }
}
