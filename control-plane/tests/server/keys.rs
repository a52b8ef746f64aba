//! Key sets: found, refreshed, rotated in the middle of traffic, kept when their issuer is away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Json;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chaperone_engine::bundle::{self, PublicKey};
use serde_json::{Value, json};

use crate::kit::{self, Server, node};

/// An issuer on this machine whose keys a test can change.
struct Provider {
    url: String,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    issuer: Mutex<String>,
    keys: Mutex<Value>,
    fetches: AtomicUsize,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    async fn start(keys: Value) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            issuer: Mutex::new(url.clone()),
            keys: Mutex::new(keys),
            fetches: AtomicUsize::new(0),
        });
        let (one, two) = (Arc::clone(&state), Arc::clone(&state));
        let base = url.clone();
        let router = axum::Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(async move || {
                    let issuer = one.issuer.lock().unwrap().clone();
                    Json(json!({ "issuer": issuer, "jwks_uri": format!("{base}/keys") }))
                }),
            )
            .route(
                "/keys",
                get(async move || {
                    two.fetches.fetch_add(1, Ordering::SeqCst);
                    let keys = two.keys.lock().unwrap().clone();
                    keys.to_string()
                }),
            );
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, task }
    }

    fn set(&self, keys: Value) {
        *self.state.keys.lock().unwrap() = keys;
    }

    fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::SeqCst)
    }

    fn policy(&self) -> String {
        kit::POLICY.replace(
            r#"{ issuer: "https://issuer.example.com", audiences: [gate], jwks: { keys: [{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }] } }"#,
            &format!(r#"{{ issuer: "{}", audiences: [gate] }}"#, self.url),
        )
    }
}

fn key(kid: &str, seed: u8) -> Value {
    let public = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key();
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "use": "sig",
        "x": URL_SAFE_NO_PAD.encode(public.as_bytes()) })
}

fn set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}

/// Polls like a node that enforces `serial`; returns the serial and the key ids of what it gets.
async fn poll(
    server: &Server,
    serial: Option<(u64, u64)>,
    unknown: Option<(&str, &str)>,
    wait_ms: u64,
) -> Option<((u64, u64), Vec<String>)> {
    let mut body = json!({ "node": node("envoy-1", 1), "filter_version": "0", "wait_ms": wait_ms });
    if let Some((policy_version, keys_revision)) = serial {
        body["enforced"] =
            json!({ "policy_version": policy_version, "keys_revision": keys_revision });
    }
    if let Some((issuer, kid)) = unknown {
        body["unknown_keys"] = json!([{ "issuer": issuer, "kid": kid }]);
    }
    let answer = server.data("/node/v1/policy", body).await.ok();
    let envelope = answer.get("bundle")?;
    let pinned = PublicKey::from_base64(&server.running.as_ref().unwrap().public_key).unwrap();
    let bundle = bundle::open(envelope.to_string().as_bytes(), &pinned.into()).unwrap();
    let kids = bundle
        .keys
        .values()
        .flat_map(|set| set["keys"].as_array().unwrap().clone())
        .filter_map(|key| key["kid"].as_str().map(str::to_owned))
        .collect();
    Some((
        (bundle.serial.policy_version, bundle.serial.keys_revision),
        kids,
    ))
}

#[tokio::test]
async fn a_policy_with_a_new_issuer_goes_out_with_its_keys() {
    let provider = Provider::start(set(&[key("a", 1)])).await;
    let (server, _temp) = kit::start().await;
    let published = server.publish(&provider.policy()).await.ok();
    assert!(published["warnings"].is_null(), "{published}");
    assert_eq!(
        poll(&server, None, None, 0).await,
        Some(((1, 0), vec!["a".to_owned()]))
    );
    let keys = server.get("/api/v1/keys").await.ok();
    assert_eq!(keys["items"][0]["source"], "discovery");
    assert_eq!(keys["items"][0]["url"], format!("{}/keys", provider.url));
    assert_eq!(keys["items"][0]["keys"][0]["kid"], "a");
}

#[tokio::test]
async fn a_rotated_key_reaches_the_nodes_soon_after_the_first_token_that_needs_it() {
    let provider = Provider::start(set(&[key("a", 1)])).await;
    let (server, _temp) = kit::start().await;
    server.publish(&provider.policy()).await.ok();
    provider.set(set(&[key("a", 1), key("b", 2)]));
    // A poll that nothing wakes gets nothing, and the next regular fetch is minutes away.
    let got = poll(&server, Some((1, 0)), Some((&provider.url, "b")), 30_000).await;
    assert_eq!(got, Some(((1, 1), vec!["a".to_owned(), "b".to_owned()])));
    // And the old one goes, which a manual refresh brings at once.
    provider.set(set(&[key("b", 2)]));
    server.post("/api/v1/keys/refresh", json!({})).await.ok();
    let got = poll(&server, Some((1, 1)), None, 30_000).await;
    assert_eq!(got, Some(((1, 2), vec!["b".to_owned()])));
}

