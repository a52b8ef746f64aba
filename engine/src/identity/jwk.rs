//! One JSON Web Key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2), made into a checked public key.

use rsa::BigUint;
use serde_json::{Map, Value};

use super::base64url;
use super::key::{KeyKind, Material};
use super::refusal::printable;
use super::roca;
use super::{Algorithm, PublicKey};
use crate::base::json::{self, JsonError};

/// RSA below this can be factored by well-equipped parties (RFC 7518 §3.3, NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2048;

/// RSA above this makes a single bad token expensive.
const MAX_RSA_BITS: usize = 8192;

/// How deep a key may nest. Real ones need two levels.
const MAX_DEPTH: u8 = 16;

/// The longest key id; a longer one in a token is refused too.
pub(super) const MAX_KID_BYTES: usize = 512;

/// Members that only a private RSA, EC or OKP key has (RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

/// Why a key cannot verify tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnusableKey {
    /// Not a JSON object, or nested too deeply.
    Malformed,
    /// The same member twice.
    DuplicateMember,
    /// A member that the key needs is not there.
    Missing(&'static str),
    /// A member with the wrong type, encoding or length.
    Invalid(&'static str),
    /// A key type or curve that the gate does not support.
    Unsupported(String),
    /// `use` or `key_ops` say that it does not verify signatures. Ordinary: issuers publish
    /// encryption keys in the same set.
    OtherPurpose,
    /// `alg` names no supported algorithm, or one of another kind of key.
    Algorithm(String),
    /// A symmetric secret. Whoever reads the set can sign with it.
    Secret,
    /// The private half is in the set. Whoever reads the set can sign with it.
    PrivateKey,
    /// An RSA modulus outside 2048 to 8192 bits; the number is its size.
    RsaSize(usize),
    /// An RSA key of a generator whose private keys can be computed (CVE-2017-15361, ROCA).
    Roca,
    /// Not a point of the curve, of small order, an even modulus, or a useless exponent.
    NotAKey,
    /// The same key stands in the set before.
    Repeated,
    /// Too many keys in the set, or with this `kid`.
    TooMany,
}

type Members = Map<String, Value>;

/// Reads a key. The error comes with the key's id, where that could be read.
pub(super) fn parse(bytes: &[u8]) -> Result<PublicKey, (Option<String>, UnusableKey)> {
    let members = json::read_object(bytes, MAX_DEPTH).map_err(|error| {
        let reason = match error {
            JsonError::Malformed { .. } | JsonError::TooDeep => UnusableKey::Malformed,
            JsonError::Duplicate { .. } => UnusableKey::DuplicateMember,
        };
        (None, reason)
    })?;
    let kid = optional_text(&members, "kid").map_err(|reason| (None, reason))?;
    usable(&members, kid).map_err(|reason| (kid.map(str::to_owned), reason))
}

fn usable(members: &Members, kid: Option<&str>) -> Result<PublicKey, UnusableKey> {
    if kid.is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
        return Err(UnusableKey::Invalid("kid"));
    }
    let kty = text(members, "kty")?;
    if kty == "oct" || members.contains_key("k") {
        return Err(UnusableKey::Secret);
    }
    if PRIVATE_MEMBERS.iter().any(|m| members.contains_key(*m)) {
        return Err(UnusableKey::PrivateKey);
    }
    purpose(members)?;
    let kind = kind(members, kty)?;
    let algorithm = algorithm(members, kind)?;
    let material = match kind {
        KeyKind::Rsa => rsa_key(members)?,
        KeyKind::P256 => {
            let point = p256::EncodedPoint::from_affine_coordinates(
                &coordinate::<32>(members, "x")?.into(),
                &coordinate::<32>(members, "y")?.into(),
                false,
            );
            let key = p256::ecdsa::VerifyingKey::from_encoded_point(&point);
            Material::P256(key.map_err(|_| UnusableKey::NotAKey)?)
        }
        KeyKind::P384 => {
            let point = p384::EncodedPoint::from_affine_coordinates(
                &coordinate::<48>(members, "x")?.into(),
                &coordinate::<48>(members, "y")?.into(),
                false,
            );
            let key = p384::ecdsa::VerifyingKey::from_encoded_point(&point);
            Material::P384(key.map_err(|_| UnusableKey::NotAKey)?)
        }
        KeyKind::P521 => {
            // An uncompressed point (SEC 1 §2.3.4).
            let (x, y) = (
                coordinate::<66>(members, "x")?,
                coordinate::<66>(members, "y")?,
            );
            let key = p521::PublicKey::from_sec1_bytes(&[&[4][..], &x, &y].concat());
            Material::P521(key.map_err(|_| UnusableKey::NotAKey)?)
        }
        KeyKind::Ed25519 => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(&coordinate(members, "x")?);
            // A small-order key has signatures that hold for many messages.
            let key = key.ok().filter(|key| !key.is_weak());
            Material::Ed25519(key.ok_or(UnusableKey::NotAKey)?)
        }
    };
    PublicKey::new(kid.map(str::to_owned), algorithm, material).ok_or(UnusableKey::NotAKey)
}

