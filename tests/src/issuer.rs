//! An issuer of one's own: tokens good and bad in every way, and the key set they verify with.
//!
//! For how real providers do it see [`oidc`](crate::oidc).

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::OsRng;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use serde_json::{Map, Value, json};

use crate::upstream::{Reply, Upstream};

/// The audience of tokens unless a test says otherwise.
pub const AUDIENCE: &str = "api://chaperone";

/// A signing key.
#[derive(Clone)]
pub struct Key {
    /// The key's id in token and key set.
    pub kid: String,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Es256(p256::ecdsa::SigningKey),
    Rs256(Box<rsa::RsaPrivateKey>),
}

impl Key {
    /// A new EdDSA key.
    #[must_use]
    pub fn ed25519(kid: &str) -> Self {
        let mut seed = [0; 32];
        rand_core::RngCore::fill_bytes(&mut OsRng, &mut seed);
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        Self {
            kid: kid.to_owned(),
            secret: Secret::Ed25519(Box::new(key)),
        }
    }

    /// A new ES256 key.
    #[must_use]
    pub fn es256(kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            secret: Secret::Es256(p256::ecdsa::SigningKey::random(&mut OsRng)),
        }
    }

    /// The RS256 key of this test run: making one takes seconds, so there is one for all.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn rs256(kid: &str) -> Self {
        static KEY: OnceLock<rsa::RsaPrivateKey> = OnceLock::new();
        let key =
            KEY.get_or_init(|| rsa::RsaPrivateKey::new(&mut OsRng, 2048).expect("randomness"));
        Self {
            kid: kid.to_owned(),
            secret: Secret::Rs256(Box::new(key.clone())),
        }
    }

    /// The JOSE name of its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self.secret {
            Secret::Ed25519(_) => "EdDSA",
            Secret::Es256(_) => "ES256",
            Secret::Rs256(_) => "RS256",
        }
    }

    /// The public half as a JWK.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.secret {
            Secret::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(key.verifying_key().as_bytes())})
            }
            Secret::Es256(key) => {
                let point = key.verifying_key().to_encoded_point(false);
                json!({"kty": "EC", "crv": "P-256",
                    "x": b64(point.x().expect("not the identity")),
                    "y": b64(point.y().expect("not compressed"))})
            }
            Secret::Rs256(key) => {
                json!({"kty": "RSA", "n": b64(&key.n().to_bytes_be()), "e": b64(&key.e().to_bytes_be())})
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    /// A token with this very text as header and claims: for what no JSON library would write.
    #[must_use]
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let input = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    fn sign(&self, input: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => key.sign(input).to_vec(),
            Secret::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(input);
                signature.to_vec()
            }
            Secret::Rs256(key) => rsa::pkcs1v15::SigningKey::<sha2::Sha256>::new((**key).clone())
                .sign(input)
                .to_vec(),
        }
    }
}

/// An issuer with discovery and key set served over HTTP.
pub struct Issuer {
    upstream: Upstream,
    keys: Vec<Key>,
}

impl Issuer {
    /// Starts one with an EdDSA key; [`with_keys`](Self::with_keys) for others.
    pub async fn start() -> Self {
        Self::with_keys(vec![Key::ed25519("first")]).await
    }

    /// Starts one with these keys; the first signs.
    pub async fn with_keys(keys: Vec<Key>) -> Self {
        let mut issuer = Self {
            upstream: Upstream::start().await,
            keys: Vec::new(),
        };
        issuer.set_keys(keys);
        issuer
    }

