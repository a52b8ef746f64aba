//! Verified tokens are remembered, never longer than what they rest on.

use std::cell::Cell;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use RefusalCode::*;

/// Counts how often a signature is really verified.
#[derive(Default)]
struct Counting(Cell<u32>);

impl SignatureVerifier for Counting {
    fn verify(
        &self,
        algorithm: Algorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, Unsupported> {
        self.0.set(self.0.get() + 1);
        PureRust.verify(algorithm, key, message, signature)
    }
}

fn token_of(subject: &str) -> String {
    token_with(json!({}), json!({ "sub": subject }))
}

#[test]
fn a_token_is_verified_once_and_answered_from_memory_then() {
    let (verifier, crypto) = (verifier(), Counting::default());
    let mut cache = TokenCache::new(100, 1 << 20);
    let first = cache
        .verify(&verifier, &good_token(), NOW, &crypto)
        .unwrap();
    let again = cache
        .verify(&verifier, &good_token(), NOW, &crypto)
        .unwrap();
    assert_eq!(first, again);
    assert_eq!(crypto.0.get(), 1);
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.hits, stats.misses), (1, 1, 1));
    assert!(stats.bytes > 100);
}

#[test]
fn a_remembered_token_still_expires() {
    let (verifier, crypto) = (verifier(), Counting::default());
    let mut cache = TokenCache::new(100, 1 << 20);
    let token = token_with(
        json!({}),
        json!({"exp": NOW_SECONDS + 1, "nbf": NOW_SECONDS}),
    );
    assert!(cache.verify(&verifier, &token, NOW, &crypto).is_ok());
    let mut at = |seconds: u64| {
        let now = UnixMillis(seconds * 1000);
        cache
            .verify(&verifier, &token, now, &crypto)
            .map(|_| ())
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(at(NOW_SECONDS + 60), Ok(()));
    assert_eq!(at(NOW_SECONDS + 61), Err(TokenExpired));
    assert_eq!(at(NOW_SECONDS + 62), Err(TokenExpired));
    assert_eq!(at(NOW_SECONDS), Ok(()));
    assert_eq!(
        at(NOW_SECONDS - 61),
        Err(TokenNotYetValid),
        "the clock stepped back"
    );
    let stats = cache.stats();
    assert_eq!(
        (stats.entries, stats.bytes),
        (0, 0),
        "refused for its time, so given up"
    );
}

/// Gives every token the same hash.
#[derive(Default)]
struct Colliding;

impl std::hash::Hasher for Colliding {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, _: &[u8]) {}
}

#[test]
fn a_token_with_the_hash_of_a_remembered_one_is_not_taken_for_it() {
    let verifier = verifier();
    let hasher = std::hash::BuildHasherDefault::<Colliding>::default();
    let mut cache = TokenCache::with_hasher(100, 1 << 20, hasher);
    let token = good_token();
    let mut accepts = |token: &str| {
        cache
            .verify(&verifier, token, NOW, &PureRust)
            .map(|v| v.principal().subject.clone())
    };
    assert_eq!(accepts(&token).unwrap(), "ada");
    // Every position: whole words of the comparison and its rest.
    for index in 0..token.len() {
        let mut other = token.clone().into_bytes();
        other[index] = if other[index] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        assert!(accepts(&other).is_err(), "byte {index}");
    }
    let whole_words = (0..16)
        .map(|n| {
            let (header, claims) = ("h".repeat(n % 4), "c".repeat(n));
            token_with(json!({ "x": header }), json!({ "x": claims }))
        })
        .find(|token| token.len() % 8 == 0)
        .unwrap();
    assert!(accepts(&whole_words).is_ok());
    for length in 0..whole_words.len() {
        assert!(accepts(&whole_words[..length]).is_err(), "{length} bytes");
    }
    assert_eq!(accepts(&token_of("bob")).unwrap(), "bob");
    assert_eq!(
        accepts(&token).unwrap(),
        "ada",
        "bob took the place, not the name"
    );
}

#[test]
fn nothing_prints_a_remembered_token() {
    let mut cache = TokenCache::new(100, 1 << 20);
    let token = good_token();
    let verified = cache.verify(&verifier(), &token, NOW, &PureRust).unwrap();
    let (_, signature) = token.rsplit_once('.').unwrap();
    assert!(!format!("{cache:?} {verified:?}").contains(signature));
}

#[test]
fn a_removed_key_stops_working_at_once() {
    let mut cache = TokenCache::new(100, 1 << 20);
    let token = good_token();
    assert!(cache.verify(&verifier(), &token, NOW, &PureRust).is_ok());
    let without = verifier_of(issuer(), key_set(vec![RsaA.jwk("rsa")]));
    let refusal = cache.verify(&without, &token, NOW, &PureRust).unwrap_err();
    assert_eq!(refusal.code, UnknownKey);
}

