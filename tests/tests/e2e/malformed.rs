//! Malformed traffic never makes the module trap: the reload counters stay 0, and the next request
//! works. Once for each hold profile.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chaperone_tests::api::text;
use chaperone_tests::client::{Call, Client, Http};
use chaperone_tests::issuer::Key;
use chaperone_tests::raw::{Server, Socket};
use chaperone_tests::script::{Gate, Script};
use chaperone_tests::stage::{MASKED, PLAIN, Setting, Stage, allow, answer, approve, secret};
use chaperone_tests::upstream::{End, Reply};
use serde_json::{Value, json};

fn rules(hold: &str) -> [Value; 3] {
    let required = json!({"name": "recorded", "match": {"paths": ["/recorded/**"]}, "effect": "allow", "audit": "required"});
    [
        allow("platform", "platform"),
        approve("risky", "/risky/**", &json!({"hold": hold})),
        required,
    ]
}

async fn stage(profile: &str, hold: &str) -> Stage {
    Setting::with(&rules(hold)).profile(profile).start().await
}

/// The promise.
async fn assert_it_still_works(stage: &Stage, after: &str) {
    stage.deployment.envoy.admin.assert_no_traps().await;
    let alice = stage.agent("alice", &["platform"]);
    for _ in 0..6 {
        let answer = alice.send(Call::post("/next", "x")).await;
        assert_eq!(answer.status, 200, "after {after}: {}", answer.text());
    }
    stage.held(0).await;
    stage.assert_trail_is_complete().await;
}

/// Numbers that are the same in every run (splitmix64): a fault that is found can be found again.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

fn broken_tokens(stage: &Stage) -> Vec<Vec<u8>> {
    let mut numbers = Numbers(1);
    let good = stage.issuer.token("alice").groups(&["platform"]).sign();
    let sign =
        |header: &str, claims: &str| stage.issuer.key().sign_text(header, claims).into_bytes();
    let header = r#"{"alg":"EdDSA","kid":"first"}"#;
    let claims = format!(
        r#"{{"iss":"{}","sub":"a","aud":"api://chaperone","exp":99999999999}}"#,
        stage.issuer.url()
    );
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let mut tokens: Vec<Vec<u8>> = vec![
        b".".to_vec(),
        b"..".to_vec(),
        b"....".to_vec(),
        format!("{good}.").into_bytes(),
        format!(".{good}").into_bytes(),
        format!("{good}.{good}").into_bytes(),
        good.replace('.', "..").into_bytes(),
        good.replace('-', "+").replace('_', "/").into_bytes(),
        good.to_uppercase().into_bytes(),
        format!("{}.{}.", encoded("{}"), encoded("{}")).into_bytes(),
        format!("{}.{}.AAAA", encoded("null"), encoded("[]")).into_bytes(),
        format!("{}.{}.AAAA", encoded(header), encoded("\u{0}\u{1}")).into_bytes(),
        sign(header, ""),
        sign(header, "{"),
        sign(header, "\"text\""),
        sign(header, &deep),
        sign(header, &format!("{{\"a\":{deep}}}")),
        sign(header, &format!("{{\"a\":{}}}", "9".repeat(5000))),
        sign(header, "{\"exp\":1e999}"),
        sign(header, "{\"exp\":-1}"),
        sign(header, "{\"exp\":18446744073709551616}"),
        sign(header, &claims.replace("99999999999", "9007199254740993.5")),
        sign(header, &claims.replace("\"a\"", "\"\\ud800\"")),
        sign(header, &claims.replace("\"a\"", "\"\\u0000\"")),
        sign(
            header,
            &claims.replace("\"a\"", &format!("\"{}\"", "s".repeat(15_000))),
        ),
        sign(&header.replace("first", "\\ud83d"), &claims),
        sign(&header.replace("first", &"k".repeat(1900)), &claims),
        sign(&header.replace("EdDSA", "ES256"), &claims),
        sign(&header.replace("EdDSA", "RS256"), &claims),
        sign(&header.replace("\"first\"", "7"), &claims),
        sign(
            &header.replace("\"first\"", "null"),
            &claims.replace("\"sub\"", "\"\""),
        ),
        stage
            .issuer
            .token("a")
            .signed_by(&Key::es256("first"))
            .header("alg", "ES256")
            .sign()
            .into_bytes(),
    ];
    // The good one, cut off and with single bytes changed.
    for at in (0..good.len()).step_by(23) {
        tokens.push(good.as_bytes()[..at].to_vec());
    }
    for _ in 0..60 {
        let mut token = good.clone().into_bytes();
        let at = numbers.below(token.len());
        token[at] = b"AZaz09-_.=~!"[numbers.below(12)];
        tokens.push(token);
    }
    for _ in 0..20 {
        let size = numbers.below(300);
        // Without what ends a header line.
        let mut bytes = numbers.bytes(size);
        bytes.retain(|byte| *byte >= 0x20 && *byte != 0x7f);
        tokens.push(bytes);
    }
    // A change may change nothing: a token need not have a `-` or a `_`.
    tokens.retain(|token| token != good.as_bytes());
    tokens
}

