//! Key sets: what is used, what is left out, and that the one never harms the other.

use super::*;
use UnusableKey as Why;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The reason why this key is left out of a set, next to a good key that must stay.
fn why(key: Value) -> Option<UnusableKey> {
    why_text(&key.to_string())
}

fn why_text(key: &str) -> Option<UnusableKey> {
    let good = P384.jwk("good");
    let (set, problems) = KeySet::parse(format!("{{\"keys\":[{key},{good}]}}").as_bytes()).unwrap();
    assert!(
        set.keys().iter().any(|key| key.kid() == Some("good")),
        "the good key is lost"
    );
    assert_eq!(set.keys().len() + problems.len(), 2);
    problems.into_iter().next().map(|problem| problem.reason)
}

#[test]
fn keys_that_verify_signatures_are_used() {
    for key in [RsaA, P256A, P384, P521, Ed25519] {
        let keys = [
            key.bare_jwk(),
            key.jwk("k"),
            with(key.jwk("k"), json!({"key_ops": ["verify"], "use": null})),
            with(
                key.jwk("k"),
                json!({"x5c": ["MIIB"], "x5t": "x", "exp": 1, "foreign": {"a": [1]}}),
            ),
        ];
        for key in keys {
            assert_eq!(why(key.clone()), None, "{key}");
        }
    }
    let leading_zero = with(RsaA.bare_jwk(), {
        let n = with_rsa(RsaA, |key| key.n().to_bytes_be());
        json!({"n": b64([&[0][..], &n].concat())})
    });
    assert_eq!(why(leading_zero), None, "some issuers write the sign byte");
}

/// A modulus of the form that the broken generator makes, of 2048 bits.
const ROCA: &str = "1IaAXErvdnP30vyeXpApb-N082AWlGFk5Tw_ng2rTE5weZRLvWoYJGh-xVDCspMQ_jr4X8YSJjxeJslQf7jpxpwMFdzHnPswqQhIeEy6C6y2O6x8FZu-gDi5_mkainNBqKjCMnmJx6qJYEV4Yzj25x2XTkDim5tnfL0VdQJijbQ_ltaaQmUJ06LQ-cv3AFh6XYRP71qqNCaPKSurlWgwpVFr1Wa1mtkLPfRDI-zeaP2MtpNAcnkJ3GKDKM3B_hY7KvhxJl-KW3PbkeMWk0upMmhghTzhoyLn5ZwUw23y9X2lQsMkL9YUdm6MPf1D_HOjR7gD7tcleGAoFlXVLo4TNQ";

#[test]
fn a_key_whose_private_half_can_be_computed_is_left_out() {
    let key = json!({"kty": "RSA", "n": ROCA, "e": "AQAB"});
    assert_eq!(why(key), Some(Why::Roca));
    // Two more are not of that form: about one modulus in 2^27 is by chance.
    let modulus = URL_SAFE_NO_PAD.decode(ROCA).unwrap();
    let next = rsa::BigUint::from_bytes_be(&modulus) + 2_u32;
    let key = json!({"kty": "RSA", "n": b64(next.to_bytes_be()), "e": "AQAB"});
    assert_eq!(why(key), None);
}