/// `use` and `key_ops` must allow verification where they are given (RFC 7517 §4.2, §4.3).
fn purpose(members: &Members) -> Result<(), UnusableKey> {
    match optional_text(members, "use")? {
        None | Some("sig") => {}
        Some(_) => return Err(UnusableKey::OtherPurpose),
    }
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(operations)) => {
            if operations.iter().any(|o| o.as_str() == Some("verify")) {
                Ok(())
            } else {
                Err(UnusableKey::OtherPurpose)
            }
        }
        Some(_) => Err(UnusableKey::Invalid("key_ops")),
    }
}

fn kind(members: &Members, kty: &str) -> Result<KeyKind, UnusableKey> {
    let unsupported = |what: &str| Err(UnusableKey::Unsupported(printable(what)));
    match kty {
        "RSA" => Ok(KeyKind::Rsa),
        "EC" => match text(members, "crv")? {
            "P-256" => Ok(KeyKind::P256),
            "P-384" => Ok(KeyKind::P384),
            "P-521" => Ok(KeyKind::P521),
            curve => unsupported(curve),
        },
        "OKP" => match text(members, "crv")? {
            "Ed25519" => Ok(KeyKind::Ed25519),
            curve => unsupported(curve),
        },
        _ => unsupported(kty),
    }
}

fn algorithm(members: &Members, kind: KeyKind) -> Result<Option<Algorithm>, UnusableKey> {
    let Some(name) = optional_text(members, "alg")? else {
        return Ok(None);
    };
    match Algorithm::from_name(name) {
        Some(algorithm) if kind.permits(algorithm) => Ok(Some(algorithm)),
        _ => Err(UnusableKey::Algorithm(printable(name))),
    }
}

fn rsa_key(members: &Members) -> Result<Material, UnusableKey> {
    let modulus = BigUint::from_bytes_be(&bytes(members, "n")?);
    let exponent = BigUint::from_bytes_be(&bytes(members, "e")?);
    let bits = modulus.bits();
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(UnusableKey::RsaSize(bits));
    }
    if roca::has_its_form(&modulus.to_bytes_be()) {
        return Err(UnusableKey::Roca);
    }
    // Refuses even moduli and exponents, exponents below 3 or above 2^33.
    rsa::RsaPublicKey::new_with_max_size(modulus, exponent, MAX_RSA_BITS)
        .map(Material::Rsa)
        .map_err(|_| UnusableKey::NotAKey)
}

/// A number of exactly `N` bytes: RFC 7518 §6.2.1.2 has leading zeros kept.
fn coordinate<const N: usize>(
    members: &Members,
    name: &'static str,
) -> Result<[u8; N], UnusableKey> {
    bytes(members, name)?
        .try_into()
        .map_err(|_| UnusableKey::Invalid(name))
}

fn bytes(members: &Members, name: &'static str) -> Result<Vec<u8>, UnusableKey> {
    base64url::decode(text(members, name)?).ok_or(UnusableKey::Invalid(name))
}

fn text<'a>(members: &'a Members, name: &'static str) -> Result<&'a str, UnusableKey> {
    optional_text(members, name)?.ok_or(UnusableKey::Missing(name))
}

fn optional_text<'a>(
    members: &'a Members,
    name: &'static str,
) -> Result<Option<&'a str>, UnusableKey> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value)),
        Some(_) => Err(UnusableKey::Invalid(name)),
    }
}

impl std::fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a JSON object, or nested too deeply"),
            Self::DuplicateMember => f.write_str("a member stands in it twice"),
            Self::Missing(member) => write!(f, "`{member}` is missing"),
            Self::Invalid(member) => write!(f, "`{member}` has a wrong type, encoding or length"),
            Self::Unsupported(what) => write!(f, "`{what}` keys are not supported"),
            Self::OtherPurpose => f.write_str("`use` or `key_ops` give it another purpose"),
            Self::Algorithm(name) => {
                write!(f, "`alg` is `{name}`, which this key cannot verify here")
            }
            Self::Secret => f.write_str("it is a symmetric secret; a published one protects nothing"),
            Self::PrivateKey => f.write_str(
                "its private half is published, so anyone can sign with it; the issuer must replace it",
            ),
            Self::RsaSize(bits) => write!(f, "RSA with {bits} bits; 2048 to 8192 are accepted"),
            Self::Roca => f.write_str(
                "it was made by a generator whose private keys can be computed (CVE-2017-15361); the issuer must replace it",
            ),
            Self::NotAKey => f.write_str("its numbers are no valid public key"),
            Self::Repeated => f.write_str("the same key stands in the set before"),
            Self::TooMany => f.write_str("the set has too many keys"),
        }
    }
}
