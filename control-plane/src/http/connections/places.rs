//! All connections: who comes in, who makes room, and whose time is over.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use super::holder::{Holder, Kind};
use super::limits::Limits;
use super::patience::Patience;
use super::peer::{Overdue, Peer, Registry};
use crate::metrics::{CauseLabel, HolderLabel, Metrics};

/// All connections.
#[derive(Debug)]
pub(crate) struct Places {
    limits: Limits,
    patience: Patience,
    metrics: Arc<Metrics>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    last: u64,
    peers: HashMap<u64, Arc<Peer>>,
    /// The connections of each holder; they are numbered in the order in which they came.
    by_holder: HashMap<Holder, BTreeSet<u64>>,
    /// By [`Kind`] the holders, from the one with the fewest connections to the one with the most,
    /// and of equals the one whose connection is the oldest at the end. Looked through for each
    /// newcomer at a full house, so that a flood of sources does not make it slow.
    by_size: [BTreeMap<Size, Holder>; 3],
    /// By [`Kind`].
    counts: [usize; 3],
}

/// How many connections a holder has, and the number of its oldest one.
type Size = (usize, Reverse<u64>);

/// One connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    peer: Arc<Peer>,
    places: Arc<Places>,
}

impl Place {
    /// Who has it.
    pub(crate) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// TLS could not be agreed on.
    pub(crate) fn handshake_failed(&self) {
        self.places.count_closed("handshake_failed");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.leave(&self.peer);
        self.peer.ended();
    }
}

impl Places {
    pub(crate) fn new(limits: Limits, patience: Patience, metrics: Arc<Metrics>) -> Self {
        Self {
            limits,
            patience,
            metrics,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection from `address`. When all are taken, another connection has to
    /// go.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Place {
        let holder = Holder::stranger(address);
        let mut held = self.held();
        if held.peers.len() >= self.limits.all()
            && let Some(victim) = held.victim(self.limits)
        {
            held.remove(&victim);
            self.count_closed("no_room");
            victim.close();
        }
        held.last += 1;
        let places: Weak<Self> = Arc::downgrade(self);
        let peer = Arc::new(Peer::new(held.last, holder.clone(), self.patience, places));
        held.add(&peer, holder);
        self.show(&held);
        drop(held);
        Place {
            peer,
            places: Arc::clone(self),
        }
    }

    /// Descriptors have run out for another reason than connections: a stranger has to go.
    pub(crate) fn make_room(&self) {
        let mut held = self.held();
        if let Some(victim) = held.crowded(Kind::Stranger) {
            held.remove(&victim);
            self.count_closed("no_room");
            victim.close();
            self.show(&held);
        }
    }

    fn leave(&self, peer: &Peer) {
        let mut held = self.held();
        held.remove(peer);
        self.show(&held);
    }

    /// Closes connections whose peers have been waited for for too long.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let peers: Vec<Arc<Peer>> = self.held().peers.values().cloned().collect();
        for peer in peers {
            match peer.overdue(now) {
                Some(Overdue::Close(cause)) => {
                    self.count_closed(cause);
                    peer.close();
                }
                Some(Overdue::Drain(cause)) => {
                    self.count_closed(cause);
                    peer.begin_drain(now);
                }
                None => {}
            }
        }
    }

    /// Ends, once the control plane stops, the connections on which nothing is to be waited for:
    /// handshakes, requests that have not come whole, whoever has no request under way. `stopped`
    /// is when it did.
    pub(crate) fn dismiss(&self, stopped: Instant) {
        let now = Instant::now();
        for peer in self.held().peers.values() {
            if peer.may_go(now, stopped) {
                peer.close();
            }
        }
    }

    /// Ends all connections as they are.
    pub(crate) fn close_all(&self) {
        for peer in self.held().peers.values() {
            peer.close();
        }
    }

    fn count_closed(&self, cause: &'static str) {
        self.metrics
            .connections_closed
            .get_or_create(&CauseLabel { cause })
            .inc();
    }

    fn show(&self, held: &Held) {
        for (kind, count) in Kind::ALL.into_iter().zip(held.counts) {
            let label = HolderLabel {
                holder: kind.as_str(),
            };
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.metrics.connections.get_or_create(&label).set(count);
        }
    }
}

impl Registry for Places {
    fn hand_over(&self, peer: &Arc<Peer>, holder: Holder) {
        let mut held = self.held();
        // It may have had to make room meanwhile.
        if held.peers.contains_key(&peer.number()) {
            held.remove(peer);
            peer.hold(holder.clone());
            held.add(peer, holder);
            self.show(&held);
        }
    }
}

impl Held {
    fn add(&mut self, peer: &Arc<Peer>, holder: Holder) {
        let number = peer.number();
        self.counts[holder.kind() as usize] += 1;
        self.change(holder, |numbers| {
            numbers.insert(number);
        });
        self.peers.insert(number, Arc::clone(peer));
    }

    fn remove(&mut self, peer: &Peer) {
        if self.peers.remove(&peer.number()).is_none() {
            return;
        }
        let holder = peer.holder();
        self.counts[holder.kind() as usize] -= 1;
        self.change(holder, |numbers| {
            numbers.remove(&peer.number());
        });
    }

    /// Changes which connections a holder has.
    fn change(&mut self, holder: Holder, change: impl FnOnce(&mut BTreeSet<u64>)) {
        let size = |numbers: &BTreeSet<u64>| {
            let oldest = numbers.first()?;
            Some((numbers.len(), Reverse(*oldest)))
        };
        let by_size = &mut self.by_size[holder.kind() as usize];
        let numbers = self.by_holder.entry(holder.clone()).or_default();
        if let Some(before) = size(numbers) {
            by_size.remove(&before);
        }
        change(numbers);
        match size(numbers) {
            Some(after) => {
                by_size.insert(after, holder);
            }
            None => {
                self.by_holder.remove(&holder);
            }
        }
    }

