//! Strings that are read in a way of their own because of their key, or of where they stand.
//!
//! The value of a key that names a secret is masked whole if it is a string, and so is each string of its array. An
//! object is looked into like any other: `"password": {"type": "string"}` describes a password.

use super::{
    ESCAPING,
    encoded::Encoded,
    kubernetes::{Kubernetes, Role},
};
use crate::masking::{
    desk::Desk,
    formats::{transcript::Transcript, whole::Whole},
    keys::MAX_NAME,
    plan::KUBERNETES,
    tap::Escaping,
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
    Whole(Whole),
    Encoded(Encoded),
}

impl Keys {
    pub(super) fn at_path(path: Option<&[u8]>) -> Self {
        Self {
            kubernetes: Kubernetes::at_path(path),
            ..Self::default()
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
            Role::Secret => Value::Whole(secret(ESCAPING)),
            Role::Encoded => Value::Whole(secret(Escaping::Base64)),
            _ if self.armed.is_some() => {
                let name = self.armed.as_ref().map(|(name, _)| name.clone());
                Value::Whole(Whole::new(desk, name.unwrap_or_default(), ESCAPING))
            }
            Role::Perhaps => Value::Encoded(Encoded::default()),
            Role::Kind => {
                self.reads = Reads::Kind;
                self.text.clear();
                Value::Text
            }
            Role::Other => return,
        };
    }

    /// Reads a part of a string: what it means, and the `raw_len` bytes where it stands. Gives whether nobody else is to
    /// read it.
    #[inline]
    pub(super) fn take(
        &mut self,
        desk: &mut Desk<'_>,
        out: &mut Transcript<'_>,
        text: &[u8],
        raw: u64,
        raw_len: u64,
    ) -> bool {
        if self.reads != Reads::Nothing && self.text.len() <= MAX_NAME {
            self.text
                .extend(text.iter().take(MAX_NAME.saturating_add(1)));
        }
        let taken = match &mut self.value {
            Value::Text => return false,
            Value::Whole(whole) => {
                whole.push(desk, text, raw, raw_len);
                !whole.passes()
            }
            Value::Encoded(encoded) => {
                let is_encoded = encoded.push(text, raw, raw_len);
                if !is_encoded {
                    encoded.release(out);
                    self.value = Value::Text;
                }
                is_encoded
            }
        };
        if taken {
            out.skip(raw, raw.saturating_add(raw_len));
        }
        taken
    }

    /// The string ended, with `depth` containers open.
    #[inline]
    pub(super) fn string_end(&mut self, desk: &mut Desk<'_>, out: &mut Transcript<'_>, depth: u8) {
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
            self.finish(desk, out);
        }
    }

    /// The value ended, or the text in it.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>, out: &mut Transcript<'_>) {
        match std::mem::take(&mut self.value) {
            Value::Text => {}
            Value::Whole(mut whole) => whole.finish(desk),
            Value::Encoded(mut encoded) => encoded.finish(desk, out),
        }
    }

    pub(super) fn undecided(&self) -> Option<u64> {
        match &self.value {
            Value::Text => None,
            Value::Whole(whole) => whole.undecided(),
            Value::Encoded(encoded) => encoded.undecided(),
        }
    }
}
