//! Nodes, key sets, connections, and the filter's configuration.

use std::collections::BTreeMap;

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::Envelope;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A bundle's place in the order of bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Serial {
    /// Policy version.
    pub policy_version: u64,
    /// Revision of the key sets under it.
    pub keys_revision: u64,
}

impl From<chaperone_engine::bundle::Serial> for Serial {
    fn from(serial: chaperone_engine::bundle::Serial) -> Self {
        Self {
            policy_version: serial.policy_version,
            keys_revision: serial.keys_revision,
        }
    }
}

impl std::fmt::Display for Serial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.policy_version, self.keys_revision)
    }
}

/// One life of one node: a filter instance in one Envoy worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Envoy's node id, or the name in the filter's configuration.
    pub name: String,
    /// The life of the VM: a restart or a crash begins another.
    pub boot: String,
    /// The filter's version, once it has reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter_version: Option<String>,
    /// The highest revision of the policy language that it reads; 1 when it does not say so.
    #[serde(default = "unreported")]
    pub reads: u32,
    /// The bundle that it enforces; absent while it has none or has not reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforced: Option<Serial>,
    /// Why it refused the last bundle, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// When it was first heard of.
    #[schema(value_type = u64)]
    pub first_seen_at: UnixMillis,
    /// When it was last heard of.
    #[schema(value_type = u64)]
    pub last_seen_at: UnixMillis,
    /// It has ended without saying goodbye: it was silent for two reports, or its connections ended
    /// and another life of the same name began.
    pub stale: bool,
    /// It said goodbye: its shutdown was orderly and everything it had was sent.
    pub closed: bool,
    /// Number of its last event that is stored.
    pub acknowledged: u64,
    /// Events stored.
    pub events: u64,
    /// Events that it did not take because its queue was full, by its own count.
    pub dropped: u64,
    /// Events that are missing: numbered by the node, never stored here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// Which lives of nodes are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct NodeFilter {
    /// `true`: every life that was ever heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<bool>,
}

/// What a node reads that does not say so; and what all nodes read of a control plane that does not
/// show it yet.
const fn unreported() -> u32 {
    chaperone_engine::policy::UNREPORTED
}

/// Missing events of one node, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// Number of the first missing event.
    pub first: u64,
    /// Number of the last missing event.
    pub last: u64,
}

/// Where a key set comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// OpenID discovery at the issuer.
    Discovery,
    /// The policy's `jwks_uri`.
    Url,
    /// The policy's `jwks`; never fetched.
    Inline,
}

/// The keys of one issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeySet {
    /// The issuer.
    pub issuer: String,
    /// Where its keys come from.
    pub source: KeySource,
    /// The URL that was fetched last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The keys, usable or not.
    pub keys: Vec<Key>,
    /// When the keys were last fetched without fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub fetched_at: Option<UnixMillis>,
    /// When fetching was last tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub attempted_at: Option<UnixMillis>,
    /// Why the last try failed; the keys before it stay in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Key id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Key type: `RSA`, `EC`, `OKP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kty: Option<String>,
    /// The algorithm that the key set binds it to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Why the gate cannot use it; absent when it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}

/// One upstream of the policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// Its name.
    pub name: String,
    /// The hosts that it answers to.
    pub hosts: Vec<String>,
    /// How requests are read into operations.
    pub protocol: String,
    /// The credential that Envoy puts in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Labels that rules match on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What to put into the template of [`FilterConfig`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FilterConfigQuery {
    /// Envoy's name for the control plane's cluster; `chaperone` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `headers` (default) or `body`: how the filter's requests are held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// `true`: with the signed bundle in force, for filters that start while this control plane is
    /// away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<bool>,
}

/// Plugin configuration of the filter, but for its two secrets: `node_token` and `fingerprint_key`
/// are to be added from the files in the control plane's data directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterConfig {
    /// Where the filter finds the control plane.
    pub control_plane: FilterConfigControlPlane,
    /// Ed25519 key that bundles are signed with, standard base64. Absent while another one waits to
    /// take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// While another one waits: the key that bundles are signed with, and that one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub public_keys: Vec<String>,
    /// `headers` or `body`.
    pub profile: String,
    /// The signed bundle in force, when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::link::Envelope>)]
    pub bundle: Option<Envelope>,
}

/// Where the filter finds the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterConfigControlPlane {
    /// Envoy's name for the cluster.
    pub cluster: String,
    /// `:authority` of the calls.
    pub authority: String,
    /// How long a call without a wait may take.
    pub timeout_ms: u64,
}
