//! Strings that are read in a way of their own because of their key, or of where they stand.
//!
//! The value of a key that names a secret is masked whole if it is a string, and so is each string
//! of its array. An object is looked into like any other: `"password": {"type": "string"}`
//! describes a password. A string that begins like a document is read as one.

mod quiet;

pub(super) use quiet::{Saved, read_inner};

use super::{
    encoded::Encoded,
    inner::{self, Inner, MAX_NESTED, Rest},
    kubernetes::{Kubernetes, Role},
    logprobs::LogProbs,
};
use crate::masking::{
    bodies::{desk::Desk, keys::MAX_NAME, plan::KUBERNETES},
    formats::whole::Whole,
    text::tap::{Escaping, Piece},
};
use crate::upstreams::LOG_PROBABILITIES;

/// What is known of keys at one place of a document.
#[derive(Clone, Default)]
pub(super) struct Keys {
    kubernetes: Kubernetes,
    /// The key, or the kind, that is being read; longer than any that is looked for if it is not
    /// whole.
    text: Vec<u8>,
    reads: Reads,
    /// The name that makes the next string a secret, and how many containers are open around its
    /// object.
    armed: Option<(String, u8)>,
    /// The value that is being read.
    value: Value,
    /// It is blank so far: a document of its own may begin in it.
    is_blank: bool,
    /// The document in the value that is being read; kept for its memory.
    inner: Option<Box<Inner>>,
    /// How many strings the document is in.
    nested: u8,
    /// The last key is that of log probabilities.
    expects_logprobs: bool,
    logprobs: Option<Box<LogProbs>>,
}

/// What `text` is.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Reads {
    #[default]
    Nothing,
    Key,
    Kind,
}

#[derive(Clone, Default)]
enum Value {
    /// Read as other text is.
    #[default]
    Text,
    Whole(Whole),
    Encoded(Encoded),
    /// A document of its own.
    Inner,
    /// A token among log probabilities.
    Token,
}

impl Keys {
    pub(super) fn at_path(path: Option<&[u8]>) -> Self {
        Self {
            kubernetes: Kubernetes::at_path(path),
            ..Self::default()
        }
    }

    /// In a document that stands in so many strings.
    pub(super) fn nested(nested: u8) -> Self {
        Self {
            nested,
            ..Self::default()
        }
    }

    /// Another document begins.
    pub(super) fn reset(&mut self) {
        if let (Value::Inner, Some(inner)) = (&self.value, &mut self.inner) {
            inner.reset();
        }
        *self = Self {
            text: std::mem::take(&mut self.text),
            inner: self.inner.take(),
            ..Self::nested(self.nested)
        };
    }

    fn escaping(&self) -> Escaping {
        Escaping::Json {
            nested: self.nested,
        }
    }

    /// Reads structure at the raw offset `raw`, after which `depth` containers are open.
    #[inline]
    pub(super) fn structure(&mut self, desk: &mut Desk<'_>, byte: u8, raw: u64, depth: u8) {
        // A colon means nothing here, a comma nothing to Kubernetes.
        if byte == b':' {
            return;
        }
        if desk.plan.kubernetes && byte != b',' {
            self.kubernetes.structure(byte);
        }
        if let Some(logprobs) = self.logprobs.as_mut().filter(|logprobs| logprobs.is_open()) {
            logprobs.structure(desk, byte, raw, depth);
        } else if self.expects_logprobs {
            self.expects_logprobs = false;
            if matches!(byte, b'{' | b'[') {
                let logprobs = self
                    .logprobs
                    .get_or_insert_with(|| Box::new(LogProbs::new()));
                logprobs.begin(depth, byte == b'[');
            }
        }
        if let Some((_, around)) = &self.armed {
            let gone = match byte {
                b',' | b'}' => depth <= *around,
                b'{' => true,
                _ => false,
            };
            if gone {
                self.armed = None;
            }
        }
    }

