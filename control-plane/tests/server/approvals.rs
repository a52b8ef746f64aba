//! Approvals: shared while they are pending, spent once, decided once, and never by who asks.

use std::time::{Duration, Instant};

use chaperone_engine::approval::{BodyBinding, BoundRequest, body_sha256};
use chaperone_engine::audit::RecordId;
use chaperone_engine::link::{AskRequest, BodyPreview, NodeId};
use chaperone_engine::policy::ApproveTerms;
use chaperone_engine::upstreams::Operation;
use serde_json::{Value, json};

use crate::kit::{self, Server, node, principal, request_line};

/// What is asked about: the path makes the request, the terms come from the rule.
struct Ask {
    node: NodeId,
    subject: &'static str,
    path: &'static str,
    terms: ApproveTerms,
    preview: Option<BodyPreview>,
}

impl Ask {
    fn new(path: &'static str) -> Self {
        Self {
            node: node("envoy-1", 1),
            subject: "alice",
            path,
            terms: ApproveTerms::by(["sre"]),
            preview: None,
        }
    }

    fn body(&self, stream: u64) -> Value {
        let digest = BoundRequest {
            issuer: "https://issuer.example.com",
            subject: self.subject,
            agent: None,
            connection: "api",
            method: "POST",
            host: "api.example.com",
            path: self.path,
            query: None,
            content_type: None,
            content_encoding: None,
            body: BodyBinding::Whole(body_sha256(b"")),
        }
        .digest();
        let ask = AskRequest {
            node: self.node.clone(),
            record: RecordId::new(&self.node.boot, stream),
            digest,
            policy_version: 1,
            rule: "writes".to_owned(),
            reason: "Writes need an SRE.".to_owned(),
            terms: self.terms.clone(),
            principal: principal(self.subject),
            connection: "api".to_owned(),
            operation: Operation {
                action: "POST /x".to_owned(),
                attributes: Default::default(),
            },
            request: request_line(self.path),
            content_type: None,
            body: self.preview.clone(),
        };
        serde_json::to_value(ask).unwrap()
    }

    async fn send(&self, server: &Server, stream: u64) -> Value {
        server
            .data("/node/v1/approvals/ask", self.body(stream))
            .await
            .ok()
    }

    /// Asks and expects to wait; returns the approval.
    async fn pending(&self, server: &Server, stream: u64) -> String {
        let answer = self.send(server, stream).await;
        assert_eq!(answer["answer"], "pending", "{answer}");
        answer["approval"].as_str().unwrap().to_owned()
    }
}

async fn approve(server: &Server, id: &str) -> Value {
    server
        .post(
            &format!("/api/v1/approvals/{id}/approve"),
            json!({ "comment": "fine" }),
        )
        .await
        .ok()
}

async fn deny(server: &Server, id: &str) -> Value {
    server
        .post(
            &format!("/api/v1/approvals/{id}/deny"),
            json!({ "reason": "not today" }),
        )
        .await
        .ok()
}

#[tokio::test]
async fn identical_requests_share_one_question_and_others_do_not() {
    let (server, _temp) = kit::start().await;
    let ask = Ask::new("/a");
    let first = ask.pending(&server, 1).await;
    assert_eq!(ask.pending(&server, 2).await, first);
    assert_ne!(Ask::new("/b").pending(&server, 3).await, first);
    let shown = server.get(&format!("/api/v1/approvals/{first}")).await.ok();
    assert_eq!(shown["records"], 2);
    assert_eq!(shown["principal"]["subject"], "alice");
    assert_eq!(shown["rule"], "writes");
}

#[tokio::test]
async fn lists_and_watchers_get_no_bodies_and_one_approval_has_its_own() {
    let (server, _temp) = kit::start().await;
    let mut events = server.stream("/api/v1/approvals/watch").await;
    let mut ask = Ask::new("/a").body(1);
    let content = json!({"text": "x".repeat(16_384)});
    ask["body"] = json!({"content": content, "total_bytes": 20_000, "truncated": true});
    let asked = server.data("/node/v1/approvals/ask", ask).await.ok();
    let id = asked["approval"].as_str().unwrap();
    let shown = server.get(&format!("/api/v1/approvals/{id}")).await.ok();
    assert_eq!(shown["body"]["content"], content);
    let listed = server.get("/api/v1/approvals?state=pending").await.ok();
    assert_eq!(listed["items"][0]["id"], id);
    assert_eq!(listed["items"][0].get("body"), None);
    let (_, watched) = events.next().await.unwrap();
    assert_eq!(watched["id"], id);
    assert_eq!(watched.get("body"), None);
}

