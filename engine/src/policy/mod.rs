//! May they? The policy document, its compiled form, and evaluation.
//!
//! [`parse`] (YAML or JSON, for people) and [`parse_json`] (for the filter) give a valid [`Policy`] or
//! every fault with its place. [`CompiledPolicy`] answers requests: [`decide`](CompiledPolicy::decide),
//! [`explain`](CompiledPolicy::explain), and the tests of the document,
//! [`run_tests`](CompiledPolicy::run_tests).
//!
//! # Promises
//!
//! - Nothing matched means deny. Deny beats approve beats allow, whatever the order of the rules.
//! - Nothing in a document is ignored: what is not known, not supported, repeated, empty by mistake
//!   or without effect is an error.
//! - What decides is what was validated, tested and explained: there is one way to an answer.
//! - A hundred rules cost about what ten do: rules are looked up, not scanned.

mod compiled;
mod decision;
mod detectors;
mod document;
mod error;
mod explain;
mod glob;
mod hosts;
mod index;
mod keys;
mod masking;
mod node;
mod read;
#[cfg(feature = "authoring")]
mod schema;
mod testing;
mod validate;
mod values;
mod wire;

#[cfg(test)]
mod tests;

pub use compiled::CompiledPolicy;
pub use decision::{Decision, NO_RULE_MATCHED, RequestFacts, UNKNOWN_CONNECTION};
pub use document::{
    ApiVersion, ApproveTerms, AuditLevel, Connection, Direction, Effect, MaskingAction,
    MaskingRule, Match, Policy, PolicyTest, Rule, TestCaller,
};
pub use error::{Place, PolicyError, PolicyErrors, Position};
pub use explain::{Explanation, Mismatch, RuleExplanation};
pub use keys::KeyList;
pub(crate) use masking::rules_for;
pub use masking::{MAX_KEEP, validate_masking_rule};
#[cfg(feature = "authoring")]
pub use read::{DetectorsFile, parse, parse_detectors};
pub use read::{MAX_DOCUMENT_BYTES, parse_json};
#[cfg(feature = "authoring")]
pub use schema::schema;
pub use testing::TestOutcome;
pub use validate::{MAX_CONNECTIONS, MAX_ENTRIES, MAX_HOLD, MAX_RULES, validate};
pub use values::{
    Duration, Grant, HostPattern, MAX_PATTERN_BYTES, Method, OperationPattern, PathPattern,
};
