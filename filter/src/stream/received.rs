//! The first event of a record: which request came.

use chaperone_engine::audit::{EventKind, RequestLine, shortened, source_address, user_agent};
use chaperone_engine::identity::{Principal, TokenOwner};
use chaperone_engine::request::host_of;
use chaperone_engine::upstreams::Operation;

use super::request::{Request, split_target};
use super::shown::Shown;
use super::{Around, Stream};
use crate::host::Host;

/// Characters of a method that are recorded.
const MAX_METHOD: usize = 32;

/// Who asks, as far as the token tells.
#[derive(Debug)]
pub(super) enum Asker {
    /// A token that was accepted.
    Known(Principal),
    /// A token that was refused, with a good signature or without; or nobody was asked.
    Refused(Option<TokenOwner>),
}

/// Where a request came from, apart from its token.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) source: Option<String>,
    pub(super) user_agent: Option<String>,
}

impl Caller {
    /// The address is the one that Envoy trusts: after `x-forwarded-for`, where the connection manager is
    /// told to believe it (`docs/filter.md`).
    pub(super) fn of(host: &dyn Host, request: &Request, shown: &Shown) -> Self {
        let address = host.property(&["source", "address"]);
        let agent = request.user_agent.as_deref().and_then(user_agent);
        Self {
            source: address.and_then(|address| source_address(&address)),
            user_agent: agent.map(|agent| shortened(shown.text(&agent))),
        }
    }
}

impl Stream {
    /// Records that the request arrived, and how much is known of it: who asks, the connection and operation that it
    /// reached, and the policy version that was asked. Gives the event's number, 0 when it was not taken, and
    /// the request as it is recorded, masked.
    pub(super) fn received(
        &self,
        around: &mut Around<'_>,
        asker: Asker,
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
        let caller = Caller::of(around.host, &self.request, &shown);
        let (principal, token_owner) = match asker {
            Asker::Known(principal) => (Some(principal), None),
            Asker::Refused(owner) => (None, owner),
        };
        let event = EventKind::Received {
            request: line.clone(),
            principal,
            token_owner,
            source: caller.source,
            user_agent: caller.user_agent,
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
