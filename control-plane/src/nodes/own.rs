//! Which records are a node's own.

use chaperone_engine::audit::RecordId;
use chaperone_engine::link::NodeId;

/// The longest number of a stream, with the hyphen before it.
const LONGEST: usize = 32;

/// Whether `record` is one of this life of the node: a node can neither write into the records of
/// another nor spend its grants.
pub(crate) fn owns(node: &NodeId, record: &RecordId) -> bool {
    let rest = record.0.strip_prefix(node.boot.as_str());
    rest.is_some_and(|rest| {
        rest.len() <= LONGEST
            && rest
                .strip_prefix('-')
                .is_some_and(|stream| !stream.is_empty())
    })
}
