//! What each role may do.
//!
//! The table below is the only place that says it. A service asks for a [`May`] with the permission
//! that a method wants, and a [`May`] comes only from a [`Caller`] who has it. So no face, be it a
//! handler, a page or a button in a chat, can forget the check: without it the call does not
//! compile.

use std::marker::PhantomData;
use std::sync::Arc;

use super::caller::Caller;
use super::role::Role;

/// Something that only some roles may do.
pub(crate) trait Permission: Send + Sync + 'static {
    /// The roles that may.
    const ROLES: &'static [Role];
}

macro_rules! permissions {
    ($( $(#[$doc:meta])* $name:ident: $($role:ident)+; )+) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(crate) struct $name;
            impl Permission for $name {
                const ROLES: &'static [Role] = &[ $(Role::$role),+ ];
            }
        )+
    };
}

permissions! {
    /// The data plane.
    ActAsNode: Node;
    /// Versions, nodes, keys, connections, the filter's configuration.
    ReadState: Admin Policy Approver Auditor;
    /// Publishing, rolling back, refreshing keys.
    ChangePolicy: Admin Policy;
    /// The trail.
    ReadRecords: Admin Auditor;
    /// Questions and their answers.
    ReadApprovals: Admin Approver Auditor;
    /// Answering.
    AnswerApprovals: Admin Approver;
    /// Making and revoking tokens.
    ManageTokens: Admin;
    /// Changing the key that bundles are signed with.
    ManageSigningKey: Admin;
    /// Who administered, and who read what.
    ReadAdministration: Admin Auditor;
}

/// The caller, who may do `P`.
#[derive(Debug)]
pub(crate) struct May<P> {
    caller: Arc<Caller>,
    permission: PhantomData<P>,
}

impl<P> May<P> {
    /// Who it is.
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }
}

impl<P: Permission> TryFrom<Arc<Caller>> for May<P> {
    type Error = Forbidden;

    fn try_from(caller: Arc<Caller>) -> Result<Self, Forbidden> {
        if P::ROLES.contains(&caller.role()) {
            Ok(Self {
                caller,
                permission: PhantomData,
            })
        } else {
            Err(Forbidden {
                role: caller.role(),
                wanted: P::ROLES,
            })
        }
    }
}

/// The caller's role does not allow a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forbidden {
    role: Role,
    wanted: &'static [Role],
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wanted: Vec<&str> = self.wanted.iter().map(|role| role.as_str()).collect();
        write!(
            f,
            "This token is of role {}; this call wants {}.",
            self.role,
            wanted.join(" or ")
        )
    }
}

impl std::error::Error for Forbidden {}
