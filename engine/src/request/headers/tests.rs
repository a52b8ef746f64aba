use super::*;

/// Natively only: it reads the pages where they stand.
#[cfg(not(target_arch = "wasm32"))]
mod documented;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn read(names: &[&str]) -> HeadersRead {
    HeadersRead::of(names.iter().map(|name| (*name, &b"1"[..])))
}

fn headers() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(|rule| rule.place == Place::Header)
}

/// Names that a row is about, in the spelling of the wire.
fn names_of(rule: &Rule) -> Vec<String> {
    let text = rule.name.text();
    match rule.name {
        Name::Exact(_) | Name::Literal(_) => vec![text.to_owned()],
        Name::Prefix(_) => vec![
            text.to_owned(),
            format!("{text}-zz"),
            format!("{text}-zz-9"),
        ],
        Name::Word(_) => vec![
            text.to_owned(),
            format!("x-zz-{text}ed-as"),
            format!("{text}ion"),
        ],
    }
}

/// Other spellings of a name, which some servers read as that one.
fn spellings_of(name: &str) -> Vec<String> {
    let mut spellings = vec![
        name.to_ascii_uppercase(),
        name.replace('-', "_"),
        name.replace('-', "."),
        name.replacen('-', "_", 1),
        name.replace('-', "~"),
    ];
    spellings.retain(|spelling| spelling != name);
    spellings
}

#[test]
fn every_row_of_a_header_does_what_it_says_in_every_spelling() {
    for rule in headers() {
        for name in names_of(rule) {
            let plain = read(&["accept", &name]);
            let removed = || plain.all_removed().collect::<Vec<_>>();
            match rule.does {
                Does::Refuse(claim) => assert_eq!(plain.claimed(), Some((name.as_str(), claim))),
                Does::Remove | Does::KeepOnly(_) => {
                    assert_eq!(plain.removed(), std::slice::from_ref(&name));
                    assert_eq!(plain.claimed(), None, "{name}");
                }
                Does::RemoveSilently => {
                    assert_eq!(removed(), [name.as_str()]);
                    assert!(plain.removed().is_empty(), "{name}");
                }
                Does::Overwritten | Does::Pass => {
                    assert_eq!(plain, HeadersRead::default(), "{name}")
                }
            }
            for spelling in spellings_of(&name) {
                let other = read(&[&spelling, "accept"]);
                match rule.does {
                    Does::Refuse(claim) => {
                        assert_eq!(other.claimed(), Some((spelling.as_str(), claim)));
                    }
                    // Whatever it is of: no server behind the gate is to read it as the plain one.
                    _ => assert_eq!(other.removed(), [spelling]),
                }
            }
        }
    }
}

#[test]
fn every_row_of_a_parameter_does_what_it_says_in_every_spelling() {
    for rule in RULES.iter().filter(|rule| rule.place == Place::Query) {
        let Does::Refuse(claim) = rule.does else {
            panic!("{rule:?}: a query is never changed");
        };
        let name = rule.name.text();
        let shouted = name.to_ascii_uppercase();
        let list = format!("{name}[]");
        for spelling in [
            name,
            &shouted,
            &list,
            &format!(" {name}"),
            &format!("+{name}"),
        ] {
            assert_eq!(claim_of_parameter(spelling), Some(claim), "{spelling:?}");
        }
    }
    // PHP makes an underscore of a bracket in front.
    assert_eq!(claim_of_parameter("[method"), Some(Claim::Method));
    assert_eq!(claim_of_parameter("_method[a][b]"), Some(Claim::Method));
    assert_eq!(
        claim_of_parameter("x_http_method_override"),
        Some(Claim::Method)
    );
    for harmless in [
        "",
        "[",
        "method",
        "user_name",
        "user-name",
        "username",
        "the_method",
        "sudoku",
        "é",
    ] {
        assert_eq!(claim_of_parameter(harmless), None, "{harmless:?}");
    }
}

#[test]
fn the_row_that_says_more_wins() {
    for (name, removed) in [("x-forwarded-for", true), ("x-forwarded-proto", false)] {
        assert_eq!(!read(&[name]).removed().is_empty(), removed, "{name}");
    }
    let path = Some(("x-forwarded-uri", Claim::Path));
    assert_eq!(
        read(&["x-forwarded-for", "x-forwarded-uri"]).claimed(),
        path
    );
    let host = Some(("x-envoy-original-dst-host", Claim::Host));
    assert_eq!(read(&["x-envoy-original-dst-host"]).claimed(), host);
    // Not a beginning that ends in the middle of a word.
    assert_eq!(
        read(&["x-forwardedness", "x-client-certify", "viable"]),
        HeadersRead::default()
    );
}

