//! What is refused, with which code, and in which order.

use super::*;
use RefusalCode::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_good_token_gives_its_principal() {
    let verified = verify(&good_token()).unwrap();
    assert_eq!(
        *verified.principal(),
        Principal {
            issuer: ISSUER.to_owned(),
            subject: "ada".to_owned(),
            groups: vec!["platform".to_owned(), "sre".to_owned()],
            agent: Some("copilot".to_owned()),
            session: Some("session-1".to_owned()),
        }
    );
    assert_eq!(
        verified.expires_at(),
        UnixMillis((NOW_SECONDS + 600) * 1000)
    );
    assert_eq!(
        verified.accepted_until(),
        UnixMillis((NOW_SECONDS + 660) * 1000)
    );
    assert_eq!(verified.kid(), Some("ed"));
    assert_eq!(verified.issuer(), ISSUER);
}

#[test]
fn every_algorithm_is_accepted_with_its_key_and_refused_with_every_other() {
    let keys = [
        (RsaA, "rsa"),
        (P256A, "p256"),
        (P384, "p384"),
        (P521, "p521"),
        (Ed25519, "ed"),
    ];
    for algorithm in Algorithm::ALL {
        let (signer, own) = match algorithm {
            Algorithm::Es256 => keys[1],
            Algorithm::Es384 => keys[2],
            Algorithm::Es512 => keys[3],
            Algorithm::EdDsa => keys[4],
            _ => keys[0],
        };
        for (_, kid) in keys {
            let header = json!({"alg": algorithm.as_str(), "kid": kid}).to_string();
            let token = sign_text(signer, algorithm, &header, &good_claims().to_string());
            if kid == own {
                assert!(verify(&token).is_ok(), "{algorithm} with {kid}");
            } else {
                assert_eq!(
                    refused(verify(&token)),
                    AlgorithmNotAllowed,
                    "{algorithm} with {kid}"
                );
            }
        }
    }
}

#[test]
fn a_header_that_asks_for_more_than_a_signature_check_is_refused() {
    let cases = [
        (json!({"alg": "none"}), AlgorithmNotAllowed),
        (json!({"alg": "None"}), AlgorithmNotAllowed),
        (json!({"alg": "nOnE"}), AlgorithmNotAllowed),
        (json!({"alg": ""}), AlgorithmNotAllowed),
        (json!({"alg": "HS256"}), AlgorithmNotAllowed),
        (json!({"alg": "HS384"}), AlgorithmNotAllowed),
        (json!({"alg": "HS512"}), AlgorithmNotAllowed),
        (json!({"alg": "ES256K"}), AlgorithmNotAllowed),
        (json!({"alg": "eddsa"}), AlgorithmNotAllowed),
        (json!({"alg": ["EdDSA"]}), AlgorithmNotAllowed),
        (json!({"alg": 1}), AlgorithmNotAllowed),
        (json!({"alg": null}), TokenMalformed),
        (json!({"crit": ["exp"], "exp": 1}), CriticalHeader),
        (json!({"crit": []}), CriticalHeader),
        (json!({"b64": false}), TokenMalformed),
        (json!({"zip": "DEF"}), TokenMalformed),
        (json!({"enc": "A256GCM"}), TokenMalformed),
        (json!({"jwk": Ed25519.bare_jwk()}), EmbeddedKey),
        (json!({"jku": "https://evil.example/keys"}), EmbeddedKey),
        (json!({"x5u": "https://evil.example/cert"}), EmbeddedKey),
        (json!({"x5c": ["MIIB"]}), EmbeddedKey),
        (json!({"kid": 7}), TokenMalformed),
        (json!({"kid": "k".repeat(513)}), TokenMalformed),
        (json!({"cty": "JWT"}), TypeNotAllowed),
        (json!({"typ": 1}), TypeNotAllowed),
        (json!({"typ": "logout+jwt"}), TypeNotAllowed),
        (json!({"typ": "dpop+jwt"}), TypeNotAllowed),
        (json!({"typ": "secevent+jwt"}), TypeNotAllowed),
        (json!({"typ": "JWE"}), TypeNotAllowed),
        (json!({"pad": "x".repeat(2048)}), TokenTooLarge),
    ];
    for (header, code) in cases {
        let token = token_with(header.clone(), json!({}));
        assert_eq!(refused(verify(&token)), code, "{header}");
    }
}

