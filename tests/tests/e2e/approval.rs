//! A risky call is held; approved from the command line it goes through once; the next one is asked
//! again; denied it is 403; not answered it becomes a ticket within the budget.

use std::time::Duration;

use chaperone_tests::api::{stages, text};
use chaperone_tests::chaperone::{Commands, Dev};
use chaperone_tests::client::Call;
use chaperone_tests::stage::{self, Setting, Stage, allow, answer, approve};
use chaperone_tests::upstream::Upstream;
use chaperone_tests::wait;
use serde_json::{Value, json};

const BODY: &str = "{\"amount\": 100}";

fn deploy() -> Call {
    Call::post("/deploy?env=prod", BODY).header("content-type", "application/json")
}

async fn stage(terms: &Value) -> Stage {
    let rules = [
        allow("platform", "platform"),
        approve("deploys", "/deploy", terms),
    ];
    Setting::with(&rules).start().await
}

async fn say_yes(approver: &Commands, id: &str) {
    approver.run(&["approvals", "approve", id]).await.ok();
}

/// To a request whose body is not shown as a whole.
async fn say_yes_unseen(approver: &Commands, id: &str) {
    approver
        .run(&["approvals", "approve", id, "--unseen"])
        .await
        .ok();
}

#[tokio::test]
async fn approved_from_the_command_line_it_goes_through_once_and_the_next_one_is_asked_again() {
    let stage = stage(&json!({"hold": "60s"})).await;
    let alice = stage.agent("alice", &["platform"]);
    let bob = stage.approver("bob", "sre").await;

    let first = alice.spawn(deploy());
    let id = stage.api.asked().await;
    stage.held(1).await;
    let listed = bob.json(&["approvals", "list"]).await;
    let question = &listed["items"][0];
    assert_eq!(question["id"], id);
    assert_eq!(question["principal"]["subject"], "alice");
    assert_eq!(question["connection"], "api");
    assert_eq!(question["operation"]["action"], "POST /deploy");
    assert_eq!(question["request"]["query"], "env=prod");
    assert_eq!(question["rule"], "deploys");
    assert_eq!(question["reason"], "Changes need an SRE.");
    assert_eq!(question.get("body"), None, "lists carry no bodies");
    let shown = bob.json(&["approvals", "show", &id]).await;
    assert_eq!(shown["body"]["content"]["text"], BODY);
    assert_eq!(shown["body"]["truncated"], false);
    assert_eq!(
        stage.upstream.seen().len(),
        0,
        "upstream saw a held request"
    );

    bob.run(&["approvals", "approve", &id, "--comment", "agreed"])
        .await
        .ok();
    let first = answer(first).await;
    assert_eq!(
        (first.status, first.text().as_str()),
        (200, "hello from upstream\n")
    );
    let seen = stage.upstream.seen_at("/deploy");
    assert_eq!((seen.len(), seen[0].text().as_str()), (1, BODY));
    assert_eq!(seen[0].header("authorization"), Vec::<&str>::new());

    let record = stage.api.only_record("subject=alice").await;
    assert_eq!(
        stages(&record)[..4],
        ["received", "chunk", "held", "decided"]
    );
    assert_eq!(
        (&record["effect"], &record["rule"]),
        (&json!("allow"), &json!("deploys"))
    );
    assert_eq!(
        (&record["approval"], &record["approved_by"]),
        (&json!(id), &json!("bob"))
    );
    let shown = stage.api.get(&format!("/approvals/{id}")).await;
    assert_eq!(
        (&shown["state"], &shown["spent_by"]),
        (&json!("spent"), &record["id"])
    );
    assert_eq!(shown["answers"][0]["comment"], "agreed");

    // The grant is spent: the same again is another question.
    let second = alice.spawn(deploy());
    let again = stage.api.asked().await;
    assert_ne!(again, id);
    stage.held(1).await;
    assert_eq!(stage.upstream.seen_at("/deploy").len(), 1);
    say_yes(&bob, &again).await;
    assert_eq!(answer(second).await.status, 200);
    assert_eq!(stage.upstream.seen_at("/deploy").len(), 2);
    stage.held(0).await;
    stage.assert_trail_is_complete().await;
}

