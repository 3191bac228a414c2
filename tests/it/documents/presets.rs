//! The headers of presets.

use super::markdown::table;
use super::read;
use logto_proxy::identity::Preset;
use logto_proxy::identity::headers::{Source, TokenSource};

#[test]
fn the_table_of_presets_is_what_they_send() {
    let mut expected = Vec::new();
    for preset in Preset::ALL {
        for rule in preset.rules() {
            let value = match rule.source {
                Source::Claim { path, prefix: "", .. } => format!("`{path}`"),
                Source::Claim { path, prefix, .. } => format!("`{prefix}` and `{path}`"),
                Source::Token(TokenSource::Id) => "the ID token, renewed at each re-check".to_owned(),
                Source::Host => "the host that the request names, on every request".to_owned(),
                other => panic!("{other:?} needs words of its own"),
            };
            expected.push((preset.as_str().to_owned(), rule.name.as_str().to_owned(), value));
        }
    }
    let rows = table(&read("docs/headers.md"), "| Preset | Header | Value |");
    let documented: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = |index: usize| row[index].trim_matches('`').to_ascii_lowercase();
            (name(0), name(1), row[2].clone())
        })
        .collect();
    assert_eq!(documented, expected);
}
