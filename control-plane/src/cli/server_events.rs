//! Streams that the management API sends: approvals and records as they come.

use std::time::Duration;

use super::failure::Failure;
use super::output::warning;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// Its kind; `message` when the server names none.
    pub(crate) kind: String,
    /// Its data.
    pub(crate) data: String,
}

/// Whether the server says that we read too slowly; tells the person on standard error.
pub(crate) fn missed(event: &ServerEvent) -> bool {
    if event.kind != "missed" {
        return false;
    }
    warning(&format!("read too slowly, missed {} updates", event.data));
    true
}

/// A stream is taken for broken when nothing came for so long. The control plane sends a comment
/// every 15 seconds; a peer that has vanished without a word sends nothing, and TCP would not say
/// so.
const SILENCE: Duration = Duration::from_secs(50);

/// An open stream of events.
pub(crate) struct ServerEvents {
    response: reqwest::Response,
    parser: SseParser,
}

impl ServerEvents {
    /// The events that are the body of this response.
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self {
            response,
            parser: SseParser::default(),
        }
    }

    /// The next event; nothing when the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerEvent>, Failure> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            match tokio::time::timeout(SILENCE, self.response.chunk()).await {
                Ok(Ok(Some(bytes))) => self.parser.push(&bytes),
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(e)) => {
                    return Err(Failure::unreachable(format!("The stream broke off: {e}.")));
                }
                Err(_) => {
                    return Err(Failure::unreachable(
                        "The stream broke off: it fell silent.",
                    ));
                }
            }
        }
    }
}

/// Reads `text/event-stream` (WHATWG HTML §9.2), as far as our server writes it.
#[derive(Debug, Default)]
struct SseParser {
    bytes: Vec<u8>,
}

impl SseParser {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<ServerEvent> {
        loop {
            let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let mut event = ServerEvent {
                kind: "message".to_owned(),
                data: String::new(),
            };
            let mut data = Vec::new();
            for line in block.lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => event.kind = value.to_owned(),
                    "data" => data.push(value),
                    _ => {}
                }
            }
            // A comment alone keeps the connection alive and is no event.
            if !data.is_empty() {
                event.data = data.join("\n");
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_the_bytes_are_cut() {
        let text = ": hello\n\nevent: approval\ndata: {\"a\":1}\n\ndata: x\ndata: ü\n\n";
        for size in 1..text.len() {
            let mut parser = SseParser::default();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.push(chunk);
                while let Some(event) = parser.next() {
                    events.push((event.kind, event.data));
                }
            }
            let expected = [("approval", "{\"a\":1}"), ("message", "x\nü")];
            assert_eq!(
                events,
                expected.map(|(k, d)| (k.to_owned(), d.to_owned())),
                "{size}"
            );
        }
    }
}