#[tokio::test]
async fn denied_it_is_403_with_the_approvers_words() {
    let stage = stage(&json!({"hold": "60s"})).await;
    let alice = stage.agent("alice", &["platform"]);
    let bob = stage.approver("bob", "sre").await;
    let request = alice.spawn(deploy());
    let id = stage.api.asked().await;
    let deny = [
        "approvals",
        "deny",
        &id,
        "--reason",
        "not during the release",
    ];
    bob.run(&deny).await.ok();
    let denied = answer(request).await;
    assert_eq!(
        (denied.status, denied.code().as_deref()),
        (403, Some("approval_denied"))
    );
    let problem = denied.json();
    assert!(
        text(&problem["detail"]).contains("not during the release"),
        "{problem}"
    );
    assert_eq!(
        (&problem["rule"], &problem["approval"]),
        (&json!("deploys"), &json!(id))
    );
    let record = stage.api.record(text(&problem["record"])).await;
    assert_eq!(
        (&record["effect"], &record["approved_by"]),
        (&json!("deny"), &json!("bob"))
    );
    assert_eq!(stage.upstream.seen().len(), 0);

    // A decision is final.
    for args in [["approvals", "approve", &id].as_slice(), &deny] {
        let late = bob.run(args).await;
        assert_eq!(late.code, 1, "{late:?}");
        assert!(late.stderr.contains("denied"), "{late:?}");
    }
    let late = stage
        .api
        .post(&format!("/approvals/{id}/approve"), &json!({}))
        .await;
    assert_eq!(late.status, 409, "{}", late.text());
}

#[tokio::test]
async fn not_answered_it_becomes_a_ticket_within_the_budget_and_the_same_again_passes_once_approved()
 {
    let stage = stage(&json!({"hold": "1s", "expires": "1h"})).await;
    let alice = stage.agent("alice", &["platform"]);
    let bob = stage.approver("bob", "sre").await;
    let ticket = alice.send(deploy()).await;
    assert_eq!(
        (ticket.status, ticket.code().as_deref()),
        (403, Some("approval_required"))
    );
    assert!(ticket.took >= Duration::from_secs(1), "{:?}", ticket.took);
    assert!(ticket.took < Duration::from_secs(4), "{:?}", ticket.took);
    let problem = ticket.json();
    let id = text(&problem["approval"]).to_owned();
    let retry_after = ticket.header("retry-after").map(str::to_owned);
    assert_eq!(
        retry_after,
        problem["retry_after_s"].as_u64().map(|s| s.to_string())
    );
    assert!(retry_after.is_some());
    assert_eq!(stage.upstream.seen().len(), 0);
    let record = stage.api.record(text(&problem["record"])).await;
    assert_eq!(
        (&record["effect"], &record["approval"]),
        (&json!("approve"), &json!(id))
    );

    // Asked again before the answer: the same question.
    let same = alice.send(deploy()).await;
    assert_eq!(same.json()["approval"], id);
    // What is not the same request is not the same question.
    let other = alice
        .send(
            Call::post("/deploy?env=prod", "{\"amount\": 101}")
                .header("content-type", "application/json"),
        )
        .await;
    assert_ne!(other.json()["approval"], id, "another body");
    let other = stage.agent("carol", &["platform"]).send(deploy()).await;
    assert_ne!(other.json()["approval"], id, "another subject");

    say_yes(&bob, &id).await;
    let wrong = stage.agent("carol", &["platform"]).send(deploy()).await;
    assert_eq!(
        wrong.code().as_deref(),
        Some("approval_required"),
        "approved for alice"
    );
    let passed = alice.send(deploy()).await;
    assert_eq!(passed.status, 200, "{}", passed.text());
    let spent = alice.send(deploy()).await;
    assert_eq!(
        spent.code().as_deref(),
        Some("approval_required"),
        "the grant is for once"
    );
    assert_ne!(spent.json()["approval"], id);
    assert_eq!(stage.upstream.seen_at("/deploy").len(), 1);
    assert_eq!(stage.metric("held_streams").await, 0);
}

#[tokio::test]
async fn of_two_identical_requests_that_wait_one_yes_lets_exactly_one_pass() {
    let stage = stage(&json!({"hold": "60s"})).await;
    let alice = stage.agent("alice", &["platform"]);
    let bob = stage.approver("bob", "sre").await;
    let mut requests: Vec<_> = (0..4).map(|_| alice.spawn(deploy())).collect();
    stage.held(4).await;
    let id = stage.api.asked().await;
    say_yes(&bob, &id).await;
    stage.upstream.wait_for("/deploy", 1).await;
    // The three others ask anew, and share one question again.
    let next = wait::until("another question", async || {
        let pending = stage.api.pending(1).await;
        let next = text(&pending[0]["id"]).to_owned();
        (next != id && pending[0]["records"] == 3).then_some(next)
    })
    .await;
    stage.held(3).await;
    assert_eq!(stage.upstream.seen_at("/deploy").len(), 1);

    bob.run(&["approvals", "deny", &next, "--reason", "once is enough"])
        .await
        .ok();
    let mut statuses = Vec::new();
    for request in requests.drain(..) {
        statuses.push(answer(request).await.status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403, 403, 403]);
    assert_eq!(stage.upstream.seen_at("/deploy").len(), 1);
}

