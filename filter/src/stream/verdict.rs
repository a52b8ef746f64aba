//! From the request's headers to the verdict, and what a verdict does.

use std::rc::Rc;
use std::sync::Arc;

use chaperone_engine::audit::{ApprovalOutcome, EventKind, RequestLine};
use chaperone_engine::gate::{Code, Gate, Routed};
use chaperone_engine::identity::Principal;
use chaperone_engine::masking::{Content, Decoder, Encoding, Masker, Plan};
use chaperone_engine::policy::Effect;
use chaperone_engine::request::{decode_unreserved, host_of};
use chaperone_engine::upstreams::Operation;

use super::body::{BodyWay, Tail};
use super::close::split_target;
use super::pipe::Pipe;
use super::request::{Request, content_of};
use super::{Around, Case, Phase, Stream, Waiting, headers, metric};
use crate::crypto::EnvoyVerifier;
use crate::host::{Direction, Headers};
use crate::node::{AuditFull, Profile};

/// Route metadata that names the connection.
const PINNED: &[&str] = &[
    "xds",
    "route_metadata",
    "filter_metadata",
    "chaperone",
    "connection",
];

/// A request that will not go on, and why.
pub(super) struct Refusal {
    code: Code,
    detail: String,
}

impl Refusal {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl Stream {
    pub(super) fn request_headers(&mut self, around: &mut Around<'_>, end: bool) {
        if !matches!(self.phase, Phase::New) {
            return;
        }
        let started = around.host.micros();
        let host = around.host;
        let headers = host.headers(Direction::Request);
        self.request = Request::read(&headers);
        self.request_body.ended = end;
        around.node.metrics().count(host, metric::REQUESTS, 1);
        if let Err(AuditFull) = around.node.may_record() {
            self.refuse(
                around,
                Code::AuditFull,
                "Records wait to be stored and there is no room for more; try again shortly."
                    .to_owned(),
            );
            return;
        }
        let record = around.node.open_record();
        host.annotate("chaperone_record", record.0.as_bytes());
        self.record = Some(record);
        // The connection's own state comes first: whoever is not known learns nothing about policy.
        let decided = self.decide(around);
        // A token is not kept beyond the question that it answers.
        self.request.authorization = Vec::new();
        match decided {
            Ok(()) => self.carry_out(around, &headers, end),
            Err(refusal) => self.refuse(around, refusal.code, refusal.detail),
        }
        let took = host.micros().saturating_sub(started);
        around
            .node
            .metrics()
            .observe(host, metric::VERDICT_US, took);
    }

    /// Asks the engine, and records what came.
    fn decide(&mut self, around: &mut Around<'_>) -> Result<(), Refusal> {
        let Some(gate) = around.node.gate() else {
            let refusal = Refusal::new(
                Code::NoPolicy,
                "The gate has not received a policy yet; try again shortly.",
            );
            self.received(around, None);
            return Err(refusal);
        };
        let version = Some(gate.serial().policy_version);
        let values: Vec<&[u8]> = self
            .request
            .authorization
            .iter()
            .map(Vec::as_slice)
            .collect();
        let crypto = EnvoyVerifier(around.host);
        let token = match around.node.identify(around.host, &gate, &values, &crypto) {
            Ok(token) => token,
            Err(refusal) => {
                self.received(around, version);
                return Err(Refusal::new(Code::Identity(refusal.code), refusal.detail));
            }
        };
        let principal = token.principal().clone();
        let routed = match self.route(around, &gate) {
            Ok(routed) => routed,
            Err(refusal) => {
                let line = self.line(around);
                self.received_from(around, line, Some(principal), None, version);
                return Err(refusal);
            }
        };
        let decision = gate.decide(&principal, &routed);
        let line = self.line(around);
        let connection = routed.connection.name.clone();
        let operation = self.shown(around).operation(&routed.operation);
        let host_name = routed.host.clone();
        let reached = Some((connection.clone(), operation.clone()));
        let received_seq = self.received_from(
            around,
            line.clone(),
            Some(principal.clone()),
            reached,
            version,
        );
        let (path, query) = split_target(self.request.path.as_deref().unwrap_or(""));
        self.case = Some(Case {
            principal,
            connection,
            operation,
            decision,
            line,
            host_name,
            target: (path.to_owned(), query.map(str::to_owned)),
            received_seq,
            asked: None,
            approval: None,
            granted: None,
            hold_until: self.began,
            unseen_body: false,
            gate: Rc::clone(&gate),
        });
        Ok(())
    }