#[test]
fn ordinary_headers_are_accepted() {
    let cases = [
        json!({"typ": null}),
        json!({"typ": "jwt"}),
        json!({"typ": "at+jwt"}),
        json!({"typ": "AT+JWT"}),
        json!({"typ": "application/at+jwt"}),
        json!({"typ": "JOSE"}),
        json!({"x5t": "thumbprint", "x5t#S256": "thumbprint"}),
        json!({"nonce": "as in Entra's tokens for Graph"}),
        json!({"alg": "Ed25519"}),
    ];
    for header in cases {
        let token = token_with(header.clone(), json!({}));
        assert!(verify(&token).is_ok(), "{header}");
    }
}

#[test]
fn claims_that_do_not_fit_are_refused() {
    let now = NOW_SECONDS;
    let cases = [
        (json!({"exp": null}), ClaimMissing),
        (json!({"exp": "2100-01-01"}), ClaimInvalid),
        (json!({"exp": (now + 600).to_string()}), ClaimInvalid),
        (json!({"exp": -1}), ClaimInvalid),
        (json!({"exp": 1e300}), ClaimInvalid),
        (json!({"exp": u64::MAX}), ClaimInvalid),
        (json!({"exp": (now + 600) * 1000}), ClaimInvalid),
        (json!({"exp": 0}), TokenExpired),
        (json!({"exp": now - 60}), TokenExpired),
        (json!({"nbf": now + 61}), TokenNotYetValid),
        (json!({"nbf": "now"}), ClaimInvalid),
        (json!({"iat": now + 61}), TokenNotYetValid),
        (json!({"iat": true}), ClaimInvalid),
        (json!({"aud": null}), ClaimMissing),
        (json!({"aud": "somebody"}), AudienceMismatch),
        (json!({"aud": []}), AudienceMismatch),
        (json!({"aud": ["somebody", "else"]}), AudienceMismatch),
        (json!({"aud": "API://CHAPERONE"}), AudienceMismatch),
        (json!({"aud": [AUDIENCE, 1]}), ClaimInvalid),
        (json!({"aud": {"api://chaperone": true}}), ClaimInvalid),
        (json!({"iss": null}), ClaimMissing),
        (json!({"iss": ["https://issuer.example"]}), ClaimInvalid),
        (json!({"iss": "https://issuer.example/"}), UnknownIssuer),
        (json!({"iss": "https://ISSUER.example"}), UnknownIssuer),
        (json!({"sub": null}), ClaimMissing),
        (json!({"sub": ""}), ClaimInvalid),
        (json!({"sub": 1}), ClaimInvalid),
        (json!({"sub": "ada\nroot"}), ClaimInvalid),
        (json!({"azp": 1}), ClaimInvalid),
        (json!({"sid": ["s"]}), ClaimInvalid),
        (json!({"groups": {"platform": true}}), ClaimInvalid),
        (json!({"groups": ["platform", 1]}), ClaimInvalid),
        (json!({"groups": ["plat\u{0}form"]}), ClaimInvalid),
    ];
    for (claims, code) in cases {
        let token = token_with(json!({}), claims.clone());
        assert_eq!(refused(verify(&token)), code, "{claims}");
    }
}

#[test]
fn times_are_forgiven_by_the_leeway_and_not_a_millisecond_more() {
    let now = NOW_SECONDS;
    let accepted_at =
        |claims: Value, now| verifier().verify(&token_with(json!({}), claims), now, &PureRust);
    let expiring = json!({"exp": now});
    let last = UnixMillis(NOW.0 + 59_999);
    assert!(accepted_at(expiring.clone(), last).is_ok());
    assert_eq!(
        refused(accepted_at(expiring, UnixMillis(NOW.0 + 60_000))),
        TokenExpired
    );
    for name in ["nbf", "iat"] {
        let starting = json!({name: now + 60});
        assert!(accepted_at(starting.clone(), NOW).is_ok(), "{name}");
        assert_eq!(
            refused(accepted_at(starting, UnixMillis(NOW.0 - 1))),
            TokenNotYetValid,
            "{name}"
        );
    }
    let fraction = json!({"exp": now as f64 - 59.5});
    assert!(accepted_at(fraction.clone(), UnixMillis(NOW.0 + 499)).is_ok());
    assert_eq!(
        refused(accepted_at(fraction, UnixMillis(NOW.0 + 500))),
        TokenExpired
    );
}