#[tokio::test]
async fn only_others_of_the_named_groups_may_answer_and_two_means_two_people() {
    let stage = stage(&json!({"hold": "60s", "count": 2})).await;
    let alice = stage.agent("alice", &["platform"]);
    let request = alice.spawn(deploy());
    let id = stage.api.asked().await;
    let args = ["approvals", "approve", id.as_str()];
    let own = stage.approver("alice", "sre").await.run(&args).await;
    assert!(
        own.code == 1 && own.stderr.contains("own request"),
        "{own:?}"
    );
    let stranger = stage
        .approver("mallory", "marketing")
        .await
        .run(&args)
        .await;
    assert!(
        stranger.code == 1 && stranger.stderr.contains("sre"),
        "{stranger:?}"
    );

    let bob = stage.approver("bob", "sre").await;
    bob.run(&args).await.ok();
    let twice = bob.run(&args).await;
    assert!(
        twice.code == 1 && twice.stderr.contains("already"),
        "{twice:?}"
    );
    assert_eq!(stage.api.asked().await, id, "one of two is not enough");
    assert_eq!(stage.upstream.seen().len(), 0);
    stage.approver("carol", "sre").await.run(&args).await.ok();
    assert_eq!(answer(request).await.status, 200);
    assert_eq!(stage.upstream.seen_at("/deploy").len(), 1);
}

