//! Who calls: an identity, and the credential that proved it.

use super::identity::Identity;
use super::role::Role;
use super::tokens::ApiToken;

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

    /// By what it was let in.
    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }
}
