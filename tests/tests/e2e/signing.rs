//! The key that policy is signed with changes under traffic, by the procedure of
//! `docs/upgrades.md`: no request is refused for it, and a gate that was forgotten is seen.

use chaperone_tests::client::{Call, Client};
use chaperone_tests::envoy::Envoy;
use chaperone_tests::load::Load;
use chaperone_tests::stage::{Agent, Setting, Stage, allow};
use chaperone_tests::wait;
use serde_json::{Value, json};

/// Traffic through one Envoy, on more connections than it has workers.
async fn traffic(agent: &Agent, envoy: &Envoy) -> Load {
    let client = Client::http1(envoy.listener("agents").await);
    let load = Load::start(client, &agent.dress(Call::get("/load")), 4);
    load.more(20).await;
    load
}

/// Ends traffic, all of which must have passed.
async fn passed(load: Load) {
    load.more(20).await;
    let report = load.stop().await;
    assert_eq!(report.dropped, Vec::<String>::new());
    let statuses: Vec<u16> = report.by_status.keys().copied().collect();
    assert_eq!(statuses, [200], "{report:?}");
}

/// Live nodes with the version and revision that they enforce, and why they refuse another.
async fn nodes(stage: &Stage) -> Vec<(Value, Value, String)> {
    let nodes = stage.api.nodes().await.into_iter();
    let live = nodes.filter(|node| node["closed"] == false && node["stale"] == false);
    live.map(|node| {
        let enforced = &node["enforced"];
        let refused = node["refused"].as_str().unwrap_or_default().to_owned();
        let of = |name: &str| enforced[name].clone();
        (of("policy_version"), of("keys_revision"), refused)
    })
    .collect()
}

/// Waits until so many nodes live, and all of them enforce this.
async fn all_enforce(stage: &Stage, count: usize, version: u64, revision: u64) {
    let wanted = (json!(version), json!(revision), String::new());
    wait::until("every node to enforce it", async || {
        let nodes = nodes(stage).await;
        (nodes.len() == count && nodes.iter().all(|node| *node == wanted)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_signing_key_changes_under_traffic_and_no_request_is_refused_for_it() {
    let rules = [allow("platform", "platform")];
    let mut stage = Setting::with(&rules).start().await;
    let commands = stage.deployment.commands.clone();
    let alice = stage.agent("alice", &["platform"]);
    // Two workers and Envoy's main thread.
    let each = 3;
    let load = traffic(&alice, &stage.deployment.envoy).await;

    // 1: the next key.
    let keys = commands.json(&["signing-key", "prepare"]).await;
    let (old, new) = (&keys["current"]["public_key"], &keys["next"]["public_key"]);
    let id = keys["next"]["id"].as_str().unwrap();
    let config = stage.api.get("/filter-config?profile=body").await;
    assert_eq!(config["public_keys"], json!([old, new]));

    // Too early: every node is named, and nothing changes.
    let early = commands.run(&["signing-key", "switch", id]).await;
    assert_eq!(early.code, 1, "{early:?}");
    assert!(early.stderr.contains("--allow-unpinned"), "{early:?}");
    for node in stage.api.nodes().await {
        assert!(
            early.stderr.contains(node["boot"].as_str().unwrap()),
            "{early:?}"
        );
    }

    // 2: gates that pin both keys take the place of those that pin one.
    let both = json!({ "public_key": null, "public_keys": config["public_keys"] });
    let second = stage.deployment.another_envoy(&both).await;
    all_enforce(&stage, 2 * each, 1, 0).await;
    let load = {
        let next = traffic(&alice, &second).await;
        passed(load).await;
        next
    };
    let half = commands.run(&["signing-key", "switch", id]).await;
    assert_eq!(half.code, 1, "{half:?}");
    let mut first = std::mem::replace(&mut stage.deployment.envoy, second);
    first.process.stop().await;
    all_enforce(&stage, each, 1, 0).await;
    let shown = commands.json(&["signing-key", "show"]).await;
    assert_eq!(shown["next"].get("unpinned_by"), None, "{shown}");

    // 3: the next key signs. Nothing but the revision changes, and then what is published.
    commands.run(&["signing-key", "switch", id]).await.ok();
    all_enforce(&stage, each, 1, 1).await;
    load.more(20).await;
    let more = [rules[0].clone(), allow("others", "others")];
    stage.publish(&more).await;
    all_enforce(&stage, each, 2, 0).await;
    load.more(20).await;

    // 4: gates that pin the new key alone.
    let config = stage.api.get("/filter-config?profile=body").await;
    assert_eq!(config["public_key"], *new);
    let third = json!({ "public_key": config["public_key"] });
    let third = stage.deployment.another_envoy(&third).await;
    all_enforce(&stage, 2 * each, 2, 0).await;
    let next = traffic(&alice, &third).await;
    passed(load).await;
    let mut second = std::mem::replace(&mut stage.deployment.envoy, third);
    second.process.stop().await;
    passed(next).await;
    stage.assert_trail_is_complete().await;
    stage.deployment.envoy.admin.assert_no_traps().await;

    // A gate that was forgotten has no policy, refuses all, and is seen with the reason.
    let forgotten = json!({ "public_key": old });
    let forgotten = stage.deployment.another_envoy(&forgotten).await;
    wait::until("the forgotten gate to be seen", async || {
        let nodes = nodes(&stage).await;
        let refusing = nodes
            .iter()
            .filter(|node| node.2.contains("pinned public key"));
        (refusing.count() == each).then_some(())
    })
    .await;
    let client = Client::http1(forgotten.listener("agents").await);
    let answer = alice.over(client).send(Call::get("/late")).await;
    assert_eq!(answer.code().as_deref(), Some("no_policy"));
    let listed = commands.run(&["nodes"]).await.ok();
    assert!(
        listed.contains("no policy") && listed.contains("pinned public key"),
        "{listed}"
    );
    let shown = commands.json(&["signing-key", "show"]).await;
    let unpinned = shown["current"]["unpinned_by"].as_array().unwrap().len();
    assert_eq!(unpinned, each, "{shown}");
}