#[tokio::test]
async fn silence_expires_and_denies_and_a_late_yes_is_409() {
    let stage = stage(&json!({"hold": "1s", "expires": "1s"})).await;
    let alice = stage.agent("alice", &["platform"]);
    let unanswered = alice.send(deploy()).await;
    assert_eq!(unanswered.status, 403, "{}", unanswered.text());
    let id = text(&unanswered.json()["approval"]).to_owned();
    wait::until("the question to expire", async || {
        let approval = stage.api.get(&format!("/approvals/{id}")).await;
        (approval["state"] == "expired").then_some(())
    })
    .await;
    let late = stage
        .api
        .post(&format!("/approvals/{id}/approve"), &json!({}))
        .await;
    assert_eq!(late.status, 409, "{}", late.text());
    let again = alice.send(deploy()).await;
    assert_eq!(again.status, 403);
    assert_ne!(again.json()["approval"], id, "another question");
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a_window_lets_the_same_request_pass_until_it_is_over() {
    let stage = stage(&json!({"hold": "0s", "grant": "4s"})).await;
    let alice = stage.agent("alice", &["platform"]);
    let ticket = alice.send(deploy()).await;
    assert_eq!(ticket.code().as_deref(), Some("approval_required"));
    assert!(
        ticket.took < Duration::from_secs(1),
        "a hold of 0s does not wait: {:?}",
        ticket.took
    );
    let id = text(&ticket.json()["approval"]).to_owned();
    say_yes(&stage.deployment.commands, &id).await;
    for _ in 0..3 {
        assert_eq!(alice.send(deploy()).await.status, 200);
    }
    let next = wait::until("the window to be over", async || {
        let answer = alice.send(deploy()).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(next.code().as_deref(), Some("approval_required"));
    assert_ne!(next.json()["approval"], id);
}

#[tokio::test]
async fn a_request_whose_agent_went_away_never_goes_upstream() {
    let stage = stage(&json!({"hold": "60s"})).await;
    let alice = stage.agent("alice", &["platform"]);
    let gone = alice.spawn(deploy());
    let id = stage.api.asked().await;
    stage.held(1).await;
    gone.abort();
    stage.held(0).await;
    say_yes(&stage.deployment.commands, &id).await;
    let record = stage.api.only_record("subject=alice").await;
    assert_eq!(
        (&record["state"], &record["abort_cause"]),
        (&json!("aborted"), &json!("downstream"))
    );
    assert_eq!(stage.upstream.seen().len(), 0);
    // The yes is for the request, which comes again.
    assert_eq!(alice.send(deploy()).await.status, 200);
    assert_eq!(stage.upstream.seen_at("/deploy").len(), 1);
}

#[tokio::test]
async fn where_the_body_is_not_seen_an_approval_is_good_for_the_waiting_request_alone() {
    let rules = [
        allow("platform", "platform"),
        approve("deploys", "/deploy", &json!({"hold": "2s"})),
    ];
    let stage = Setting::with(&rules).profile("headers").start().await;
    let alice = stage.agent("alice", &["platform"]);
    let bob = stage.approver("bob", "sre").await;
    let request = alice.spawn(deploy());
    let id = stage.api.asked().await;
    let question = stage.api.get(&format!("/approvals/{id}")).await;
    assert_eq!(question.get("body"), None, "{question}");
    say_yes_unseen(&bob, &id).await;
    assert_eq!(answer(request).await.status, 200);
    assert_eq!(stage.upstream.seen_at("/deploy")[0].text(), BODY);

    // Over time: an approval that comes later is good for nothing, since its body was not seen.
    let over = alice.send(deploy()).await;
    assert_eq!(
        (over.status, over.code().as_deref()),
        (403, Some("approval_timeout"))
    );
    let late = text(&over.json()["approval"]).to_owned();
    say_yes_unseen(&bob, &late).await;
    let again = alice.send(deploy()).await;
    assert_eq!(again.code().as_deref(), Some("approval_timeout"));
    assert_eq!(stage.upstream.seen_at("/deploy").len(), 1);
}

#[tokio::test]
async fn chaperone_dev_holds_and_its_command_line_answers() {
    let policy = json!({
        "apiVersion": "chaperone/v1",
        "issuers": [{"issuer": "https://login.example", "audiences": ["chaperone"], "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] }}],
        "connections": [{"name": "api", "hosts": ["api.example"], "protocol": "http"}],
        "rules": [approve("deploys", "/deploy", &json!({"hold": "60s"}))],
    });
    let upstream = Upstream::start().await;
    let dev = Dev::start(policy, &[("api", &upstream)]).await;
    let token = dev.token("alice", &[]).await;
    let mut watching = dev.commands.start(&["approvals", "watch"]);
    let agent = stage::Agent::new(dev.client("api"), Some(token));
    let request = agent.spawn(deploy());
    let id = dev.api().asked().await;
    watching.wait_for_line(&id).await;
    let bob = stage::approver(&dev.commands, dev.folder(), "bob", "sre").await;
    say_yes(&bob, &id).await;
    assert_eq!(answer(request).await.status, 200);
    assert_eq!(upstream.seen_at("/deploy").len(), 1);
    let mut dev = dev;
    assert!(
        dev.process.stop().await.success(),
        "SIGTERM stops all of it"
    );
}

#[tokio::test]
async fn too_many_questions_are_refused_with_a_code_of_their_own() {
    let stage = stage(&json!({"hold": "60s"})).await;
    let script = stage.agent("script", &["platform"]);
    let body = "x".repeat(20_000);
    let mut refused = 0;
    let mut waiting = Vec::new();
    for n in 0..60 {
        if n >= 50 {
            // All that may wait are there: the next is told at once that it may not.
            stage.api.pending(50).await;
        }
        waiting.push(script.spawn(Call::post("/deploy", format!("{n} {body}"))));
        if n < 50 {
            continue;
        }
        let answer = answer(waiting.pop().unwrap()).await;
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert_eq!(answer.code().as_deref(), Some("too_many_pending"));
        assert!(answer.header("retry-after").is_some());
        refused += 1;
    }
    assert_eq!(refused, 10);
    let listed = stage.api.get("/approvals?state=pending&limit=500").await;
    let listed = listed.to_string().len();
    assert!(listed < 100_000, "a list of 50 has {listed} bytes");

    // Somebody else is asked all the same, and an answer makes room.
    let alice = stage.agent("alice", &["platform"]);
    let of_alice = alice.spawn(Call::post("/deploy", "hers"));
    let pending = stage.api.pending(51).await;
    let bob = stage.approver("bob", "sre").await;
    say_yes(&bob, text(&pending[0]["id"])).await;
    assert_eq!(answer(of_alice).await.status, 200);
    // Its body is longer than an approver is shown.
    say_yes_unseen(&bob, text(&pending[50]["id"])).await;
    let again = script.spawn(Call::post("/deploy", "again"));
    stage.api.pending(50).await;
    let record = stage
        .api
        .records("subject=script&code=too_many_pending", 10)
        .await;
    assert_eq!(record.len(), 10);
    drop((waiting, again));
    stage.deployment.envoy.admin.assert_no_traps().await;
}
