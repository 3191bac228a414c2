//! As much of Markdown as the documents here use.

use std::collections::BTreeSet;

/// The code blocks of a language, and the text without any code block.
pub(super) fn split(document: &str, language: &str) -> (Vec<String>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut open: Option<(String, usize, String)> = None;
    for line in document.lines() {
        let bare = line.trim_start();
        match (&mut open, bare.strip_prefix("```")) {
            (None, Some(name)) => open = Some((name.to_owned(), line.len() - bare.len(), String::new())),
            (Some((name, _, block)), Some(_)) => {
                if name == language {
                    blocks.push(std::mem::take(block));
                }
                open = None;
            }
            (Some((_, indent, block)), None) => {
                block.push_str(line.get(*indent..).unwrap_or_default());
                block.push('\n');
            }
            (None, None) => {
                prose.push_str(line);
                prose.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a code block is not closed");
    (blocks, prose)
}

/// What stands between backticks.
pub(super) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Rows of the table whose heading begins with these cells.
pub(super) fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, rows) = document
        .split_once(heading)
        .unwrap_or_else(|| panic!("no table {heading}"));
    rows.lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// The anchors that a code host makes of headings.
pub(super) fn headings(document: &str) -> BTreeSet<String> {
    let (_, prose) = split(document, "");
    prose
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

#[test]
fn the_reader_of_the_documents_reads() {
    let document = "a\n  ```toml\n  x = 1\n  ```\n```sh\nls\n```\n`b` and `c`\n";
    let (blocks, prose) = split(document, "toml");
    assert_eq!(blocks, ["x = 1\n"]);
    assert_eq!(prose, "a\n`b` and `c`\n");
    assert_eq!(quoted(&prose).collect::<Vec<_>>(), ["b", "c"]);
    assert!(headings("## What it does not do yet\n").contains("what-it-does-not-do-yet"));
}
