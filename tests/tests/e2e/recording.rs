//! Filter and control plane of today, recorded: every kind of call and every kind of answer.
//!
//! With `CHAPERONE_RECORD_AS=NAME` the recording is kept in `tests/recorded/NAME`. Later versions
//! are tested with it; `tests/recorded/README.md` says how.

use std::collections::BTreeSet;

use chaperone_tests::api::text;
use chaperone_tests::client::Call;
use chaperone_tests::issuer::Key;
use chaperone_tests::places;
use chaperone_tests::recorder::{Exchange, Recorder, written};
use chaperone_tests::script::Script;
use chaperone_tests::stage::{ARM, Agent, PLAIN, Setting, Stage, allow, answer, approve, secret};
use chaperone_tests::upstream::Reply;
use chaperone_tests::wait;
use serde_json::{Value, json};

const EVENTS: &str = "/node/v1/events";
const POLICY: &str = "/node/v1/policy";
const ASK: &str = "/node/v1/approvals/ask";
const WATCH: &str = "/node/v1/approvals/watch";

/// What the detector of the policy's own finds.
const BADGE: &str = "badge-0042-0042";

fn rules() -> Vec<Value> {
    let on_arm = json!({"name": "deletes", "match": {"connections": ["arm"], "labels": {"env": "prod"},
        "operations": ["*/delete"]}, "effect": "approve", "approve": {"by": ["sre"]},
        "reason": "Deleting needs an SRE."});
    vec![
        allow("platform", "platform"),
        approve("deploys", "/deploy", &json!({"hold": "60s"})),
        approve("soon", "/soon", &json!({"hold": "5s", "expires": "8s"})),
        on_arm,
        json!({"name": "recorded", "match": {"paths": ["/recorded"]}, "effect": "allow", "audit": "required"}),
        json!({"name": "no-puts", "match": {"methods": ["PUT"]}, "effect": "deny", "reason": "Ask first."}),
    ]
}

/// The stage's policy with what else a policy can have.
fn policy(stage: &Stage) -> String {
    let mut policy: Value =
        serde_json::from_str(&stage.policy(&rules())).expect("the stage writes JSON");
    policy["detectors_allow"] = json!([{"stopwords": ["badge-0000"]}]);
    policy["tests"] = json!([{"as": {"groups": ["platform"]}, "request": "PUT https://api.example/x",
        "expect": "deny", "rule": "no-puts"}]);
    policy.to_string()
}

async fn stage(recorder: &Recorder) -> Stage {
    let own = json!({"name": "custom/badge", "regex": "badge-[0-9]{4}-[0-9]{4}"});
    let masking = [
        json!({"name": "secrets", "detectors": ["secrets/*"], "keys": "default",
            "on": ["request", "response"], "connections": ["api"]}),
        json!({"name": "badges", "detectors": ["custom/badge"], "on": ["response"],
            "action": "report", "connections": ["plain"]}),
        json!({"name": "stay", "detectors": ["custom/badge"], "on": ["request"],
            "action": "block", "connections": ["plain"]}),
    ];
    // One worker, little batches and a little queue: a recording is read by people.
    Setting::with(&rules())
        .detectors(&[own])
        .masking(&masking)
        .workers(1)
        .profile("body")
        .filter("on_audit_full", "drop")
        .filter(
            "limits",
            json!({"audit_queue_bytes": 65536, "batch_bytes": 4096}),
        )
        .recorder(recorder)
        .start()
        .await
}

fn agent(stage: &Stage) -> Agent {
    let token = stage
        .issuer
        .token("alice")
        .groups(&["platform"])
        .claim("azp", "copilot")
        .claim("sid", "session-1");
    stage.bearer(&token.sign())
}

async fn requests(stage: &Stage) {
    let alice = agent(stage);
    let with_secret = format!("key {}.\n", secret());
    stage
        .upstream
        .always(Reply::ok(with_secret.clone()).header("content-type", "text/plain"));
    let call = Call::post("/v1/x?a=b", with_secret).header("content-type", "text/plain");
    assert_eq!(alice.send(call).await.status, 200);
    assert_eq!(alice.send(Call::get("/recorded")).await.status, 200);
    assert_eq!(alice.send(Call::new("PUT", "/v1/x")).await.status, 403);
    assert_eq!(stage.nobody().send(Call::get("/v1/x")).await.status, 401);
    let other_host = alice.at("other.example").send(Call::get("/")).await;
    assert_eq!(other_host.status, 403);

    // A finding that is only reported, one that blocks, and bytes that are no text.
    let plain = alice.at(PLAIN);
    stage
        .upstream
        .always(Reply::ok(BADGE).header("content-type", "text/plain"));
    assert_eq!(plain.send(Call::get("/reported")).await.text(), BADGE);
    let blocked = Call::post("/blocked", BADGE).header("content-type", "text/plain");
    assert_eq!(plain.send(blocked).await.status, 403);
    stage.upstream.always(Reply::ok(vec![0xff, 0x00, 0xfe]));
    assert_eq!(plain.send(Call::get("/bytes")).await.status, 200);

    // An answer that breaks off.
    stage
        .upstream
        .always(Reply::ok(Script::new().chunk("half").abort()));
    let broken = alice.try_send(Call::get("/broken")).await;
    assert!(broken.is_err(), "{broken:?}");
    stage.upstream.always(Reply::ok("done"));
}

