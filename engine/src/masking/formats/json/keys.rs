//! Strings that are secrets because of their key.
//!
//! The value of such a key is masked whole if it is a string, and so is each string of its array. An object is
//! looked into like any other: `"password": {"type": "string"}` describes a password.

use super::ESCAPING;
use crate::masking::{desk::Desk, formats::whole::Whole, keys::MAX_NAME};

/// What is known of keys at one place of a document.
#[derive(Default)]
pub(super) struct Keys {
    /// The key that is being read; longer than any that is looked for if it is not whole.
    key: Vec<u8>,
    in_key: bool,
    /// The name that makes the next string a secret, and how many containers are open around its object.
    armed: Option<(String, u8)>,
    whole: Option<Whole>,
}

impl Keys {
    /// Reads structure, after which `depth` containers are open.
    #[inline]
    pub(super) fn structure(&mut self, byte: u8, depth: u8) {
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
        if is_key {
            self.in_key = !desk.plan.keys.is_empty();
            self.key.clear();
        } else if let Some((name, _)) = &self.armed {
            self.whole = Some(Whole::new(desk, name.clone(), ESCAPING));
        }
    }

    /// Reads a part of a string. Gives whether nobody else is to read it.
    #[inline]
    pub(super) fn take(
        &mut self,
        desk: &mut Desk<'_>,
        text: &[u8],
        raw: u64,
        raw_len: u64,
    ) -> bool {
        if self.in_key && self.key.len() <= MAX_NAME {
            let room = MAX_NAME.saturating_add(1);
            self.key.extend(text.iter().take(room));
        }
        let Some(whole) = &mut self.whole else {
            return false;
        };
        whole.push(desk, text, raw, raw_len);
        !whole.passes()
    }

    /// The string ended, with `depth` containers open.
    #[inline]
    pub(super) fn string_end(&mut self, desk: &mut Desk<'_>, depth: u8) {
        if self.in_key {
            self.in_key = false;
            let name = desk.plan.keys.get(&self.key);
            self.armed = name.map(|name| (format!("keys/{name}"), depth));
        }
        self.finish(desk);
    }

    /// The text ended, perhaps in a string.
    #[inline]
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>) {
        if let Some(mut whole) = self.whole.take() {
            whole.finish(desk);
        }
    }

    pub(super) fn undecided(&self) -> Option<u64> {
        self.whole.as_ref().and_then(Whole::undecided)
    }
}
