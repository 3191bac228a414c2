//! The hand of a test on people: who they are, what is taken from them, where they are signed in.

use super::control::Control;
use super::persona::{Organization, Persona};

impl Control {
    /// Changes a persona; false when there is none. Tokens made from now on show it.
    pub fn update_persona(&self, key: &str, change: impl FnOnce(&mut Persona)) -> bool {
        self.shared.state().persona_mut(key).map(change).is_some()
    }

    /// Gives a persona exactly these roles; false when there is none.
    pub fn set_roles(&self, key: &str, roles: &[&str]) -> bool {
        self.update_persona(key, |persona| {
            persona.roles = roles.iter().map(|role| (*role).to_owned()).collect();
        })
    }

    /// Makes a persona a member of exactly these organisations; false when there is none.
    pub fn set_organizations(&self, key: &str, organizations: &[Organization]) -> bool {
        self.update_persona(key, |persona| persona.organizations = organizations.to_vec())
    }

    /// Suspends a persona: sessions, grants and tokens end at once, sign-in is refused. False when there is none.
    pub fn suspend(&self, key: &str) -> bool {
        let is_known = self.update_persona(key, |persona| persona.suspended = true);
        self.shared.state().revoke_all_of(key);
        is_known
    }

    /// Lets a suspended persona sign in again; what ended stays ended. False when there is none.
    pub fn unsuspend(&self, key: &str) -> bool {
        self.update_persona(key, |persona| persona.suspended = false)
    }

    /// Deletes a persona and all that it had. False when there is none.
    pub fn delete(&self, key: &str) -> bool {
        let mut state = self.shared.state();
        let Some(index) = state.personas.iter().position(|persona| persona.key == key) else {
            return false;
        };
        let persona = state.personas.remove(index);
        state.deleted.push(persona);
        state.revoke_all_of(key);
        true
    }

    /// Takes the access rule away that let a persona use applications: refreshes and sign-ins are refused with
    /// `access_denied`, while access tokens go on working at userinfo. False when there is none.
    pub fn revoke_access(&self, key: &str) -> bool {
        self.update_persona(key, |persona| persona.access_denied = true)
    }

    /// Gives the access rule back.
    pub fn restore_access(&self, key: &str) -> bool {
        self.update_persona(key, |persona| persona.access_denied = false)
    }

    /// Ends a persona's grants at an application, as too many sign-ins elsewhere do (`maxAllowedGrants`); its sessions
    /// go on. Says how many.
    pub fn evict_grants(&self, app_id: &str, key: &str) -> usize {
        self.shared
            .state()
            .revoke_grants_unless(|grant| grant.persona != key || grant.client_id != app_id)
    }

    /// How many browsers are signed in at the provider.
    pub fn sessions(&self) -> usize {
        self.shared.state().sessions.values(self.shared.now()).count()
    }

    /// The `sid` of every session in which a persona is signed in to an application, oldest session first.
    pub fn session_ids(&self, app_id: &str, key: &str) -> Vec<String> {
        let state = self.shared.state();
        let mut found: Vec<(u64, String)> = state
            .sessions
            .values(self.shared.now())
            .filter(|session| session.persona == key)
            .filter_map(|session| Some((session.number, session.authorizations.get(app_id)?.sid.clone())))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, sid)| sid).collect()
    }

    /// Signs everyone out at the provider; what is bound to a session dies, grants live. Nobody is told.
    pub fn end_sessions(&self) {
        self.shared.state().sessions.retain(|_| false);
    }

    /// The same for one persona. Says how many sessions ended.
    pub fn end_sessions_of(&self, key: &str) -> usize {
        self.shared
            .state()
            .sessions
            .retain(|session| session.persona != key)
    }

    /// The same for the one session that some application knows by this `sid`. False when there is none.
    pub fn end_session(&self, sid: &str) -> bool {
        let ended = self.shared.state().sessions.retain(|session| {
            session
                .authorizations
                .values()
                .all(|authorization| authorization.sid != sid)
        });
        ended > 0
    }
}
