//! Refusing: the record, the metrics and the answer to the agent.

use chaperone_engine::audit::{ApprovalOutcome, EventKind};
use chaperone_engine::gate::{Code, MEDIA_TYPE, Problem, Refused};
use chaperone_engine::policy::Effect;

use super::{Around, Case, Phase, Stream, metric};

/// Seconds after which an agent may ask again that has a ticket, or that found too many others
/// asking.
const RETRY_AFTER_S: u64 = 15;

impl Stream {
    /// Refuses on account of a human's answer or silence.
    pub(super) fn refuse_approval(
        &mut self,
        around: &mut Around<'_>,
        refused: Refused,
        outcome: ApprovalOutcome,
    ) {
        let code = refused.code;
        let problem = self.problem(&refused);
        let url = self
            .config
            .approval_url
            .as_ref()
            .map(|template| template.of(&outcome.id));
        let problem = match code {
            Code::ApprovalRequired => problem.ticket(&outcome.id, url, RETRY_AFTER_S),
            _ => Problem {
                approval: Some(outcome.id.clone()),
                approval_url: url,
                ..problem
            },
        };
        let effect = if code == Code::ApprovalRequired {
            Effect::Approve
        } else {
            Effect::Deny
        };
        self.finish_refusal(around, refused, effect, problem, Some(outcome));
    }

    /// Refuses.
    pub(super) fn refuse(&mut self, around: &mut Around<'_>, refused: Refused) {
        let mut problem = self.problem(&refused);
        if refused.code == Code::TooManyPending {
            problem.retry_after_s = Some(RETRY_AFTER_S);
        }
        self.finish_refusal(around, refused, Effect::Deny, problem, None);
    }

    fn problem(&self, refused: &Refused) -> Problem {
        let mut problem = Problem::new(refused.code, refused.detail.as_str());
        if let Some(record) = &self.record {
            problem = problem.recorded_as(record);
        }
        // A rule that allowed the request is not why it is refused.
        let against = |case: &&Case| case.decision.effect != Effect::Allow;
        if let Some(case) = self.case.as_ref().filter(against) {
            problem = problem.decided_by(case.decision.rule.as_deref(), &case.decision.reason);
        }
        problem
    }

    fn finish_refusal(
        &mut self,
        around: &mut Around<'_>,
        Refused { code, detail }: Refused,
        effect: Effect,
        problem: Problem,
        approval: Option<ApprovalOutcome>,
    ) {
        self.leave_waiting(around);
        // A response that is refused was decided on before; its record says so already.
        if self.is_open() {
            self.ended_for = Some(code);
        } else if !self.is_counted {
            self.decided_ms = self.elapsed(around.host);
            let reason = match &self.case {
                Some(case) if code == Code::Denied => case.decision.reason.to_string(),
                // It may name what the agent sent: a host, an issuer.
                _ => self.shown(around).text(&detail),
            };
            let event = EventKind::Decided {
                effect,
                rule: self.case.as_ref().and_then(Case::rule),
                reason,
                code: Some(code.as_str().to_owned()),
                approval,
            };
            self.note(around, event);
        }
        self.phase = Phase::Answered { passing: false };
        self.status = Some(code.status());
        let metrics = around.node.metrics();
        let counter = match code {
            Code::Denied | Code::ApprovalDenied | Code::ApprovalExpired => metric::DENIED,
            Code::ApprovalRequired => metric::TICKETS,
            _ => metric::REFUSED,
        };
        metrics.count(around.host, counter, 1);
        metrics.count(around.host, &metric::of(metric::CODE, code.as_str()), 1);
        self.send(around, code, &problem);
    }

    /// The only place that answers the agent.
    fn send(&self, around: &Around<'_>, code: Code, problem: &Problem) {
        let mut headers = vec![("content-type", MEDIA_TYPE), ("cache-control", "no-store")];
        let challenge;
        if let Code::Identity(identity) = code {
            challenge = match identity.challenge_error() {
                None => "Bearer".to_owned(),
                Some(error) => {
                    format!("Bearer error=\"{error}\", error_description=\"{identity}\"")
                }
            };
            headers.push(("www-authenticate", &challenge));
        }
        let retry_after = problem.retry_after_s.map(|seconds| seconds.to_string());
        if let Some(seconds) = &retry_after {
            headers.push(("retry-after", seconds));
        }
        around
            .host
            .respond(code.status(), &headers, problem.to_json().as_bytes());
    }
}
