//! The kit's own parts: a fault here would make other tests pass or fail for no reason.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::{
    Issuer as TrustedIssuer, KeySet, PureRust, RefusalCode, VerifiedToken, Verifier,
};
use chaperone_tests::client::{Call, Client, Http};
use chaperone_tests::envoy::Envoy;
use chaperone_tests::issuer::{AUDIENCE, Issuer, Key};
use chaperone_tests::load::Load;
use chaperone_tests::models::{Api, Said, Wire};
use chaperone_tests::oidc::{Account, OpenIdProvider};
use chaperone_tests::process::Process;
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::upstream::{End, Reply, Upstream};
use chaperone_tests::{cuts, files, masked, places, raw, wait};
use hyper::{HeaderMap, Version};
use serde_json::{Value, json};
use tokio::process::Command;

fn verify(issuer: &Value, jwks: &Value, token: &str) -> Result<VerifiedToken, RefusalCode> {
    let issuer: TrustedIssuer = serde_json::from_value(issuer.clone()).unwrap();
    let (keys, problems) = KeySet::from_value(jwks).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let now = UnixMillis(u64::try_from(now).unwrap());
    let verifier = Verifier::new(vec![(issuer, keys)]).unwrap();
    verifier
        .verify(token, now, &PureRust)
        .map_err(|refusal| refusal.code)
}

#[tokio::test]
async fn the_upstream_records_what_the_client_sent_over_either_http() {
    let upstream = Upstream::start().await;
    for (http, version) in [(Http::One, Version::HTTP_11), (Http::Two, Version::HTTP_2)] {
        upstream.forget();
        let call = Call::post("/v1/x?y=%20z", "hello")
            .host("api.example")
            .header("x-twice", "a")
            .header("x-twice", [0xff, b'b'])
            .bearer("EXAMPLE");
        let answer = Client::new(upstream.address(), http)
            .send(call)
            .await
            .unwrap();
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "hello from upstream\n")
        );

        let seen = upstream.wait_for("/v1/x", 1).await.remove(0);
        assert_eq!(
            (seen.method.as_str(), seen.target.as_str()),
            ("POST", "/v1/x?y=%20z")
        );
        assert_eq!((seen.host.as_str(), seen.version), ("api.example", version));
        assert_eq!(seen.headers.get_all("x-twice").iter().count(), 2);
        assert_eq!(seen.header("authorization"), ["Bearer EXAMPLE"]);
        assert_eq!(
            (seen.text().as_str(), seen.end),
            ("hello", Some(End::Complete))
        );
        assert!(files::contains(&seen.everything(), b"Bearer EXAMPLE"));
    }
}

#[tokio::test]
async fn a_scripted_answer_arrives_piece_by_piece_and_waits_for_its_gate() {
    let upstream = Upstream::start().await;
    for http in [Http::One, Http::Two] {
        let gate = Gate::closed();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "1".parse().unwrap());
        let body = Script::new()
            .chunk("one ")
            .chunk("two ")
            .wait(&gate)
            .chunk("three");
        upstream.always(Reply::ok(body.trailers(trailers)).header("trailer", "x-checksum"));
        let call = Call::get("/").header("te", "trailers");
        let mut answer = Client::new(upstream.address(), http)
            .start(call)
            .await
            .unwrap();
        assert_eq!(answer.until("two ").await.unwrap(), b"one two ");
        let early = tokio::time::timeout(Duration::from_millis(50), answer.chunk()).await;
        assert!(
            early.is_err(),
            "the third piece came before its gate was open"
        );
        gate.open();
        let answer = answer.rest().await.unwrap();
        assert_eq!(answer.text(), "one two three");
        assert!(answer.chunks.len() >= 3, "{:?}", answer.chunks);
        assert_eq!(answer.trailers["x-checksum"], "1");
    }
}

#[tokio::test]
async fn a_broken_body_is_seen_as_broken_on_either_side() {
    let upstream = Upstream::start().await;
    upstream.always(Reply::ok(Script::new().chunk("half").abort()));
    for http in [Http::One, Http::Two] {
        let client = Client::new(upstream.address(), http);
        assert!(client.send(Call::get("/")).await.is_err());

        upstream.forget();
        let body = Script::new()
            .chunk("half")
            .pause(Duration::from_millis(20))
            .abort();
        assert!(client.send(Call::post("/upload", body)).await.is_err());
        wait::until("the upstream to notice", async || {
            upstream
                .seen_at("/upload")
                .first()?
                .end
                .filter(|end| *end == End::Aborted)
        })
        .await;
        assert_eq!(upstream.seen_at("/upload")[0].text(), "half");
    }
}

