//! Listens to a [`Tokenizer`](crate::base::tokens::Tokenizer) and keeps what is wanted.

use super::{
    found::{Found, Malformed, Value},
    wanted::{Name, Wanted},
};
use crate::base::tokens::Sink;

/// Where in a document reading is.
#[derive(Debug)]
pub(super) struct State {
    /// Open containers.
    depth: u8,
    /// Those that are on the way to something wanted.
    frames: Vec<Frame>,
    /// Those that are wanted themselves.
    spans: Vec<Span>,
    /// The node of the value that comes next, if it is on the way to something wanted.
    next: Option<usize>,
    collects: Collects,
    /// What is collected, and whether that is not all of it.
    text: Vec<u8>,
    too_long: bool,
    /// Where it begins, and where what came last of it ends.
    start: u64,
    end: u64,
    /// The document's value has begun.
    has_begun: bool,
}

#[derive(Debug)]
struct Frame {
    node: usize,
    /// Open containers, this one among them.
    depth: u8,
    is_array: bool,
    /// A bit for each wanted member that came.
    seen: u64,
}

#[derive(Debug)]
struct Span {
    node: usize,
    depth: u8,
    start: u64,
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collects {
    Nothing,
    /// A name in an object.
    Name,
    /// The string of a node.
    Text(usize),
    /// The number or literal of a node.
    Scalar(usize),
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            depth: 0,
            frames: Vec::new(),
            spans: Vec::new(),
            next: Some(0),
            collects: Collects::Nothing,
            text: Vec::new(),
            too_long: false,
            start: 0,
            end: 0,
            has_begun: false,
        }
    }
}

/// Reads one part.
pub(super) struct Reading<'a, F> {
    wanted: &'a Wanted,
    state: &'a mut State,
    each: &'a mut F,
    fault: Option<Malformed>,
}

impl<'a, F: FnMut(Found<'_>)> Reading<'a, F> {
    pub(super) fn new(wanted: &'a Wanted, state: &'a mut State, each: &'a mut F) -> Self {
        Self {
            wanted,
            state,
            each,
            fault: None,
        }
    }

    pub(super) fn fault(&self) -> Option<Malformed> {
        self.fault
    }

    /// Whether the document's value has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.state.has_begun
    }

    fn is_malformed(&mut self, at: u64) {
        self.fault.get_or_insert(Malformed { at });
    }

    /// A value begins.
    #[inline]
    fn begins(&mut self, at: u64) {
        self.end_scalar();
        if self.state.depth == 0 && std::mem::replace(&mut self.state.has_begun, true) {
            self.is_malformed(at);
        }
    }

    /// Whether what comes now is directly in the innermost container on the way.
    #[inline]
    fn is_on_way(&self) -> bool {
        let last = self.state.frames.last();
        last.is_some_and(|frame| frame.depth == self.state.depth)
    }

    #[inline]
    fn collect(&mut self, what: Collects, start: u64) {
        self.state.collects = what;
        self.state.text.clear();
        self.state.too_long = false;
        self.state.start = start;
    }

    fn keep(&mut self, text: &[u8]) {
        let most = match self.state.collects {
            Collects::Name => self.wanted.longest(),
            _ => self.wanted.most(),
        };
        if self.state.text.len().saturating_add(text.len()) > most {
            self.state.too_long = true;
        } else if !self.state.too_long {
            self.state.text.extend_from_slice(text);
        }
    }

    fn tell(&mut self, node: usize, at: u64, value: Value<'_>) {
        if let (Some(path), None) = (self.wanted.path(node), self.fault) {
            (self.each)(Found::Member { path, at, value });
        }
    }

    /// A number or literal may have ended.
    #[inline]
    pub(super) fn end_scalar(&mut self) {
        if let Collects::Scalar(node) = self.state.collects {
            self.state.collects = Collects::Nothing;
            let text = std::mem::take(&mut self.state.text);
            let written = std::str::from_utf8(&text).unwrap_or_default();
            let value = match written {
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                "null" => Value::Null,
                number => Value::Number(number),
            };
            self.tell(node, self.state.start, value);
            self.state.text = text;
        }
    }

    /// A name in an object on the way ended.
    fn named(&mut self) {
        let text = std::mem::take(&mut self.state.text);
        self.state.next = None;
        let at = self.state.start;
        match std::str::from_utf8(&text) {
            _ if self.state.too_long => {}
            Ok(name) => self.look_up(name, at),
            Err(_) => self.is_malformed(at),
        }
        self.state.text = text;
    }

    fn look_up(&mut self, name: &str, at: u64) {
        let Some(frame) = self.state.frames.last_mut() else {
            return;
        };
        let found = match self.wanted.name(frame.node, name) {
            Name::Other => return,
            Name::Alike { node } => Found::Alike {
                path: self.wanted.first(node),
                at,
            },
            Name::Wanted { member, node } => {
                self.state.next = Some(node);
                let bit = 1_u64.wrapping_shl(member);
                let came = frame.seen & bit != 0;
                frame.seen |= bit;
                if !came {
                    return;
                }
                Found::Again {
                    path: self.wanted.first(node),
                    at,
                }
            }
        };
        if self.fault.is_none() {
            (self.each)(found);
        }
    }

    fn opens(&mut self, byte: u8, raw: u64) {
        self.begins(raw);
        self.state.depth = self.state.depth.saturating_add(1);
        let Some(node) = self.state.next.take() else {
            return;
        };
        let depth = self.state.depth;
        if self.wanted.path(node).is_some() {
            self.state.spans.push(Span {
                node,
                depth,
                start: raw,
            });
        }
        let is_array = byte == b'[';
        let elements = self.wanted.elements(node).filter(|_| is_array);
        if elements.is_some() || !is_array && self.wanted.has_members(node) {
            self.state.frames.push(Frame {
                node,
                depth,
                is_array,
                seen: 0,
            });
            self.state.next = elements;
        }
    }

    fn closes(&mut self, byte: u8, raw: u64) {
        self.end_scalar();
        self.state.next = None;
        let depth = self.state.depth;
        self.state.frames.pop_if(|frame| frame.depth == depth);
        if let Some(span) = self.state.spans.pop_if(|span| span.depth == depth) {
            let end = raw.saturating_add(1);
            let value = match byte {
                b'}' => Value::Object { end },
                _ => Value::Array { end },
            };
            self.tell(span.node, span.start, value);
        }
        self.state.depth = depth.saturating_sub(1);
    }
}

