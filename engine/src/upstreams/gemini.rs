//! Google Gemini, also at Vertex AI.
//!
//! Source: <https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>.

use super::dialect::{Dialect, Part};

/// Candidates.
pub(super) static CANDIDATES: Dialect = Dialect {
    name: "Gemini",
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
    ..Dialect::NONE
};