#[tokio::test]
async fn an_early_answer_does_not_wait_for_the_request() {
    let upstream = Upstream::start().await;
    upstream.always(Reply::ok("early").early());
    let gate = Gate::closed();
    let call = Call::post("/", Script::new().chunk("a").wait(&gate).chunk("b"));
    let mut answer = Client::http2(upstream.address()).start(call).await.unwrap();
    assert_eq!(answer.until("early").await.unwrap(), b"early");
    gate.open();
    assert_eq!(upstream.wait_for("/", 1).await[0].text(), "ab");
}

#[tokio::test]
async fn raw_sockets_say_what_http_libraries_would_not() {
    let upstream = Upstream::start().await;
    let request = "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n";
    assert_eq!(
        raw::status_of(upstream.address(), request).await.unwrap(),
        Some(400)
    );
    let mut socket = raw::Socket::connect(upstream.address()).await.unwrap();
    let request = "POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";
    socket.dribble(request).await.unwrap();
    assert_eq!(socket.status().await.unwrap(), Some(200));
    assert_eq!(upstream.seen_at("/slow")[0].text(), "hi");

    let nonsense = raw::Server::start(async |mut socket: raw::Socket| {
        socket.receive_until("\r\n\r\n").await?;
        socket.send("HTTP/1.1 banana\r\n\r\n").await
    })
    .await;
    assert!(
        Client::http1(nonsense.address())
            .send(Call::get("/"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn load_counts_every_answer_and_every_drop() {
    let upstream = Upstream::start().await;
    let load = Load::start(Client::http1(upstream.address()), &Call::get("/"), 3);
    load.more(50).await;
    upstream.always(Reply::status(503));
    load.more(50).await;
    let report = load.stop().await;
    assert_eq!(report.dropped, Vec::<String>::new());
    assert!(
        report.by_status[&200] >= 50 && report.by_status[&503] >= 40,
        "{report:?}"
    );

    let half = Script::new()
        .chunk("half")
        .pause(Duration::from_millis(5))
        .abort();
    upstream.always(Reply::ok(half));
    let load = Load::start(Client::http1(upstream.address()), &Call::get("/"), 1);
    load.more(2).await;
    assert!(load.stop().await.dropped.len() >= 2);
}

#[tokio::test]
async fn a_token_of_the_tests_issuer_is_accepted_and_each_bad_one_is_refused() {
    let elsewhere = Key::ed25519("elsewhere");
    for key in [Key::ed25519("ed"), Key::es256("es"), Key::rs256("rs")] {
        let issuer = Issuer::with_keys(vec![key]).await;
        let jwks = issuer.jwks();
        let check = |token: String| verify(&issuer.in_policy(), &jwks, &token);
        let token = || issuer.token("alice").groups(&["platform"]);

        let verified = check(token().sign()).unwrap();
        assert_eq!(verified.principal().subject, "alice");
        assert_eq!(verified.principal().groups, ["platform"]);

        let refused = |token: String| check(token).unwrap_err();
        assert_eq!(refused(token().forged()), RefusalCode::SignatureInvalid);
        assert_eq!(refused(token().expired().sign()), RefusalCode::TokenExpired);
        let other = token().claim("aud", "api://other").sign();
        assert_eq!(refused(other), RefusalCode::AudienceMismatch);
        let foreign = token()
            .signed_by(&elsewhere)
            .header("kid", "elsewhere")
            .sign();
        assert_eq!(refused(foreign), RefusalCode::UnknownKey);
        assert_eq!(
            refused(token().unsigned()),
            RefusalCode::AlgorithmNotAllowed
        );
    }
}

#[tokio::test]
async fn the_issuer_serves_discovery_and_its_keys() {
    let mut issuer = Issuer::start().await;
    let client = Client::http1(issuer.server().address());
    let get = async |path| client.send(Call::get(path)).await.unwrap().json();
    let discovery = get("/.well-known/openid-configuration").await;
    assert_eq!(discovery["issuer"], issuer.url());
    assert_eq!(discovery["jwks_uri"], format!("{}/jwks", issuer.url()));
    assert_eq!(get("/jwks").await["keys"][0]["kid"], "first");
    issuer.set_keys(vec![Key::es256("second")]);
    assert_eq!(get("/jwks").await["keys"][0]["kid"], "second");
    assert_eq!(issuer.server().seen_at("/jwks").len(), 2);
}

#[tokio::test]
async fn a_token_of_the_openid_provider_verifies_with_its_keys_and_not_with_rotated_ones() {
    let account = Account {
        id: "build-agent",
        groups: &["platform", "sre"],
    };
    for algorithm in ["RS256", "ES256"] {
        let provider = OpenIdProvider::start(algorithm, &[account]).await;
        let trusted = provider.in_policy();
        let token = provider.token(account, AUDIENCE).await;
        let verified = verify(&trusted, &provider.jwks().await, &token).unwrap();
        assert_eq!(verified.principal().subject, "build-agent");
        assert_eq!(verified.principal().groups, ["platform", "sre"]);
        assert_eq!(verified.principal().agent.as_deref(), Some("build-agent"));

        let kid = provider.rotate(true).await;
        let rotated = provider.token(account, AUDIENCE).await;
        let jwks = provider.jwks().await;
        assert_eq!(
            verify(&trusted, &jwks, &rotated).unwrap().kid(),
            Some(kid.as_str())
        );
        assert!(
            verify(&trusted, &jwks, &token).is_ok(),
            "the old key is kept"
        );

        provider.rotate(false).await;
        let refused = verify(&trusted, &provider.jwks().await, &token).unwrap_err();
        assert_eq!(refused, RefusalCode::UnknownKey);
        assert_eq!(provider.key_set_requests().await, 3);

        provider.set_available(false).await;
        let address = provider
            .issuer()
            .trim_start_matches("http://")
            .parse()
            .unwrap();
        let answer = Client::http1(address)
            .send(Call::get("/jwks"))
            .await
            .unwrap();
        assert_eq!(answer.status, 503);
    }
}

#[tokio::test]
async fn envoy_starts_forwards_and_tells_its_numbers() {
    let upstream = Upstream::start().await;
    for binary in [places::envoy(), places::oldest_envoy()] {
        let mut envoy = Envoy::start_with(&binary, 1, plain_envoy(&upstream)).await;
        let address = envoy.listener("main").await;
        let answer = Client::http1(address)
            .send(Call::get("/through"))
            .await
            .unwrap();
        assert_eq!(answer.text(), "hello from upstream\n");
        envoy
            .admin
            .wait_for_stat("cluster.upstream.upstream_rq_200", |value| value == 1)
            .await;
        assert_eq!(envoy.admin.stat("cluster.upstream.no_such_thing").await, 0);
        envoy.admin.assert_no_traps().await;
        let dump = envoy.admin.config_dump().await;
        assert!(dump.to_string().contains("\"name\":\"upstream\""));
        envoy.process.stop().await;
        assert!(!envoy.admin.is_ready().await);
    }
}

fn plain_envoy(upstream: &Upstream) -> Value {
    let type_url = |name: &str| format!("type.googleapis.com/envoy.extensions.filters.{name}");
    let address =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    json!({"static_resources": {
        "listeners": [{
            "name": "main",
            "address": address(0),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": type_url("network.http_connection_manager.v3.HttpConnectionManager"),
                    "stat_prefix": "main",
                    "route_config": {"virtual_hosts": [{
                        "name": "all", "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                    }]},
                    "http_filters": [{
                        "name": "envoy.filters.http.router",
                        "typed_config": {"@type": type_url("http.router.v3.Router")},
                    }],
                },
            }]}],
        }],
        "clusters": [{
            "name": "upstream",
            "type": "STATIC",
            "load_assignment": {"cluster_name": "upstream", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": address(upstream.address().port())}}]},
            ]},
        }],
    }})
}

#[tokio::test]
async fn a_process_is_captured_stopped_and_taken_down_with_what_it_started() {
    let mut command = Command::new("sh");
    // The inner shell would live on: it ignores what the outer one is told.
    let script = "sh -c 'trap \"\" TERM; echo inner $$; exec sleep 300' & echo to-stderr >&2; wait";
    command.args(["-c", script]);
    let mut process = Process::start("a test process", command);
    process.wait_for_line("to-stderr").await;
    let line = process.wait_for_line("inner").await;
    let inner: u32 = line.trim_start_matches("inner ").parse().unwrap();
    let is_running = |id: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    };
    assert!(is_running(inner));
    drop(process);
    wait::until("the inner process to end", async || {
        (!is_running(inner)).then_some(())
    })
    .await;
}

