//! No token, a foreign token, an expired one: 401, each with its code; upstream saw nothing.

use chaperone_tests::api::text;
use chaperone_tests::chaperone::Dev;
use chaperone_tests::client::Call;
use chaperone_tests::issuer::{Issuer, Key, Token};
use chaperone_tests::stage::{Setting, Stage, allow};
use chaperone_tests::upstream::Upstream;
use serde_json::{Value, json};

fn good(issuer: &Issuer) -> Token {
    issuer.token("alice").groups(&["platform"])
}

/// Every kind of bad token, with the code that it is refused with.
fn bad_tokens(issuer: &Issuer) -> Vec<(&'static str, String)> {
    let good = || good(issuer);
    let elsewhere = Key::ed25519("elsewhere");
    let now = |seconds: u64| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        json!(now + seconds)
    };
    let twice = format!(
        r#"{{"iss":"{0}","sub":"mallory","sub":"alice","aud":"api://chaperone","exp":{1}}}"#,
        issuer.url(),
        now(300)
    );
    let plain_header = json!({"alg": "EdDSA", "kid": "first", "typ": "JWT"}).to_string();
    vec![
        (
            "unknown_issuer",
            good().claim("iss", "https://elsewhere.example").sign(),
        ),
        (
            "unknown_key",
            good()
                .signed_by(&elsewhere)
                .header("kid", "elsewhere")
                .sign(),
        ),
        ("signature_invalid", good().signed_by(&elsewhere).sign()),
        ("signature_invalid", good().forged()),
        ("token_expired", good().expired().sign()),
        (
            "token_not_yet_valid",
            good().valid_from(3600).valid_until(7200).sign(),
        ),
        (
            "audience_mismatch",
            good().claim("aud", "api://other").sign(),
        ),
        ("algorithm_not_allowed", good().unsigned()),
        (
            "algorithm_not_allowed",
            good().header("alg", "HS256").sign(),
        ),
        ("embedded_key", good().header("jwk", elsewhere.jwk()).sign()),
        (
            "embedded_key",
            good()
                .header("jku", "https://elsewhere.example/keys")
                .sign(),
        ),
        (
            "critical_header",
            good().header("crit", json!(["exp"])).sign(),
        ),
        (
            "type_not_allowed",
            good().header("typ", "logout+jwt").sign(),
        ),
        ("claim_missing", good().claim("exp", Value::Null).sign()),
        ("claim_missing", good().claim("sub", Value::Null).sign()),
        ("claim_invalid", good().claim("sub", 7).sign()),
        (
            "claim_invalid",
            good().claim("groups", json!({"platform": true})).sign(),
        ),
        (
            "groups_overage",
            good()
                .claim("groups", Value::Null)
                .claim("_claim_names", json!({"groups": "src1"}))
                .sign(),
        ),
        (
            "token_too_large",
            good().claim("padding", "x".repeat(20_000)).sign(),
        ),
        (
            "duplicate_claim",
            issuer.key().sign_text(&plain_header, &twice),
        ),
        ("token_malformed", "opaque-EXAMPLE".to_owned()),
        ("token_malformed", format!("{}==", good().sign())),
    ]
}

/// Codes of tokens whose signature is good: whom they were made for stands in the record.
const SIGNED: [&str; 6] = [
    "token_expired",
    "token_not_yet_valid",
    "audience_mismatch",
    "claim_missing",
    "claim_invalid",
    "groups_overage",
];

async fn refused(stage: &Stage, call: Call, code: &str) {
    let call = call.header("user-agent", "cli/1.0");
    let answer = stage.nobody().send(call).await;
    assert_eq!(answer.status, 401, "{code}: {}", answer.text());
    assert_eq!(answer.code().as_deref(), Some(code), "{}", answer.text());
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer"), "{code}: {challenge:?}");

    let record = stage.api.record(text(&answer.json()["record"])).await;
    assert_eq!(
        (&record["code"], &record["status"]),
        (&json!(code), &json!(401))
    );
    assert_eq!(record["effect"], "deny");
    assert_eq!(
        (&record["source"], &record["user_agent"]),
        (&json!("127.0.0.1"), &json!("cli/1.0")),
        "{code}"
    );
    for member in ["agent", "session", "groups"] {
        assert_eq!(record.get(member), None, "nobody was verified: {record}");
    }
    match record.get("subject") {
        Some(subject) => {
            assert!(SIGNED.contains(&code), "nobody has signed that: {record}");
            assert_eq!(subject, "alice");
        }
        // The claim that names the subject may be the one that is missing or wrong.
        None => assert!(
            !SIGNED.contains(&code) || code.starts_with("claim_"),
            "{record}"
        ),
    }
}