    fn route<'g>(&self, around: &Around<'_>, gate: &'g Gate) -> Result<Routed<'g>, Refusal> {
        if self.request.overrides_method {
            return Err(Refusal::new(
                Code::MethodOverride,
                "A header overrides the method; send the request with the method that is meant.",
            ));
        }
        if self.request.overrides_path {
            return Err(Refusal::new(
                Code::AmbiguousPath,
                "A header names another path; send the request to the path that is meant.",
            ));
        }
        let unreadable = |what: &str| {
            Refusal::new(
                Code::InvalidHeaders,
                format!("{what} is missing or no readable text."),
            )
        };
        let authority = self
            .request
            .authority
            .as_deref()
            .ok_or_else(|| unreadable("The host"))?;
        let method = self
            .request
            .method
            .as_deref()
            .ok_or_else(|| unreadable("The method"))?;
        let path = self
            .request
            .path
            .as_deref()
            .ok_or_else(|| unreadable("The path"))?;
        let pinned = if self.config.connection_from_route {
            // A route without the metadata must not fall back to the host, which the agent chooses.
            let name = around
                .host
                .property(PINNED)
                .and_then(|name| String::from_utf8(name).ok());
            Some(name.ok_or_else(|| {
                Refusal::new(
                    Code::UnknownConnection,
                    "No connection has this host: Envoy's route for it names none (metadata chaperone.connection).",
                )
            })?)
        } else {
            None
        };
        gate.route(pinned.as_deref(), authority, method, path)
            .map_err(|refused| Refusal::new(refused.code, refused.detail))
    }

    /// The request as it is recorded: masked.
    fn line(&self, around: &Around<'_>) -> RequestLine {
        let shown = self.shown(around);
        let (path, query) = split_target(self.request.path.as_deref().unwrap_or(""));
        RequestLine {
            method: self
                .request
                .method
                .as_deref()
                .unwrap_or("")
                .chars()
                .take(32)
                .collect(),
            host: self
                .request
                .authority
                .as_deref()
                .and_then(|a| host_of(a).ok())
                .map(|host| shown.text(&host))
                .unwrap_or_default(),
            path: shown.encoded(path),
            query: query.map(|query| shown.encoded(query)),
        }
    }

    fn received(&self, around: &mut Around<'_>, version: Option<u64>) {
        let line = self.line(around);
        self.received_from(around, line, None, None, version);
    }

    /// Records that the request arrived; gives the event's number, 0 when it was not taken.
    fn received_from(
        &self,
        around: &mut Around<'_>,
        request: RequestLine,
        principal: Option<Principal>,
        reached: Option<(String, Operation)>,
        policy_version: Option<u64>,
    ) -> u64 {
        let Some(record) = &self.record else { return 0 };
        let (connection, operation) = reached.unzip();
        let shown = self.shown(around);
        let request_id = self.request.request_id.as_deref();
        let request_id = request_id.map(|id| shown.text(id));
        let event = EventKind::Received {
            request,
            principal,
            connection,
            operation,
            policy_version,
            request_id,
        };
        around.node.record(around.host, record, event).unwrap_or(0)
    }

