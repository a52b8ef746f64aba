//! Secrets that were masked in the requests of a session, so that a later answer of the same
//! session can be restored.
//!
//! In the memory of this worker only, never in shared data, where every plugin of the process could
//! read it. An answer that comes through another worker keeps its placeholders, which is the safe
//! fault.

use std::collections::HashMap;

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::Principal;
use chaperone_engine::masking::Secrets;

/// Milliseconds after its last request for which a session is remembered.
const KEEP_MS: u64 = 3_600_000;
/// Most sessions; the one that was silent longest goes first.
const MAX_SESSIONS: usize = 1_000;
/// Most bytes of secrets, of all sessions.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// One agent run with one connection. A secret that was masked on the way to one upstream is never
/// restored in an answer of another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey {
    issuer: String,
    subject: String,
    agent: Option<String>,
    session: String,
    connection: String,
}

impl SessionKey {
    /// The session that the token names; nothing if it names none. Nothing that the agent says is
    /// taken for one: it could name another's.
    pub fn of(principal: &Principal, connection: &str) -> Option<Self> {
        Some(Self {
            issuer: principal.issuer.clone(),
            subject: principal.subject.clone(),
            agent: principal.agent.clone(),
            session: principal.session.clone()?,
            connection: connection.to_owned(),
        })
    }
}

/// All sessions of a worker.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    known: HashMap<SessionKey, (Secrets, UnixMillis)>,
    bytes: usize,
}

impl Sessions {
    /// Adds the secrets of a request, and gives all those of its session.
    pub(super) fn remember(&mut self, key: SessionKey, new: Secrets, now: UnixMillis) -> Secrets {
        if let Some((secrets, last)) = self.known.get_mut(&key)
            && now.since(*last) <= KEEP_MS
        {
            let before = secrets.size();
            secrets.merge(&new);
            *last = now;
            self.bytes = self
                .bytes
                .saturating_add(secrets.size().saturating_sub(before));
            let all = secrets.clone();
            self.make_room(now);
            return all;
        }
        self.forget(&key);
        if !new.is_empty() {
            self.bytes = self.bytes.saturating_add(new.size());
            self.known.insert(key, (new.clone(), now));
            self.make_room(now);
        }
        new
    }

    fn make_room(&mut self, now: UnixMillis) {
        if self.known.len() <= MAX_SESSIONS && self.bytes <= MAX_BYTES {
            return;
        }
        self.known
            .retain(|_, (_, last)| now.since(*last) <= KEEP_MS);
        self.bytes = self.known.values().fold(0, |sum: usize, (secrets, _)| {
            sum.saturating_add(secrets.size())
        });
        while self.known.len() > MAX_SESSIONS || self.bytes > MAX_BYTES {
            let oldest = self.known.iter().min_by_key(|(_, (_, last))| *last);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            self.forget(&key);
        }
    }

    fn forget(&mut self, key: &SessionKey) {
        if let Some((secrets, _)) = self.known.remove(key) {
            self.bytes = self.bytes.saturating_sub(secrets.size());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chaperone_engine::masking::{Content, DetectorSet, FingerprintKey, Masker, Plan};

    use super::*;

    /// So many different secrets as a masker remembers them, from the `first` on.
    fn masked(plan: &Arc<Plan>, first: usize, count: usize) -> Secrets {
        let key = FingerprintKey::from_bytes([1; 32]);
        let mut masker = Masker::new(Arc::clone(plan), key, &Content::text());
        for n in first..first + count {
            masker.push(format!("ghp_{n:0>36} ").as_bytes());
        }
        masker.finish();
        masker.secrets().clone()
    }

    fn plan() -> Arc<Plan> {
        let set = DetectorSet::compile(&["secrets/github-pat"]).unwrap();
        Arc::new(Plan::masking(Arc::new(set)).remembering())
    }

    fn key(session: &str) -> SessionKey {
        let principal = Principal {
            issuer: "https://issuer.example".to_owned(),
            subject: "alice".to_owned(),
            session: Some(session.to_owned()),
            ..Principal::default()
        };
        SessionKey::of(&principal, "api").unwrap()
    }

    #[test]
    fn a_session_is_remembered_for_an_hour_after_its_last_request() {
        let (plan, mut sessions) = (plan(), Sessions::default());
        let minutes = |n: u64| UnixMillis(n * 60_000);
        sessions.remember(key("a"), masked(&plan, 0, 1), minutes(0));
        let all = sessions.remember(key("a"), masked(&plan, 1, 1), minutes(59));
        assert_eq!(all.len(), 2);
        let all = sessions.remember(key("a"), Secrets::default(), minutes(118));
        assert_eq!(all.len(), 2);
        let all = sessions.remember(key("a"), Secrets::default(), minutes(179));
        assert!(all.is_empty() && sessions.known.is_empty() && sessions.bytes == 0);
    }

    #[test]
    fn sessions_and_their_bytes_are_bounded_and_the_oldest_goes_first() {
        let (plan, mut sessions) = (plan(), Sessions::default());
        let one = masked(&plan, 0, 1);
        for n in 0..MAX_SESSIONS + 10 {
            sessions.remember(key(&n.to_string()), one.clone(), UnixMillis(n as u64));
        }
        assert_eq!(sessions.known.len(), MAX_SESSIONS);
        assert!(!sessions.known.contains_key(&key("9")) && sessions.known.contains_key(&key("10")));
        assert_eq!(sessions.bytes, MAX_SESSIONS * one.size());

        let many = masked(&plan, 0, 256);
        for n in 0..600_usize {
            let now = UnixMillis(10_000 + n as u64);
            sessions.remember(key(&format!("many-{n}")), many.clone(), now);
            assert!(sessions.bytes <= MAX_BYTES);
        }
    }

    #[test]
    fn a_token_without_a_session_has_none() {
        assert_eq!(SessionKey::of(&Principal::default(), "api"), None);
    }
}