#[tokio::test]
async fn every_bad_token_is_refused_with_its_own_code_and_upstream_sees_none_of_them() {
    let stage = Setting::with(&[allow("platform", "platform")])
        .start()
        .await;
    let get = || Call::get("/v1/models");
    refused(&stage, get(), "token_missing").await;
    refused(
        &stage,
        get().header("authorization", "Basic YTpi"),
        "wrong_scheme",
    )
    .await;
    let token = good(&stage.issuer).sign();
    refused(
        &stage,
        get().bearer(&token).bearer(&token),
        "several_tokens",
    )
    .await;
    let joined = format!("Bearer {token}, Bearer {token}");
    refused(
        &stage,
        get().header("authorization", joined),
        "several_tokens",
    )
    .await;
    let bad_tokens = bad_tokens(&stage.issuer);
    for (code, token) in &bad_tokens {
        refused(&stage, get().bearer(token), code).await;
    }
    assert_eq!(stage.upstream.seen().len(), 0, "upstream saw a request");
    let refusals = stage.metric("requests_refused").await;
    assert_eq!(refusals, u64::try_from(bad_tokens.len()).unwrap() + 4);
    for code in ["token_missing", "token_expired", "unknown_issuer"] {
        assert_eq!(stage.metric(&format!("code.{code}")).await, 1, "{code}");
    }

    // A bad token is refused however often it comes, and a good one is not refused for its sake.
    for _ in 0..3 {
        refused(
            &stage,
            get().bearer(&good(&stage.issuer).forged()),
            "signature_invalid",
        )
        .await;
    }
    assert_eq!(stage.bearer(&token).send(get()).await.status, 200);
    stage.assert_trail_is_complete().await;
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn a_token_works_with_every_kind_of_key_until_it_is_over() {
    let mut stage = Setting::with(&[allow("platform", "platform")])
        .start()
        .await;
    let keys = vec![Key::es256("es"), Key::rs256("rs"), Key::ed25519("ed")];
    stage.issuer.set_keys(keys.clone());
    let refreshed = stage.api.post("/keys/refresh", &json!({})).await;
    assert!(refreshed.status < 300, "{}", refreshed.text());
    for key in &keys {
        let token = good(&stage.issuer)
            .signed_by(key)
            .header("alg", key.algorithm());
        let token = token.header("kid", key.kid.as_str());
        let agent = stage.bearer(&token.sign());
        let what = format!("a token of {} to be accepted", key.algorithm());
        chaperone_tests::wait::until_everywhere(&what, async || {
            agent.send(Call::get("/")).await.status == 200
        })
        .await;
        // Leeway is a minute, so this one is over by a second.
        let over = stage.bearer(&token.clone().valid_until(-61).sign());
        let answer = over.send(Call::get("/")).await;
        assert_eq!(answer.code().as_deref(), Some("token_expired"));
        let in_leeway = stage.bearer(&token.valid_until(-30).sign());
        assert_eq!(in_leeway.send(Call::get("/")).await.status, 200);
    }
}

#[tokio::test]
async fn chaperone_dev_lets_only_tokens_of_its_issuer_pass() {
    let upstream = Upstream::start().await;
    let elsewhere = Issuer::start().await;
    let policy = json!({
        "apiVersion": "chaperone/v1",
        "issuers": [{"issuer": "https://login.example", "audiences": ["chaperone"], "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }}],
        "connections": [{"name": "api", "hosts": ["api.example"], "protocol": "http"}],
        "rules": [{"name": "all", "match": {"any": true}, "effect": "allow"}],
    });
    let dev = Dev::start(policy, &[("api", &upstream)]).await;
    let client = dev.client("api");
    let send = async |call: Call| client.send(call).await.unwrap();

    let none = send(Call::get("/")).await;
    assert_eq!(
        (none.status, none.code().as_deref()),
        (401, Some("token_missing"))
    );
    let foreign = send(Call::get("/").bearer(&good(&elsewhere).sign())).await;
    assert_eq!(
        (foreign.status, foreign.code().as_deref()),
        (401, Some("unknown_issuer"))
    );
    let args = [
        "dev",
        "token",
        "--subject",
        "alice",
        "--claim",
        "exp=1000000000",
    ];
    let over = dev.commands.run(&args).await.ok();
    let over = send(Call::get("/").bearer(over.trim())).await;
    assert_eq!(
        (over.status, over.code().as_deref()),
        (401, Some("token_expired"))
    );
    assert_eq!(upstream.seen().len(), 0);

    let token = dev.token("alice", &["platform"]).await;
    let passed = send(Call::get("/").bearer(&token)).await;
    assert_eq!(
        (passed.status, passed.text().as_str()),
        (200, "hello from upstream\n")
    );
    // The same by Host on the one port for all connections.
    let gate = chaperone_tests::client::Client::http1(dev.gate());
    let passed = gate
        .send(Call::get("/").host("api.example").bearer(&token))
        .await
        .unwrap();
    assert_eq!(passed.status, 200);
    let record = dev.api().records("subject=alice", 2).await;
    assert_eq!(record[0]["groups"], json!(["platform"]));
    dev.assert_no_traps().await;
}