    /// A string begins at the raw offset `raw`.
    #[inline]
    pub(super) fn string_start(&mut self, desk: &mut Desk<'_>, is_key: bool, raw: u64) {
        let kubernetes = desk.plan.kubernetes;
        if is_key {
            // What is restored is restored in what people read.
            if desk.plan.restores.is_none() {
                self.reads = Reads::Key;
                self.text.clear();
            }
            return;
        }
        self.expects_logprobs = false;
        if let (Some(logprobs), None) = (&mut self.logprobs, &self.armed)
            && logprobs.is_open()
            && logprobs.begins(desk, raw)
        {
            self.value = Value::Token;
            return;
        }
        let secret = |escaping| Whole::new(desk, KUBERNETES.to_owned(), escaping);
        let role = match kubernetes {
            true => self.kubernetes.role(),
            false => Role::Other,
        };
        self.value = match role {
            Role::Secret => Value::Whole(secret(self.escaping())),
            Role::Encoded => Value::Whole(secret(Escaping::Base64)),
            _ if self.armed.is_some() => {
                let name = self.armed.as_ref().map(|(name, _)| name.clone());
                Value::Whole(Whole::new(desk, name.unwrap_or_default(), self.escaping()))
            }
            Role::Perhaps => Value::Encoded(Encoded::default()),
            Role::Kind => {
                self.reads = Reads::Kind;
                self.text.clear();
                Value::Text
            }
            Role::Other => {
                self.is_blank = desk.plan.has_keys() && self.nested < MAX_NESTED;
                return;
            }
        };
    }

    /// Reads a part of a string: what it means, and where it stands. Gives whether nobody else is
    /// to read it.
    #[inline]
    pub(super) fn take(
        &mut self,
        desk: &mut Desk<'_>,
        rest: &mut dyn Rest,
        text: &[u8],
        pieces: &[Piece],
    ) -> bool {
        if self.reads != Reads::Nothing && self.text.len() <= MAX_NAME {
            self.text
                .extend(text.iter().take(MAX_NAME.saturating_add(1)));
        }
        // Nearly every string begins with a letter.
        if self.is_blank && text.first().is_some_and(u8::is_ascii_alphanumeric) {
            self.is_blank = false;
        }
        match self.value {
            Value::Text if !self.is_blank => false,
            _ => self.take_value(desk, rest, text, pieces),
        }
    }

    fn take_value(
        &mut self,
        desk: &mut Desk<'_>,
        rest: &mut dyn Rest,
        text: &[u8],
        pieces: &[Piece],
    ) -> bool {
        if self.is_blank {
            let begins = inner::begins(text);
            self.is_blank = begins.is_none();
            if begins == Some(true) {
                self.value = Value::Inner;
                let nested = self.nested.saturating_add(1);
                self.inner
                    .get_or_insert_with(|| Box::new(Inner::new(nested)));
            }
        }
        match &mut self.value {
            Value::Text => false,
            Value::Whole(whole) => {
                whole.push_pieces(desk, text, pieces);
                !whole.passes()
            }
            Value::Encoded(encoded) => {
                let is_encoded = encoded.push(text, pieces);
                if !is_encoded {
                    encoded.release(rest);
                    self.value = Value::Text;
                }
                is_encoded
            }
            Value::Inner => {
                let inner = self.inner.as_mut();
                inner.is_some_and(|inner| inner.push(desk, rest, text, pieces))
            }
            Value::Token => {
                if let Some(logprobs) = &mut self.logprobs {
                    logprobs.take(desk, text, pieces);
                }
                true
            }
        }
    }

    /// Whether nobody else is to read what comes next of the string.
    pub(super) fn takes(&self) -> bool {
        match &self.value {
            Value::Text => false,
            Value::Whole(whole) => !whole.passes(),
            Value::Encoded(_) | Value::Token => true,
            Value::Inner => self.inner.as_ref().is_some_and(|inner| inner.takes()),
        }
    }

    /// Masks raw bytes with the value that they stand in.
    pub(super) fn take_raw(&mut self, desk: &mut Desk<'_>, raw: u64, raw_len: u32) {
        self.mask_encoded(desk);
        match (&mut self.value, &mut self.inner) {
            (Value::Whole(whole), _) => whole.push(desk, &[], raw, u64::from(raw_len)),
            (Value::Inner, Some(inner)) => inner.take_raw(desk, raw, raw_len),
            _ => {}
        }
    }

