//! The response's headers.

use std::sync::Arc;

use chaperone_engine::audit::EventKind;
use chaperone_engine::gate::ResponseHead;
use chaperone_engine::masking::{Content, Decoder, Encoding, Masker, Plan, Secrets};

use super::body::{Again, BodyWay, Tail};
use super::pipe::Pipe;
use super::request::{all, announces_trailers, content_of, encoding_of, has_length, is_grpc};
use super::{Around, Phase, Stream, header_values, headers};
use crate::host::{Direction, Headers, first};
use crate::node::{Profile, SessionKey};

impl Stream {
    pub(super) fn response_headers(&mut self, around: &mut Around<'_>, end: bool) {
        match self.phase {
            Phase::Open { .. } => {}
            Phase::New | Phase::Waiting(_) => {
                // Upstream was never asked: this is Envoy's own answer (a timeout, a body over its
                // limit). It ends the stream, and a verdict that comes later finds nothing to
                // release.
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
        let case = self.case.as_ref();
        let plan = case.and_then(|case| case.masking.response.clone());
        if let Some(plan) = &plan
            && let Some(detector) = self.mask_headers(around, plan, &headers)
        {
            self.block(around, &detector);
            return;
        }
        let secrets = self.to_restore(around);
        if end || (plan.is_none() && secrets.is_empty()) {
            return;
        }
        let content_type = all(&headers, "content-type");
        let content = content_of(content_type.as_deref(), self.request.path.as_deref());
        let head = ResponseHead {
            status,
            answers_head: self.request.method.as_deref() == Some("HEAD"),
            content: &content,
            encoding: encoding_of(&headers),
        };
        let encoding = match head.admit() {
            Ok(Some(encoding)) => encoding,
            Ok(None) => return,
            Err(refused) => {
                self.refuse(around, refused);
                return;
            }
        };
        headers::forward_response(around.host, &headers, encoding != Encoding::Identity);
        // What is found in the beginning can still be answered instead of it.
        let may_stop = encoding != Encoding::Identity || plan.as_ref().is_some_and(|p| p.blocks());
        let holds = may_stop && self.config.profile == Profile::Body && !begins_late(&headers);
        let tail = Tail::of(Direction::Response, announces_trailers(&headers));
        let way = self.response_way(plan, secrets, &content, encoding, tail);
        self.response_body = way.kept(self.config.limits.body_bytes, is_live(&headers));
        if holds {
            self.response_body.hold_headers(around.host.steady());
            self.look_again(around, Again::Late);
        }
    }

    fn response_way(
        &self,
        plan: Option<Arc<Plan>>,
        secrets: Secrets,
        content: &Content,
        encoding: Encoding,
        tail: Tail,
    ) -> BodyWay {
        let masker = |plan| Masker::new(plan, self.fingerprint_key(), content);
        // The detector of placeholders is fixed and compiles; were it ever not to, they stay as
        // they are.
        let longest = secrets.longest();
        let restoring = (!secrets.is_empty())
            .then(|| Plan::restoring(Arc::new(secrets)).ok())
            .flatten();
        let mut pipe = Pipe::masking(Decoder::new(encoding), plan.map(masker));
        if let Some(plan) = restoring {
            pipe = pipe.restoring(masker(Arc::new(plan)), longest);
        }
        BodyWay::new(
            Direction::Response,
            pipe,
            tail,
            self.config.limits.record_body_bytes,
        )
    }

    /// Masks secrets in the response's headers; or names the detector that blocks the response for
    /// one.
    fn mask_headers(
        &mut self,
        around: &Around<'_>,
        plan: &Arc<Plan>,
        headers: &Headers,
    ) -> Option<String> {
        let key = self.fingerprint_key();
        let masked = header_values::mask(plan, &key, headers)?;
        self.found.merge(&masked.findings);
        if masked.blocked.is_none() {
            header_values::replace(around.host, headers, &masked.values);
        }
        masked.blocked
    }

    /// The secrets that were masked in this request, and in earlier ones of the same session, and
    /// are to stand in the answer again.
    fn to_restore(&self, around: &mut Around<'_>) -> Secrets {
        let Some(case) = self.case.as_ref().filter(|case| case.masking.restores()) else {
            return Secrets::default();
        };
        let own = self.request_body.secrets();
        let own = own.cloned().unwrap_or_default();
        match SessionKey::of(&case.principal, &case.connection) {
            Some(key) => around.node.remember(key, own, around.host.steady()),
            None => own,
        }
    }
}

/// Whether whoever reads the body may want each piece at once, or trailers may follow.
fn is_live(headers: &Headers) -> bool {
    begins_late(headers) || announces_trailers(headers) || !has_length(headers)
}

/// Whether the headers are awaited before there is a body: of a stream of events, and of gRPC.
fn begins_late(headers: &Headers) -> bool {
    let events = |value: &[u8]| {
        value
            .get(..17)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"))
    };
    is_grpc(headers) || first(headers, "content-type").is_some_and(events)
}
