//! What a policy does with a secret besides masking it: block, report, keep its last characters,
//! mask values by their names, and give back to the one who sent it.

use chaperone_tests::agents::{Library, Request};
use chaperone_tests::api::text;
use chaperone_tests::client::Call;
use chaperone_tests::masked::{assert_nothing_of, left_of, without_fingerprints};
use chaperone_tests::models::{Api, Said, Wire};
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{API, Setting, Stage, allow, private_key, secret};
use chaperone_tests::upstream::{End, Reply};
use serde_json::{Value, json};

const BOTH: [&str; 2] = ["request", "response"];

fn rule(name: &str, detectors: &[&str], on: &[&str], action: &str) -> Value {
    json!({"name": name, "detectors": detectors, "on": on, "action": action, "connections": ["api"]})
}

/// All is masked, private keys are blocked.
async fn blocking(profile: &str) -> Stage {
    let mask = rule("secrets", &["secrets/*"], &BOTH, "mask");
    let block = rule("no-keys", &["secrets/private-key"], &BOTH, "block");
    let setting = Setting::with(&[allow("platform", "platform")]);
    let setting = setting.masking(&[mask, block]).profile(profile);
    setting.start().await
}

fn keys() -> Vec<String> {
    vec![private_key()]
}

#[tokio::test]
async fn a_blocked_secret_in_a_request_is_403_and_nothing_of_it_goes_upstream() {
    let stage = blocking("body").await;
    let alice = stage.agent("alice", &["platform"]);
    let whole = format!("my key: {} and on", private_key());
    let at = whole.find("MIIEX").unwrap() + 9;
    let in_json = json!({"messages": [{"role": "user", "content": whole}]}).to_string();
    for (body, content_type) in [
        (Script::new().chunk(whole.clone()), "text/plain"),
        (
            Script::new()
                .chunk(whole[..at].to_owned())
                .chunk(whole[at..].to_owned()),
            "text/plain",
        ),
        (Script::new().cut(in_json.as_bytes(), 7), "application/json"),
    ] {
        stage.upstream.forget();
        let call = Call::post("/v1/messages", body).header("content-type", content_type);
        let answer = alice.send(call).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (403, Some("secret_blocked"))
        );
        assert!(!answer.text().contains("MIIEX"), "{}", answer.text());
        for seen in stage.upstream.seen() {
            assert_nothing_of(&seen.everything(), &keys(), "the upstream");
            assert_ne!(
                seen.end,
                Some(End::Complete),
                "half a request is not to be acted on"
            );
        }
        let record = stage.api.record(text(&answer.json()["record"])).await;
        assert_eq!(record["status"], 403, "{record}");
        assert!(!record.to_string().contains("MIIEX"), "{record}");
    }
    // Another secret is masked, and the request goes on.
    let answer = alice.send(Call::post("/v1/messages", secret())).await;
    assert_eq!(answer.status, 200);
    assert_eq!(stage.places_with("MIIEXAMPLEEXAMPLE"), Vec::<String>::new());
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn a_blocked_secret_late_in_a_request_breaks_it_off() {
    let stage = blocking("headers").await;
    let alice = stage.agent("alice", &["platform"]);
    let gate = Gate::closed();
    let body = Script::new()
        .chunk("x".repeat(300_000))
        .wait(&gate)
        .chunk(private_key())
        .chunk("and on");
    let sending = alice.spawn(Call::post("/upload", body).header("content-type", "text/plain"));
    // What was clean has gone upstream before the secret comes.
    chaperone_tests::wait::until("the upstream to have the beginning", async || {
        let seen = stage.upstream.seen_at("/upload");
        seen.first()
            .is_some_and(|seen| seen.body.len() >= 300_000)
            .then_some(())
    })
    .await;
    gate.open();
    if let Ok(Ok(answer)) = sending.await {
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (403, Some("secret_blocked"))
        );
    }
    let seen = chaperone_tests::wait::until("the upstream to be told", async || {
        let seen = stage.upstream.seen_at("/upload").remove(0);
        seen.end.is_some().then_some(seen)
    })
    .await;
    assert_eq!(seen.end, Some(End::Aborted));
    assert_nothing_of(&seen.everything(), &keys(), "the upstream");
}

