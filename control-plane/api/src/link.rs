//! The calls of nodes as OpenAPI sees them: [`chaperone_engine::link`], described once more,
//! because the engine does not know OpenAPI.
//!
//! Weighed against it: `utoipa` behind a feature of the engine. Its derive would stand on two dozen
//! types of the engine, whose fields are types of the engine in turn, and the filter's build would
//! have to be kept free of it. Here a test serialises each of the engine's types, and fails when a
//! member is not described, or is not as necessary as it is called.

#![allow(
    dead_code,
    reason = "these structs exist for the schemas derived from them"
)]

use utoipa::ToSchema;

use crate::schema::{ApproveTerms, BodyPreview, Event, Operation, Principal, RequestLine};

/// Who is speaking: one Envoy worker's filter instance.
#[derive(ToSchema)]
pub struct NodeId {
    /// Envoy's node id, or the name that the filter's configuration gives: printable characters.
    name: String,
    /// This life of the VM: 32 hex digits.
    boot: String,
}

/// A key that a token named and no key set had.
#[derive(ToSchema)]
pub struct UnknownKey {
    /// The issuer.
    issuer: String,
    /// The key's id; absent when the token named none.
    kid: Option<String>,
}

/// The place, in the order of bundles, of the one that a node enforces.
#[derive(ToSchema)]
pub struct EnforcedSerial {
    /// Policy version.
    policy_version: u64,
    /// Revision of the key sets under it.
    keys_revision: u64,
}

/// Is there a bundle newer than mine?
#[derive(ToSchema)]
pub struct PolicyRequest {
    /// Who asks, for all workers of this Envoy.
    node: NodeId,
    /// The filter's own version.
    filter_version: String,
    /// The bundle that this worker enforces; absent while the worker has none.
    enforced: Option<EnforcedSerial>,
    /// Why the last bundle was refused, if it was.
    refused: Option<String>,
    /// Keys that tokens named and no key set had: refresh is asked for.
    #[serde(default)]
    unknown_keys: Vec<UnknownKey>,
    /// Milliseconds to wait for news; 0 answers at once.
    wait_ms: u64,
    /// The revision of the policy language that the filter reads; 1 when left out.
    #[serde(default)]
    reads: u32,
    /// Ids of the signing keys that the filter pins; when left out, the one that signs.
    #[serde(default)]
    pins: Vec<String>,
}

/// The newer bundle, or nothing.
#[derive(ToSchema)]
pub struct PolicyAnswer {
    /// The newer bundle; absent when the wait ended without one.
    bundle: Option<Envelope>,
}

/// A signed bundle: a DSSE envelope, version 1.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub struct Envelope {
    /// The type of the payload: `application/vnd.chaperone.bundle.v1+json`.
    payload_type: String,
    /// The bundle's canonical bytes, standard base64.
    payload: String,
    /// Signatures; one by a pinned key suffices.
    signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(ToSchema)]
pub struct EnvelopeSignature {
    /// Which key, as a hint; never trusted.
    keyid: String,
    /// 64 bytes, standard base64.
    sig: String,
}

/// A batch of events.
#[derive(ToSchema)]
pub struct EventBatch {
    /// Who sends.
    node: NodeId,
    /// Events lost since the boot because the queue was full (`on_audit_full: drop`).
    dropped: u64,
    /// The last batch of this life: the node shuts down after it.
    #[serde(default)]
    closing: bool,
    /// Numbered without gaps.
    events: Vec<Event>,
}

/// What of a node's events is durable.
#[derive(ToSchema)]
pub struct EventAck {
    /// Everything up to and including this number.
    acknowledged: u64,
}

/// May this request pass?
#[derive(ToSchema)]
pub struct AskRequest {
    /// Who asks.
    node: NodeId,
    /// The stream's record: asking again with the same one never spends a second grant.
    record: String,
    /// The parts of the request that the approval binds to: SHA-256, 64 hex digits.
    digest: String,
    /// Policy version that the stream runs under.
    policy_version: u64,
    /// The rule that wants a human.
    rule: String,
    /// Its reason.
    reason: String,
    /// Its terms.
    terms: ApproveTerms,
    /// Who is calling.
    principal: Principal,
    /// Connection by name.
    connection: String,
    /// The operation of the request.
    operation: Operation,
    /// The request, masked.
    request: RequestLine,
    /// `content-type` of the request, if it is text.
    content_type: Option<String>,
    /// The body as approvers may see it.
    body: Option<BodyPreview>,
}

/// How an approval stands for one record.
#[derive(ToSchema)]
pub struct AskAnswer {
    /// The approval's id; empty where no question was opened.
    approval: String,
    /// How it stands for this record.
    answer: String,
    /// Who decided, when somebody did: all who said yes, or the one who said no.
    by: Option<String>,
    /// The approver's words.
    comment: Option<String>,
    /// When the question ends unanswered.
    expires_at: u64,
}

