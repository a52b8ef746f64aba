//! Policy versions.

use chaperone_engine::base::time::UnixMillis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Publishes a policy document as the next version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// The document as written: YAML, or JSON when it begins with `{`. Kept as it is.
    pub document: String,
    /// Why, for the list of versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Publish only if this is still the current version (0: none yet); otherwise 409
    /// `version_conflict`. Keeps two authors from undoing each other's work unseen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_current: Option<u64>,
    /// Publish also where live nodes cannot read the document; otherwise 409 `unreadable_by_nodes`.
    /// Those nodes refuse it, and go on with the version that they enforce.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_unreadable: bool,
}

/// Publishes the content of an earlier version under a new number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Why, for the list of versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// As in [`PublishRequest::expected_current`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_current: Option<u64>,
    /// As in [`PublishRequest::allow_unreadable`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_unreadable: bool,
}

/// One policy version: immutable, numbered, signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Its number, from 1, only rising.
    pub version: u64,
    /// SHA-256 of the document's canonical JSON, 64 hex digits: equal digests decide alike.
    pub digest: String,
    /// SHA-256 of the first bundle made of it (key sets included), which the next bundle refers to.
    pub bundle_digest: String,
    /// When it was published.
    #[schema(value_type = u64)]
    pub published_at: UnixMillis,
    /// Subject of the token that published it.
    pub published_by: String,
    /// The publisher's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The version whose content this one brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_of: Option<u64>,
    /// Whether it is the one in force.
    pub current: bool,
}

/// What publishing did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// The version in force now.
    #[serde(flatten)]
    pub version: Version,
    /// Whether the document was the current version's, byte for byte: no new version was made.
    pub unchanged: bool,
    /// The revision of the policy language that a node has to read to enforce it; 0 from a control
    /// plane that does not say so yet.
    #[serde(default)]
    pub needs_revision: u32,
    /// What does not stop publishing but should be looked at: a rule that never decides, or an
    /// issuer whose keys could not be fetched. Those about the document begin with their place in
    /// it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One policy version with its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VersionDetail {
    /// The version.
    #[serde(flatten)]
    pub version: Version,
    /// The document as it was written, comments included.
    pub document: String,
    /// The document as canonical JSON.
    #[schema(value_type = Object)]
    pub policy: serde_json::Value,
}

/// A live node that cannot take a document, or what a signing key signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeBehind {
    /// Its name, as in the list of nodes.
    pub name: String,
    /// The life of its VM.
    pub boot: String,
    /// The highest revision of the policy language that it reads.
    pub reads: u32,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyProblem {
    /// Place in the document: `rules[2].match.groups`, `tests[0]`, or `line 4, column 7`.
    pub place: String,
    /// What is wrong and what was expected.
    pub message: String,
}
