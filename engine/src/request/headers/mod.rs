//! Headers and query parameters that say something else than the request line: who asks, for which
//! method, path or host, and over which proxies the request came.
//!
//! One table has a row for each ([`RULES`]): what happens to it, whose it is, and where that is
//! written. `docs/operations.md` and `docs/filter.md` show it; a test compares them.
//!
//! - *Refused*: whoever sends it asks the upstream for something that no rule has seen, so removing
//!   it would do something else than was meant.
//! - *Removed*: it is what a proxy tells of its caller, and here it is the agent's own words.
//! - *Overwritten*: it is needed, but not with the agent's value.
//! - *Passed*: it is known, and stands in the table so that people read what a rule cannot see.
//!
//! A name that has no row passes. Weighed against it: a list for each purpose, as it was before,
//! which drift apart; a list of what may pass, which breaks every API with headers of its own.
//!
//! # Promises
//!
//! - Names are compared in one spelling ([`normal`]): `X_Original.URL` is `x-original-url`, because
//!   CGI and its heirs (RFC 3875 §4.1.18) make one variable of them.
//! - A name with another byte than a letter, a digit or a dash never goes upstream: what one server
//!   drops is another header to the next one.

mod reading;
mod rule;
mod table;

#[cfg(test)]
mod tests;

pub use reading::{HeadersRead, normal};
pub use rule::{Claim, Does, Name, Place, Rule};
pub use table::RULES;

pub(super) use reading::claim_of_parameter;
