//! Signatures made by others verify here: RFC examples, and every algorithm by OpenSSL.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/openssl.json")).unwrap()
}

fn joined(parts: &Value) -> String {
    let parts: Vec<&str> = parts
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p.as_str().unwrap())
        .collect();
    parts.join(".")
}

#[test]
fn tokens_signed_by_openssl_are_accepted_for_every_algorithm() {
    let fixture = fixture();
    let verifier = verifier_of(issuer(), KeySet::from_value(&fixture["jwks"]).unwrap().0);
    let mut seen = Vec::new();
    for entry in fixture["tokens"].as_array().unwrap() {
        let verified = verifier
            .verify(&joined(&entry["token"]), NOW, &PureRust)
            .unwrap();
        assert_eq!(
            verified.algorithm().as_str(),
            entry["alg"].as_str().unwrap()
        );
        seen.push(verified.algorithm());
    }
    assert_eq!(seen, Algorithm::ALL);
}

#[test]
fn a_pss_signature_with_another_salt_length_is_refused() {
    let fixture = fixture();
    let verifier = verifier_of(issuer(), KeySet::from_value(&fixture["jwks"]).unwrap().0);
    let token = joined(&fixture["ps256_with_empty_salt"]);
    let refusal = verifier.verify(&token, NOW, &PureRust);
    assert_eq!(refused(refusal), RefusalCode::SignatureInvalid);
}

/// RFC 8017 §8.1.2: a signature that is no number below the modulus is refused, though it is the
/// same one modulo it. Else a token would have two spellings.
#[test]
fn a_signature_with_the_modulus_added_is_refused() {
    let fixture = fixture();
    let verifier = verifier_of(issuer(), KeySet::from_value(&fixture["jwks"]).unwrap().0);
    let n = URL_SAFE_NO_PAD.decode(fixture["jwks"]["keys"][0]["n"].as_str().unwrap());
    let n = rsa::BigUint::from_bytes_be(&n.unwrap());
    let mut tried = 0;
    for entry in fixture["tokens"].as_array().unwrap().iter().take(6) {
        let token = joined(&entry["token"]);
        let (input, signature) = token.rsplit_once('.').unwrap();
        let signature = rsa::BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(signature).unwrap());
        let other = (signature + &n).to_bytes_be();
        if other.len() == 256 {
            let refusal = verifier.verify(&format!("{input}.{}", b64(other)), NOW, &PureRust);
            assert_eq!(
                refused(refusal),
                RefusalCode::SignatureInvalid,
                "{}",
                entry["alg"]
            );
            tried += 1;
        }
    }
    assert_eq!(tried, 4, "RS256, RS384, RS512, and PS384");
}

/// ECDSA's second form, which whoever has a token can compute. Half of all signatures are one or
/// the other, so it cannot be refused: the module's head says what follows.
#[test]
fn the_other_form_of_an_ecdsa_signature_is_a_token_for_the_same_caller() {
    let header = json!({"alg": "ES256", "kid": "p256"}).to_string();
    let token = sign_text(P256A, Algorithm::Es256, &header, &good_claims().to_string());
    let (input, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&signature).unwrap();
    let (r, s) = signature.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    let other = verify(&format!("{input}.{}", b64(other.to_bytes()))).unwrap();
    assert_eq!(other.principal(), verify(&token).unwrap().principal());
}

#[test]
fn the_spki_form_of_every_key_is_the_one_that_openssl_writes() {
    let fixture = fixture();
    let (keys, problems) = KeySet::from_value(&fixture["jwks"]).unwrap();
    assert_eq!(problems, []);
    for key in keys.keys() {
        let expected = fixture["spki_der_base64url"][key.kid().unwrap()]
            .as_str()
            .unwrap();
        assert_eq!(b64(key.spki_der()), expected);
    }
}

/// Verifies a compact JWS whose payload is no JWT, so with the signature primitive alone.
fn signature_holds(jwk: Value, algorithm: Algorithm, compact: &str) -> bool {
    let keys = key_set(vec![jwk]);
    let (input, signature) = compact.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    PureRust
        .verify(algorithm, &keys.keys()[0], input.as_bytes(), &signature)
        .unwrap()
}

