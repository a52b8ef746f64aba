//! Refusals before a request has a share of its own: nobody is known to have sent it, or its
//! sender's share is used up.
//!
//! Whoever has no token can send as many of these as their network carries. The engine says which
//! are recorded one by one and which are only counted
//! ([`Refusals`](chaperone_engine::audit::Refusals)); a counted one costs neither masking nor an
//! event.

use chaperone_engine::audit::{Recorded, Refusal, RefusedExample, RequestLine, shortened};
use chaperone_engine::gate::{Code, Refused};
use chaperone_engine::identity::TokenOwner;

use super::received::{Asker, source};
use super::request::Request;
use super::{Around, Stream};
use crate::host::Direction;

impl Stream {
    /// Begins the record of a request that is refused for this reason.
    pub(super) fn begin_refused(
        &mut self,
        around: &mut Around<'_>,
        refused: &Refused,
        asker: Asker,
        policy_version: Option<u64>,
    ) {
        let token_owner = match &asker {
            Asker::Known(principal) => Some(TokenOwner {
                issuer: principal.issuer.clone(),
                subject: principal.subject.clone(),
            }),
            Asker::Refused(owner) => owner.clone(),
        };
        let refusal = Refusal {
            code: Some(refused.code.as_str()),
            status: refused.code.status(),
            source: self.source.clone(),
            token_owner,
        };
        // What has no room is not given any for saying so.
        let may_stand_alone = refused.code != Code::AuditFull;
        self.begin_one_or_count(around, refusal, may_stand_alone, asker, policy_version);
    }

    /// Begins the record of a stream that Envoy ended before our first callback: headers can still
    /// be read at its end.
    pub(super) fn begin_unseen(&mut self, around: &mut Around<'_>, status: u16) {
        self.request = Request::read(&around.host.headers(Direction::Request));
        self.request.authorization = Vec::new();
        if self.request.method.is_none() {
            return;
        }
        self.source = source(around.host);
        let refusal = Refusal {
            code: None,
            status,
            source: self.source.clone(),
            token_owner: None,
        };
        let version = around.node.gate().map(|gate| gate.serial().policy_version);
        self.begin_one_or_count(around, refusal, true, Asker::Refused(None), version);
    }

    fn begin_one_or_count(
        &mut self,
        around: &mut Around<'_>,
        refusal: Refusal,
        may_stand_alone: bool,
        asker: Asker,
        policy_version: Option<u64>,
    ) {
        let shown = self.shown(around);
        let (host, node) = (around.host, &mut *around.node);
        let example = || RefusedExample {
            at: host.now(),
            request: short(self.line(&shown)),
            user_agent: self.user_agent(&shown),
            request_id: self.request_id(&shown),
        };
        match node.refused(host, refusal, may_stand_alone, example) {
            Recorded::Alone => {
                self.begin_record(around);
                self.received(around, asker, None, policy_version);
            }
            Recorded::Together(record) => {
                host.annotate("chaperone_record", record.0.as_bytes());
                self.record = Some(record);
                self.is_counted = true;
            }
        }
    }

    /// Opens the stream's record, and names it to access logs.
    pub(super) fn begin_record(&mut self, around: &mut Around<'_>) {
        let record = around.node.open_record();
        around
            .host
            .annotate("chaperone_record", record.0.as_bytes());
        self.record = Some(record);
    }
}

/// Not longer than what is kept for each of several.
fn short(line: RequestLine) -> RequestLine {
    RequestLine {
        path: shortened(line.path),
        query: line.query.map(shortened),
        ..line
    }
}
