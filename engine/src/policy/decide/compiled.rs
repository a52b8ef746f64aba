//! A policy, made ready for requests.

use std::collections::HashMap;
use std::iter;
use std::sync::Arc;

use super::decision::{Decision, NO_RULE_MATCHED, RequestFacts, UNKNOWN_CONNECTION};
use super::glob::{Glob, PathGlob};
use super::index::{Dimension, Patterns, Rules};
use crate::policy::check::validate;
use crate::policy::document::{AuditLevel, Connection, Effect, HostPattern, Match, Policy, Rule};
use crate::policy::error::PolicyErrors;
use crate::policy::hosts::{self, Hosts};

/// A valid policy with its indexes. Made once per policy version, shared by every request.
///
/// # How effects combine
///
/// Deny beats approve beats allow, whatever the order of the rules. Of the matching rules with the
/// winning effect, the first of the document decides: its name, its reason and its terms are the
/// answer. So a rule that is added at the end never changes who must approve.
#[derive(Debug)]
pub struct CompiledPolicy {
    policy: Arc<Policy>,
    hosts: Hosts,
    connections: HashMap<Box<str>, usize>,
    rules: Vec<Answer>,
    index: Index,
}

/// The answer of a rule, ready to be shared.
#[derive(Debug)]
struct Answer {
    name: Arc<str>,
    reason: Arc<str>,
}

#[derive(Debug)]
struct Index {
    /// For each connection, the rules that are about it, by name and labels.
    of_connection: Vec<Rules>,
    issuers: Dimension,
    subjects: Dimension,
    groups: Dimension,
    agents: Dimension,
    methods: Dimension,
    hosts: Patterns<HostPattern>,
    paths: Patterns<PathGlob>,
    /// The same without case, for upstreams whose paths have none. `None` when there is none such.
    folded_paths: Option<Patterns<PathGlob>>,
    operations: Patterns<Glob>,
    /// The rules of each effect, the strongest effect first.
    of_effect: [(Effect, Rules); 3],
    audit_required: Rules,
}

