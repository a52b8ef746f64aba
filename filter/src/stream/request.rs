//! The request's headers, read once while they may be read.

use chaperone_engine::gate::{BodyHead, Destination, RequestHead};
use chaperone_engine::masking::{Content, Encoding};
use chaperone_engine::request::headers::HeadersRead;

use crate::host::{Headers, first};

/// Longest `x-request-id` that is recorded.
const MAX_REQUEST_ID: usize = 128;

/// The part of the request's headers that the stream needs after their callback is over.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    /// Every value, in order. Dropped after identification: a token is not kept.
    pub(super) authorization: Vec<Vec<u8>>,
    pub(super) content_type: Option<Vec<u8>>,
    pub(super) content_encoding: Option<Vec<u8>>,
    pub(super) request_id: Option<String>,
    /// As it came.
    pub(super) user_agent: Option<Vec<u8>>,
    /// CONNECT and upgrades: frames would come as body callbacks, which buffering breaks.
    pub(super) is_upgrade: bool,
    /// What its headers say besides the request line, and what becomes of them.
    pub(super) headers: HeadersRead,
    /// How the body is encoded; nothing if it cannot be read.
    pub(super) encoding: Option<Encoding>,
    pub(super) is_grpc: bool,
    pub(super) announces_trailers: bool,
    /// It says how long its body is.
    has_length: bool,
}

impl Request {
    pub(super) fn read(headers: &Headers) -> Self {
        let text = |name: &str| {
            let value = first(headers, name)?;
            std::str::from_utf8(value).ok().map(str::to_owned)
        };
        let method = text(":method");
        let request_id = text("x-request-id").map(|mut id| {
            id.retain(|c| c.is_ascii_graphic());
            id.truncate(MAX_REQUEST_ID);
            id
        });
        Self {
            is_upgrade: method.as_deref() == Some("CONNECT")
                || headers
                    .iter()
                    .any(|(name, _)| name == "upgrade" || name == ":protocol"),
            method,
            authority: text(":authority"),
            path: text(":path"),
            authorization: headers
                .iter()
                .filter(|(name, _)| name == "authorization")
                .map(|(_, value)| value.clone())
                .collect(),
            content_type: all(headers, "content-type"),
            content_encoding: all(headers, "content-encoding"),
            request_id,
            user_agent: first(headers, "user-agent").map(<[u8]>::to_vec),
            headers: HeadersRead::of(
                headers
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_slice())),
            ),
            encoding: encoding_of(headers),
            is_grpc: is_grpc(headers),
            announces_trailers: announces_trailers(headers),
            has_length: has_length(headers),
        }
    }

    /// Whether whoever reads its body may want each piece at once, or trailers may follow.
    pub(super) const fn is_live(&self) -> bool {
        self.announces_trailers || !self.has_length
    }

    /// The facts that the engine decides on. `end`: no body follows; `can_be_held`: all of one that
    /// does could be kept before the verdict.
    pub(super) fn head<'a>(
        &'a self,
        destination: Destination<'a>,
        end: bool,
        can_be_held: bool,
    ) -> RequestHead<'a> {
        RequestHead {
            method: self.method.as_deref(),
            authority: self.authority.as_deref(),
            path: self.path.as_deref(),
            headers: &self.headers,
            destination,
            is_upgrade: self.is_upgrade,
            is_grpc: self.is_grpc,
            body: (!end).then(|| self.body(can_be_held)),
        }
    }

    fn body(&self, can_be_held: bool) -> BodyHead<'_> {
        BodyHead {
            content_type: self.content_type.as_deref(),
            encoding: self.encoding,
            can_be_held,
        }
    }

    /// Whether its body can be read, if it has one.
    pub(super) fn is_readable(&self) -> bool {
        self.body(true).is_readable()
    }

    /// `content-type`, if it is text that approvers can be shown.
    pub(super) fn content_type_text(&self) -> Option<String> {
        let text = std::str::from_utf8(self.content_type.as_deref()?).ok()?;
        Some(text.chars().take(256).collect())
    }
}

/// Every line of a header, as one value (RFC 9110 §5.3).
pub(super) fn all(headers: &Headers, name: &str) -> Option<Vec<u8>> {
    let lines = headers.iter().filter(|(n, _)| n == name);
    let values: Vec<&[u8]> = lines.map(|(_, value)| value.as_slice()).collect();
    (!values.is_empty()).then(|| values.join(b", ".as_slice()))
}

/// How the body is encoded, if it can be read. Every line counts. Messages that gRPC compresses one
/// by one, under a header of its own, cannot be read.
pub(super) fn encoding_of(headers: &Headers) -> Option<Encoding> {
    let of = |name| Encoding::of(all(headers, name).as_deref());
    match of("grpc-encoding") {
        Some(Encoding::Identity) => of("content-encoding"),
        _ => None,
    }
}

/// The kind of body, as far as its headers and the request tell.
pub(super) fn content_of(content_type: Option<&[u8]>, path: Option<&str>) -> Content {
    let content = Content::of(content_type);
    match path {
        Some(path) => content.at_path(path.as_bytes()),
        None => content,
    }
}

/// Whether trailers are to be expected: gRPC always has them, others say so.
pub(super) fn announces_trailers(headers: &Headers) -> bool {
    is_grpc(headers) || headers.iter().any(|(name, _)| name == "trailer")
}

/// Whether the headers say how long the body is.
pub(super) fn has_length(headers: &Headers) -> bool {
    first(headers, "content-length").is_some()
}

pub(super) fn is_grpc(headers: &Headers) -> bool {
    first(headers, "content-type").is_some_and(|value| value.starts_with(b"application/grpc"))
}

/// Path and query of a request target.
pub(super) fn split_target(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}
