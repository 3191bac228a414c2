//! `route.sign_in`: what a sign-in for this route is like, laid over `[sign_in]`.

use super::field::field;
use crate::config::error::{Origin, Problem, shown};
use crate::config::model::SignInConfig;
use crate::config::node::{Entry, Node, Value};
use crate::config::reader::{Reader, text_of};
use crate::config::resolve::sign_in::extra_params;
use crate::config::suggest;
use crate::config::value::sign_in::{
    DirectSignIn, FirstScreen, Prompt, parse_identifier, parse_language_tag,
};

const KEY: &str = "route.sign_in";

const KEYS: [&str; 6] = [
    "direct",
    "first_screen",
    "prompt",
    "ui_locales",
    "organization_id",
    "extra_params",
];

/// The whole of what counts for this route; `None` within: as everywhere.
pub(super) fn sign_in(
    reader: &mut Reader<'_>,
    entries: &[Entry],
    origin: &Origin,
    usual: Option<&SignInConfig>,
) -> Option<Option<Box<SignInConfig>>> {
    let node = field(reader, entries, origin, KEY)?;
    let Value::Table(entries) = node.value else {
        let problem = Problem::new("expected a table: sign_in = { direct = \"social:huggingface\" }");
        reader.fail_at(node.origin, KEY, problem);
        return None;
    };
    if entries.is_empty() {
        return Some(None);
    }
    let mut laid_over = usual?.clone();
    let before = reader.errors.len();
    for entry in &entries {
        lay_over(reader, &mut laid_over, entry);
    }
    (reader.errors.len() == before).then(|| Some(Box::new(laid_over)))
}

/// Puts one key in the place of what stands at the top of the file. Empty is as if nothing stood there.
fn lay_over(reader: &mut Reader<'_>, sign_in: &mut SignInConfig, entry: &Entry) {
    let Entry { name, origin, node } = entry;
    let path = format!("{KEY}.{}", shown(name));
    match name.as_str() {
        "direct" => put(
            &mut sign_in.direct,
            text(reader, &path, node, DirectSignIn::parse),
        ),
        "first_screen" => put(
            &mut sign_in.first_screen,
            text(reader, &path, node, FirstScreen::parse),
        ),
        "prompt" => put(&mut sign_in.prompt, text(reader, &path, node, Prompt::parse)),
        "organization_id" => put(
            &mut sign_in.organization_id,
            text(reader, &path, node, parse_identifier),
        ),
        "ui_locales" => put(&mut sign_in.ui_locales, languages(reader, &path, node)),
        "extra_params" => {
            let given = extra_params(reader, &path, node.clone()).unwrap_or_default();
            if given.iter().any(|(name, _)| name == "max_age") {
                let problem = Problem::new("a session may come from a sign-in for another route")
                    .help("max_age is for all sign-ins: put it into extra_params of [sign_in]");
                reader.fail_at(node.origin.clone(), &format!("{path}.max_age"), problem);
            }
            sign_in
                .extra_params
                .retain(|(usual, _)| given.iter().all(|(name, _)| name != usual));
            sign_in.extra_params.extend(given);
        }
        "allow_params" => {
            let problem = Problem::new("what a sign-in URL may carry is the same for all routes")
                .help("write it into [sign_in]");
            reader.fail_at(origin.clone(), &path, problem);
        }
        _ => {
            let near = suggest::nearest(name, KEYS);
            let problem = Problem::new("unknown key");
            let problem = problem.maybe_help(near.map(|near| format!("did you mean `{near}`?")));
            reader.fail_at(origin.clone(), &path, problem);
        }
    }
}

/// What could not be read is with the reader's errors.
fn put<T>(place: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *place = value;
    }
}

fn text<T>(
    reader: &mut Reader<'_>,
    path: &str,
    node: &Node,
    parse: fn(&str) -> Result<T, Problem>,
) -> Option<Option<T>> {
    let read = text_of(node).and_then(|text| match text {
        "" => Ok(None),
        text => parse(text).map(Some),
    });
    reader.keep(node.origin.clone(), path, read)
}

fn languages(reader: &mut Reader<'_>, path: &str, node: &Node) -> Option<Vec<String>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let read = items.iter().map(|item| {
        let read = text_of(item).and_then(parse_language_tag);
        reader.keep(item.origin.clone(), path, read)
    });
    read.collect()
}