#[test]
fn without_leeway_a_token_ends_at_its_exp() {
    let strict = Issuer {
        leeway_seconds: 0,
        ..issuer()
    };
    let verifier = verifier_of(strict, all_keys());
    let token = token_with(json!({}), json!({"exp": NOW_SECONDS}));
    assert_eq!(
        refused(verifier.verify(&token, NOW, &PureRust)),
        TokenExpired
    );
    assert!(
        verifier
            .verify(&token, UnixMillis(NOW.0 - 1), &PureRust)
            .is_ok()
    );
}

#[test]
fn an_audience_may_be_a_string_or_stand_in_a_list() {
    for aud in [
        json!("other"),
        json!(["x", AUDIENCE]),
        json!([AUDIENCE, "x"]),
    ] {
        assert!(
            verify(&token_with(json!({}), json!({"aud": aud.clone()}))).is_ok(),
            "{aud}"
        );
    }
}

#[test]
fn the_same_member_twice_is_refused_wherever_it_stands() {
    let claims = good_claims().to_string();
    let headers = [
        r#"{"alg":"EdDSA","alg":"EdDSA","kid":"ed"}"#,
        r#"{"alg":"EdDSA","kid":"ed","x":{"a":1,"a":1}}"#,
        r#"{"alg":"none","\u0061lg":"EdDSA","kid":"ed"}"#,
    ];
    for header in headers {
        let token = sign_text(Ed25519, Algorithm::EdDsa, header, &claims);
        assert_eq!(refused(verify(&token)), DuplicateClaim, "{header}");
    }
    let header = good_header().to_string();
    let tail = claims.strip_prefix('{').unwrap();
    let doubled = [
        format!(r#"{{"sub":"root",{tail}"#),
        format!(r#"{{"s\u0075b":"root",{tail}"#),
        format!(r#"{{"deep":[[{{"a":{{"b":1,"b":2}}}}]],{tail}"#),
    ];
    for claims in doubled {
        let token = sign_text(Ed25519, Algorithm::EdDsa, &header, &claims);
        assert_eq!(refused(verify(&token)), DuplicateClaim, "{claims}");
    }
}

#[test]
fn what_is_no_compact_jws_is_refused() {
    let good = good_token();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let cases = [
        String::new(),
        "..".to_owned(),
        "opaque-token".to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        format!("{header}.{claims}.{signature}.x.y"),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}=.{signature}"),
        format!("{header}.{claims}.{signature}=="),
        format!("{header}.{claims}.{signature} "),
        format!("{header}. {claims}.{signature}"),
        format!("{header}.{claims}.{}+", &signature[1..]),
        format!("{}.{claims}.{signature}", b64("[]")),
        format!("{}.{claims}.{signature}", b64("{\"alg\":\"EdDSA\"} x")),
        format!("{}.{claims}.{signature}", b64(b"\xff")),
        format!("{header}.{}.{signature}", b64("\"claims\"")),
        format!(
            "{header}.{}.{signature}",
            b64(format!("{}1{}", "{\"a\":".repeat(17), "}".repeat(17)))
        ),
        format!("{header}.{}.{signature}", b64("[".repeat(9000))),
    ];
    for token in cases {
        assert_eq!(refused(verify(&token)), TokenMalformed, "{token}");
    }
}

#[test]
fn a_signature_has_one_spelling() {
    // 64 bytes leave four unused bits in the last character: 16 spellings, one of them right.
    let good = good_token();
    let (head, last) = good.split_at(good.len() - 1);
    let accepted = (b'!'..=b'~')
        .filter(|c| verify(&format!("{head}{}", char::from(*c))).is_ok())
        .count();
    assert_eq!(accepted, 1, "{last}");
}

#[test]
fn claims_may_nest_as_deep_as_the_limit() {
    let mut value = json!(1);
    for _ in 0..15 {
        value = json!({ "a": value });
    }
    assert!(verify(&token_with(json!({}), json!({"deep": value.clone()}))).is_ok());
    let deeper = json!({"deep": {"a": value}});
    assert_eq!(
        refused(verify(&token_with(json!({}), deeper))),
        TokenMalformed
    );
}

#[test]
fn a_token_over_16_kib_is_refused_and_one_below_is_not() {
    let padded = |bytes: usize| token_with(json!({}), json!({"pad": "x".repeat(bytes)}));
    assert!(verify(&padded(11_000)).is_ok());
    assert_eq!(refused(verify(&padded(13_000))), TokenTooLarge);
}

#[test]
fn an_ecdsa_signature_must_be_raw_not_der() {
    let header = json!({"alg": "ES256", "kid": "p256"}).to_string();
    let token = sign_text(P256A, Algorithm::Es256, &header, &good_claims().to_string());
    assert!(verify(&token).is_ok());
    let (input, raw) = token.rsplit_once('.').unwrap();
    let raw = URL_SAFE_NO_PAD.decode(raw).unwrap();
    let der = ecdsa_der_signature(Algorithm::Es256, &raw).unwrap();
    let token = format!("{input}.{}", b64(der));
    assert_eq!(refused(verify(&token)), SignatureInvalid);
}

#[test]
fn a_signature_of_another_key_is_refused_even_with_the_right_kid() {
    let cases = [
        (RsaB, Algorithm::Rs256, "rsa"),
        (P256B, Algorithm::Es256, "p256"),
    ];
    for (key, algorithm, kid) in cases {
        let header = json!({"alg": algorithm.as_str(), "kid": kid}).to_string();
        let token = sign_text(key, algorithm, &header, &good_claims().to_string());
        assert_eq!(refused(verify(&token)), SignatureInvalid, "{kid}");
    }
}

#[test]
fn a_signature_is_bound_to_its_own_token() {
    let (mine, other) = (good_token(), token_with(json!({}), json!({"sub": "root"})));
    let (_, signature) = mine.rsplit_once('.').unwrap();
    let (input, _) = other.rsplit_once('.').unwrap();
    assert_eq!(
        refused(verify(&format!("{input}.{signature}"))),
        SignatureInvalid
    );
}

#[test]
fn the_policy_may_narrow_the_algorithms() {
    let narrow = Issuer {
        algorithms: Some(vec![Algorithm::Es256]),
        ..issuer()
    };
    let verifier = verifier_of(narrow, all_keys());
    assert_eq!(
        refused(verifier.verify(&good_token(), NOW, &PureRust)),
        AlgorithmNotAllowed
    );
    let header = json!({"alg": "ES256", "kid": "p256"}).to_string();
    let token = sign_text(P256A, Algorithm::Es256, &header, &good_claims().to_string());
    assert!(verifier.verify(&token, NOW, &PureRust).is_ok());
}

#[test]
fn nothing_about_claims_is_said_before_the_signature_holds() {
    // Wrong in every claim, signed by nobody.
    let claims = json!({"iss": ISSUER, "exp": 1, "aud": "x", "groups": 1}).to_string();
    let input = format!("{}.{}", b64(good_header().to_string()), b64(claims));
    let token = format!("{input}.{}", b64([1; 64]));
    assert_eq!(refused(verify(&token)), SignatureInvalid);
}

#[test]
fn an_unknown_key_says_which_issuer_to_ask_and_an_unknown_issuer_asks_nobody() {
    let refusal = verify(&token_with(json!({"kid": "rotated"}), json!({}))).unwrap_err();
    assert_eq!(refusal.code, UnknownKey);
    let wanted = refusal.unknown_key.unwrap();
    assert_eq!(
        (wanted.issuer.as_str(), wanted.kid.as_deref()),
        (ISSUER, Some("rotated"))
    );

    let refusal = verify(&token_with(
        json!({}),
        json!({"iss": "https://evil.example"}),
    ))
    .unwrap_err();
    assert_eq!((refusal.code, refusal.unknown_key), (UnknownIssuer, None));
}

#[test]
fn no_refusal_repeats_bytes_that_could_forge_a_log_line() {
    let hostile = "k\r\n\u{1b}[2J\u{202e}\"x".to_owned() + &"y".repeat(400);
    let by_kid = verify(&token_with(json!({"kid": hostile}), json!({}))).unwrap_err();
    let by_issuer = verify(&token_with(json!({}), json!({"iss": hostile}))).unwrap_err();
    let kid = by_kid.unknown_key.clone().unwrap().kid.unwrap();
    for text in [by_kid.to_string(), by_issuer.to_string(), kid] {
        assert!(
            text.chars().all(|c| c.is_ascii_graphic() || c == ' '),
            "{text}"
        );
        assert!(text.len() < 250, "{text}");
    }
}

#[test]
fn a_token_without_kid_is_accepted_when_exactly_one_key_fits() {
    let token = token_with(json!({"kid": null}), json!({}));
    assert!(verify(&token).is_ok());

    let header = json!({"alg": "ES256"}).to_string();
    let token = sign_text(P256B, Algorithm::Es256, &header, &good_claims().to_string());
    let ambiguous = verifier_of(issuer(), key_set(vec![P256A.jwk("a"), P256B.jwk("b")]));
    let refusal = ambiguous.verify(&token, NOW, &PureRust).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.unknown_key),
        (UnknownKey, None),
        "a refresh would not help"
    );

    let none = verifier_of(issuer(), key_set(vec![RsaA.jwk("a")]));
    let refusal = none.verify(&token, NOW, &PureRust).unwrap_err();
    assert_eq!(refusal.code, UnknownKey);
    assert_eq!(refusal.unknown_key.unwrap().kid, None);
}