const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc_7515_a2_rs256() {
    let jwk = json!({"kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"});
    let token = format!(
        "eyJhbGciOiJSUzI1NiJ9.{JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    assert!(signature_holds(jwk.clone(), Algorithm::Rs256, &token));
    assert!(!signature_holds(jwk, Algorithm::Rs384, &token));
}

#[test]
fn rfc_7515_a3_es256() {
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert!(signature_holds(jwk, Algorithm::Es256, &token));
}

#[test]
fn rfc_7520_4_2_ps384() {
    let jwk = json!({"kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB", "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"});
    let token = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";
    assert!(signature_holds(jwk, Algorithm::Ps384, token));
}

#[test]
fn rfc_8037_a4_eddsa() {
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(signature_holds(jwk, Algorithm::EdDsa, token));
}

#[test]
fn the_der_form_of_an_ecdsa_signature_has_both_numbers() {
    // Python's `encode_dss_signature` of r = 1, s = 2^255: short, and with a zero against the sign.
    let mut raw = [0u8; 64];
    raw[31] = 1;
    raw[32] = 0x80;
    let der = ecdsa_der_signature(Algorithm::Es256, &raw).unwrap();
    assert_eq!(der[..8], [0x30, 0x26, 0x02, 0x01, 0x01, 0x02, 0x21, 0x00]);
    assert_eq!(der.len(), 0x28);

    assert_eq!(ecdsa_der_signature(Algorithm::Es256, &raw[..63]), None);
    assert_eq!(
        ecdsa_der_signature(Algorithm::Es256, &[0; 64]),
        None,
        "zeros are no signature"
    );
    assert_eq!(
        ecdsa_der_signature(Algorithm::Es256, &[0xff; 64]),
        None,
        "above the group order"
    );
    assert_eq!(ecdsa_der_signature(Algorithm::Rs256, &raw), None);
    let p384 = P384.sign(Algorithm::Es384, b"message");
    assert!(ecdsa_der_signature(Algorithm::Es384, &p384).unwrap().len() > 96);
}

/// A host that verifies only some algorithms, as Envoy does.
struct Host {
    does: Algorithm,
    says: bool,
}

impl SignatureVerifier for Host {
    fn verify(
        &self,
        algorithm: Algorithm,
        _: &PublicKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<bool, Unsupported> {
        if algorithm == self.does {
            Ok(self.says)
        } else {
            Err(Unsupported)
        }
    }
}

#[test]
fn what_the_host_cannot_verify_is_verified_in_pure_rust() {
    let host = Host {
        does: Algorithm::Rs256,
        says: true,
    };
    assert!(verifier().verify(&good_token(), NOW, &host).is_ok());
    let mut tampered = good_token().into_bytes();
    let last = tampered.len() - 5;
    tampered[last] = if tampered[last] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    let refusal = verifier().verify(&tampered, NOW, &host);
    assert_eq!(refused(refusal), RefusalCode::SignatureInvalid);
}

#[test]
fn the_host_has_the_last_word_on_what_it_verifies() {
    let host = Host {
        does: Algorithm::EdDsa,
        says: false,
    };
    let refusal = verifier().verify(&good_token(), NOW, &host);
    assert_eq!(refused(refusal), RefusalCode::SignatureInvalid);
}

#[test]
fn the_host_never_sees_a_signature_of_the_wrong_length() {
    let host = Host {
        does: Algorithm::EdDsa,
        says: true,
    };
    let token = good_token();
    let (input, _) = token.rsplit_once('.').unwrap();
    for length in [0, 1, 63, 65, 128] {
        let token = format!("{input}.{}", b64(vec![1; length]));
        let refusal = verifier().verify(&token, NOW, &host);
        assert_eq!(
            refused(refusal),
            RefusalCode::SignatureInvalid,
            "{length} bytes"
        );
    }
}
