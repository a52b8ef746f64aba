use crate::approval::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn request() -> BoundRequest<'static> {
    BoundRequest {
        issuer: "https://issuer.example",
        subject: "ana",
        agent: Some("copilot"),
        connection: "arm",
        method: "DELETE",
        host: "management.azure.com",
        path: "/subscriptions/1",
        query: Some("api-version=1"),
        content_type: None,
        content_encoding: None,
        body: BodyBinding::Whole(body_sha256(b"{}")),
    }
}

#[test]
fn every_part_of_a_request_changes_its_digest() {
    let base = request();
    let variants = [
        BoundRequest {
            issuer: "https://other.example",
            ..base
        },
        BoundRequest {
            subject: "bob",
            ..base
        },
        BoundRequest {
            agent: Some("codex"),
            ..base
        },
        BoundRequest {
            agent: None,
            ..base
        },
        BoundRequest {
            connection: "arm2",
            ..base
        },
        BoundRequest {
            method: "PUT",
            ..base
        },
        BoundRequest {
            host: "other.azure.com",
            ..base
        },
        BoundRequest {
            path: "/subscriptions/2",
            ..base
        },
        BoundRequest {
            query: None,
            ..base
        },
        BoundRequest {
            query: Some(""),
            ..base
        },
        BoundRequest {
            content_type: Some(b"application/json"),
            ..base
        },
        BoundRequest {
            content_encoding: Some(b"application/json"),
            ..base
        },
        BoundRequest {
            body: BodyBinding::Whole(body_sha256(b"{ }")),
            ..base
        },
        BoundRequest {
            body: BodyBinding::Unseen { record: "a-1" },
            ..base
        },
        BoundRequest {
            body: BodyBinding::Unseen { record: "a-2" },
            ..base
        },
    ];
    let mut digests: Vec<_> = variants
        .iter()
        .map(|v| v.digest().as_str().to_owned())
        .collect();
    digests.push(base.digest().as_str().to_owned());
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all);
    assert_eq!(
        base.digest(),
        request().digest(),
        "the same request has the same digest"
    );
}

#[test]
fn text_moved_from_one_part_to_the_next_changes_the_digest() {
    let a = BoundRequest {
        subject: "ana",
        agent: Some("x"),
        path: "/ab",
        query: Some("c"),
        ..request()
    };
    let b = BoundRequest {
        subject: "anax",
        agent: Some(""),
        path: "/a",
        query: Some("bc"),
        ..request()
    };
    assert_ne!(a.digest(), b.digest());
}
