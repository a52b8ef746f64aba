//! Why a request is decided as it is: every rule, and the dimensions that kept the rule from
//! matching.
//!
//! This looks at one rule after the other, without the indexes that [`CompiledPolicy::decide`]
//! uses. Property tests hold the two against each other.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::decide::{
    CompiledPolicy, Decision, Glob, Matcher, PathGlob, RequestFacts, UNKNOWN_CONNECTION,
};
use super::document::{Connection, Effect, Rule};
use super::written_request::{UnreadableRequest, WrittenRequest};
use crate::identity::Principal;
use crate::upstreams::Operation;

/// A decision, and the answer of every rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// Connection of the request, if its host has one.
    pub connection: Option<String>,
    /// The operation of the request, if it has one.
    pub operation: Option<String>,
    /// All rules, in document order. Empty when the request is refused before any rule is asked.
    pub rules: Vec<RuleExplanation>,
}

/// The answer of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleExplanation {
    /// The rule.
    pub rule: Arc<str>,
    /// Its effect.
    pub effect: Effect,
    /// Whether it matches.
    pub matched: bool,
    /// Whether it decided.
    pub decides: bool,
    /// Every dimension that did not match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mismatches: Vec<Mismatch>,
}

/// A dimension of a rule's match that a request does not meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The key below `match`: `groups`.
    pub dimension: &'static str,
    /// The values that the rule wants: one of these, for labels all of them.
    pub wanted: Vec<String>,
    /// The values of the request. Empty where it has none.
    pub seen: Vec<String>,
}

impl CompiledPolicy {
    /// The decision that [`decide`](Self::decide) gives, and for every rule why it did or did not
    /// match.
    pub fn explain(&self, facts: &RequestFacts<'_>) -> Explanation {
        let decision = self.decide(facts);
        let explain = |rule: &Rule| {
            let mismatches = mismatches(rule, facts);
            RuleExplanation {
                rule: rule.name.as_str().into(),
                effect: rule.effect,
                matched: mismatches.is_empty(),
                decides: decision.rule.as_deref() == Some(rule.name.as_str()),
                mismatches,
            }
        };
        Explanation {
            rules: self.policy().rules.iter().map(explain).collect(),
            connection: Some(facts.connection.name.clone()),
            operation: Some(facts.operation.action.clone()),
            decision,
        }
    }

    /// [`explain`](Self::explain) for a request that is written as `METHOD URL`, taken the way that
    /// real requests take: the host to its connection, method and path to an operation, then the
    /// rules.
    ///
    /// # Errors
    /// When `request` is not written like that. A request that the gate would refuse whatever the
    /// policy says is no error: it is explained as a denial without a rule.
    pub fn explain_request(
        &self,
        principal: &Principal,
        request: &str,
    ) -> Result<Explanation, UnreadableRequest> {
        self.on_the_way(
            principal,
            request,
            |facts| self.explain(facts),
            |decision, connection| Explanation {
                decision,
                connection: connection.map(|c| c.name.clone()),
                operation: None,
                rules: Vec::new(),
            },
        )
    }

    /// The decision of [`explain_request`](Self::explain_request).
    ///
    /// # Errors
    /// As [`explain_request`](Self::explain_request).
    pub fn decide_request(
        &self,
        principal: &Principal,
        request: &str,
    ) -> Result<Decision, UnreadableRequest> {
        self.on_the_way(
            principal,
            request,
            |facts| self.decide(facts),
            |decision, _| decision,
        )
    }

