//! The tests that a document brings.

use serde::{Deserialize, Serialize};

use super::rule::Effect;

/// One request and what the policy must say to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// What the test is about; shown when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who asks.
    #[serde(rename = "as")]
    pub as_: TestCaller,
    /// `METHOD URL`, as in `GET https://api.example.com/v1/models`.
    pub request: String,
    /// What the policy must decide.
    pub expect: Effect,
    /// The rule that must decide. Leave it out to accept any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// The caller of a test: the claims of an imagined, verified token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TestCaller {
    /// The issuer; the first of the document when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The subject; `test` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}
