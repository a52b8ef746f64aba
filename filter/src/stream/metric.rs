//! The metrics of streams, by the names that follow `chaperone.` (`docs/metrics.md` explains them).

/// Requests that reached the gate.
pub(super) const REQUESTS: &str = "requests";
/// Requests that went upstream, after a human's approval or without.
pub(super) const ALLOWED: &str = "requests_allowed";
/// Requests that policy or a human denied.
pub(super) const DENIED: &str = "requests_denied";
/// Requests refused before or instead of a verdict: identity, limits, failures.
pub(super) const REFUSED: &str = "requests_refused";
/// Requests that got a ticket instead of waiting on.
pub(super) const TICKETS: &str = "requests_ticketed";
/// Requests that were parked for a human.
pub(super) const HELD: &str = "requests_held";
/// Streams that ended early.
pub(super) const ABORTED: &str = "streams_aborted";
/// Secrets masked or blocked.
pub(super) const MASKED: &str = "masked";
/// Secrets that passed because they are only reported.
pub(super) const REPORTED: &str = "reported";
/// Requests and answers that were ended for a secret.
pub(super) const BLOCKED: &str = "blocked";
/// Streams parked for a human now (gauge).
pub(super) const HELD_STREAMS: &str = "held_streams";
/// Microseconds from a request's headers to its verdict, without waiting for anybody (histogram).
pub(super) const VERDICT_US: &str = "verdict_us";
/// Refusals and denials by code (family).
pub(super) const CODE: &str = "code.";
/// Verdicts by rule (families).
pub(super) const RULE_ALLOWED: &str = "rule_allowed.";
pub(super) const RULE_DENIED: &str = "rule_denied.";
pub(super) const RULE_APPROVE: &str = "rule_approve.";
/// Secrets masked or blocked, by detector (family).
pub(super) const DETECTOR: &str = "detector.";
/// Secrets only reported, by detector (family).
pub(super) const REPORTED_BY: &str = "reported_by.";
/// Requests and answers that were ended, by the detector that ended them (family).
pub(super) const BLOCKED_BY: &str = "blocked_by.";

/// Counters that are there from the start: an alert on a metric that does not exist yet never
/// fires.
pub(crate) const COUNTERS: &[&str] = &[
    REQUESTS, ALLOWED, DENIED, REFUSED, TICKETS, HELD, ABORTED, MASKED, REPORTED, BLOCKED,
];

/// The name of one member of a family. Dots would make levels of their own in Envoy, and Istio
/// splits names at `=` and `;`.
pub(super) fn of(family: &str, label: &str) -> String {
    let mut name = String::from(family);
    name.extend(label.chars().map(|c| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
            c
        } else {
            '_'
        }
    }));
    name
}
