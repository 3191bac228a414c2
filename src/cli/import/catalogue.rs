//! Every option of oauth2-proxy 7, and what becomes of it here.

use super::Kind::{self, Flag, List, Text};

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The configuration says it, or a comment beside the place where it would.
    Carried,
    /// This proxy always does so, or needs nothing for it: no word about it.
    Given,
    /// There is no equal, for this reason.
    None(&'static str),
}

/// One option.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its name on the command line, without the dashes.
    pub(super) flag: &'static str,
    /// Its name in the file; in capitals and after `OAUTH2_PROXY_` that of its variable.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) fate: Fate,
}

const fn carried(flag: &'static str, name: &'static str, kind: Kind) -> Setting {
    Setting {
        flag,
        name,
        kind,
        fate: Fate::Carried,
    }
}

const fn given(flag: &'static str, name: &'static str, kind: Kind) -> Setting {
    Setting {
        flag,
        name,
        kind,
        fate: Fate::Given,
    }
}

const fn none(flag: &'static str, name: &'static str, kind: Kind, why: &'static str) -> Setting {
    Setting {
        flag,
        name,
        kind,
        fate: Fate::None(why),
    }
}

const PROVIDER: &str =
    "it is about another provider; at Logto it is a connector's setting, or a role that you give";
const DISCOVERY: &str = "it is read from Logto's discovery document";
const ACCOUNTS: &str = "there are no accounts beside Logto's";
const LOGS: &str = "logs go to standard output, with tokens and queries left out: see docs/operations.md";
const CHECKS: &str = "this check is always made";
const SENTINEL: &str = "Redis Sentinel and Redis Cluster are not spoken: `store.url` names one server";
const METRICS_TLS: &str = "numbers are served as plain HTTP: keep admin.listen on a private address";

