//! `[[route]]`: what is open without a session, what gets 401, and which upstream answers.

use super::document::{Document, list};
use super::options::Options;
use super::patterns::patterns;
use std::path::Path;

/// Most that is read of a file of addresses, in bytes.
const ADDRESSES: u64 = 1 << 20;

/// A route to be written.
#[derive(Default)]
struct Plan {
    path: String,
    method: Option<String>,
    public: bool,
    /// 401 instead of the sign-in.
    unauthorized: bool,
    notes: Vec<String>,
}

/// Who may pass where nothing opens it: the value of `access`, unless that is the default, and what is to be said of it.
struct Base {
    access: Option<String>,
    notes: Vec<String>,
}

/// What oauth2-proxy forwards to, by path.
pub(super) struct Upstream {
    /// A pattern: `/*`, `/api/*`, or a path alone.
    pub(super) path: String,
    /// As `upstream` has it.
    pub(super) address: String,
}

/// Writes the routes; the upstreams besides that of `/*` are among them.
pub(super) fn write(document: &mut Document, options: &Options, upstreams: &[Upstream]) {
    let base = base(options);
    let mut plans: Vec<Plan> = Vec::new();
    let mut left_out = Vec::new();
    open_routes(options, &mut plans, &mut left_out);
    let everything_401 = options.is_true("force_json_errors", false);
    let preflight = options.is_true("skip_auth_preflight", false);
    for expression in options.list("api_routes") {
        match patterns(expression) {
            Ok(paths) => {
                for path in paths {
                    let plan = Plan {
                        path,
                        unauthorized: true,
                        notes: vec![format!("api_routes: {expression}")],
                        ..Plan::default()
                    };
                    add(&mut plans, plan);
                }
            }
            Err(why) => left_out.push(format!(
                "api_routes: {expression}: {why}. Scripts get 401 anyway."
            )),
        }
    }
    let all_served = upstreams.is_empty() || upstreams.iter().any(|upstream| upstream.path == "/*");
    if !all_served {
        plans.retain(|plan| is_served(plan, upstreams, &mut left_out));
    }
    for upstream in upstreams.iter().filter(|upstream| upstream.path != "/*") {
        let plan = Plan {
            path: upstream.path.clone(),
            notes: vec!["upstreams".to_owned()],
            ..Plan::default()
        };
        add(&mut plans, plan);
    }
    if base.access.is_some() || everything_401 || preflight || !all_served {
        let plan = Plan {
            path: "/*".to_owned(),
            unauthorized: everything_401,
            notes: vec!["Everything else".to_owned()],
            ..Plan::default()
        };
        add(&mut plans, plan);
    }
    for note in &left_out {
        document.heading(
            "# No route says this; write it by hand, with what docs/configuration.md says of [[route]]:",
        );
        document.comment(note);
    }
    for plan in &plans {
        document.heading("[[route]]");
        for note in &plan.notes {
            document.comment(note);
        }
        document.text("path", &plan.path);
        if let Some(method) = &plan.method {
            document.list("methods", &[method]);
        }
        if let Some(upstream) = upstream_of(&plan.path, upstreams) {
            document.text("upstream", &upstream.address);
        }
        if plan.public {
            document.text("access", "public");
            continue;
        }
        if plan.path == "/*" && !all_served {
            document.comment(
                "No upstream is for these paths: oauth2-proxy answers them with 404. Here nobody passes.",
            );
            document.raw("access", &format!("{{ {} }}", closed()));
            continue;
        }
        if plan.path == "/*" {
            base.notes.iter().for_each(|note| document.comment(note));
        }
        if let Some(access) = &base.access {
            document.raw("access", access);
        }
        if plan.unauthorized || everything_401 {
            document.text("unauthenticated", "401");
        }
        if preflight {
            document.text("cors", "pass");
        }
    }
}

/// Whether some upstream serves what a route is about; without one it would go to another, which oauth2-proxy never showed there.
fn is_served(plan: &Plan, upstreams: &[Upstream], left_out: &mut Vec<String>) -> bool {
    let is_served = upstream_of(&plan.path, upstreams).is_some();
    if !is_served {
        let notes = plan.notes.iter();
        left_out.extend(notes.map(|note| {
            format!(
                "{note}: no upstream serves all of {}. It stays closed.",
                plan.path
            )
        }));
    }
    is_served
}

/// Takes what is there for the same requests: what opens goes before, as in oauth2-proxy.
fn add(plans: &mut Vec<Plan>, plan: Plan) {
    let known = plans
        .iter_mut()
        .find(|known| known.path == plan.path && known.method == plan.method);
    match known {
        Some(known) => {
            known.unauthorized |= plan.unauthorized;
            known.notes.extend(plan.notes);
        }
        None => plans.push(plan),
    }
}

