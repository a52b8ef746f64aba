//! gRPC, whose messages count their bytes: replacements are as long as what they replace.

use super::Format;
use crate::masking::{
    bodies::desk::Desk,
    offsets::RawAt,
    text::tap::{Escaping, Tap},
};

/// gRPC and gRPC-Web: messages, each with a flag and its length before it
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>). A message is a text of its
/// own.
///
/// Nobody checks that a body is gRPC because it says so. What cannot be the head of a message makes
/// all that follows one text, beginning with these bytes: neither its flag nor the first byte of
/// its length is ever a character of a text, so a body of text has no head in it. What can be one
/// may lie, too: then the bytes that say the length are the beginning of a secret. So those that
/// could be characters are read before the message.
#[derive(Clone)]
pub(in crate::masking) struct Grpc {
    tap: Tap,
    /// Bytes of the head read so far, and where they stand.
    head: Vec<u8>,
    head_at: u64,
    place: Place,
}

/// Where in the body we are.
#[derive(Clone)]
enum Place {
    Head,
    /// In a message of which so many bytes are to come.
    Message(u32),
    /// In what is no gRPC.
    Text,
}

const HEAD: usize = 5;

/// Whether a message may begin with this byte: a flag says whether it is compressed, and in
/// gRPC-Web whether it holds the trailers.
pub(super) fn is_flag(byte: u8) -> bool {
    matches!(byte, 0 | 1 | 0x80 | 0x81)
}

/// The length that a head says, if it can be one. From 512 MiB on it would begin with a character.
fn length(head: [u8; HEAD]) -> Option<u32> {
    let [flag, a, b, c, d] = head;
    (is_flag(flag) && a < b' ').then(|| u32::from_be_bytes([a, b, c, d]))
}

/// What may be the beginning of a text at the end of a head.
fn characters(head: &[u8]) -> &[u8] {
    let before = head.iter().rposition(u8::is_ascii_control);
    let from = before.map_or(0, |at| at.saturating_add(1));
    head.get(from..).unwrap_or_default()
}

impl Grpc {
    pub(in crate::masking) fn new() -> Self {
        Self {
            tap: Tap::new(Escaping::SameLength),
            head: Vec::with_capacity(HEAD),
            head_at: 0,
            place: Place::Head,
        }
    }

    /// Decides what the bytes at the place of a head are, once it is known.
    fn decide(&mut self, desk: &mut Desk<'_>) {
        let length = match *self.head {
            [flag, a, b, c, d] => length([flag, a, b, c, d]),
            [flag, ..] if is_flag(flag) => return,
            _ => None,
        };
        let head = std::mem::take(&mut self.head);
        self.place = match length {
            None => {
                self.tap.push_plain(desk, &head, self.head_at);
                Place::Text
            }
            Some(0) => Place::Head,
            Some(length) => {
                let text = characters(&head);
                if !text.is_empty() {
                    let skipped = head.len().saturating_sub(text.len()) as u64;
                    let at = self.head_at.saturating_add(skipped);
                    self.tap.push_plain(desk, text, at);
                    self.tap.boundary();
                }
                Place::Message(length)
            }
        };
    }

    fn undecided(&self) -> Option<u64> {
        let head = (!self.head.is_empty()).then_some(self.head_at);
        let tap = self.tap.undecided().map(RawAt::get);
        tap.into_iter().chain(head).min()
    }
}

impl Format for Grpc {
    fn copy(&self) -> Box<dyn Format> {
        Box::new(self.clone())
    }

    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let end = from.saturating_add(chunk.len() as u64);
        let mut rest = chunk;
        while let [first, after @ ..] = rest {
            let raw = end.saturating_sub(rest.len() as u64);
            rest = match self.place {
                Place::Head => {
                    if self.head.is_empty() {
                        self.head_at = raw;
                    }
                    self.head.push(*first);
                    self.decide(desk);
                    after
                }
                Place::Message(left) => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX);
                    let (message, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                    // A message that says it is compressed may not be: read as it is, it costs
                    // nothing and keeps its length.
                    self.tap.push_plain(desk, message, raw);
                    let read = u32::try_from(message.len()).unwrap_or(u32::MAX);
                    self.place = match left.saturating_sub(read) {
                        0 => {
                            self.tap.finish(desk);
                            Place::Head
                        }
                        left => Place::Message(left),
                    };
                    after
                }
                Place::Text => {
                    self.tap.push_plain(desk, rest, raw);
                    &[]
                }
            };
        }
        self.undecided().unwrap_or(end)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, _end: u64) {
        let head = std::mem::take(&mut self.head);
        if !head.is_empty() {
            self.tap.push_plain(desk, &head, self.head_at);
        }
        self.tap.finish(desk);
    }
}
