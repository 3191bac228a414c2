//! The keys themselves. The order is that of the documentation.

use super::{Key, Kind, Preset};

const fn required(path: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        preset: Preset::Required,
        meaning,
    }
}

const fn value(path: &'static str, kind: Kind, preset: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        preset: Preset::Value(preset),
        meaning,
    }
}

const fn computed(path: &'static str, kind: Kind, preset: &'static str, meaning: &'static str) -> Key {
    Key {
        path,
        kind,
        preset: Preset::Computed(preset),
        meaning,
    }
}

/// Sections in the order of the documentation, with the text of their heading. `""` is the top of the file.
pub const SECTIONS: &[(&str, &str)] = &[
    ("", "Top of the file"),
    ("logto", "`[logto]`"),
    ("sign_in", "`[sign_in]`"),
    ("hugging_face", "`[hugging_face]`"),
    ("session", "`[session]`"),
    ("store", "`[store]`"),
    ("routes", "`[routes]`"),
    ("headers", "`[headers]`"),
    ("headers_presets", "`[headers_presets]`"),
    ("assertion", "`[assertion]`"),
    ("route", "`[[route]]`"),
    ("webhook", "`[webhook]`"),
    ("upstream_tls", "`[upstream_tls]`"),
    ("limits", "`[limits]`"),
    ("admin", "`[admin]`"),
    ("log", "`[log]`"),
    ("shutdown", "`[shutdown]`"),
    ("pages", "`[pages]`"),
];

