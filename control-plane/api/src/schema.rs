//! The engine's types as OpenAPI sees them. The engine does not know OpenAPI, so each type that
//! appears in an answer is described once more here; a test serialises the engine's type and checks
//! that every member is described.

#![allow(
    dead_code,
    reason = "these structs exist for the schemas derived from them"
)]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// The caller, as the verified token describes it.
#[derive(ToSchema)]
pub(super) struct Principal {
    /// The token's issuer.
    issuer: String,
    /// The subject.
    subject: String,
    /// Groups, in the token's order.
    groups: Vec<String>,
    /// The client that acts for the subject.
    agent: Option<String>,
    /// The issuer's session: one agent run.
    session: Option<String>,
}

/// What a request does, in the upstream's own terms.
#[derive(ToSchema)]
pub(super) struct Operation {
    /// `GET /v1/models`, `Microsoft.Storage/storageAccounts/listKeys/action`.
    action: String,
    /// What else the protocol tells: `resource_group`, `subscription` and so on.
    attributes: Option<BTreeMap<String, String>>,
}

/// The request as it is recorded: path and query after masking.
#[derive(ToSchema)]
pub(super) struct RequestLine {
    /// HTTP method.
    method: String,
    /// Host, lower case, without port.
    host: String,
    /// Path without query.
    path: String,
    /// Query without `?`.
    query: Option<String>,
}

/// Who may approve, how long a request waits, and what an approval gives.
#[derive(ToSchema)]
pub(super) struct ApproveTerms {
    /// Groups whose members may approve.
    by: Vec<String>,
    /// How many different people must approve.
    count: u32,
    /// How long the request itself waits: `60s`.
    hold: String,
    /// How long the question stays open: `1h`.
    expires: String,
    /// What an approval gives: `once`, or a window such as `30m`.
    grant: String,
}

/// The beginning of the masked body.
#[derive(ToSchema)]
pub(super) struct BodyPreview {
    /// The bytes.
    content: Body,
    /// Bytes of the whole body as it goes upstream; 0 when the request has none.
    total_bytes: Option<u64>,
    /// Whether `content` is less than the whole.
    truncated: bool,
}

/// Body bytes: text where they are UTF-8, standard base64 where not.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Body {
    /// UTF-8 text.
    Text(String),
    /// Standard base64.
    Base64(String),
}

/// One step of a record, as its node reported it. The other members depend on `stage`.
#[derive(ToSchema)]
pub(super) struct Event {
    /// Position in the node's sequence, from 1, without gaps.
    seq: u64,
    /// The record's id.
    record: String,
    /// When, by the node's clock: milliseconds since the Unix epoch.
    at: u64,
    /// `received`, `held`, `decided`, `forwarded`, `response_started`, `chunk`, `completed`,
    /// `aborted`, `aggregated`, or a stage that a newer node has and this version does not know.
    stage: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chaperone_engine as engine;
    use serde::Serialize;
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use super::*;

    fn members(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[track_caller]
    fn describes<S: PartialSchema>(full: impl Serialize) {
        let schema = serde_json::to_value(S::schema()).unwrap();
        let described = members(&schema["properties"]);
        assert_eq!(described, members(&serde_json::to_value(full).unwrap()));
    }

    #[test]
    fn every_member_of_the_engines_types_is_described() {
        let text = || Some("x".to_owned());
        describes::<Principal>(engine::identity::Principal {
            agent: text(),
            session: text(),
            ..Default::default()
        });
        describes::<RequestLine>(engine::audit::RequestLine {
            query: text(),
            ..Default::default()
        });
        describes::<Operation>(engine::upstreams::Operation {
            action: String::new(),
            attributes: [(String::new(), String::new())].into(),
        });
        describes::<ApproveTerms>(engine::policy::ApproveTerms::by(["sre"]));
        describes::<BodyPreview>(engine::link::BodyPreview {
            content: engine::audit::Body::Text(String::new()),
            total_bytes: Some(1),
            truncated: false,
        });
        let body = serde_json::to_value(Body::schema()).unwrap();
        for sample in [
            engine::audit::Body::Text(String::new()),
            engine::audit::Body::Base64(String::new()),
        ] {
            let name = members(&json!(sample)).pop_first().unwrap();
            assert!(body.to_string().contains(&format!("\"{name}\"")), "{body}");
        }
        describes::<Event>(engine::audit::Event {
            seq: 1,
            record: engine::audit::RecordId(String::new()),
            at: engine::base::time::UnixMillis(1),
            kind: engine::audit::EventKind::Forwarded {},
        });
    }
}