#[tokio::test]
async fn a_blocked_secret_in_a_streamed_answer_ends_it_with_an_error_that_libraries_raise() {
    let stage = blocking("body").await;
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    let port = stage.deployment.envoy.listener("agents").await.port();
    let base = format!("http://{API}:{port}");
    let said = Said {
        texts: vec![format!("Here it is: {} and on and on.", private_key())],
        ..Said::default()
    };
    let (npm, python) = (Library::npm(), Library::python());
    for api in Api::ALL {
        for delta in [1, 10_000] {
            let body = Wire::PLAIN.write(&api.stream(&said, delta));
            let reply = Reply::ok(Script::new().cut(&body, 501));
            stage
                .upstream
                .always(reply.header("content-type", "text/event-stream"));
            for library in [&npm, &python] {
                let request = Request {
                    call: api.streamed(),
                    base: &base,
                    token: &token,
                    request: &api.request("Say it."),
                };
                let outcome = library.call(request).await;
                let raw = String::from_utf8_lossy(&outcome.raw).into_owned();
                let error = outcome.result.expect_err(&format!("{api:?}: {raw}"));
                assert_is_documented(api, &error);
                assert_nothing_of(raw.as_bytes(), &keys(), &format!("{api:?}"));
                assert_nothing_of(
                    json!(outcome.events).to_string().as_bytes(),
                    &keys(),
                    "events",
                );
            }
        }
    }
    stage.deployment.envoy.admin.assert_no_traps().await;
}

/// # Panics
/// When an error is another than the one that this API's libraries document for an error event of a
/// stream.
fn assert_is_documented(api: Api, error: &Value) {
    let (names, code) = match api {
        // Python's library for Anthropic chooses the class by the status, which is 200 by then.
        Api::Messages => (["APIError", "APIStatusError"], "/body/error/type"),
        Api::Chat | Api::Responses => (["APIError", "APIError"], "/body/code"),
    };
    let wanted = match api {
        Api::Messages => "permission_error",
        Api::Chat | Api::Responses => "secret_blocked",
    };
    assert!(names.contains(&text(&error["name"])), "{api:?}: {error}");
    let code = error.pointer(code).and_then(Value::as_str);
    assert_eq!(code, Some(wanted), "{api:?}: {error}");
    assert!(
        text(&error["message"]).contains("secret"),
        "{api:?}: {error}"
    );
}

#[tokio::test]
async fn a_blocked_secret_in_an_answer_in_one_piece_is_not_given_and_no_library_takes_it_for_whole()
{
    let stage = blocking("body").await;
    let alice = stage.agent("alice", &["platform"]);
    let whole = json!({"choices": [{"message": {"content": private_key()}}]}).to_string();
    for body in [
        Script::new().chunk(whole.clone()),
        Script::new().cut(whole.as_bytes(), 9),
    ] {
        stage
            .upstream
            .always(Reply::ok(body).header("content-type", "application/json"));
        // Refused before it began, or broken off.
        if let Ok(answer) = alice.try_send(Call::get("/")).await {
            assert_ne!(answer.status, 200, "{}", answer.text());
            assert_nothing_of(&answer.body(), &keys(), "the answer");
        }
    }
}

#[tokio::test]
async fn a_blocked_secret_in_lines_of_deltas_ends_them_with_a_line_that_says_so() {
    let stage = blocking("body").await;
    let alice = stage.agent("alice", &["platform"]);
    let piece = |text: &str| json!({"model": "example-1", "message": {"role": "assistant", "content": text}, "done": false});
    let key = private_key();
    let (first, rest) = key.split_at(30);
    let gate = Gate::closed();
    let fine = format!("{}\n{}\n", piece("Here "), piece("it is: "));
    let secret = format!("{}\n{}\n{}\n", piece(first), piece(rest), piece("and on"));
    // The first lines have left before it is known that the answer is blocked.
    let script = Script::new().chunk(fine.clone()).wait(&gate);
    let reply = Reply::ok(script.cut(secret.as_bytes(), 17));
    stage
        .upstream
        .always(reply.header("content-type", "application/x-ndjson"));
    let mut answering = alice.start(Call::post("/api/chat", "{}")).await;
    answering.until(&fine).await.unwrap();
    gate.open();
    let answer = answering.rest().await.unwrap();
    assert_nothing_of(&answer.body(), &keys(), "the lines");
    let answer = answer.text();
    let last = answer
        .strip_prefix(&fine)
        .expect("what was fine is as it was");
    // Ollama's own clients raise what has an `error`, which is a text.
    let last: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {last}"));
    assert!(text(&last["error"]).contains("secret"), "{last}");
    stage.deployment.envoy.admin.assert_no_traps().await;
}