#[test]
fn a_secret_is_found_in_every_spelling() {
    use base64::Engine as _;
    let standard = base64::engine::general_purpose::STANDARD;
    let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let folder = tempfile::tempdir().unwrap();
    let secret = "EXAMPLE-secret-?>~";
    std::fs::create_dir(folder.path().join("deep")).unwrap();
    assert!(files::that_hold(folder.path(), secret).is_empty());
    for (name, text) in [
        ("plain", format!("before {secret} after")),
        ("hex", secret.bytes().map(|b| format!("{b:02x}")).collect()),
        ("base64", standard.encode(format!("{secret} after"))),
        ("base64-1", standard.encode(format!("1{secret} after"))),
        ("base64-2", url_safe.encode(format!("12{secret}, after"))),
        ("base64-3", url_safe.encode(format!("12345{secret}"))),
    ] {
        let path = folder.path().join("deep").join(name);
        std::fs::write(&path, text).unwrap();
        assert_eq!(
            files::that_hold(folder.path(), secret),
            std::slice::from_ref(&path),
            "{name}"
        );
        std::fs::remove_file(path).unwrap();
    }
}

#[tokio::test]
async fn hostile_cuts_lose_nothing_and_tear_escapes_characters_and_line_ends() {
    use http_body_util::BodyExt as _;
    let body = "data: \"ü \\u00e4 \\n\"\r\n\r\ndata: 🔑\r\n\r\n";
    let mut torn = Vec::new();
    for (how, script) in cuts::hostile(body.as_bytes()) {
        let mut playing = script.play();
        let (mut got, mut place) = (Vec::new(), 0);
        while let Some(frame) = playing.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            got.extend_from_slice(&data);
            place += data.len();
            torn.push(place);
        }
        assert_eq!(String::from_utf8_lossy(&got), body, "{how}");
    }
    for (inside, by) in [
        ("ü", 1),
        ("\\u00e4", 1),
        ("\\u00e4", 4),
        ("\\n", 1),
        ("\r\n", 1),
        ("🔑", 2),
    ] {
        let place = body.find(inside).unwrap() + by;
        assert!(torn.contains(&place), "{inside:?} is not torn after {by}");
    }
}

