//! Keys whose values are secrets whatever they look like: `password`, `client_secret`.

use std::collections::BTreeSet;

/// Names of keys. Compared without case and without `-`, `_`, `.` and spaces, so that
/// `client_secret`, `clientSecret` and `Client-Secret` are one name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyNames(BTreeSet<Box<[u8]>>);

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
        Self(
            names
                .into_iter()
                .filter_map(|name| Some(normalized(name.as_ref().as_bytes())?.as_slice().into()))
                .collect(),
        )
    }

    /// The names that mean a secret nearly everywhere: `password`, `client_secret`, `api_key`,
    /// `access_token`, `private_key` and their kin.
    pub fn common() -> Self {
        Self::of(COMMON)
    }

    /// The names, as they are compared, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// These names and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
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
    let letters = name
        .iter()
        .filter(|byte| !matches!(byte, b'-' | b'_' | b'.' | b' '));
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
