//! From claims to the principal.

use super::*;
use RefusalCode::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn principal_of(claims: ClaimMapping, changes: Value) -> Result<Principal, RefusalCode> {
    let verifier = verifier_of(Issuer { claims, ..issuer() }, all_keys());
    let token = token_with(json!({}), changes);
    verifier
        .verify(&token, NOW, &PureRust)
        .map(|verified| verified.principal().clone())
        .map_err(|refusal| refusal.code)
}

fn groups_from(name: &str, changes: Value) -> Result<Vec<String>, RefusalCode> {
    let claims = ClaimMapping {
        groups: name.to_owned(),
        ..Default::default()
    };
    principal_of(claims, changes).map(|principal| principal.groups)
}

#[test]
fn groups_come_from_wherever_the_policy_says() {
    let cases = [
        (
            "realm_access.roles",
            json!({"realm_access": {"roles": ["a", "b"]}}),
        ),
        (
            "resource_access.app.roles",
            json!({"resource_access": {"app": {"roles": ["a", "b"]}}}),
        ),
        (
            "https://example.com/groups",
            json!({"https://example.com/groups": ["a", "b"]}),
        ),
        ("cognito:groups", json!({"cognito:groups": ["a", "b"]})),
        ("kubernetes.io", json!({"kubernetes.io": ["a", "b"]})),
        (
            "resource_access.my.app.roles",
            json!({"resource_access": {"my.app": {"roles": ["a", "b"]}, "my": {"app": {}}}}),
        ),
        (
            r"resource_access.my\.app.roles",
            json!({"resource_access": {"my.app": {"roles": ["a", "b"]}, "my": {"app": {"roles": ["c"]}}}}),
        ),
        (
            "/resource_access/my.app/roles",
            json!({"resource_access": {"my.app": {"roles": ["a", "b"]}, "my": {"app": {"roles": ["c"]}}}}),
        ),
        (r"a\.b", json!({"a.b": ["a", "b"], "a": {"b": ["wrong"]}})),
        ("a.b", json!({"a.b": ["a", "b"], "a": {"b": null}})),
    ];
    for (name, claims) in cases {
        assert_eq!(
            groups_from(name, claims),
            Ok(vec!["a".to_owned(), "b".to_owned()]),
            "{name}"
        );
    }
}

#[test]
fn a_path_that_leads_nowhere_gives_no_groups() {
    for claims in [
        json!({}),
        json!({"a": null}),
        json!({"a": {"c": []}}),
        json!({"a": {"b": null}}),
    ] {
        for path in ["a.b", "/a/b", r"a.b\.c"] {
            assert_eq!(
                groups_from(path, claims.clone()),
                Ok(vec![]),
                "{path} in {claims}"
            );
        }
    }
}

