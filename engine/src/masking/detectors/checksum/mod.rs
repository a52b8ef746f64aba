//! Checksums and structure that some providers put into their tokens.
//!
//! A checksum that is right proves that a token is real; one that is wrong proves nothing that
//! would be worth a leak (truncated, a new format, a test token). So these raise confidence in
//! [`Findings`](crate::masking::Findings) and never let a token pass. Personal data is another
//! matter, see [`pii`].

pub(in crate::masking) mod azure;
pub(in crate::masking) mod pii;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Tokens of GitHub and npm: `xxx_`, 30 random characters, and their CRC-32 as six base62 digits.
/// Source: <https://github.blog/engineering/behind-githubs-new-authentication-token-formats/>.
pub(in crate::masking) fn github(token: &[u8]) -> bool {
    let Some((_, body)) = token.split_at_checked(4) else {
        return false;
    };
    match body.split_at_checked(30) {
        Some((random, check)) => check.len() == 6 && base62(check) == Some(crc32(random)),
        None => false,
    }
}

/// A JWT whose header is a JSON object with `alg` (RFC 7515 §4.1.1).
pub(in crate::masking) fn jwt(token: &[u8]) -> bool {
    let header = token.split(|&b| b == b'.').next().unwrap_or_default();
    URL_SAFE_NO_PAD
        .decode(header)
        .ok()
        .and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok())
        .is_some_and(|value| value.get("alg").is_some_and(serde_json::Value::is_string))
}

/// A PyPI token is a macaroon (version 2) that names its index.
/// Source: <https://docs.pypi.org/api/secrets/>.
pub(in crate::masking) fn pypi(token: &[u8]) -> bool {
    [
        b"pypi-AgEIcHlwaS5vcmc".as_slice(),
        b"pypi-AgENdGVzdC5weXBpLm9yZw",
    ]
    .iter()
    .any(|prefix| token.starts_with(prefix))
}

/// The token of a Kubernetes service account: its claims name Kubernetes, or its subject is a
/// service account. Source:
/// <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims>.
pub(in crate::masking) fn kubernetes(token: &[u8]) -> bool {
    token
        .split(|&b| b == b'.')
        .nth(1)
        .and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok())
        .and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok())
        .is_some_and(|claims| {
            claims.get("kubernetes.io").is_some()
                || claims.get("iss").and_then(|iss| iss.as_str())
                    == Some("kubernetes/serviceaccount")
                || claims
                    .get("sub")
                    .and_then(|sub| sub.as_str())
                    .is_some_and(|sub| sub.starts_with("system:serviceaccount:"))
        })
}

/// The base64 of `user:password`, as in HTTP (RFC 7617) and in the `auth` member of a Docker
/// configuration.
pub(in crate::masking) fn basic_auth(value: &[u8]) -> bool {
    STANDARD
        .decode(value)
        .or_else(|_| STANDARD_NO_PAD.decode(value))
        .is_ok_and(|pair| {
            pair.iter()
                .position(|&b| b == b':')
                .is_some_and(|at| at.saturating_add(1) < pair.len() || at > 0)
                && pair.iter().all(|b| (b' '..=b'~').contains(b))
        })
}

fn base62(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = BASE62.iter().position(|d| d == digit)?;
        value
            .checked_mul(62)?
            .checked_add(u32::try_from(digit).ok()?)
    })
}

/// CRC-32 as in zlib and Ethernet (IEEE 802.3, reflected). Bit by bit: inputs have 30 bytes.
pub(in crate::masking) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(crc & 1))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn crc32_gives_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_real_revoked_github_token_has_a_right_checksum() {
        // Published, expired and revoked by its owner as an example of the format.
        let token = concat!("gh", "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17");
        assert!(github(token.as_bytes()));
        let wrong = concat!("gh", "p_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq18");
        assert!(!github(wrong.as_bytes()));
        assert!(!github(b"ghp_"));
        assert!(!github(format!("{token}0").as_bytes()));
    }

    #[test]
    fn a_jwt_needs_an_algorithm_in_its_header() {
        assert!(jwt(b"eyJhbGciOiJub25lIn0.eyJ9."));
        assert!(!jwt(b"eyJ0eXAiOiJKV1QifQ.eyJ9."));
        assert!(!jwt(b"eyJ.x.y"));
    }
}