/// What clients of model providers, clouds and repositories send.
const OF_CLIENTS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "api-key",
    "authorization",
    "baggage",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "copilot-integration-id",
    "date",
    "editor-version",
    "expect",
    "git-protocol",
    "grpc-timeout",
    "host",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "kubectl-command",
    "kubectl-session",
    "last-event-id",
    "mcp-protocol-version",
    "mcp-session-id",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "origin",
    "originator",
    "prefer",
    "priority",
    "private-token",
    "range",
    "referer",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-meta-a",
    "x-amz-target",
    "x-amz-user-agent",
    "x-amzn-trace-id",
    "x-api-key",
    "x-app",
    "x-auth-email",
    "x-auth-key",
    "x-auth-token",
    "x-b3-traceid",
    "x-claude-code-session-id",
    "x-client-request-id",
    "x-cloud-trace-context",
    "x-codex-turn-metadata",
    "x-github-api-version",
    "x-goog-api-client",
    "x-goog-api-key",
    "x-goog-request-params",
    "x-goog-user-project",
    "x-ms-blob-type",
    "x-ms-client-request-id",
    "x-ms-date",
    "x-ms-meta-a",
    "x-ms-version",
    "x-request-id",
    "x-stainless-arch",
    "x-stainless-retry-count",
    "x-user-id",
    "x-vault-token",
    ":authority",
    ":method",
    ":path",
];

#[test]
fn headers_of_clients_pass_as_they_are() {
    assert_eq!(read(OF_CLIENTS), HeadersRead::default());
}

#[test]
fn a_name_that_servers_read_differently_does_not_pass_and_is_named_once() {
    let read = read(&[
        "session_id",
        "a.b",
        "accept",
        "session_id",
        "x|y",
        "Accept",
        "é",
    ]);
    assert_eq!(read.removed(), ["session_id", "a.b", "x|y", "Accept", "é"]);
    assert_eq!(read.claimed(), None);
}

#[test]
fn a_name_that_is_shown_is_cut() {
    let long = format!("impersonate-{}", "é".repeat(100));
    let read = read(&[&long]);
    let (shown, claim) = read.claimed().unwrap();
    assert_eq!((shown.chars().count(), claim), (64, Claim::Identity));
}

#[test]
fn connection_names_no_header_away() {
    let of = |lines: &[&str]| {
        let read = HeadersRead::of(lines.iter().map(|line| ("connection", line.as_bytes())));
        match (read.removed(), read.rewritten()) {
            ([], []) => None,
            ([], [(name, value)]) if name == "connection" => Some(value.clone()),
            ([name], []) if name == "connection" => Some("-".to_owned()),
            other => panic!("{other:?}"),
        }
    };
    for unchanged in [
        &["upgrade"][..],
        &["Keep-Alive, Upgrade"],
        &["close"],
        &["upgrade", "close"],
    ] {
        assert_eq!(of(unchanged), None, "{unchanged:?}");
    }
    let upgrade = Some("upgrade".to_owned());
    assert_eq!(of(&["Upgrade, x-foo, Authorization"]), upgrade);
    assert_eq!(of(&["x-api-key", "upgrade"]), upgrade);
    assert_eq!(of(&["x-api-key,, upgrade ,"]), upgrade);
    for nothing in ["authorization", "", ",", "upgraded", "up grade"] {
        assert_eq!(of(&[nothing]), Some("-".to_owned()), "{nothing:?}");
    }
}

#[test]
fn the_table_is_in_order() {
    let mut seen = std::collections::BTreeSet::new();
    for rule in RULES {
        let text = rule.name.text();
        assert!(
            seen.insert((rule.place == Place::Query, normal(text))),
            "{text} stands there twice"
        );
        assert!(
            !rule.of.is_empty() && !rule.of.contains('|'),
            "{text}: whose is it?"
        );
        assert!(
            rule.source.is_empty() || rule.source.starts_with("https://"),
            "{text}"
        );
        if rule.place == Place::Header {
            assert_eq!(normal(text), text, "a header is written in normal form");
            assert!(!matches!(rule.name, Name::Literal(_)), "{text}");
        }
    }
}
