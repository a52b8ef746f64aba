use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::*;
use crate::base::time::UnixMillis;
use crate::bundle::{Bundle, Serial};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Connections by what is masked there, and rules by path.
fn gate() -> Gate {
    let policy = br#"{"apiVersion":"chaperone/v1",
        "issuers":[{"issuer":"https://issuer.example","audiences":["chaperone"]}],
        "connections":[
            {"name":"plain","hosts":["plain.example"],"protocol":"http"},
            {"name":"requests","hosts":["requests.example"],"protocol":"http"},
            {"name":"answers","hosts":["answers.example"],"protocol":"http"},
            {"name":"blocking","hosts":["blocking.example"],"protocol":"http"}],
        "rules":[
            {"name":"free","match":{"groups":["dev"],"paths":["/free"]},"effect":"allow"},
            {"name":"asks","match":{"groups":["dev"],"paths":["/asks"]},"effect":"approve","approve":{"by":["sre"]}},
            {"name":"off","match":{"groups":["dev"],"paths":["/off"]},"effect":"deny","reason":"Not today."}],
        "masking":[
            {"name":"a","detectors":["secrets/jwt"],"on":["request"],"action":"mask","connections":["requests"]},
            {"name":"b","detectors":["secrets/jwt"],"on":["response"],"action":"mask","connections":["answers"]},
            {"name":"c","detectors":["secrets/jwt"],"on":["request"],"action":"block","connections":["blocking"]}]}"#;
    Gate::from_bundle(Bundle {
        serial: Serial {
            policy_version: 1,
            keys_revision: 0,
        },
        previous: None,
        issued_at: UnixMillis(0),
        policy: crate::policy::parse_json(policy).unwrap(),
        keys: BTreeMap::new(),
    })
    .unwrap()
}

fn dev() -> Principal {
    Principal {
        issuer: "https://issuer.example".into(),
        subject: "ana".into(),
        groups: vec!["dev".into()],
        ..Principal::default()
    }
}

/// A plain body that can be held.
const BODY: BodyHead<'_> = BodyHead {
    content_type: None,
    encoding: Some(Encoding::Identity),
    can_be_held: true,
};

static PLAIN_HEADERS: LazyLock<HeadersRead> = LazyLock::new(HeadersRead::default);

fn headers(names: &[&str]) -> HeadersRead {
    HeadersRead::of(names.iter().map(|name| (*name, &b"x"[..])))
}

/// `POST HOST.example/PATH` with that body.
fn head<'a>(authority: &'a str, path: &'a str) -> RequestHead<'a> {
    RequestHead {
        method: Some("POST"),
        authority: Some(authority),
        path: Some(path),
        headers: &PLAIN_HEADERS,
        destination: Destination::Host,
        is_upgrade: false,
        is_grpc: false,
        body: Some(BODY),
    }
}

/// What the gate says to it, in short.
fn said(gate: &Gate, head: &RequestHead<'_>) -> String {
    let refused = |refused: Refused| format!("{} {}", refused.code.status(), refused.code);
    match gate.admit(&dev(), head) {
        Err(unread) => refused(unread),
        Ok(judged) => match judged.next {
            Err(against) => refused(against),
            Ok(next) => format!("{next:?}"),
        },
    }
}

#[test]
fn connect_is_told_that_it_is_a_tunnel_and_not_that_its_path_is_missing() {
    let gate = gate();
    let connect = RequestHead {
        method: Some("CONNECT"),
        path: None,
        is_upgrade: true,
        ..head("plain.example:443", "/free")
    };
    assert_eq!(said(&gate, &connect), "403 upgrade_not_supported");
}

#[test]
fn a_head_that_names_another_request_or_cannot_be_read_is_refused_before_any_rule() {
    let gate = gate();
    let free = head("plain.example", "/free");
    for (name, expected) in [
        ("x-http-method-override", "400 method_override"),
        ("x_http.method", "400 method_override"),
        ("x-original-url", "400 ambiguous_path"),
        ("x-forwarded-uri", "400 ambiguous_path"),
        ("x-original-host", "400 invalid_host"),
        ("impersonate-extra-scopes", "400 claimed_identity"),
        ("sudo", "400 claimed_identity"),
    ] {
        let headers = headers(&["accept", name, "x-forwarded-for"]);
        let head = RequestHead {
            headers: &headers,
            ..free
        };
        assert_eq!(said(&gate, &head), expected, "{name}");
        let refused = gate.admit(&dev(), &head).unwrap_err();
        assert!(refused.detail.contains(name), "{}", refused.detail);
    }
    let parameter = head("plain.example", "/free?a=1&SUDO=root");
    assert_eq!(said(&gate, &parameter), "400 claimed_identity");
    for (part, head) in [
        (
            "host",
            RequestHead {
                authority: None,
                ..free
            },
        ),
        (
            "method",
            RequestHead {
                method: None,
                ..free
            },
        ),
        ("path", RequestHead { path: None, ..free }),
    ] {
        let refused = gate.admit(&dev(), &head).unwrap_err();
        assert_eq!(refused.code, Code::InvalidHeaders, "{part}");
        let sentence = format!("The {part} is missing or no readable text.");
        assert_eq!(refused.detail, sentence);
    }
    let harmless = headers(&["accept", "x-forwarded-for", "session_id"]);
    let head = RequestHead {
        headers: &harmless,
        ..free
    };
    assert_eq!(said(&gate, &head), "Forward");
}

#[test]
fn a_route_that_is_to_name_the_connection_and_names_none_does_not_fall_back_to_the_host() {
    let gate = gate();
    let by_route = |name| RequestHead {
        destination: Destination::Route(name),
        ..head("plain.example", "/free")
    };
    assert_eq!(said(&gate, &by_route(None)), "403 unknown_connection");
    assert_eq!(
        said(&gate, &by_route(Some("gone"))),
        "403 unknown_connection"
    );
    let blocking = by_route(Some("blocking"));
    let judged = gate.admit(&dev(), &blocking).unwrap();
    assert_eq!(judged.routed.connection.name, "blocking");
}