async fn approvals(stage: &Stage) {
    let alice = agent(stage);
    let bob = stage.approver("bob", "sre").await;
    let deploy = || Call::post("/deploy", "{\"n\": 1}").header("content-type", "application/json");

    let granted = alice.spawn(deploy());
    let id = stage.api.asked().await;
    stage.held(1).await;
    bob.run(&["approvals", "approve", &id, "--comment", "agreed"])
        .await
        .ok();
    assert_eq!(answer(granted).await.status, 200);

    let denied = alice.at(ARM).spawn(Call::new(
        "DELETE",
        "/subscriptions/1/resourceGroups/prod?api-version=2021-04-01",
    ));
    let id = stage.api.asked().await;
    stage.held(1).await;
    bob.run(&["approvals", "deny", &id, "--reason", "not today"])
        .await
        .ok();
    assert_eq!(answer(denied).await.status, 403);

    // The second one comes when the first has waited long enough, joins its question, and still
    // waits when the question expires.
    let first = alice.spawn(Call::post("/soon", "x"));
    stage.api.asked().await;
    stage.held(1).await;
    assert_eq!(
        answer(first).await.code().as_deref(),
        Some("approval_required")
    );
    let second = alice.spawn(Call::post("/soon", "x"));
    assert_eq!(
        answer(second).await.code().as_deref(),
        Some("approval_expired")
    );

    // An agent that does not wait.
    let gone = alice.spawn(Call::post("/deploy", "{\"n\": 2}"));
    stage.held(1).await;
    gone.abort();
    stage.held(0).await;
}

async fn policies(stage: &mut Stage) {
    let alice = agent(stage);
    // Another key of the issuer: reported, fetched, and sent out under the same policy version.
    let first = stage.issuer.key().clone();
    let second = Key::ed25519("second");
    // Before the report: the key set is fetched once, when the key is reported.
    stage.issuer.set_keys(vec![first, second.clone()]);
    let token = stage.issuer.token("alice").groups(&["platform"]);
    let token = token.header("kid", "second").signed_by(&second).sign();
    let with_second = stage.bearer(&token);
    let unknown = with_second.send(Call::get("/v1/x")).await;
    assert_eq!(unknown.code().as_deref(), Some("unknown_key"));
    wait::until("every node to enforce the new key", async || {
        let nodes = stage.api.nodes().await;
        let has_key = |node: &Value| node["enforced"]["keys_revision"].as_u64() > Some(0);
        nodes.iter().all(has_key).then_some(())
    })
    .await;
    assert_eq!(with_second.send(Call::get("/v1/x")).await.status, 200);

    // A bundle that the filter refuses: the control plane signs with another key for a while.
    let file = stage.deployment.folder().join("data/signing.key");
    let own = std::fs::read_to_string(&file).expect("the signing key");
    stage.deployment.stop_control_plane().await;
    std::fs::write(&file, "RVhBTVBMRUVYQU1QTEVFWEFNUExFRVhBTVBMRUVYQU0=\n").expect("writable");
    stage.deployment.start_control_plane().await;
    wait::until("a node to say that it refuses a bundle", async || {
        let nodes = stage.api.nodes().await;
        nodes
            .iter()
            .any(|node| node["refused"].is_string())
            .then_some(())
    })
    .await;
    assert_eq!(alice.send(Call::get("/v1/x")).await.status, 200);
    stage.deployment.stop_control_plane().await;
    std::fs::write(&file, own).expect("writable");
    stage.deployment.start_control_plane().await;
    stage.publish(&[allow("platform", "platform")]).await;
    stage.publish(&rules()).await;
}

/// The last batch of a node, for a recording that is kept. It gets out of an Envoy that stops by
/// luck only: Envoy destroys the VM and its connections in the moment of `on_done`, whatever that
/// returns, and does so as well when the VM's listener is taken out of an Envoy that runs on. So
/// several try, and a run that keeps nothing does not depend on it.
async fn goodbye(stage: &mut Stage, recorder: &Recorder) {
    for _ in 0..200 {
        stage.deployment.restart_envoy().await;
        let closing = recorder
            .exchanges()
            .into_iter()
            .any(|exchange| json_of(&exchange.request)["closing"] == true);
        if closing {
            stage.client = stage.deployment.client().await;
            return;
        }
    }
    panic!("none of 200 Envoys has sent a closing batch; record again");
}

