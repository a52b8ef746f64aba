use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn policy() -> Policy {
    crate::policy::parse_json(
        br#"{"apiVersion":"chaperone/v1",
            "issuers":[{"issuer":"https://issuer.example","audiences":["chaperone"]}],
            "connections":[{"name":"api","hosts":["api.example.com"],"protocol":"http"}],
            "rules":[{"name":"reads","match":{"groups":["dev"]},"effect":"allow"}]}"#,
    )
    .unwrap()
}

fn bundle() -> Bundle {
    Bundle {
        serial: Serial {
            policy_version: 3,
            keys_revision: 1,
        },
        previous: Some("00".repeat(32)),
        issued_at: UnixMillis(1_700_000_000_000),
        policy: policy(),
        keys: BTreeMap::from([(
            "https://issuer.example".into(),
            serde_json::json!({"keys": []}),
        )]),
    }
}

fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

fn pinned() -> PinnedKeys {
    signer().public_key().into()
}

fn sealed() -> Envelope {
    signer().seal(&bundle()).unwrap()
}

fn bytes(envelope: &Envelope) -> Vec<u8> {
    serde_json::to_vec(envelope).unwrap()
}

#[test]
fn a_sealed_bundle_opens_with_the_pinned_key_only() {
    let envelope = bytes(&sealed());
    assert_eq!(open(&envelope, &pinned()), Ok(bundle()));
    let other = Signer::from_seed(&[8; 32]).public_key();
    assert_eq!(open(&envelope, &other.into()), Err(BundleError::NotSigned));
}

#[test]
fn a_bundle_that_either_of_two_pinned_keys_signed_opens_and_no_other() {
    let seeds = [[7; 32], [8; 32], [9; 32]];
    let [old, new, strange] = seeds.map(|seed| Signer::from_seed(&seed));
    for keys in [[&old, &new], [&new, &old]] {
        let pinned = PinnedKeys::new(keys.map(Signer::public_key).to_vec()).unwrap();
        for signer in [&old, &new] {
            let envelope = bytes(&signer.seal(&bundle()).unwrap());
            assert_eq!(open(&envelope, &pinned), Ok(bundle()));
        }
        let envelope = bytes(&strange.seal(&bundle()).unwrap());
        assert_eq!(open(&envelope, &pinned), Err(BundleError::NotSigned));
    }
}

#[test]
fn one_or_two_different_keys_are_pinned_and_never_none() {
    let keys = [[7; 32], [8; 32], [9; 32]].map(|seed| Signer::from_seed(&seed).public_key());
    let pin = |which: &[usize]| {
        let keys = which.iter().map(|at| keys[*at].clone());
        PinnedKeys::new(keys.collect()).map(|pinned| pinned.ids())
    };
    assert_eq!(pin(&[0]), Ok(vec![keys[0].id()]));
    assert_eq!(pin(&[1, 0]), Ok(vec![keys[1].id(), keys[0].id()]));
    assert_eq!(pin(&[]), Err(PinnedKeysError::Count));
    assert_eq!(pin(&[0, 1, 2]), Err(PinnedKeysError::Count));
    assert_eq!(pin(&[2, 2]), Err(PinnedKeysError::Twice));
}

#[test]
fn one_changed_bit_of_the_payload_is_refused() {
    let envelope = sealed();
    let payload = STANDARD.decode(&envelope.payload).unwrap();
    for at in (0..payload.len()).step_by(17) {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        let forged = Envelope {
            payload: STANDARD.encode(&changed),
            ..envelope.clone()
        };
        assert_eq!(
            open(&bytes(&forged), &pinned()),
            Err(BundleError::NotSigned)
        );
    }
}

#[test]
fn a_signature_over_another_type_does_not_pass_as_one_over_a_bundle() {
    let payload = canonical(&bundle()).unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    for message in [
        payload.clone(),
        pre_authentication_encoding("text/plain", &payload),
    ] {
        let forged = Envelope {
            signatures: vec![EnvelopeSignature {
                keyid: signer().public_key().id(),
                sig: STANDARD.encode(key.sign(&message).to_bytes()),
            }],
            ..sealed()
        };
        assert_eq!(
            open(&bytes(&forged), &pinned()),
            Err(BundleError::NotSigned)
        );
    }
}

#[test]
fn an_envelope_that_is_none_says_so() {
    for text in ["", "{}", "null", "[]", "{\"payloadType\":1}"] {
        assert!(matches!(
            open(text.as_bytes(), &pinned()),
            Err(BundleError::Malformed(_))
        ));
    }
    let huge = vec![b' '; MAX_ENVELOPE_BYTES + 1];
    assert!(matches!(
        open(&huge, &pinned()),
        Err(BundleError::TooLarge { .. })
    ));
}

#[test]
fn a_signed_bundle_with_something_unknown_in_it_is_refused_not_half_understood() {
    let mut json = serde_json::to_value(bundle()).unwrap();
    json["shadow"] = true.into();
    let payload = serde_json::to_vec(&json).unwrap();
    let key = SigningKey::from_bytes(&[7; 32]);
    let signature = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, &payload));
    let envelope = Envelope {
        payload: STANDARD.encode(&payload),
        signatures: vec![EnvelopeSignature {
            keyid: String::new(),
            sig: STANDARD.encode(signature.to_bytes()),
        }],
        ..sealed()
    };
    assert!(matches!(
        open(&bytes(&envelope), &pinned()),
        Err(BundleError::Content(_))
    ));
}

#[test]
fn a_member_that_stands_twice_refuses_the_bundle() {
    let whole = String::from_utf8(canonical(&bundle()).unwrap()).unwrap();
    for (once, twice) in [
        (
            r#""keys":{"https:"#,
            r#""keys":{"https://issuer.example":{"keys":[]},"https:"#,
        ),
        (r#""effect":"allow""#, r#""effect":"deny","effect":"allow""#),
    ] {
        assert_eq!(whole.matches(once).count(), 1, "{once}");
        let payload = whole.replacen(once, twice, 1).into_bytes();
        let message = pre_authentication_encoding(PAYLOAD_TYPE, &payload);
        let envelope = Envelope {
            payload: STANDARD.encode(&payload),
            signatures: vec![EnvelopeSignature {
                keyid: String::new(),
                sig: STANDARD.encode(signer().0.sign(&message).to_bytes()),
            }],
            ..sealed()
        };
        let refused = open(&bytes(&envelope), &pinned());
        assert!(
            matches!(refused, Err(BundleError::Content(_))),
            "{refused:?}"
        );
    }
}

#[test]
fn the_digest_is_the_same_for_the_same_content_and_survives_a_round_trip() {
    let opened = open(&bytes(&sealed()), &pinned()).unwrap();
    assert_eq!(digest(&opened).unwrap(), digest(&bundle()).unwrap());
    let next = Bundle {
        serial: Serial {
            policy_version: 4,
            keys_revision: 0,
        },
        ..bundle()
    };
    assert_ne!(digest(&next).unwrap(), digest(&bundle()).unwrap());
}

#[test]
fn a_later_policy_version_is_newer_whatever_its_key_revision() {
    let serial = |policy_version, keys_revision| Serial {
        policy_version,
        keys_revision,
    };
    assert!(serial(3, 9) < serial(4, 0));
    assert!(serial(4, 0) < serial(4, 1));
}

#[test]
fn a_signer_shows_no_secret_when_printed() {
    let shown = format!("{:?}", Signer::from_seed(&[7; 32]));
    assert!(
        !shown.contains("7, 7") && !shown.contains("0707"),
        "{shown}"
    );
}
