//! Strict routes with a way around them.

use super::*;

fn warnings(routes: &[&str]) -> Vec<String> {
    let text: String = routes
        .iter()
        .map(|route| format!("[[route]]\n{route}\n"))
        .collect();
    with("", &text).unwrap().warnings
}

const ADMIN: &str = "access = { any_role = [\"admin\"] }";

#[test]
fn a_way_around_a_strict_route_is_said() {
    let strict = |lines: &str| format!("{lines}\n{ADMIN}");
    let elsewhere = "host = \"*.example.com\"";
    for (routes, said) in [
        (
            vec![strict("path = \"/admin\"")],
            "route /admin: /admin/ falls under /*, which asks for less",
        ),
        (
            vec![
                "path = \"/a/*\"\naccess = \"public\"".to_owned(),
                strict("path = \"/a/*\"\nmethods = [\"POST\"]"),
            ],
            "route POST /a/*: other methods, invented ones too, fall under /a/*",
        ),
        (
            vec![strict(&format!("path = \"/*\"\n{elsewhere}"))],
            "route *.example.com/*: a request that names another host falls under /*",
        ),
        (
            vec!["path = \"/open/*\"\naccess = \"public\"\nstrip_prefix = \"/open\"".to_owned()],
            "route /open/*: its upstream gets these paths as /*, for which /* asks for more",
        ),
        (
            vec![
                "path = \"/open/*\"\naccess = \"public\"\nrewrite = \"/v2\"".to_owned(),
                strict("path = \"/v2/admin/*\""),
            ],
            "route /open/*: its upstream gets these paths as /v2/*, for which /v2/admin/* asks for more",
        ),
    ] {
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        let warnings = warnings(&routes);
        assert_eq!(warnings.len(), 1, "{said}: {warnings:?}");
        assert!(warnings[0].contains(said), "{warnings:?}");
    }
}

#[test]
fn nothing_is_said_where_there_is_none() {
    let strict = |lines: &str| format!("{lines}\n{ADMIN}");
    for routes in [
        vec![strict("path = \"/admin/*\"")],
        vec![
            strict("path = \"/*\""),
            "path = \"/blog/*\"\naccess = \"public\"".to_owned(),
        ],
        vec![strict("path = \"/\"")],
        vec!["path = \"/reports\"".to_owned()],
        vec!["path = \"/about\"\naccess = \"public\"".to_owned()],
        vec![strict("path = \"/admin\""), strict("path = \"/admin/*\"")],
        vec![
            strict("path = \"/a/*\""),
            "path = \"/a/*\"\nmethods = [\"GET\"]\naccess = \"public\"".to_owned(),
        ],
        vec![strict(
            "path = \"/*\"\nhost = \"*.example.com\"\nupstream = \"http://127.0.0.1:9\"",
        )],
        vec![
            "path = \"/open/*\"\naccess = \"public\"\nstrip_prefix = \"/open\"\nupstream = \"http://127.0.0.1:9\""
                .to_owned(),
        ],
        vec!["path = \"/api/*\"\nstrip_prefix = \"/api\"".to_owned()],
        vec!["path = \"/open/*\"\naccess = \"public\"\nrewrite = \"/assets\"".to_owned()],
    ] {
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        assert_eq!(warnings(&routes), Vec::<String>::new(), "{routes:?}");
    }
}