/// Wake me when one of these is decided.
#[derive(ToSchema)]
pub struct WatchRequest {
    /// Who asks.
    node: NodeId,
    /// Approval ids.
    approvals: Vec<String>,
    /// Milliseconds to wait; the answer comes at once when one is no longer pending.
    wait_ms: u64,
}

/// Those that are no longer pending.
#[derive(ToSchema)]
pub struct WatchAnswer {
    /// Those.
    decided: Vec<Watched>,
}

/// One approval that is no longer pending.
#[derive(ToSchema)]
pub struct Watched {
    /// Its id.
    approval: String,
    /// Where it stands; unknown ids come back as expired.
    state: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chaperone_engine::approval::{ApprovalState, Standing};
    use chaperone_engine::audit::{Body, BootId, RecordId};
    use chaperone_engine::base::time::UnixMillis;
    use chaperone_engine::bundle;
    use chaperone_engine::{identity, link};
    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use utoipa::PartialSchema;

    use super::*;

    /// `full` has every member.
    #[track_caller]
    fn describes<S: PartialSchema, T: Serialize + DeserializeOwned>(full: &T) {
        let schema = serde_json::to_value(S::schema()).unwrap();
        let names = |value: &serde_json::Value| -> BTreeSet<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        let full = serde_json::to_value(full).unwrap();
        assert_eq!(names(&schema["properties"]), names(&full));
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let necessary = names(&full).into_iter().filter(|name| {
            let mut less = full.clone();
            less.as_object_mut().unwrap().remove(name);
            serde_json::from_value::<T>(less).is_err()
        });
        let required: BTreeSet<String> = required
            .iter()
            .map(|name| name.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(required, necessary.collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_member_of_the_calls_is_described_and_as_necessary_as_it_is_called() {
        let text = || Some("x".to_owned());
        let node = link::NodeId {
            name: "envoy".to_owned(),
            boot: BootId::from_random(1),
        };
        describes::<NodeId, _>(&node);
        describes::<EnforcedSerial, _>(&bundle::Serial::default());
        let key = identity::UnknownKey {
            issuer: String::new(),
            kid: text(),
        };
        describes::<UnknownKey, _>(&key);
        describes::<PolicyRequest, _>(&link::PolicyRequest {
            node: node.clone(),
            filter_version: String::new(),
            enforced: Some(bundle::Serial::default()),
            refused: text(),
            unknown_keys: vec![key],
            wait_ms: 0,
            reads: 1,
            pins: vec![String::new()],
        });
        let signature = bundle::EnvelopeSignature {
            keyid: String::new(),
            sig: String::new(),
        };
        describes::<EnvelopeSignature, _>(&signature);
        let envelope = bundle::Envelope {
            payload_type: String::new(),
            payload: String::new(),
            signatures: vec![signature],
        };
        describes::<Envelope, _>(&envelope);
        describes::<PolicyAnswer, _>(&link::PolicyAnswer {
            bundle: Some(envelope),
        });
        describes::<EventBatch, _>(&link::EventBatch {
            head: link::EventBatchHead {
                node: node.clone(),
                dropped: 0,
                closing: true,
            },
            events: Vec::new(),
        });
        describes::<EventAck, _>(&link::EventAck { acknowledged: 1 });
        describes::<AskRequest, _>(&link::AskRequest {
            node: node.clone(),
            record: RecordId(String::new()),
            digest: serde_json::from_value("00".repeat(32).into()).unwrap(),
            policy_version: 1,
            rule: String::new(),
            reason: String::new(),
            terms: chaperone_engine::policy::ApproveTerms::by(["sre"]),
            principal: identity::Principal::default(),
            connection: String::new(),
            operation: chaperone_engine::upstreams::Operation {
                action: String::new(),
                attributes: Default::default(),
            },
            request: chaperone_engine::audit::RequestLine::default(),
            content_type: text(),
            body: Some(link::BodyPreview {
                content: Body::Text(String::new()),
                total_bytes: None,
                truncated: false,
            }),
        });
        describes::<AskAnswer, _>(&link::AskAnswer {
            approval: String::new(),
            answer: Standing::Pending,
            by: text(),
            comment: text(),
            expires_at: UnixMillis(0),
        });
        describes::<WatchRequest, _>(&link::WatchRequest {
            node,
            approvals: Vec::new(),
            wait_ms: 0,
        });
        let watched = link::Watched {
            approval: String::new(),
            state: ApprovalState::Spent,
        };
        describes::<Watched, _>(&watched);
        describes::<WatchAnswer, _>(&link::WatchAnswer {
            decided: vec![watched],
        });
    }
}
