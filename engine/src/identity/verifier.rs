//! The whole check of a token, in the order that gives nothing away.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::claims::{self, Validity};
use super::key::hash_part;
use super::refusal::{Refusal, RefusalCode, TokenOwner, printable};
use super::signature::{self, SignatureVerifier};
use super::token::Compact;
use super::{Algorithm, Issuer, KeySet, Principal, PublicKey};
use crate::base::time::UnixMillis;

/// Verifies tokens of the policy's issuers. Built once per policy version; has no state.
#[derive(Debug)]
pub struct Verifier {
    issuers: BTreeMap<String, Trusted>,
    fingerprint: Fingerprint,
}

/// Everything that decides which tokens a verifier accepts, as one hash. Equal when issuers, their
/// settings and their keys are equal, so that a policy version that changes other things keeps its
/// cached tokens and one that removes a key does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

#[derive(Debug)]
struct Trusted {
    issuer: Issuer,
    keys: KeySet,
}

/// Issuers that cannot be put together into a verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidIssuer {
    /// Position in the list, from 0.
    pub index: usize,
    /// The fault.
    pub problem: String,
}

/// A token that passed every check. Only [`Verifier::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    principal: Principal,
    validity: Validity,
    kid: Option<String>,
    algorithm: Algorithm,
}

// === impl Verifier ===

impl Verifier {
    /// Puts issuers and their keys together. A set without usable keys is fine: its tokens are
    /// refused with `unknown_key`, which asks for a refresh.
    ///
    /// # Errors
    ///
    /// When an issuer's settings are unusable ([`Issuer::problems`]) or an issuer is listed twice.
    pub fn new(issuers: Vec<(Issuer, KeySet)>) -> Result<Self, InvalidIssuer> {
        let mut trusted = BTreeMap::new();
        for (index, (issuer, keys)) in issuers.into_iter().enumerate() {
            if let Some(problem) = issuer.problems().first() {
                return Err(InvalidIssuer {
                    index,
                    problem: problem.to_string(),
                });
            }
            let name = issuer.issuer.clone();
            if trusted.insert(name, Trusted { issuer, keys }).is_some() {
                return Err(InvalidIssuer {
                    index,
                    problem: "issuer: listed twice; put all its audiences into one entry"
                        .to_owned(),
                });
            }
        }
        let mut hash = Sha256::new();
        for (index, entry) in trusted.values().enumerate() {
            let settings = serde_json::to_vec(&entry.issuer).map_err(|error| InvalidIssuer {
                index,
                problem: error.to_string(),
            })?;
            hash_part(&mut hash, Some(&settings));
            entry.keys.fingerprint(&mut hash);
        }
        Ok(Self {
            issuers: trusted,
            fingerprint: Fingerprint(hash.finalize().into()),
        })
    }

    pub(super) const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Verifies a compact JWT at the instant `now`.
    ///
    /// The order is form, issuer, algorithm, key, signature, and only then claims: somebody without
    /// a signed token learns which issuers and keys exist, which is public, and nothing else.
    /// `crypto` is asked first. A signature that it does not support is verified in pure Rust.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with a stable code.
    pub fn verify(
        &self,
        token: &str,
        now: UnixMillis,
        crypto: &dyn SignatureVerifier,
    ) -> Result<VerifiedToken, Refusal> {
        let token = Compact::parse(token)?;
        let trusted = self.issuer_of(&token)?;
        trusted.check_algorithm(token.algorithm)?;
        let candidates = trusted.candidates(&token)?;
        let is_signed = |key: &&PublicKey| {
            let signature = token.signature.as_slice();
            signed_by(key, token.algorithm, token.signing_input, signature, crypto)
        };
        if !candidates.iter().any(is_signed) {
            return Err(Refusal::new(
                RefusalCode::SignatureInvalid,
                "The signature is not one of the issuer's key over this token.",
            ));
        }

        let issuer = &trusted.issuer;
        match checked(&token.claims, issuer, now) {
            Ok((principal, validity)) => Ok(VerifiedToken {
                principal,
                validity,
                kid: token.kid,
                algorithm: token.algorithm,
            }),
            Err(refusal) => Err(refusal.of(claims::owner(&token.claims, issuer))),
        }
    }

