//! Cohere.
//!
//! Source: <https://docs.cohere.com/reference/chat-stream>.

use super::dialect::{Dialect, Last, Part};

/// Chat. Its first version streams lines.
pub(super) static CHAT: Dialect = Dialect {
    name: "Cohere",
    paths: &[
        ("delta.message.content.text", Part::Piece),
        ("delta.message.tool_calls.function.arguments", Part::Json),
    ],
    last: &[Last::Type(b"message-end")],
    records: &[b"is_finished"],
    lines: &[b"application/stream+json"],
    ..Dialect::NONE
};
