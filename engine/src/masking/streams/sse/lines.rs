//! The lines of an event stream (WHATWG HTML §9.2.5): where an event ends, and what its lines say.

/// Finds where events end, in bytes that come cut anywhere. Lines end with LF, CR or CRLF, mixed at
/// will.
///
/// An event ends with a blank line. A comment before the first field of an event is taken for an
/// event of its own: servers send comments so that a quiet connection lives on, and they must not
/// wait for what comes next.
#[derive(Debug, Clone, Default)]
pub(in crate::masking::streams) struct Ends {
    /// Bytes of the current line before its end; only whether there are some counts.
    in_line: bool,
    is_comment: bool,
    /// The current event has a line that is not a comment.
    has_fields: bool,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
}

impl Ends {
    /// How many of these bytes, which come next, belong to the current event; `None` if all do and
    /// it goes on. After an event that ends with CR the next one begins; an LF there is
    /// [skipped](Self::skips).
    pub(in crate::masking::streams) fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..)
            && let Some(&first) = rest.first()
        {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                at = at.saturating_add(1);
                continue;
            }
            if !self.in_line {
                self.is_comment = first == b':';
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.in_line = true;
                return None;
            };
            let is_blank = end == 0 && !self.in_line;
            self.after_cr = rest.get(end) == Some(&b'\r');
            self.in_line = false;
            at = at.saturating_add(end).saturating_add(1);
            if is_blank || self.is_comment && !self.has_fields {
                self.has_fields = false;
                return Some(at);
            }
            self.has_fields |= !self.is_comment;
        }
        None
    }

    /// Whether an event has just ended with a CR and `bytes`, which come next, begin with the LF of
    /// it.
    pub(in crate::masking::streams) fn skips(&mut self, bytes: &[u8]) -> bool {
        std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n')
    }
}

/// The lines of a whole event: what stands before their ends, and where.
pub(in crate::masking::streams) fn lines(event: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = event.get(at..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = (at, rest.get(..end).unwrap_or_default());
        let is_crlf = rest.get(end..).is_some_and(|end| end.starts_with(b"\r\n"));
        at = at
            .saturating_add(end)
            .saturating_add(if is_crlf { 2 } else { 1 });
        Some(line)
    })
}

/// What a line without its end says.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::masking::streams) enum Line<'a> {
    /// So many bytes in, a value of `data` begins.
    Data(usize, &'a [u8]),
    /// The name of the event.
    Event(&'a [u8]),
    /// A comment, `id`, `retry`, or a field that readers ignore.
    Other,
}

impl<'a> Line<'a> {
    pub(in crate::masking::streams) fn read(line: &'a [u8]) -> Self {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
        let skipped = if value.starts_with(b": ") { 2 } else { 1 };
        let value = value.get(skipped..).unwrap_or_default();
        match name {
            b"data" => Self::Data(line.len().saturating_sub(value.len()), value),
            b"event" => Self::Event(value),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn ends(chunks: &[&[u8]]) -> Vec<usize> {
        let mut ends = Ends::default();
        let (mut found, mut from) = (Vec::new(), 0);
        for chunk in chunks {
            let mut at = 0;
            while at < chunk.len() {
                let rest = &chunk[at..];
                if found.last() == Some(&(from + at)) && ends.skips(rest) {
                    at += 1;
                    continue;
                }
                match ends.find(rest) {
                    Some(n) => at += n,
                    None => break,
                }
                found.push(from + at);
            }
            from += chunk.len();
        }
        found
    }

    #[test]
    fn an_event_ends_with_a_blank_line_however_lines_end() {
        for (stream, expected) in [
            ("data: a\n\ndata: b\n\n", vec![9, 18]),
            ("data: a\r\rdata: b\r\r", vec![9, 18]),
            // The LF after the CR that ends an event belongs to neither.
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec![10, 21]),
            ("data: a\n\r\ndata: b\r\n\n", vec![9, 20]),
            (": x\ndata: a\n: y\n\n", vec![4, 17]),
            ("\n\ndata", vec![1, 2]),
        ] {
            assert_eq!(ends(&[stream.as_bytes()]), expected, "{stream:?}");
            for cut in 0..stream.len() {
                let (a, b) = stream.as_bytes().split_at(cut);
                assert_eq!(ends(&[a, b]), expected, "{stream:?} at {cut}");
            }
        }
    }

    #[test]
    fn a_line_says_what_the_standard_says() {
        for (line, expected) in [
            ("data: a: b", Line::Data(6, b"a: b")),
            ("data:a", Line::Data(5, b"a")),
            ("data:  a", Line::Data(6, b" a")),
            ("data", Line::Data(4, b"")),
            ("data:", Line::Data(5, b"")),
            ("event: x", Line::Event(b"x")),
            (": data: x", Line::Other),
            (" data: x", Line::Other),
            ("Data: x", Line::Other),
            ("datax: x", Line::Other),
        ] {
            assert_eq!(Line::read(line.as_bytes()), expected, "{line:?}");
        }
    }

    #[test]
    fn lines_are_what_stands_between_their_ends() {
        let event = b"a\r\nb\rc\nd\n\r\n";
        let found: Vec<_> = lines(event).collect();
        let expected: [(usize, &[u8]); 5] = [(0, b"a"), (3, b"b"), (5, b"c"), (7, b"d"), (9, b"")];
        assert_eq!(found, expected);
    }
}
