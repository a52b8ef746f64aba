//! Who calls: an identity, and the credential that proved it.

use std::collections::BTreeMap;

use super::identity::Identity;
use super::role::Role;
use super::tokens::ApiToken;
use crate::administration::store::{Act, Entry};
use crate::clock;

/// Who calls. Made where a credential is checked, and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// What proved it.
    credential: Credential,
}

/// By what a call was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// An API token.
    Token(ApiToken),
}

impl Caller {
    /// The caller whom `credential` proves.
    pub(super) fn by(credential: Credential) -> Self {
        Self { credential }
    }

    /// Who acts.
    pub(crate) fn identity(&self) -> &Identity {
        match &self.credential {
            Credential::Token(token) => &token.identity,
        }
    }

    /// What it may do; [`super::permission`] says what that is.
    pub(crate) fn role(&self) -> Role {
        match &self.credential {
            Credential::Token(token) => token.role,
        }
    }

    /// The entry that the log of administration gets when the caller does this to `object` now.
    pub(crate) fn does(&self, act: Act, object: &str) -> Entry {
        let Credential::Token(token) = &self.credential;
        Entry {
            at: clock::now(),
            by: token.identity.subject.clone(),
            token: Some(token.id.clone()),
            act,
            object: object.to_owned(),
            details: BTreeMap::new(),
        }
    }

    /// By what it was let in.
    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }
}
