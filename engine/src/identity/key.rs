//! One public key of an issuer, bound to the algorithms it may verify.

use p256::pkcs8::EncodePublicKey as _;
use rsa::traits::PublicKeyParts as _;
use sha2::{Digest as _, Sha256};

use super::Algorithm;

/// A public key that was checked when it was read: on its curve, long enough, not weak.
///
/// A key verifies only algorithms of its own kind, and only the one that its `alg` member names, if
/// it has one (RFC 8725 §3.1). The token's header chooses among those; it cannot reach another.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    material: Material,
    spki_der: Vec<u8>,
}

/// The key itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Material {
    Rsa(rsa::RsaPublicKey),
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
    P521(p521::PublicKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// Kinds of keys. A fast verifier needs to know the kind before it takes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA, 2048 to 8192 bits.
    Rsa,
    /// An elliptic-curve key on P-256.
    P256,
    /// An elliptic-curve key on P-384.
    P384,
    /// An elliptic-curve key on P-521.
    P521,
    /// An Ed25519 key.
    Ed25519,
}

// === impl PublicKey ===

impl PublicKey {
    /// `None` when the key has no DER form, which no valid key lacks.
    pub(super) fn new(
        kid: Option<String>,
        algorithm: Option<Algorithm>,
        material: Material,
    ) -> Option<Self> {
        let der = match &material {
            Material::Rsa(key) => key.to_public_key_der(),
            Material::P256(key) => p256::PublicKey::from(key).to_public_key_der(),
            Material::P384(key) => p384::PublicKey::from(key).to_public_key_der(),
            Material::P521(key) => key.to_public_key_der(),
            Material::Ed25519(key) => key.to_public_key_der(),
        };
        Some(Self {
            kid,
            algorithm,
            material,
            spki_der: der.ok()?.into_vec(),
        })
    }

    /// The key id, if the key set gives one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The kind of the key.
    pub const fn kind(&self) -> KeyKind {
        match self.material {
            Material::Rsa(_) => KeyKind::Rsa,
            Material::P256(_) => KeyKind::P256,
            Material::P384(_) => KeyKind::P384,
            Material::P521(_) => KeyKind::P521,
            Material::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// The key as DER-encoded SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), the form that BoringSSL and
    /// Envoy's `verify_signature` take.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// Whether this key may verify a signature made with `algorithm`.
    pub fn permits(&self, algorithm: Algorithm) -> bool {
        self.kind().permits(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// The only length, in bytes, that a JWS signature by this key can have. Anything else is
    /// refused before a verifier sees it: DER-encoded or padded ECDSA signatures among them (RFC
    /// 7518 §3.4).
    pub fn signature_len(&self) -> usize {
        match &self.material {
            Material::Rsa(key) => key.size(),
            Material::P256(_) | Material::Ed25519(_) => 64,
            Material::P384(_) => 96,
            Material::P521(_) => 132,
        }
    }

    /// Whether these bytes, of [that length](Self::signature_len), can be a signature by this key.
    ///
    /// An RSA signature is a number below the modulus (RFC 8017 §8.1.2, §8.2.2: step 1 and 2b). One
    /// that has the modulus added verifies as well wherever that is not asked, and would be a
    /// second spelling of a token.
    pub(super) fn is_in_range(&self, signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa(key) => signature < key.n().to_bytes_be().as_slice(),
            // Their verifiers ask it of each half.
            Material::P256(_) | Material::P384(_) | Material::P521(_) | Material::Ed25519(_) => {
                true
            }
        }
    }

    pub(super) const fn material(&self) -> &Material {
        &self.material
    }

    /// Adds everything that decides what this key accepts.
    pub(super) fn fingerprint(&self, hash: &mut Sha256) {
        for part in [
            self.kid.as_deref().map(str::as_bytes),
            self.algorithm.map(|a| a.as_str().as_bytes()),
            Some(self.spki_der.as_slice()),
        ] {
            hash_part(hash, part);
        }
    }
}

/// Length first, so that no two lists of parts have the same bytes.
pub(super) fn hash_part(hash: &mut Sha256, part: Option<&[u8]>) {
    match part {
        Some(bytes) => {
            hash.update([1]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
        None => hash.update([0]),
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublicKey")
            .field("kid", &self.kid)
            .field("kind", &self.kind())
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

// === impl KeyKind ===

impl KeyKind {
    /// Whether keys of this kind can verify `algorithm` at all. ECDSA binds the curve to the hash
    /// (RFC 7518 §3.4): a P-384 key never verifies ES256.
    pub const fn permits(self, algorithm: Algorithm) -> bool {
        use Algorithm::*;
        match self {
            Self::Rsa => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Self::P256 => matches!(algorithm, Es256),
            Self::P384 => matches!(algorithm, Es384),
            Self::P521 => matches!(algorithm, Es512),
            Self::Ed25519 => matches!(algorithm, EdDsa),
        }
    }
}
