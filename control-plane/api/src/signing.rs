//! The key that bundles are signed with, and the one that takes its place.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::NodeBehind;

/// The signing keys of the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningKeys {
    /// The one that signs.
    pub current: SigningKey,
    /// The one that waits to take its place; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<SigningKey>,
}

/// One signing key. Its secret half never leaves the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningKey {
    /// Its name: the beginning of the SHA-256 of the public key.
    pub id: String,
    /// What filters pin: an Ed25519 public key, standard base64.
    pub public_key: String,
    /// Live nodes that do not pin it. At most 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unpinned_by: Vec<NodeBehind>,
}

/// Lets the next key sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    /// The id of the next key, so that nobody switches to one that they have not looked at.
    pub key: String,
    /// Switches although live nodes do not pin that key: they refuse every bundle from then on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_unpinned: bool,
}
