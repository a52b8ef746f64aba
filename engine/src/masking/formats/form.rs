//! Forms (`application/x-www-form-urlencoded`, WHATWG URL §5): pairs of names and values,
//! percent-encoded.
//!
//! The body is one text in which a pair is a span: what names a secret stands before it, as in
//! other texts.

use super::{
    Format,
    transcript::{Buffers, Transcript},
    whole::Whole,
};
use crate::base::percent;
use crate::masking::{
    bodies::{desk::Desk, keys::MAX_NAME},
    offsets::RawAt,
    text::tap::{Escaping, Tap},
};

/// A form.
#[derive(Clone)]
pub(in crate::masking) struct Form {
    tap: Tap,
    buffers: Buffers,
    /// The beginning of `%41` that a chunk cut, and where it stands.
    cut: Vec<u8>,
    cut_at: u64,
    /// The name of the pair, while it is being read; no longer than names that are looked for.
    name: Option<Vec<u8>>,
    /// The value, if its name makes it a secret.
    whole: Option<Whole>,
}

impl Form {
    pub(in crate::masking) fn new() -> Self {
        Self {
            tap: Tap::new(Escaping::Percent),
            buffers: Buffers::default(),
            cut: Vec::new(),
            cut_at: 0,
            name: Some(Vec::new()),
            whole: None,
        }
    }

    /// Reads a byte of a name or a value.
    fn byte(
        &mut self,
        desk: &mut Desk<'_>,
        byte: u8,
        raw: u64,
        raw_len: u32,
        out: &mut Transcript<'_>,
    ) {
        if let Some(whole) = &mut self.whole {
            whole.push(desk, &[byte], raw, u64::from(raw_len));
            if !whole.passes() {
                out.skip(raw, raw.saturating_add(u64::from(raw_len)));
                return;
            }
        } else if let Some(name) = &mut self.name
            && name.len() <= MAX_NAME
        {
            name.push(byte);
        }
        if raw_len != 1 || byte == b' ' {
            out.unit(&[byte], raw, raw_len);
        }
    }

    fn end_pair(&mut self, desk: &mut Desk<'_>) {
        if let Some(mut whole) = self.whole.take() {
            whole.finish(desk);
        }
        self.name = (!desk.plan.keys.is_empty()).then(Vec::new);
    }

    fn undecided(&self) -> Option<u64> {
        let cut = (!self.cut.is_empty()).then_some(self.cut_at);
        let whole = self.whole.as_ref().and_then(Whole::undecided);
        let text = self.tap.undecided().map(RawAt::get);
        [text, cut, whole].into_iter().flatten().min()
    }
}

impl Format for Form {
    fn copy(&self) -> Box<dyn Format> {
        Box::new(self.clone())
    }

    fn push(&mut self, desk: &mut Desk<'_>, chunk: &[u8], from: u64) -> u64 {
        let end = from.saturating_add(chunk.len() as u64);
        let mut out = Transcript::new(std::mem::take(&mut self.buffers), chunk, from);
        let mut cut = std::mem::take(&mut self.cut);
        for (&byte, raw) in chunk.iter().zip(from..) {
            if !cut.is_empty() {
                if byte.is_ascii_hexdigit() {
                    cut.push(byte);
                    if let [_, high, low] = *cut {
                        let meant = percent::pair(Some(high), Some(low)).unwrap_or(0);
                        self.byte(desk, meant, self.cut_at, 3, &mut out);
                        cut.clear();
                    }
                    continue;
                }
                // `%` that encodes nothing stands for itself.
                if self.whole.as_ref().is_none_or(Whole::passes) {
                    out.plain(&cut, self.cut_at);
                }
                for (&byte, raw) in cut.iter().zip(self.cut_at..) {
                    self.byte(desk, byte, raw, 1, &mut out);
                }
                cut.clear();
            }
            match byte {
                b'%' => {
                    cut.push(byte);
                    self.cut_at = raw;
                }
                b'&' => {
                    self.end_pair(desk);
                    out.seam(raw);
                    out.seam(raw.saturating_add(1));
                }
                b'=' if self.name.is_some() && self.whole.is_none() => {
                    let name = self.name.take().unwrap_or_default();
                    if let Some(name) = desk.plan.keys.get(&name) {
                        let name = format!("keys/{name}");
                        self.whole = Some(Whole::new(desk, name, Escaping::Percent));
                    }
                }
                b'+' => self.byte(desk, b' ', raw, 1, &mut out),
                _ => self.byte(desk, byte, raw, 1, &mut out),
            }
            if out.is_full() && cut.is_empty() {
                out.emit(desk, &mut self.tap, raw.saturating_add(1));
            }
        }
        let read_to = if cut.is_empty() { end } else { self.cut_at };
        out.emit(desk, &mut self.tap, read_to);
        self.buffers = out.into_buffers();
        self.cut = cut;
        self.undecided().unwrap_or(end)
    }

    fn finish(&mut self, desk: &mut Desk<'_>, end: u64) {
        let cut = std::mem::take(&mut self.cut);
        let mut out = Transcript::new(Buffers::default(), &[], end);
        if self.whole.as_ref().is_none_or(Whole::passes) {
            out.plain(&cut, self.cut_at);
        }
        for (&byte, raw) in cut.iter().zip(self.cut_at..) {
            if let Some(whole) = &mut self.whole {
                whole.push(desk, &[byte], raw, 1);
            }
        }
        out.emit(desk, &mut self.tap, end);
        self.end_pair(desk);
        self.tap.finish(desk);
    }
}
