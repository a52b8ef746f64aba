//! The first event of a record: which request came.

use chaperone_engine::audit::{
    EventKind, Place, RequestLine, shortened, source_address, user_agent,
};
use chaperone_engine::identity::{Principal, TokenOwner};
use chaperone_engine::request::host_of;
use chaperone_engine::upstreams::Operation;

use super::request::split_target;
use super::shown::Shown;
use super::{Around, Stream};
use crate::host::Host;

/// Characters of a method that are recorded.
const MAX_METHOD: usize = 32;

/// Headers of one request that are recorded as taken out, and characters of a name.
const MAX_TAKEN: usize = 32;
const MAX_NAME: usize = 64;

/// Who asks, as far as the token tells.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    /// A token that was accepted.
    Known(Principal),
    /// A token that was refused, with a good signature or without; or nobody was asked.
    Refused(Option<TokenOwner>),
}

/// The address that a request came from: the one that Envoy trusts, after `x-forwarded-for` where
/// the connection manager is told to believe it (`docs/filter.md`).
pub(super) fn source(host: &dyn Host) -> Option<String> {
    source_address(&host.property(&["source", "address"])?)
}

impl Stream {
    /// Records that the request arrived, and how much is known of it: who asks, the connection and
    /// operation that it reached, and the policy version that was asked. Gives the event's place,
    /// if it was taken, and the request as it is recorded, masked.
    pub(super) fn received(
        &self,
        around: &mut Around<'_>,
        asker: Asker,
        reached: Option<(String, Operation)>,
        policy_version: Option<u64>,
    ) -> (Option<Place>, RequestLine) {
        let shown = self.shown(around);
        let line = self.line(&shown);
        let Some(record) = &self.record else {
            return (None, line);
        };
        let (connection, operation) = reached.unzip();
        let (principal, token_owner) = match asker {
            Asker::Known(principal) => (Some(principal), None),
            Asker::Refused(owner) => (None, owner),
        };
        let event = EventKind::Received {
            request: line.clone(),
            principal,
            token_owner,
            source: self.source.clone(),
            user_agent: self.user_agent(&shown),
            connection,
            operation,
            policy_version,
            request_id: self.request_id(&shown),
            taken: self.taken(&shown),
        };
        let recorded = around.node.record(around.host, self.sharer, record, &event);
        (recorded.unwrap_or(None), line)
    }

    /// The request, masked.
    pub(super) fn line(&self, shown: &Shown) -> RequestLine {
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

    /// Names of the headers that do not go upstream as they came. The agent chose them, so they may
    /// hold a secret, and there may be many.
    fn taken(&self, shown: &Shown) -> Vec<String> {
        let read = &self.request.headers;
        let rewritten = read.rewritten().iter().map(|(name, _)| name);
        let names = read.removed().iter().chain(rewritten);
        let cut = |name: &String| name.chars().take(MAX_NAME).collect::<String>();
        names
            .take(MAX_TAKEN)
            .map(|name| cut(&shown.text(name)))
            .collect()
    }

    pub(super) fn user_agent(&self, shown: &Shown) -> Option<String> {
        let agent = self.request.user_agent.as_deref().and_then(user_agent)?;
        Some(shortened(shown.text(&agent)))
    }

    pub(super) fn request_id(&self, shown: &Shown) -> Option<String> {
        let id = self.request.request_id.as_deref()?;
        Some(shown.text(id))
    }
}
