//! The policy document. A security engineer writes one for each policy version.
//!
//! Reading it with [`parse`](super::parse) or [`parse_json`](super::parse_json) gives errors that
//! name the place. Serializing gives JSON that is the same for equal documents: fields stand in the
//! order of the types, maps are sorted, and a field at its default is not written.
//!
//! Planned, and refused until then: `when:` (a CEL condition) and `mode: shadow`, both on
//! [`Rule`], the latter also on [`Policy`].

mod connection;
mod duration;
mod invalid_value;
mod key_list;
mod masking_rule;
mod patterns;
mod policy;
mod policy_test;
mod rule;
#[cfg(feature = "authoring")]
mod schema;
mod wire;

pub use connection::Connection;
pub use duration::{Duration, Grant};
pub use invalid_value::InvalidValue;
pub use key_list::KeyList;
pub use masking_rule::{Direction, MaskingAction, MaskingRule};
pub use patterns::{HostPattern, MAX_PATTERN_BYTES, Method, OperationPattern, PathPattern};
pub use policy::{ApiVersion, Policy};
pub use policy_test::{PolicyTest, TestCaller};
pub use rule::{ApproveTerms, AuditLevel, Effect, Match, Rule};
#[cfg(feature = "authoring")]
pub use schema::schema;
