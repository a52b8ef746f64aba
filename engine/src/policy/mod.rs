//! May they? The policy document, its compiled form, and evaluation.
//!
//! [`parse`] (YAML or JSON, for people) and [`parse_json`] (for the filter) give a valid [`Policy`]
//! or every fault with its place; [`parse_draft`] says besides what was probably not meant.
//! [`CompiledPolicy`] answers requests: [`decide`](CompiledPolicy::decide),
//! [`explain`](CompiledPolicy::explain), and the tests of the document,
//! [`run_tests`](CompiledPolicy::run_tests).
//!
//! # Promises
//!
//! - Nothing matched means deny. Deny beats approve beats allow, whatever the order of the rules.
//! - Nothing in a document is ignored: a key that is not known, not supported, repeated, empty by
//!   mistake or without effect is an error.
//! - There is one way to a decision. Validating, testing and explaining take the same way as
//!   requests.
//! - A hundred rules cost about as much as ten: rules are looked up, not scanned.

mod check;
mod decide;
mod document;
mod error;
mod explain;
mod expression_like;
mod hosts;
mod language;
mod place;
mod read;
#[cfg(feature = "authoring")]
mod review;
mod testing;
mod unread;
mod wording;
mod written_request;

#[cfg(test)]
mod tests;

pub(crate) use check::rules_for;
pub use check::{
    MAX_CONNECTIONS, MAX_ENTRIES, MAX_HOLD, MAX_RULES, validate, validate_masking_rule,
};
pub use decide::{CompiledPolicy, Decision, NO_RULE_MATCHED, RequestFacts, UNKNOWN_CONNECTION};
#[cfg(feature = "authoring")]
pub use document::schema;
pub use document::{
    ApiVersion, ApproveTerms, AuditLevel, Connection, Direction, Duration, Effect, Grant,
    HostPattern, InvalidValue, KeyList, MAX_PATTERN_BYTES, MaskingAction, MaskingRule, Match,
    Method, OperationPattern, PathPattern, Policy, PolicyTest, Rule, TestCaller,
};
pub use error::{Place, PolicyError, PolicyErrors, Position};
pub use explain::{Explanation, Mismatch, RuleExplanation};
#[cfg(test)]
pub(crate) use language::places as language_places;
pub use language::{Needs, REVISION, UNREPORTED, needs};
#[cfg(feature = "authoring")]
pub use read::{DetectorsFile, Draft, parse, parse_detectors, parse_draft, parse_published};
pub use read::{MAX_DOCUMENT_BYTES, parse_json};
pub use testing::TestOutcome;
pub use written_request::UnreadableRequest;