    /// Who makes room for one more stranger: somebody of the kind that is furthest above its share.
    fn victim(&self, limits: Limits) -> Option<Arc<Peer>> {
        let excess = |kind: Kind| {
            let newcomer = usize::from(kind == Kind::Stranger);
            let count = self.counts[kind as usize] + newcomer;
            count.saturating_sub(limits.share(kind))
        };
        // The last of equals is taken: the one that proves least.
        let kind = Kind::ALL
            .into_iter()
            .rev()
            .max_by_key(|kind| excess(*kind))?;
        self.crowded(kind)
    }

    /// Of the holder of this kind with the most connections the oldest one, rather one that is
    /// quiet. Of holders with equally many, the one that has been here the longest: where each
    /// stranger has a source of its own, nobody goes before as many have come after him as there is
    /// room for.
    fn crowded(&self, kind: Kind) -> Option<Arc<Peer>> {
        let (_, holder) = self.by_size[kind as usize].last_key_value()?;
        let numbers = self.by_holder.get(holder)?;
        let peer = |number: &u64| self.peers.get(number);
        let quiet = numbers.iter().filter_map(peer).find(|peer| peer.is_quiet());
        quiet.or_else(|| numbers.first().and_then(peer)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(all: u32) -> Arc<Places> {
        let limits = Limits::new(Some(all), None);
        let metrics = Arc::new(Metrics::new());
        Arc::new(Places::new(limits, Patience::DEFAULT, metrics))
    }

    fn at(host: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, host])
    }

    fn gone(place: &Place) -> bool {
        let places = place.places.held();
        !places.peers.contains_key(&place.peer.number())
    }

    fn known(place: Place, holder: Holder) -> Place {
        place.places.hand_over(&place.peer, holder);
        place
    }

    #[test]
    fn a_crowd_of_strangers_makes_room_among_itself() {
        let places = places(16);
        let good = places.enter(at(1));
        let node = known(places.enter(at(2)), Holder::Node("nodes".into()));
        let crowd: Vec<Place> = (0..100).map(|_| places.enter(at(3))).collect();
        assert!(!gone(&good) && !gone(&node));
        assert_eq!(crowd.iter().filter(|place| !gone(place)).count(), 14);
        assert!(gone(&crowd[85]) && !gone(&crowd[86]), "the oldest go first");
        // Whoever comes anew has a place.
        assert!(!gone(&places.enter(at(3))));
    }

    #[test]
    fn who_has_a_token_cannot_crowd_out_nodes_or_strangers() {
        let places = places(16);
        let node = |_| known(places.enter(at(2)), Holder::Node("nodes".into()));
        let nodes: Vec<Place> = (0..8).map(node).collect();
        let greedy = |_| known(places.enter(at(3)), Holder::Person("eve".into()));
        let _crowd: Vec<Place> = (0..100).map(greedy).collect();
        let other = known(places.enter(at(4)), Holder::Person("alice".into()));
        let _more: Vec<Place> = (0..100).map(greedy).collect();
        assert!(nodes.iter().all(|place| !gone(place)));
        assert!(!gone(&other), "of two people the one with more makes room");
    }

    #[test]
    fn nodes_keep_their_share_and_use_what_is_free() {
        let places = places(16);
        let node = |_| known(places.enter(at(2)), Holder::Node("nodes".into()));
        let nodes: Vec<Place> = (0..16).map(node).collect();
        assert!(nodes.iter().all(|place| !gone(place)), "all are free");
        let _crowd: Vec<Place> = (0..100).map(|_| places.enter(at(3))).collect();
        let left = nodes.iter().filter(|place| !gone(place)).count();
        assert!(left >= 8, "{left}");
    }

    #[test]
    fn quiet_connections_go_before_those_with_a_request() {
        let places = places(16);
        let busy = places.enter(at(3));
        let _request = busy.peer().begin(false);
        let crowd: Vec<Place> = (0..40).map(|_| places.enter(at(3))).collect();
        assert!(!gone(&busy) && gone(&crowd[0]));
    }

    #[test]
    fn where_everybody_has_a_source_of_their_own_the_oldest_stranger_goes() {
        let places = places(896);
        let source = |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(0x0A00_0000 + n));
        let mut here = std::collections::VecDeque::new();
        for n in 0..10_000 {
            here.push_back(places.enter(source(n)));
            // Who has gone was the one before all others.
            while here.front().is_some_and(gone) {
                here.pop_front();
            }
            assert!(here.len() <= 896 && !here.iter().any(gone));
        }
        assert_eq!(here.len(), 896);
        // Whoever has two of them goes before those who have one.
        let second = places.enter(source(9_500));
        assert!(!gone(&second) && gone(&here[0]));
        let _newcomer = places.enter(source(20_000));
        assert!(!gone(&here[1]), "the one with two made room");
        assert_eq!(here.iter().filter(|place| gone(place)).count(), 2);
    }

    #[test]
    fn what_is_left_leaves_nothing_behind() {
        let places = places(16);
        drop(known(places.enter(at(1)), Holder::Node("nodes".into())));
        drop((0..40).map(|_| places.enter(at(3))).collect::<Vec<_>>());
        let held = places.held();
        assert!(held.peers.is_empty() && held.by_holder.is_empty());
        assert!(held.by_size.iter().all(BTreeMap::is_empty));
        assert_eq!(held.counts, [0; 3]);
    }
}
