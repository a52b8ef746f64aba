//! The right token but the wrong group: 403 with rule and reason; the record tells the same.

use chaperone_engine::request::headers::{Claim, Does, Name, Place, RULES, Rule};
use chaperone_tests::api::{stages, text};
use chaperone_tests::chaperone::Dev;
use chaperone_tests::client::{Call, Client, Http};
use chaperone_tests::raw;
use chaperone_tests::stage::{API, ARM, Setting, allow};
use chaperone_tests::upstream::Upstream;
use serde_json::json;

#[tokio::test]
async fn the_wrong_group_gets_403_with_rule_and_reason_and_the_record_tells_the_same() {
    let deny = json!({"name": "no-interns", "match": {"groups": ["interns"], "methods": ["DELETE"]},
        "effect": "deny", "reason": "Interns do not delete; ask your mentor."});
    let rules = [
        allow("platform", "platform"),
        allow("interns", "interns"),
        deny,
    ];
    let stage = Setting::with(&rules).start().await;

    // Denied by a rule, although another allows it.
    let ivan = stage.agent("ivan", &["interns", "platform"]);
    let answer = ivan
        .send(Call::new("DELETE", "/v1/files/f-1?force=true"))
        .await;
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (403, Some("denied"))
    );
    let problem = answer.json();
    assert_eq!(problem["rule"], "no-interns");
    assert_eq!(problem["reason"], "Interns do not delete; ask your mentor.");
    assert_eq!(problem["type"], "urn:chaperone:problem:denied");

    let record = stage.api.record(text(&problem["record"])).await;
    for (member, value) in [
        ("subject", json!("ivan")),
        ("groups", json!(["interns", "platform"])),
        ("connection", json!("api")),
        ("operation", json!("DELETE /v1/files/f-1")),
        ("effect", json!("deny")),
        ("rule", problem["rule"].clone()),
        ("reason", problem["reason"].clone()),
        ("code", json!("denied")),
        ("status", json!(403)),
        ("policy_version", json!(1)),
    ] {
        assert_eq!(record[member], value, "{member} in {record}");
    }
    assert_eq!(stages(&record), ["received", "decided", "completed"]);

    // Denied because no rule matches.
    let eve = stage.agent("eve", &["marketing"]);
    let answer = eve.send(Call::get("/v1/models")).await;
    let problem = answer.json();
    assert_eq!((answer.status, &problem["code"]), (403, &json!("denied")));
    assert_eq!(
        (problem.get("rule"), &problem["reason"]),
        (None, &json!("no_rule_matched"))
    );
    let record = stage.api.record(text(&problem["record"])).await;
    assert_eq!(
        (record.get("rule"), &record["reason"]),
        (None, &json!("no_rule_matched"))
    );

    assert_eq!(
        stage.upstream.seen().len(),
        0,
        "upstream saw a denied request"
    );
    assert_eq!(stage.metric("requests_denied").await, 2);
    assert_eq!(stage.metric("rule_denied.no-interns").await, 1);
    assert_eq!(stage.metric("code.denied").await, 2);
}

