//! Asking a human: the question, the hold, the answer, the ticket.

use chaperone_engine::approval::{BodyBinding, BoundRequest, Standing, body_sha256};
use chaperone_engine::audit::{ApprovalOutcome, Body, EventKind};
use chaperone_engine::gate::Refused;
use chaperone_engine::link::{AskAnswer, AskRequest, BodyPreview};
use chaperone_engine::masking::{Encoding, FingerprintKey, mask_beginning};
use chaperone_engine::policy::MAX_HOLD;

use super::body::Whole;
use super::request::content_of;
use super::{Around, Phase, Stream, Waiting, metric};
use crate::node::TooManyHeld;

impl Stream {
    /// Asks whether a human has approved this request, or will. `body` is the body that goes
    /// upstream, masked where masking applies; nothing where it cannot be seen.
    pub(super) fn ask(&mut self, around: &mut Around<'_>, body: Option<Whole>) {
        let shown = self.shown(around);
        let content_type = self.request.content_type_text();
        let content_type = content_type.map(|text| shown.text(&text));
        let (Some(case), Some(record)) = (&mut self.case, &self.record) else {
            return;
        };
        let Some(terms) = case.decision.approve.clone() else {
            return;
        };
        let hold = terms.hold.min(MAX_HOLD).as_millis();
        case.hold_until = around.host.steady().saturating_add(hold);
        case.unseen_body = body.is_none();
        let binding = match &body {
            Some(body) => {
                BodyBinding::Whole(body.sha256.unwrap_or_else(|| body_sha256(&body.bytes)))
            }
            None => BodyBinding::Unseen { record: &record.0 },
        };
        let digest = BoundRequest {
            issuer: &case.principal.issuer,
            subject: &case.principal.subject,
            agent: case.principal.agent.as_deref(),
            connection: &case.connection,
            method: &case.line.method,
            host: &case.host_name,
            path: &case.target.0,
            query: case.target.1.as_deref(),
            content_type: self.request.content_type.as_deref(),
            content_encoding: self.request.content_encoding.as_deref(),
            body: binding,
        }
        .digest();
        // What an encoding or a character set hides cannot be masked, so approvers do not see it
        // either.
        let key = FingerprintKey::from_bytes(*self.config.fingerprint_key.expose());
        let limit = self.config.limits.preview_bytes;
        let readable = self.request.is_readable()
            && (self.request.encoding == Some(Encoding::Identity) || self.request_body.decodes());
        let content = content_of(self.request.content_type.as_deref(), Some(&case.target.0));
        let seen = body.filter(|_| readable).zip(shown.plan.clone());
        let preview = seen.map(|(body, plan)| {
            let (mut masked, is_all) = mask_beginning(&plan, &key, &content, &body.bytes, limit);
            let truncated = !is_all || masked.len() > limit;
            masked.truncate(limit);
            BodyPreview {
                content: Body::new(&masked),
                total_bytes: Some(body.bytes.len() as u64),
                truncated,
            }
        });
        let request = AskRequest {
            node: around.node.identity(),
            record: record.clone(),
            digest,
            policy_version: case.gate.serial().policy_version,
            rule: case.decision.rule.as_deref().unwrap_or("").to_owned(),
            reason: case.decision.reason.to_string(),
            terms,
            principal: case.principal.clone(),
            connection: case.connection.clone(),
            operation: case.operation.clone(),
            request: case.line.clone(),
            content_type,
            body: preview,
        };
        if let Some(rule) = case.rule() {
            let name = metric::of(metric::RULE_APPROVE, &rule);
            around.node.metrics().count(around.host, &name, 1);
        }
        around.node.ask(around.host, self.id, &request);
        case.asked = Some(request);
        self.phase = Phase::Waiting(Waiting::Answer);
    }

    /// The approval changed: asks again under the same record, which settles whose a one-time grant
    /// is.
    pub(super) fn ask_again(&mut self, around: &mut Around<'_>) {
        let Some(request) = self.case.as_ref().and_then(|case| case.asked.as_ref()) else {
            return;
        };
        around.node.ask(around.host, self.id, request);
        self.phase = Phase::Waiting(Waiting::Answer);
    }

    pub(super) fn answered(&mut self, around: &mut Around<'_>, answer: &AskAnswer) {
        if answer.answer == Standing::TooManyPending {
            self.refuse(around, Refused::too_many_pending());
            return;
        }
        let Some(case) = &mut self.case else { return };
        case.approval = Some(answer.approval.clone());
        let outcome = ApprovalOutcome {
            id: answer.approval.clone(),
            by: answer.by.clone(),
        };
        match answer.answer {
            Standing::Granted => self.let_through(around, Some(outcome), true),
            Standing::Denied => {
                let refused = Refused::by_human(answer.comment.as_deref());
                self.refuse_approval(around, refused, outcome);
            }
            Standing::Expired => {
                self.refuse_approval(around, Refused::by_silence(), outcome);
            }
            // Above.
            Standing::TooManyPending => {}
            Standing::Pending => self.hold(around),
        }
    }

    fn hold(&mut self, around: &mut Around<'_>) {
        let Some(case) = &self.case else { return };
        let (until, approval) = (case.hold_until, case.approval.clone().unwrap_or_default());
        if around.host.steady() >= until {
            self.ticket(around);
            return;
        }
        if let Err(TooManyHeld) = around.node.wait(around.host, self.id, &approval, until) {
            // Too many wait already; this one gets what it would get in the end.
            self.ticket(around);
            return;
        }
        self.phase = Phase::Waiting(Waiting::Human);
        // Waking to find the question still open does not make it another hold.
        if !self.held {
            let rule = case.rule().unwrap_or_default();
            self.held = true;
            let metrics = around.node.metrics();
            metrics.count(around.host, metric::HELD, 1);
            metrics.gauge(around.host, metric::HELD_STREAMS, 1);
            self.note(around, EventKind::Held { approval, rule });
        }
    }

    /// The hold is over without an answer.
    pub(super) fn ticket(&mut self, around: &mut Around<'_>) {
        let Some(case) = &self.case else { return };
        let id = case.approval.clone().unwrap_or_default();
        let outcome = ApprovalOutcome { id, by: None };
        let refused = Refused::ticket(!case.unseen_body);
        self.refuse_approval(around, refused, outcome);
    }
}
