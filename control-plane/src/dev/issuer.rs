//! An issuer of one's own: tokens for trying a policy without an identity provider.
//!
//! Its key is made once per user and used by every run, so that `chaperone dev token` needs neither
//! flags nor a running control plane. Its name is the same everywhere, under a domain that can
//! never exist (RFC 2606 §2), and only a control plane that `chaperone dev` started believes it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use axum::{Json, Router, routing::get};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chaperone_engine::identity::Issuer;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::cli::failure::Failure;
use crate::cli::user_state::UserState;

/// The `iss` of development tokens.
pub(crate) const ISSUER: &str = "https://dev.chaperone.invalid";
/// The `aud` of development tokens.
pub(crate) const AUDIENCE: &str = "chaperone-dev";

const JWKS_PATH: &str = "/jwks.json";

/// The issuer with its private key; never printed.
pub(crate) struct DevIssuer {
    key: SigningKey,
}

/// What a development token says.
#[derive(Debug, Clone)]
pub(crate) struct TokenClaims {
    /// `sub`.
    pub(crate) subject: String,
    /// `groups`.
    pub(crate) groups: Vec<String>,
    /// `azp`, the agent.
    pub(crate) agent: Option<String>,
    /// `sid`, the session.
    pub(crate) session: Option<String>,
    /// Any other claim; these win, so that a broken token can be made for a test.
    pub(crate) extra: Map<String, Value>,
    /// How long it is good for.
    pub(crate) ttl: Duration,
}

impl DevIssuer {
    /// The user's issuer, made when there is none yet.
    ///
    /// # Errors
    /// A sentence that names the file.
    pub(crate) fn load_or_create(state: &UserState) -> Result<Self, Failure> {
        let path = state.issuer_key();
        let about = |e: io::Error| {
            Failure::failed(format!(
                "The development issuer's key {}: {e}.",
                path.display()
            ))
        };
        state.create().map_err(about)?;
        if !path.exists() {
            create_key(&path).map_err(about)?;
        }
        let text = std::fs::read_to_string(&path).map_err(about)?;
        let seed: [u8; 32] = URL_SAFE_NO_PAD
            .decode(text.trim())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| {
                Failure::failed(format!(
                    "{} holds no key; remove it and a new one is made.",
                    path.display()
                ))
            })?;
        Ok(Self {
            key: SigningKey::from_bytes(&seed),
        })
    }

    /// The public key as a JWK (RFC 8037 §2).
    fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.key.verifying_key().as_bytes());
        // RFC 7638: the required members in lexical order.
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let kid = URL_SAFE_NO_PAD.encode(thumbprint);
        json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": "EdDSA" })
    }

    /// The key set (RFC 7517 §5).
    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk()] })
    }

    /// The issuer as a policy names it, with its key set inside so that it works from the first
    /// moment and whatever happens to the endpoints.
    pub(crate) fn as_policy_issuer(&self) -> Result<Issuer, serde_json::Error> {
        serde_json::from_value(json!({
            "issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": ["EdDSA"], "jwks": self.jwks(),
        }))
    }

    /// Signs a token (RFC 7519) that is good from `now`, in seconds since 1970.
    pub(crate) fn token(&self, claims: &TokenClaims, now: u64) -> String {
        let mut payload = Map::new();
        payload.insert("iss".into(), json!(ISSUER));
        payload.insert("aud".into(), json!(AUDIENCE));
        payload.insert("sub".into(), json!(claims.subject));
        payload.insert("groups".into(), json!(claims.groups));
        payload.insert("iat".into(), json!(now));
        payload.insert(
            "exp".into(),
            json!(now.saturating_add(claims.ttl.as_secs())),
        );
        for (name, value) in [("azp", &claims.agent), ("sid", &claims.session)] {
            if let Some(value) = value {
                payload.insert(name.into(), json!(value));
            }
        }
        payload.extend(claims.extra.clone());
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.jwk()["kid"] });
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(Value::Object(payload)));
        let signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    /// OpenID discovery and the key set, for tools that want to verify the tokens too.
    pub(crate) fn endpoints(&self, address: SocketAddr) -> Router {
        let discovery = json!({
            "issuer": ISSUER,
            "jwks_uri": format!("http://{address}{JWKS_PATH}"),
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
        });
        let jwks = self.jwks();
        Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || std::future::ready(Json(discovery.clone()))),
            )
            .route(
                JWKS_PATH,
                get(move || std::future::ready(Json(jwks.clone()))),
            )
    }
}

/// Writes a new key, unless another run was faster: then that one's stays.
fn create_key(path: &Path) -> io::Result<()> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(URL_SAFE_NO_PAD.encode(seed).as_bytes())?;
    file.sync_all()?;
    // A link appears whole and never replaces, unlike a rename.
    let linked = std::fs::hard_link(&temporary, path);
    std::fs::remove_file(&temporary)?;
    match linked {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use ed25519_dalek::Verifier as _;

    use super::*;

    fn claims() -> TokenClaims {
        TokenClaims {
            subject: "alice".into(),
            groups: vec!["dev".into()],
            agent: Some("codex".into()),
            session: None,
            extra: Map::new(),
            ttl: Duration::from_secs(60),
        }
    }

    fn decoded(part: &str) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn every_run_of_a_user_signs_with_the_same_key_which_nobody_else_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let state = UserState::at(dir.path().join("dev"));
        let first = DevIssuer::load_or_create(&state).unwrap();
        let second = DevIssuer::load_or_create(&state).unwrap();
        assert_eq!(first.jwks(), second.jwks());
        let mode = std::fs::metadata(state.issuer_key())
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        assert_eq!(mode, 0o600);
    }

    #[test]
    fn a_token_says_what_was_asked_and_is_signed_by_the_published_key() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::load_or_create(&UserState::at(dir.path().into())).unwrap();
        let token = issuer.token(&claims(), 1_000);
        let parts: Vec<&str> = token.split('.').collect();
        let payload = decoded(parts[1]);
        assert_eq!(
            payload,
            json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "groups": ["dev"], "azp": "codex", "iat": 1_000, "exp": 1_060 })
        );
        assert_eq!(decoded(parts[0])["kid"], issuer.jwks()["keys"][0]["kid"]);
        let signature =
            ed25519_dalek::Signature::from_slice(&URL_SAFE_NO_PAD.decode(parts[2]).unwrap())
                .unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        issuer
            .key
            .verifying_key()
            .verify(signed.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn a_claim_of_ones_own_replaces_the_usual_one() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::load_or_create(&UserState::at(dir.path().into())).unwrap();
        let mut claims = claims();
        claims.extra.insert("aud".into(), json!(["another"]));
        let token = issuer.token(&claims, 0);
        assert_eq!(
            decoded(token.split('.').nth(1).unwrap())["aud"],
            json!(["another"])
        );
    }

    #[test]
    fn the_policy_takes_the_issuer_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = DevIssuer::load_or_create(&UserState::at(dir.path().into())).unwrap();
        assert_eq!(issuer.as_policy_issuer().unwrap().problems(), []);
    }
}