#[tokio::test]
async fn a_blocked_secret_in_a_growing_array_breaks_it_off() {
    let stage = blocking("body").await;
    let alice = stage.agent("alice", &["platform"]);
    let piece =
        |text: &str| json!({"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0}]});
    let gate = Gate::closed();
    let fine = format!("[{}", piece("Here it is: "));
    let secret = format!(",\n{},\n{}]", piece(&private_key()), piece("and on"));
    let script = Script::new().chunk(fine.clone()).wait(&gate);
    let reply = Reply::ok(script.cut(secret.as_bytes(), 17));
    stage
        .upstream
        .always(reply.header("content-type", "application/json"));
    let call = Call::post("/v1beta/models/example-1:streamGenerateContent", "{}");
    let mut answering = alice.start(call).await;
    answering.until(&fine).await.unwrap();
    gate.open();
    // No reader takes it for whole.
    if let Ok(answer) = answering.rest().await {
        panic!("it ends as if it were whole: {}", answer.text());
    }
}

#[tokio::test]
async fn what_is_only_reported_passes_unchanged_and_is_counted() {
    let report = rule("seen", &["secrets/*"], &BOTH, "report");
    let setting = Setting::with(&[allow("platform", "platform")]);
    let stage = setting.masking(&[report]).start().await;
    let alice = stage.agent("alice", &["platform"]);
    let body = json!({"token": secret()}).to_string();
    stage.upstream.always(
        Reply::ok(Script::new().cut(body.as_bytes(), 9)).header("content-type", "application/json"),
    );
    let answer = alice
        .send(Call::post("/x", body.clone()).header("content-type", "application/json"))
        .await;
    assert_eq!(answer.text(), body);
    assert_eq!(stage.upstream.seen()[0].text(), body);
    let by = "reported_by.secrets_github-fine-grained-pat";
    stage.wait_for_metric(by, |count| count == 2).await;
    assert_eq!(stage.metric("masked").await, 0);
    let record = stage.api.records("subject=alice", 1).await.remove(0);
    let record = stage.api.record(text(&record["id"])).await.to_string();
    assert!(
        record.contains(r#""reported":{"secrets/github-fine-grained-pat":2}"#),
        "{record}"
    );
}

#[tokio::test]
async fn the_last_characters_are_kept_where_the_policy_says_so() {
    let mut keep = rule("secrets", &["secrets/*"], &BOTH, "mask");
    keep["keep"] = json!(4);
    let setting = Setting::with(&[allow("platform", "platform")]);
    let stage = setting.masking(&[keep]).start().await;
    let alice = stage.agent("alice", &["platform"]);
    let said = Said {
        texts: vec![format!("It is {}.", secret())],
        ..Said::default()
    };
    let body = Wire::PLAIN.write(&Api::Chat.stream(&said, 3));
    stage
        .upstream
        .always(Reply::ok(body).header("content-type", "text/event-stream"));
    let answer = alice
        .send(Call::post("/x", format!("key={}", secret())))
        .await;
    let seen = stage.upstream.seen()[0].text();
    assert!(
        seen.starts_with("key=[masked:github-fine-grained-pat:") && seen.ends_with(":PLE4]"),
        "{seen}"
    );
    assert!(
        answer.text().contains(&seen["key=".len()..]),
        "{}",
        answer.text()
    );
    assert_eq!(left_of(answer.text().as_bytes(), &[secret()]), None);
}

#[tokio::test]
async fn values_are_masked_by_the_names_of_their_keys_whatever_they_are() {
    let keys = json!({"name": "keys", "keys": ["password", "client_secret"], "on": BOTH, "action": "mask"});
    let setting = Setting::with(&[allow("platform", "platform")]);
    let stage = setting.masking(&[keys]).start().await;
    let alice = stage.agent("alice", &["platform"]);
    let document = r#"{"user":"ann","password":"correct horse","n":1.50,"list":[{"Client-Secret":"x\n\u0041y"}],"passwords":"no"}"#;
    stage.upstream.always(
        Reply::ok(Script::new().cut(document.as_bytes(), 5))
            .header("content-type", "application/json"),
    );
    let form = "user=ann&password=correct+horse&x=1";
    let call =
        Call::post("/login", form).header("content-type", "application/x-www-form-urlencoded");
    let answer = alice.send(call).await;
    for gone in ["correct", "horse", "u0041"] {
        assert!(!answer.text().contains(gone), "{}", answer.text());
    }
    let got = answer.json();
    assert_eq!(
        (&got["user"], &got["passwords"]),
        (&json!("ann"), &json!("no"))
    );
    assert!(text(&got["password"]).starts_with("[masked:"), "{got}");
    assert!(
        text(&got["list"][0]["Client-Secret"]).starts_with("[masked:"),
        "{got}"
    );
    assert!(answer.text().contains("\"n\":1.50"), "{}", answer.text());
    let seen = stage.upstream.seen()[0].text();
    assert!(
        seen.starts_with("user=ann&password=") && seen.ends_with("&x=1"),
        "{seen}"
    );
    assert!(!seen.contains("horse"), "{seen}");
}

#[tokio::test]
async fn a_detector_of_ones_own_finds_what_it_says_and_allows_what_it_allows() {
    let own = json!({"name": "custom/acme-token", "description": "Acme API token", "severity": "high",
        "regex": "acme_([a-z0-9]{32})", "keywords": ["acme_"], "entropy": 3.0,
        "allow": [{"stopwords": ["example0"]}]});
    let setting = Setting::with(&[allow("platform", "platform")]);
    let setting = setting.masking(&[rule("own", &["custom/*"], &BOTH, "mask")]);
    let stage = setting.detectors(&[own]).start().await;
    let alice = stage.agent("alice", &["platform"]);
    let (random, plain, allowed) = (
        "acme_q7w2e9r4t1y8u3i6o5p0a2s4d6f8g1h3",
        "acme_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "acme_example0e9r4t1y8u3i6o5p0a2s4d6f8",
    );
    let body = json!([random, plain, allowed]).to_string();
    stage.upstream.always(
        Reply::ok(Script::new().cut(body.as_bytes(), 3)).header("content-type", "application/json"),
    );
    let answer = alice.send(Call::get("/")).await;
    let wanted = json!(["acme_<masked>", plain, allowed]).to_string();
    assert_eq!(without_fingerprints(&answer.text()), wanted);
}

#[tokio::test]
async fn what_was_masked_for_a_model_comes_back_to_who_sent_it_and_to_nobody_else() {
    let customers = json!({"name": "custom/customer", "description": "Name of a customer",
        "severity": "medium", "regex": "customer-[a-z]{12}"});
    let mut restored = rule("people", &["custom/customer"], &["request"], "mask");
    restored["restore"] = json!(true);
    let secrets = rule("secrets", &["secrets/*"], &BOTH, "mask");
    let setting = Setting::with(&[allow("platform", "platform")]);
    // What a session had masked is in the memory of one worker.
    let setting = setting
        .detectors(&[customers])
        .masking(&[restored, secrets])
        .workers(1);
    let stage = setting.start().await;
    let customer = "customer-exampleperso";
    // The model repeats what it was told, one character per delta.
    stage.upstream.answer(|seen| {
        let request: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let said = Said {
            texts: vec![format!(
                "You said: {}",
                request["input"].as_str().unwrap_or_default()
            )],
            ..Said::default()
        };
        let body = Wire::PLAIN.write(&Api::Chat.stream(&said, 1));
        Reply::ok(Script::new().cut(&body, 997)).header("content-type", "text/event-stream")
    });
    let port = stage.deployment.envoy.listener("agents").await.port();
    let base = format!("http://{API}:{port}");
    let library = Library::npm();
    let ask = async |who: &str, input: String| {
        let token = stage
            .issuer
            .token(who)
            .groups(&["platform"])
            .claim("sid", who)
            .sign();
        let mut request = Api::Chat.request("");
        request["input"] = json!(input);
        let request = Request {
            call: Api::Chat.streamed(),
            base: &base,
            token: &token,
            request: &request,
        };
        let (answer, _, _) = library.call(request).await.ok();
        text(&answer["choices"][0]["message"]["content"]).to_owned()
    };
    let got = ask("alice", format!("write to {customer} with {}", secret())).await;
    assert_eq!(
        without_fingerprints(&got),
        format!("You said: write to {customer} with <masked>")
    );
    let seen = stage.upstream.seen().remove(0).text();
    assert!(!seen.contains("exampleperso"), "{seen}");
    let at = seen
        .find("[masked:customer:")
        .expect("the model sees a placeholder");
    let placeholder = seen[at..=at + seen[at..].find(']').unwrap()].to_owned();

    // In its session the agent need not send it again.
    let got = ask("alice", format!("who is {placeholder}?")).await;
    assert_eq!(got, format!("You said: who is {customer}?"));

    // Whoever only has the placeholder has nothing.
    let got = ask("bob", format!("who is {placeholder}?")).await;
    assert_eq!(got, format!("You said: who is {placeholder}?"));

    stage.assert_trail_is_complete().await;
    assert_eq!(stage.places_with("exampleperso"), Vec::<String>::new());
    assert!(
        !stage.places_with(&placeholder).is_empty(),
        "the placeholder is in the trail"
    );
    stage.deployment.envoy.admin.assert_no_traps().await;
}
