//! Google Gemini, also at Vertex AI.
//!
//! Source: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.

use super::dialect::{Dialect, ErrorEvent, Part, Sign};
use serde_json::json;

/// Candidates.
pub(super) static CANDIDATES: Dialect = Dialect {
    name: "Gemini",
    sign: Sign::Elements(b"candidates"),
    paths: &[
        ("candidates[].content.parts[+].text", Part::Piece),
        ("candidates[].finishReason", Part::End),
    ],
    // Thoughts stand among the parts of the answer.
    apart: &[(b"thought", b"true")],
    reasons: &[
        b"STOP",
        b"MAX_TOKENS",
        b"SAFETY",
        b"RECITATION",
        b"MALFORMED_FUNCTION_CALL",
    ],
    records: &[b"candidates"],
    // Where events were not asked for.
    arrays: &[b":streamGenerateContent"],
    error: Some(|refused| {
        let error = json!({"code": 403, "message": refused.message, "status": "PERMISSION_DENIED"});
        Some(ErrorEvent {
            name: None,
            data: json!({ "error": error }),
        })
    }),
    ..Dialect::NONE
};
