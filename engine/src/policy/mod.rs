//! May they? The policy document, its compiled form, and evaluation.

mod compiled;
mod document;
mod error;
mod hosts;
mod masking;
mod node;
mod read;
mod validate;
mod values;
mod wire;

pub use compiled::CompiledPolicy;
pub use document::{
    ApiVersion, ApproveTerms, AuditLevel, Connection, Direction, Effect, MaskingAction,
    MaskingRule, Match, Policy, PolicyTest, Rule, TestCaller,
};
pub use error::{Place, PolicyError, PolicyErrors, Position};
#[cfg(feature = "authoring")]
pub use read::parse;
pub use read::{MAX_DOCUMENT_BYTES, parse_json};
pub use validate::{MAX_CONNECTIONS, MAX_ENTRIES, MAX_RULES, validate};
pub use values::{
    Duration, Grant, HostPattern, MAX_PATTERN_BYTES, Method, OperationPattern, PathPattern,
};

#[cfg(test)]
mod tests;