    /// Does what the decision says, as far as that is possible now.
    fn carry_out(&mut self, around: &mut Around<'_>, headers: &Headers, end: bool) {
        let Some(case) = &self.case else { return };
        let effect = case.decision.effect;
        if effect == Effect::Deny {
            if let Some(rule) = case.rule() {
                let name = metric::of(metric::RULE_DENIED, &rule);
                around.node.metrics().count(around.host, &name, 1);
            }
            let detail = match &case.decision.rule {
                Some(_) => format!("The policy denies this request: {}", case.decision.reason),
                None => "No rule of the policy allows this request.".to_owned(),
            };
            self.refuse(around, Code::Denied, detail);
            return;
        }
        let plan = self.masking(Direction::Request);
        let masks = plan.is_some() || self.masking(Direction::Response).is_some();
        if self.request.is_upgrade && (masks || effect != Effect::Allow) {
            self.refuse(
                around,
                Code::UpgradeNotSupported,
                "An upgraded connection carries bytes that cannot be masked or held.".to_owned(),
            );
            return;
        }
        if plan.is_some() && !end && !self.request.is_readable() {
            self.refuse(
                around,
                Code::UnreadableRequest,
                "Send the body in UTF-8 or another character set with ASCII in it, and without content-encoding or with \
                 gzip or deflate: what cannot be read cannot be masked."
                    .to_owned(),
            );
            return;
        }
        let blocks = plan.as_ref().is_some_and(|plan| plan.blocks());
        if let Some(plan) = plan.as_ref().filter(|_| blocks)
            && let Some(detector) = self.blocked_in_target(plan)
        {
            self.block(around, &detector);
            return;
        }
        self.request_body = self.request_way(plan, end);
        self.prepare_headers(around, headers, end);
        let sees_body = self.config.profile == Profile::Body && !end;
        match effect {
            Effect::Approve if sees_body => {
                self.phase = Phase::Waiting(Waiting::Body);
            }
            // Nothing leaves before all was looked at; but a gRPC stream may wait for an answer first.
            Effect::Allow if sees_body && blocks && !self.request.is_grpc => {
                self.phase = Phase::Waiting(Waiting::Body);
            }
            Effect::Approve => self.ask(around, if end { Some(Vec::new()) } else { None }),
            _ => self.let_through(around, None, false),
        }
    }

    /// Changes the headers while they may be changed. A request that is refused later never leaves,
    /// so this does no harm before the verdict, and after it the headers may be out of reach.
    fn prepare_headers(&self, around: &Around<'_>, headers: &Headers, end: bool) {
        let changes = headers::Changes {
            masks: self.request_body.changes() && !end,
            decodes: self.request_body.decodes(),
        };
        headers::forward_request(
            around.host,
            headers,
            changes,
            self.changes_response(),
            self.request.is_grpc,
        );
    }

    /// What the request's body goes through.
    fn request_way(&self, plan: Option<Arc<Plan>>, end: bool) -> BodyWay {
        let request = &self.request;
        let content = content_of(request.content_type.as_deref(), request.path.as_deref());
        let masker = plan.map(|plan| Masker::new(plan, self.fingerprint_key(), &content));
        let encoding = request.encoding.unwrap_or(Encoding::Identity);
        let decoder = masker.as_ref().and_then(|_| Decoder::new(encoding));
        let pipe = Pipe {
            decoder: decoder.filter(|_| !end),
            ..Pipe::masking(masker)
        };
        let tail = Tail::of(Direction::Request, request.announces_trailers);
        let record_bytes = self.config.limits.record_body_bytes;
        let mut way = BodyWay::new(Direction::Request, pipe, tail, record_bytes);
        way.ended = end;
        way
    }

    /// Whether the answer's body may change.
    fn changes_response(&self) -> bool {
        self.masking(Direction::Response).is_some() || self.remembers()
    }

    /// The detector that blocks the request for what stands in its path or query. They cannot be masked, since they
    /// would then ask for something else.
    fn blocked_in_target(&mut self, plan: &Arc<Plan>) -> Option<String> {
        let target = decode_unreserved(self.request.path.as_deref()?);
        let mut masker = Masker::new(Arc::clone(plan), self.fingerprint_key(), &Content::text());
        masker.push(target.as_bytes());
        masker.finish();
        self.found.merge(masker.findings());
        masker.blocked().map(|blocked| blocked.detector.clone())
    }

    pub(super) fn masking(&self, direction: Direction) -> Option<Arc<Plan>> {
        let case = self.case.as_ref()?;
        case.gate.masking(&case.connection, direction)
    }

    /// Whether what is masked in the request is to be restored in the answer.
    pub(super) fn remembers(&self) -> bool {
        self.masking(Direction::Request)
            .is_some_and(|plan| plan.remembers())
    }

