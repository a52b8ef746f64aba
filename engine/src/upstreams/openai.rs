//! OpenAI, and all that imitate it.
//!
//! # Sources
//!
//! - Chat completions, with the older completions:
//!   <https://platform.openai.com/docs/api-reference/chat-streaming>.
//! - Responses: <https://platform.openai.com/docs/api-reference/responses-streaming>. Its audio and
//!   the events of assistants name their types the same way.
//!
//! # Log probabilities
//!
//! They repeat an answer's text token by token, in one of three shapes:
//!
//! ```text
//! "logprobs": {"content": [{"token", "bytes", "top_logprobs"}, …], "refusal": […]} chat
//! "logprobs": [{"token", "bytes", "top_logprobs"}, …]                              responses
//! "logprobs": {"tokens": ["", …], "top_logprobs": [{"": 0}, …], …}                 completions
//! ```

use super::dialect::{Dialect, ErrorEvent, Index, Last, Part, Refused, Sign, Stem, Typed};
use serde_json::{Value, json};

/// Chat completions. `reasoning` and `reasoning_content` are of those that imitate them, `thinking`
/// is Mistral's.
pub(super) static CHAT_COMPLETIONS: Dialect = Dialect {
    name: "OpenAI chat completions",
    sign: Sign::Elements(b"choices"),
    paths: &[
        ("choices[].delta.content", Part::Piece),
        ("choices[].delta.content[].text", Part::Piece),
        ("choices[].delta.content[].thinking[].text", Part::Piece),
        ("choices[].delta.reasoning", Part::Piece),
        ("choices[].delta.reasoning_content", Part::Piece),
        ("choices[].delta.refusal", Part::Piece),
        ("choices[].delta.audio.transcript", Part::Piece),
        (
            "choices[].delta.tool_calls[].function.arguments",
            Part::Json,
        ),
        ("choices[].delta.tool_calls[].function.name", Part::Perhaps),
        ("choices[].delta.tool_calls[].custom.input", Part::Piece),
        ("choices[].delta.function_call.arguments", Part::Json),
        ("choices[].text", Part::Piece),
        ("choices[].finish_reason", Part::End),
    ],
    reasons: &[
        b"stop",
        b"length",
        b"tool_calls",
        b"function_call",
        b"content_filter",
        // Of gateways.
        b"error",
    ],
    last: &[Last::Data(b"[DONE]")],
    names: &[b"role", b"object"],
    varying: &[b"created", b"obfuscation"],
    records: &[b"choices"],
    // Clients raise what has an `error`.
    error: Some(|refused| {
        Some(ErrorEvent {
            name: None,
            data: json!({ "error": error(refused) }),
        })
    }),
    ..Dialect::NONE
};

/// Responses.
pub(super) static RESPONSES: Dialect = Dialect {
    name: "OpenAI responses",
    sign: Sign::Type(&[b"response."]),
    only: Some(b"delta"),
    types: &[Typed {
        goes_on: b".delta",
        ended: b".done",
        is_json: false,
    }],
    json: &[Stem::Ends(b"arguments")],
    indices: &[
        (b"output_index", Index::Item),
        (b"content_index", Index::Part),
        (b"summary_index", Index::Part),
    ],
    ids: &[b"item_id"],
    ends: &[(b"response.output_item.done", Index::Item)],
    last: &[
        Last::Type(b"response.completed"),
        Last::Type(b"response.incomplete"),
        Last::Type(b"response.failed"),
        Last::Type(b"error"),
    ],
    names: &[b"status", b"call_id"],
    varying: &[b"created_at", b"obfuscation"],
    sequence: Some(b"sequence_number"),
    // Clients raise what has an `error`; readers of the events themselves look for the type.
    error: Some(|refused| {
        Some(ErrorEvent {
            name: Some("error"),
            data: json!({
                "type": "error",
                "code": refused.code,
                "message": refused.message,
                "param": null,
                "sequence_number": refused.sequence.map_or(0, |n| n.saturating_add(1)),
                "error": error(refused),
            }),
        })
    }),
    ..Dialect::NONE
};

/// Where log probabilities stand.
pub(crate) struct LogProbabilities {
    /// The member that has them, of a choice or of a part.
    pub(crate) member: &'static [u8],
    /// Member of an element in their lists: the token.
    pub(crate) token: &'static [u8],
    /// Members of an element that say more of its token, and what the API has there for nothing.
    pub(crate) of_token: &'static [(&'static [u8], &'static [u8])],
    /// The list that has the tokens themselves.
    pub(crate) tokens: &'static [u8],
    /// Members beside that list that say more of its tokens, and what the API has there for
    /// nothing.
    pub(crate) of_tokens: &'static [(&'static [u8], &'static [u8])],
    /// What an answer without them has where they are an object.
    pub(crate) no_object: &'static [u8],
    /// The same where they are a list.
    pub(crate) no_list: &'static [u8],
}

/// Those of all three shapes.
pub(crate) static LOG_PROBABILITIES: LogProbabilities = LogProbabilities {
    member: b"logprobs",
    token: b"token",
    of_token: &[(b"bytes", b"null"), (b"top_logprobs", b"[]")],
    tokens: b"tokens",
    of_tokens: &[(b"top_logprobs", b"null")],
    no_object: b"null",
    no_list: b"[]",
};

fn error(refused: &Refused<'_>) -> Value {
    json!({
        "message": refused.message, "type": "policy_violation", "param": null, "code": refused.code,
    })
}
