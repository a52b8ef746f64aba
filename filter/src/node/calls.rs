//! Calls to the control plane: one way out, one way back.
//!
//! Facts of the host that this module copes with, so that nothing above it has to:
//! - Envoy makes up answers of its own (503 refused, 504 timeout) that look like real ones; only
//!   the marker header tells. An answer without it is [`Reply::None`], whatever its status says.
//! - An answer may come with no headers at all (reset in the middle).
//! - A call may get no callback ever: calls belong to a root context and die with it. So every call
//!   has a time at which it counts as unanswered, and an answer after that is nobody's.
//! - A call may be refused at once (no such cluster, no healthy host, circuit breaker full).

use std::collections::BTreeMap;

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::{MARKER, MARKER_VALUE};
use serde::Deserialize;

use super::config::Config;
use super::metrics::{Counter, Gauge, Metrics};
use crate::host::{Call, CallAnswer, CallId, ContextId, Host, HostError, Level};

/// Milliseconds after Envoy's own timeout at which a call without a callback is given up.
const OVERDUE_MS: u64 = 1_000;

/// Characters of the control plane's words that go into a log line.
const DETAIL_CHARS: usize = 300;

/// The purpose of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Long poll for policy.
    Poll,
    /// This worker's status and unknown keys.
    Report,
    /// A batch of events, by its number.
    Events(u64),
    /// A question about a request, by its number.
    Ask(u64),
    /// A watch over approvals, by its number.
    Watch(u64),
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// The control plane's 200, with its body.
    Answer(Vec<u8>),
    /// The control plane says no: the status, and whether asking again may help (RFC 9110 §15.6).
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// No answer of the control plane.
    None,
}

impl Reply {
    /// The answer's body as `T`. An answer that cannot be read is no answer: half of a body must
    /// not pass for "nothing new".
    pub(super) fn read<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        match self {
            Self::Answer(body) => serde_json::from_slice(body).ok(),
            _ => None,
        }
    }

    /// Whether the same call may fare better a moment later.
    pub(super) const fn may_recover(&self) -> bool {
        match self {
            Self::Answer(_) | Self::None => true,
            Self::Refused { status } => *status >= 500 || *status == 429,
        }
    }
}

#[derive(Debug)]
struct OpenCall {
    purpose: Purpose,
    /// The root in whose callback it was sent, and with which it goes.
    root: ContextId,
    overdue_at: UnixMillis,
}

/// Calls on their way, and whether the control plane was there the last time.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: BTreeMap<CallId, OpenCall>,
    unreachable: bool,
}

impl Calls {
    /// The purpose of a call, once. `None` for a call that is nobody's any more.
    pub(super) fn take(&mut self, call: CallId) -> Option<Purpose> {
        self.open.remove(&call).map(|open| open.purpose)
    }

    /// Calls whose callback has not come in time and is not waited for any longer.
    pub(super) fn overdue(&mut self, now: UnixMillis) -> Vec<Purpose> {
        self.take_where(|open| open.overdue_at <= now)
    }

    /// Calls that went with a root: their callbacks will never come.
    pub(super) fn lost_with(&mut self, root: ContextId) -> Vec<Purpose> {
        self.take_where(|open| open.root == root)
    }

    fn take_where(&mut self, gone: impl Fn(&OpenCall) -> bool) -> Vec<Purpose> {
        let found = self.open.iter().filter(|(_, open)| gone(open));
        let found: Vec<CallId> = found.map(|(call, _)| *call).collect();
        found
            .into_iter()
            .filter_map(|call| self.take(call))
            .collect()
    }
}

/// The means to call out, gathered for the length of one callback.
pub(super) struct Wire<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) config: &'a Config,
    pub(super) metrics: &'a Metrics,
    pub(super) calls: &'a mut Calls,
    /// By the steady clock.
    pub(super) now: UnixMillis,
    /// The root whose callback this is.
    pub(super) root: ContextId,
}

