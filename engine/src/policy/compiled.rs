//! A policy, made ready for requests.

use std::collections::HashMap;
use std::sync::Arc;

use super::document::{Connection, Direction, Policy};
use super::error::PolicyErrors;
use super::hosts::Hosts;
use super::masking;
use super::validate::validate;

/// A valid policy with its indexes. Made once per policy version, shared by every request.
#[derive(Debug)]
pub struct CompiledPolicy {
    policy: Arc<Policy>,
    hosts: Hosts,
    connections: HashMap<Box<str>, usize>,
}

impl CompiledPolicy {
    /// Validates a policy and builds its indexes.
    ///
    /// # Errors
    /// Those of [`validate`].
    pub fn compile(policy: Policy) -> Result<Self, PolicyErrors> {
        validate(&policy)?;
        let named = policy.connections.iter().enumerate();
        Ok(Self {
            hosts: Hosts::new(&policy),
            connections: named
                .map(|(index, c)| (c.name.as_str().into(), index))
                .collect(),
            policy: Arc::new(policy),
        })
    }

    /// The document.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The connection that a host belongs to.
    ///
    /// `host` is in the spelling of [`host_of`](crate::operation::host_of): lower case, no port. Another
    /// spelling finds nothing, and what has no connection is denied.
    pub fn connection_for_host(&self, host: &str) -> Option<&Connection> {
        self.policy.connections.get(self.hosts.find(host)?)
    }

    /// The connection of that name.
    pub fn connection_named(&self, name: &str) -> Option<&Connection> {
        self.policy.connections.get(*self.connections.get(name)?)
    }

    /// The detectors that mask the bodies of a connection in one direction, as selectors
    /// (`secrets/*`, `secrets/github-pat`), each once, in document order. Empty: nothing is masked.
    pub fn masking_for(&self, connection: &str, direction: Direction) -> Vec<&str> {
        masking::selectors(&self.policy, connection, direction)
    }
}
