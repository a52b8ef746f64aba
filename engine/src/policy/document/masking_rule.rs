//! Masking rules: which secrets, in which bodies, and which action.

use serde::{Deserialize, Serialize};

use super::key_list::KeyList;
use super::wire;

/// Which secrets are masked, blocked or reported, and where.
///
/// Rules add up. Where several name one detector or key, the strictest action counts (`block`, then
/// `mask`, then `report`), the smallest `keep`, and `restore` only if every rule that masks says
/// so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MaskingRule {
    /// Unique name among masking rules, written as a rule's.
    pub name: String,
    /// Detectors: `secrets/*` or `custom/*` for all, or one by name, `secrets/github-pat`. May be
    /// left out where there are `keys`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "wire::required_list"
    )]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub detectors: Vec<String>,
    /// Names of keys whose string values are secrets whatever they look like, where a format has
    /// keys: `[password, client_secret]`, or `default` for the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyList>,
    /// Which bodies.
    #[serde(deserialize_with = "wire::required_list")]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub on: Vec<Direction>,
    /// What happens to a secret.
    #[serde(default)]
    pub action: MaskingAction,
    /// How many of the secret's last characters its replacement shows, 1 to 16, and never more than
    /// a quarter of it. None when left out. Only with `action: mask`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "authoring", schemars(range(min = 1, max = 16)))]
    pub keep: Option<u8>,
    /// Whether the secret comes back where the answer repeats its replacement. Only with
    /// `on: [request]` and `action: mask`.
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
