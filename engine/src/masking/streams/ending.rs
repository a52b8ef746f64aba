//! The event that tells the reader of a stream that it ended with an error, in the words of its
//! protocol.
//!
//! Official clients raise it: they look for a member `error`, or for an event of the name `error`.

use super::protocols::Protocol;
use serde_json::{Value, json};

/// Why the stream ended, for programs.
const CODE: &str = "secret_blocked";

/// The same as a code of JSON-RPC: from the range for servers, at the end that no one gives a
/// meaning to. MCP's clients take -32000 for a closed connection and -32001 for a timeout.
const BLOCKED: i64 = -32099;

/// The bytes of the event; nothing if the protocol has none that its reader would understand.
pub(super) fn ending(
    protocol: Protocol,
    sequence_number: Option<u64>,
    answers: Option<&[u8]>,
    message: &str,
) -> Option<Vec<u8>> {
    let openai =
        json!({"message": message, "type": "policy_violation", "param": null, "code": CODE});
    let (name, data) = match protocol {
        Protocol::ChatCompletions => (None, json!({"error": openai})),
        // The clients raise what has an `error`; readers of the events themselves look for the
        // type.
        Protocol::Responses => (
            Some("error"),
            json!({
                "type": "error", "code": CODE, "message": message, "param": null,
                "sequence_number": sequence_number.map_or(0, |n| n.saturating_add(1)), "error": openai,
            }),
        ),
        Protocol::Messages => (
            Some("error"),
            json!({"type": "error", "error": {"type": "permission_error", "message": message}}),
        ),
        Protocol::Gemini => (
            None,
            json!({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}),
        ),
        // An answer that was not to pass is answered by an error; whoever waits for another one has
        // to be told by the stream's end (JSON-RPC 2.0 §5: an error without its request's id is for
        // requests that cannot be read).
        Protocol::JsonRpc => {
            let id: Value = serde_json::from_slice(answers?).ok()?;
            (
                Some("message"),
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": BLOCKED, "message": message, "data": {"code": CODE}}}),
            )
        }
        Protocol::Unknown => (
            Some("error"),
            json!({
                "type": "about:blank", "title": "Forbidden", "status": 403, "detail": message, "code": CODE,
            }),
        ),
    };
    let name = name.map_or(String::new(), |name| format!("event: {name}\n"));
    Some(format!("{name}data: {data}\n\n").into_bytes())
}
