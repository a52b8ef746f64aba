//! Which keys of a document may be one of some names, by their last two bytes.
//!
//! Every key of every document is asked for. Few end as one of the names does, so this refutes
//! nearly all without reading them.

use super::keys::{KeyNames, is_left_out};

/// The last two bytes of names, and of how else they may be written.
#[derive(Debug)]
pub(in crate::masking) struct Endings {
    /// For each byte its bit, if a name ends with it.
    last: [u32; 256],
    /// For each byte the bits of those that end a name behind it.
    before: [u32; 256],
}

/// The bit of what may stand in a name without being part of it. A few bytes that may end a name
/// share it.
const LEFT_OUT: u32 = 1 << 31;

impl Endings {
    /// Those of these keys and these names, in any case.
    pub(super) fn of(keys: &KeyNames, names: &[&[u8]]) -> Self {
        // What is left out may stand behind any name, and before its last letter.
        let mut this = Self {
            last: [0; 256],
            before: [LEFT_OUT; 256],
        };
        let keys = keys.iter().map(str::as_bytes);
        for name in keys.chain(names.iter().copied()) {
            let (before, last) = match name {
                // A quote stands before it.
                [last] => (b'"', *last),
                [.., before, last] => (*before, *last),
                [] => continue,
            };
            let bit = 1 << (last & 31);
            for last in [last.to_ascii_lowercase(), last.to_ascii_uppercase()] {
                set(&mut this.last, last, bit);
            }
            for before in [before.to_ascii_lowercase(), before.to_ascii_uppercase()] {
                set(&mut this.before, before, bit);
            }
        }
        for byte in (0..=u8::MAX).filter(is_left_out) {
            set(&mut this.last, byte, u32::MAX);
            set(&mut this.before, byte, u32::MAX);
        }
        this
    }

    /// Whether a name may end with these two bytes: 0 if not.
    #[inline(always)]
    pub(in crate::masking) fn may_be(&self, last: u8, before: u8) -> u32 {
        let of = |table: &[u32; 256], byte: u8| table.get(usize::from(byte)).copied().unwrap_or(0);
        of(&self.last, last) & of(&self.before, before)
    }
}

fn set(table: &mut [u32; 256], byte: u8, bits: u32) {
    if let Some(slot) = table.get_mut(usize::from(byte)) {
        *slot |= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn no_way_of_writing_a_name_is_refuted() {
        let keys = KeyNames::of(["client_secret", "x", "pw?", "\u{fc}b\u{df}"]);
        let endings = Endings::of(&keys, &[b"stringData"]);
        let may_be = |name: &str| {
            let quoted = format!("\"{name}");
            let last = quoted.as_bytes().last_chunk();
            last.is_none_or(|[before, last]| endings.may_be(*last, *before) != 0)
        };
        let written = [
            "client_secret",
            "CLIENTSECRET",
            "clientSecreT",
            "client-secre-t",
            "client secret ",
            "client.secret_-",
            "x",
            "X",
            "-x",
            "x.",
            "PW?",
            "p_w_?",
            "\u{fc}b\u{df}",
            "stringData",
        ];
        for name in written {
            assert!(may_be(name), "{name}");
        }
        for name in ["description", "type", "items", "xx", "secrets"] {
            assert!(!may_be(name), "{name}");
        }
    }
}
