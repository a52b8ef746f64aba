//! The policy document: what a security engineer writes, one document per policy version.
//!
//! Reading it with [`parse`](super::parse) or [`parse_json`](super::parse_json) gives errors that
//! name the place. Serializing gives JSON that is the same for equal documents: fields in the order
//! below, maps sorted, what is left out or at its default not written.
//!
//! Planned, and refused until then: `when:` (a CEL condition) and `mode: shadow`, both on
//! [`Rule`], the latter also on [`Policy`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::keys::KeyList;
use super::values::{Duration, Grant, HostPattern, Method, OperationPattern, PathPattern};
use super::wire;
use crate::identity::Issuer;
use crate::masking::{Allow, CustomDetector};
use crate::upstreams::Protocol;

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

/// A named upstream with its hosts and its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Unique name: 1 to 63 of `a-z A-Z 0-9 . _ -`, beginning with a letter or digit.
    pub name: String,
    /// The hosts it answers to. No host may belong to two connections.
    #[serde(deserialize_with = "wire::non_empty_list")]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub hosts: Vec<HostPattern>,
    /// How requests are read into operations.
    pub protocol: Protocol,
    /// The credential that Envoy's `credential_injector` puts in place for this upstream. Chaperone
    /// records the name and does not inject the credential itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Labels that rules can match on.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "wire::unique_map"
    )]
    pub labels: BTreeMap<String, String>,
}

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
    #[serde(deserialize_with = "wire::non_empty_list")]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub by: Vec<String>,
    /// How many different people must approve, 1 to 10.
    #[serde(default = "ApproveTerms::default_count")]
    #[cfg_attr(feature = "authoring", schemars(range(min = 1, max = 10)))]
    pub count: u32,
    /// How long the request itself waits before its caller gets a ticket, at most `4m`: Envoy ends a
    /// silent stream after five minutes. `0s` gives the ticket at once.
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
    const fn default_hold() -> Duration {
        Duration::from_secs(60)
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

/// Which secrets are masked, blocked or reported, and where.
///
/// Rules add up. Where several name one detector or key, the strictest action counts (`block`, then
/// `mask`, then `report`), the smallest `keep`, and `restore` only if every rule that masks says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MaskingRule {
    /// Unique name among masking rules, written as a rule's.
    pub name: String,
    /// Detectors: `secrets/*` or `custom/*` for all, or one by name, `secrets/github-pat`. May be left out
    /// where there are `keys`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub detectors: Vec<String>,
    /// Names of keys whose string values are secrets whatever they look like, where a format has keys:
    /// `[password, client_secret]`, or `default` for the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyList>,
    /// Which bodies.
    #[serde(deserialize_with = "wire::non_empty_list")]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub on: Vec<Direction>,
    /// What happens to a secret.
    #[serde(default)]
    pub action: MaskingAction,
    /// How many of the secret's last characters its replacement shows, 1 to 16, and never more than a quarter of
    /// it. None when left out. Only with `action: mask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "authoring", schemars(range(min = 1, max = 16)))]
    pub keep: Option<u8>,
    /// Whether the secret comes back where the answer repeats its replacement. Only with `on: [request]` and
    /// `action: mask`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restore: bool,
    /// Only on these connections; everywhere when left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "wire::some_non_empty_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(extend("minItems" = 1)))]
    pub connections: Option<Vec<String>>,
}

/// A body's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the agent to the upstream.
    Request,
    /// From the upstream to the agent.
    Response,
}

/// What happens to a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MaskingAction {
    /// It is replaced by `[masked:detector:fingerprint]`.
    #[default]
    Mask,
    /// The request is refused, or the stream ends before it.
    Block,
    /// It passes and is counted.
    Report,
}

impl MaskingAction {
    /// As it stands in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Block => "block",
            Self::Report => "report",
        }
    }
}

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
