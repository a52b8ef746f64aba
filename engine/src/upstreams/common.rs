//! What many upstreams say alike, and what is read where nothing is known.

use super::dialect::{Dialect, ErrorEvent, Index, Part, Refused};
use serde_json::{Value, json};

/// The member of an event's root that is its type, if it is a string.
pub(crate) const TYPE: &[u8] = b"type";

/// The member that is the next piece of a text if it is a string, and has such pieces if it is an
/// object.
pub(crate) const DELTA: &[u8] = b"delta";

/// The member of an element that tells its texts from those of others.
pub(crate) const INDEX: &[u8] = b"index";

/// How a name ends that is as good as one of [`Dialect::texts`].
pub(crate) const DELTAS: &[&[u8]] = &[b"Delta", b"_delta"];

/// What belongs to no upstream alone.
pub(super) static COMMON: Dialect = Dialect {
    name: "common",
    paths: &[
        // llama.cpp and others.
        ("content", Part::Perhaps),
        ("text", Part::Perhaps),
        ("answer", Part::Perhaps),
    ],
    indices: &[(INDEX, Index::Block)],
    ids: &[b"id"],
    names: &[b"id", b"type", b"name", b"model", b"format"],
    texts: &[
        b"text",
        b"content",
        DELTA,
        b"thinking",
        b"reasoning",
        b"reasoning_content",
        b"refusal",
        b"transcript",
        b"arguments",
        b"partial_json",
        b"input",
        b"output",
        b"answer",
        b"response",
        b"completion",
        b"generated_text",
        b"code",
        b"chunk",
        b"token",
        b"stringValue",
        b"value",
        b"v",
    ],
    ..Dialect::NONE
};

/// The event that says that a stream ended with an error, where nobody knows who reads it: problem
/// details (RFC 9457).
pub(crate) fn error_event(refused: &Refused<'_>) -> ErrorEvent {
    ErrorEvent {
        name: Some("error"),
        data: json!({
            "type": "about:blank",
            "title": "Forbidden",
            "status": 403,
            "detail": refused.message,
            "code": refused.code,
        }),
    }
}

/// The line that says the same in a stream of lines of JSON. Clients of Ollama raise it.
pub(crate) fn error_line(message: &str) -> Value {
    json!({ "error": message })
}