impl Wire<'_> {
    /// Sends JSON to the control plane; `wait_ms` is how long the control plane was asked to wait.
    /// `false`: the host did not take it, and no callback will come.
    pub(super) fn send(&mut self, purpose: Purpose, path: &str, body: &[u8], wait_ms: u64) -> bool {
        let plane = &self.config.control_plane;
        let timeout = plane.timeout_ms.saturating_add(wait_ms);
        let authorization = format!("Bearer {}", self.config.node_token.expose());
        let headers = [
            ("content-type", "application/json"),
            ("authorization", authorization.as_str()),
            (MARKER, MARKER_VALUE),
        ];
        let sent = self.host.call(Call {
            cluster: &plane.cluster,
            authority: &plane.authority,
            method: "POST",
            path,
            headers: &headers,
            body,
            timeout_ms: u32::try_from(timeout).unwrap_or(u32::MAX),
        });
        match sent {
            Ok(call) => {
                let overdue_at = self.now.saturating_add(timeout.saturating_add(OVERDUE_MS));
                self.calls.open.insert(
                    call,
                    OpenCall {
                        purpose,
                        root: self.root,
                        overdue_at,
                    },
                );
                true
            }
            Err(error) => {
                self.metrics.add(self.host, Counter::CallsUnanswered, 1);
                self.missed(match error {
                    HostError::NotFound => "Envoy has no such cluster",
                    _ => "Envoy has no healthy host for it or its circuit breaker is full",
                });
                false
            }
        }
    }

    /// Sorts an answer, and notes whether the control plane is there.
    pub(super) fn receive(&mut self, purpose: Purpose, answer: CallAnswer) -> Reply {
        let marked = answer.header(MARKER) == Some(MARKER_VALUE.as_bytes());
        match answer.status() {
            Some(200) if marked => {
                self.reached();
                Reply::Answer(answer.body)
            }
            Some(status) if marked => {
                self.reached();
                self.metrics.add(self.host, Counter::CallsRefused, 1);
                let said = detail(&answer.body);
                let line =
                    format!("The control plane refused a call ({purpose:?}): {status} {said}");
                self.host.log(Level::Warn, &line);
                Reply::Refused { status }
            }
            _ => {
                self.unanswered();
                Reply::None
            }
        }
    }

    /// Notes a call that was given up.
    pub(super) fn unanswered(&mut self) {
        self.metrics.add(self.host, Counter::CallsUnanswered, 1);
        self.missed("it does not answer");
    }

    fn reached(&mut self) {
        if self.calls.unreachable {
            self.calls.unreachable = false;
            self.metrics
                .add_gauge(self.host, Gauge::ControlPlaneUnreachable, -1);
            self.host
                .log(Level::Info, "The control plane answers again.");
        }
    }

    /// Logs the change only: an outage of an hour is two lines, not one per call.
    fn missed(&mut self, why: &str) {
        if !self.calls.unreachable {
            self.calls.unreachable = true;
            self.metrics
                .add_gauge(self.host, Gauge::ControlPlaneUnreachable, 1);
            let cluster = &self.config.control_plane.cluster;
            let line = format!(
                "The control plane (cluster {cluster:?}) cannot be reached: {why}. The last policy \
                 stays in force; requests that need an approval or a durable record are refused."
            );
            self.host.log(Level::Error, &line);
        }
    }
}

/// The words of a problem+json body, cut short and without control characters: they go into a log.
fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        title: Option<String>,
        detail: Option<String>,
    }
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let said = problem
        .and_then(|p| p.detail.or(p.title))
        .unwrap_or_default();
    said.chars()
        .filter(|c| !c.is_control())
        .take(DETAIL_CHARS)
        .collect()
}

/// When to try again: doubling from `base_ms` to `max_ms`, each time between half and all of it, so
/// that the workers of a fleet do not come back in step.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    base_ms: u64,
    max_ms: u64,
    failures: u32,
    dice: u64,
}

impl Backoff {
    pub(super) const fn new(base_ms: u64, max_ms: u64, seed: u64) -> Self {
        // xorshift has one fixed point, 0.
        Self {
            base_ms,
            max_ms,
            failures: 0,
            dice: seed | 1,
        }
    }

    /// Failures in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed: milliseconds until the next try.
    pub(super) fn next_ms(&mut self) -> u64 {
        let doubled = self.base_ms.saturating_mul(1_u64 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let full = doubled.min(self.max_ms);
        self.jitter(full)
    }

    /// Between half and all of `full`.
    pub(super) fn jitter(&mut self, full: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let half = full / 2;
        half.saturating_add(
            self.dice
                .checked_rem(full.saturating_sub(half).max(1))
                .unwrap_or(0),
        )
    }
}