/// Taken for "no groups" each of these would let the caller past every rule that denies a group.
#[test]
fn a_claim_that_is_not_understood_is_refused() {
    let cases = [
        ("a.b", json!({"a": 1})),
        ("a.b", json!({"a": ["b"]})),
        ("a.b", json!({"a": [{"b": "c"}]})),
        ("a.b.c", json!({"a": {"b": "c"}})),
        ("a.b.c", json!({"a.b": true})),
        ("/a/b", json!({"a": "b"})),
        (r"a\.b.c", json!({"a.b": []})),
        ("a.b", json!({"a.b": ["x"], "a": {"b": ["y"]}})),
        ("a.b.c", json!({"a": {"b.c": []}, "a.b": {"c": ["x"]}})),
        ("a.b", json!({"a": {"b": {"c": 1}}})),
        ("groups", json!({"groups": r#"["platform"]"#})),
        ("groups", json!({"groups": r#" {"platform": true}"#})),
        ("groups", json!({"groups": {"platform": true}})),
        ("groups", json!({"groups": [["platform"]]})),
        (r"a\b", json!({"a": {"b": ["x"]}})),
    ];
    for (name, claims) in cases {
        assert_eq!(
            groups_from(name, claims.clone()),
            Err(ClaimInvalid),
            "{name} in {claims}"
        );
    }
    for claims in [json!({"act": "x"}), json!({"act": {"sub": {"x": 1}}})] {
        let mapping = ClaimMapping {
            agent: Some("act.sub".to_owned()),
            ..Default::default()
        };
        assert_eq!(
            principal_of(mapping, claims.clone()).map(|_| ()),
            Err(ClaimInvalid),
            "{claims}"
        );
    }
}

#[test]
fn a_group_in_brackets_that_is_no_json_is_a_group() {
    let groups = groups_from("groups", json!({"groups": "[EU] platform"}));
    assert_eq!(groups, Ok(vec!["[EU] platform".to_owned()]));
}

#[test]
fn a_single_string_is_one_group_and_is_not_split() {
    assert_eq!(
        groups_from("groups", json!({"groups": "Domain Admins"})),
        Ok(vec!["Domain Admins".to_owned()])
    );
}

#[test]
fn repeated_and_empty_groups_are_left_out() {
    let groups = groups_from("groups", json!({"groups": ["b", "a", "b", "", "a"]}));
    assert_eq!(groups, Ok(vec!["b".to_owned(), "a".to_owned()]));
}

#[test]
fn groups_left_out_for_their_number_are_reported_not_taken_for_none() {
    // As Entra ID sends it for a user with more than 200 groups.
    let entra = json!({
        "groups": null,
        "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": "https://graph.microsoft.com/v1.0/users/x/getMemberObjects"}},
    });
    assert_eq!(groups_from("groups", entra.clone()), Err(GroupsOverage));
    assert_eq!(
        groups_from("groups", json!({"_claim_names": {"groups": "src1"}})),
        Err(GroupsOverage),
        "with some groups"
    );
    assert_eq!(
        groups_from("groups", json!({"groups": null, "hasgroups": true})),
        Err(GroupsOverage)
    );
    assert_eq!(
        groups_from("groups", json!({"groups": null, "hasgroups": "true"})),
        Err(GroupsOverage)
    );

    // A distributed claim has the name of a member, which is the first step of a path.
    for path in [
        "realm_access.roles",
        "/realm_access/roles",
        r"realm_access.roles\.eu",
    ] {
        let claims = json!({"_claim_names": {"realm_access": "src1"}});
        assert_eq!(groups_from(path, claims), Err(GroupsOverage), "{path}");
    }

    let roles = with(entra, json!({"roles": ["reader"]}));
    assert_eq!(
        groups_from("roles", roles),
        Ok(vec!["reader".to_owned()]),
        "groups are not used"
    );
    assert!(groups_from("groups", json!({"_claim_names": {"address": "src1"}})).is_ok());
    assert!(groups_from("groups", json!({"hasgroups": false})).is_ok());
}

#[test]
fn the_agent_is_the_first_of_azp_client_id_and_appid() {
    let agent = |changes| {
        principal_of(ClaimMapping::default(), changes)
            .unwrap()
            .agent
    };
    assert_eq!(
        agent(json!({"client_id": "c", "appid": "a"})).as_deref(),
        Some("copilot")
    );
    assert_eq!(
        agent(json!({"azp": null, "client_id": "c", "appid": "a"})).as_deref(),
        Some("c")
    );
    assert_eq!(
        agent(json!({"azp": null, "appid": "a"})).as_deref(),
        Some("a")
    );
    assert_eq!(agent(json!({"azp": null})), None);
}

#[test]
fn a_mapped_claim_replaces_the_default_and_has_no_fallback() {
    let claims = ClaimMapping {
        subject: "oid".to_owned(),
        agent: Some("act.sub".to_owned()),
        session: Some("jti".to_owned()),
        ..Default::default()
    };
    let principal = principal_of(
        claims.clone(),
        json!({"oid": "o", "act": {"sub": "x"}, "jti": "j"}),
    )
    .unwrap();
    assert_eq!(
        (
            principal.subject.as_str(),
            principal.agent.as_deref(),
            principal.session.as_deref()
        ),
        ("o", Some("x"), Some("j"))
    );
    let principal = principal_of(claims.clone(), json!({"oid": "o"})).unwrap();
    assert_eq!((principal.agent, principal.session), (None, None));
    assert_eq!(principal_of(claims, json!({})), Err(ClaimMissing));
}
