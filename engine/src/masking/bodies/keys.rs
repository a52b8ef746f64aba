//! Keys whose values are secrets whatever they look like: `password`, `client_secret`.

use std::collections::BTreeSet;

/// Names of keys. Compared without case and without `-`, `_`, `.` and spaces, so that
/// `client_secret`, `clientSecret` and `Client-Secret` are one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyNames {
    names: BTreeSet<Box<[u8]>>,
    /// A bit for the first and the last letter of each name: nearly every key of a document is
    /// refuted by it.
    ends: [u32; 32],
}

/// Longest name that is compared.
pub(crate) const MAX_NAME: usize = 64;

/// Names that say by themselves that their value is a secret, as they are compared. Not among them:
/// `token` (the word of a language model's log probabilities), `secret` (as often the name of one),
/// `key`, `auth` and `primaryKey` (a column).
const COMMON: [&str; 42] = [
    "accesskey",
    "accesskeysecret",
    "accesstoken",
    "accountkey",
    "apikey",
    "apisecret",
    "apitoken",
    "appsecret",
    "authtoken",
    "awssecretaccesskey",
    "bearertoken",
    "clientsecret",
    "connectionstring",
    "consumersecret",
    "cookiesecret",
    "dbpassword",
    "encryptionkey",
    "idtoken",
    "jwtsecret",
    "masterkey",
    "oauthtoken",
    "passphrase",
    "passwd",
    "password",
    "primaryconnectionstring",
    "primarymasterkey",
    "primaryreadonlymasterkey",
    "privatekey",
    "privatetoken",
    "pwd",
    "refreshtoken",
    "sastoken",
    "secondaryconnectionstring",
    "secondarymasterkey",
    "secondaryreadonlymasterkey",
    "secretaccesskey",
    "secretkey",
    "secrettoken",
    "sessiontoken",
    "sharedaccesskey",
    "signingkey",
    "webhooksecret",
];

impl KeyNames {
    /// These names.
    pub fn of(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let names = names.into_iter();
        Self::of_normalized(
            names
                .filter_map(|name| Some(normalized(name.as_ref().as_bytes())?.as_slice().into()))
                .collect(),
        )
    }

    fn of_normalized(names: BTreeSet<Box<[u8]>>) -> Self {
        let mut ends = [0; 32];
        for name in &names {
            let (word, bit) = ends_of(name);
            if let Some(word) = ends.get_mut(word) {
                *word |= bit;
            }
        }
        Self { names, ends }
    }

    /// The names that mean a secret nearly everywhere: `password`, `client_secret`, `api_key`,
    /// `access_token`, `private_key` and their kin.
    pub fn common() -> Self {
        Self::of(COMMON)
    }

    /// The names, as they are compared, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// These names and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.names.extend(others.names);
        Self::of_normalized(self.names)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name, as it is compared, if it is one of these.
    pub fn get(&self, name: &[u8]) -> Option<&str> {
        let is_left_out = |byte: Option<&u8>| byte.is_some_and(is_left_out);
        let (word, bit) = ends_of(name);
        let may_be = self.ends.get(word).is_some_and(|word| word & bit != 0)
            || is_left_out(name.first())
            || is_left_out(name.last());
        if !may_be || self.names.is_empty() {
            return None;
        }
        let name = self.names.get(normalized(name)?.as_slice())?;
        std::str::from_utf8(name).ok()
    }
}

/// The first and the last letter of a name, in either case, as a word and a bit in it.
#[inline]
fn ends_of(name: &[u8]) -> (usize, u32) {
    let letter = |byte: Option<&u8>| byte.map_or(0, |byte| byte & 31);
    let bit = 1_u32.wrapping_shl(u32::from(letter(name.last())));
    (usize::from(letter(name.first())), bit)
}

/// What names are compared without.
pub(super) fn is_left_out(byte: &u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.' | b' ')
}

/// A name as it is compared.
struct Normalized {
    bytes: [u8; MAX_NAME],
    length: usize,
}

impl Normalized {
    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// `None` for what is no name. It allocates nothing: every key of a document comes through here.
fn normalized(name: &[u8]) -> Option<Normalized> {
    if name.len() > MAX_NAME {
        return None;
    }
    let letters = name.iter().filter(|byte| !is_left_out(byte));
    let mut bytes = [0; MAX_NAME];
    let mut length = 0_usize;
    for (slot, byte) in bytes.iter_mut().zip(letters) {
        *slot = byte.to_ascii_lowercase();
        length = length.saturating_add(1);
    }
    (length > 0).then_some(Normalized { bytes, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_common_names_are_written_as_they_are_compared() {
        assert!(COMMON.is_sorted());
        assert_eq!(KeyNames::common().iter().collect::<Vec<_>>(), COMMON);
    }

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
