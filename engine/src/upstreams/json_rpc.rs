//! JSON-RPC 2.0, and in it MCP.
//!
//! # Sources
//!
//! - <https://www.jsonrpc.org/specification>.
//! - MCP over HTTP: <https://modelcontextprotocol.io/specification/2025-06-18/basic/transports>,
//!   and in its first version over HTTP with server-sent events:
//!   <https://modelcontextprotocol.io/specification/2024-11-05/basic/transports>.

use super::dialect::{Dialect, ErrorEvent, Refused, Sign};
use serde_json::{Value, json};

/// Code of an error: from the range for servers, at the end that no one gives a meaning to. MCP's
/// clients take -32000 for a closed connection and -32001 for a timeout.
const BLOCKED: i64 = -32099;

/// Its messages.
pub(super) static MESSAGES: Dialect = Dialect {
    name: "JSON-RPC",
    sign: Sign::Message {
        member: b"jsonrpc",
        id: b"id",
        answers: &[b"result", b"error"],
    },
    // MCP over HTTP+SSE begins with the address that messages are sent to, and goes on when one
    // was. Held because its end may begin a secret, it would be waited for by the one who is to
    // send it. Only the first: what comes again may be a text in pieces.
    whole: &[b"endpoint"],
    error: Some(error),
    ..Dialect::NONE
};

/// An answer that was not to pass is answered by an error. Whoever waits for another one has to be
/// told by the stream's end: an error without its request's id is for requests that cannot be read
/// (§5).
fn error(refused: &Refused<'_>) -> Option<ErrorEvent> {
    let id: Value = serde_json::from_slice(refused.answers?).ok()?;
    let data = json!({ "code": refused.code });
    let error = json!({"code": BLOCKED, "message": refused.message, "data": data});
    Some(ErrorEvent {
        name: Some("message"),
        data: json!({"jsonrpc": "2.0", "id": id, "error": error}),
    })
}
