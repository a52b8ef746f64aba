//! The first event of a record: which request came.

use chaperone_engine::audit::{EventKind, RequestLine};
use chaperone_engine::identity::Principal;
use chaperone_engine::request::host_of;
use chaperone_engine::upstreams::Operation;

use super::request::split_target;
use super::{Around, Stream};

/// Characters of a method that are recorded.
const MAX_METHOD: usize = 32;

impl Stream {
    /// Records that the request arrived, and how much is known of it: who asks, the connection and operation that it
    /// reached, and the policy version that was asked. Gives the event's number, 0 when it was not taken, and
    /// the request as it is recorded, masked.
    pub(super) fn received(
        &self,
        around: &mut Around<'_>,
        principal: Option<Principal>,
        reached: Option<(String, Operation)>,
        policy_version: Option<u64>,
    ) -> (u64, RequestLine) {
        let line = self.line(around);
        let Some(record) = &self.record else {
            return (0, line);
        };
        let (connection, operation) = reached.unzip();
        let shown = self.shown(around);
        let request_id = self.request.request_id.as_deref();
        let event = EventKind::Received {
            request: line.clone(),
            principal,
            connection,
            operation,
            policy_version,
            request_id: request_id.map(|id| shown.text(id)),
        };
        let seq = around.node.record(around.host, record, event).unwrap_or(0);
        (seq, line)
    }

    fn line(&self, around: &Around<'_>) -> RequestLine {
        let shown = self.shown(around);
        let request = &self.request;
        let (path, query) = split_target(request.path.as_deref().unwrap_or(""));
        let host = request.authority.as_deref();
        let host = host.and_then(|authority| host_of(authority).ok());
        let method = request.method.as_deref().unwrap_or("");
        RequestLine {
            method: method.chars().take(MAX_METHOD).collect(),
            host: host.map(|host| shown.text(&host)).unwrap_or_default(),
            path: shown.encoded(path),
            query: query.map(|query| shown.encoded(query)),
        }
    }
}
