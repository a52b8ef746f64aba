//! One connection: its holder, its requests and its times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::holder::{Holder, Kind};
use super::patience::Patience;
use crate::access::{Caller, Role};
use crate::nodes::Presence;

/// How many requests of one stranger's connection are answered at a time; more wait for their turn.
/// An answer takes memory until it is taken, and who multiplexes can leave many untaken.
const STRANGERS_TURNS: usize = 4;

/// For how long a peer that has nothing more to expect may take at a stop: to close by itself, or
/// to take an answer that it was not known for.
const GOODBYE: Duration = Duration::from_secs(1);

/// One connection: its holder, its requests, and since when its peer is waited for.
#[derive(Debug)]
pub(crate) struct Peer {
    number: u64,
    patience: Patience,
    registry: Weak<dyn Registry>,
    certificate: OnceLock<Certificate>,
    state: Mutex<State>,
    /// Of requests on a stranger's connection; closed once it is another's.
    turns: Arc<Semaphore>,
    /// Cancelled when nothing new is to begin on the connection.
    drain: CancellationToken,
    /// Cancelled when the connection is to end as it is.
    close: CancellationToken,
}

/// Who counts connections by their holders.
pub(super) trait Registry: std::fmt::Debug + Send + Sync {
    /// The connection is of another holder than was thought.
    fn hand_over(&self, peer: &Arc<Peer>, holder: Holder);
}

/// Whether a peer has shown a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// It was not asked for.
    NotAsked,
    /// It was asked for, and the peer has none.
    Missing,
    /// An authority for nodes vouches for it.
    Good,
}

#[derive(Debug)]
struct State {
    holder: Holder,
    opened: Instant,
    /// Requests that are not answered to their last byte.
    under_way: u32,
    /// Since when none is.
    quiet_since: Instant,
    /// When the first byte of the next request came.
    head_since: Option<Instant>,
    /// Since when the peer has taken none of the bytes that wait to be sent.
    blocked_since: Option<Instant>,
    draining_since: Option<Instant>,
    /// Bytes between requests are no beginning of a request: pings, say.
    multiplexed: bool,
    /// Answers on a multiplexed connection that have something to send of which nothing is taken,
    /// and since when. The socket says nothing of these: the peer gives each of its streams a
    /// window of its own.
    offered: HashMap<u64, Instant>,
    /// Numbers for these.
    last_answer: u64,
    /// The lives of nodes that speak on it.
    nodes: HashMap<String, Presence>,
}

