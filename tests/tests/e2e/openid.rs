//! Tokens from a real OpenID provider: the certified npm package `oidc-provider`, with client
//! credentials and key rotation in the middle of traffic.

use chaperone_tests::client::Call;
use chaperone_tests::issuer::AUDIENCE;
use chaperone_tests::load::Load;
use chaperone_tests::oidc::{Account, OpenIdProvider};
use chaperone_tests::stage::{Setting, Stage, allow};
use chaperone_tests::wait;
use serde_json::json;

const AGENT: Account<'static> = Account {
    id: "build-agent",
    groups: &["platform"],
};
const STRANGER: Account<'static> = Account {
    id: "stranger",
    groups: &["marketing"],
};

async fn stage(provider: &OpenIdProvider) -> Stage {
    let setting = Setting::with(&[allow("platform", "platform")]);
    setting.issuer(provider.in_policy()).start().await
}

async fn code_of(stage: &Stage, token: &str) -> (u16, Option<String>) {
    let answer = stage.bearer(token).send(Call::get("/")).await;
    (answer.status, answer.code())
}

#[tokio::test]
async fn its_tokens_pass_with_groups_and_agent_and_those_for_others_do_not() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let provider = OpenIdProvider::start(algorithm, &[AGENT, STRANGER]).await;
        let stage = stage(&provider).await;
        let token = provider.token(AGENT, AUDIENCE).await;
        assert_eq!(code_of(&stage, &token).await, (200, None), "{algorithm}");
        let record = stage.api.only_record("subject=build-agent").await;
        assert_eq!(record["issuer"], provider.issuer());
        assert_eq!(record["groups"], json!(["platform"]));
        assert_eq!(record["agent"], "build-agent");

        let wrong_group = provider.token(STRANGER, AUDIENCE).await;
        assert_eq!(
            code_of(&stage, &wrong_group).await,
            (403, Some("denied".to_owned()))
        );
        let other_api = provider.token(AGENT, "api://other").await;
        assert_eq!(
            code_of(&stage, &other_api).await,
            (401, Some("audience_mismatch".to_owned()))
        );
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let (_, other_signature) = wrong_group.rsplit_once('.').unwrap();
        assert_ne!(signature, other_signature);
        let forged = format!("{signed}.{other_signature}");
        assert_eq!(
            code_of(&stage, &forged).await,
            (401, Some("signature_invalid".to_owned()))
        );
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}

#[tokio::test]
async fn keys_rotate_in_the_middle_of_traffic_and_no_request_with_a_known_key_fails() {
    let provider = OpenIdProvider::start("RS256", &[AGENT]).await;
    let stage = stage(&provider).await;
    let old = provider.token(AGENT, AUDIENCE).await;
    let load = Load::start(
        stage.client,
        &stage.bearer(&old).dress(Call::get("/load")),
        2,
    );
    load.more(30).await;

    // A new key beside the old one: its first token asks for the refresh, and then passes.
    provider.rotate(true).await;
    let new = provider.token(AGENT, AUDIENCE).await;
    let accepted = |token: String| {
        let stage = &stage;
        async move {
            wait::until_everywhere(
                "a token of the new key to be accepted",
                async || match code_of(stage, &token).await {
                    (200, _) => true,
                    (401, Some(code)) if code == "unknown_key" => false,
                    other => panic!("{other:?}"),
                },
            )
            .await;
        }
    };
    accepted(new.clone()).await;
    load.more(30).await;
    let report = load.stop().await;
    assert_eq!(report.dropped, Vec::<String>::new());
    assert_eq!(
        report.by_status.get(&200),
        Some(&report.answers()),
        "{report:?}"
    );

    // The old keys are taken away: with the refresh that the newest key brings, they stop working.
    provider.rotate(false).await;
    accepted(provider.token(AGENT, AUDIENCE).await).await;
    for gone in [&old, &new] {
        wait::until_everywhere(
            "a token of a key that was taken away to be refused",
            async || code_of(&stage, gone).await == (401, Some("unknown_key".to_owned())),
        )
        .await;
    }

    // Made-up keys do not make the control plane ask the provider again and again.
    let before = provider.key_set_requests().await;
    let issuer = provider.issuer();
    for number in 0..40 {
        let token = stage
            .issuer
            .token("mallory")
            .claim("iss", issuer)
            .header("kid", format!("made-up-{number}"));
        assert_eq!(
            code_of(&stage, &token.sign()).await.1.as_deref(),
            Some("unknown_key")
        );
    }
    let asked = provider.key_set_requests().await - before;
    assert!(asked <= 3, "{asked} requests for 40 made-up keys");
}

#[tokio::test]
async fn a_provider_in_an_outage_does_not_stop_those_whose_keys_are_known() {
    let provider = OpenIdProvider::start("ES256", &[AGENT]).await;
    let mut stage = stage(&provider).await;
    let token = provider.token(AGENT, AUDIENCE).await;
    assert_eq!(code_of(&stage, &token).await, (200, None));
    provider.set_available(false).await;
    // Both start again and cannot fetch anything: the cache on disk has the keys.
    stage.deployment.kill_control_plane().await;
    stage.deployment.start_control_plane().await;
    stage.deployment.restart_envoy().await;
    stage.client = stage.deployment.client().await;
    wait::until("the policy with its keys", async || {
        (code_of(&stage, &token).await.0 == 200).then_some(())
    })
    .await;
}