#[test]
fn how_a_request_goes_on_follows_from_the_rule_the_masking_and_the_body() {
    let gate = gate();
    // Without a body that can be held · with one that streams by · with one that can be held.
    for (host, path, none, streams, held) in [
        ("plain", "/free", "Forward", "Forward", "Forward"),
        ("requests", "/free", "Forward", "Forward", "Forward"),
        ("answers", "/free", "Forward", "Forward", "Forward"),
        (
            "blocking",
            "/free",
            "Forward",
            "Forward",
            "ReadBody(Blocking)",
        ),
        ("plain", "/asks", "Ask", "Ask", "ReadBody(Approval)"),
        ("blocking", "/asks", "Ask", "Ask", "ReadBody(Approval)"),
        ("plain", "/off", "403 denied", "403 denied", "403 denied"),
        ("plain", "/else", "403 denied", "403 denied", "403 denied"),
    ] {
        let authority = format!("{host}.example");
        let passing = BodyHead {
            can_be_held: false,
            ..BODY
        };
        for (body, expected) in [(None, none), (Some(passing), streams), (Some(BODY), held)] {
            let head = RequestHead {
                body,
                ..head(&authority, path)
            };
            assert_eq!(said(&gate, &head), expected, "{host} {path} {body:?}");
        }
    }
    // Its caller may wait for an answer before the body ends, whatever is blocked; not before a
    // human was asked.
    for (path, expected) in [("/free", "Forward"), ("/asks", "ReadBody(Approval)")] {
        let grpc = RequestHead {
            is_grpc: true,
            ..head("blocking.example", path)
        };
        assert_eq!(said(&gate, &grpc), expected);
    }
}

#[test]
fn an_upgrade_is_refused_wherever_it_would_have_to_be_held_or_masked() {
    let gate = gate();
    for (host, path, expected) in [
        ("plain", "/free", "Forward"),
        ("plain", "/asks", "403 upgrade_not_supported"),
        ("requests", "/free", "403 upgrade_not_supported"),
        ("answers", "/free", "403 upgrade_not_supported"),
        ("blocking", "/free", "403 upgrade_not_supported"),
    ] {
        let authority = format!("{host}.example");
        let upgrade = RequestHead {
            is_upgrade: true,
            body: None,
            ..head(&authority, path)
        };
        assert_eq!(said(&gate, &upgrade), expected, "{host} {path}");
    }
}

#[test]
fn a_body_that_cannot_be_read_is_refused_where_the_request_is_masked() {
    let gate = gate();
    let unknown_encoding = BodyHead {
        encoding: None,
        ..BODY
    };
    let utf16 = BodyHead {
        content_type: Some(b"text/plain; charset=utf-16"),
        ..BODY
    };
    let gzip = BodyHead {
        encoding: Some(Encoding::Gzip),
        ..BODY
    };
    let refused = "415 unreadable_request_encoding";
    for (host, body, expected) in [
        ("requests", Some(unknown_encoding), refused),
        ("requests", Some(utf16), refused),
        ("blocking", Some(unknown_encoding), refused),
        ("requests", Some(gzip), "Forward"),
        // There is nothing to be read.
        ("requests", None, "Forward"),
        ("plain", Some(unknown_encoding), "Forward"),
        ("answers", Some(utf16), "Forward"),
    ] {
        let authority = format!("{host}.example");
        let head = RequestHead {
            body,
            ..head(&authority, "/free")
        };
        assert_eq!(said(&gate, &head), expected, "{host} {body:?}");
    }
}

#[test]
fn whom_the_policy_denies_is_told_that_and_nothing_about_masking() {
    let gate = gate();
    let worst = RequestHead {
        is_upgrade: true,
        body: Some(BodyHead {
            encoding: None,
            ..BODY
        }),
        ..head("requests.example", "/off")
    };
    let detail = |head: &RequestHead<'_>| {
        let judged = gate.admit(&dev(), head).unwrap();
        judged.next.unwrap_err().detail
    };
    assert_eq!(detail(&worst), "The policy denies this request: Not today.");
    let no_rule = head("plain.example", "/else");
    assert_eq!(
        detail(&no_rule),
        "No rule of the policy allows this request."
    );
}

#[test]
fn an_answer_arrives_when_its_body_can_be_read_whole_or_when_it_has_none() {
    let text = Content::of(Some(b"text/plain"));
    let utf16 = Content::of(Some(b"text/plain; charset=utf-16"));
    let (plain, gzip) = (Some(Encoding::Identity), Some(Encoding::Gzip));
    for (status, answers_head, content, encoding, expected) in [
        (200, false, &text, plain, Ok(plain)),
        (200, false, &text, gzip, Ok(gzip)),
        (500, false, &text, plain, Ok(plain)),
        (200, false, &text, None, Err(Code::UnreadableEncoding)),
        (200, false, &utf16, plain, Err(Code::UnreadableEncoding)),
        (206, false, &text, plain, Err(Code::UnreadableEncoding)),
        // Without a body nothing can be unreadable, whatever the headers say.
        (200, true, &text, None, Ok(None)),
        (206, true, &utf16, plain, Ok(None)),
        (204, false, &text, None, Ok(None)),
        (304, false, &text, None, Ok(None)),
    ] {
        let head = ResponseHead {
            status,
            answers_head,
            content,
            encoding,
        };
        let said = head.admit().map_err(|refused| refused.code);
        assert_eq!(said, expected, "{head:?}");
    }
}
