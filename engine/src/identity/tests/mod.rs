//! Tests of `identity`: keys, tokens and policies to make them with.

mod bearer;
mod cache;
mod config;
mod interop;
mod key_sets;
mod mapping;
#[cfg(not(target_arch = "wasm32"))]
mod properties;
mod refusals;
#[cfg(not(target_arch = "wasm32"))]
mod vectors;

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::signature::{RandomizedSigner as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::*;
use crate::base::time::UnixMillis;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "api://chaperone";

/// The instant at which the tests run, in seconds and as the engine takes it.
const NOW_SECONDS: u64 = 1_800_000_000;
const NOW: UnixMillis = UnixMillis(NOW_SECONDS * 1000);

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Private keys of the tests. Two of a kind where "the wrong key" is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TestKey {
    RsaA,
    RsaB,
    P256A,
    P256B,
    P384,
    P521,
    Ed25519,
}

use TestKey::*;

thread_local! {
    static RSA: OnceCell<[RsaPrivateKey; 2]> = const { OnceCell::new() };
}

fn with_rsa<T>(key: TestKey, act: impl FnOnce(&RsaPrivateKey) -> T) -> T {
    RSA.with(|cell| {
        let keys = cell.get_or_init(|| {
            [
                &include_bytes!("fixtures/rsa-a.TEST-ONLY.pkcs8.der")[..],
                &include_bytes!("fixtures/rsa-b.TEST-ONLY.pkcs8.der")[..],
            ]
            .map(|der| RsaPrivateKey::from_pkcs8_der(der).unwrap())
        });
        act(&keys[usize::from(key == RsaB)])
    })
}

fn p256_key(key: TestKey) -> p256::ecdsa::SigningKey {
    let byte = if key == P256A { 7 } else { 8 };
    p256::ecdsa::SigningKey::from_bytes(&[byte; 32].into()).unwrap()
}

fn p384_key() -> p384::ecdsa::SigningKey {
    p384::ecdsa::SigningKey::from_bytes(&[7; 48].into()).unwrap()
}

fn p521_key() -> p521::ecdsa::SigningKey {
    let mut bytes = [7; 66];
    bytes[0] = 0;
    p521::ecdsa::SigningKey::from_slice(&bytes).unwrap()
}

fn ed25519_key() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[7; 32])
}

impl TestKey {
    /// The public key as a JWK without `kid`, `use` and `alg`.
    fn bare_jwk(self) -> Value {
        match self {
            RsaA | RsaB => with_rsa(
                self,
                |key| json!({"kty": "RSA", "n": b64(key.n().to_bytes_be()), "e": b64(key.e().to_bytes_be())}),
            ),
            P256A | P256B => {
                let point = p256_key(self).verifying_key().to_encoded_point(false);
                json!({"kty": "EC", "crv": "P-256", "x": b64(point.x().unwrap()), "y": b64(point.y().unwrap())})
            }
            P384 => {
                let point = p384_key().verifying_key().to_encoded_point(false);
                json!({"kty": "EC", "crv": "P-384", "x": b64(point.x().unwrap()), "y": b64(point.y().unwrap())})
            }
            P521 => {
                let point = p521::ecdsa::VerifyingKey::from(&p521_key()).to_encoded_point(false);
                json!({"kty": "EC", "crv": "P-521", "x": b64(point.x().unwrap()), "y": b64(point.y().unwrap())})
            }
            Ed25519 => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(ed25519_key().verifying_key().as_bytes())})
            }
        }
    }

    fn jwk(self, kid: &str) -> Value {
        with(self.bare_jwk(), json!({"kid": kid, "use": "sig"}))
    }

    fn sign(self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        use Algorithm::*;
        let mut rng = Constant;
        match algorithm {
            Rs256 => with_rsa(self, |k| {
                k.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message))
            }),
            Rs384 => with_rsa(self, |k| {
                k.sign(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message))
            }),
            Rs512 => with_rsa(self, |k| {
                k.sign(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message))
            }),
            Ps256 => with_rsa(self, |k| {
                k.sign_with_rng(&mut rng, Pss::new::<Sha256>(), &Sha256::digest(message))
            }),
            Ps384 => with_rsa(self, |k| {
                k.sign_with_rng(&mut rng, Pss::new::<Sha384>(), &Sha384::digest(message))
            }),
            Ps512 => with_rsa(self, |k| {
                k.sign_with_rng(&mut rng, Pss::new::<Sha512>(), &Sha512::digest(message))
            }),
            Es256 => {
                let signature: p256::ecdsa::Signature = p256_key(self).sign(message);
                Ok(signature.to_bytes().to_vec())
            }
            Es384 => {
                let signature: p384::ecdsa::Signature = p384_key().sign(message);
                Ok(signature.to_bytes().to_vec())
            }
            Es512 => {
                let signature: p521::ecdsa::Signature = p521_key().sign_with_rng(&mut rng, message);
                Ok(signature.to_bytes().to_vec())
            }
            EdDsa => Ok(ed25519_key().sign(message).to_bytes().to_vec()),
        }
        .unwrap()
    }
}

