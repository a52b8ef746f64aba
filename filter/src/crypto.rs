//! Signatures checked by Envoy instead of in wasm.
//!
//! An RS256 signature costs 1.25 ms in V8 and a fifth of that natively, and a flood of bad
//! signatures is an attack. Envoy's foreign function `verify_signature` does RSASSA-PKCS1-v1_5 and
//! ECDSA with BoringSSL; it knows no PSS and no Ed25519, and a build may lack it. Whatever it
//! cannot do is done here in Rust.
//!
//! Its argument is a protobuf message (`source/extensions/common/wasm/ext/verify_signature.proto`):
//! `hash_function` 1, `public_key` (DER) 2, `signature` 3, `text` 4. Four fields do not earn a
//! protobuf dependency.

use chaperone_engine::identity::{
    Algorithm, PublicKey, PureRust, SignatureVerifier, Unsupported, ecdsa_der_signature,
};

use crate::host::Host;

/// Envoy first, then Rust.
pub(crate) struct EnvoyVerifier<'a>(pub(crate) &'a dyn Host);

impl SignatureVerifier for EnvoyVerifier<'_> {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, Unsupported> {
        let (hash, der) = match algorithm {
            Algorithm::Rs256 => ("sha256", None),
            Algorithm::Rs384 => ("sha384", None),
            Algorithm::Rs512 => ("sha512", None),
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => {
                let hash = match algorithm {
                    Algorithm::Es256 => "sha256",
                    Algorithm::Es384 => "sha384",
                    _ => "sha512",
                };
                match ecdsa_der_signature(algorithm, signature) {
                    Some(der) => (hash, Some(der)),
                    // Out of the group's range: no signature at all.
                    None => return Ok(false),
                }
            }
            _ => return PureRust.verify(algorithm, key, message, signature),
        };
        let arguments = arguments(
            hash.as_bytes(),
            key.spki_der(),
            der.as_deref().unwrap_or(signature),
            message,
        );
        match self.0.foreign("verify_signature", &arguments) {
            // `result` is field 1, a bool; proto3 leaves it out when false, and an error text
            // (field 2) is then all there is.
            Ok(result) => Ok(result.starts_with(&[0x08, 0x01])),
            Err(_) => PureRust.verify(algorithm, key, message, signature),
        }
    }
}

fn arguments(hash: &[u8], key: &[u8], signature: &[u8], text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, bytes) in [(1_u8, hash), (2, key), (3, signature), (4, text)] {
        // Wire type 2: length-delimited.
        out.push((number << 3) | 2);
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(bytes);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::arguments;

    #[test]
    fn arguments_are_the_protobuf_wire_format() {
        let long = vec![7_u8; 300];
        let encoded = arguments(b"sha256", b"K", b"S", &long);
        assert_eq!(&encoded[..8], b"\x0a\x06sha256");
        assert_eq!(&encoded[8..14], b"\x12\x01K\x1a\x01S");
        assert_eq!(&encoded[14..17], b"\x22\xac\x02");
        assert_eq!(&encoded[17..], &long[..]);
    }
}
