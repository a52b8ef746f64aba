//! Changes of headers on the way through.

use chaperone_engine::request::headers::HeadersRead;

use crate::host::{Direction, Headers, Host};

/// Headers that describe the exact bytes of a body, and lie as soon as one is masked. A stale
/// `content-length` is worse than a lie: Envoy forwards the changed body under it, which is request
/// smuggling.
const BODY_DESCRIPTIONS: &[&str] = &[
    "content-length",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
];

/// Changes of a body on its way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changes {
    /// Bytes may.
    pub(super) masks: bool,
    /// Its encoding goes.
    pub(super) decodes: bool,
}

fn remove(host: &dyn Host, direction: Direction, headers: &Headers, name: &str) {
    if headers.iter().any(|(n, _)| n == name) {
        host.remove_header(direction, name);
    }
}

/// Makes a request ready for upstream.
pub(super) fn forward_request(
    host: &dyn Host,
    headers: &Headers,
    read: &HeadersRead,
    request: Changes,
    masks_response: bool,
    grpc: bool,
) {
    let way = Direction::Request;
    // The agent's token is for the gate and nobody else; so is what it may say to it as to a proxy
    // (RFC 9110 §11.7.1).
    remove(host, way, headers, "authorization");
    remove(host, way, headers, "proxy-authorization");
    for name in read.all_removed() {
        host.remove_header(way, name);
    }
    for (name, value) in read.rewritten() {
        host.set_header(way, name, value.as_bytes());
    }
    describe(host, way, headers, request);
    if masks_response {
        // A secret that a range cuts in two is a secret in neither half.
        remove(host, way, headers, "range");
        remove(host, way, headers, "if-range");
        // Whatever cannot be read is refused later; so ask for what can be.
        host.set_header(way, "accept-encoding", b"identity");
    }
    if masks_response && grpc {
        host.set_header(way, "grpc-accept-encoding", b"identity");
    }
    if (request.masks || masks_response) && !grpc {
        // Without it upstream sends no trailers, and tails can wait in memory without delay.
        remove(host, way, headers, "te");
    }
}

/// Takes out the headers that would no longer be true of a body.
fn describe(host: &dyn Host, way: Direction, headers: &Headers, changes: Changes) {
    if changes.masks {
        for name in BODY_DESCRIPTIONS {
            remove(host, way, headers, name);
        }
    }
    if changes.decodes {
        remove(host, way, headers, "content-encoding");
    }
}

/// Makes a response whose body may change ready for the agent.
pub(super) fn forward_response(host: &dyn Host, headers: &Headers, decodes: bool) {
    let way = Direction::Response;
    let masks = true;
    describe(host, way, headers, Changes { masks, decodes });
    remove(host, way, headers, "accept-ranges");
    // A strong validator promises the same bytes (RFC 9110 §8.8.1), a weak one does not.
    if headers
        .iter()
        .any(|(name, value)| name == "etag" && !value.starts_with(b"W/"))
    {
        host.remove_header(way, "etag");
    }
}