fn open_routes(options: &Options, plans: &mut Vec<Plan>, left_out: &mut Vec<String>) {
    for route in options.list("skip_auth_routes") {
        let (method, expression) = match route.split_once('=') {
            Some((method, expression)) => (method.trim(), expression),
            None => ("", route.as_str()),
        };
        if method.ends_with('!') {
            left_out.push(format!(
                "skip_auth_routes: {route}: a route is not about all paths but some"
            ));
            continue;
        }
        let method = (!method.is_empty()).then(|| method.to_ascii_uppercase());
        open(
            plans,
            left_out,
            "skip_auth_routes",
            route,
            expression,
            method.as_ref(),
        );
    }
    for expression in options.list("skip_auth_regex") {
        open(plans, left_out, "skip_auth_regex", expression, expression, None);
    }
}

fn open(
    plans: &mut Vec<Plan>,
    left_out: &mut Vec<String>,
    option: &str,
    given: &str,
    expression: &str,
    method: Option<&String>,
) {
    let is_method = |method: &String| {
        method
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-')
    };
    if method.is_some_and(|method| !is_method(method)) {
        left_out.push(format!("{option}: {given}: this is no method"));
        return;
    }
    match patterns(expression) {
        Ok(paths) => {
            for path in paths {
                let plan = Plan {
                    path,
                    method: method.cloned(),
                    public: true,
                    notes: vec![format!("{option}: {given}")],
                    ..Plan::default()
                };
                add(plans, plan);
            }
        }
        Err(why) => left_out.push(format!("{option}: {given}: {why}. It stays closed.")),
    }
}

/// The upstream of the longest path that this route lies within, unless that is the one of everything.
fn upstream_of<'a>(path: &str, upstreams: &'a [Upstream]) -> Option<&'a Upstream> {
    let covers = |upstream: &&Upstream| match upstream.path.strip_suffix("/*") {
        Some(directory) => path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/')),
        None => upstream.path == path,
    };
    let found = upstreams
        .iter()
        .filter(covers)
        .max_by_key(|upstream| upstream.path.len());
    found.filter(|upstream| upstream.path != "/*")
}

fn base(options: &Options) -> Base {
    let mut conditions = Vec::new();
    let mut notes = Vec::new();
    addresses(options, &mut conditions, &mut notes);
    // A role cannot be called so; it must not vanish from the condition, which would open it.
    let role = |name: &String| name.trim().replace(char::is_control, "\u{fffd}");
    let groups = options.list("allowed_groups").iter();
    let roles: Vec<String> = groups.chain(options.list("allowed_roles")).map(role).collect();
    if !roles.is_empty() {
        notes.push(
            "allowed_groups: give Logto roles of these names to the people in those groups.".to_owned(),
        );
        conditions.push(format!("any_role = {}", list(&roles)));
    }
    let access = (!conditions.is_empty()).then(|| format!("{{ {} }}", conditions.join(", ")));
    Base { access, notes }
}

/// `email_domains` and `authenticated_emails_file`: either lets somebody in. Conditions must all hold, so of the two together
/// only the domains are taken.
fn addresses(options: &Options, conditions: &mut Vec<String>, notes: &mut Vec<String>) {
    const WEAK: &str = "Logto does not prove that an address is a user's own: see the warning in docs/configuration.md. Roles are better.";
    let domains = options.list("email_domains");
    let file = options.text("authenticated_emails_file");
    if domains.iter().any(|domain| domain == "*") {
        return;
    }
    if !domains.is_empty() {
        let below = |domain: &&String| domain.starts_with(['.', '*']);
        if domains.iter().any(|domain| below(&domain)) {
            notes.push(
                "email_domains: those below a domain are to be named one by one; such entries are left out."
                    .to_owned(),
            );
        }
        if file.is_some() {
            notes.push(
                "authenticated_emails_file: left out. Conditions of a route must all hold; here the domains say who passes."
                    .to_owned(),
            );
        }
        notes.push(WEAK.to_owned());
        let domains = domains.iter().filter(|domain| !below(domain));
        conditions.push(one_of(
            "email_domain",
            domains.map(|domain| domain.trim_start_matches('@')).collect(),
        ));
        return;
    }
    let read = file.map(|file| (file, super::read_text(Path::new(file), ADDRESSES)));
    match read {
        Some((file, Ok(text))) => {
            notes.push(format!("authenticated_emails_file: as {file} has them now."));
            notes.push(WEAK.to_owned());
            let found = text.lines().map(str::trim).filter(|line| line.contains('@'));
            conditions.push(one_of("email", found.collect()));
        }
        Some((file, Err(_))) => {
            notes.push(format!("authenticated_emails_file: {file} could not be read. Nobody passes until its addresses are here."));
            conditions.push(closed());
        }
        None => {
            notes.push(
                "email_domains is not set in what was read, and then oauth2-proxy lets nobody in, nor does this. \
                 Take this route away to let in everybody who can sign in."
                    .to_owned(),
            );
            conditions.push(closed());
        }
    }
}

/// One of these; nobody where there are none.
fn one_of(condition: &str, texts: Vec<&str>) -> String {
    if texts.is_empty() {
        closed()
    } else {
        format!("{condition} = {}", list(&texts))
    }
}

/// Nobody has such an address (RFC 2606 §2).
fn closed() -> String {
    format!("email_domain = {}", list(&["nobody.invalid"]))
}