#[tokio::test]
async fn what_cannot_be_read_in_one_way_is_refused_before_any_rule() {
    let everything = json!({"name": "all", "match": {"any": true}, "effect": "allow"});
    let stage = Setting::with(&[everything]).start().await;
    let alice = stage.agent("alice", &[]);

    let refused = async |host: &str, call: Call, status: u16, code: &str| {
        let answer = alice.at(host).send(call).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (status, Some(code)),
            "{}",
            answer.text()
        );
        let record = stage.api.record(text(&answer.json()["record"])).await;
        assert_eq!(
            (&record["code"], &record["subject"]),
            (&json!(code), &json!("alice"))
        );
    };
    refused(
        "elsewhere.example",
        Call::get("/"),
        403,
        "unknown_connection",
    )
    .await;
    for path in [
        "/a/%2e%2e/b",
        "/a/..;/b",
        "/a//b",
        "/a%2Fb",
        "/a%5cb",
        "/a%00b",
        "/a%25%32%46",
    ] {
        refused(API, Call::get(path), 400, "ambiguous_path").await;
    }
    let post = || Call::post("/a", "x");
    refused(
        API,
        post().header("x-http-method-override", "DELETE"),
        400,
        "method_override",
    )
    .await;
    refused(
        ARM,
        Call::post("/batch?api-version=2020-06-01", "{}"),
        403,
        "batch_not_supported",
    )
    .await;
    // Envoy's HTTP/1 codec refuses this one itself.
    let over_http2 = alice.over(Client::http2(
        stage.deployment.envoy.listener("agents").await,
    ));
    let answer = over_http2.send(Call::new("delete", "/a")).await;
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (400, Some("invalid_method"))
    );

    // Dots as a client library would never send them.
    let address = stage.deployment.envoy.listener("agents").await;
    let request = format!("{}\r\n", alice.raw("GET /a/../b HTTP/1.1"));
    assert_eq!(raw::status_of(address, request).await.unwrap(), Some(400));

    assert_eq!(
        stage.upstream.seen().len(),
        0,
        "upstream saw a refused request"
    );
    assert_eq!(alice.send(Call::get("/a/b")).await.status, 200);
}

#[tokio::test]
async fn a_method_whose_answer_is_the_request_never_goes_upstream() {
    let everything = json!({"name": "all", "match": {"any": true}, "effect": "allow"});
    let stage = Setting::with(&[everything]).start().await;
    let alice = stage.agent("alice", &[]);
    let listener = stage.deployment.envoy.listener("agents").await;
    let agents = [
        (alice.over(Client::http1(listener)), &["TRACE"][..]),
        // Envoy's HTTP/1 codec knows no others.
        (
            alice.over(Client::http2(listener)),
            &["TRACE", "TRACK", "DEBUG"],
        ),
    ];
    for (agent, methods) in agents {
        for method in methods {
            let call = Call::new(method, "/a").header("max-forwards", "0");
            let answer = agent.send(call).await;
            assert_eq!(
                (answer.status, answer.code().as_deref()),
                (400, Some("invalid_method")),
                "{method}"
            );
            let record = stage.api.record(text(&answer.json()["record"])).await;
            assert_eq!(record["method"], json!(method));
        }
    }
    assert!(stage.upstream.seen().is_empty());
}

/// A name that the row is about.
fn name_of(rule: &Rule) -> String {
    let text = rule.name.text();
    match rule.name {
        Name::Exact(_) | Name::Literal(_) => text.to_owned(),
        Name::Prefix(_) => format!("{text}-zz"),
        Name::Word(_) => format!("x-{text}e-zz"),
    }
}

/// Headers of the connection itself, which HTTP/2 does not have, and one that Envoy takes out
/// before the filter where the caller comes from outside.
const BY_OTHERS: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "http2-settings",
    "x-envoy-original-path",
];

