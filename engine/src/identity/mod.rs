//! Who is calling? Verification of JSON Web Tokens.
//!
//! [`bearer_token`] takes the token out of the request, [`TokenCache::verify`] answers from memory
//! or asks the [`Verifier`], which knows the policy's [`Issuer`]s and their [`KeySet`]s. What comes
//! out is a [`VerifiedToken`] with a [`Principal`], or a [`Refusal`] with a stable [`RefusalCode`].
//!
//! # Promises
//!
//! - There is no way around the signature: no `none`, no HMAC, no key from the token, no optional
//!   mode.
//! - A key verifies only algorithms of its own kind, and only the one it is published for.
//! - A token has one spelling. Changing any bit of it makes it another token, which is refused.
//!   ECDSA alone gives each signature a second form, `n - s` in place of `s`, which whoever holds
//!   the token can compute, and half of all issuers' signatures have either. So nothing may know a
//!   token by its bytes alone: whoever looks for one looks for what was signed.
//! - Nothing about claims is said before the signature holds, beyond the issuer and key id. A token
//!   that is refused after that says whom it was made for ([`TokenOwner`]), for the trail alone.
//! - A bad key in a set never stops a good one; a removed key stops working at once, cache or not.
//! - Everything is bounded before it is read: token, header, nesting, key set, cache.
//!
//! Rules follow RFC 7515, 7517, 7518, 7519, 8037 and the best practices of RFC 8725.

mod algorithm;
mod base64url;
mod bearer;
mod cache;
mod claim_path;
mod claims;
mod config;
mod jwk;
mod key;
mod key_set;
mod principal;
mod refusal;
mod roca;
mod signature;
mod token;
mod verifier;

#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use bearer::bearer_token;
pub use cache::{CacheStats, TokenCache};
pub(crate) use claim_path::ClaimPath;
pub use config::{ClaimMapping, DEFAULT_LEEWAY_SECONDS, Issuer, IssuerProblem, MAX_LEEWAY_SECONDS};
pub use jwk::UnusableKey;
pub use key::{KeyKind, PublicKey};
pub use key_set::{JwksError, KeyProblem, KeySet, MAX_KEY_SET_BYTES, MAX_KEYS};
pub use principal::Principal;
pub use refusal::{Refusal, RefusalCode, TokenOwner, UnknownKey};
pub use signature::{PureRust, SignatureVerifier, Unsupported, ecdsa_der_signature};
pub use token::MAX_TOKEN_BYTES;
pub use verifier::{InvalidIssuer, VerifiedToken, Verifier};