#[test]
fn keys_that_cannot_be_used_are_left_out_with_the_reason() {
    let rsa = |n: Vec<u8>, e: &[u8]| json!({"kty": "RSA", "n": b64(n), "e": b64(e)});
    let odd = |bytes: usize| vec![0xff; bytes];
    let p256 = |changes| with(P256A.jwk("k"), changes);
    let ed = |changes| with(Ed25519.jwk("k"), changes);
    let cases = [
        (json!("text"), Why::Malformed),
        (json!(null), Why::Malformed),
        (json!([]), Why::Malformed),
        (json!({}), Why::Missing("kty")),
        (json!({"kty": 1}), Why::Invalid("kty")),
        (json!({"kty": "oct", "k": "c2VjcmV0"}), Why::Secret),
        (json!({"kty": "RSA", "k": "c2VjcmV0"}), Why::Secret),
        (
            json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"}),
            Why::Unsupported("AKP".to_owned()),
        ),
        (
            p256(json!({"crv": "P-192"})),
            Why::Unsupported("P-192".to_owned()),
        ),
        (p256(json!({"crv": "P-521"})), Why::Invalid("x")),
        (
            p256(json!({"crv": "secp256k1"})),
            Why::Unsupported("secp256k1".to_owned()),
        ),
        (p256(json!({"crv": null})), Why::Missing("crv")),
        (
            ed(json!({"crv": "X25519"})),
            Why::Unsupported("X25519".to_owned()),
        ),
        (
            ed(json!({"crv": "Ed448"})),
            Why::Unsupported("Ed448".to_owned()),
        ),
        (p256(json!({"d": "AQ"})), Why::PrivateKey),
        (ed(json!({"d": "AQ"})), Why::PrivateKey),
        (with(RsaA.jwk("k"), json!({"p": "AQ"})), Why::PrivateKey),
        (p256(json!({"use": "enc"})), Why::OtherPurpose),
        (p256(json!({"use": "SIG"})), Why::OtherPurpose),
        (p256(json!({"key_ops": ["encrypt"]})), Why::OtherPurpose),
        (p256(json!({"key_ops": []})), Why::OtherPurpose),
        (p256(json!({"key_ops": "verify"})), Why::Invalid("key_ops")),
        (
            p256(json!({"alg": "ES384"})),
            Why::Algorithm("ES384".to_owned()),
        ),
        (
            p256(json!({"alg": "HS256"})),
            Why::Algorithm("HS256".to_owned()),
        ),
        (
            p256(json!({"alg": "none"})),
            Why::Algorithm("none".to_owned()),
        ),
        (
            with(RsaA.jwk("k"), json!({"alg": "RSA-OAEP"})),
            Why::Algorithm("RSA-OAEP".to_owned()),
        ),
        (p256(json!({"alg": 1})), Why::Invalid("alg")),
        (p256(json!({"kid": 1})), Why::Invalid("kid")),
        (p256(json!({"kid": "k".repeat(513)})), Why::Invalid("kid")),
        (p256(json!({"x": null})), Why::Missing("x")),
        (p256(json!({"x": b64([1; 31])})), Why::Invalid("x")),
        (p256(json!({"x": b64([1; 33])})), Why::Invalid("x")),
        (p256(json!({"x": "not base64!"})), Why::Invalid("x")),
        (p256(json!({"x": b64([1; 32])})), Why::NotAKey),
        (ed(json!({"x": b64([1; 31])})), Why::Invalid("x")),
        (ed(json!({"x": b64([0; 32])})), Why::NotAKey),
        (rsa(odd(128), &[1, 0, 1]), Why::RsaSize(1024)),
        (
            rsa([&[0x7f][..], &odd(255)].concat(), &[1, 0, 1]),
            Why::RsaSize(2047),
        ),
        (rsa(odd(1025), &[1, 0, 1]), Why::RsaSize(8200)),
        (
            rsa([&odd(255)[..], &[0xfe]].concat(), &[1, 0, 1]),
            Why::NotAKey,
        ),
        (rsa(odd(256), &[1]), Why::NotAKey),
        (rsa(odd(256), &[4]), Why::NotAKey),
        (rsa(odd(256), &[0xff; 6]), Why::NotAKey),
        (rsa(vec![], &[1, 0, 1]), Why::RsaSize(0)),
    ];
    for (key, reason) in cases {
        assert_eq!(why(key.clone()), Some(reason), "{key}");
    }
}

