//! Verifying one signature. The only module that calls cryptography, and it writes none.

use p256::ecdsa::signature::Verifier as _;
use rsa::{Pkcs1v15Sign, Pss};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::key::Material;
use super::{Algorithm, PublicKey};

/// Verifies signatures. The filter gives one that asks Envoy (BoringSSL, native speed); whatever
/// that cannot do goes to [`PureRust`].
pub trait SignatureVerifier {
    /// Whether `signature` is `key`'s over `message`.
    ///
    /// The caller has checked that `key` permits `algorithm`, and that the signature has the length
    /// that the key demands and is below an RSA modulus. ECDSA signatures are the raw `r || s` of
    /// RFC 7518 §3.4; [`ecdsa_der_signature`] gives the DER form.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] when this verifier cannot tell. Never return it for a bad signature: the
    /// fallback would be asked again.
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, Unsupported>;
}

/// A verifier does not do this algorithm, or its host does not offer it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported;

/// All algorithms with RustCrypto, everywhere, at a price: in V8 an RS256 signature takes 1.25 ms.
#[derive(Debug, Clone, Copy, Default)]
pub struct PureRust;

impl SignatureVerifier for PureRust {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, Unsupported> {
        Ok(verify(algorithm, key, message, signature))
    }
}

pub(super) fn verify(
    algorithm: Algorithm,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    match (key.material(), algorithm) {
        (Material::Rsa(key), algorithm) => verify_rsa(algorithm, key, message, signature),
        (Material::P256(key), Algorithm::Es256) => p256::ecdsa::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        (Material::P384(key), Algorithm::Es384) => p384::ecdsa::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        (Material::P521(key), Algorithm::Es512) => {
            let key = p521::ecdsa::VerifyingKey::from_affine(*key.as_affine());
            let signature = p521::ecdsa::Signature::from_slice(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify(message, &signature).is_ok())
        }
        (Material::Ed25519(key), Algorithm::EdDsa) => {
            // Strict: one signature has one form, and small-order components are refused.
            ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
        }
        _ => false,
    }
}

fn verify_rsa(
    algorithm: Algorithm,
    key: &rsa::RsaPublicKey,
    message: &[u8],
    signature: &[u8],
) -> bool {
    // RFC 7518 §3.5: the PSS salt is as long as the hash, which is what `Pss::new` demands.
    let result = match algorithm {
        Algorithm::Rs256 => key.verify(
            Pkcs1v15Sign::new::<Sha256>(),
            &Sha256::digest(message),
            signature,
        ),
        Algorithm::Rs384 => key.verify(
            Pkcs1v15Sign::new::<Sha384>(),
            &Sha384::digest(message),
            signature,
        ),
        Algorithm::Rs512 => key.verify(
            Pkcs1v15Sign::new::<Sha512>(),
            &Sha512::digest(message),
            signature,
        ),
        Algorithm::Ps256 => key.verify(Pss::new::<Sha256>(), &Sha256::digest(message), signature),
        Algorithm::Ps384 => key.verify(Pss::new::<Sha384>(), &Sha384::digest(message), signature),
        Algorithm::Ps512 => key.verify(Pss::new::<Sha512>(), &Sha512::digest(message), signature),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa => {
            return false;
        }
    };
    result.is_ok()
}

/// The DER form (RFC 3279 §2.2.3) of a raw ECDSA signature, for verifiers that want it.
///
/// `None` when the algorithm is not ECDSA or the bytes are no signature of it: wrong length, or a
/// half that is zero or not below the group order. Such a signature is invalid; do not go on.
pub fn ecdsa_der_signature(algorithm: Algorithm, raw: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Es256 => p256::ecdsa::Signature::from_slice(raw)
            .ok()
            .map(|signature| signature.to_der().as_bytes().to_vec()),
        Algorithm::Es384 => p384::ecdsa::Signature::from_slice(raw)
            .ok()
            .map(|signature| signature.to_der().as_bytes().to_vec()),
        Algorithm::Es512 => p521::ecdsa::Signature::from_slice(raw)
            .ok()
            .map(|signature| signature.to_der().as_bytes().to_vec()),
        _ => None,
    }
}
