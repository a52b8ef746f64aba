//! Bytes that wait in the filter, in order.

use std::collections::VecDeque;

/// Pieces as they came, so that taking from the front moves none of the others.
#[derive(Default)]
pub(super) struct Rest {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece was taken.
    taken: usize,
    len: usize,
}

impl Rest {
    /// How many bytes wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds bytes at the end.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.len = self.len.saturating_add(bytes.len());
            self.pieces.push_back(bytes.to_vec());
        }
    }

    /// The first bytes: at least one if there is one, at most so many.
    pub(super) fn front(&self, most: usize) -> &[u8] {
        let piece = self.pieces.front().map_or(&[][..], Vec::as_slice);
        let piece = piece.get(self.taken..).unwrap_or_default();
        piece.get(..most).unwrap_or(piece)
    }

    /// Takes so many bytes from the front, no more than [`Rest::front`] has given.
    pub(super) fn take(&mut self, count: usize) {
        self.len = self.len.saturating_sub(count);
        self.taken = self.taken.saturating_add(count);
        if self
            .pieces
            .front()
            .is_some_and(|piece| piece.len() <= self.taken)
        {
            self.pieces.pop_front();
            self.taken = 0;
        }
    }

    /// Takes all bytes, as one.
    pub(super) fn take_all(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        while !self.is_empty() {
            let front = self.front(usize::MAX);
            let length = front.len();
            all.extend_from_slice(front);
            self.take(length);
        }
        all
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl std::fmt::Debug for Rest {
    /// Without the bytes: they may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rest({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_in_the_order_in_which_they_came() {
        let mut rest = Rest::default();
        for piece in [b"one ".as_slice(), b"", b"two ", b"three"] {
            rest.push(piece);
        }
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let front = rest.front(3).to_vec();
            assert!((1..=3).contains(&front.len()));
            rest.take(front.len());
            seen.extend(front);
            assert_eq!(seen.len() + rest.len(), 13);
        }
        assert_eq!(seen, b"one two three");
        rest.push(b"a");
        rest.push(b"b");
        assert_eq!(rest.take_all(), b"ab");
        assert!(rest.is_empty());
    }
}
