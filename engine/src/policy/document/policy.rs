//! The document as a whole.

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::masking_rule::MaskingRule;
use super::policy_test::PolicyTest;
use super::rule::Rule;
use crate::identity::Issuer;
use crate::masking::{Allow, CustomDetector};

/// A policy: who is believed, which upstreams there are, and what may be done there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The version of this format: `chaperone/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: ApiVersion,
    /// Who may vouch for callers. At least one.
    pub issuers: Vec<Issuer>,
    /// The upstreams that callers may be let through to.
    pub connections: Vec<Connection>,
    /// What is allowed, denied, or asked about. What no rule matches is denied.
    pub rules: Vec<Rule>,
    /// Detectors of the policy's own, which masking rules choose as they do the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<CustomDetector>,
    /// What none of the policy's own detectors takes for a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detectors_allow: Vec<Allow>,
    /// What happens to secrets in bodies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masking: Vec<MaskingRule>,
    /// What this policy must decide, checked before it is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PolicyTest>,
}

/// The version of the document format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
pub enum ApiVersion {
    /// The first.
    #[serde(rename = "chaperone/v1")]
    V1,
}
