//! Texts of a request that are written down or shown to people: agents choose nearly all of them,
//! so none gets there unmasked.
//!
//! A secret in a path stands in the operation too, which is made of the path, and one that is
//! percent-encoded (`%5F` for `_`) is the same secret to whoever reads the record.

use std::sync::Arc;

use chaperone_engine::masking::{FingerprintKey, Plan, mask_text};
use chaperone_engine::request::decode_unreserved;
use chaperone_engine::upstreams::Operation;

/// Masks texts that are not a body.
pub(super) struct Shown {
    /// The policy's, or those for when there is none.
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) key: FingerprintKey,
}

/// Stands where nothing can be masked. Never seen: the detectors are constants that compile.
const UNSEEN: &str = "[not shown]";

impl Shown {
    /// A host, a content type, an id.
    pub(super) fn text(&self, text: &str) -> String {
        match &self.plan {
            Some(plan) => mask_text(plan, &self.key, text).0,
            None => UNSEEN.to_owned(),
        }
    }

    /// A path or a query.
    pub(super) fn encoded(&self, text: &str) -> String {
        self.text(&decode_unreserved(text))
    }

    /// An operation, attribute by attribute.
    pub(super) fn operation(&self, operation: &Operation) -> Operation {
        Operation {
            action: self.text(&operation.action),
            attributes: operation
                .attributes
                .iter()
                .map(|(name, value)| (name.clone(), self.text(value)))
                .collect(),
        }
    }
}