#[tokio::test]
async fn no_header_makes_the_upstream_believe_somebody_else() {
    let everything = json!({"name": "all", "match": {"any": true}, "effect": "allow"});
    let stage = Setting::with(&[everything]).start().await;
    let alice = stage.agent("alice", &[]);
    let listener = stage.deployment.envoy.listener("agents").await;
    let mut marked_requests = 0;
    for http in [Http::One, Http::Two] {
        let alice = alice.over(Client::new(listener, http));
        let rules = RULES.iter().filter(|rule| rule.place == Place::Header);
        let rules = rules.filter(|rule| !BY_OTHERS.contains(&rule.name.text()));
        let mut removed: Vec<String> = [
            "session_id",
            "a.b",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-client-cert",
            "x-remote-user",
            "x-envoy-retry-on",
        ]
        .map(str::to_owned)
        .into();
        let mut passed = Vec::new();
        for rule in rules {
            let name = name_of(rule);
            let code = match rule.does {
                Does::Refuse(Claim::Identity) => "claimed_identity",
                Does::Refuse(Claim::Method) => "method_override",
                Does::Refuse(Claim::Path) => "ambiguous_path",
                Does::Refuse(Claim::Host) => "invalid_host",
                Does::Pass => {
                    passed.push(name);
                    continue;
                }
                _ => {
                    removed.push(name);
                    continue;
                }
            };
            for name in [name.replace('-', "_"), name] {
                let answer = alice
                    .send(Call::post("/a", "x").header(&name, "evil"))
                    .await;
                assert_eq!(
                    (answer.status, answer.code().as_deref()),
                    (400, Some(code)),
                    "{name} over {http:?}"
                );
            }
        }
        assert!(
            stage.upstream.seen().is_empty(),
            "upstream saw a refused request"
        );

        // Envoy takes at most 100 headers.
        for names in removed.chunks(50) {
            let call = names
                .iter()
                .chain(&passed)
                .fold(Call::post("/marked", "x"), |call, name| {
                    call.header(name, "evil")
                });
            assert_eq!(alice.send(call).await.status, 200);
            let seen = stage.upstream.seen_at("/marked").remove(0);
            for name in names {
                // Envoy cannot do without it, and has written its own value.
                let expected: &[&str] = match name.as_str() {
                    "x-forwarded-proto" => &["http"],
                    _ => &[],
                };
                assert_eq!(seen.header(name), expected, "{name} over {http:?}");
            }
            for name in &passed {
                assert_eq!(seen.header(name), ["evil"], "{name} over {http:?}");
            }
            stage.upstream.forget();
        }
        marked_requests += 1;
        let query = "taken=session_id";
        stage.api.expect_records(query, marked_requests).await;
    }
    let answer = alice.send(Call::post("/a?x=1&doAs=root", "x")).await;
    assert_eq!(answer.code().as_deref(), Some("claimed_identity"));
    let record = stage.api.record(text(&answer.json()["record"])).await;
    assert_eq!(record["code"], "claimed_identity");
    assert!(stage.upstream.seen().is_empty());
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn the_command_line_of_chaperone_dev_tells_why() {
    let upstream = Upstream::start().await;
    let policy = json!({
        "apiVersion": "chaperone/v1",
        "issuers": [{"issuer": "https://login.example", "audiences": ["chaperone"], "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }}],
        "connections": [{"name": "arm", "hosts": ["management.azure.com"], "protocol": "azure-arm"}],
        "rules": [
            {"name": "reads", "match": {"groups": ["platform"], "operations": ["*/read"]}, "effect": "allow"},
            {"name": "keys-stay", "match": {"operations": ["*/listKeys/action"]}, "effect": "deny",
                "reason": "Use a managed identity."},
        ],
    });
    let dev = Dev::start(policy, &[("arm", &upstream)]).await;
    let token = dev.token("alice", &["platform"]).await;
    let keys =
        "/subscriptions/1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a/listKeys";
    let answer = dev
        .client("arm")
        .send(Call::post(keys, "").bearer(&token))
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.code().as_deref()),
        (403, Some("denied"))
    );
    assert_eq!(upstream.seen().len(), 0);

    let id = answer.json()["record"].clone();
    dev.api().record(text(&id)).await;
    let shown = dev.commands.run(&["audit", "show", text(&id)]).await.ok();
    for part in [
        "alice",
        "keys-stay",
        "Use a managed identity.",
        "Microsoft.Storage/storageAccounts/listKeys/action",
        "403",
    ] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    let args = ["audit", "search", "--effect", "deny", "--subject", "alice"];
    let found = dev.commands.json(&args).await;
    assert_eq!(found["items"][0]["id"], id, "{found}");

    let url = format!("https://management.azure.com{keys}");
    let args = [
        "policy",
        "explain",
        "policy.yaml",
        &format!("POST {url}"),
        "--groups",
        "platform",
    ];
    let explained = dev.commands.run(&args).await.ok();
    assert!(explained.contains("keys-stay"), "{explained}");
}
