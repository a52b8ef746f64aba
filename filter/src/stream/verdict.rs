//! From the request's headers to the verdict, and the first step after it.

use std::rc::Rc;
use std::sync::Arc;

use chaperone_engine::gate::{Destination, Judged, Next, Refused, look_in_target};
use chaperone_engine::masking::{Decoder, Encoding, Masker, Plan};
use chaperone_engine::policy::Effect;

use super::body::{BodyWay, Tail, Whole};
use super::pipe::Pipe;
use super::received::{Asker, source};
use super::request::{Request, content_of, split_target};
use super::{Around, Case, Phase, Stream, Waiting, headers, metric};
use crate::crypto::EnvoyVerifier;
use crate::host::{Direction, Headers, Host};
use crate::node::{AuditFull, Profile};

/// Route metadata that names the connection.
const PINNED: &[&str] = &[
    "xds",
    "route_metadata",
    "filter_metadata",
    "chaperone",
    "connection",
];

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
        self.source = source(host);
        let judged = self.judge(around, end);
        // A token is not kept beyond the question that it answers.
        self.request.authorization = Vec::new();
        match judged {
            Ok(next) => self.carry_out(around, next, &headers, end),
            Err(refused) => self.refuse(around, refused),
        }
        let took = host.micros().saturating_sub(started);
        around
            .node
            .metrics()
            .observe(host, metric::VERDICT_US, took);
    }

    /// Asks the engine who is calling and whether they may, and records the answer.
    fn judge(&mut self, around: &mut Around<'_>, end: bool) -> Result<Next, Refused> {
        let Some(gate) = around.node.gate() else {
            let refused = Refused::no_policy();
            self.begin_refused(around, &refused, Asker::Refused(None), None);
            return Err(refused);
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
            Err(mut refusal) => {
                let owner = refusal.owner.take().map(|owner| *owner);
                let refused = refusal.into();
                self.begin_refused(around, &refused, Asker::Refused(owner), version);
                return Err(refused);
            }
        };
        let principal = token.principal().clone();
        let sharer = around.node.sharer(&principal);
        if let Err(AuditFull) = around.node.may_record(sharer) {
            let refused = Refused::audit_full();
            self.begin_refused(around, &refused, Asker::Known(principal), version);
            return Err(refused);
        }
        self.sharer = sharer;
        self.begin_record(around);
        let pinned = self.pinned(around.host);
        let destination = if self.config.connection_from_route {
            Destination::Route(pinned.as_deref())
        } else {
            Destination::Host
        };
        let can_be_held = self.config.profile == Profile::Body;
        let head = self.request.head(destination, end, can_be_held);
        let Judged {
            routed,
            decision,
            masking,
            next,
        } = match gate.admit(&principal, &head) {
            Ok(judged) => judged,
            Err(refused) => {
                self.received(around, Asker::Known(principal), None, version);
                return Err(refused);
            }
        };
        let connection = routed.connection.name.clone();
        let operation = self.shown(around).operation(&routed.operation);
        let host_name = routed.host.clone();
        let reached = Some((connection.clone(), operation.clone()));
        let asker = Asker::Known(principal.clone());
        let (received, line) = self.received(around, asker, reached, version);
        let (path, query) = split_target(self.request.path.as_deref().unwrap_or(""));
        self.case = Some(Case {
            principal,
            connection,
            operation,
            decision,
            masking,
            line,
            host_name,
            target: (path.to_owned(), query.map(str::to_owned)),
            received,
            asked: None,
            approval: None,
            granted: None,
            hold_until: self.began,
            unseen_body: false,
            gate: Rc::clone(&gate),
        });
        self.count_denial(around);
        next
    }

    /// The connection that Envoy's route names, where the route is to name it.
    fn pinned(&self, host: &dyn Host) -> Option<String> {
        if !self.config.connection_from_route {
            return None;
        }
        String::from_utf8(host.property(PINNED)?).ok()
    }

    fn count_denial(&self, around: &Around<'_>) {
        let denied = |case: &&Case| case.decision.effect == Effect::Deny;
        if let Some(rule) = self.case.as_ref().filter(denied).and_then(Case::rule) {
            let name = metric::of(metric::RULE_DENIED, &rule);
            around.node.metrics().count(around.host, &name, 1);
        }
    }

    /// Takes the next step, as far as that is possible now.
    fn carry_out(&mut self, around: &mut Around<'_>, next: Next, headers: &Headers, end: bool) {
        let Some(case) = &self.case else { return };
        let plan = case.masking.request.clone();
        if let (Some(plan), Some(target)) = (&plan, &self.request.path)
            && let Some(found) = look_in_target(plan, self.fingerprint_key(), target)
        {
            self.found.merge(&found.findings);
            if let Some(detector) = found.blocked {
                self.block(around, &detector);
                return;
            }
        }
        let way = self.request_way(plan, end);
        let is_live = !end && way.changes() && self.request.is_live();
        self.request_body = way.kept(self.config.limits.body_bytes, is_live);
        self.prepare_headers(around, headers, end);
        match next {
            Next::Forward => self.let_through(around, None, false),
            Next::Ask => self.ask(around, end.then(Whole::empty)),
            Next::ReadBody(read_for) => {
                self.phase = Phase::Waiting(Waiting::Body(read_for));
                self.piece_came(around);
            }
        }
    }

    /// Changes the headers while they may be changed. A request that is refused later never leaves,
    /// so this does no harm before the verdict, and after it the headers may be out of reach.
    fn prepare_headers(&self, around: &Around<'_>, headers: &Headers, end: bool) {
        let changes = headers::Changes {
            masks: self.request_body.changes() && !end,
            decodes: self.request_body.decodes(),
        };
        let case = self.case.as_ref();
        headers::forward_request(
            around.host,
            headers,
            &self.request.headers,
            changes,
            case.is_some_and(|case| case.masking.changes_response()),
            self.request.is_grpc,
        );
    }

    /// The way of the request's body.
    fn request_way(&self, plan: Option<Arc<Plan>>, end: bool) -> BodyWay {
        let request = &self.request;
        let content = content_of(request.content_type.as_deref(), request.path.as_deref());
        let masker = plan.map(|plan| Masker::new(plan, self.fingerprint_key(), &content));
        let encoding = request.encoding.unwrap_or(Encoding::Identity);
        let decoder = masker.as_ref().and_then(|_| Decoder::new(encoding));
        let pipe = Pipe::masking(decoder.filter(|_| !end), masker);
        let tail = Tail::of(Direction::Request, request.announces_trailers);
        let record_bytes = self.config.limits.record_body_bytes;
        let mut way = BodyWay::new(Direction::Request, pipe, tail, record_bytes);
        way.ended = end;
        way
    }
}