/// Why a connection has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// At once, for this reason.
    Close(&'static str),
    /// After the answers under way, for this reason.
    Drain(&'static str),
}

impl Peer {
    pub(super) fn new(
        number: u64,
        holder: Holder,
        patience: Patience,
        registry: Weak<dyn Registry>,
    ) -> Self {
        let now = Instant::now();
        Self {
            number,
            patience,
            registry,
            certificate: OnceLock::new(),
            state: Mutex::new(State {
                holder,
                opened: now,
                under_way: 0,
                quiet_since: now,
                head_since: None,
                blocked_since: None,
                draining_since: None,
                multiplexed: false,
                offered: HashMap::new(),
                last_answer: 0,
                nodes: HashMap::new(),
            }),
            turns: Arc::new(Semaphore::new(STRANGERS_TURNS)),
            drain: CancellationToken::new(),
            close: CancellationToken::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn holder(&self) -> Holder {
        self.state().holder.clone()
    }

    /// Replaces the holder; answers who it was.
    pub(super) fn hold(&self, holder: Holder) -> Holder {
        std::mem::replace(&mut self.state().holder, holder)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.state().under_way == 0
    }

    /// For how long this peer is waited for.
    pub(crate) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Completes when nothing new is to begin on the connection.
    pub(crate) async fn drained(&self) {
        self.drain.cancelled().await;
    }

    /// Completes when the connection is to end as it is.
    pub(crate) async fn closed(&self) {
        self.close.cancelled().await;
    }

    /// Ends the connection as it is.
    pub(crate) fn close(&self) {
        self.close.cancel();
    }

    /// Notes the certificate that the handshake has shown.
    pub(crate) fn show_certificate(&self, certificate: Certificate) {
        // There is one handshake.
        let _ = self.certificate.set(certificate);
    }

    /// Whether the peer has shown a certificate.
    pub(crate) fn certificate(&self) -> Certificate {
        let shown = self.certificate.get();
        shown.copied().unwrap_or(Certificate::NotAsked)
    }

    /// Notes that a call on this connection has shown a good token. A connection that carries calls
    /// of several holders, a proxy's say, counts as the one who proves most.
    pub(crate) fn authenticated(self: &Arc<Self>, caller: &Caller) {
        let kind = match caller.role() {
            Role::Node => Kind::Node,
            _ => Kind::Person,
        };
        if self.state().holder.kind() >= kind {
            return;
        }
        self.turns.close();
        let subject = caller.identity().subject.clone();
        let holder = match kind {
            Kind::Node => Holder::Node(subject),
            _ => Holder::Person(subject),
        };
        if let Some(registry) = self.registry.upgrade() {
            registry.hand_over(self, holder);
        }
    }

    /// A life of a node speaks on this connection; `presence` is kept until the connection ends.
    pub(crate) fn speaks_for(&self, boot: &str, presence: impl FnOnce() -> Presence) {
        /// A proxy's connection may carry many; beyond this, silence alone tells that one has
        /// ended.
        const MOST: usize = 1024;
        let mut state = self.state();
        if state.nodes.len() < MOST && !state.nodes.contains_key(boot) {
            state.nodes.insert(boot.to_owned(), presence());
        }
    }

    /// The connection has ended.
    pub(super) fn ended(&self) {
        let nodes = std::mem::take(&mut self.state().nodes);
        // Each tells the service of nodes, which the lock of this connection must not wait for.
        drop(nodes);
    }

    /// A request has come whole but for its body. It is under way until the returned value is
    /// dropped.
    pub(crate) fn begin(self: &Arc<Self>, multiplexed: bool) -> UnderWay {
        let mut state = self.state();
        state.under_way = state.under_way.saturating_add(1);
        state.head_since = None;
        state.multiplexed = multiplexed;
        state.last_answer += 1;
        let number = state.last_answer;
        drop(state);
        UnderWay {
            peer: Arc::clone(self),
            number,
        }
    }

    /// The turn of a request to be answered, until the returned permit is dropped. `None` for a
    /// peer that need not wait: it has shown a good token.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Bytes have come.
    pub(crate) fn heard(&self) {
        let mut state = self.state();
        if state.under_way == 0 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// The peer takes nothing more for now.
    pub(crate) fn blocked(&self) {
        self.state().blocked_since.get_or_insert_with(Instant::now);
    }

    /// The peer has taken bytes.
    pub(crate) fn taken(&self) {
        self.state().blocked_since = None;
    }

    /// Whether the peer has been waited for for too long.
    pub(super) fn overdue(&self, now: Instant) -> Option<Overdue> {
        let state = self.state();
        let Patience {
            head,
            body: _,
            answer,
            stranger,
            idle,
            node_idle,
            drain,
        } = self.patience;
        let for_longer =
            |since: Instant, than: Duration| now.saturating_duration_since(since) > than;
        let kind = state.holder.kind();
        if state
            .untaken_since()
            .is_some_and(|since| for_longer(since, answer))
        {
            return Some(Overdue::Close("answer_not_taken"));
        }
        if let Some(since) = state.draining_since {
            return for_longer(since, drain).then_some(Overdue::Close("drained"));
        }
        if state.under_way == 0 {
            let half = state.head_since.filter(|_| !state.multiplexed);
            if half.is_some_and(|since| for_longer(since, head))
                || (kind == Kind::Stranger && for_longer(state.quiet_since, head))
            {
                return Some(Overdue::Close("request_not_sent"));
            }
        }
        if kind == Kind::Stranger {
            return for_longer(state.opened, stranger).then_some(Overdue::Drain("stranger"));
        }
        let idle = if kind == Kind::Node { node_idle } else { idle };
        (state.under_way == 0 && for_longer(state.quiet_since, idle))
            .then_some(Overdue::Drain("idle"))
    }

    /// Whether nothing is to be waited for once the control plane stops, as it has since `stopped`.
    /// It waits for answers to requests that have come whole, of a stranger's those that are taken
    /// at once.
    pub(super) fn may_go(&self, now: Instant, stopped: Instant) -> bool {
        let state = self.state();
        let over = |since: Instant| now.saturating_duration_since(since.max(stopped)) >= GOODBYE;
        let stranger = state.holder.kind() == Kind::Stranger;
        if state.under_way == 0 {
            // Others are told by HTTP that this is the end, and close by themselves.
            return stranger || over(state.quiet_since);
        }
        stranger && state.untaken_since().is_some_and(over)
    }

    pub(super) fn begin_drain(&self, now: Instant) {
        let mut state = self.state();
        state.draining_since.get_or_insert(now);
        // In HTTP/1 nothing but an answer can say that no further request is wanted; a close in
        // between would lose one that is on its way.
        if state.multiplexed || state.holder.kind() != Kind::Stranger {
            self.drain.cancel();
        }
    }

    /// Whether the answer has to say that it is the last one.
    pub(crate) fn is_draining(&self) -> bool {
        self.state().draining_since.is_some()
    }
}

impl State {
    /// Since when the peer has left something untaken for which it has asked.
    fn untaken_since(&self) -> Option<Instant> {
        let offered = self.offered.values().min().copied();
        self.blocked_since.into_iter().chain(offered).min()
    }
}

/// A request, until the last byte of its answer is on its way.
#[derive(Debug)]
pub(crate) struct UnderWay {
    peer: Arc<Peer>,
    number: u64,
}

impl UnderWay {
    /// A part of the answer is there to be taken.
    pub(crate) fn offered(&self) {
        let mut state = self.peer.state();
        if state.multiplexed {
            state.offered.insert(self.number, Instant::now());
        }
    }

    /// The part before was taken, and the peer takes more.
    pub(crate) fn taken(&self) {
        self.peer.state().offered.remove(&self.number);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.peer.state();
        state.offered.remove(&self.number);
        state.under_way = state.under_way.saturating_sub(1);
        if state.under_way == 0 {
            state.quiet_since = Instant::now();
            state.head_since = None;
        }
    }
}
