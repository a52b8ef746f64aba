//! Keys whose values are secrets whatever they look like: `password`, `client_secret`.

use std::collections::BTreeSet;

/// Names of keys. Compared without case and without `-`, `_`, `.` and spaces, so that `client_secret`,
/// `clientSecret` and `Client-Secret` are one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyNames(BTreeSet<Box<[u8]>>);

/// Longest name that is compared.
pub(super) const MAX_NAME: usize = 64;

impl KeyNames {
    /// These names.
    pub fn of(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(
            names
                .into_iter()
                .filter_map(|name| normalized(name.as_ref().as_bytes()).map(Vec::into_boxed_slice))
                .collect(),
        )
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name, as it is compared, if it is one of these.
    pub fn get(&self, name: &[u8]) -> Option<&str> {
        if self.0.is_empty() {
            return None;
        }
        let name = self.0.get(normalized(name)?.as_slice())?;
        std::str::from_utf8(name).ok()
    }
}

fn normalized(name: &[u8]) -> Option<Vec<u8>> {
    if name.len() > MAX_NAME {
        return None;
    }
    let letters = name
        .iter()
        .filter(|byte| !matches!(byte, b'-' | b'_' | b'.' | b' '))
        .map(u8::to_ascii_lowercase);
    let name: Vec<u8> = letters.collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_name_is_one_name_however_it_is_written() {
        let keys = KeyNames::of(["client_secret", "PASSWORD"]);
        for name in ["client_secret", "clientSecret", "Client-Secret", "password"] {
            assert!(keys.get(name.as_bytes()).is_some(), "{name}");
        }
        for name in ["secret", "client", "", "passwords"] {
            assert!(keys.get(name.as_bytes()).is_none(), "{name}");
        }
    }
}