/// Everything up to the first batch that says that events were lost.
async fn losses(stage: &mut Stage, recorder: &Recorder) -> Vec<Exchange> {
    let alice = agent(stage);
    wait::until("the policy to come", async || {
        (alice.send(Call::get("/v1/x")).await.status == 200).then_some(())
    })
    .await;
    stage.deployment.stop_control_plane().await;
    while stage.metric("events_dropped").await == 0 {
        for _ in 0..20 {
            assert_eq!(alice.send(Call::get("/v1/x")).await.status, 200);
        }
    }
    stage.deployment.start_control_plane().await;
    let lossy = |exchange: &Exchange| json_of(&exchange.request)["dropped"].as_u64() > Some(0);
    wait::until("a batch that says what was lost", async || {
        recorder.exchanges().iter().any(lossy).then_some(())
    })
    .await;
    let mut exchanges = recorder.exchanges();
    let end = exchanges.iter().position(lossy).expect("it is there");
    exchanges.truncate(end + 1);
    exchanges
}

#[tokio::test]
async fn every_kind_of_call_and_answer_of_this_version_can_be_recorded() {
    let recorder = Recorder::start().await;
    let mut stage = stage(&recorder).await;
    stage.deployment.publish(policy(&stage)).await;
    requests(&stage).await;
    approvals(&stage).await;
    policies(&mut stage).await;
    let kept_as = std::env::var_os("CHAPERONE_RECORD_AS");
    if kept_as.is_some() {
        goodbye(&mut stage, &recorder).await;
    }
    let records = stage.api.get("/records?limit=500").await;
    let exchanges = losses(&mut stage, &recorder).await;
    let exchanges = without_idle_polls(exchanges);

    assert!(exchanges.iter().all(|exchange| exchange.status == 200));
    let all = written(&exchanges);
    assert!(!all.contains(&secret()), "a secret was recorded");
    assert_eq!(
        found(&exchanges, EVENTS, |request, _| {
            let events = request["events"].as_array().cloned().unwrap_or_default();
            events.iter().map(|event| name(&event["stage"])).collect()
        }),
        [
            "aborted",
            "chunk",
            "completed",
            "decided",
            "forwarded",
            "held",
            "received",
            "response_started"
        ]
    );
    assert_eq!(
        found(&exchanges, ASK, |_, answer| vec![name(&answer["answer"])]),
        ["denied", "expired", "granted", "pending"]
    );
    assert_eq!(
        found(&exchanges, WATCH, |_, answer| {
            let decided = answer["decided"].as_array().cloned().unwrap_or_default();
            decided.iter().map(|one| name(&one["state"])).collect()
        }),
        ["approved", "denied", "expired"]
    );
    assert_eq!(
        found(&exchanges, POLICY, |request, answer| {
            let asked = ["enforced", "refused", "unknown_keys"].map(|member| {
                let is_there = request.get(member).is_some();
                is_there.then(|| member.to_owned())
            });
            let answered = answer.get("bundle").map(|_| "bundle".to_owned());
            asked.into_iter().flatten().chain(answered).collect()
        }),
        ["bundle", "enforced", "refused", "unknown_keys"]
    );
    for flag in ["\"base64\":", "\"reported\":", "\"blocked\":"] {
        assert!(all.contains(flag), "{flag} was not recorded");
    }

    if let Some(name) = kept_as {
        assert!(
            all.contains("\"closing\":true"),
            "no closing batch was recorded"
        );
        let folder = places::repository().join("tests/recorded").join(name);
        std::fs::create_dir_all(&folder).expect("the repository can be written");
        let config = stage.api.get("/filter-config").await;
        let key = text(&config["public_key"]);
        let records = records["items"].as_array().expect("a page of records");
        let records: String = records.iter().map(|record| format!("{record}\n")).collect();
        let written = [
            ("public-key.txt", format!("{key}\n")),
            ("records.jsonl", records),
            ("exchanges.txt", all),
        ];
        for (file, content) in written {
            std::fs::write(folder.join(file), content).expect("the repository can be written");
        }
    }
}

/// Without the polls that brought no news and told none: there is one for each node every few
/// seconds.
fn without_idle_polls(exchanges: Vec<Exchange>) -> Vec<Exchange> {
    let mut seen = BTreeSet::new();
    exchanges
        .into_iter()
        .filter(|exchange| {
            let is_idle = exchange.path == POLICY && exchange.answer == "{}";
            !is_idle || seen.insert(exchange.request.clone())
        })
        .collect()
}

/// Every name that `names` finds in the exchanges of this path, once.
fn found(
    exchanges: &[Exchange],
    path: &str,
    names: impl Fn(&Value, &Value) -> Vec<String>,
) -> Vec<String> {
    let of_path = exchanges.iter().filter(|exchange| exchange.path == path);
    let all: BTreeSet<String> = of_path
        .flat_map(|exchange| names(&json_of(&exchange.request), &json_of(&exchange.answer)))
        .collect();
    all.into_iter().collect()
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {body}"))
}

fn name(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
