//! MCP through the gate: the official client and a server made with the official SDK. A secret is
//! masked in whatever direction and on whichever stream it goes, and where a policy blocks it the
//! client is told so.

use chaperone_tests::agents::{Library, McpServer, Outcome, Request};
use chaperone_tests::api::text;
use chaperone_tests::deployment::Connection;
use chaperone_tests::masked::{assert_masked, assert_nothing_of, expected, without_fingerprints};
use chaperone_tests::runs::gate;
use chaperone_tests::stage::{API, Setting, Stage, allow, private_key, secret};
use serde_json::{Value, json};

const HOST: &str = "mcp.example";

/// Every spelling of what is secret.
fn planted() -> Vec<String> {
    let escaped = json!(private_key()).to_string();
    vec![
        secret(),
        private_key(),
        escaped.trim_matches('"').to_owned(),
    ]
}

/// The server behind a gate that does this with secrets.
async fn stage(server: &McpServer, action: &str) -> Stage {
    let connection = Connection::new("mcp", HOST, server.address());
    let masks = json!({"name": "secrets", "detectors": ["secrets/*"],
        "on": ["request", "response"], "action": action});
    let setting = Setting::with(&[allow("platform", "platform")]).masking(&[masks]);
    setting.connection(connection).start().await
}

/// What the client makes of the server's answers through the gate.
async fn through(stage: &Stage, library: &Library, request: &Value) -> Outcome {
    let token = stage.issuer.token("alice").groups(&["platform"]).sign();
    let base = gate(stage).await.replace(API, HOST);
    let request = Request {
        call: "mcp",
        base: &base,
        token: &token,
        request,
    };
    library.call(request).await
}

/// … and of its answers directly.
async fn directly(server: &McpServer, library: &Library, request: &Value) -> Outcome {
    let base = format!("http://{}", server.address());
    let request = Request {
        call: "mcp",
        base: &base,
        token: "direct",
        request,
    };
    library.call(request).await
}

/// Ways in which a server's messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Streamable HTTP: each answer is a stream, and what the server says on its own another.
    Streams,
    /// Streamable HTTP: each answer is a document.
    Documents,
    /// HTTP+SSE: all of them on one stream.
    OneStream,
}

impl Way {
    const ALL: [Self; 3] = [Self::Streams, Self::Documents, Self::OneStream];

    async fn server(self, text: &str, quiet: bool) -> McpServer {
        let is_json = self == Self::Documents;
        McpServer::start(&json!({"text": text, "json": is_json, "quiet": quiet})).await
    }

    /// A call of these tools, which waits for all that the server says meanwhile.
    fn request(self, calls: &[Value], says: bool) -> Value {
        // With an answer in JSON there is no stream for what comes before it.
        let messages = if self == Self::Documents { 1 } else { 2 };
        json!({"calls": calls, "messages": if says { messages } else { 0 }, "legacy": self == Self::OneStream})
    }
}

/// Messages of the answer and those of the client's own stream are not in one order.
fn sorted(mut events: Vec<Value>) -> Value {
    events.sort_by_key(|event| without_fingerprints(&event.to_string()));
    json!(events)
}

#[tokio::test]
async fn an_mcp_client_and_its_server_talk_through_the_gate_and_secrets_stay_behind() {
    let text = format!("Größe 🔑: \"{}\"\n{}", secret(), private_key());
    for way in Way::ALL {
        let server = way.server(&text, false).await;
        let stage = stage(&server, "mask").await;
        let library = Library::npm();
        let read = json!({"name": "read", "arguments": {"path": "/ü", "note": text}});
        let fail = json!({"name": "fail", "arguments": {"path": "/"}});
        let request = way.request(&[read, fail], true);
        let (sent, sent_events, _) = directly(&server, &library, &request).await.ok();
        let (got, got_events, raw) = through(&stage, &library, &request).await.ok();
        let what = format!("{way:?}");
        assert_nothing_of(&raw, &planted(), &what);
        assert_masked(&sent, &got, &planted(), &what);
        assert_masked(&sorted(sent_events), &sorted(got_events), &planted(), &what);
        let note = server.seen().await[1]["note"]
            .as_str()
            .map(without_fingerprints);
        assert_eq!(note, Some(expected(&text, &planted())), "{what}");
    }
}

#[tokio::test]
async fn what_a_server_asks_on_its_own_stream_is_masked_and_so_is_what_it_is_told() {
    let asks = format!("Größe 🔑: \"{}\"\n{}", secret(), private_key());
    let knows = format!("and I know {}", secret());
    for way in Way::ALL {
        let server = way.server(&asks, false).await;
        let stage = stage(&server, "mask").await;
        let library = Library::npm();
        let ask = json!({"name": "ask", "arguments": {"path": "/"}});
        let read = json!({"name": "read", "arguments": {"path": "/"}});
        // After it was asked, the stream goes on.
        let mut request = way.request(&[ask.clone(), ask, read], true);
        request["knows"] = json!(knows);
        let (sent, sent_events, _) = directly(&server, &library, &request).await.ok();
        let (got, got_events, raw) = through(&stage, &library, &request).await.ok();
        let what = format!("{way:?}");
        assert_nothing_of(&raw, &planted(), &what);
        assert_masked(&sent, &got, &planted(), &what);
        let asked = |events: &[Value]| {
            events
                .iter()
                .filter(|event| event["asked"].is_object())
                .count()
        };
        assert_eq!((asked(&sent_events), asked(&got_events)), (2, 2), "{what}");
        assert_masked(&sorted(sent_events), &sorted(got_events), &planted(), &what);
        let seen = server.seen().await;
        let told = without_fingerprints(text(&seen[3]["text"]));
        assert_eq!(
            told,
            expected(&format!("{asks} {knows}"), &planted()),
            "{what}"
        );
    }
}

#[tokio::test]
async fn a_blocked_answer_is_an_error_of_the_request_that_waits_for_it() {
    for way in Way::ALL {
        let server = way.server(&format!("It is {}.", private_key()), true).await;
        let stage = stage(&server, "block").await;
        let library = Library::npm();
        let read = json!({"name": "read", "arguments": {"path": "/"}});
        let outcome = through(&stage, &library, &way.request(&[read], false)).await;
        assert_nothing_of(&outcome.raw, &planted(), "a blocked answer");
        let error = outcome.result.expect_err("it is blocked");
        assert!(
            text(&error["message"]).contains("secret"),
            "{way:?}: {error}"
        );
        // Names and codes that the SDK documents; no timeout, no closed connection, nothing that it
        // cannot read.
        let (name, code) = match way {
            Way::Documents => ("StreamableHTTPError", 403),
            Way::Streams | Way::OneStream => ("McpError", -32099),
        };
        assert_eq!(
            (&error["name"], &error["code"]),
            (&json!(name), &json!(code)),
            "{way:?}: {error}"
        );
        if way != Way::Documents {
            assert_eq!(error["data"]["code"], "secret_blocked", "{way:?}: {error}");
        }
        stage.deployment.envoy.admin.assert_no_traps().await;
    }
}