    /// Its name, which is its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.upstream.url()
    }

    /// The server behind it: what was asked of it, and how it answers instead (as in an outage).
    #[must_use]
    pub fn server(&self) -> &Upstream {
        &self.upstream
    }

    /// The first of its keys.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.keys.first().expect("an issuer has keys")
    }

    /// The key set as it is served.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": self.keys.iter().map(Key::jwk).collect::<Vec<_>>()})
    }

    /// From now on has these keys; the first signs.
    pub fn set_keys(&mut self, keys: Vec<Key>) {
        self.keys = keys;
        let (url, jwks) = (self.url(), self.jwks());
        self.upstream.answer(move |seen| match seen.path() {
            "/.well-known/openid-configuration" => Reply::json(&json!({
                "issuer": url,
                "jwks_uri": format!("{url}/jwks"),
                "id_token_signing_alg_values_supported": ["EdDSA", "ES256", "RS256"],
                "subject_types_supported": ["public"],
                "response_types_supported": ["id_token"],
            })),
            "/jwks" => Reply::json(&jwks),
            _ => Reply::status(404),
        });
    }

    /// This issuer as it stands in a policy's `issuers`, found by discovery.
    #[must_use]
    pub fn in_policy(&self) -> Value {
        json!({"issuer": self.url(), "audiences": [AUDIENCE]})
    }

    /// A token that is good for five minutes.
    #[must_use]
    pub fn token(&self, subject: &str) -> Token {
        Token::new(self.key().clone())
            .claim("iss", self.url())
            .claim("sub", subject)
            .claim("aud", AUDIENCE)
            .valid_from(-1)
            .valid_until(300)
    }
}

/// A token that is being made.
#[derive(Clone)]
pub struct Token {
    key: Key,
    header: Map<String, Value>,
    claims: Map<String, Value>,
}

impl Token {
    /// One without any claim.
    #[must_use]
    pub fn new(key: Key) -> Self {
        let mut token = Self {
            key,
            header: Map::new(),
            claims: Map::new(),
        };
        token.header.insert("typ".to_owned(), json!("JWT"));
        token
            .header
            .insert("alg".to_owned(), json!(token.key.algorithm()));
        token.header.insert("kid".to_owned(), json!(token.key.kid));
        token
    }

    /// With a claim; null takes it away.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.claims, name, value.into());
        self
    }

    /// With these groups.
    #[must_use]
    pub fn groups(self, groups: &[&str]) -> Self {
        self.claim("groups", json!(groups))
    }

    /// With a member of the header; null takes it away.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        set(&mut self.header, name, value.into());
        self
    }

    /// Issued and valid from so many seconds from now.
    #[must_use]
    pub fn valid_from(self, seconds: i64) -> Self {
        self.claim("iat", in_seconds(seconds))
            .claim("nbf", in_seconds(seconds))
    }

    /// Valid until so many seconds from now.
    #[must_use]
    pub fn valid_until(self, seconds: i64) -> Self {
        self.claim("exp", in_seconds(seconds))
    }

    /// Long expired.
    #[must_use]
    pub fn expired(self) -> Self {
        self.valid_from(-7200).valid_until(-3600)
    }

    /// Signed by another key, under the header that it has.
    #[must_use]
    pub fn signed_by(mut self, key: &Key) -> Self {
        self.key = key.clone();
        self
    }

    /// The compact form (RFC 7515 §7.1).
    #[must_use]
    pub fn sign(&self) -> String {
        let input = self.signing_input();
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    /// With the signature of another token: what somebody without the key can make.
    #[must_use]
    pub fn forged(&self) -> String {
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(b"something else"));
        format!("{}.{signature}", self.signing_input())
    }

    /// Without a signature, saying so (RFC 7519 §6).
    #[must_use]
    pub fn unsigned(&self) -> String {
        format!("{}.", self.clone().header("alg", "none").signing_input())
    }

    fn signing_input(&self) -> String {
        let encode = |part: &Map<String, Value>| {
            URL_SAFE_NO_PAD.encode(Value::Object(part.clone()).to_string())
        };
        format!("{}.{}", encode(&self.header), encode(&self.claims))
    }
}

fn set(members: &mut Map<String, Value>, name: &str, value: Value) {
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
}

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(now.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_add(seconds)
}