#[tokio::test]
async fn a_flood_of_made_up_key_ids_does_not_become_a_flood_of_fetches() {
    let provider = Provider::start(set(&[key("a", 1)])).await;
    let (server, _temp) = kit::start().await;
    server.publish(&provider.policy()).await.ok();
    let before = provider.fetches();
    let started = Instant::now();
    for round in 0..20 {
        let kid = format!("made-up-{round}");
        assert_eq!(
            poll(&server, Some((1, 0)), Some((&provider.url, &kid)), 20).await,
            None
        );
    }
    let allowed = 3 + started.elapsed().as_secs() as usize / 10 + 1;
    let made = provider.fetches() - before;
    assert!((1..=allowed).contains(&made), "{made} fetches");
    // An issuer that only a token names is never fetched from.
    let foreign = Provider::start(set(&[key("x", 9)])).await;
    poll(&server, Some((1, 0)), Some((&foreign.url, "x")), 20).await;
    assert_eq!(foreign.fetches(), 0);
}

#[tokio::test]
async fn the_last_good_keys_stay_when_their_issuer_answers_nonsense() {
    let provider = Provider::start(set(&[key("a", 1)])).await;
    let (server, _temp) = kit::start().await;
    server.publish(&provider.policy()).await.ok();
    for nonsense in [
        json!("<html>"),
        json!({ "keys": [] }),
        json!({ "error": "down" }),
    ] {
        provider.set(nonsense);
        let keys = server.post("/api/v1/keys/refresh", json!({})).await.ok();
        assert!(keys["items"][0]["error"].is_string(), "{keys}");
        assert_eq!(keys["items"][0]["keys"][0]["kid"], "a");
        assert_eq!(
            poll(&server, Some((1, 0)), None, 0).await,
            None,
            "no new bundle"
        );
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_is_a_warning_and_its_cached_keys_serve_after_a_restart() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let provider = Provider::start(set(&[key("a", 1)])).await;
    let policy = provider.policy();
    let server = kit::start_in(&dir, Vec::new()).await;
    server.publish(&policy).await.ok();
    server.stop().await;
    drop(provider);

    let server = kit::start_in(&dir, Vec::new()).await;
    let published = server
        .publish(&policy.replace("Writes need an SRE.", "Ask."))
        .await
        .ok();
    assert!(published["warnings"].is_null(), "{published}");
    assert_eq!(
        poll(&server, None, None, 0).await,
        Some(((2, 0), vec!["a".to_owned()]))
    );

    let fresh = kit::start_in(&temp.path().join("other"), Vec::new()).await;
    let published = fresh.publish(&policy).await.ok();
    assert!(
        published["warnings"][0]
            .as_str()
            .unwrap()
            .contains("no keys"),
        "{published}"
    );
    assert_eq!(poll(&fresh, None, None, 0).await, Some(((1, 0), vec![])));
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_is_not_believed() {
    let provider = Provider::start(set(&[key("a", 1)])).await;
    *provider.state.issuer.lock().unwrap() = "https://other.example.com".to_owned();
    let (server, _temp) = kit::start().await;
    let published = server.publish(&provider.policy()).await.ok();
    assert!(
        published["warnings"][0]
            .as_str()
            .unwrap()
            .contains("other.example.com"),
        "{published}"
    );
    assert_eq!(provider.fetches(), 0);
}

#[tokio::test]
async fn unusable_and_private_keys_do_not_travel_to_the_nodes() {
    let mut private = key("private", 3);
    private["d"] = json!(URL_SAFE_NO_PAD.encode([3; 32]));
    let secret = json!({ "kty": "oct", "kid": "shared", "k": URL_SAFE_NO_PAD.encode([7; 32]) });
    let provider = Provider::start(set(&[key("a", 1), private, secret])).await;
    let (server, temp) = kit::start().await;
    server.publish(&provider.policy()).await.ok();
    assert_eq!(poll(&server, None, None, 0).await.unwrap().1, ["a"]);
    let keys = server.get("/api/v1/keys").await.ok();
    assert!(keys["items"][0]["keys"][1]["unusable"].is_string());
    assert!(keys["items"][0]["keys"][2]["unusable"].is_string());
    let cached = std::fs::read_dir(temp.path().join("data/keys"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let cached = std::fs::read_to_string(cached.path()).unwrap();
    assert!(!cached.contains(&URL_SAFE_NO_PAD.encode([7; 32])));
}

#[tokio::test]
async fn issuers_of_the_configuration_stand_beside_those_of_the_policy() {
    let temp = tempfile::tempdir().unwrap();
    let extra = json!({ "issuer": "http://127.0.0.1:9/dev", "audiences": ["dev"],
        "jwks": set(&[key("dev", 5)]) });
    let extra = vec![serde_json::from_value(extra).unwrap()];
    let dir = temp.path().join("data");
    let server = kit::start_in(&dir, extra).await;
    server.publish(kit::POLICY).await.ok();
    assert_eq!(
        poll(&server, None, None, 0).await,
        Some(((1, 0), vec!["dev".to_owned()]))
    );
    let shown = server.get("/api/v1/policies/current").await.ok();
    assert_eq!(
        shown["policy"]["issuers"].as_array().unwrap().len(),
        1,
        "the document is the author's"
    );
    server.stop().await;
    // Without it the next start signs a bundle without it.
    let server = kit::start_in(&dir, Vec::new()).await;
    assert_eq!(
        poll(&server, Some((1, 0)), None, 0).await,
        Some(((1, 1), vec![]))
    );
}