#[tokio::test]
async fn one_subject_may_ask_only_so_many_questions_at_once() {
    let (server, _temp) = kit::start().await;
    for stream in 1..=50 {
        let path: &'static str = format!("/{stream}").leak();
        Ask::new(path).pending(&server, stream).await;
    }
    let refused = Ask::new("/one-more").send(&server, 51).await;
    assert_eq!(refused["answer"], "too_many_pending", "{refused}");
    let mut carol = Ask::new("/one-more");
    carol.subject = "carol";
    carol.pending(&server, 52).await;
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains("chaperone_approval_asks_total{outcome=\"too_many_pending\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_one_time_grant_is_spent_by_exactly_one_of_many_at_once() {
    let (server, _temp) = kit::start().await;
    let ask = Ask::new("/a");
    let id = ask.pending(&server, 1).await;
    for stream in 2..=20 {
        ask.pending(&server, stream).await;
    }
    approve(&server, &id).await;
    let answers =
        futures_util::future::join_all((1..=40).map(|stream| ask.send(&server, stream))).await;
    let granted: Vec<_> = answers
        .iter()
        .filter(|a| a["answer"] == "granted")
        .collect();
    assert_eq!(granted.len(), 1, "{answers:?}");
    assert_eq!(granted[0]["approval"], id.as_str());
    assert_eq!(
        (granted[0]["by"].as_str(), granted[0]["comment"].as_str()),
        (Some("admin"), Some("fine"))
    );
    // The rest share one new question.
    let anew: std::collections::BTreeSet<_> = answers
        .iter()
        .filter(|a| a["answer"] == "pending")
        .map(|a| a["approval"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(anew.len(), 1);
    assert!(!anew.contains(&id));
}

#[tokio::test]
async fn asking_again_with_the_same_record_gives_the_same_answer() {
    let (server, _temp) = kit::start().await;
    let ask = Ask::new("/a");
    let id = ask.pending(&server, 1).await;
    approve(&server, &id).await;
    for _ in 0..3 {
        assert_eq!(ask.send(&server, 1).await["answer"], "granted");
    }
    assert_eq!(
        ask.send(&server, 2).await["answer"],
        "pending",
        "it was spent once, not thrice"
    );
    let shown = server.get(&format!("/api/v1/approvals/{id}")).await.ok();
    assert_eq!(shown["state"], "spent");
    assert_eq!(shown["spent_by"], RecordId::new(&ask.node.boot, 1).0);
}

#[tokio::test]
async fn a_ticket_is_redeemed_by_sending_the_request_again_even_from_another_node() {
    let (server, _temp) = kit::start().await;
    let first = Ask::new("/a");
    let id = first.pending(&server, 1).await;
    approve(&server, &id).await;
    let other = Ask {
        node: node("envoy-2", 2),
        ..Ask::new("/a")
    };
    let answer = other.send(&server, 9).await;
    assert_eq!(
        (answer["answer"].as_str(), answer["approval"].as_str()),
        (Some("granted"), Some(&*id))
    );
}

#[tokio::test]
async fn a_denial_reaches_the_one_who_waits_and_the_next_one_is_asked_about_again() {
    let (server, _temp) = kit::start().await;
    let ask = Ask::new("/a");
    let id = ask.pending(&server, 1).await;
    let view = deny(&server, &id).await;
    assert_eq!(view["state"], "denied");
    let answer = ask.send(&server, 1).await;
    assert_eq!(
        (answer["answer"].as_str(), answer["comment"].as_str()),
        (Some("denied"), Some("not today"))
    );
    assert_ne!(ask.pending(&server, 2).await, id);
}

#[tokio::test]
async fn a_denial_that_nobody_waited_for_answers_the_ticket() {
    let (server, _temp) = kit::start().await;
    let ask = Ask::new("/a");
    let id = ask.pending(&server, 1).await;
    deny(&server, &id).await;
    let answer = ask.send(&server, 2).await;
    assert_eq!(
        (answer["answer"].as_str(), answer["approval"].as_str()),
        (Some("denied"), Some(&*id))
    );
    assert_ne!(ask.pending(&server, 3).await, id);
}

#[tokio::test]
async fn a_window_lets_the_same_request_pass_until_it_ends() {
    let (server, _temp) = kit::start().await;
    let mut ask = Ask::new("/a");
    ask.terms.grant = "2s".parse().unwrap();
    let id = ask.pending(&server, 1).await;
    let view = approve(&server, &id).await;
    let ends = view["grant_ends_at"].as_u64().unwrap();
    for stream in 1..=5 {
        assert_eq!(ask.send(&server, stream).await["answer"], "granted");
    }
    assert_eq!(Ask::new("/b").send(&server, 6).await["answer"], "pending");
    // Its end is told to whoever watches.
    let mut events = server.stream("/api/v1/approvals/watch?state=expired").await;
    let (_, ended) = events.next().await.unwrap();
    assert_eq!(ended["id"], id.as_str());
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!(now.as_millis() as u64 >= ends);
    assert_ne!(ask.pending(&server, 7).await, id);
    // A record that was let through stays let through.
    assert_eq!(ask.send(&server, 1).await["answer"], "granted");
}

#[tokio::test]
async fn what_was_approved_under_looser_terms_is_asked_again_under_stricter_ones() {
    let (server, _temp) = kit::start().await;
    let loose = Ask::new("/a");
    let id = loose.pending(&server, 1).await;
    approve(&server, &id).await;
    let strict = Ask {
        terms: ApproveTerms::by(["security"]),
        ..Ask::new("/a")
    };
    assert_ne!(strict.pending(&server, 2).await, id);
    assert_eq!(loose.send(&server, 3).await["answer"], "granted");
}

#[tokio::test]
async fn silence_expires_and_wakes_whoever_waits() {
    let (server, _temp) = kit::start().await;
    let mut ask = Ask::new("/a");
    ask.terms.hold = "1s".parse().unwrap();
    ask.terms.expires = "1s".parse().unwrap();
    let id = ask.pending(&server, 1).await;
    // A watch that nothing wakes gets nothing.
    let watch = json!({ "node": ask.node, "approvals": [id], "wait_ms": 30_000 });
    let answer = server.data("/node/v1/approvals/watch", watch).await.ok();
    assert_eq!(
        answer,
        json!({ "decided": [{ "approval": id, "state": "expired" }] })
    );
    assert_eq!(ask.send(&server, 1).await["answer"], "expired");
    let late = server
        .post(&format!("/api/v1/approvals/{id}/approve"), json!({}))
        .await;
    late.problem(409, "approval_not_pending");
    assert_ne!(ask.pending(&server, 2).await, id);
}

#[tokio::test]
async fn a_decision_wakes_the_watch() {
    let (server, _temp) = kit::start().await;
    let ask = Ask::new("/a");
    for stream in 10..20 {
        let id = ask.pending(&server, stream).await;
        let watch = async {
            // One that nothing wakes gets nothing.
            let body = json!({ "node": ask.node, "approvals": [id], "wait_ms": 30_000 });
            server.data("/node/v1/approvals/watch", body).await.ok()
        };
        let decide = async {
            let waiting = "chaperone_long_polls 1";
            while !server.get("/metrics").await.text.contains(waiting) {
                tokio::task::yield_now().await;
            }
            approve(&server, &id).await;
        };
        let (answer, ()) = tokio::join!(watch, decide);
        assert_eq!(
            answer,
            json!({ "decided": [{ "approval": id, "state": "approved" }] })
        );
        assert_eq!(ask.send(&server, stream).await["answer"], "granted");
    }
}

#[tokio::test]
async fn a_decision_wakes_nobody_who_waits_for_another() {
    let (server, _temp) = kit::start().await;
    let other = Ask::new("/b").pending(&server, 1).await;
    let id = Ask::new("/a").pending(&server, 2).await;
    let body = json!({ "node": node("envoy-1", 1), "approvals": [other], "wait_ms": 500 });
    let started = Instant::now();
    let (answer, _) = tokio::join!(
        server.data("/node/v1/approvals/watch", body),
        approve(&server, &id)
    );
    assert_eq!(answer.ok(), json!({ "decided": [] }));
    assert!(started.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn an_approval_that_is_not_known_is_expired() {
    let (server, _temp) = kit::start().await;
    let watch = json!({ "node": node("envoy-1", 1), "approvals": ["ap-none"], "wait_ms": 30_000 });
    let answer = server.data("/node/v1/approvals/watch", watch).await.ok();
    assert_eq!(
        answer["decided"],
        json!([{ "approval": "ap-none", "state": "expired" }])
    );
}

#[tokio::test]
async fn nobody_approves_their_own_request_and_only_the_named_groups_answer() {
    let (server, _temp) = kit::start().await;
    let ask = Ask::new("/a");
    let id = ask.pending(&server, 1).await;
    let path = format!("/api/v1/approvals/{id}/approve");
    let answer = async |token: &str| server.call("POST", &path, Some(token), None).await;
    let own = server.token("approver", "alice", &["sre"]).await;
    answer(&own).await.problem(403, "own_request");
    let stranger = server.token("approver", "bob", &["dev"]).await;
    let problem = answer(&stranger).await.problem(403, "not_an_approver");
    assert!(problem["detail"].as_str().unwrap().contains("sre"));
    let sre = server.token("approver", "carol", &["sre"]).await;
    assert_eq!(answer(&sre).await.ok()["state"], "approved");
    answer(&sre).await.problem(409, "approval_not_pending");
    let deny = format!("/api/v1/approvals/{id}/deny");
    server
        .post(&deny, json!({ "reason": "late" }))
        .await
        .problem(409, "approval_not_pending");
    server
        .post("/api/v1/approvals/ap-none/approve", json!({}))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn two_approvers_are_two_people() {
    let (server, _temp) = kit::start().await;
    let mut ask = Ask::new("/a");
    ask.terms.count = 2;
    let id = ask.pending(&server, 1).await;
    let path = format!("/api/v1/approvals/{id}/approve");
    let carol = server.token("approver", "carol", &["sre"]).await;
    let first = server.call("POST", &path, Some(&carol), None).await.ok();
    assert_eq!(
        (first["state"].as_str(), first["answers"][0]["by"].as_str()),
        (Some("pending"), Some("carol"))
    );
    server
        .call("POST", &path, Some(&carol), None)
        .await
        .problem(409, "already_answered");
    assert_eq!(ask.send(&server, 1).await["answer"], "pending");
    let approved = approve(&server, &id).await;
    assert_eq!(approved["state"], "approved");
    let granted = ask.send(&server, 1).await;
    assert_eq!(granted["answer"], "granted");
    // The record names both, not only the one whose answer decided.
    let both: Vec<_> = approved["answers"].as_array().unwrap().iter().collect();
    let both = both.iter().map(|given| given["by"].as_str().unwrap());
    assert_eq!(granted["by"], both.collect::<Vec<_>>().join(", "));
    assert!(granted["by"].as_str().unwrap().starts_with("carol, "));
}

/// Runs `chaperone approvals …`; its standard input is no terminal.
async fn command(server: &Server, dir: &std::path::Path, arguments: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_chaperone"));
    command
        .arg("approvals")
        .args(arguments)
        .args(["--server", &server.base, "--token-file"])
        .arg(dir.join("data/admin.token"))
        .stdin(std::process::Stdio::null());
    let output = command.output().await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn what_an_approver_cannot_see_is_said_and_wants_a_second_word() {
    let (server, temp) = kit::start().await;
    let dir = temp.path();
    let previews = [
        (
            json!({ "content": { "text": "x" }, "total_bytes": 20_000, "truncated": true }),
            "beginning",
        ),
        (json!(null), "nothing"),
        (
            json!({ "content": { "text": "x" }, "total_bytes": 1, "truncated": false }),
            "whole",
        ),
    ];
    for (number, (preview, shown)) in (1..).zip(previews) {
        let mut ask = Ask::new(["/a", "/b", "/c"][number as usize - 1]);
        ask.preview = serde_json::from_value(preview).unwrap();
        let id = ask.pending(&server, number).await;
        let (_, list) = command(&server, dir, &["list"]).await;
        let row = list.lines().find(|line| line.starts_with(&id)).unwrap();
        assert!(row.contains(shown), "{row}");
        let listed = server.get("/api/v1/approvals?state=pending").await.ok();
        assert_eq!(listed["items"][0]["body_shown"], shown);
        assert_eq!(listed["items"][0]["body"], json!(null));

        let (done, said) = command(&server, dir, &["approve", &id]).await;
        assert_eq!(done, shown == "whole", "{said}");
        if !done {
            assert!(said.contains("--unseen"), "{said}");
            let state = server.get(&format!("/api/v1/approvals/{id}")).await.ok();
            assert_eq!(state["state"], "pending");
            let (done, said) = command(&server, dir, &["approve", &id, "--unseen"]).await;
            assert!(done, "{said}");
        }
    }
}

#[tokio::test]
async fn of_two_answers_at_once_one_counts() {
    let (server, _temp) = kit::start().await;
    let id = Ask::new("/a").pending(&server, 1).await;
    let yes = format!("/api/v1/approvals/{id}/approve");
    let no = format!("/api/v1/approvals/{id}/deny");
    let calls = (0..10).map(|n| {
        let (server, path) = (&server, if n % 2 == 0 { &yes } else { &no });
        async move {
            server
                .post(
                    path,
                    if n % 2 == 0 {
                        json!({})
                    } else {
                        json!({ "reason": "no" })
                    },
                )
                .await
                .status
        }
    });
    let mut statuses = futures_util::future::join_all(calls).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [&[200][..], &[409; 9]].concat());
}

#[tokio::test]
async fn approvers_see_questions_as_they_come_and_go() {
    let (server, _temp) = kit::start().await;
    let first = Ask::new("/a").pending(&server, 1).await;
    let mut watch = server.stream("/api/v1/approvals/watch").await;
    let mut next = async || {
        let (name, approval) = watch.next().await.unwrap();
        assert_eq!(name, "approval");
        (
            approval["id"].as_str().unwrap().to_owned(),
            approval["state"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(
        next().await,
        (first.clone(), "pending".to_owned()),
        "what is open comes first"
    );
    let second = Ask::new("/b").pending(&server, 2).await;
    assert_eq!(next().await, (second.clone(), "pending".to_owned()));
    approve(&server, &first).await;
    assert_eq!(next().await, (first.clone(), "approved".to_owned()));
    Ask::new("/a").send(&server, 1).await;
    assert_eq!(next().await, (first, "spent".to_owned()));
    let open = server.get("/api/v1/approvals?state=pending").await.ok();
    assert_eq!(open["items"].as_array().unwrap().len(), 1);
    assert_eq!(open["items"][0]["id"], second.as_str());
}

#[tokio::test]
async fn a_denial_needs_a_reason() {
    let (server, _temp) = kit::start().await;
    let id = Ask::new("/a").pending(&server, 1).await;
    let path = format!("/api/v1/approvals/{id}/deny");
    server
        .post(&path, json!({}))
        .await
        .problem(400, "invalid_body");
    server
        .post(&path, json!({ "reason": "  " }))
        .await
        .problem(400, "invalid_body");
}

#[tokio::test]
async fn a_node_cannot_ask_for_a_record_of_another() {
    let (server, _temp) = kit::start().await;
    let mut body = Ask::new("/a").body(1);
    body["record"] = json!(RecordId::new(&node("envoy-2", 2).boot, 1));
    server
        .data("/node/v1/approvals/ask", body)
        .await
        .problem(400, "invalid_body");
}

#[tokio::test]
async fn a_stream_ends_with_the_token_that_began_it() {
    let (server, _temp) = kit::start().await;
    let body = json!({ "name": "watcher", "role": "approver" });
    let created = server.post("/api/v1/tokens", body).await.json();
    let secret = created["secret"].as_str().unwrap();
    let mut events = server.stream_as(secret, "/api/v1/approvals/watch").await;
    Ask::new("/before").pending(&server, 1).await;
    assert_eq!(events.next().await.unwrap().1["request"]["path"], "/before");
    let path = format!("/api/v1/tokens/{}", created["id"].as_str().unwrap());
    let revoked = server
        .call("DELETE", &path, Some(&server.admin), None)
        .await;
    assert_eq!(revoked.status, 204);
    Ask::new("/after").pending(&server, 2).await;
    assert!(
        events.next().await.is_none(),
        "told after it was locked out"
    );
}
