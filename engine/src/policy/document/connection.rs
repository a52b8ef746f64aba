//! The upstreams that callers may be let through to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::patterns::HostPattern;
use super::wire;
use crate::upstreams::Protocol;

/// A named upstream with its hosts and its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Connection {
    /// Unique name: 1 to 63 of `a-z A-Z 0-9 . _ -`, beginning with a letter or digit.
    pub name: String,
    /// The hosts it answers to. No host may belong to two connections.
    #[serde(deserialize_with = "wire::required_list")]
    #[cfg_attr(feature = "authoring", schemars(length(min = 1)))]
    pub hosts: Vec<HostPattern>,
    /// How requests are read into operations.
    pub protocol: Protocol,
    /// The credential that Envoy's `credential_injector` puts in place for this upstream. Chaperone
    /// records the name and does not inject the credential itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Labels that rules can match on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
