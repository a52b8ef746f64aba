//! Several workers of one Envoy, each with a node on a host of its own, and a control plane that
//! answers when the test says so.

mod approvals;
mod calls;
mod clock;
mod config;
mod events;
mod identity;
mod lease;
mod making;
mod metrics;
mod newer;
mod policy;
mod recorded;

use std::rc::Rc;

use chaperone_engine::audit::{EventKind, Place, RecordId, Sharer};
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::bundle::{Bundle, Envelope, PublicKey, Serial, Signer};
use chaperone_engine::identity::Principal;
use chaperone_engine::link::{EVENTS_PATH, MARKER, MARKER_VALUE, POLICY_PATH};
use serde_json::{Value, json};

use super::policy::Making;
use super::{Config, NodeOf, Wake};
use crate::host::fake::{FakeHost, SentCall, SharedData};
use crate::host::{CallAnswer, CallId, ContextId, Host as _};

pub(super) const ROOT: ContextId = ContextId(1);
pub(super) const TOKEN: &str = "EXAMPLE-node-token-0123456789";

pub(super) fn signer() -> Signer {
    Signer::from_seed(&[7; 32])
}

pub(super) fn serial(policy_version: u64) -> Serial {
    Serial {
        policy_version,
        keys_revision: 0,
    }
}

pub(super) fn sealed(by: &Signer, policy_version: u64) -> Envelope {
    let bundle = Bundle {
        serial: serial(policy_version),
        previous: None,
        issued_at: UnixMillis(0),
        policy: serde_json::from_value(json!({
            "apiVersion": "chaperone/v1", "issuers": [], "connections": [], "rules": [],
        }))
        .unwrap(),
        keys: Default::default(),
    };
    by.seal(&bundle).unwrap()
}

pub(super) fn plugin_configuration(key: &PublicKey) -> Value {
    json!({
        "control_plane": { "cluster": "chaperone", "timeout_ms": 2000 },
        "node_token": TOKEN,
        "node_name": "envoy-1",
        "public_key": key.to_base64(),
        "fingerprint_key": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
        "limits": { "flush_ms": 50, "hold_streams": 8 },
    })
}

pub(super) fn parsed(document: &Value) -> Rc<Config> {
    Rc::new(Config::parse(&serde_json::to_vec(document).unwrap()).unwrap())
}

/// The policy version whose gate takes so many pieces.
pub(super) fn version_of_pieces(pieces: u64) -> u64 {
    100 + pieces
}

/// The policy version whose gate takes so many pieces, of which the last one fails.
pub(super) fn version_that_fails_after(pieces: u64) -> u64 {
    200 + pieces
}

/// A policy version that is made into its own serial, in one piece if it has no more; version 13
/// cannot be enforced.
struct Pieces {
    serial: Serial,
    left: u64,
    fails: bool,
}

impl Making<Serial> for Pieces {
    fn step(&mut self) -> Result<Option<Serial>, String> {
        self.left = self.left.saturating_sub(1);
        match self.left {
            0 if self.fails => Err("it is the thirteenth".to_owned()),
            0 => Ok(Some(self.serial)),
            _ => Ok(None),
        }
    }
}

fn build(bundle: Bundle, _before: Option<&Serial>) -> Box<dyn Making<Serial>> {
    let version = bundle.serial.policy_version;
    let (left, fails) = match version {
        100..200 => (version - 100, false),
        200..300 => (version - 200, true),
        _ => (1, version == 13),
    };
    Box::new(Pieces {
        serial: bundle.serial,
        left,
        fails,
    })
}

/// One worker.
pub(super) struct Worker {
    pub(super) host: FakeHost,
    pub(super) node: NodeOf<Serial>,
}

/// Workers of one Envoy.
pub(super) struct Envoy {
    shared: SharedData,
    now: u64,
    born: u32,
    pub(super) workers: Vec<Worker>,
}

impl Envoy {
    pub(super) fn new(workers: usize) -> Self {
        let mut envoy = Self {
            shared: SharedData::default(),
            now: 1_000_000,
            born: 0,
            workers: Vec::new(),
        };
        for _ in 0..workers {
            let worker = envoy.worker();
            envoy.workers.push(worker);
        }
        envoy
    }

