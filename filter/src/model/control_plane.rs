//! The control plane's side of the model: answers the node's calls as a test wants.

use chaperone_engine::link::{ASK_PATH, EVENTS_PATH, MARKER, MARKER_VALUE, WATCH_PATH};
use serde_json::{Value, json};

use crate::host::fake::SentCall;
use crate::host::{CallAnswer, CallId, Headers};

/// What it answers for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Nobody has decided.
    Pending,
    /// Approved.
    Granted,
    /// Denied.
    Denied,
    /// Too many wait already.
    Crowded,
    /// It is down: Envoy answers instead.
    Down,
}

/// The control plane.
#[derive(Debug, Default)]
pub(super) struct ControlPlane {
    open: Vec<SentCall>,
    /// Every event that was stored.
    pub(super) events: Vec<Value>,
    /// Questions that were asked.
    pub(super) asked: Vec<Value>,
}

fn real(body: Value) -> CallAnswer {
    let headers: Headers = vec![
        (":status".into(), b"200".to_vec()),
        (MARKER.into(), MARKER_VALUE.as_bytes().to_vec()),
    ];
    CallAnswer {
        headers,
        body: body.to_string().into_bytes(),
    }
}

fn envoys_own() -> CallAnswer {
    let headers = vec![(":status".into(), b"503".to_vec())];
    CallAnswer {
        headers,
        body: b"upstream connect error".to_vec(),
    }
}

impl ControlPlane {
    pub(super) fn receive(&mut self, calls: Vec<SentCall>) {
        self.open.extend(calls);
    }

    /// The answers that can be given now.
    pub(super) fn answer(&mut self, mood: Mood) -> Vec<(CallId, CallAnswer)> {
        let mut answers = Vec::new();
        for call in std::mem::take(&mut self.open) {
            let body: Value = serde_json::from_slice(&call.body).unwrap();
            let standing = match mood {
                Mood::Down => {
                    answers.push((call.id, envoys_own()));
                    continue;
                }
                Mood::Pending => "pending",
                Mood::Granted => "granted",
                Mood::Denied => "denied",
                Mood::Crowded => "too_many_pending",
            };
            let answer = match call.path.as_str() {
                EVENTS_PATH => {
                    let events = body["events"].as_array().unwrap();
                    // A batch can come twice; numbers tell.
                    let known = self.events.len() as u64;
                    let new = events
                        .iter()
                        .filter(|event| event["seq"].as_u64() > Some(known));
                    self.events.extend(new.cloned());
                    json!({"acknowledged": events.last().map_or(json!(0), |e| e["seq"].clone())})
                }
                ASK_PATH => {
                    self.asked.push(body);
                    json!({"approval": "ap-1", "answer": standing, "expires_at": 0})
                }
                WATCH_PATH if mood != Mood::Pending => {
                    let state = if mood == Mood::Granted {
                        "approved"
                    } else {
                        "denied"
                    };
                    json!({"decided": [{"approval": "ap-1", "state": state}]})
                }
                // A long poll without news.
                _ => {
                    self.open.push(call);
                    continue;
                }
            };
            answers.push((call.id, real(answer)));
        }
        answers
    }
}