impl<F: FnMut(Found<'_>)> Sink for Reading<'_, F> {
    #[inline]
    fn structure(&mut self, byte: u8, raw: u64) {
        match byte {
            b'{' | b'[' => self.opens(byte, raw),
            b'}' | b']' => self.closes(byte, raw),
            b',' => {
                self.end_scalar();
                if self.is_on_way() {
                    let frame = self.state.frames.last().filter(|frame| frame.is_array);
                    self.state.next = frame.and_then(|frame| self.wanted.elements(frame.node));
                }
            }
            _ => {}
        }
    }

    #[inline]
    fn string_start(&mut self, is_key: bool, raw: u64) {
        if is_key {
            if self.is_on_way() {
                self.collect(Collects::Name, raw);
            }
            return;
        }
        self.begins(raw);
        if let Some(node) = self.state.next.take()
            && self.wanted.path(node).is_some()
        {
            self.collect(Collects::Text(node), raw);
        }
    }

    #[inline]
    fn plain(&mut self, text: &[u8], raw: u64) {
        // A backslash that stands for itself is an unknown escape.
        let is_strict = text.first() != Some(&b'\\')
            && text
                .iter()
                .fold(0, |any, byte| any | u8::from(*byte < 0x20))
                == 0;
        if !is_strict {
            self.is_malformed(raw);
        }
        if self.state.collects != Collects::Nothing {
            self.keep(text);
        }
    }

    #[inline]
    fn unit(&mut self, text: &[u8], _: u64, _: u32) {
        if self.state.collects != Collects::Nothing {
            self.keep(text);
        }
    }

    #[inline]
    fn string_end(&mut self, _: u64) {
        match std::mem::replace(&mut self.state.collects, Collects::Nothing) {
            Collects::Nothing | Collects::Scalar(_) => {}
            Collects::Name => self.named(),
            Collects::Text(node) => {
                let text = std::mem::take(&mut self.state.text);
                let start = self.state.start;
                match std::str::from_utf8(&text) {
                    _ if self.state.too_long => self.tell(node, start, Value::TooLong),
                    Ok(text) => self.tell(node, start, Value::Text(text)),
                    Err(_) => self.is_malformed(start),
                }
                self.state.text = text;
            }
        }
    }

    #[inline]
    fn scalar(&mut self, text: &[u8], raw: u64) {
        let goes_on = matches!(self.state.collects, Collects::Scalar(_)) && self.state.end == raw;
        // Inside of containers a comma or bracket stands between two of them; between documents
        // nothing may.
        if self.state.depth == 0 && !goes_on {
            self.begins(raw);
        }
        if !goes_on && let Some(node) = self.state.next.take() {
            self.collect(Collects::Scalar(node), raw);
        }
        if let Collects::Scalar(_) = self.state.collects {
            // Numbers and literals are bounded by the tokenizer.
            self.state.text.extend_from_slice(text);
            self.state.end = raw.saturating_add(text.len() as u64);
        }
    }
}