#[test]
fn what_is_left_of_a_secret_is_found_and_replacements_are_told_from_their_like() {
    let secret = "EXAMPLE-form-0123456789".to_owned();
    let left = |text: &str| masked::left_of(text.as_bytes(), std::slice::from_ref(&secret));
    assert_eq!(left("xx01234567xx").as_deref(), Some("01234567"));
    assert_eq!(left("EXAMPLE-form-0123456x"), Some("-0123456".to_owned()));
    assert_eq!(left("EXAMPLE-form and 012345"), None);
    assert_eq!(
        masked::without_fingerprints(
            "[masked:jwt:01234567] [masked:jwt:0123456] [masked: [masked:a/b:89abcdef]"
        ),
        "<masked> [masked:jwt:0123456] [masked: <masked>"
    );
}

#[test]
fn events_are_written_in_every_legal_way_and_say_the_same() {
    let said = Said {
        texts: vec!["ü/\"🔑".to_owned()],
        ..Said::default()
    };
    for wire in Wire::STRANGE {
        let text = String::from_utf8(wire.write(&Api::Chat.stream(&said, 1))).unwrap();
        let lines: Vec<&str> = text.split(wire.line_end).collect();
        assert!(
            lines
                .iter()
                .all(|line| wire.line_end == "\n" || !line.contains('\n')),
            "{wire:?}"
        );
        let events = lines
            .split(|line| line.is_empty())
            .filter(|event| !event.is_empty());
        let data = events.map(|event| {
            let lines = event.iter().filter_map(|line| line.strip_prefix("data: "));
            lines.collect::<Vec<_>>().join("\n")
        });
        let documents = data.filter_map(|data| serde_json::from_str(&data).ok());
        let said: String = documents
            .map(|event: Value| {
                event["choices"][0]["delta"]["content"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        assert_eq!(said, "ü/\"🔑", "{wire:?}");
    }
}
