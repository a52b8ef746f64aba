//! Anthropic.
//!
//! # Sources
//!
//! - Messages: <https://docs.anthropic.com/en/docs/build-with-claude/streaming>.
//! - The older completions: <https://docs.anthropic.com/en/api/complete>.

use super::dialect::{Dialect, ErrorEvent, Index, Last, Part, Sign};
use serde_json::json;

/// Messages, and the older completions.
pub(super) static MESSAGES: Dialect = Dialect {
    name: "Anthropic messages",
    sign: Sign::Type(&[b"message_", b"content_block_"]),
    paths: &[
        // A block may begin with text.
        ("content_block.text", Part::Piece),
        ("content_block.thinking", Part::Piece),
        ("delta.text", Part::Piece),
        ("delta.thinking", Part::Piece),
        ("delta.partial_json", Part::Json),
        ("delta.citation", Part::Own),
        // Completions.
        ("completion", Part::Perhaps),
    ],
    ends: &[(b"content_block_stop", Index::Part)],
    last: &[Last::Type(b"message_stop"), Last::Type(b"error")],
    // As gateways say them in other dialects.
    reasons: &[b"end_turn", b"max_tokens", b"stop_sequence", b"tool_use"],
    names: &[b"stop_reason", b"stop_sequence"],
    // At Amazon Bedrock.
    varying: &[b"p"],
    records: &[b"delta", b"content_block"],
    error: Some(|refused| {
        let error = json!({"type": "permission_error", "message": refused.message});
        Some(ErrorEvent {
            name: Some("error"),
            data: json!({"type": "error", "error": error}),
        })
    }),
    ..Dialect::NONE
};
