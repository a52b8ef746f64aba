//! The end of a stream: its record is closed.

use std::collections::BTreeMap;

use chaperone_engine::audit::{AbortCause, EventKind, Timings};

use super::{Around, Phase, Stream, metric};
use crate::host::{Direction, Host};

/// Envoy's response flags (`CoreResponseFlag`, one bit each) that say that upstream failed: no
/// healthy host, timeout, local or remote reset, connection failure or termination, overflow, no
/// route, retries used up, stream too long, protocol broken, no cluster, name not resolved.
const UPSTREAM_FAILED: u64 =
    (0b1111_1111 << 1) | (1 << 15) | (1 << 19) | (1 << 23) | (1 << 24) | (1 << 26);
/// The downstream connection ended, broke the protocol, or reset the stream.
const DOWNSTREAM_FAILED: u64 = (1 << 14) | (1 << 18) | (1 << 28);

impl Stream {
    /// Closes the record. Comes once, at the end, perhaps without any callback before.
    pub fn log(&mut self, around: &mut Around<'_>) {
        self.leave_waiting(around);
        if self.is_timed {
            around.node.cancel(self.id);
        }
        if self.kept > 0 {
            around.node.keep(self.kept, 0);
        }
        let host = around.host;
        let status = self.status.or_else(|| status_of(host)).unwrap_or(0);
        if self.record.is_none() {
            self.begin_unseen(around, status);
        }
        if self.is_counted {
            return;
        }
        for direction in [Direction::Request, Direction::Response] {
            if let Some(event) = self.way(direction).end_record() {
                self.note(around, event);
            }
        }
        let timings = self.timings(host);
        let metrics = around.node.metrics();
        let kinds = [
            (&timings.masked, metric::MASKED, metric::DETECTOR),
            (&timings.reported, metric::REPORTED, metric::REPORTED_BY),
        ];
        for (found, all, family) in kinds {
            for (detector, count) in found {
                metrics.count(host, all, *count);
                metrics.count(host, &metric::of(family, detector), *count);
            }
        }
        let event = match self.abort_cause(host) {
            None => EventKind::Completed { status, timings },
            Some(cause) => {
                metrics.count(host, metric::ABORTED, 1);
                EventKind::Aborted { cause, timings }
            }
        };
        self.note(around, event);
    }

    fn timings(&self, host: &dyn Host) -> Timings {
        let mut found = self.found.clone();
        for way in [&self.request_body, &self.response_body] {
            if let Some(findings) = way.findings() {
                found.merge(findings);
            }
        }
        let (mut masked, mut reported) = (BTreeMap::new(), BTreeMap::new());
        for (detector, finding) in found.iter() {
            let kinds = [
                (&mut masked, finding.count),
                (&mut reported, finding.reported),
            ];
            for (kind, count) in kinds {
                if count > 0 {
                    kind.insert(detector.to_owned(), count);
                }
            }
        }
        Timings {
            decided_ms: self.decided_ms,
            first_byte_ms: self.first_byte_ms,
            total_ms: self.elapsed(host),
            request_bytes: if self.went_on {
                self.request_body.sent
            } else {
                0
            },
            response_bytes: self.response_body.sent,
            masked,
            reported,
            blocked: self.blocked.clone(),
            refused: self.ended_for.map(|code| code.as_str().to_owned()),
        }
    }

    /// Who ended the stream early; nothing when it ended as HTTP says it should.
    fn abort_cause(&self, host: &dyn Host) -> Option<AbortCause> {
        if matches!(self.phase, Phase::Answered { .. }) {
            return None;
        }
        if matches!(self.phase, Phase::Broken) {
            return Some(AbortCause::Filter);
        }
        let ended = self.response_body.ended && matches!(self.phase, Phase::Open { .. });
        // Looking a property up is among the dearest host calls; a good answer that ended needs
        // none.
        if ended && self.status.is_some_and(|status| status < 500) {
            return None;
        }
        let flags = host
            .property(&["response", "flags"])
            .and_then(|bytes| Some(u64::from_le_bytes(bytes.as_slice().try_into().ok()?)))
            .unwrap_or(0);
        if flags & UPSTREAM_FAILED != 0 {
            return Some(AbortCause::Upstream);
        }
        if ended {
            return None;
        }
        if flags & DOWNSTREAM_FAILED != 0 {
            return Some(AbortCause::Downstream);
        }
        Some(AbortCause::Unknown)
    }
}

fn status_of(host: &dyn Host) -> Option<u16> {
    let bytes = host.property(&["response", "code"])?;
    let code = u64::from_le_bytes(bytes.as_slice().try_into().ok()?);
    u16::try_from(code).ok()
}