/// The options, in the order of oauth2-proxy's documentation where that has one.
#[rustfmt::skip] // one option a line
pub(super) const OPTIONS: &[Setting] = &[
    none("config", "config", Text, "give that file to this command too"),
    none("alpha-config", "alpha_config", Text, "files of the alpha configuration (YAML) are not read"),
    given("config-test", "config_test", Flag),
    given("convert-config-to-alpha", "convert_config_to_alpha", Flag),
    given("version", "version", Flag),

    carried("provider", "provider", Text),
    carried("oidc-issuer-url", "oidc_issuer_url", Text),
    carried("client-id", "client_id", Text),
    carried("client-secret", "client_secret", Text),
    carried("client-secret-file", "client_secret_file", Text),
    carried("redeem-url", "redeem_url", Text),
    carried("scope", "scope", Text),
    carried("prompt", "prompt", Text),
    carried("provider-ca-file", "provider_ca_files", List),
    carried("oidc-groups-claim", "oidc_groups_claim", Text),
    carried("allowed-group", "allowed_groups", List),
    carried("allowed-role", "allowed_roles", List),
    given("approval-prompt", "approval_prompt", Text),
    given("code-challenge-method", "code_challenge_method", Text),
    given("force-code-challenge-method", "force_code_challenge_method", Text),
    given("backend-logout-url", "backend_logout_url", Text),
    given("provider-display-name", "provider_display_name", Text),
    given("use-system-trust-store", "use_system_trust_store", Flag),
    given("skip-provider-button", "skip_provider_button", Flag),
    given("auth-request-response-mode", "auth_request_response_mode", Text),
    none("acr-values", "acr_values", Text, "Logto knows no authentication context classes"),
    none("login-url", "login_url", Text, DISCOVERY),
    none("profile-url", "profile_url", Text, DISCOVERY),
    none("validate-url", "validate_url", Text, DISCOVERY),
    none("oidc-jwks-url", "oidc_jwks_url", Text, DISCOVERY),
    none("skip-oidc-discovery", "skip_oidc_discovery", Flag, DISCOVERY),
    none("oidc-public-key-file", "oidc_public_key_files", List, DISCOVERY),
    none("oidc-enabled-signing-alg", "oidc_enabled_signing_algs", List, "the algorithm follows Logto's key, and only asymmetric ones are taken"),
    none("oidc-audience-claim", "oidc_audience_claims", List, CHECKS),
    none("oidc-extra-audience", "oidc_extra_audiences", List, CHECKS),
    none("insecure-oidc-allow-unverified-email", "insecure_oidc_allow_unverified_email", Flag, "Logto calls every address verified; see the warning about `email` in docs/configuration.md"),
    none("insecure-oidc-skip-issuer-verification", "insecure_oidc_skip_issuer_verification", Flag, CHECKS),
    none("insecure-oidc-skip-nonce", "insecure_oidc_skip_nonce", Flag, CHECKS),
    none("ssl-insecure-skip-verify", "ssl_insecure_skip_verify", Flag, "certificates are always checked; logto.ca_file adds one to trust"),
    none("skip-claims-from-profile-url", "skip_claims_from_profile_url", Flag, "logto.userinfo = \"never\" does the same"),
    none("oidc-email-claim", "oidc_email_claim", Text, "the address is Logto's claim `email`"),
    none("user-id-claim", "user_id_claim", Text, "the user's ID is Logto's claim `sub`"),
    none("resource", "resource", Text, "it is one of another provider's parameters"),
    none("jwt-key", "jwt_key", Text, PROVIDER),
    none("jwt-key-file", "jwt_key_file", Text, PROVIDER),
    none("pubjwk-url", "pubjwk_url", Text, PROVIDER),
    none("keycloak-group", "keycloak_groups", List, PROVIDER),
    none("azure-tenant", "azure_tenant", Text, PROVIDER),
    none("azure-graph-group-field", "azure_graph_group_field", Text, PROVIDER),
    none("entra-id-allowed-tenant", "entra_id_allowed_tenants", List, PROVIDER),
    none("entra-id-federated-token-auth", "entra_id_federated_token_auth", Flag, PROVIDER),
    none("bitbucket-team", "bitbucket_team", Text, PROVIDER),
    none("bitbucket-repository", "bitbucket_repository", Text, PROVIDER),
    none("github-org", "github_org", Text, PROVIDER),
    none("github-team", "github_team", Text, PROVIDER),
    none("github-repo", "github_repo", Text, PROVIDER),
    none("github-token", "github_token", Text, PROVIDER),
    none("github-user", "github_users", List, PROVIDER),
    none("gitlab-group", "gitlab_groups", List, PROVIDER),
    none("gitlab-project", "gitlab_projects", List, PROVIDER),
    none("google-group", "google_groups", List, PROVIDER),
    none("google-group", "google_group", List, PROVIDER),
    none("google-admin-email", "google_admin_email", Text, PROVIDER),
    none("google-service-account-json", "google_service_account_json", Text, PROVIDER),
    none("google-use-application-default-credentials", "google_use_application_default_credentials", Flag, PROVIDER),
    none("google-target-principal", "google_target_principal", Text, PROVIDER),
    none("google-use-organization-id", "google_use_organization_id", Flag, PROVIDER),
    none("google-admin-api-user-scope", "google_admin_api_user_scope", Text, PROVIDER),

    none("cookie-name", "cookie_name", Text, "the cookie is another one and has a name of its own: session.cookie_name changes it"),
    none("cookie-secret", "cookie_secret", Text, "sessions are sealed in another way and with a new key: everybody signs in once more"),
    none("cookie-secret-file", "cookie_secret_file", Text, "sessions are sealed in another way and with a new key: everybody signs in once more"),
    carried("cookie-domain", "cookie_domains", List),
    carried("cookie-expire", "cookie_expire", Text),
    carried("cookie-refresh", "cookie_refresh", Text),
    carried("cookie-samesite", "cookie_samesite", Text),
    none("cookie-path", "cookie_path", Text, "the cookie is the whole host's"),
    none("cookie-secure", "cookie_secure", Flag, "it follows from public_url: Secure with https"),
    given("cookie-httponly", "cookie_httponly", Flag),
    given("cookie-csrf-per-request", "cookie_csrf_per_request", Flag),
    given("cookie-csrf-per-request-limit", "cookie_csrf_per_request_limit", Text),
    given("cookie-csrf-expire", "cookie_csrf_expire", Text),
    given("cookie-csrf-samesite", "cookie_csrf_samesite", Text),
    carried("session-store-type", "session_store_type", Text),
    given("session-cookie-minimal", "session_cookie_minimal", Flag),
    carried("redis-connection-url", "redis_connection_url", Text),
    carried("redis-ca-path", "redis_ca_path", Text),
    none("redis-username", "redis_username", Text, "write it into the address: redis://user:password@host:port/0"),
    none("redis-password", "redis_password", Text, "write it into the address: redis://user:password@host:port/0"),
    none("redis-use-sentinel", "redis_use_sentinel", Flag, SENTINEL),
    none("redis-sentinel-password", "redis_sentinel_password", Text, SENTINEL),
    none("redis-sentinel-master-name", "redis_sentinel_master_name", Text, SENTINEL),
    none("redis-sentinel-connection-urls", "redis_sentinel_connection_urls", List, SENTINEL),
    none("redis-use-cluster", "redis_use_cluster", Flag, SENTINEL),
    none("redis-cluster-connection-urls", "redis_cluster_connection_urls", List, SENTINEL),
    none("redis-insecure-skip-tls-verify", "redis_insecure_skip_tls_verify", Flag, "certificates are always checked; store.ca_file adds one to trust"),
    given("redis-connection-idle-timeout", "redis_connection_idle_timeout", Text),

    carried("pass-basic-auth", "pass_basic_auth", Flag),
    carried("pass-user-headers", "pass_user_headers", Flag),
    carried("prefer-email-to-user", "prefer_email_to_user", Flag),
    carried("set-xauthrequest", "set_xauthrequest", Flag),
    none("pass-access-token", "pass_access_token", Flag, "in [headers], \"X-Forwarded-Access-Token\" = { token = \"access\" } sends Logto's; behind nginx the name is X-Auth-Request-Access-Token"),
    none("pass-authorization-header", "pass_authorization_header", Flag, "in [headers], \"Authorization\" = { token = \"id\" } sends the ID token"),
    none("set-authorization-header", "set_authorization_header", Flag, "in [headers], \"Authorization\" = { token = \"id\" } sends the ID token"),
    none("set-basic-auth", "set_basic_auth", Flag, "a made-up password proves nothing: let the app read who it is from a header"),
    none("basic-auth-password", "basic_auth_password", Text, "a made-up password proves nothing: let the app read who it is from a header"),
    none("skip-auth-strip-headers", "skip_auth_strip_headers", Flag, "what a client sends under an identity header's name is always removed"),

    carried("http-address", "http_address", Text),
    carried("https-address", "https_address", Text),
    none("tls-cert-file", "tls_cert_file", Text, "plain HTTP is listened for: let TLS end in front"),
    none("tls-key-file", "tls_key_file", Text, "plain HTTP is listened for: let TLS end in front"),
    none("tls-min-version", "tls_min_version", Text, "plain HTTP is listened for: let TLS end in front"),
    none("tls-cipher-suite", "tls_cipher_suites", List, "plain HTTP is listened for: let TLS end in front"),
    none("force-https", "force_https", Flag, "let what ends TLS redirect to https"),
    carried("metrics-address", "metrics_address", Text),
    none("metrics-secure-address", "metrics_secure_address", Text, METRICS_TLS),
    none("metrics-tls-cert-file", "metrics_tls_cert_file", Text, METRICS_TLS),
    none("metrics-tls-key-file", "metrics_tls_key_file", Text, METRICS_TLS),
    carried("redirect-url", "redirect_url", Text),
    none("relative-redirect-url", "relative_redirect_url", Flag, "redirect URIs are made from public_url, never from a request"),
    carried("proxy-prefix", "proxy_prefix", Text),
    none("ping-path", "ping_path", Text, "health is served as /livez and /readyz on admin.listen, never to visitors"),
    none("ping-user-agent", "ping_user_agent", Text, "health is served as /livez and /readyz on admin.listen, never to visitors"),
    none("ready-path", "ready_path", Text, "health is served as /livez and /readyz on admin.listen, never to visitors"),
    none("gcp-healthchecks", "gcp_healthchecks", Flag, "health is served as /livez and /readyz on admin.listen, never to visitors"),
    carried("reverse-proxy", "reverse_proxy", Flag),
    carried("trusted-proxy-ip", "trusted_proxy_ips", List),
    none("real-client-ip-header", "real_client_ip_header", Text, "the client's address is read from X-Forwarded-For, and from trusted_proxies alone"),
    none("trusted-ip", "trusted_ips", List, "an address does not stand in for signing in; `ip` in a route's access narrows it"),
    none("request-id-header", "request_id_header", Text, "it is X-Request-Id, kept from trusted_proxies"),
    none("whitelist-domain", "whitelist_domains", List, "after a sign-in people return to this site and to hosts below session.cookie_domain only"),
    none("encode-state", "encode_state", Flag, "the state is sealed"),
    given("allow-query-semicolons", "allow_query_semicolons", Flag),

    carried("upstream", "upstreams", List),
    carried("pass-host-header", "pass_host_header", Flag),
    carried("upstream-timeout", "upstream_timeout", Text),
    none("ssl-upstream-insecure-skip-verify", "ssl_upstream_insecure_skip_verify", Flag, "certificates are always checked; upstream_tls.ca_file adds one to trust"),
    given("proxy-websockets", "proxy_websockets", Flag),
    given("flush-interval", "flush_interval", Text),
    none("disable-keep-alives", "disable_keep_alives", Flag, "connections to the upstream are always kept"),

    carried("email-domain", "email_domains", List),
    carried("authenticated-emails-file", "authenticated_emails_file", Text),
    carried("skip-auth-route", "skip_auth_routes", List),
    carried("skip-auth-regex", "skip_auth_regex", List),
    carried("api-route", "api_routes", List),
    carried("force-json-errors", "force_json_errors", Flag),
    carried("skip-auth-preflight", "skip_auth_preflight", Flag),
    none("skip-jwt-bearer-tokens", "skip_jwt_bearer_tokens", Flag, "`bearer = true` in a [[route]] takes Logto's access tokens, for the APIs of logto.resources"),
    none("extra-jwt-issuers", "extra_jwt_issuers", List, "only Logto's tokens are taken"),
    none("bearer-token-login-fallback", "bearer_token_login_fallback", Flag, "a bad token never leads to a sign-in"),
    none("htpasswd-file", "htpasswd_file", Text, ACCOUNTS),
    none("htpasswd-user-group", "htpasswd_user_groups", List, ACCOUNTS),
    none("display-htpasswd-form", "display_htpasswd_form", Flag, ACCOUNTS),
    none("signature-key", "signature_key", Text, "requests are not signed"),

    carried("request-logging", "request_logging", Flag),
    given("silence-ping-logging", "silence_ping_logging", Flag),
    given("standard-logging", "standard_logging", Flag),
    given("auth-logging", "auth_logging", Flag),
    none("auth-logging-format", "auth_logging_format", Text, LOGS),
    none("request-logging-format", "request_logging_format", Text, LOGS),
    none("standard-logging-format", "standard_logging_format", Text, LOGS),
    none("errors-to-info-log", "errors_to_info_log", Flag, LOGS),
    none("exclude-logging-path", "exclude_logging_paths", List, LOGS),
    none("logging-local-time", "logging_local_time", Flag, LOGS),
    none("logging-filename", "logging_filename", Text, LOGS),
    none("logging-max-size", "logging_max_size", Text, LOGS),
    none("logging-max-age", "logging_max_age", Text, LOGS),
    none("logging-max-backups", "logging_max_backups", Text, LOGS),
    none("logging-compress", "logging_compress", Flag, LOGS),
    none("custom-templates-dir", "custom_templates_dir", Text, "the pages are the proxy's own; [pages] gives them a title and a link for help"),
    none("custom-sign-in-logo", "custom_sign_in_logo", Text, "the page to sign in on is Logto's, with the branding set there"),
    none("banner", "banner", Text, "the page to sign in on is Logto's, with the branding set there"),
    none("footer", "footer", Text, "the page to sign in on is Logto's, with the branding set there"),
    none("show-debug-on-error", "show_debug_on_error", Flag, "pages never show what went wrong inside; the log does"),
];
