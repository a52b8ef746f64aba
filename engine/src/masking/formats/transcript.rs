//! The text of one chunk while a format decodes it.

use crate::masking::{
    bodies::desk::Desk,
    text::tap::{Piece, Tap},
};

/// Bytes that are copied before the tap reads them: few, so that they stay in the processor's
/// cache.
const COPIED: usize = 8 * 1024;

/// What a transcript is written into. Kept from chunk to chunk, to save allocations.
#[derive(Clone, Default)]
pub(super) struct Buffers {
    text: Vec<u8>,
    pieces: Vec<Piece>,
    seams: Vec<usize>,
}

impl Buffers {
    /// Room for a text that is no transcript.
    pub(super) fn take_text(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// Gives it back.
    pub(super) fn give_text(&mut self, mut text: Vec<u8>) {
        text.clear();
        self.text = text;
    }
}

/// The decoded text of a chunk, or of a part of it. It is the chunk itself up to the first byte
/// that does not stand for itself, which makes a copy.
pub(super) struct Transcript<'a> {
    chunk: &'a [u8],
    /// Raw offset of the chunk.
    from: u64,
    /// Raw offset from which on nothing is copied.
    plain: u64,
    buffers: Buffers,
}

impl<'a> Transcript<'a> {
    /// Of a chunk that begins at the raw offset `from`.
    pub(super) fn new(buffers: Buffers, chunk: &'a [u8], from: u64) -> Self {
        Self {
            chunk,
            from,
            plain: from,
            buffers,
        }
    }

    pub(super) fn into_buffers(mut self) -> Buffers {
        self.clear();
        // Not for each part of a chunk: memory that is given back is asked for again at the next
        // one.
        self.buffers.text.shrink_to(COPIED);
        self.buffers.pieces.shrink_to(64);
        self.buffers.seams.shrink_to(64);
        self.buffers
    }

    /// What stands at this raw offset begins or ends a span; see
    /// [`Seams`](crate::masking::text::channel::Seams).
    pub(super) fn seam(&mut self, raw: u64) {
        let plain = usize::try_from(raw.saturating_sub(self.plain)).unwrap_or(0);
        let at = self.buffers.text.len().saturating_add(plain);
        self.buffers.seams.push(at);
    }

    /// Bytes that stand for themselves. Only those that an earlier chunk began need to be told.
    pub(super) fn plain(&mut self, text: &[u8], raw: u64) {
        if raw < self.from && !text.is_empty() {
            self.buffers.text.extend_from_slice(text);
            self.buffers.pieces.push(Piece::plain(raw, text.len()));
            self.plain = raw.saturating_add(text.len() as u64);
        }
    }

    /// `raw_len` bytes that stand for `text`.
    pub(super) fn unit(&mut self, text: &[u8], raw: u64, raw_len: u32) {
        self.copy_to(raw);
        match text {
            // Nearly all escapes.
            [byte] => self.buffers.text.push(*byte),
            _ => self.buffers.text.extend_from_slice(text),
        }
        self.buffers
            .pieces
            .push(Piece::unit(text.len(), raw, raw_len));
        self.plain = raw.saturating_add(u64::from(raw_len));
    }

    /// Leaves out the bytes up to `to`; all before `start` was written, or stands for itself.
    pub(super) fn skip(&mut self, start: u64, to: u64) {
        self.copy_to(start);
        self.plain = to.max(self.plain);
    }

    /// Writes text that was left out before, at this place.
    pub(super) fn insert(&mut self, text: &[u8], pieces: &[Piece]) {
        self.buffers.text.extend_from_slice(text);
        self.buffers.pieces.extend_from_slice(pieces);
    }

    /// Whether it is time to [emit](Self::emit).
    pub(super) fn is_full(&self) -> bool {
        self.buffers.text.len() >= COPIED
    }

    /// Lets the tap read the text up to the raw offset `to`.
    pub(super) fn emit(&mut self, desk: &mut Desk<'_>, tap: &mut Tap, to: u64) {
        let end = self.from.saturating_add(self.chunk.len() as u64);
        desk.fault
            .unless(to <= end, "text is to be read that has not come");
        if self.buffers.pieces.is_empty() {
            let text = self.slice(self.plain, to);
            let piece = Piece::plain(self.plain, text.len());
            tap.push_seamed(desk, text, &[piece], &self.buffers.seams);
            self.plain = to.max(self.plain);
        } else {
            self.copy_to(to);
            let Buffers {
                text,
                pieces,
                seams,
            } = &self.buffers;
            tap.push_seamed(desk, text, pieces, seams);
        }
        self.clear();
    }

    /// Forgets what was not emitted.
    pub(super) fn clear(&mut self) {
        self.buffers.text.clear();
        self.buffers.pieces.clear();
        self.buffers.seams.clear();
    }

    fn copy_to(&mut self, to: u64) {
        let length = self.slice(self.plain, to).len();
        if length > 0 {
            let from = usize::try_from(self.plain.saturating_sub(self.from)).unwrap_or(usize::MAX);
            let text = self.chunk.get(from..).unwrap_or_default();
            append(&mut self.buffers.text, text, length);
            let piece = Piece::plain(self.plain, length);
            self.buffers.pieces.push(piece);
        }
        self.plain = to.max(self.plain);
    }

    /// The bytes of the chunk from one raw offset to another.
    fn slice(&self, start: u64, end: u64) -> &'a [u8] {
        let start = usize::try_from(start.saturating_sub(self.from)).unwrap_or(usize::MAX);
        let end = usize::try_from(end.saturating_sub(self.from)).unwrap_or(usize::MAX);
        self.chunk.get(start..end).unwrap_or_default()
    }
}

/// Appends the first bytes of `text`, mostly few: what stands between two escapes. In WebAssembly a
/// copy whose length is not known when the module is built is a call to the host's runtime, which
/// costs more than such a copy. So whole blocks are copied, and what is too much is taken off.
#[inline]
pub(super) fn append(to: &mut Vec<u8>, text: &[u8], length: usize) {
    let blocks = text.get(..length.next_multiple_of(BLOCK));
    match blocks.filter(|blocks| blocks.len() <= 4 * BLOCK) {
        Some(blocks) => {
            let end = to.len().saturating_add(length);
            for block in blocks.as_chunks::<BLOCK>().0 {
                to.extend_from_slice(block);
            }
            to.truncate(end);
        }
        None => to.extend_from_slice(text.get(..length).unwrap_or_default()),
    }
}

/// Bytes that are copied at once.
const BLOCK: usize = 16;
