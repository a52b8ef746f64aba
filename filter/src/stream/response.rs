//! The response's headers.

use chaperone_engine::audit::EventKind;
use chaperone_engine::gate::Code;
use chaperone_engine::masking::{Content, Masker};

use super::body::{BodyWay, Tail};
use super::request::{announces_trailers, is_readable};
use super::{Around, Flow, Phase, Stream, headers};
use crate::host::{Direction, first};

impl Stream {
    pub(super) fn response_headers(&mut self, around: &mut Around<'_>, end: bool) {
        match self.phase {
            Phase::Open { .. } => {}
            Phase::New | Phase::Waiting(_) => {
                // Upstream was never asked: this is Envoy's own answer (a timeout, a body over its
                // limit). It ends the stream, and a verdict that comes later finds nothing to release.
                self.leave_waiting(around);
                self.phase = Phase::Overtaken;
                return;
            }
            Phase::Answered { .. } => {
                self.phase = Phase::Answered { passing: true };
                return;
            }
            Phase::Overtaken | Phase::Broken => return,
        }
        let headers = around.host.headers(Direction::Response);
        let status = first(&headers, ":status")
            .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok())
            .unwrap_or(0_u16);
        self.status = Some(status);
        self.first_byte_ms = Some(self.elapsed(around.host));
        self.note(around, EventKind::ResponseStarted { status });
        self.response_body.ended = end;
        if matches!(self.phase, Phase::Open { tunnel: true }) {
            return;
        }
        // RFC 9110 §6.4.1: these have no body whatever their headers say.
        let bodiless =
            end || matches!(status, 204 | 304) || self.request.method.as_deref() == Some("HEAD");
        let Some(set) = self.masking(Direction::Response).filter(|_| !bodiless) else {
            return;
        };
        if !is_readable(&headers) {
            self.refuse(
                around,
                Code::UnreadableEncoding,
                "The upstream encoded its response although it was asked not to, and what cannot be \
                 read cannot be masked."
                    .to_owned(),
            );
            return;
        }
        if status == 206 {
            // No range was asked for: it was taken out of the request, because a secret that a range
            // cuts in two is a secret in neither half.
            self.refuse(
                around,
                Code::UnreadableEncoding,
                "The upstream sent a part that nobody asked for, and a part cannot be masked."
                    .to_owned(),
            );
            return;
        }
        headers::forward_response(around.host, &headers);
        let tail = Tail::of(Direction::Response, announces_trailers(&headers));
        self.response_body = BodyWay::new(
            Direction::Response,
            Some(Masker::new(set, self.fingerprint_key(), &Content::text())),
            tail,
            self.config.limits.record_body_bytes,
        );
        self.response_flow = Flow::Continue;
    }
}
