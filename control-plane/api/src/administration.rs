//! The log of administration: who changed what, and who read what.

use std::collections::BTreeMap;

use chaperone_engine::base::time::UnixMillis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One act of administration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdministrativeAct {
    /// Its number: the order of the log.
    pub number: u64,
    /// When, by the control plane's clock.
    #[schema(value_type = u64)]
    pub at: UnixMillis,
    /// The subject who acted; `chaperone serve` for whoever started the control plane.
    pub by: String,
    /// The id of the API token that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// `token_made`, `token_revoked`, `record_read`, `approval_read`, `keys_refreshed`,
    /// `signing_key_prepared`, `signing_key_discarded` or `signing_key_switched`; later versions
    /// may know more.
    pub act: String,
    /// The id of the token, record, approval or key; empty where it was done to all.
    pub object: String,
    /// What else was known then: of a token its name, subject, groups and role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}