    /// A body callback while the verdict is pending (the "body" profile only).
    pub(super) fn body_while_waiting(&mut self, around: &mut Around<'_>, size: usize, end: bool) {
        self.request_body.hold(size, end);
        if !matches!(self.phase, Phase::Waiting(Waiting::Body)) {
            return;
        }
        let limit = self.config.limits.body_bytes;
        let asks = self
            .case
            .as_ref()
            .is_some_and(|case| case.decision.effect == Effect::Approve);
        if size > limit && asks {
            self.too_large(around);
        } else if size > limit {
            // What was held has no end in sight. From here on it goes as in the other profile: what it turns out to
            // be ends it.
            self.let_through(around, None, false);
            if self.is_open() {
                self.open_body(around, Direction::Request, size, end);
            }
        } else if end {
            let Some(body) = self.mask_whole(around) else {
                return;
            };
            if asks {
                self.ask(around, Some(body));
            } else {
                self.let_through(around, None, false);
            }
        }
    }

    pub(super) fn too_large(&mut self, around: &mut Around<'_>) {
        let limit = self.config.limits.body_bytes;
        let detail = format!(
            "The whole body has to be seen before it goes on; at most {limit} bytes are kept for that."
        );
        self.refuse(around, Code::BodyTooLarge, detail);
    }

    /// Masks the body that Envoy holds, in its place; nothing if it was refused for what it is.
    fn mask_whole(&mut self, around: &mut Around<'_>) -> Option<Vec<u8>> {
        let limit = self.config.limits.body_bytes;
        match self.request_body.whole(around.host, limit) {
            Ok((body, event)) => {
                if let Some(event) = event {
                    self.note(around, event);
                }
                Some(body)
            }
            Err(stop) => {
                self.stop(around, Direction::Request, stop);
                None
            }
        }
    }

    /// The verdict is yes; what may still have to come is the record's durability. `outside` says
    /// that no callback of the request is running.
    pub(super) fn let_through(
        &mut self,
        around: &mut Around<'_>,
        granted: Option<ApprovalOutcome>,
        outside: bool,
    ) {
        let Some(case) = &mut self.case else { return };
        case.granted = granted;
        if !case.decision.audit_required {
            self.open(around, outside);
            return;
        }
        // 0: the event was lost because the queue is full.
        if case.received_seq == 0 {
            self.audit_unavailable(around);
            return;
        }
        around
            .node
            .require_durable(around.host, self.id, case.received_seq);
        self.phase = Phase::Waiting(Waiting::Durable);
    }

    /// Lets the request go on.
    pub(super) fn open(&mut self, around: &mut Around<'_>, outside: bool) {
        self.leave_waiting(around);
        self.decided_ms = self.elapsed(around.host);
        self.phase = Phase::Open {
            tunnel: self.request.is_upgrade,
        };
        if let Some(case) = &self.case {
            let rule = case.rule();
            let metrics = around.node.metrics();
            metrics.count(around.host, metric::ALLOWED, 1);
            if let Some(rule) = &rule {
                metrics.count(around.host, &metric::of(metric::RULE_ALLOWED, rule), 1);
            }
            let decided = EventKind::Decided {
                effect: Effect::Allow,
                rule,
                reason: case.decision.reason.to_string(),
                code: None,
                approval: case.granted.clone(),
            };
            self.note(around, decided);
        }
        self.note(around, EventKind::Forwarded {});
        if outside {
            self.release(around);
        }
    }

    /// Resumes a request that Envoy holds, with what is held of its body masked.
    fn release(&mut self, around: &mut Around<'_>) {
        let held = self.request_body.held();
        if held.is_some_and(|held| !held.is_complete) {
            // More will come, and Envoy would lose it after a resume from outside. The next callback masks what
            // is there and releases it.
            return;
        }
        // Nobody has looked at it yet.
        if held.is_some_and(|held| held.bytes > 0) && self.mask_whole(around).is_none() {
            return;
        }
        self.request_body.resumed();
        around.host.resume(Direction::Request);
    }

    /// Whatever the stream waited for, it does not any more.
    pub(super) fn leave_waiting(&mut self, around: &mut Around<'_>) {
        if matches!(self.phase, Phase::Waiting(_)) {
            around.node.cancel(self.id);
        }
        if std::mem::take(&mut self.held) {
            let metrics = around.node.metrics();
            metrics.gauge(around.host, metric::HELD_STREAMS, -1);
        }
    }
}