/// Not random, which is enough to sign in tests and keeps them the same everywhere.
struct Constant;

impl rsa::rand_core::CryptoRng for Constant {}

impl rsa::rand_core::RngCore for Constant {
    fn next_u32(&mut self) -> u32 {
        0x5555_5555
    }

    fn next_u64(&mut self) -> u64 {
        0x5555_5555_5555_5555
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.fill(0x55);
        // Below the order of P-521, whose first byte is 1.
        if let Some(first) = dest.first_mut() {
            *first = 0;
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

/// `object` with the members of `changes` put in; a `null` takes a member out.
fn with(mut object: Value, changes: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

/// Header and claims as text, so that tests can write what no JSON library would.
fn sign_text(key: TestKey, algorithm: Algorithm, header: &str, claims: &str) -> String {
    let input = format!("{}.{}", b64(header), b64(claims));
    let signature = key.sign(algorithm, input.as_bytes());
    format!("{input}.{}", b64(signature))
}

fn good_header() -> Value {
    json!({"alg": "EdDSA", "kid": "ed", "typ": "JWT"})
}

fn good_claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "exp": NOW_SECONDS + 600,
        "iat": NOW_SECONDS - 10,
        "groups": ["platform", "sre"],
        "azp": "copilot",
        "sid": "session-1",
    })
}

/// A token that is right in everything, signed by the issuer's Ed25519 key, but for these changes.
fn token_with(header: Value, claims: Value) -> String {
    let header = with(good_header(), header).to_string();
    let claims = with(good_claims(), claims).to_string();
    sign_text(Ed25519, Algorithm::EdDsa, &header, &claims)
}

fn good_token() -> String {
    token_with(json!({}), json!({}))
}

fn issuer() -> Issuer {
    serde_json::from_value(json!({"issuer": ISSUER, "audiences": [AUDIENCE, "other"]})).unwrap()
}

fn key_set(keys: Vec<Value>) -> KeySet {
    KeySet::from_value(&json!({"keys": keys})).unwrap().0
}

/// One key of every kind, with an id each.
fn all_keys() -> KeySet {
    key_set(vec![
        RsaA.jwk("rsa"),
        P256A.jwk("p256"),
        P384.jwk("p384"),
        P521.jwk("p521"),
        Ed25519.jwk("ed"),
    ])
}

fn verifier_of(issuer: Issuer, keys: KeySet) -> Verifier {
    Verifier::new(vec![(issuer, keys)]).unwrap()
}

fn verifier() -> Verifier {
    verifier_of(issuer(), all_keys())
}

fn verify(token: &str) -> Result<VerifiedToken, Refusal> {
    verifier().verify(token, NOW, &PureRust)
}

/// The code of the refusal; panics when the token is accepted.
fn refused(result: Result<VerifiedToken, Refusal>) -> RefusalCode {
    let refusal = result.expect_err("the token was accepted");
    is_a_sentence(&refusal);
    refusal.code
}

/// What an agent is told, it can show to its human.
fn is_a_sentence(refusal: &Refusal) {
    let detail = &refusal.detail;
    let begins = detail.starts_with(|c: char| c.is_ascii_uppercase() || c == '`');
    assert!(begins && detail.ends_with('.'), "{detail:?}");
}
