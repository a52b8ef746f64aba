//! Strings that are read in a way of their own because of their key, or of where they stand.
//!
//! The value of a key that names a secret is masked whole if it is a string, and so is each string of its array. An
//! object is looked into like any other: `"password": {"type": "string"}` describes a password. A string that begins like a
//! document is read as one.

use super::{
    encoded::Encoded,
    inner::{self, Inner, MAX_NESTED, Rest},
    kubernetes::{Kubernetes, Role},
};
use crate::masking::{
    desk::Desk,
    formats::whole::Whole,
    keys::MAX_NAME,
    plan::KUBERNETES,
    tap::{Escaping, Piece},
};

/// What is known of keys at one place of a document.
#[derive(Default)]
pub(super) struct Keys {
    kubernetes: Kubernetes,
    /// The key, or the kind, that is being read; longer than any that is looked for if it is not whole.
    text: Vec<u8>,
    reads: Reads,
    /// The name that makes the next string a secret, and how many containers are open around its object.
    armed: Option<(String, u8)>,
    /// The value that is being read.
    value: Value,
    /// The document in the value that is being read; kept for its memory.
    inner: Option<Box<Inner>>,
    /// How many strings the document is in.
    nested: u8,
}

/// What `text` is.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Reads {
    #[default]
    Nothing,
    Key,
    Kind,
}

#[derive(Default)]
enum Value {
    /// Read as other text is.
    #[default]
    Text,
    /// Blank so far.
    Unseen,
    Whole(Whole),
    Encoded(Encoded),
    /// A document of its own.
    Inner,
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

    /// Reads structure, after which `depth` containers are open.
    #[inline]
    pub(super) fn structure(&mut self, desk: &Desk<'_>, byte: u8, depth: u8) {
        if desk.plan.kubernetes {
            self.kubernetes.structure(byte);
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

    #[inline]
    pub(super) fn string_start(&mut self, desk: &Desk<'_>, is_key: bool) {
        let kubernetes = desk.plan.kubernetes;
        if is_key {
            if kubernetes || !desk.plan.keys.is_empty() {
                self.reads = Reads::Key;
                self.text.clear();
            }
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
            Role::Other if desk.plan.has_keys() && self.nested < MAX_NESTED => Value::Unseen,
            Role::Other => return,
        };
    }

    /// Reads a part of a string: what it means, and where it stands. Gives whether nobody else is to read it.
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
        match self.value {
            Value::Text => false,
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
        if let Value::Unseen = self.value {
            match inner::begins(text) {
                Some(true) => {
                    self.value = Value::Inner;
                    let nested = self.nested.saturating_add(1);
                    self.inner
                        .get_or_insert_with(|| Box::new(Inner::new(nested)));
                }
                Some(false) => self.value = Value::Text,
                None => {}
            }
        }
        match &mut self.value {
            Value::Text | Value::Unseen => false,
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
        }
    }

    /// Whether nobody else is to read what comes next of the string.
    pub(super) fn takes(&self) -> bool {
        match &self.value {
            Value::Text | Value::Unseen => false,
            Value::Whole(whole) => !whole.passes(),
            Value::Encoded(_) => true,
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

    /// The string ended, with `depth` containers open.
    #[inline]
    pub(super) fn string_end(&mut self, desk: &mut Desk<'_>, rest: &mut dyn Rest, depth: u8) {
        match std::mem::take(&mut self.reads) {
            Reads::Nothing => {}
            Reads::Kind => self.kubernetes.kind(&self.text),
            Reads::Key => {
                let name = desk.plan.keys.get(&self.text);
                self.armed = name.map(|name| (format!("keys/{name}"), depth));
                if desk.plan.kubernetes {
                    self.kubernetes.key(&self.text);
                }
            }
        }
        if !matches!(self.value, Value::Text) {
            self.finish(desk, rest);
        }
    }

    /// The value ended, or the text in it.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>, rest: &mut dyn Rest) {
        match std::mem::take(&mut self.value) {
            Value::Text | Value::Unseen => {}
            Value::Whole(mut whole) => whole.finish(desk),
            Value::Encoded(mut encoded) => encoded.finish(desk, rest),
            Value::Inner => {
                if let Some(inner) = &mut self.inner {
                    inner.finish(desk, rest);
                }
            }
        }
    }

    pub(super) fn undecided(&self) -> Option<u64> {
        match &self.value {
            Value::Text | Value::Unseen => None,
            Value::Whole(whole) => whole.undecided(),
            Value::Encoded(encoded) => encoded.undecided(),
            Value::Inner => self.inner.as_ref().and_then(|inner| inner.undecided()),
        }
    }
}