#[tokio::test]
async fn broken_tokens_of_every_kind() {
    for profile in ["headers", "body"] {
        let stage = stage(profile, "1s").await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let mut connection = stage.client.connect().await.unwrap();
        for token in broken_tokens(&stage) {
            let value = [b"Bearer ".as_slice(), &token].concat();
            let call = Call::get("/risky/x")
                .host("api.example")
                .header("authorization", &value);
            let answer = connection.send(call).await.unwrap();
            let readable = String::from_utf8_lossy(&token).into_owned();
            assert!(
                [400, 401].contains(&answer.status),
                "{} for {readable}",
                answer.status
            );
        }
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "bearer  x",
            "Bearer\tx",
            "\u{ff}",
            "Basic",
            "DPoP x.y.z",
        ] {
            let call = Call::get("/x")
                .host("api.example")
                .header("authorization", value);
            let answer = Client::http2(listener).send(call).await.unwrap();
            assert_eq!(answer.status, 401, "{value:?}");
        }
        assert_eq!(stage.upstream.seen().len(), 0);
        assert_it_still_works(&stage, "broken tokens").await;
    }
}

#[tokio::test]
async fn headers_that_are_no_text_come_twice_or_in_hundreds() {
    for profile in ["headers", "body"] {
        let stage = stage(profile, "0s").await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let alice = stage.agent("alice", &["platform"]);
        let odd: &[u8] = b"\xff\xfe\x80 caf\xe9 \xc3";
        for http in [Http::One, Http::Two] {
            let agent = alice.over(Client::new(listener, http));
            for name in [
                "x-anything",
                "content-type",
                "content-encoding",
                "accept-encoding",
                "te",
                "trailer",
                "x-request-id",
                "user-agent",
                "cookie",
                "range",
                "etag",
                "x-http-method-override",
                "authorization",
            ] {
                for path in ["/odd", "/risky/odd", "/recorded/odd"] {
                    let call = Call::post(path, "body")
                        .header(name, odd)
                        .header(name, "again");
                    // Whatever the answer is: there is one, or Envoy broke off.
                    let _ = agent.try_send(call).await;
                }
            }
            // And the same in a response.
            let reply = Reply::ok("fine")
                .header("x-odd", odd)
                .header("content-type", odd)
                .header("etag", odd);
            stage.upstream.always(
                reply
                    .header("set-cookie", "a=1")
                    .header("set-cookie", "b=2"),
            );
            let answer = agent.send(Call::get("/odd")).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
            assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
            assert_eq!(answer.headers["x-odd"].as_bytes(), odd);
            let odd_encoding = Reply::ok("fine")
                .header("content-encoding", odd)
                .header("content-encoding", "gzip");
            stage.upstream.always(odd_encoding);
            let answer = agent.send(Call::get("/odd")).await;
            assert_eq!(answer.code().as_deref(), Some("unreadable_encoding"));
            stage.upstream.always(Reply::ok("fine"));
            let many = (0..90).fold(Call::get("/many"), |call, n| {
                call.header(&format!("x-{n}"), vec![b'v'; 500])
            });
            assert_eq!(agent.send(many).await.status, 200);
            let too_many = (0..1500).fold(Call::get("/many"), |call, n| {
                call.header(&format!("x-{n}"), "v")
            });
            assert!(
                agent
                    .try_send(too_many)
                    .await
                    .map_or(true, |answer| answer.status >= 400)
            );
            let long = alice.over(Client::new(listener, http));
            let target = format!("/long/{}?{}", "p/".repeat(10_000), "q=1&".repeat(5_000));
            let _ = long.try_send(Call::get(&target)).await;
            let _ = long
                .try_send(Call::get("/ok").header("x-long", vec![b'v'; 50_000]))
                .await;
        }

        let head = |line: &str| alice.raw(line).into_bytes();
        let lines: Vec<Vec<u8>> = vec![
            [
                head("GET /a HTTP/1.1"),
                b"host: other.example\r\n\r\n".to_vec(),
            ]
            .concat(),
            [
                head("POST /a HTTP/1.1"),
                b"content-length: 3\r\ncontent-length: 5\r\n\r\nabcde".to_vec(),
            ]
            .concat(),
            [
                head("POST /a HTTP/1.1"),
                b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            ]
            .concat(),
            [
                head("POST /a HTTP/1.1"),
                b"transfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            ]
            .concat(),
            [
                head("POST /risky/a HTTP/1.1"),
                b"transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_vec(),
            ]
            .concat(),
            [head("GET /é HTTP/1.1"), b"\r\n".to_vec()].concat(),
            [b"GET /\xff\xfe HTTP/1.1\r\nhost: api.example\r\n\r\n".to_vec()].concat(),
            b"GET / HTTP/1.1\r\nhost: \xff\xfe\r\n\r\n".to_vec(),
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"GET / HTTP/1.0\r\n\r\n".to_vec(),
            b"GET http://api.example/absolute HTTP/1.1\r\nhost: plain.example\r\n\r\n".to_vec(),
            b"OPTIONS * HTTP/1.1\r\nhost: api.example\r\n\r\n".to_vec(),
            b"M\xff / HTTP/1.1\r\nhost: api.example\r\n\r\n".to_vec(),
            b"CONNECT x HTTP/1.1\r\nhost: api.example\r\n\r\n".to_vec(),
            b"GET / HTTP/1.1\r\nhost: api.example\r\nauthorization: Bearer a\0b\r\n\r\n".to_vec(),
            b"GET / HTTP/1.1\r\nhost: api.example\r\n folded: yes\r\n\r\n".to_vec(),
        ];
        stage.upstream.forget();
        for bytes in lines {
            let mut socket = Socket::connect(listener).await.unwrap();
            socket.send(&bytes).await.unwrap();
            let status = socket.status().await.unwrap_or(None);
            assert!(
                status.is_none_or(|s| s >= 400),
                "{status:?} for {}",
                String::from_utf8_lossy(&bytes)
            );
        }
        // One begins well and breaks off in its body; no other gets that far, and none arrives
        // whole.
        let seen = stage.upstream.seen();
        assert!(seen.len() <= 1, "{seen:?}");
        assert!(
            seen.iter().all(|seen| seen.end != Some(End::Complete)),
            "{seen:?}"
        );
        assert_it_still_works(&stage, "odd headers").await;
    }
}

#[tokio::test]
async fn bodies_byte_by_byte_and_of_fifty_megabytes() {
    const SIZE: usize = 50 << 20;
    for profile in ["headers", "body"] {
        let stage = stage(profile, "1s").await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let alice = stage.agent("alice", &["platform"]);

        // One byte per chunk and one byte per packet, with a secret in it.
        let body = format!("a {} b", secret());
        stage
            .upstream
            .answer(move |seen| Reply::ok(Script::new().cut(&seen.body, 1)));
        for path in ["/bytes", "/recorded/bytes"] {
            let answer = alice
                .send(Call::post(path, Script::new().cut(body.as_bytes(), 1)))
                .await;
            assert!(
                answer.text().starts_with(&format!("a {MASKED}")),
                "{}",
                answer.text()
            );
            assert!(answer.text().ends_with("] b"), "{}", answer.text());
        }
        let chunks: String = body.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
        let head = alice.raw("POST /bytes HTTP/1.1");
        let mut socket = Socket::connect(listener).await.unwrap();
        socket
            .dribble(format!(
                "{head}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
            ))
            .await
            .unwrap();
        assert_eq!(socket.status().await.unwrap(), Some(200));

        // Fifty megabytes each way, masked and not, over both HTTPs.
        let large = bytes::Bytes::from(vec![b'x'; SIZE]);
        for (host, http) in [
            ("api.example", Http::One),
            ("api.example", Http::Two),
            (PLAIN, Http::One),
        ] {
            let reply = large.clone();
            stage
                .upstream
                .answer(move |_| Reply::ok(Script::new().chunk(reply.clone())));
            stage.upstream.forget();
            let agent = alice.over(Client::new(listener, http)).at(host);
            let answer = agent
                .send(Call::post("/large", Script::new().chunk(large.clone())))
                .await;
            assert_eq!(answer.status, 200);
            assert!(
                answer.body() == large,
                "{} bytes came back",
                answer.body().len()
            );
            assert!(
                stage.upstream.seen()[0].body == large,
                "upstream got other bytes"
            );
        }
        stage.upstream.always(Reply::ok("fine"));
        stage.upstream.forget();
        let held = alice
            .try_send(Call::post("/risky/large", Script::new().chunk(large)))
            .await;
        if let Ok(answer) = held {
            assert!([403, 413].contains(&answer.status), "{}", answer.text());
        }
        assert_eq!(stage.upstream.seen().len(), 0);
        assert_it_still_works(&stage, "large bodies").await;
    }
}

#[tokio::test]
async fn agents_and_upstreams_that_go_away_at_any_moment() {
    for profile in ["headers", "body"] {
        let stage = stage(profile, "60s").await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let alice = stage.agent("alice", &["platform"]);
        let mut numbers = Numbers(2);
        for http in [Http::One, Http::Two] {
            let agent = alice.over(Client::new(listener, http));
            for path in ["/gone", "/risky/gone", "/recorded/gone"] {
                // In the middle of the request.
                for _ in 0..4 {
                    let body = Script::new().chunk("one").chunk("two").abort();
                    let _ = agent.try_send(Call::post(path, body)).await;
                }
                // While it waits for anything.
                for _ in 0..8 {
                    let request = agent.spawn(Call::post(path, "body"));
                    tokio::time::sleep(Duration::from_millis(numbers.next() % 8)).await;
                    request.abort();
                }
            }
            // In the middle of the response.
            let gate = Gate::closed();
            let body = Script::new()
                .chunk(format!("begin {}", &secret()[..20]))
                .wait(&gate);
            stage.upstream.always(Reply::ok(body.chunk("end")));
            for _ in 0..4 {
                let mut answering = agent.start(Call::get("/stream")).await;
                answering.until("begin ").await.unwrap();
                drop(answering);
            }
            gate.open();
            stage
                .upstream
                .always(Reply::ok(Script::new().chunk("half").abort()));
            assert!(agent.try_send(Call::get("/half")).await.is_err());
            stage.upstream.always(Reply::ok("fine"));
        }
        stage.held(0).await;
        assert_it_still_works(&stage, "those that went away").await;
    }
}

#[tokio::test]
async fn policy_updates_in_the_middle_of_holds() {
    for profile in ["headers", "body"] {
        let stage = stage(profile, "60s").await;
        let alice = stage.agent("alice", &["platform"]);
        let mut held = Vec::new();
        for round in 0..4_u64 {
            for number in 0..5 {
                held.push(alice.spawn(Call::post(&format!("/risky/{round}/{number}"), "x")));
            }
            stage.held((round + 1) * 5).await;
            // Each another document: with the rule, without it, and with nothing but a denial.
            let mut next = rules(&format!("{}s", 50 - round)).to_vec();
            if round % 2 == 1 {
                next.remove(1);
            }
            next.push(allow(&format!("extra-{round}"), "nobody"));
            if round % 2 == 1 {
                let still = approve("risky-still", "/risky/**", &json!({"hold": "59s"}));
                next.push(still);
            }
            stage.publish(&next).await;
            // Some go away, some are answered, some wait on.
            held.remove(0).abort();
            stage.held((round + 1) * 5 - 1).await;
            held.push(alice.spawn(Call::post(&format!("/risky/{round}/again"), "x")));
            stage.held((round + 1) * 5).await;
        }
        // 20 live ones, and 4 questions of those that went away.
        let pending = stage.api.pending(24).await;
        for approval in pending {
            let id = text(&approval["id"]);
            let answer = stage
                .api
                .post(&format!("/approvals/{id}/approve"), &json!({}))
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        for request in held {
            assert_eq!(answer(request).await.status, 200);
        }
        assert_eq!(stage.upstream.seen().len(), 20);
        assert_it_still_works(&stage, "policy updates").await;
    }
}

#[tokio::test]
async fn garbage_on_raw_sockets_and_from_upstreams() {
    for profile in ["headers", "body"] {
        let stage = stage(profile, "1s").await;
        let listener = stage.deployment.envoy.listener("agents").await;
        let mut numbers = Numbers(3);
        let head = stage
            .agent("alice", &["platform"])
            .raw("POST /risky/x HTTP/1.1");
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let prefixes: [Vec<u8>; 5] = [
            Vec::new(),
            preface.to_vec(),
            format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes(),
            format!("{head}content-length: 100000\r\n\r\n").into_bytes(),
            head.clone().into_bytes(),
        ];
        let mut sockets = tokio::task::JoinSet::new();
        for round in 0..150 {
            let mut bytes = prefixes[round % prefixes.len()].clone();
            let size = numbers.below(400);
            bytes.extend(numbers.bytes(size));
            sockets.spawn(async move {
                let mut socket = Socket::connect(listener).await.unwrap();
                let _ = socket.send(&bytes).await;
                let wait = Duration::from_millis(300);
                let _ = tokio::time::timeout(wait, socket.receive_all()).await;
            });
        }
        while sockets.join_next().await.is_some() {}
        // Among the garbage may be a held beginning of a request; it ends with its connection.
        assert_it_still_works(&stage, "garbage").await;
    }
    upstream_garbage().await;
}

async fn upstream_garbage() {
    use chaperone_tests::deployment::{Connection, Deployment, Options};
    use chaperone_tests::issuer::Issuer;
    use chaperone_tests::stage::{API, Agent, Terms, policy};
    const ANSWERS: [&[u8]; 8] = [
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: \xff\r\n\r\n",
        b"HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: \xff\xfe\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"\xff\xff\xff\xff",
    ];
    let server = Server::start(async |mut socket: Socket| {
        let request = socket.receive_until("\r\n\r\n").await?;
        let number = request
            .iter()
            .position(|byte| byte.is_ascii_digit())
            .map_or(0, |at| request[at]);
        let number = usize::from(number.saturating_sub(b'0')) % ANSWERS.len();
        socket.send(ANSWERS[number]).await
    })
    .await;
    let issuer = Issuer::start().await;
    let connection = Connection::new("api", API, server.address());
    let plain = Connection::new("plain", PLAIN, server.address());
    let arm = Connection::new("arm", "management.azure.com", server.address());
    let options = Options::new(
        policy(&issuer, &Terms::default(), &rules("1s")),
        &[connection, plain, arm],
    );
    let deployment = Deployment::start(options).await;
    let token = issuer.token("alice").groups(&["platform"]).sign();
    let agent = Agent::new(deployment.client().await, Some(token));
    for number in 0..ANSWERS.len() {
        for host in [API, PLAIN] {
            let _ = agent
                .at(host)
                .try_send(Call::get(&format!("/{number}")))
                .await;
        }
    }
    deployment.envoy.admin.assert_no_traps().await;
    let answer = agent.send(Call::get("/6")).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_at_once() {
    for profile in ["headers", "body"] {
        let stage = stage(profile, "2s").await;
        let alice = stage.agent("alice", &["platform"]);
        let mut requests = Vec::new();
        for number in 0..300 {
            let call = match number % 4 {
                0 => Call::get("/plain"),
                1 => Call::post(&format!("/risky/{number}"), "x"),
                2 => Call::post("/recorded/x", format!("key {}", secret())),
                _ => Call::get("/plain").header("x-forwarded-for", "1.2.3.4"),
            };
            requests.push((number % 4 == 1, alice.spawn(call)));
        }
        for (is_risky, request) in requests {
            let answer = answer(request).await;
            // A human cannot answer in time, or has too many questions of hers already.
            let expected: &[u16] = if is_risky { &[403, 429] } else { &[200] };
            assert!(expected.contains(&answer.status), "{}", answer.text());
        }
        assert_eq!(stage.upstream.seen().len(), 225);
        assert_it_still_works(&stage, "many connections").await;
        // Every request is in the trail.
        stage
            .api
            .expect_records("subject=alice&state=completed", 306)
            .await;
    }
}
