//! All that the provider remembers, behind one lock, in memory.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::connector::Connector;
use super::control::Counters;
use super::delivery::Delivery;
use super::error::Failure;
use super::expiring::Expiring;
use super::fault::Faults;
use super::keys::KeyStore;
use super::machine::PersonalAccessToken;
use super::persona::Persona;
use super::resource::{ApiResource, Permission};
use super::settings::{Client, ProviderSettings};
use super::vault::StoredToken;
use super::webhook::Hook;
use crate::clock::{Clock, UnixSeconds};

/// How long a pending sign-in, sign-out or visit to a third party lives.
pub(super) const INTERACTION_TTL: Duration = Duration::from_secs(3_600);
/// How long a grant lives at most.
const GRANT_TTL: Duration = Duration::from_secs(180 * 86_400);

/// What every handler sees.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) base_url: String,
    pub(super) issuer: String,
    pub(super) legacy_id_token_shape: bool,
    pub(super) session_ttl: Duration,
    pub(super) id_token_ttl: Duration,
    pub(super) access_token_ttl: Duration,
    pub(super) clock: Clock,
    pub(super) keys: RwLock<KeyStore>,
    pub(super) faults: Mutex<Faults>,
    pub(super) counters: Counters,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(
        settings: ProviderSettings,
        address: SocketAddr,
        base_url: String,
    ) -> Result<Self, Failure> {
        Ok(Self {
            address,
            issuer: format!("{base_url}/oidc"),
            base_url,
            legacy_id_token_shape: settings.legacy_id_token_shape,
            session_ttl: settings.session_ttl,
            id_token_ttl: settings.id_token_ttl,
            access_token_ttl: settings.access_token_ttl,
            clock: settings.clock,
            keys: RwLock::new(KeyStore::new()?),
            faults: Mutex::default(),
            counters: Counters::default(),
            state: Mutex::new(State {
                clients: settings.clients,
                personas: settings.personas,
                resources: settings.resources,
                organization_permissions: settings.organization_permissions,
                account_center: settings.account_center,
                connectors: settings.connectors,
                ..State::default()
            }),
        })
    }

    /// The state, for as long as the guard is held; never across a wait.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the faults in force.
    pub(super) fn faults(&self) -> Faults {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The present moment.
    pub(super) fn now(&self) -> UnixSeconds {
        self.clock.now()
    }
}

/// Clients, people, and everything issued to them.
#[derive(Default)]
pub(super) struct State {
    pub(super) clients: Vec<Client>,
    pub(super) personas: Vec<Persona>,
    /// Deleted ones, whom a webhook may still name.
    pub(super) deleted: Vec<Persona>,
    /// By the cookie's value.
    pub(super) sessions: Expiring<Session>,
    /// By [`interaction_key`]: one pending sign-in a client and browser, as Logto's interaction cookie has it.
    pub(super) interactions: Expiring<Interaction>,
    pub(super) grants: Expiring<Grant>,
    pub(super) codes: Expiring<Code>,
    pub(super) access_tokens: Expiring<AccessToken>,
    pub(super) refresh_tokens: Expiring<RefreshToken>,
    /// By the confirmation page's secret.
    pub(super) sign_outs: Expiring<SignOut>,
    /// Visits to third parties' screens by `state`.
    pub(super) social_visits: Expiring<SocialVisit>,
    /// Codes of those screens.
    pub(super) social_codes: Expiring<AccountOwner>,
    pub(super) resources: Vec<ApiResource>,
    pub(super) organization_permissions: Vec<Permission>,
    /// By the token itself. Tests make them, no request does.
    pub(super) personal_access_tokens: HashMap<String, PersonalAccessToken>,
    pub(super) account_center: bool,
    pub(super) connectors: Vec<Connector>,
    /// By persona and target.
    pub(super) stored_tokens: HashMap<(String, String), StoredToken>,
    /// Tokens that third parties issued.
    pub(super) third_party_tokens: Expiring<AccountOwner>,
    pub(super) grants_revoked: u64,
    pub(super) last_authorization: Vec<(String, String)>,
    /// Sessions opened so far; the next one's number.
    pub(super) sessions_opened: u64,
    /// Where webhooks go.
    pub(super) hook: Option<Hook>,
    /// Loopback addresses by the origin they stand for.
    pub(super) routes: HashMap<String, SocketAddr>,
    /// What was sent last, newest at the end.
    pub(super) deliveries: VecDeque<Delivery>,
}

/// A browser signed in at the provider.
pub(super) struct Session {
    /// Stays while the cookie's value changes.
    pub(super) id: String,
    pub(super) persona: String,
    pub(super) authenticated_at: UnixSeconds,
    /// Which one it is, counted from the provider's start.
    pub(super) number: u64,
    /// One for each client, shared by all its sign-ins in this session.
    pub(super) authorizations: HashMap<String, Authorization>,
}

/// What a session holds for one client.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) grant: String,
    /// The session's name towards this client, and no other.
    pub(super) sid: String,
}

/// An authorization request that passed every check.
#[derive(Debug, Clone)]
pub(super) struct AuthorizationRequest {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) response_mode: ResponseMode,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) scopes: Vec<String>,
    /// API resources that tokens may be asked for later.
    pub(super) resources: Vec<String>,
    pub(super) code_challenge: String,
    pub(super) max_age: Option<u64>,
}

/// How parameters travel back to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseMode {
    Query,
    Fragment,
    FormPost,
}

/// A sign-in that waits for its user.
pub(super) struct Interaction {
    pub(super) id: String,
    pub(super) request: AuthorizationRequest,
    /// Who has signed in; the next visit to `/oidc/auth/<id>` finishes it.
    pub(super) chosen: Option<String>,
}

