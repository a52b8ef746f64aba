//! Settings of issuers: defaults, and what is refused.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn the_short_form_of_an_issuer_has_safe_defaults() {
    let issuer = issuer();
    assert_eq!(issuer.leeway_seconds, 60);
    assert_eq!(
        issuer.claims,
        ClaimMapping {
            subject: "sub".to_owned(),
            groups: "groups".to_owned(),
            agent: None,
            session: None
        }
    );
    assert_eq!(
        (issuer.algorithms.as_ref(), issuer.jwks.as_ref()),
        (None, None)
    );
    assert_eq!(issuer.problems(), []);
}

#[test]
fn the_claims_of_the_policy_example_are_read() {
    let issuer: Issuer = serde_json::from_value(json!({
        "issuer": "https://login.microsoftonline.com/TENANT/v2.0",
        "audiences": ["api://chaperone"],
        "claims": {"subject": "sub", "groups": "groups", "agent": "azp", "session": "sid"},
        "algorithms": ["RS256", "EdDSA"],
    }))
    .unwrap();
    assert_eq!(issuer.claims.agent.as_deref(), Some("azp"));
    assert_eq!(issuer.problems(), []);
    let again: Issuer = serde_json::from_value(serde_json::to_value(&issuer).unwrap()).unwrap();
    assert_eq!(again, issuer);
}

#[test]
fn unknown_settings_and_algorithms_are_errors() {
    for changes in [
        json!({"audience": "x"}),
        json!({"claims": {"group": "x"}}),
        json!({"algorithms": ["HS256"]}),
        json!({"algorithms": ["none"]}),
        json!({"leeway_seconds": -1}),
    ] {
        let document = with(json!({"issuer": ISSUER, "audiences": [AUDIENCE]}), changes);
        assert!(
            serde_json::from_value::<Issuer>(document.clone()).is_err(),
            "{document}"
        );
    }
}

#[test]
fn settings_that_cannot_be_right_are_named() {
    let cases = [
        (json!({"issuer": ""}), "issuer"),
        (json!({"issuer": "https://a\nb"}), "issuer"),
        (json!({"audiences": []}), "audiences"),
        (json!({"audiences": [""]}), "audiences"),
        (json!({"algorithms": []}), "algorithms"),
        (json!({"leeway_seconds": 301}), "leeway_seconds"),
        (json!({"claims": {"subject": ""}}), "claims.subject"),
        (json!({"claims": {"groups": ""}}), "claims.groups"),
        (json!({"claims": {"agent": ""}}), "claims.agent"),
        (json!({"claims": {"session": "a\u{0}"}}), "claims.session"),
        (json!({"jwks": []}), "jwks"),
        (
            json!({"jwks": {"keys": []}, "jwks_uri": "https://issuer.example/keys"}),
            "jwks",
        ),
        (json!({"issuer": "my-issuer"}), "issuer"),
        (json!({"issuer": "http://issuer.example"}), "issuer"),
        (
            json!({"jwks_uri": "http://issuer.example/keys"}),
            "jwks_uri",
        ),
        (
            json!({"jwks_uri": "http://127.0.0.1@evil.example/keys"}),
            "jwks_uri",
        ),
        (
            json!({"jwks_uri": "http://localhost:80@evil.example/"}),
            "jwks_uri",
        ),
        (
            json!({"jwks_uri": "http://127.0.0.1.evil.example/"}),
            "jwks_uri",
        ),
        (json!({"jwks_uri": "file:///etc/keys"}), "jwks_uri"),
        (json!({"jwks_uri": "https://"}), "jwks_uri"),
    ];
    for (changes, field) in cases {
        let document = with(json!({"issuer": ISSUER, "audiences": [AUDIENCE]}), changes);
        let issuer: Issuer = serde_json::from_value(document.clone()).unwrap();
        let fields: Vec<_> = issuer
            .problems()
            .iter()
            .map(|problem| problem.field)
            .collect();
        assert_eq!(fields, [field], "{document}");
        let error =
            Verifier::new(vec![(self::issuer(), all_keys()), (issuer, all_keys())]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("issuers[1].{field}: ")),
            "{error}"
        );
    }
}

#[test]
fn keys_may_come_over_plain_http_from_the_own_machine_only() {
    for uri in [
        "http://localhost:8080/keys",
        "http://127.0.0.1/keys",
        "http://127.9.9.9:1/",
        "http://[::1]:8080/keys",
    ] {
        let issuer = Issuer {
            jwks_uri: Some(uri.to_owned()),
            ..issuer()
        };
        assert_eq!(issuer.problems(), [], "{uri}");
    }
}

#[test]
fn an_issuer_that_is_no_url_works_with_its_keys_in_the_policy() {
    let issuer = Issuer {
        issuer: "kubernetes/serviceaccount".to_owned(),
        jwks: Some(json!({"keys": []})),
        ..issuer()
    };
    assert_eq!(issuer.problems(), []);
}

#[test]
fn an_issuer_listed_twice_is_refused() {
    let error = Verifier::new(vec![(issuer(), all_keys()), (issuer(), all_keys())]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("issuers[1].issuer: listed twice"),
        "{error}"
    );
}