#[test]
fn an_issuers_keys_do_not_verify_another_issuers_tokens() {
    let other = Issuer {
        issuer: "https://other.example".to_owned(),
        ..issuer()
    };
    let verifier = Verifier::new(vec![
        (issuer(), key_set(vec![P256A.jwk("k")])),
        (other, key_set(vec![P256B.jwk("k")])),
    ])
    .unwrap();
    let header = json!({"alg": "ES256", "kid": "k"}).to_string();
    let token = |key, iss: &str| {
        let claims = with(good_claims(), json!({ "iss": iss })).to_string();
        let token = sign_text(key, Algorithm::Es256, &header, &claims);
        verifier.verify(&token, NOW, &PureRust)
    };
    assert_eq!(token(P256A, ISSUER).unwrap().issuer(), ISSUER);
    assert_eq!(
        token(P256B, "https://other.example").unwrap().issuer(),
        "https://other.example"
    );
    assert_eq!(
        refused(token(P256A, "https://other.example")),
        SignatureInvalid
    );
    assert_eq!(refused(token(P256B, ISSUER)), SignatureInvalid);
}

#[test]
fn codes_are_stable_and_serialise_as_they_are_named() {
    let names: Vec<&str> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
    // Part of the interface: answers, records, metrics and docs/identity.md.
    assert_eq!(
        names,
        [
            "token_missing",
            "several_tokens",
            "wrong_scheme",
            "token_too_large",
            "token_malformed",
            "duplicate_claim",
            "algorithm_not_allowed",
            "type_not_allowed",
            "critical_header",
            "embedded_key",
            "unknown_issuer",
            "unknown_key",
            "signature_invalid",
            "token_expired",
            "token_not_yet_valid",
            "audience_mismatch",
            "claim_missing",
            "claim_invalid",
            "groups_overage",
        ]
    );
    for code in RefusalCode::ALL {
        assert_eq!(serde_json::to_value(code).unwrap(), json!(code.as_str()));
        let docs = include_str!("../../../../docs/identity.md");
        assert!(
            docs.contains(&format!("| `{code}` |")),
            "{code} is not in docs/identity.md"
        );
    }
    for algorithm in Algorithm::ALL {
        assert_eq!(
            serde_json::to_value(algorithm).unwrap(),
            json!(algorithm.as_str())
        );
    }
}

