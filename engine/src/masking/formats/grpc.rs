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
pub(in crate::masking) struct Grpc {
    tap: Tap,
    /// Bytes of the prefix read so far.
    prefix: Vec<u8>,
    /// Bytes of the message that are to come.
    left: u32,
}

impl Grpc {
    pub(in crate::masking) fn new() -> Self {
        Self {
            tap: Tap::new(Escaping::SameLength),
            prefix: Vec::new(),
            left: 0,
        }
    }
}

impl Format for Grpc {
    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let end = from.saturating_add(chunk.len() as u64);
        let mut rest = chunk;
        while !rest.is_empty() {
            let raw = end.saturating_sub(rest.len() as u64);
            if self.left == 0 {
                let missing = 5_usize.saturating_sub(self.prefix.len()).min(rest.len());
                let (prefix, after) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
                self.prefix.extend_from_slice(prefix);
                rest = after;
                if let [_, a, b, c, d] = *self.prefix {
                    self.left = u32::from_be_bytes([a, b, c, d]);
                    if self.left == 0 {
                        self.prefix.clear();
                    }
                }
                continue;
            }
            let length = usize::try_from(self.left)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            let (message, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            // A message that says it is compressed may not be: read as it is, it costs nothing and
            // keeps its length.
            self.tap.push_plain(desk, message, raw);
            self.left = self
                .left
                .saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
            if self.left == 0 {
                self.tap.finish(desk);
                self.prefix.clear();
            }
            rest = after;
        }
        self.tap.undecided().map_or(end, RawAt::get)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, _end: u64) {
        self.tap.finish(desk);
    }
}