    /// Lets the value go as far as it came, but for its last byte.
    pub(super) fn let_go(&mut self, desk: &mut Desk<'_>) {
        self.mask_encoded(desk);
        match (&mut self.value, &mut self.inner) {
            (Value::Whole(whole), _) => whole.let_go(desk),
            (Value::Inner, Some(inner)) => inner.let_go(desk),
            _ => {}
        }
    }

    /// Masks the value as far as it came, whatever it is, and the rest of it.
    pub(super) fn force(&mut self, desk: &mut Desk<'_>) {
        self.mask_encoded(desk);
        match (&mut self.value, &mut self.inner) {
            (Value::Whole(whole), _) => whole.force(desk),
            (Value::Inner, Some(inner)) => inner.force(desk),
            _ => {}
        }
    }

    /// What may be base64 with a secret in it is one.
    fn mask_encoded(&mut self, desk: &mut Desk<'_>) {
        if let Value::Encoded(encoded) = &self.value {
            let mut whole = Whole::new(desk, KUBERNETES.to_owned(), Escaping::Base64);
            encoded.pour(desk, &mut whole);
            self.value = Value::Whole(whole);
        }
    }

    /// The string ended before the raw offset `raw`, with `depth` containers open.
    #[inline]
    pub(super) fn string_end(
        &mut self,
        desk: &mut Desk<'_>,
        rest: &mut dyn Rest,
        raw: u64,
        depth: u8,
    ) {
        match std::mem::take(&mut self.reads) {
            Reads::Nothing => {}
            Reads::Kind => self.kubernetes.kind(&self.text),
            Reads::Key => {
                let name = desk.plan.keys.get(&self.text);
                self.armed = name.map(|name| (format!("keys/{name}"), depth));
                if desk.plan.kubernetes {
                    self.kubernetes.key(&self.text);
                }
                if let Some(logprobs) = self.logprobs.as_mut().filter(|logprobs| logprobs.is_open())
                {
                    logprobs.key(&self.text);
                } else {
                    self.expects_logprobs =
                        self.nested == 0 && self.text == LOG_PROBABILITIES.member;
                }
            }
        }
        self.is_blank = false;
        match (&self.value, &mut self.logprobs) {
            (Value::Text, _) => {}
            (Value::Token, Some(logprobs)) => {
                logprobs.ends(desk, raw);
                self.value = Value::Text;
            }
            _ => self.finish(desk, rest),
        }
    }

    /// Does what is decided. The document was read up to the raw offset `read`, and its other texts
    /// are decided up to `to`.
    #[inline]
    pub(super) fn settle(&mut self, desk: &mut Desk<'_>, read: u64, to: u64) {
        if let Some(logprobs) = &mut self.logprobs {
            logprobs.settle(desk, read, to);
            if !logprobs.is_open() && logprobs.undecided().is_none() {
                self.logprobs = None;
            }
        }
    }

    /// The document ended, or is none from the raw offset `raw` on.
    pub(super) fn end(&mut self, desk: &mut Desk<'_>, raw: u64) {
        if let Some(logprobs) = &mut self.logprobs {
            logprobs.finish(desk, raw);
        }
    }

    /// The value ended, or the text in it.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>, rest: &mut dyn Rest) {
        match std::mem::take(&mut self.value) {
            Value::Text | Value::Token => {}
            Value::Whole(mut whole) => whole.finish(desk),
            Value::Encoded(mut encoded) => encoded.finish(desk, rest),
            Value::Inner => {
                if let Some(inner) = &mut self.inner {
                    inner.finish(desk, rest);
                }
            }
        }
    }

    /// Raw offset of the first byte that is not decided; `None` if all are.
    pub(super) fn undecided(&self) -> Option<u64> {
        let value = match &self.value {
            Value::Text | Value::Token => None,
            Value::Whole(whole) => whole.undecided(),
            Value::Encoded(encoded) => encoded.undecided(),
            Value::Inner => self.inner.as_ref().and_then(|inner| inner.undecided()),
        };
        let logprobs = self.logprobs.as_ref();
        let logprobs = logprobs.and_then(|logprobs| logprobs.undecided());
        value.into_iter().chain(logprobs).min()
    }
}