#[test]
fn a_refused_token_names_its_owner_only_where_its_signature_is_good() {
    let owner = |token: &str| {
        let refusal = verify(token).expect_err("the token was accepted");
        refusal.owner.map(|owner| (owner.issuer, owner.subject))
    };
    let ada = Some((ISSUER.to_owned(), "ada".to_owned()));
    let signed = |changes: Value| token_with(json!({}), changes);
    for changes in [
        json!({"exp": 1}),
        json!({"exp": null}),
        json!({"nbf": NOW_SECONDS + 3600}),
        json!({"aud": "api://other"}),
        json!({"groups": {"platform": true}}),
        json!({"groups": null, "_claim_names": {"groups": "src1"}}),
    ] {
        assert_eq!(owner(&signed(changes.clone())), ada, "{changes}");
    }
    // There is no subject that could be named.
    for changes in [
        json!({"sub": 7}),
        json!({"sub": null}),
        json!({"sub": "a\nb"}),
    ] {
        assert_eq!(owner(&signed(changes.clone())), None, "{changes}");
    }
    // Nobody has signed these claims.
    let mut forged = good_token();
    forged.truncate(forged.len() - 8);
    forged.push_str("AAAAAAAA");
    let elsewhere = signed(json!({"iss": "https://elsewhere.example"}));
    let unknown_key = token_with(json!({"kid": "gone"}), json!({}));
    let unsigned = token_with(json!({"alg": "none"}), json!({}));
    for token in [forged, elsewhere, unknown_key, unsigned] {
        assert_eq!(owner(&token), None);
    }
}
