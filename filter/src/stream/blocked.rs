//! Bodies that must not go on: the answer to their reader, and the end of the stream.
//!
//! | | nothing has left | something has |
//! |---|---|---|
//! | request | 403; 415 if its encoding breaks off, 413 if too much becomes of it | the same; upstream sees half a request, which breaks off |
//! | response | 403, or 502 | the body's own error event where it has one, then the end; else the stream breaks off |
//!
//! A response that is ended with an error event is not reset at once: bytes on their way to the
//! agent would be lost with it. All that upstream still sends is dropped, and if the response has
//! not ended by itself after [`GRACE_MS`], the stream is reset then.

use chaperone_engine::gate::{Code, Refused};

use super::body::Stop;
use super::{Around, Phase, Stream, metric};
use crate::host::Direction;

/// Milliseconds that an agent has to read why its answer ended.
const GRACE_MS: u64 = 1_000;

impl Stream {
    /// Ends the stream because of its body.
    pub(super) fn stop(&mut self, around: &mut Around<'_>, direction: Direction, stop: Stop) {
        match (stop, direction) {
            (Stop::Lost, _) => self.break_off(around),
            (Stop::TooLarge, _) => {
                let limit = self.config.limits.body_bytes;
                self.refuse(around, Refused::too_large(limit));
            }
            (Stop::Unreadable(error), _) => {
                self.end_for(around, direction, Refused::undecodable(direction, error));
            }
            (Stop::Expanded, _) => self.end_for(around, direction, Refused::expanded(direction)),
            (Stop::Blocked | Stop::Told, _) => {
                let blocked = self.way(direction).blocked();
                let detector = blocked.map(|blocked| blocked.detector.clone());
                let detector = detector.unwrap_or_default();
                if self.can_answer(direction) {
                    self.block(around, &detector);
                    return;
                }
                self.count_blocked(around, &detector);
                if stop == Stop::Told {
                    let until = around.host.steady().saturating_add(GRACE_MS);
                    around.node.end_later(self.id, until);
                } else {
                    self.break_off(around);
                }
            }
        }
    }

    /// Refuses, or breaks off what cannot be answered any more.
    fn end_for(&mut self, around: &mut Around<'_>, direction: Direction, refused: Refused) {
        if self.can_answer(direction) {
            self.refuse(around, refused);
        } else {
            let code = refused.code;
            let metrics = around.node.metrics();
            metrics.count(around.host, &metric::of(metric::CODE, code.as_str()), 1);
            self.ended_for = Some(code);
            self.break_off(around);
        }
    }

    /// Answers that a secret was found which policy does not let pass.
    pub(super) fn block(&mut self, around: &mut Around<'_>, detector: &str) {
        self.count_blocked(around, detector);
        self.refuse(around, Refused::secret(detector));
    }

    fn count_blocked(&mut self, around: &mut Around<'_>, detector: &str) {
        let metrics = around.node.metrics();
        metrics.count(around.host, metric::BLOCKED, 1);
        metrics.count(around.host, &metric::of(metric::BLOCKED_BY, detector), 1);
        self.blocked = Some(detector.to_owned());
        if self.is_open() {
            self.ended_for = Some(Code::SecretBlocked);
        }
    }

    /// Whether the agent can still be given an answer of ours instead of upstream's.
    fn can_answer(&self, direction: Direction) -> bool {
        match (direction, &self.phase) {
            (_, Phase::Waiting(_)) => true,
            (Direction::Request, Phase::Open { .. }) => self.status.is_none(),
            (Direction::Response, Phase::Open { .. }) => self.response_body.holds_headers(),
            _ => false,
        }
    }
}