impl Index {
    fn new(policy: &Policy) -> Self {
        let rules = policy.rules.len();
        let of = |has: &dyn Fn(&Rule) -> bool| {
            Rules::of(rules, |rule| policy.rules.get(rule).is_some_and(has))
        };
        let texts = |list: fn(&Match) -> &Vec<String>| {
            Dimension::new(policy.rules.iter().map(|rule| {
                let list = list(&rule.r#match);
                (!list.is_empty()).then(|| list.iter().map(String::as_str))
            }))
        };
        let paths = |fold: bool| {
            let globs = |rule: &Rule| {
                rule.r#match
                    .paths
                    .iter()
                    .map(|p| PathGlob::new(p, fold))
                    .collect()
            };
            Patterns::new(policy.rules.iter().map(globs).collect())
        };
        let operations = |rule: &Rule| {
            rule.r#match
                .operations
                .iter()
                .map(Glob::operation)
                .collect()
        };
        let any_folds = policy
            .connections
            .iter()
            .any(|connection| connection.protocol.folds_paths());
        Self {
            of_connection: policy
                .connections
                .iter()
                .map(|connection| of(&|rule| rule.r#match.is_about(connection)))
                .collect(),
            issuers: texts(|m| &m.issuers),
            subjects: texts(|m| &m.subjects),
            groups: texts(|m| &m.groups),
            agents: texts(|m| &m.agents),
            methods: Dimension::new(policy.rules.iter().map(|rule| {
                let methods = &rule.r#match.methods;
                (!methods.is_empty()).then(|| methods.iter().map(|method| method.as_str()))
            })),
            hosts: Patterns::new(
                policy
                    .rules
                    .iter()
                    .map(|rule| rule.r#match.hosts.clone())
                    .collect(),
            ),
            paths: paths(false),
            folded_paths: any_folds.then(|| paths(true)),
            operations: Patterns::new(policy.rules.iter().map(operations).collect()),
            of_effect: Effect::STRONGEST_FIRST
                .map(|effect| (effect, of(&|rule| rule.effect == effect))),
            audit_required: of(&|rule| rule.audit == AuditLevel::Required),
        }
    }
}

impl CompiledPolicy {
    /// Validates a policy and builds its indexes.
    ///
    /// # Errors
    /// Those of [`validate`].
    pub fn compile(policy: Policy) -> Result<Self, PolicyErrors> {
        validate(&policy)?;
        let named = policy.connections.iter().enumerate();
        let answer = |rule: &Rule| Answer {
            name: rule.name.as_str().into(),
            reason: rule.reason_text().as_ref().into(),
        };
        Ok(Self {
            hosts: Hosts::new(&policy),
            connections: named
                .map(|(index, c)| (c.name.as_str().into(), index))
                .collect(),
            rules: policy.rules.iter().map(answer).collect(),
            index: Index::new(&policy),
            policy: Arc::new(policy),
        })
    }

    /// The document.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// The connection that a host belongs to.
    ///
    /// `host` is in the spelling of [`host_of`](crate::request::host_of): lower case, no port.
    /// Another spelling finds nothing, and a request without a connection is denied.
    pub fn connection_for_host(&self, host: &str) -> Option<&Connection> {
        self.policy.connections.get(self.hosts.find(host)?)
    }

    /// The connection of that name.
    pub fn connection_named(&self, name: &str) -> Option<&Connection> {
        self.policy.connections.get(*self.connections.get(name)?)
    }

    /// Whether rules may be asked about a request to this host on this connection.
    ///
    /// Where a route pins the connection, the agent still chooses the Host. With a foreign one it
    /// would evade a rule that denies one of the connection's hosts, or match one that allows
    /// another's. So a host that is none of the connection's is good only while no rule for it
    /// looks at hosts.
    pub fn can_judge_host(&self, connection: &Connection, host: &str) -> bool {
        let own = |pattern| hosts::matches(pattern, host);
        connection.hosts.iter().any(own)
            || !self
                .policy
                .rules
                .iter()
                .any(|rule| !rule.r#match.hosts.is_empty() && rule.r#match.is_about(connection))
    }

    /// The decision on a request.
    pub fn decide(&self, facts: &RequestFacts<'_>) -> Decision {
        let index = &self.index;
        let connection = self.connections.get(facts.connection.name.as_str());
        let Some(about) = connection.and_then(|at| index.of_connection.get(*at)) else {
            return Decision::denied_without_rule(UNKNOWN_CONNECTION);
        };
        let mut left = about.clone();
        let principal = facts.principal;
        index
            .issuers
            .narrow(&mut left, iter::once(principal.issuer.as_str()));
        index
            .subjects
            .narrow(&mut left, iter::once(principal.subject.as_str()));
        index
            .groups
            .narrow(&mut left, principal.groups.iter().map(String::as_str));
        index
            .agents
            .narrow(&mut left, principal.agent.as_deref().into_iter());
        index.methods.narrow(&mut left, iter::once(facts.method));
        if left.is_empty() {
            return Decision::denied_without_rule(NO_RULE_MATCHED);
        }

        let fold = facts.connection.protocol.folds_paths();
        let folded_path = if fold {
            facts.path.to_ascii_lowercase()
        } else {
            String::new()
        };
        let (paths, path) = match &index.folded_paths {
            Some(paths) if fold => (paths, folded_path.as_str()),
            _ => (&index.paths, facts.path),
        };
        let action = facts.operation.action.to_ascii_lowercase();
        let mut hosts = index.hosts.narrow(&mut left, facts.host);
        let mut paths = paths.narrow(&mut left, path);
        let mut operations = index.operations.narrow(&mut left, &action);
        let mut matches = |rule: usize| {
            operations.satisfies(rule) && paths.satisfies(rule) && hosts.satisfies(rule)
        };

        let winner = index.of_effect.iter().find_map(|(effect, of_effect)| {
            left.shared(of_effect)
                .find(|rule| matches(*rule))
                .map(|rule| (*effect, rule))
        });
        let Some((effect, at)) = winner else {
            return Decision::denied_without_rule(NO_RULE_MATCHED);
        };
        let audit_required = left.shared(&index.audit_required).any(&mut matches);
        let (Some(answer), Some(rule)) = (self.rules.get(at), self.policy.rules.get(at)) else {
            return Decision::denied_without_rule(NO_RULE_MATCHED);
        };
        Decision {
            effect,
            rule: Some(Arc::clone(&answer.name)),
            reason: Arc::clone(&answer.reason),
            approve: rule.approve.clone(),
            audit_required,
        }
    }
}