    /// A fresh VM, configured, that has not ticked yet.
    pub(super) fn worker(&mut self) -> Worker {
        let mut host = FakeHost::default();
        host.shared = Rc::clone(&self.shared);
        host.now.set(self.now);
        self.born += 1;
        for _ in 0..self.born {
            // Each host counts from the same number; each VM must draw another one.
            host.random();
        }
        let mut node = NodeOf::with_build(&host, build);
        node.configure(
            &host,
            ROOT,
            parsed(&plugin_configuration(&signer().public_key())),
        );
        Worker { host, node }
    }

    /// Lets time pass on every worker, without ticks.
    pub(super) fn pass(&mut self, millis: u64) {
        self.now += millis;
        for worker in &self.workers {
            worker.host.now.set(self.now);
        }
    }

    /// Lets time pass tick by tick.
    pub(super) fn run(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(u64::from(super::TICK_MS)) {
            self.pass(u64::from(super::TICK_MS));
            self.tick();
        }
    }

    pub(super) fn tick(&mut self) {
        for worker in &mut self.workers {
            worker.tick();
        }
    }

    pub(super) fn shared_key(&self, ending: &str) -> String {
        let shared = self.shared.borrow();
        shared
            .keys()
            .find(|key| key.ends_with(ending))
            .unwrap()
            .clone()
    }

    /// What another plugin might do.
    pub(super) fn tamper(&self, ending: &str, value: &[u8]) {
        self.workers[0]
            .host
            .set_shared(&self.shared_key(ending), value, None)
            .unwrap();
    }
}

impl Worker {
    pub(super) fn tick(&mut self) {
        self.node.on_tick(&self.host, ROOT);
    }

    pub(super) fn wakes(&mut self) -> Vec<(ContextId, Wake)> {
        self.node.take_wakes()
    }

    /// Takes the calls to a path that wait for an answer.
    pub(super) fn calls(&self, path: &str) -> Vec<SentCall> {
        self.host
            .calls
            .borrow_mut()
            .extract_if(.., |call| call.path == path)
            .collect()
    }

    fn policy_calls(&self, waits: bool) -> Vec<SentCall> {
        let mut calls = self.host.calls.borrow_mut();
        let wanted =
            |call: &SentCall| call.path == POLICY_PATH && (body(call)["wait_ms"] != 0) == waits;
        calls.extract_if(.., |call| wanted(call)).collect()
    }

    /// Long polls for policy.
    pub(super) fn polls(&self) -> Vec<SentCall> {
        self.policy_calls(true)
    }

    /// Status reports.
    pub(super) fn reports(&self) -> Vec<SentCall> {
        self.policy_calls(false)
    }

    pub(super) fn batches(&self) -> Vec<SentCall> {
        self.calls(EVENTS_PATH)
    }

    /// The control plane answers.
    pub(super) fn answer(&mut self, call: &SentCall, answer: &Value) {
        self.answer_with(call.id, 200, true, &serde_json::to_vec(answer).unwrap());
    }

    /// Somebody answers.
    pub(super) fn answer_with(&mut self, call: CallId, status: u16, marked: bool, body: &[u8]) {
        let mut headers = vec![(":status".to_owned(), status.to_string().into_bytes())];
        if marked {
            headers.push((MARKER.to_owned(), MARKER_VALUE.into()));
        }
        let answer = CallAnswer {
            headers,
            body: body.to_vec(),
        };
        self.node.on_call_answer(&self.host, ROOT, call, answer);
    }

    /// The connection broke: a callback with no headers.
    pub(super) fn reset(&mut self, call: &SentCall) {
        self.node
            .on_call_answer(&self.host, ROOT, call.id, CallAnswer::default());
    }

    pub(super) fn enforced(&self) -> Option<u64> {
        self.node.gate().map(|gate| gate.policy_version)
    }

    /// Records an event of somebody; its place, if the queue has taken it.
    pub(super) fn record(&mut self) -> Option<Place> {
        let record = RecordId("r-1".to_owned());
        let sharer = self.sharer();
        self.node
            .record(&self.host, sharer, &record, &EventKind::Forwarded {})
            .unwrap()
    }

    /// Whose events [`record`](Self::record) makes.
    pub(super) fn sharer(&self) -> Sharer {
        self.node.sharer(&Principal::default())
    }

    pub(super) fn metric(&self, name: &str) -> i64 {
        self.host.metric(&format!("chaperone.{name}"))
    }
}

pub(super) fn body(call: &SentCall) -> Value {
    serde_json::from_slice(&call.body).unwrap()
}
