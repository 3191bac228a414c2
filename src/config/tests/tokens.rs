use super::*;

fn route(keys: &str) -> String {
    format!("[[route]]\npath = \"/x/*\"\n{keys}\n")
}

fn errors(keys: &str) -> String {
    match with("", &route(keys)) {
        Ok(_) => panic!("{keys} is taken"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn tokens_that_cannot_be_are_refused_at_their_key() {
    let two = |first: &str, second: &str| {
        format!("tokens = [{{ header = \"{first}\" }}, {{ token = \"id\", header = \"{second}\" }}]")
    };
    for (keys, word) in [
        (two("X-Token", "x_token"), "two tokens"),
        (two("Cookie", "X-Token"), "forwarding itself depends"),
        ("tokens = [{ token = \"id\" }]".to_owned(), "header"),
        (
            "tokens = [{ token = \"id\", resource = \"https://a.example\", header = \"X-T\" }]".to_owned(),
            "an ID token is for no resource",
        ),
        (
            "tokens = [{ resource = \"nonsense\", header = \"X-T\" }]".to_owned(),
            "API indicator",
        ),
        (
            "tokens = [{ heeder = \"X-T\" }]".to_owned(),
            "did you mean `header`",
        ),
        (
            "tokens = [{ header = \"X-T\", when_absent = \"fail\" }]".to_owned(),
            "refuse",
        ),
        ("tokens = { header = \"X-T\" }".to_owned(), "list of tables"),
        (
            "access = \"public\"\ntokens = [{ header = \"X-T\" }]".to_owned(),
            "a public route has no user",
        ),
        (
            "set_headers = { \"x_t\" = \"a\" }\ntokens = [{ header = \"X-T\" }]".to_owned(),
            "set_headers says something else",
        ),
        (
            "social_token = { target = \"huggingface\", header = \"X-T\" }".to_owned(),
            "identities",
        ),
    ] {
        let text = errors(&keys);
        assert!(text.contains(word), "{keys}: {text}");
    }
}

#[test]
fn without_refreshes_tokens_are_warned_of() {
    let warnings = |refresh: &str, keys: &str| {
        let app_id = "app_id = \"app123\"";
        let text = SMALLEST.replace(app_id, &format!("{app_id}\nrefresh = \"{refresh}\""));
        let text = format!("{text}\n{}", route(keys));
        let config = parse_str("proxy.toml", &text, Environment::default()).unwrap();
        config.warnings
    };
    let keys = "tokens = [{ header = \"X-T\" }]";
    let warned = warnings("none", keys);
    assert!(
        warned.len() == 1 && warned[0].contains("/x/*") && warned[0].contains("an hour"),
        "{warned:?}"
    );
    assert!(warnings("session", keys).is_empty() && warnings("none", "").is_empty());
}