/// A browser on its way through a third party.
pub(super) struct SocialVisit {
    /// The connector's.
    pub(super) target: String,
    pub(super) browser: String,
    pub(super) client_id: String,
}

/// Whose account a third party's code or token is for.
pub(super) struct AccountOwner {
    /// The connector's.
    pub(super) target: String,
    pub(super) persona: String,
}

/// What a user let a client do.
pub(super) struct Grant {
    pub(super) persona: String,
    pub(super) client_id: String,
}

/// An authorization code.
pub(super) struct Code {
    pub(super) request: AuthorizationRequest,
    pub(super) issued: Issued,
    pub(super) consumed: bool,
}

/// What codes and tokens carry along.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) client_id: String,
    pub(super) persona: String,
    pub(super) grant: String,
    /// Those of resources among them.
    pub(super) scopes: Vec<String>,
    /// API resources that tokens may be asked for.
    pub(super) resources: Vec<String>,
    /// The provider's session it dies with; none with `offline_access`.
    pub(super) session: Option<String>,
    pub(super) nonce: Option<String>,
    /// Only for a client that wants it; refreshed ID tokens repeat it.
    pub(super) sid: Option<String>,
    /// Only when `max_age` was asked.
    pub(super) auth_time: Option<u64>,
}

/// An opaque access token.
pub(super) struct AccessToken {
    pub(super) issued: Issued,
    pub(super) issued_at: UnixSeconds,
}

/// A refresh token.
pub(super) struct RefreshToken {
    pub(super) issued: Issued,
    pub(super) issued_at: UnixSeconds,
    /// When the first token of its chain was issued.
    pub(super) chain_started: UnixSeconds,
    /// When a successor was issued.
    pub(super) rotated_at: Option<UnixSeconds>,
}

/// A sign-out that waits for its confirmation.
pub(super) struct SignOut {
    pub(super) session_cookie: String,
    pub(super) post_logout_redirect_uri: Option<String>,
}

/// The key of a browser's pending sign-in at a client.
pub(super) fn interaction_key(browser: &str, client_id: &str) -> String {
    format!("{browser} {client_id}")
}

/// 256 random bits, base64url: 43 characters, the shape of Logto's opaque tokens.
pub(super) fn random_token() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl State {
    pub(super) fn client(&self, app_id: &str) -> Option<&Client> {
        self.clients.iter().find(|client| client.app_id == app_id)
    }

    pub(super) fn persona(&self, key: &str) -> Option<&Persona> {
        self.personas.iter().find(|persona| persona.key == key)
    }

    pub(super) fn persona_mut(&mut self, key: &str) -> Option<&mut Persona> {
        self.personas.iter_mut().find(|persona| persona.key == key)
    }

    /// What this session holds for this client; its grant is made if there is none or it was revoked.
    pub(super) fn authorization(
        &mut self,
        cookie: &str,
        client_id: &str,
        now: UnixSeconds,
    ) -> Result<Authorization, Failure> {
        let session = self.sessions.get_mut(cookie, now).ok_or(Failure::Internal)?;
        let known = session.authorizations.get(client_id);
        if let Some(known) = known.filter(|known| self.grants.get(&known.grant, now).is_some()) {
            return Ok(known.clone());
        }
        let sid = known.map_or_else(random_token, |known| Ok(known.sid.clone()))?;
        let persona = session.persona.clone();
        let made = Authorization {
            grant: self.new_grant(&persona, client_id, now)?,
            sid,
        };
        let session = self.sessions.get_mut(cookie, now).ok_or(Failure::Internal)?;
        session.authorizations.insert(client_id.to_owned(), made.clone());
        Ok(made)
    }

    /// A new grant of a person's for a client.
    pub(super) fn new_grant(
        &mut self,
        persona: &str,
        client_id: &str,
        now: UnixSeconds,
    ) -> Result<String, Failure> {
        let name = random_token()?;
        let grant = Grant {
            persona: persona.to_owned(),
            client_id: client_id.to_owned(),
        };
        self.grants.insert(name.clone(), grant, now.plus(GRANT_TTL), now);
        Ok(name)
    }

    /// Ends a grant, and with it every code and token issued under it.
    pub(super) fn revoke_grant(&mut self, grant: &str, now: UnixSeconds) {
        if self.grants.remove(grant, now).is_some() {
            self.grants_revoked = self.grants_revoked.saturating_add(1);
        }
    }

    /// Ends everything of a person: sessions and grants.
    pub(super) fn revoke_all_of(&mut self, persona: &str) {
        self.sessions.retain(|session| session.persona != persona);
        self.revoke_grants_unless(|grant| grant.persona != persona);
    }

    /// Ends the grants that `keep` refuses, and says how many.
    pub(super) fn revoke_grants_unless(&mut self, keep: impl FnMut(&Grant) -> bool) -> usize {
        let revoked = self.grants.retain(keep);
        self.grants_revoked = self
            .grants_revoked
            .saturating_add(u64::try_from(revoked).unwrap_or(u64::MAX));
        revoked
    }

    /// The newest session of a person.
    pub(super) fn newest_session(&self, persona: &str, now: UnixSeconds) -> Option<&Session> {
        self.sessions
            .values(now)
            .filter(|session| session.persona == persona)
            .max_by_key(|session| session.number)
    }

    /// Whether what was issued still stands: its grant lives, and its session where it is bound to one.
    pub(super) fn stands(&self, issued: &Issued, now: UnixSeconds) -> bool {
        self.grants.get(&issued.grant, now).is_some()
            && issued
                .session
                .as_ref()
                .is_none_or(|id| self.sessions.values(now).any(|session| session.id == *id))
    }
}