    fn on_the_way<T>(
        &self,
        principal: &Principal,
        request: &str,
        decided: impl FnOnce(&RequestFacts<'_>) -> T,
        refused: impl FnOnce(Decision, Option<&Connection>) -> T,
    ) -> Result<T, UnreadableRequest> {
        let WrittenRequest {
            method,
            host,
            target,
        } = WrittenRequest::parse(request)?;
        let Some(connection) = self.connection_for_host(&host) else {
            return Ok(refused(
                Decision::denied_without_rule(UNKNOWN_CONNECTION),
                None,
            ));
        };
        match Operation::of(connection.protocol, method, &target) {
            Err(error) => Ok(refused(
                Decision::denied_without_rule(error.code()),
                Some(connection),
            )),
            Ok(operation) => Ok(decided(&RequestFacts {
                principal,
                connection,
                method,
                host: &host,
                path: target.path(),
                operation: &operation,
            })),
        }
    }
}

fn mismatches(rule: &Rule, facts: &RequestFacts<'_>) -> Vec<Mismatch> {
    let wanted = &rule.r#match;
    let principal = facts.principal;
    let mut found = Vec::new();

    let mut exact = |dimension, wanted: &[String], seen: &[&str]| {
        if !wanted.is_empty() && !wanted.iter().any(|w| seen.contains(&w.as_str())) {
            found.push(Mismatch {
                dimension,
                wanted: wanted.to_vec(),
                seen: owned(seen),
            });
        }
    };
    exact(
        "connections",
        &wanted.connections,
        &[&facts.connection.name],
    );
    exact("issuers", &wanted.issuers, &[&principal.issuer]);
    exact("subjects", &wanted.subjects, &[&principal.subject]);
    let groups: Vec<&str> = principal.groups.iter().map(String::as_str).collect();
    exact("groups", &wanted.groups, &groups);
    let agent: Vec<&str> = principal.agent.as_deref().into_iter().collect();
    exact("agents", &wanted.agents, &agent);

    let labels = &facts.connection.labels;
    if wanted
        .labels
        .iter()
        .any(|(key, value)| labels.get(key) != Some(value))
    {
        let pairs = |labels: &std::collections::BTreeMap<String, String>| {
            labels
                .iter()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect()
        };
        found.push(Mismatch {
            dimension: "labels",
            wanted: pairs(&wanted.labels),
            seen: pairs(labels),
        });
    }

    let mut pattern = |dimension, wanted: Vec<&str>, seen: &str, matches: bool| {
        if !wanted.is_empty() && !matches {
            found.push(Mismatch {
                dimension,
                wanted: owned(&wanted),
                seen: owned(&[seen]),
            });
        }
    };
    let methods: Vec<&str> = wanted.methods.iter().map(|m| m.as_str()).collect();
    let method = methods.contains(&facts.method);
    pattern("methods", methods, facts.method, method);
    let host = wanted.hosts.iter().any(|host| host.matches(facts.host));
    pattern(
        "hosts",
        wanted.hosts.iter().map(|h| h.as_str()).collect(),
        facts.host,
        host,
    );
    let fold = facts.connection.protocol.folds_paths();
    let path = if fold {
        facts.path.to_ascii_lowercase()
    } else {
        facts.path.to_owned()
    };
    let path = wanted
        .paths
        .iter()
        .any(|p| PathGlob::new(p, fold).matches(&path));
    pattern(
        "paths",
        wanted.paths.iter().map(|p| p.as_str()).collect(),
        facts.path,
        path,
    );
    let action = facts.operation.action.to_ascii_lowercase();
    let operation = wanted
        .operations
        .iter()
        .any(|o| Glob::operation(o).matches(&action));
    let operations = wanted.operations.iter().map(|o| o.as_str()).collect();
    pattern("operations", operations, &facts.operation.action, operation);
    found
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

// === for people ===

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decision.rule {
            Some(rule) => write!(
                f,
                "{}, by rule {rule}: {}",
                self.decision.effect, self.decision.reason
            )?,
            None => write!(
                f,
                "{}, by no rule: {}",
                self.decision.effect, self.decision.reason
            )?,
        }
        if let Some(connection) = &self.connection {
            write!(f, "\n  connection {connection}")?;
        }
        if let Some(operation) = &self.operation {
            write!(f, "\n  operation {operation}")?;
        }
        for rule in &self.rules {
            write!(f, "\n{rule}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RuleExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let says = match (self.matched, self.decides) {
            (true, true) => "matches and decides",
            (true, false) => "matches",
            (false, _) => "does not match",
        };
        write!(f, "  rule {} ({}) {says}", self.rule, self.effect)?;
        for mismatch in &self.mismatches {
            write!(f, "\n    {mismatch}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantity = if self.dimension == "labels" {
            "all of"
        } else {
            "one of"
        };
        let seen = if self.seen.is_empty() {
            "none".to_owned()
        } else {
            self.seen.join(", ")
        };
        write!(
            f,
            "{}: wanted {quantity} {}; the request has {seen}",
            self.dimension,
            self.wanted.join(", ")
        )
    }
}
