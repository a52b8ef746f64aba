//! Ways around masking, each tried through the gate. `docs/masking.md` lists them all and says what
//! comes of each; what it says is what is asserted here, so a reader can rely on the list.
//!
//! Whether a secret came through is asked of everything that a patient reader can make of the
//! bytes: see [`readings`].

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaperone_tests::client::{Call, Http};
use chaperone_tests::masked::{HERE, left_of, without_fingerprints};
use chaperone_tests::models::{Api, Said, Wire};
use chaperone_tests::readings::{each, readings};
use chaperone_tests::script::Script;
use chaperone_tests::stage::{Setting, allow, secret};
use chaperone_tests::upstream::Reply;
use chaperone_tests::{compressed, places};
use hyper::HeaderMap;
use serde_json::json;

/// What the list says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Masked,
    Refused,
    OutOfReach,
}

/// A way around, as it stands in the list.
struct Evasion {
    name: &'static str,
    way: Way,
}

enum Way {
    /// In an answer of the upstream.
    Answer(Reply),
    /// In a request of the agent.
    Request(Call),
}

fn answer(name: &'static str, content_type: &str, body: impl Into<Script>) -> Evasion {
    let reply = Reply::ok(body).header("content-type", content_type);
    let way = Way::Answer(reply);
    Evasion { name, way }
}

fn with_reply(name: &'static str, reply: Reply) -> Evasion {
    let way = Way::Answer(reply);
    Evasion { name, way }
}