    fn issuer_of(&self, token: &Compact<'_>) -> Result<&Trusted, Refusal> {
        match token.claims.get("iss") {
            Some(Value::String(name)) => self.issuers.get(name).ok_or_else(|| {
                Refusal::new(
                    RefusalCode::UnknownIssuer,
                    format!("The policy does not list the issuer `{}`.", printable(name)),
                )
            }),
            Some(_) => Err(Refusal::new(
                RefusalCode::ClaimInvalid,
                "`iss` is not a string.",
            )),
            None => Err(Refusal::new(
                RefusalCode::ClaimMissing,
                "The token has no `iss`.",
            )),
        }
    }
}

/// Judges claims whose signature was verified.
fn checked(
    claims: &Map<String, Value>,
    issuer: &Issuer,
    now: UnixMillis,
) -> Result<(Principal, Validity), Refusal> {
    let validity = claims::validity(claims, issuer.leeway_seconds)?;
    validity.check(now)?;
    claims::check_audience(claims, &issuer.audiences)?;
    Ok((claims::principal(claims, issuer)?, validity))
}

/// Whether `signature` is `key`'s over `input`. The key permits the algorithm.
pub(super) fn signed_by(
    key: &PublicKey,
    algorithm: Algorithm,
    input: &[u8],
    signature: &[u8],
    crypto: &dyn SignatureVerifier,
) -> bool {
    if signature.len() != key.signature_len() || !key.is_in_range(signature) {
        return false;
    }
    crypto
        .verify(algorithm, key, input, signature)
        .unwrap_or_else(|_unsupported| signature::verify(algorithm, key, input, signature))
}

// === impl Trusted ===

impl Trusted {
    fn check_algorithm(&self, algorithm: Algorithm) -> Result<(), Refusal> {
        match &self.issuer.algorithms {
            Some(allowed) if !allowed.contains(&algorithm) => Err(Refusal::new(
                RefusalCode::AlgorithmNotAllowed,
                format!("The policy does not accept {algorithm} from this issuer."),
            )),
            _ => Ok(()),
        }
    }

    /// The keys that may have signed the token; never empty.
    fn candidates(&self, token: &Compact<'_>) -> Result<Vec<&PublicKey>, Refusal> {
        let issuer = self.issuer.issuer.as_str();
        let Some(kid) = token.kid.as_deref() else {
            let keys: Vec<_> = self.keys.permitting(token.algorithm).collect();
            return match keys.len() {
                0 => Err(Refusal::unknown_key(
                    issuer,
                    None,
                    format!("The issuer has no key for {}.", token.algorithm),
                )),
                1 => Ok(keys),
                // Trying all would make one bad token cost many verifications. No refresh is asked
                // for: it would not make the choice unique.
                _ => Err(Refusal::new(
                    RefusalCode::UnknownKey,
                    "The token has no `kid` and several of the issuer's keys fit.",
                )),
            };
        };
        let mut named = self.keys.with_kid(kid).peekable();
        if named.peek().is_none() {
            return Err(Refusal::unknown_key(
                issuer,
                Some(kid),
                format!(
                    "The issuer's key set has no usable key `{}`.",
                    printable(kid)
                ),
            ));
        }
        let keys: Vec<_> = named.filter(|key| key.permits(token.algorithm)).collect();
        if keys.is_empty() {
            return Err(Refusal::new(
                RefusalCode::AlgorithmNotAllowed,
                format!(
                    "The key that the token names is not for {}.",
                    token.algorithm
                ),
            ));
        }
        Ok(keys)
    }
}

// === impl VerifiedToken ===

impl VerifiedToken {
    /// Who calls.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The token's `exp`, without leeway.
    pub const fn expires_at(&self) -> UnixMillis {
        self.validity.expires_at
    }

    /// The first instant at which the gate no longer accepts the token: `exp` and the leeway.
    pub const fn accepted_until(&self) -> UnixMillis {
        self.validity.until
    }

    /// The issuer, one of the policy's.
    pub fn issuer(&self) -> &str {
        &self.principal.issuer
    }

    /// The id of the key that signed it, if the token names one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithm of its signature.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn check_time(&self, now: UnixMillis) -> Result<(), Refusal> {
        self.validity.check(now).map_err(|refusal| {
            refusal.of(Some(TokenOwner {
                issuer: self.principal.issuer.clone(),
                subject: self.principal.subject.clone(),
            }))
        })
    }
}

// === impl InvalidIssuer ===

impl std::fmt::Display for InvalidIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "issuers[{}].{}", self.index, self.problem)
    }
}

impl std::error::Error for InvalidIssuer {}
