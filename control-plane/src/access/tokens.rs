//! API tokens, and the hash that finds them.

use chaperone_engine::base::time::UnixMillis;
use sha2::{Digest as _, Sha256};

use super::identity::Identity;
use super::role::Role;
use crate::administration::store::Entry;

/// An API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiToken {
    /// Its id; not secret.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) name: String,
    /// Who acts when it is used.
    pub(crate) identity: Identity,
    /// What it may do.
    pub(crate) role: Role,
    /// When it was made.
    pub(crate) created_at: UnixMillis,
    /// When it ends; `None` when never.
    pub(crate) expires_at: Option<UnixMillis>,
    /// When it was revoked, if it was.
    pub(crate) revoked_at: Option<UnixMillis>,
}

impl ApiToken {
    /// An entry about this token, with what it could do. A token that is gone can then still be
    /// explained.
    pub(super) fn described(&self, entry: Entry) -> Entry {
        let entry = entry
            .with("name", &self.name)
            .with("subject", &self.identity.subject)
            .with("groups", self.identity.groups.join(", "))
            .with("role", self.role.as_str());
        match self.expires_at {
            Some(UnixMillis(at)) => entry.with("expires_at", at.to_string()),
            None => entry,
        }
    }

    /// Whether it has not ended by itself. One that ends is good between its making and its end:
    /// made by a clock that ran ahead it would last longer than was asked for, and a clock that is
    /// set back would bring back one that has ended.
    pub(super) fn is_live(&self, now: UnixMillis) -> bool {
        self.expires_at
            .is_none_or(|end| now < end && self.created_at.is_past(now))
    }
}

/// SHA-256 of a token's secret. Secrets carry 256 random bits, so a slow password hash would add
/// nothing; and looking one up by its hash tells by its timing nothing that helps to guess it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TokenHash(pub(crate) [u8; 32]);

impl TokenHash {
    /// Of this secret.
    pub(crate) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_ends_is_good_between_its_making_and_its_end() {
        const HOUR: u64 = 3_600_000;
        let at = |hours: u64| UnixMillis(hours * HOUR);
        let token = |expires_at| ApiToken {
            id: "tk-1".to_owned(),
            name: "ci".to_owned(),
            identity: Identity {
                subject: "ci".to_owned(),
                groups: Vec::new(),
            },
            role: Role::Auditor,
            created_at: at(100),
            expires_at,
            revoked_at: None,
        };
        let lasting = token(None);
        assert!(
            [0, 100, 1_000]
                .iter()
                .all(|hour| lasting.is_live(at(*hour)))
        );
        let ending = token(Some(at(101)));
        let live: Vec<u64> = (0..200).filter(|hour| ending.is_live(at(*hour))).collect();
        assert_eq!(live, [100]);
        // A clock is set by a little all the time.
        assert!(ending.is_live(UnixMillis(at(100).0 - 1_000)));
    }
}