#[test]
fn any_change_of_an_issuers_settings_is_asked_again() {
    let changed = [
        Issuer {
            audiences: vec!["new".to_owned()],
            ..issuer()
        },
        Issuer {
            algorithms: Some(vec![Algorithm::Rs256]),
            ..issuer()
        },
        Issuer {
            claims: ClaimMapping {
                subject: "oid".to_owned(),
                ..Default::default()
            },
            ..issuer()
        },
        Issuer {
            issuer: "https://other.example".to_owned(),
            ..issuer()
        },
    ];
    for issuer in changed {
        let mut cache = TokenCache::new(100, 1 << 20);
        assert!(
            cache
                .verify(&verifier(), &good_token(), NOW, &PureRust)
                .is_ok()
        );
        let verifier = verifier_of(issuer, all_keys());
        assert!(
            cache
                .verify(&verifier, &good_token(), NOW, &PureRust)
                .is_err()
        );
    }
    let mut cache = TokenCache::new(100, 1 << 20);
    let old = token_with(json!({}), json!({"exp": NOW_SECONDS - 30}));
    assert!(cache.verify(&verifier(), &old, NOW, &PureRust).is_ok());
    let strict = verifier_of(
        Issuer {
            leeway_seconds: 10,
            ..issuer()
        },
        all_keys(),
    );
    assert_eq!(
        cache
            .verify(&strict, &old, NOW, &PureRust)
            .unwrap_err()
            .code,
        TokenExpired
    );
}

#[test]
fn a_policy_version_with_the_same_issuers_and_keys_keeps_the_cache() {
    let crypto = Counting::default();
    let mut cache = TokenCache::new(100, 1 << 20);
    for _ in 0..3 {
        assert!(
            cache
                .verify(&verifier(), &good_token(), NOW, &crypto)
                .is_ok()
        );
    }
    assert_eq!(crypto.0.get(), 1);
}

#[test]
fn a_bad_signature_sent_again_costs_no_verification() {
    let (verifier, crypto) = (verifier(), Counting::default());
    let mut cache = TokenCache::new(100, 1 << 20);
    let good = good_token();
    let (input, _) = good.rsplit_once('.').unwrap();
    let bad = format!("{input}.{}", b64([1; 64]));
    for _ in 0..5 {
        let refusal = cache.verify(&verifier, &bad, NOW, &crypto).unwrap_err();
        assert_eq!(refusal.code, SignatureInvalid);
    }
    assert_eq!(crypto.0.get(), 1);
    assert_eq!(cache.stats().entries, 0);
}

#[test]
fn a_flood_of_bad_signatures_neither_grows_memory_nor_pushes_good_tokens_out() {
    let (verifier, crypto) = (verifier(), Counting::default());
    let mut cache = TokenCache::new(100, 1 << 20);
    let good = good_token();
    assert!(cache.verify(&verifier, &good, NOW, &crypto).is_ok());
    let (input, _) = good.rsplit_once('.').unwrap();
    for n in 0..1000u32 {
        let mut signature = [1; 64];
        signature[..4].copy_from_slice(&n.to_be_bytes());
        let bad = format!("{input}.{}", b64(signature));
        assert!(cache.verify(&verifier, &bad, NOW, &crypto).is_err());
    }
    let before = crypto.0.get();
    assert!(cache.verify(&verifier, &good, NOW, &crypto).is_ok());
    assert_eq!(crypto.0.get(), before);
    assert!(cache.bad_signature_entries() <= 256);
}

#[test]
fn a_refusal_that_time_or_a_refresh_can_change_is_not_remembered() {
    let mut cache = TokenCache::new(100, 1 << 20);
    let verifier = verifier();
    let early = token_with(json!({}), json!({"nbf": NOW_SECONDS + 100}));
    assert_eq!(
        cache
            .verify(&verifier, &early, NOW, &PureRust)
            .unwrap_err()
            .code,
        TokenNotYetValid
    );
    let later = UnixMillis(NOW.0 + 100_000);
    assert!(cache.verify(&verifier, &early, later, &PureRust).is_ok());
}

#[test]
fn entries_and_bytes_stay_within_their_bounds() {
    let verifier = verifier();
    let mut cache = TokenCache::new(8, 1 << 20);
    let mut small = TokenCache::new(1000, 8192);
    for n in 0..50 {
        let token = token_of(&format!("subject-{n}"));
        assert!(cache.verify(&verifier, &token, NOW, &PureRust).is_ok());
        assert!(small.verify(&verifier, &token, NOW, &PureRust).is_ok());
        assert!(cache.stats().entries <= 8, "{:?}", cache.stats());
        assert!(small.stats().bytes <= 8192, "{:?}", small.stats());
    }
    assert!(cache.stats().entries >= 4);
    assert!(small.stats().entries >= 2);
}

#[test]
fn a_token_in_use_stays_while_others_pass_by() {
    let (verifier, crypto) = (verifier(), Counting::default());
    let mut cache = TokenCache::new(8, 1 << 20);
    let used = token_of("used");
    assert!(cache.verify(&verifier, &used, NOW, &crypto).is_ok());
    for n in 0..30 {
        assert!(
            cache
                .verify(&verifier, &token_of(&format!("passer-{n}")), NOW, &crypto)
                .is_ok()
        );
        assert!(cache.verify(&verifier, &used, NOW, &crypto).is_ok());
    }
    assert_eq!(crypto.0.get(), 31);
}

#[test]
fn a_cache_without_room_verifies_every_time() {
    let (verifier, crypto) = (verifier(), Counting::default());
    for (entries, bytes) in [(0, 1 << 20), (100, 0), (100, 64)] {
        crypto.0.set(0);
        let mut cache = TokenCache::new(entries, bytes);
        for _ in 0..3 {
            assert!(cache.verify(&verifier, &good_token(), NOW, &crypto).is_ok());
        }
        assert_eq!((crypto.0.get(), cache.stats().entries), (3, 0));
    }
}
