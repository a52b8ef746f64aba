//! Rules: their matches, their effects, and the terms of approval.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::duration::{Duration, Grant};
use super::patterns::{HostPattern, Method, OperationPattern, PathPattern};
use super::wire;

/// One rule: what it matches and what happens then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Unique name: 1 to 63 of `a-z A-Z 0-9 . _ -`, beginning with a letter or digit. It appears in
    /// the answer, in the record and in metrics.
    pub name: String,
    /// Which requests it is about.
    pub r#match: Match,
    /// What happens to them.
    pub effect: Effect,
    /// Who may approve, and how. Required with `effect: approve`, refused otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<ApproveTerms>,
    /// Why, in words for the caller. One line, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the request may go on when it cannot be recorded.
    #[serde(default, skip_serializing_if = "AuditLevel::is_normal")]
    pub audit: AuditLevel,
}

impl Rule {
    /// The reason of the document, or a generated one that names the rule.
    pub fn reason_text(&self) -> Cow<'_, str> {
        match (&self.reason, self.effect) {
            (Some(reason), _) => Cow::Borrowed(reason),
            (None, Effect::Allow) => format!("Allowed by rule {}.", self.name).into(),
            (None, Effect::Deny) => format!("Denied by rule {}.", self.name).into(),
            (None, Effect::Approve) => format!("Rule {} asks for approval.", self.name).into(),
        }
    }
}

/// What a rule matches. A dimension that is left out matches anything; within a list one entry
/// suffices; all dimensions that are given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// `true` says that the rule is meant to match every request. Only alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any: bool,
    /// Names of connections.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub connections: Vec<String>,
    /// Labels that the connection must carry, all of them.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "wire::non_empty_map"
    )]
    #[cfg_attr(feature = "authoring", schemars(extend("minProperties" = 1)))]
    pub labels: BTreeMap<String, String>,
    /// Issuers, exactly as under `issuers`. With several issuers, subjects and groups of one may be
    /// names that another gives to somebody else.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub issuers: Vec<String>,
    /// Subjects of tokens, exactly.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub subjects: Vec<String>,
    /// Groups, exactly. The caller must be in one of them.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub groups: Vec<String>,
    /// Agents (the claim that the issuer's `claims.agent` names), exactly.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub agents: Vec<String>,
    /// HTTP methods, in upper case.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub methods: Vec<Method>,
    /// Hosts, as `api.example.com` or `*.example.com`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub hosts: Vec<HostPattern>,
    /// Paths: `*` within a segment, `**` across segments.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub paths: Vec<PathPattern>,
    /// Operations in the upstream's own terms: `*` for any run of characters, case ignored.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub operations: Vec<OperationPattern>,
}

impl Match {
    /// Whether no dimension is given, so that every request matches.
    pub fn is_unrestricted(&self) -> bool {
        *self
            == Self {
                any: self.any,
                ..Self::default()
            }
    }

    /// Whether it is about a connection, as far as names and labels go.
    pub(in crate::policy) fn is_about(&self, connection: &Connection) -> bool {
        (self.connections.is_empty() || self.connections.contains(&connection.name))
            && self
                .labels
                .iter()
                .all(|(key, value)| connection.labels.get(key) == Some(value))
    }
}

/// What a rule does. Effects combine without order: deny beats approve beats allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The request goes through.
    Allow,
    /// The request waits until people approve it.
    Approve,
    /// The request is refused.
    Deny,
}

impl Effect {
    /// All effects.
    pub const ALL: &'static [Self] = &[Self::Allow, Self::Approve, Self::Deny];

    /// The effects, the strongest first: the first one that a matching rule has, wins.
    pub const STRONGEST_FIRST: [Self; 3] = [Self::Deny, Self::Approve, Self::Allow];

    /// As it stands in documents, records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may approve, how long a request waits, and what an approval gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApproveTerms {
    /// Groups whose members may approve. At least one.
    #[serde(deserialize_with = "wire::required_list")]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub by: Vec<String>,
    /// How many different people must approve, 1 to 10.
    #[serde(default = "ApproveTerms::default_count")]
    #[cfg_attr(feature = "authoring", schemars(range(min = 1, max = 10)))]
    pub count: u32,
    /// How long the request itself waits before its caller gets a ticket, at most `4m`: Envoy ends
    /// a silent stream after five minutes. `0s` gives the ticket at once. Some clients wait no
    /// longer than 60 s.
    #[serde(default = "ApproveTerms::default_hold")]
    pub hold: Duration,
    /// How long the question stays open, `hold` at least and `7d` at most. Silence denies.
    #[serde(default = "ApproveTerms::default_expires")]
    pub expires: Duration,
    /// What an approval gives: `once`, or a window such as `30m`, at most `30d`.
    #[serde(default = "ApproveTerms::default_grant")]
    pub grant: Grant,
}

impl ApproveTerms {
    const fn default_count() -> u32 {
        1
    }
    /// Less than the 60 s after which the official SDK of MCP and Gemini's command line give up:
    /// who has given up sees neither the ticket nor the answer.
    const fn default_hold() -> Duration {
        Duration::from_secs(45)
    }
    const fn default_expires() -> Duration {
        Duration::from_secs(3600)
    }
    const fn default_grant() -> Grant {
        Grant::Once
    }

    /// One approval by a member of `by`, with the defaults of the document.
    pub fn by<I: IntoIterator<Item = S>, S: Into<String>>(by: I) -> Self {
        Self {
            by: by.into_iter().map(Into::into).collect(),
            count: Self::default_count(),
            hold: Self::default_hold(),
            expires: Self::default_expires(),
            grant: Self::default_grant(),
        }
    }
}

/// Whether a request may go on when it cannot be recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditLevel {
    /// Recorded in the background.
    #[default]
    Normal,
    /// The received event is durable before the upstream is contacted; refused when it cannot be.
    Required,
}

impl AuditLevel {
    fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}
