//! Bodies that are full of secrets: whoever sends one waits for it, and others on the same worker
//! do not.

use std::path::PathBuf;

use chaperone_engine::masking::{Content, DetectorSet, FingerprintKey, Plan, mask_whole};
use chaperone_tests::client::{Call, Http};
use chaperone_tests::masked::{HERE, without_fingerprints};
use chaperone_tests::places;
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{PLAIN, Setting, Stage, allow, secret};
use chaperone_tests::upstream::{End, Reply};
use hyper::HeaderMap;
use serde_json::json;

/// A secret in each line: a callback masks some ten kilobytes of it.
fn dense(bytes: usize) -> Vec<u8> {
    let line = format!("pay {} now\n", secret());
    line.repeat(bytes / line.len()).into_bytes()
}

/// What the engine alone makes of it, without fingerprints.
fn masked(bytes: usize) -> String {
    let set = DetectorSet::compile(&["secrets/*"]).unwrap();
    let plan = Plan::masking(set.into()).into();
    let key = FingerprintKey::from_bytes([1; 32]);
    // All lines are alike, and it takes its time without optimisation.
    let few = 20_000;
    let (body, _) = mask_whole(&plan, &key, &Content::text(), &dense(few));
    let masked = without_fingerprints(&String::from_utf8(body.into_bytes()).unwrap());
    assert_eq!(masked.matches(HERE).count(), lines(few));
    let line = masked.lines().next().unwrap();
    format!("{line}\n").repeat(lines(bytes))
}

fn lines(bytes: usize) -> usize {
    String::from_utf8(dense(bytes)).unwrap().lines().count()
}

async fn stage(envoy: PathBuf, client: Http, upstream: Http) -> Stage {
    let recorded = json!({"name": "recorded", "match": {"paths": ["/recorded/**"]},
        "effect": "allow", "audit": "required"});
    Setting::with(&[allow("platform", "platform"), recorded])
        .envoy(envoy)
        .http(client, upstream)
        .workers(1)
        .start()
        .await
}

fn assert_same(got: &str, wanted: &str, how: &str) {
    let got = without_fingerprints(got);
    if got != wanted {
        let at = got.bytes().zip(wanted.bytes()).position(|(a, b)| a != b);
        let (got, wanted) = (got.len(), wanted.len());
        panic!("{how}: {got} bytes for {wanted}, other ones from {at:?} on");
    }
}