fn request(name: &'static str, call: Call) -> Evasion {
    let way = Way::Request(call);
    Evasion { name, way }
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const EVENTS: &str = "text/event-stream";

/// A storage account's key: base64, so that JSON and URLs have something to escape in it.
fn storage_key() -> String {
    format!("{}==", "EXAMPLE/EXAMPLE+".repeat(6).get(..86).unwrap())
}

/// Every secret that is planted anywhere here.
fn planted() -> Vec<String> {
    vec![secret(), storage_key()]
}

fn between(text: &str, separator: &str) -> String {
    each(text, |index, character| {
        let before = if index == 0 { "" } else { separator };
        format!("{before}{character}")
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn in_json() -> Vec<Evasion> {
    let secret = secret();
    let escaped = each(&secret, |_, c| format!("\\u{:04x}", u32::from(c)));
    let mixed = each(&secret, |index, c| match index % 3 {
        0 => format!("\\u{:04X}", u32::from(c)),
        1 => format!("\\u{:04x}", u32::from(c)),
        _ => c.to_string(),
    });
    let slashes = format!("AccountKey={}", storage_key()).replace('/', "\\/");
    let tokens: Vec<_> = secret
        .chars()
        .map(|c| json!({"token": c, "bytes": [u32::from(c)], "top_logprobs": [{"token": c}]}))
        .collect();
    let nested = json!({"b": json!({"c": format!("\"{secret}\"\n")}).to_string()}).to_string();
    vec![
        answer("json-escapes", JSON, format!("{{\"a\":\"{escaped}\"}}")),
        answer(
            "json-escapes-of-mixed-case",
            JSON,
            format!("[\"x {mixed}\"]"),
        ),
        answer("json-escaped-slashes", JSON, format!("[\"{slashes}\"]")),
        answer(
            "json-in-json-in-json",
            JSON,
            json!({"a": nested}).to_string(),
        ),
        answer("json-key", JSON, format!("{{\"{escaped}\": 1}}")),
        answer(
            "json-with-byte-order-mark",
            JSON,
            format!("\u{feff}[\"{escaped}\"]"),
        ),
        answer(
            "json-that-says-it-is-text",
            TEXT,
            format!("{{\"a\": \"{escaped}\"}}"),
        ),
        with_reply(
            "json-without-a-type",
            Reply::ok(format!("{{\"a\": \"{escaped}\"}}")),
        ),
        answer("json-cut-off", JSON, format!("{{\"a\": \"{escaped}")),
        answer(
            "json-with-faults",
            JSON,
            format!("{{a: ['{escaped}',], // {secret}\n}}"),
        ),
        answer(
            "json-lines",
            "application/x-ndjson",
            format!("{{\"a\":1}}\n{{\"a\":\"{escaped}\"}}\n"),
        ),
        answer(
            "lines-of-deltas",
            "application/x-ndjson",
            each(&secret, |_, c| {
                json!({"response": c, "done": false}).to_string() + "\n"
            }),
        ),
        answer(
            "log-probabilities",
            JSON,
            json!({"choices": [{"message": {"content": secret}, "logprobs": {"content": tokens}}]})
                .to_string(),
        ),
        answer(
            "json-parts",
            JSON,
            json!([secret[..20], secret[20..]]).to_string(),
        ),
    ]
}

fn in_streams() -> Vec<Evasion> {
    let secret = secret();
    let said = |text: &str, arguments: &str| Said {
        texts: vec![text.to_owned()],
        arguments: vec![arguments.to_owned()],
        ..Said::default()
    };
    let escaped = each(&secret, |_, c| format!("\\u{:04X}", u32::from(c)));
    let deltas = Wire::PLAIN.write(&Api::Chat.stream(&said(&secret, "{}"), 1));
    let arguments = format!("{{\"command\":\"echo {escaped}\"}}");
    let tool = Wire::PLAIN.write(&Api::Messages.stream(&said("x", &arguments), 1));
    let lines = Wire::STRANGE[2].write(&Api::Responses.stream(&said(&secret, "{}"), 7));
    let (half, rest) = secret.split_at(20);
    let choices = Said {
        texts: vec![half.to_owned(), rest.to_owned()],
        ..Said::default()
    };
    let choices = Wire::PLAIN.write(&Api::Chat.stream(&choices, 100));
    vec![
        answer(
            "split-over-packets",
            TEXT,
            Script::new().cut(secret.as_bytes(), 1),
        ),
        answer("split-over-deltas", EVENTS, deltas.clone()),
        answer("tool-arguments", EVENTS, tool),
        answer("data-of-many-lines", EVENTS, lines),
        answer("events-that-say-they-are-text", TEXT, deltas),
        answer(
            "event-comment",
            EVENTS,
            format!(": {secret}\n\ndata: x\n\n"),
        ),
        answer(
            "event-fields",
            EVENTS,
            format!("id: {secret}\nevent: {secret}\nx: {secret}\ndata: x\n\n"),
        ),
        answer("split-over-choices", EVENTS, choices),
    ]
}

fn in_characters() -> Vec<Evasion> {
    let secret = secret();
    let url = each(&secret, |index, c| match index % 2 {
        0 => format!("%{:02X}", u32::from(c)),
        _ => format!("%{:02x}", u32::from(c)),
    });
    let letters = secret.replace("EXAMPLE", "ЕХАМРLЕ");
    let wide = each(&secret, |_, c| {
        let wide = char::from_u32(u32::from(c) + 0xfee0).filter(|_| c.is_ascii_alphanumeric());
        wide.unwrap_or(c).to_string()
    });
    let utf_16: Vec<u8> = format!("\u{feff}{secret}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let entities = |write: fn(char) -> String| format!("<p>{}</p>", each(&secret, |_, c| write(c)));
    vec![
        answer("zero-width-space", TEXT, between(&secret, "\u{200b}")),
        answer("zero-width-joiner", TEXT, between(&secret, "\u{200d}")),
        answer("soft-hyphen", TEXT, between(&secret, "\u{ad}")),
        answer(
            "word-joiner-in-json",
            JSON,
            json!([between(&secret, "\u{2060}")]).to_string(),
        ),
        answer(
            "html-entities",
            "text/html",
            entities(|c| format!("&#{};", u32::from(c))),
        ),
        answer(
            "html-entities-hexadecimal",
            "text/html",
            entities(|c| format!("&#x{:x};", u32::from(c))),
        ),
        answer(
            "percent-encoded-url",
            TEXT,
            format!("https://x.example/?token={url}&x=1"),
        ),
        request(
            "percent-encoded-form",
            Call::post("/form", format!("a=1&token={url}"))
                .header("content-type", "application/x-www-form-urlencoded"),
        ),
        answer("spaces-between", TEXT, between(&secret, " ")),
        answer(
            "wrapped-lines",
            TEXT,
            format!("{}\n{}", &secret[..30], &secret[30..]),
        ),
        answer(
            "colour-codes",
            TEXT,
            format!("{}\u{1b}[1m{}", &secret[..30], &secret[30..]),
        ),
        answer("letters-of-other-scripts", TEXT, letters),
        answer("full-width-letters", TEXT, wide),
        answer("utf-16", "text/plain; charset=utf-16", utf_16),
    ]
}

fn in_encodings() -> Vec<Evasion> {
    let secret = secret();
    let base64 = STANDARD.encode(format!("token: {secret}\n"));
    let kubernetes = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"},
        "type": "Opaque", "data": {"token": base64}});
    let zipped = compressed::every_way(&[&secret]).remove(0).parts.concat();
    let compressed = |encoding: &str, body: &[u8]| {
        Reply::ok(body.to_vec())
            .header("content-encoding", encoding)
            .header("content-type", TEXT)
    };
    let rot13 = each(&secret, |_, c| {
        let turn = |base: u8| char::from((u8::try_from(c).unwrap() - base + 13) % 26 + base);
        match c {
            'a'..='z' => turn(b'a').to_string(),
            'A'..='Z' => turn(b'A').to_string(),
            _ => c.to_string(),
        }
    });
    vec![
        answer("base64", TEXT, format!("data={base64}")),
        answer("base64-in-kubernetes-secret", JSON, kubernetes.to_string()),
        answer("hexadecimal", TEXT, hex(secret.as_bytes())),
        answer("reversed", TEXT, secret.chars().rev().collect::<String>()),
        answer("rot13", TEXT, rot13),
        with_reply("gzip", compressed("gzip", &zipped)),
        with_reply(
            "brotli",
            compressed("br", b"\x0b\x02\x80not read by anybody\x03"),
        ),
        answer("gzip-in-base64", TEXT, STANDARD.encode(&zipped)),
        answer(
            "octet-stream",
            "application/octet-stream",
            format!("\0\u{1}{secret}\0"),
        ),
    ]
}

fn in_places() -> Vec<Evasion> {
    let secret = secret();
    let failed = |status: u16, content_type: &str, body: String| {
        Reply::status(status)
            .body(body)
            .header("content-type", content_type)
    };
    let header = |name: &str, value: String| {
        Reply::ok("x")
            .header(name, value)
            .header("content-type", TEXT)
    };
    let problem = json!({"type": "about:blank", "detail": format!("bad token {secret}")});
    let part = format!(
        "--b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"x\"\r\n\
         content-type: text/plain\r\n\r\n{secret}\r\n--b--\r\n"
    );
    vec![
        with_reply(
            "error-401",
            failed(401, "application/problem+json", problem.to_string()),
        ),
        with_reply(
            "error-500",
            failed(500, "text/html", format!("<pre>{secret}</pre>")),
        ),
        with_reply(
            "location-header",
            Reply::status(302).header("location", format!("https://x.example/?token={secret}")),
        ),
        with_reply(
            "set-cookie-header",
            header("set-cookie", format!("token={secret}; HttpOnly")),
        ),
        with_reply("other-response-header", header("x-token", secret.clone())),
        request(
            "request-header",
            Call::post("/x", "x").header("x-token", &secret),
        ),
        request(
            "request-path-and-query",
            Call::get(&format!("/x/{secret}?token={secret}")),
        ),
        request(
            "multipart",
            Call::post("/x", part).header("content-type", "multipart/form-data; boundary=b"),
        ),
        request(
            "tool-result",
            Call::post(
                "/x",
                json!({"messages": [
            {"role": "tool", "content": json!({"out": secret}).to_string()}]})
                .to_string(),
            )
            .header("content-type", JSON),
        ),
    ]
}

/// The list: the rows of docs/masking.md whose first cell is a name, by name.
fn list() -> BTreeMap<String, Outcome> {
    let path = places::repository().join("docs/masking.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let section = text
        .split("## Evasions")
        .nth(1)
        .expect("the page has the list");
    let section = section.split("\n## ").next().unwrap();
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells
            .next()?
            .strip_prefix('`')?
            .strip_suffix('`')?
            .to_owned();
        let outcome = match cells.nth(1)? {
            "masked" => Outcome::Masked,
            "refused" => Outcome::Refused,
            "out of reach" => Outcome::OutOfReach,
            other => panic!("{name}: {other:?} is no outcome"),
        };
        Some((name, outcome))
    };
    section.lines().filter_map(row).collect()
}

/// Tries each, and compares with the list.
async fn are_as_listed(evasions: Vec<Evasion>) {
    let list = list();
    let stage = Setting::with(&[allow("platform", "platform")])
        .start()
        .await;
    let alice = stage.agent("alice", &["platform"]);
    let mut surprises = Vec::new();
    for Evasion { name, way } in evasions {
        let listed = list.get(name).copied();
        stage.upstream.forget();
        let (status, received) = match way {
            Way::Answer(reply) => {
                stage.upstream.always(reply);
                let answer = alice.send(Call::get("/evasion")).await;
                let received = [answer.body(), headers(&answer.headers)].concat();
                (answer.code().unwrap_or_default(), received)
            }
            Way::Request(call) => {
                stage.upstream.always(Reply::ok("x"));
                let answer = alice.send(call).await;
                let seen = stage.upstream.seen();
                let received = seen.iter().flat_map(|seen| {
                    [
                        seen.body.clone(),
                        seen.target.clone().into_bytes(),
                        headers(&seen.headers),
                    ]
                    .concat()
                });
                (answer.code().unwrap_or_default(), received.collect())
            }
        };
        let readings = readings(&received);
        let came_through = readings
            .iter()
            .any(|text| planted().iter().any(|secret| text.contains(secret)));
        let masked = readings
            .iter()
            .any(|text| without_fingerprints(text).contains(HERE));
        let outcome = match (came_through, masked, status.as_str()) {
            (true, ..) => Outcome::OutOfReach,
            (false, _, "unreadable_encoding") => Outcome::Refused,
            _ => Outcome::Masked,
        };
        let left = readings
            .iter()
            .find_map(|text| left_of(text.as_bytes(), &planted()));
        let half_done = outcome == Outcome::Masked && (!masked || left.is_some());
        if Some(outcome) != listed || half_done {
            let received = String::from_utf8_lossy(&received).into_owned();
            surprises.push(format!(
                "{name}: listed {listed:?}, but {outcome:?}, left {left:?}: {received:.400}"
            ));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

fn headers(headers: &HeaderMap) -> Vec<u8> {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
    lines.collect::<String>().into_bytes()
}

#[tokio::test]
async fn in_json_strings_and_keys() {
    are_as_listed(in_json()).await;
}

#[tokio::test]
async fn in_pieces_of_a_stream() {
    are_as_listed(in_streams()).await;
}

#[tokio::test]
async fn in_other_characters() {
    are_as_listed(in_characters()).await;
}

#[tokio::test]
async fn in_other_encodings() {
    are_as_listed(in_encodings()).await;
}

#[tokio::test]
async fn in_places_beside_a_good_answers_body() {
    are_as_listed(in_places()).await;
}

#[tokio::test]
async fn in_trailers() {
    let stage = Setting::with(&[allow("platform", "platform")])
        .http(Http::Two, Http::Two)
        .start()
        .await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-token", secret().parse().unwrap());
    let body = Script::new().chunk("x").trailers(trailers);
    stage
        .upstream
        .always(Reply::ok(body).header("trailer", "x-token"));
    let answer = stage
        .agent("alice", &["platform"])
        .send(Call::get("/"))
        .await;
    let came_through = answer
        .trailers
        .get("x-token")
        .is_some_and(|value| value == secret().as_str());
    let listed = list()["trailers"];
    assert_eq!(
        came_through,
        listed == Outcome::OutOfReach,
        "{:?}",
        answer.trailers
    );
}

#[test]
fn the_list_has_every_evasion_that_is_tried_and_no_other() {
    let groups = [
        in_json(),
        in_streams(),
        in_characters(),
        in_encodings(),
        in_places(),
    ];
    let tried: BTreeSet<String> = groups
        .iter()
        .flatten()
        .map(|evasion| evasion.name.to_owned())
        .chain(["trailers".to_owned()])
        .collect();
    let listed: BTreeSet<String> = list().into_keys().collect();
    assert_eq!(listed, tried);
}
