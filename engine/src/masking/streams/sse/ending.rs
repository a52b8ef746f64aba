//! The event that tells the reader of a stream that it ended with an error, in the words of the
//! dialect that the stream was in.

use crate::upstreams::{Dialect, ErrorEvent, Refused, error_event};

/// Why the stream ended, for programs.
const CODE: &str = "secret_blocked";

/// The bytes of the event; nothing if the dialect has none that its reader would understand.
/// `sequence` and `answers` are what the stream said last (see [`Refused`]).
pub(in crate::masking::streams) fn ending(
    dialect: Option<&Dialect>,
    sequence: Option<u64>,
    answers: Option<&[u8]>,
    message: &str,
) -> Option<Vec<u8>> {
    let refused = Refused {
        message,
        code: CODE,
        sequence,
        answers,
    };
    let ErrorEvent { name, data } = match dialect.and_then(|dialect| dialect.error) {
        Some(error) => error(&refused)?,
        None => error_event(&refused),
    };
    let name = name.map_or(String::new(), |name| format!("event: {name}\n"));
    Some(format!("{name}data: {data}\n\n").into_bytes())
}