async fn others_go_on_meanwhile(envoy: PathBuf, http: Http) {
    const SIZE: usize = 9 << 20;
    // Two where each piece is masked at once, and several dozens in steps.
    const OTHERS: usize = 5;
    let stage = stage(envoy, http, Http::One).await;
    let (alice, bob) = (
        stage.agent("alice", &["platform"]),
        stage.agent("bob", &["platform"]).at(PLAIN),
    );
    let wanted = masked(SIZE);
    stage.upstream.answer(|seen| match seen.path() {
        "/dense" => Reply::ok(dense(SIZE)).header("content-type", "text/plain"),
        _ => Reply::ok("fine"),
    });
    for is_answer in [false, true] {
        let how = format!("{http:?}, {}", if is_answer { "answer" } else { "request" });
        let call = match is_answer {
            true => Call::get("/dense"),
            false => Call::post("/upload", dense(SIZE)).header("content-type", "text/plain"),
        };
        let sending = alice.send(call);
        tokio::pin!(sending);
        let mut others = 0;
        let answer = loop {
            let other = bob.send(Call::get("/other"));
            tokio::select! {
                biased;
                answer = &mut sending => break answer,
                answer = other => {
                    assert_eq!(answer.status, 200, "{how}");
                    others += 1;
                }
            }
        };
        assert_eq!(answer.status, 200, "{how}: {}", answer.text());
        assert!(others >= OTHERS, "{how}: {others}");
        if is_answer {
            assert_same(&answer.text(), &wanted, &how);
        } else {
            let seen = stage.upstream.wait_for("/upload", 1).await.remove(0);
            assert_eq!(seen.end, Some(End::Complete), "{how}");
            assert_same(&seen.text(), &wanted, &how);
        }
        stage.upstream.forget();
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_go_on_while_a_dense_body_is_masked() {
    others_go_on_meanwhile(places::envoy(), Http::One).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_do_over_http2() {
    others_go_on_meanwhile(places::envoy(), Http::Two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_do_on_the_oldest_envoy() {
    others_go_on_meanwhile(places::oldest_envoy(), Http::One).await;
}

/// Dense bodies of every length and shape, at once and after a hold.
async fn they_arrive_whole(envoy: PathBuf) {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    for client in [Http::One, Http::Two] {
        let stage = stage(envoy.clone(), client, Http::Two).await;
        let alice = stage.agent("alice", &["platform"]);
        let mut number = 0;
        for (size, cut) in [
            (40_000, 50_000),
            (60_000, 7_000),
            (300_000, 400_000),
            (300_000, 50_000),
            (1_500_000, 60_000),
            (3_000_000, 4_000_000),
        ] {
            let (body, wanted) = (dense(size), masked(size));
            for hold in ["free", "recorded"] {
                for ends_in in ["length", "end", "trailers"] {
                    // Behind longer pieces trailers break it off: see docs/filter.md.
                    let is_short = size < 100_000 && cut > size;
                    if ends_in == "trailers" && !is_short {
                        continue;
                    }
                    let how = format!("{client:?} {size} {cut} {hold} {ends_in}");
                    let script = match ends_in {
                        "length" => Script::new().chunk(body.clone()),
                        "end" => Script::new().cut(&body, cut).chunk(""),
                        _ => Script::new().cut(&body, cut).trailers(trailers.clone()),
                    };
                    number += 1;
                    let path = format!("/{hold}/{number}");
                    let call = Call::post(&path, script).header("content-type", "text/plain");
                    let answer = alice.send(call).await;
                    assert_eq!(answer.status, 200, "{how}: {}", answer.text());
                    let seen = stage.upstream.wait_for(&path, 1).await.remove(0);
                    assert_eq!(seen.end, Some(End::Complete), "{how}");
                    assert_same(&seen.text(), &wanted, &how);
                    // Over HTTP/1.1 Envoy drops them.
                    let has_trailers = seen.trailers.contains_key("x-checksum");
                    let wanted = ends_in == "trailers" && client == Http::Two;
                    assert_eq!(has_trailers, wanted, "{how}");
                }
            }
        }
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}

#[tokio::test]
async fn they_arrive_whole_however_they_come() {
    they_arrive_whole(places::envoy()).await;
}

#[tokio::test]
async fn they_do_so_on_the_oldest_envoy() {
    they_arrive_whole(places::oldest_envoy()).await;
}

/// A sender that waits after a short dense piece of a body without a length.
async fn a_short_piece_arrives(envoy: PathBuf) {
    let stage = stage(envoy, Http::Two, Http::Two).await;
    let alice = stage.agent("alice", &["platform"]);
    let wanted = masked(50_000);
    for direction in ["request", "answer"] {
        let gate = Gate::closed();
        let script = Script::new()
            .cut(&dense(50_000), 16_000)
            .wait(&gate)
            .chunk("and ")
            .chunk("on")
            .chunk("");
        let how = direction;
        let arrived = if direction == "request" {
            let call = Call::post("/talk", script).header("content-type", "text/plain");
            let sending = alice.send(call);
            let all = async {
                chaperone_tests::wait::until("the piece to arrive", async || {
                    let seen = stage.upstream.seen_at("/talk").pop()?;
                    let here = without_fingerprints(&seen.text()).len();
                    (here >= wanted.len()).then_some(())
                })
                .await;
                gate.open();
            };
            let (answer, ()) = tokio::join!(sending, all);
            assert_eq!(answer.status, 200, "{how}");
            stage.upstream.wait_for("/talk", 1).await.remove(0).text()
        } else {
            let reply = Reply::ok(script).header("content-type", "text/event-stream");
            stage.upstream.always(reply);
            let mut answering = alice.start(Call::get("/talk")).await;
            let mut got = Vec::new();
            while without_fingerprints(&String::from_utf8_lossy(&got)).len() < wanted.len() {
                got.extend(answering.chunk().await.unwrap().expect("more of it"));
            }
            gate.open();
            answering.rest().await.unwrap().text()
        };
        assert_same(&arrived, &format!("{wanted}and on"), how);
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn a_short_piece_arrives_although_its_sender_waits() {
    a_short_piece_arrives(places::envoy()).await;
}

#[tokio::test]
async fn it_does_on_the_oldest_envoy() {
    a_short_piece_arrives(places::oldest_envoy()).await;
}