/// Every key outside `[[route]]`.
#[rustfmt::skip] // one key a line
pub const KEYS: &[Key] = &[
    required("public_url", Kind::Text, "Where browsers reach the proxy: scheme, host, port, nothing more. Redirect URIs and cookies follow it. `http` only on a loopback host."),
    value("listen", Kind::TextList, r#""0.0.0.0:3000""#, "Where to accept connections: `ip:port` or `unix:/path`."),
    required("upstream", Kind::Text, "The app: `http://host:port`, `https://host:port` or `unix:/path`."),
    value("upstream_host", Kind::Text, r#""keep""#, "The `Host` the app sees: `keep` the browser's, `rewrite` to the upstream's, or this very value."),
    value("trusted_proxies", Kind::TextList, "[]", "Addresses and networks (CIDR) whose `X-Forwarded-*`, `X-Request-Id` and `traceparent` are believed; `unix` for peers on a unix socket."),
    computed("workers", Kind::Integer, "the number of processors available", "Worker threads, 1 to 1024."),
    required("logto.endpoint", Kind::Text, "Logto's endpoint, without `/oidc`. `https`, or `http` on a loopback host."),
    value("logto.internal_endpoint", Kind::Text, r#""""#, "Base address for the calls of the proxy itself (tokens, userinfo, keys, …) when Logto is reached at another address than browsers use. `http` only to a private name or address."),
    required("logto.app_id", Kind::Text, "The application's ID in Logto (type Traditional web)."),
    required("logto.app_secret", Kind::Secrets, "The application's secret; two while one is being replaced."),
    value("logto.scopes", Kind::TextList, r#"["profile", "email", "roles", "urn:logto:scope:organizations", "urn:logto:scope:organization_roles"]"#, "Scopes asked for; `openid` always is. Hugging Face headers need `identities`."),
    value("logto.refresh", Kind::Text, r#""session""#, "What sessions are confirmed with: `session` (the refresh token of \"Always issue refresh token\", which ends with the Logto session), `offline` (one of `offline_access`, which outlives it) or `none`."),
    value("logto.resources", Kind::TextList, "[]", "What access tokens of API callers must be for: API indicators of Logto, `urn:logto:organization:<id>`, or `urn:logto:organization:*` for every organization. Empty: no JWT is accepted."),
    value("logto.trusted_clients", Kind::TextList, "[]", "IDs of further applications of this Logto whose opaque access tokens are accepted of API callers, besides `app_id`."),
    value("logto.userinfo", Kind::Text, r#""when-needed""#, "When to call userinfo at a sign-in or refresh: `when-needed` (a header needs a claim that the ID token lacks), `always` or `never`."),
    value("logto.ca_file", Kind::Text, r#""""#, "PEM file of certificates trusted for Logto besides the public ones."),
    value("sign_in.direct", Kind::Text, r#""""#, "Skip Logto's page: `social:<target>` (`social:huggingface`) or `sso:<connector id>`."),
    value("sign_in.first_screen", Kind::Text, r#""""#, "Logto's first screen: `sign_in`, `register`, `reset_password`, `identifier:sign_in`, `identifier:register` or `single_sign_on`."),
    value("sign_in.prompt", Kind::Text, r#""""#, "`login`, `consent` or `login consent`."),
    value("sign_in.ui_locales", Kind::TextList, "[]", "Languages of Logto's pages, best first (BCP 47 tags)."),
    value("sign_in.organization_id", Kind::Text, r#""""#, "The organization whose branding Logto shows."),
    value("sign_in.extra_params", Kind::Map, "{}", "More parameters of the authorization request, `name = \"value\"`."),
    value("sign_in.allow_params", Kind::TextList, r#"["first_screen", "login_hint", "ui_locales", "one_time_token"]"#, "Parameters that the sign-in URL may carry: `first_screen`, `direct_sign_in`, `login_hint`, `ui_locales`, `organization_id`, `one_time_token`, `prompt`; `prompt=login` always."),
    value("hugging_face.live_orgs", Kind::Text, r#""auto""#, "Whether Hugging Face itself is asked, at each sign-in and re-check, which organizations a user is in, for routes with `hf_org`: `auto` (of users whose Hugging Face token Logto stores; of others the snapshot counts that Logto took when the account was linked), `required` (others are in none) or `off` (the snapshot alone)."),
    value("hugging_face.userinfo_endpoint", Kind::Text, r#""https://huggingface.co/oauth/userinfo""#, "Where it is asked. `http` only on a loopback host."),
    required("session.keys", Kind::Secrets, "Keys that seal the session cookie, 1 to 4, at least 32 bytes each as base64, hex or text. The first seals, all open. `logto-proxy keygen` prints one."),
    computed("session.cookie_name", Kind::Text, "`__Host-logto` over https, `__Secure-logto` with a `cookie_domain`, `logto` over http", "Name of the session cookie."),
    value("session.cookie_domain", Kind::Text, r#""""#, "Shares the cookie among the hosts of this domain. It must hold the host of `public_url`."),
    value("session.same_site", Kind::Text, r#""lax""#, "`lax`, or `none` (https only) for an app inside another site's frame."),
    value("session.idle_timeout", Kind::Duration, r#""8h""#, "A session ends when unused for this long."),
    value("session.lifetime", Kind::Duration, r#""7d""#, "A session ends this long after the sign-in, however much it is used. At most 400 days."),
    value("session.recheck", Kind::Duration, r#""5m""#, "A session in use is confirmed with Logto, and its claims renewed, once it is this old since the last time; 10 s to 1 day."),
    value("session.recheck_grace", Kind::Duration, r#""1h""#, "How much longer a session is served while Logto cannot be asked; 0 s to `lifetime`."),
    value("store.kind", Kind::Text, r#""memory""#, "Where it is kept which sessions have ended: `memory` (this process, until it ends), `file` (one process, survives restarts) or `redis` (Redis 7 or Valkey, shared by replicas)."),
    value("store.path", Kind::Text, r#""""#, "The file of `file`. Made when it is not there; its directory must be."),
    value("store.url", Kind::Secret, r#""""#, "The server of `redis`: `redis://user:password@host:port/database`, `rediss://` for TLS, or `unix:///path`."),
    value("store.ca_file", Kind::Text, r#""""#, "PEM file of certificates trusted for a `rediss://` server besides the public ones."),
    value("routes.prefix", Kind::Text, r#""/.logto""#, "Where the proxy's own endpoints are."),
    value("routes.sign_in", Kind::Text, r#""""#, "Path of the sign-in endpoint; empty: `sign-in` under the prefix."),
    value("routes.sign_up", Kind::Text, r#""""#, "Path of the sign-up endpoint; empty: `sign-up` under the prefix."),
    value("routes.callback", Kind::Text, r#""""#, "Path of the callback, registered in Logto as redirect URI; empty: `callback` under the prefix."),
    value("routes.sign_out", Kind::Text, r#""""#, "Path of the sign-out endpoint; empty: `sign-out` under the prefix."),
    value("routes.user", Kind::Text, r#""""#, "Path of the user endpoint; empty: `user` under the prefix."),
    value("routes.auth", Kind::Text, r#""""#, "Path, and all below it, where nginx, Traefik, Caddy or Envoy among `trusted_proxies` ask whether a request may pass; empty: `auth` under the prefix."),
    value("routes.back_channel_logout", Kind::Text, r#""""#, "Path that Logto calls when a user signs out there, registered in Logto as back-channel logout URI; empty: `back-channel-logout` under the prefix."),
    value("routes.webhook", Kind::Text, r#""""#, "Path of Logto's webhooks; empty: `webhook` under the prefix."),
    value("routes.jwks", Kind::Text, r#""""#, "Path of the public keys of the identity assertion; empty: `jwks` under the prefix."),
    value("routes.sessions", Kind::Text, r#""""#, "Path of the page of a user's sessions, and `/revoke` below it; empty: `sessions` under the prefix."),
    value("routes.after_sign_out", Kind::Text, r#""/""#, "Where a sign-out ends: a path of this site, registered in Logto as post sign-out redirect URI."),
    value("headers", Kind::Map, "{}", "`\"Name\" = \"claim.path\"`, `{ claim, encoding, join }`, `{ constant }` or `{ token }`; `false` takes a default header away."),
    value("headers_presets.use", Kind::TextList, "[]", "Other proxies whose headers the app gets too: `oauth2-proxy`, `authelia`, `google-iap`, `cloudflare-access`, `logto-protected-app`."),
    value("assertion.key", Kind::Secrets, r#""""#, "Private EC key (P-256) in PEM or as JWK that signs an assertion of who is calling; two while one is being replaced, the first signs. `logto-proxy keygen --assertion` prints one. Empty: nothing is asserted."),
    value("assertion.header", Kind::Text, r#""X-Logto-Assertion""#, "The header that carries it."),
    value("assertion.ttl", Kind::Duration, r#""60s""#, "How long an assertion lasts; 10 s to 1 hour."),
    value("assertion.issuer", Kind::Text, r#""""#, "`iss`; empty: `public_url`."),
    value("assertion.audience", Kind::Text, r#""""#, "`aud` on routes without an `audience` of their own; empty: the route, as in `https://app.example.com/admin/*`."),
    value("route", Kind::Tables, "[]", "What may pass where, one `[[route]]` a path. The most specific path wins, order does not matter."),
    value("webhook.signing_key", Kind::Secret, r#""""#, "The signing key that Logto shows on the webhook's page, at least 16 bytes; empty: webhooks are not received."),
    value("upstream_tls.ca_file", Kind::Text, r#""""#, "PEM file of certificates trusted for `https` upstreams besides the public ones."),
    value("upstream_tls.server_name", Kind::Text, r#""""#, "Name expected in the certificate of `upstream` at the top of the file; empty: its host."),
    value("limits.header_bytes", Kind::Integer, "65536", "Bytes of a request's header, 8192 to 1048576."),
    value("limits.headers", Kind::Integer, "100", "Header fields of a request, 16 to 10000."),
    value("limits.target_bytes", Kind::Integer, "8192", "Bytes of a request target, 256 to `header_bytes`."),
    value("limits.cookie_bytes", Kind::Integer, "16384", "Bytes of the session cookie's chunks together, 4096 to 65536."),
    value("limits.header_timeout", Kind::Duration, r#""10s""#, "A request's header must have arrived within this time."),
    value("limits.idle_timeout", Kind::Duration, r#""75s""#, "A connection without a request is closed after this time."),
    value("limits.connections", Kind::Integer, "10000", "Connections open at once, 1 to 1000000."),
    value("limits.upstream_connect_timeout", Kind::Duration, r#""5s""#, "A connection to the upstream must stand within this time."),
    value("limits.upstream_response_timeout", Kind::Duration, r#""60s""#, "The upstream's response header must have arrived within this time."),
    value("limits.sign_ins_per_minute", Kind::Integer, "60", "Sign-ins an address may begin in a minute; 0: no limit."),
    value("limits.body_bytes", Kind::Integer, "0", "Bytes of a request's body; 0: no limit."),
    value("admin.listen", Kind::Text, r#""127.0.0.1:9400""#, "Where `/livez`, `/readyz` and `/metrics` (OpenMetrics) answer: `ip:port` or `unix:/path`; empty: nowhere."),
    value("log.format", Kind::Text, r#""auto""#, "`json`, `pretty`, or `auto`: pretty on a terminal, else JSON."),
    value("log.level", Kind::Text, r#""info""#, "`error`, `warn`, `info`, `debug` or `trace`."),
    value("log.access", Kind::Boolean, "true", "One line a request."),
    value("log.subject", Kind::Text, r#""plain""#, "How the user's ID is logged: `plain`, `hash` or `off`."),
    value("shutdown.delay", Kind::Duration, r#""0s""#, "How long after SIGTERM new connections are still accepted, `/readyz` already answering 503."),
    value("shutdown.timeout", Kind::Duration, r#""30s""#, "How long requests in flight may take to finish."),
    value("pages.title", Kind::Text, r#""""#, "Name of the app on the proxy's own pages; empty: the host of `public_url`."),
    value("pages.support_url", Kind::Text, r#""""#, "Where those pages send people for help: `https:`, `http:` or `mailto:`."),
];

/// Every key of a `[[route]]`.
#[rustfmt::skip] // one key a line
pub const ROUTE_KEYS: &[Key] = &[
    required("route.path", Kind::Text, "`/reports` is that path alone; `/users/*/edit` has any one segment at `*`; `/admin/*` is `/admin` and everything below it; `/*` is everything. Written decoded, without `%`."),
    value("route.host", Kind::Text, r#""""#, "The host that requests name, without a port: `app.example.com`, an address, or `*.example.com` for every name below it; empty: any."),
    value("route.methods", Kind::TextList, "[]", "The methods, in capitals; `GET` covers `HEAD`. Empty: all."),
    value("route.access", Kind::TextOrTable, r#""authenticated""#, "`public` (no session needed, no identity sent), `optional` (identity when there is one), `authenticated`, or a table of conditions that must all hold: [below](#who-may-pass)."),
    value("route.audience", Kind::Text, r#""""#, "`aud` of the identity assertion here; empty: as `assertion.audience` says."),
    value("route.unauthenticated", Kind::Text, r#""auto""#, "What someone without a session gets: `redirect` to the sign-in, `401`, or `auto`: what suits the request."),
    value("route.tokens", Kind::Tables, "[]", "Tokens of Logto's that the app gets: `{ header, token, resource, organization, when_absent }`; see [tokens for the app](#tokens-for-the-app)."),
    value("route.social_token", Kind::Map, "{}", "The user's token at a third party that the app gets, from Logto's Secret Vault: `{ target, header, when_absent }`; see [tokens for the app](#tokens-for-the-app)."),
    value("route.bearer", Kind::Boolean, "false", "Whether API callers may pass with `Authorization: Bearer` instead of a session. Without it that field is the app's own."),
    computed("route.upstream", Kind::Text, "`upstream` at the top of the file", "Where its requests go: `http://host:port`, `https://host:port` or `unix:/path`."),
    computed("route.upstream_host", Kind::Text, "`upstream_host` at the top of the file", "The `Host` seen there: `keep` the browser's, `rewrite` to the upstream's, or this very value."),
    value("route.upstream_tls", Kind::Map, "{}", "How it is trusted if it is `https`: keys of `[upstream_tls]`, in the place of those there; `\"\"`: as if nothing stood there. [Below](#where-it-goes)."),
    computed("route.timeout", Kind::Duration, "`limits.upstream_response_timeout`", "The upstream's response header must have arrived within this time, 1 ms to 1 day."),
    value("route.strip_prefix", Kind::Text, r#""""#, "A beginning of the path that its upstream is not shown: with `/api`, `/api/users` arrives as `/users`, and `X-Forwarded-Prefix` says `/api`."),
    value("route.rewrite", Kind::Text, r#""""#, "What stands in the place of `strip_prefix`, or of all that `path` names before a final `/*`: with `/v2` for `/api/*`, `/api/users` arrives as `/v2/users`."),
    value("route.set_headers", Kind::Map, "{}", "Headers that its upstream is always sent, `\"Name\" = \"value\"`; what the client sent by that name is dropped."),
    value("route.cors", Kind::TextOrTable, r#""off""#, "Scripts of other origins: `off` (a preflight is judged as any request), `pass` (preflights go on to the app without a session), or a table that the proxy answers by: [below](#scripts-of-other-origins)."),
    value("route.ambiguous_path", Kind::Text, r#""refuse""#, "A path that somebody might read in another way: `refuse` it with 400, or `pass` it raw to the app when this route would be the one in every reading: [below](#ambiguous-paths)."),
    value("route.sign_in", Kind::Map, "{}", "What a sign-in for this route is like: keys of `[sign_in]` but `allow_params`, in the place of those there; `\"\"` or `[]`: as if nothing stood there. [Below](#signing-in-for-a-route)."),
];

/// Every key of a table in `route.cors`.
#[rustfmt::skip] // one key a line
pub const CORS_KEYS: &[(&str, &str)] = &[
    ("origins", "Whose scripts: origins as browsers write them (`https://www.example.com`, `http://localhost:5173`), `https://*.example.com` for every name below it, `null`, or `*` for all. Required."),
    ("methods", "The methods that they may use; without it those of the route, or `GET`, `HEAD`, `POST`, `PUT`, `PATCH` and `DELETE`."),
    ("headers", "The headers that they may set besides the harmless ones; `*`: any. Default `Content-Type`; `Authorization` is to be named."),
    ("expose", "The headers of answers that they may read besides the usual ones; `*`: all, without credentials only."),
    ("credentials", "Whether they may ask with the user's cookies and read the answer; default `false`. Never with `*` or `null` in `origins`."),
    ("max_age", "How long a browser need not ask again, at most `24h`; default `10m`."),
];

/// Every key of a table in `route.access`, and what it asks for.
#[rustfmt::skip] // one key a line
pub const ACCESS_KEYS: &[(&str, &str)] = &[
    ("any_role", "One of these roles (claim `roles`)."),
    ("all_roles", "Every one of these roles."),
    ("organization", "Member of the organization with this ID (claim `organizations`), or a caller whose access token is for it; one that is for another organization never passes."),
    ("any_organization_role", "One of these roles in `organization`, or in any organization where that is not given (claim `organization_roles`)."),
    ("scope", "An access token with every one of these scopes. A session has none, so it never passes."),
    ("sub", "One of these Logto user IDs; of a program, its application ID."),
    ("email", "One of these addresses (claim `email`)."),
    ("email_domain", "An address of one of these domains, not of those below them."),
    ("hf_user", "One of these Hugging Face user IDs (24 hexadecimal digits, never a user name)."),
    ("hf_org", "One of these Hugging Face organizations, by ID or by name: as of the latest sign-in or re-check, or else of the day the account was linked, as `hugging_face.live_orgs` says."),
    ("ip", "A client address in one of these networks (CIDR), as far as `trusted_proxies` tell it."),
    ("claim", "`{ path, any_of }`: the claim at this path, or an item of the list there, is one of these strings, integers or booleans."),
];
