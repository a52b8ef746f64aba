//! Metrics as a dashboard asks for them: one metric for all rules, codes and detectors, with a
//! label that tells them apart.

use chaperone_tests::chaperone::Dev;
use chaperone_tests::client::{Call, Client};
use chaperone_tests::envoy::Admin;
use chaperone_tests::stage::{Setting, allow, approve, private_key, secret};
use chaperone_tests::upstream::Upstream;
use chaperone_tests::{places, wait};
use serde_json::{Value, json};

/// What was counted by rule, code and detector, as Prometheus reads it: the metrics' names, and the
/// lines that count something.
async fn counted(admin: &Admin) -> Vec<String> {
    const FAMILIES: [&str; 5] = ["rule_", "code", "detector", "reported_by", "blocked_by"];
    let lines = admin.prometheus("chaperone_").await.into_iter();
    let counted = |line: &String| {
        let name = &line["chaperone_".len()..];
        FAMILIES.iter().any(|family| name.starts_with(family))
    };
    lines.filter(counted).collect()
}

/// A request is counted when it is over, which is after its answer.
async fn assert_counted(admin: &Admin, expected: &[&str]) {
    let now = wait::until("the requests to be counted", async || {
        let found = counted(admin).await;
        let is_there = |line: &&str| found.iter().any(|is| is == line);
        let all_there = expected.iter().all(is_there);
        if !all_there {
            eprintln!("not yet: {found:#?}");
        }
        all_there.then_some(found)
    })
    .await;
    assert_eq!(now, expected);
}

#[tokio::test]
async fn rules_codes_and_detectors_are_labels_in_prometheus() {
    for envoy in [places::oldest_envoy(), places::envoy()] {
        let masking = [
            ("mask", "secrets/github-fine-grained-pat"),
            ("block", "secrets/private-key"),
            ("report", "custom/acme"),
        ]
        .map(|(action, detector)| {
            json!({"name": action, "detectors": [detector], "on": ["request"], "action": action})
        });
        let stage = Setting::with(&[
            allow("platform.reads", "platform"),
            approve("asks-first", "/changes", &json!({"hold": "0s"})),
            json!({"name": "no_files", "match": {"paths": ["/files/**"]}, "effect": "deny"}),
        ])
        .masking(&masking)
        .detectors(&[json!({"name": "custom/acme", "regex": "acme_[a-z0-9]{16}"})])
        .envoy(envoy)
        .start()
        .await;
        let platform = stage.agent("ada", &["platform"]);
        let mut statuses = vec![stage.nobody().send(Call::get("/reads")).await.status];
        for call in [
            Call::get("/reads"),
            Call::post("/masked", secret()),
            Call::post("/blocked", private_key()),
            Call::post("/reported", "acme_0123456789abcdef"),
            Call::get("/files/1"),
            Call::post("/changes", "x"),
        ] {
            statuses.push(platform.send(call).await.status);
        }
        assert_eq!(statuses, [401, 200, 200, 403, 200, 403, 403]);

        assert_counted(
            &stage.deployment.envoy.admin,
            &[
                r#"chaperone_blocked_by{detector="secrets_private-key"} 1"#,
                r#"chaperone_code{code="approval_required"} 1"#,
                r#"chaperone_code{code="denied"} 1"#,
                r#"chaperone_code{code="secret_blocked"} 1"#,
                r#"chaperone_code{code="token_missing"} 1"#,
                r#"chaperone_detector{detector="secrets_github-fine-grained-pat"} 1"#,
                r#"chaperone_detector{detector="secrets_private-key"} 1"#,
                r#"chaperone_reported_by{detector="custom_acme"} 1"#,
                r#"chaperone_rule_allowed{rule="platform_reads"} 3"#,
                r#"chaperone_rule_approve{rule="asks-first"} 1"#,
                r#"chaperone_rule_denied{rule="no_files"} 1"#,
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn chaperone_dev_has_the_same_labels() {
    let upstream = Upstream::start().await;
    let policy: Value = json!({
        "apiVersion": "chaperone/v1",
        "issuers": [{ "issuer": "https://login.example.com", "audiences": ["x"], "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] } }],
        "connections": [{ "name": "plain", "hosts": ["api.example"], "protocol": "http" }],
        "rules": [{ "name": "all", "match": { "groups": ["dev"] }, "effect": "allow" }],
    });
    let dev = Dev::start(policy, &[("plain", &upstream)]).await;
    let client: Client = dev.client("plain");
    let token = dev.token("ana", &["dev"]).await;
    let allowed = client.send(Call::get("/a").bearer(&token)).await.unwrap();
    let refused = client.send(Call::get("/a")).await.unwrap();
    assert_eq!((allowed.status, refused.status), (200, 401));
    assert_counted(
        &dev.admin,
        &[
            r#"chaperone_code{code="token_missing"} 1"#,
            r#"chaperone_rule_allowed{rule="all"} 1"#,
        ],
    )
    .await;
}
