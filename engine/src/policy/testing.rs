//! The tests that stand in the document. A policy must pass them before it is published.

use std::fmt;

use serde::Serialize;

use super::decide::{CompiledPolicy, Decision};
use super::document::{Effect, PolicyTest};
use crate::identity::Principal;

/// How one test of a document went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestOutcome {
    /// Its place: `tests[index]`.
    pub index: usize,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its request.
    pub request: String,
    /// The effect that it expects.
    pub expect: Effect,
    /// The rule that it expects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_rule: Option<String>,
    /// The decision of the policy.
    pub decision: Decision,
    /// Whether the two agree.
    pub passed: bool,
}

impl CompiledPolicy {
    /// Runs the tests of the document, each on the way that real requests take: the host to its
    /// connection, method and path to an operation, then the rules.
    pub fn run_tests(&self) -> Vec<TestOutcome> {
        self.policy()
            .tests
            .iter()
            .enumerate()
            .map(|(index, test)| self.run(index, test))
            .collect()
    }

    fn run(&self, index: usize, test: &PolicyTest) -> TestOutcome {
        let caller = &test.as_;
        let first_issuer = self
            .policy()
            .issuers
            .first()
            .map(|issuer| issuer.issuer.clone());
        let principal = Principal {
            issuer: caller.issuer.clone().or(first_issuer).unwrap_or_default(),
            subject: caller.subject.clone().unwrap_or_else(|| "test".to_owned()),
            groups: caller.groups.clone(),
            agent: caller.agent.clone(),
            session: None,
        };
        // A compiled policy is valid, and in a valid policy each request can be read.
        let decision = self
            .decide_request(&principal, &test.request)
            .unwrap_or_else(|_| Decision::denied_without_rule("invalid_request"));
        let rule_agrees = test.rule.is_none() || test.rule.as_deref() == decision.rule.as_deref();
        TestOutcome {
            index,
            name: test.name.clone(),
            request: test.request.clone(),
            expect: test.expect,
            expect_rule: test.rule.clone(),
            passed: rule_agrees && decision.effect == test.expect,
            decision,
        }
    }
}

impl fmt::Display for TestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |effect: Effect, rule: Option<&str>| match rule {
            Some(rule) => format!("{effect} by rule {rule}"),
            None => effect.to_string(),
        };
        let what = self.name.as_deref().unwrap_or(&self.request);
        if self.passed {
            return write!(f, "passed: tests[{}]: {what}", self.index);
        }
        let decided = match self.decision.rule.as_deref() {
            Some(rule) => said(self.decision.effect, Some(rule)),
            None => format!(
                "{} by no rule ({})",
                self.decision.effect, self.decision.reason
            ),
        };
        write!(
            f,
            "failed: tests[{}]: {what}: expected {}, the policy decides {decided}",
            self.index,
            said(self.expect, self.expect_rule.as_deref()),
        )
    }
}