#[test]
fn a_key_with_the_same_member_twice_is_left_out() {
    let doubled = P256A
        .jwk("k")
        .to_string()
        .replacen('{', r#"{"kty":"EC","#, 1);
    assert_eq!(why_text(&doubled), Some(Why::DuplicateMember));
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(why_text(&deep), Some(Why::Malformed));
}

#[test]
fn only_a_document_that_is_no_key_set_is_an_error() {
    let too_large = format!(
        "{{\"keys\":[],\"x\":\"{}\"}}",
        "x".repeat(MAX_KEY_SET_BYTES)
    );
    let cases = [
        ("", JwksError::Malformed),
        ("[]", JwksError::Malformed),
        ("{}", JwksError::Malformed),
        ("{\"keys\":{}}", JwksError::Malformed),
        ("{\"keys\":[]} x", JwksError::Malformed),
        ("{\"keys\":[],\"keys\":[]}", JwksError::Malformed),
        ("<html>login</html>", JwksError::Malformed),
        (too_large.as_str(), JwksError::TooLarge),
    ];
    for (text, error) in cases {
        assert_eq!(KeySet::parse(text.as_bytes()), Err(error), "{text:.40}");
    }
    assert!(
        KeySet::parse(b"{\"other\":{\"a\":[]},\"keys\":[]}")
            .unwrap()
            .0
            .is_empty()
    );
}

#[test]
fn a_key_works_only_with_the_algorithm_it_is_published_for() {
    let keys = key_set(vec![with(RsaA.jwk("rsa"), json!({"alg": "PS256"}))]);
    let verifier = verifier_of(issuer(), keys);
    let token = |algorithm: Algorithm, kid: Value| {
        let header = with(json!({"alg": algorithm.as_str()}), json!({ "kid": kid })).to_string();
        let token = sign_text(RsaA, algorithm, &header, &good_claims().to_string());
        verifier.verify(&token, NOW, &PureRust)
    };
    assert!(token(Algorithm::Ps256, json!("rsa")).is_ok());
    assert!(token(Algorithm::Ps256, json!(null)).is_ok());
    assert_eq!(
        refused(token(Algorithm::Rs256, json!("rsa"))),
        RefusalCode::AlgorithmNotAllowed
    );
    assert_eq!(
        refused(token(Algorithm::Ps384, json!("rsa"))),
        RefusalCode::AlgorithmNotAllowed
    );
    assert_eq!(
        refused(token(Algorithm::Rs256, json!(null))),
        RefusalCode::UnknownKey
    );
}

#[test]
fn the_same_key_twice_counts_once_and_two_keys_with_one_kid_both_work() {
    let jwks = json!({"keys": [P256A.jwk("k"), P256A.jwk("k"), P256B.jwk("k"), RsaA.jwk("k")]});
    let (keys, problems) = KeySet::from_value(&jwks).unwrap();
    let problems: Vec<_> = problems
        .iter()
        .map(|p| (p.index, p.reason.clone()))
        .collect();
    assert_eq!(problems, [(1, Why::Repeated)]);
    let verifier = verifier_of(issuer(), keys);
    for (key, algorithm) in [
        (P256A, Algorithm::Es256),
        (P256B, Algorithm::Es256),
        (RsaA, Algorithm::Rs256),
    ] {
        let header = json!({"alg": algorithm.as_str(), "kid": "k"}).to_string();
        let token = sign_text(key, algorithm, &header, &good_claims().to_string());
        assert!(verifier.verify(&token, NOW, &PureRust).is_ok(), "{key:?}");
    }
}

#[test]
fn one_kid_names_at_most_four_keys_and_a_set_holds_at_most_128() {
    let ed = |n: u8, kid: &str| {
        let key = ed25519_dalek::SigningKey::from_bytes(&[n; 32]).verifying_key();
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(key.as_bytes())})
    };
    let jwks = json!({"keys": (0..6).map(|n| ed(n, "k")).collect::<Vec<_>>()});
    let (keys, problems) = KeySet::from_value(&jwks).unwrap();
    assert_eq!((keys.keys().len(), problems.len()), (4, 2));
    let jwks = json!({"keys": (0..130).map(|n| ed(n, &n.to_string())).collect::<Vec<_>>()});
    let (keys, problems) = KeySet::from_value(&jwks).unwrap();
    assert_eq!(keys.keys().len(), MAX_KEYS);
    assert_eq!(problems[0].reason, Why::TooMany);
}

#[test]
fn a_problem_reads_as_a_sentence_and_ordinary_ones_are_marked() {
    let jwks = json!({"keys": [with(RsaA.jwk("enc"), json!({"use": "enc"})), {"kty": "oct", "kid": "s\n", "k": "AQ"}]});
    let (_, problems) = KeySet::from_value(&jwks).unwrap();
    assert!(problems[0].is_ordinary() && !problems[1].is_ordinary());
    assert_eq!(
        problems[1].to_string(),
        "key 1 (kid `s?`) is not used: it is a symmetric secret; a published one protects nothing"
    );
}
