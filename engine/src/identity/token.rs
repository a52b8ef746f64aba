//! The outer form of a token: a JWS in compact serialisation (RFC 7515 §3.1) whose header asks for
//! nothing that the gate does not do. Nothing in here trusts a byte of it.

use serde_json::{Map, Value};

use super::jwk::MAX_KID_BYTES;
use super::refusal::{Refusal, RefusalCode};
use super::{Algorithm, base64url};
use crate::base::json::{self, JsonError};

/// The largest token. Entra's, with 200 groups, stay under 10 KiB; proxies cap headers at 16 KiB to
/// 64 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// How deep header and claims may nest. Real tokens need three levels; a filter has 1 MiB of stack.
const MAX_DEPTH: u8 = 16;

/// The largest header, encoded. Without embedded keys, which are refused, it is a few names.
const MAX_HEADER_BYTES: usize = 2 * 1024;

/// Headers that bring a key or say where to get one (RFC 7515 §4.1.2, §4.1.3, §4.1.5, §4.1.6).
/// Following them would let the sender choose the key, and the gate fetch what the sender likes.
/// Thumbprints (`x5t`) only name a key; Entra sends them with every token.
const EMBEDDED_KEYS: [&str; 4] = ["jwk", "jku", "x5u", "x5c"];

/// Headers of other formats: encryption and compression (RFC 7516), unencoded payload (RFC 7797).
const OTHER_FORMATS: [&str; 3] = ["enc", "zip", "b64"];

/// Values of `typ` that are accepted: access tokens (RFC 9068), any JWT, and SPIFFE's `JOSE`. All
/// others are made for something else (`logout+jwt`, `dpop+jwt`, `secevent+jwt`), and taking one
/// for a login is cross-JWT confusion (RFC 8725 §2.8, §3.11).
const TYPES: [&str; 3] = ["jwt", "at+jwt", "jose"];

/// A token taken apart, with nothing verified yet.
pub(super) struct Compact<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) claims: Map<String, Value>,
    /// The text under the signature: header and payload as they were sent.
    pub(super) signing_input: &'a [u8],
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::new(
                RefusalCode::TokenTooLarge,
                "The token is larger than 16 KiB.",
            ));
        }
        let (signing_input, header, payload, signature) = split(token)?;
        if header.len() > MAX_HEADER_BYTES {
            return Err(Refusal::new(
                RefusalCode::TokenTooLarge,
                "The token's header is larger than 2 KiB.",
            ));
        }
        let header = object(header, "header")?;
        let (algorithm, kid) = read_header(&header)?;
        let claims = object(payload, "payload")?;
        let signature = base64url::decode(signature).ok_or_else(|| not_base64url("signature"))?;
        Ok(Self {
            algorithm,
            kid,
            claims,
            signing_input: signing_input.as_bytes(),
            signature,
        })
    }
}

/// Signing input, header, payload, signature.
fn split(token: &str) -> Result<(&str, &str, &str, &str), Refusal> {
    let malformed = |detail| Refusal::new(RefusalCode::TokenMalformed, detail);
    match token.bytes().filter(|b| *b == b'.').count() {
        2 => {}
        4 => {
            return Err(malformed(
                "The token is encrypted (JWE); the gate reads signed tokens.",
            ));
        }
        _ => {
            return Err(malformed(
                "A JWT has three parts with dots between them; an opaque token cannot be verified here.",
            ));
        }
    }
    let parts = token.rsplit_once('.').and_then(|(input, signature)| {
        let (header, payload) = input.split_once('.')?;
        Some((input, header, payload, signature))
    });
    parts.ok_or_else(|| malformed("A JWT has three parts with dots between them."))
}

fn object(part: &str, name: &str) -> Result<Map<String, Value>, Refusal> {
    let bytes = base64url::decode(part).ok_or_else(|| not_base64url(name))?;
    json::read_object(&bytes, MAX_DEPTH).map_err(|error| match error {
        JsonError::Duplicate { .. } => Refusal::new(
            RefusalCode::DuplicateClaim,
            format!("An object in the {name} has the same member twice."),
        ),
        JsonError::Malformed { .. } | JsonError::TooDeep => Refusal::new(
            RefusalCode::TokenMalformed,
            format!("The {name} is not a JSON object, or nested deeper than {MAX_DEPTH} levels."),
        ),
    })
}

fn not_base64url(name: &str) -> Refusal {
    Refusal::new(
        RefusalCode::TokenMalformed,
        format!("The {name} is not base64url without padding."),
    )
}

fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, Option<String>), Refusal> {
    if header.contains_key("crit") {
        // RFC 7515 §4.1.11: whoever does not understand an extension must refuse; we know none.
        return Err(Refusal::new(
            RefusalCode::CriticalHeader,
            "The header has `crit`, and the gate knows no header extension.",
        ));
    }
    if let Some(name) = EMBEDDED_KEYS.iter().find(|n| header.contains_key(**n)) {
        return Err(Refusal::new(
            RefusalCode::EmbeddedKey,
            format!("The header has `{name}`; keys come from the policy, never from the token."),
        ));
    }
    if let Some(name) = OTHER_FORMATS.iter().find(|n| header.contains_key(**n)) {
        return Err(Refusal::new(
            RefusalCode::TokenMalformed,
            format!("The header has `{name}`, which a signed access token does not."),
        ));
    }
    let algorithm = match header.get("alg").map(Value::as_str) {
        Some(Some(name)) => Algorithm::from_name(name),
        Some(None) => None,
        None => {
            return Err(Refusal::new(
                RefusalCode::TokenMalformed,
                "The header has no `alg`.",
            ));
        }
    };
    let algorithm = algorithm.ok_or_else(|| {
        Refusal::new(
            RefusalCode::AlgorithmNotAllowed,
            "The header's `alg` is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA.",
        )
    })?;
    check_type(header)?;
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) if kid.len() <= MAX_KID_BYTES => Some(kid.clone()),
        Some(_) => {
            return Err(Refusal::new(
                RefusalCode::TokenMalformed,
                "The header's `kid` is not a string of at most 512 bytes.",
            ));
        }
    };
    Ok((algorithm, kid))
}

fn check_type(header: &Map<String, Value>) -> Result<(), Refusal> {
    let refuse = |detail| Err(Refusal::new(RefusalCode::TypeNotAllowed, detail));
    match header.get("typ") {
        None => {}
        Some(Value::String(name)) => {
            // A media type: any case, and `application/` may be left out (RFC 7515 §4.1.9).
            let name = name.to_ascii_lowercase();
            let short = name.strip_prefix("application/").unwrap_or(&name);
            if !TYPES.contains(&short) {
                return refuse("The header's `typ` is neither JWT nor at+jwt.");
            }
        }
        Some(_) => return refuse("The header's `typ` is not a string."),
    }
    // RFC 7519 §5.2: `cty` is there when a token is wrapped in another one.
    if header.contains_key("cty") {
        return refuse("The header has `cty`: tokens inside tokens are not read.");
    }
    Ok(())
}
