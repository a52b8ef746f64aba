//! A policy made ready for requests, and its decisions.

mod compiled;
mod decision;
mod glob;
mod index;

pub use compiled::CompiledPolicy;
pub use decision::{Decision, NO_RULE_MATCHED, RequestFacts, UNKNOWN_CONNECTION};

pub(super) use glob::{Glob, Matcher, PathGlob};
