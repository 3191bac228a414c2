//! What is known about sessions besides their cookies: that some have ended, and that some must be asked about again.
//!
//! A notice is made where the fact is learnt (a sign-out, a logout token, a webhook, a refused refresh), kept by the store,
//! and told to every replica. It says which sessions it concerns, never who may do what.

use super::session::SessionId;
use crate::clock::UnixSeconds;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long it counts at least that all of a user's sessions were ended. It ends the user's access tokens too, which have a life
/// of their own; none of them is taken for longer.
pub const OLDEST_TOKEN: Duration = Duration::from_secs(7 * 86_400);

/// How far ahead of this process's clock the clock of another one is believed to be.
const MOST_AHEAD: Duration = Duration::from_secs(3600);

/// One fact about one or more sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Which sessions.
    pub scope: Scope,
    /// What is to become of them.
    pub effect: Effect,
    /// When it was learnt. Of a subject's sessions those are concerned that were signed in (for [`Effect::Recheck`]:
    /// confirmed) no later than this; the other scopes name sessions that can only be older.
    pub at: UnixSeconds,
    /// From then on no session that it concerns can be alive, so it may be forgotten.
    pub until: UnixSeconds,
}

/// Which sessions a notice concerns.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This one.
    Session(SessionId),
    /// All that were signed in through this Logto session: claim `sid`.
    LogtoSession(String),
    /// All of this user: claim `sub`.
    Subject {
        /// The user.
        subject: String,
        /// But not this one, from which the others were ended.
        except: Option<SessionId>,
    },
    /// All; only with [`Effect::Recheck`], where Logto does not say whom a change concerns.
    Everyone,
}

/// What a notice does to its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// They are over.
    End(Cause),
    /// They are confirmed with Logto before their next use.
    Recheck,
}

/// Why sessions end before their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The user signed out here.
    SignOut,
    /// Logto's back-channel logout said so.
    BackChannelLogout,
    /// A webhook: the user was suspended.
    Suspended,
    /// A webhook: the user was deleted.
    Deleted,
    /// The user ended it on the sessions page.
    SessionsPage,
    /// Logto refused to refresh: the grant, the user or the access is gone (`invalid_grant`, `access_denied`).
    RefreshRefused,
    /// Logto answered a re-check for another user.
    OtherUser,
    /// So much was revoked that what was oldest could not be remembered one by one; every session of that time ended.
    /// Never told to other replicas.
    Forgotten,
}

impl Cause {
    /// The cause as a metric's label and a log field.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignOut => "sign_out",
            Self::BackChannelLogout => "back_channel_logout",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::SessionsPage => "sessions_page",
            Self::RefreshRefused => "refresh_refused",
            Self::OtherUser => "other_user",
            Self::Forgotten => "forgotten",
        }
    }
}

impl Notice {
    /// The notice as it counts when it arrives at `now` from elsewhere: nothing was learnt after that. One that is dated far
    /// ahead comes from a clock that is wrong, or from somebody who should not be able to write it, and would else keep
    /// users out who sign in afterwards.
    #[must_use]
    pub fn learnt_by(self, now: UnixSeconds) -> Self {
        let at = if self.at > now.plus(MOST_AHEAD) {
            now
        } else {
            self.at
        };
        Self { at, ..self }
    }
}

impl Scope {
    /// The kind of scope as a metric's label and a log field; never whom it names.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::LogtoSession(_) => "sid",
            Self::Subject { .. } => "subject",
            Self::Everyone => "everyone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_from_far_ahead_counts_as_learnt_when_it_arrives() {
        let notice = |at| Notice {
            scope: Scope::Everyone,
            effect: Effect::Recheck,
            at: UnixSeconds::new(at),
            until: UnixSeconds::new(u64::MAX),
        };
        let now = UnixSeconds::new(10_000);
        for (at, counts_as) in [
            (1, 1),
            (10_000, 10_000),
            (13_600, 13_600),
            (13_601, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(notice(at).learnt_by(now), notice(counts_as), "{at}");
        }
    }

    #[test]
    fn a_notice_reads_back_as_written() {
        for scope in [
            Scope::Session(SessionId::from_bytes([7; 16])),
            Scope::LogtoSession("sid".to_owned()),
            Scope::Subject {
                subject: "user".to_owned(),
                except: Some(SessionId::from_bytes([8; 16])),
            },
            Scope::Everyone,
        ] {
            for effect in [Effect::End(Cause::BackChannelLogout), Effect::Recheck] {
                let notice = Notice {
                    scope: scope.clone(),
                    effect,
                    at: UnixSeconds::new(5),
                    until: UnixSeconds::new(9),
                };
                let text = serde_json::to_string(&notice).unwrap();
                assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice, "{text}");
            }
        }
    }
}
