//! Promises, over generated input.

use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// JSON of any shape, with names that matter to keys and tokens among the others.
fn any_json() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "kty",
            "kid",
            "use",
            "key_ops",
            "alg",
            "crv",
            "x",
            "y",
            "n",
            "e",
            "d",
            "k",
            "x5c",
            "iss",
            "aud",
            "exp",
            "nbf",
            "iat",
            "sub",
            "groups",
            "azp",
            "sid",
            "_claim_names",
            "hasgroups",
            "typ",
            "crit",
            "jwk",
        ])
        .prop_map(str::to_owned),
        "[a-z.]{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "sig", "RS256", "EdDSA", "AQAB"
        ])
        .prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| Value::from(b64(bytes))),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(128)))]

    #[test]
    fn no_text_makes_the_verifier_panic(text in "(?s).{0,300}", dotted in "[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,80}") {
        let verifier = verifier();
        for token in [&text, &dotted] {
            prop_assert!(verifier.verify(token, NOW, &PureRust).is_err());
        }
        let _ = bearer_token(&[text.as_bytes()]);
        let _ = KeySet::parse(text.as_bytes());
    }

    #[test]
    fn no_signed_header_or_claims_make_the_verifier_panic(header in any_json(), claims in any_json(), now: u64) {
        let verifier = verifier();
        // Half of the time everything around the generated members is right, to get past the first
        // checks.
        for (header, claims) in [
            (header.to_string(), claims.to_string()),
            (good_header().to_string(), overlay(good_claims(), &claims).to_string()),
            (overlay(good_header(), &header).to_string(), good_claims().to_string()),
        ] {
            let token = sign_text(Ed25519, Algorithm::EdDsa, &header, &claims);
            let _ = verifier.verify(&token, UnixMillis(now), &PureRust);
        }
    }

    #[test]
    fn a_good_key_works_whatever_stands_beside_it(
        before in prop::collection::vec(any_json(), 0..6),
        after in prop::collection::vec(any_json(), 0..6),
    ) {
        let keys = before.into_iter().chain([Ed25519.jwk("ed")]).chain(after).collect::<Vec<_>>();
        let count = keys.len();
        let (keys, problems) = KeySet::from_value(&json!({ "keys": keys })).unwrap();
        prop_assert_eq!(keys.keys().len() + problems.len(), count);
        prop_assert!(verifier_of(issuer(), keys).verify(&good_token(), NOW, &PureRust).is_ok());
    }

    #[test]
    fn a_good_key_works_whatever_bytes_broken_keys_are_made_of(changes in any_json()) {
        for key in [RsaA, P256A, P384, P521] {
            let broken = overlay(key.jwk("broken"), &changes);
            let (keys, _) = KeySet::from_value(&json!({"keys": [broken, Ed25519.jwk("ed")]})).unwrap();
            prop_assert!(verifier_of(issuer(), keys).verify(&good_token(), NOW, &PureRust).is_ok());
        }
    }

    #[test]
    fn a_cached_answer_is_the_answer_of_the_verifier(steps in prop::collection::vec((0u64..6, 0u64..200, any::<bool>()), 1..60)) {
        let (one, two) = (verifier(), verifier_of(issuer(), key_set(vec![RsaA.jwk("rsa")])));
        let mut cache = TokenCache::new(4, 8192);
        for (subject, seconds, removed) in steps {
            let token = token_with(json!({}), json!({"sub": format!("s{subject}"), "exp": NOW_SECONDS + 20 * subject}));
            let now = UnixMillis(NOW.0 + seconds * 1000);
            let verifier = if removed { &two } else { &one };
            let cached = cache.verify(verifier, &token, now, &PureRust).map(|verified| (*verified).clone());
            prop_assert_eq!(cached, verifier.verify(&token, now, &PureRust));
        }
    }
}

/// Puts the members of `changes`, if it is an object, over those of `object`.
fn overlay(mut object: Value, changes: &Value) -> Value {
    if let (Some(members), Some(changes)) = (object.as_object_mut(), changes.as_object()) {
        members.extend(changes.clone());
    }
    object
}

/// Every bit of the token, not a sample: there are only some thousand.
#[test]
fn a_token_with_any_bit_changed_is_refused() {
    let tokens = [
        good_token(),
        sign_text(
            P256A,
            Algorithm::Es256,
            r#"{"alg":"ES256","kid":"p256"}"#,
            &json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": NOW_SECONDS + 1})
                .to_string(),
        ),
    ];
    let verifier = verifier();
    for token in tokens {
        assert!(verifier.verify(&token, NOW, &PureRust).is_ok());
        for index in 0..token.len() {
            for bit in 0..7 {
                let mut changed = token.clone().into_bytes();
                changed[index] ^= 1 << bit;
                let changed = String::from_utf8(changed).unwrap();
                assert!(
                    verifier.verify(&changed, NOW, &PureRust).is_err(),
                    "byte {index}, bit {bit}: {changed}"
                );
            }
        }
    }
}
