//! Ollama's own API; it also speaks OpenAI's.
//!
//! Source: <https://github.com/ollama/ollama/blob/main/docs/api.md>.

use super::dialect::{Dialect, Last, Part};

/// Chat and completions, in lines of JSON.
pub(super) static LINES: Dialect = Dialect {
    name: "Ollama",
    paths: &[
        ("message.content", Part::Perhaps),
        ("response", Part::Perhaps),
    ],
    last: &[Last::Member(b"done", b"true")],
    varying: &[b"created_at"],
    records: &[b"done"],
    ..Dialect::NONE
};
