//! Which lives of nodes go on, by the signs that this control plane has of them.
//!
//! A policy is in force everywhere when every live node says so, and until then somebody waits. So
//! a life that has ended must not count for long, and one that goes on must not be forgotten. Three
//! signs of an end are known, from the best to the weakest:
//!
//! 1. the node said goodbye;
//! 2. its last connection ended, and after that another life of the same name began: Envoy was
//!    restarted. A name alone proves nothing, since all workers of an Envoy have one name, and
//!    several Envoys may share it; a life that still has a connection is therefore never replaced;
//! 3. silence: every worker reports every ten seconds, and two reports in a row are missing.
//!
//! Time is measured here by a clock that never steps. The instants in the database are for people:
//! a step of the wall clock would make all nodes old at once, or keep dead ones young for as long
//! as the step is wide.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::link::NodeId;
use chaperone_engine::policy::UNREPORTED;

use super::store::{NodeBehind, NodeLife};

/// Two reports of a worker, which come every ten seconds, and half of one for a slow day.
pub(super) const SILENCE: Duration = Duration::from_secs(25);

/// A call may take so much longer than the wait that it asked for.
const SLACK: Duration = Duration::from_secs(5);

/// For how long a life that has ended is still listed.
const LISTED: Duration = Duration::from_secs(3600);

/// Lives that are remembered. Beyond this those that were heard of last are: a caller with a node
/// token could make up any number.
const MOST: usize = 20_000;

/// Lives of nodes that were heard of in the last hour, by boot id.
#[derive(Debug, Default)]
pub(super) struct Lives(HashMap<String, Life>);

#[derive(Debug)]
struct Life {
    name: String,
    reads: Option<u32>,
    /// The signing keys that it pins, by their names; none while it has not said so.
    pins: Vec<String>,
    heard: Instant,
    /// How long it may be silent: it may have asked for a longer wait than usual.
    silence: Duration,
    connections: u32,
    end: Option<End>,
}

/// How a life has ended, as far as it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its last connection has ended. Perhaps it makes another.
    HungUp,
    /// And another life of the same name began.
    Replaced,
    /// It said goodbye.
    Closed,
}

impl Life {
    fn is_live(&self, now: Instant) -> bool {
        !matches!(self.end, Some(End::Replaced | End::Closed))
            && now.saturating_duration_since(self.heard) <= self.silence
    }
}

impl Lives {
    /// The lives that the last run of the control plane has left. Nobody could report since it
    /// ended, which was when the last of them was heard of: those that went on then count as if
    /// they had been heard of now, and those that were silent by then have ended.
    pub(super) fn left(lives: Vec<NodeLife>, at: UnixMillis, now: Instant) -> Self {
        let end = lives.iter().map(|life| life.last_seen_at.0).max();
        let end = end.unwrap_or_default();
        let left = lives.into_iter().filter(|life| !life.closed);
        let left = left.filter_map(|life| {
            let NodeLife {
                name,
                boot,
                reads,
                last_seen_at,
                ..
            } = life;
            let silent_for = Duration::from_millis(end.saturating_sub(last_seen_at.0));
            // Either way: the clock may have been set.
            let age = Duration::from_millis(at.0.abs_diff(last_seen_at.0));
            let heard = if silent_for <= SILENCE {
                now
            } else {
                // On a machine that has just started, no instant is so long ago.
                now.checked_sub(age.max(silent_for))?
            };
            let life = Life {
                name,
                reads: Some(reads),
                // Not kept: it says so again with its next report.
                pins: Vec::new(),
                heard,
                silence: SILENCE,
                connections: 0,
                end: None,
            };
            (age <= LISTED).then_some((boot, life))
        });
        Self(left.collect())
    }

    /// A life has called, and may wait for the answer for so long.
    pub(super) fn heard(
        &mut self,
        node: &NodeId,
        reads: Option<u32>,
        wait: Duration,
        now: Instant,
    ) {
        let silence = SILENCE.max(wait + SLACK);
        if let Some(life) = self.0.get_mut(node.boot.as_str()) {
            life.heard = now;
            life.silence = silence;
            life.reads = reads.or(life.reads);
            // A goodbye may overtake calls that were sent before it.
            if life.end != Some(End::Closed) {
                life.end = None;
            }
            return;
        }
        self.forget(now);
        for life in self.0.values_mut().filter(|life| life.name == node.name) {
            if life.end == Some(End::HungUp) {
                life.end = Some(End::Replaced);
            }
        }
        let life = Life {
            name: node.name.clone(),
            reads,
            pins: Vec::new(),
            heard: now,
            silence,
            connections: 0,
            end: None,
        };
        self.0.insert(node.boot.as_str().to_owned(), life);
    }

    /// A life that was heard pins these signing keys.
    pub(super) fn pins(&mut self, boot: &str, pins: &[String]) {
        /// More than a filter can pin, and little memory for a caller who makes lives up.
        const PINS: usize = 4;
        const LENGTH: usize = 64;
        if let Some(life) = self.0.get_mut(boot) {
            let pins = pins.iter().take(PINS).filter(|pin| pin.len() <= LENGTH);
            life.pins = pins.cloned().collect();
        }
    }

    /// A life has said goodbye, or, if not `closed`, has gone on after all.
    pub(super) fn closed(&mut self, boot: &str, closed: bool) {
        if let Some(life) = self.0.get_mut(boot) {
            life.end = closed.then_some(End::Closed);
        }
    }

    /// A life speaks on one more connection.
    pub(super) fn connected(&mut self, boot: &str) {
        if let Some(life) = self.0.get_mut(boot) {
            life.connections = life.connections.saturating_add(1);
        }
    }

    /// One of its connections has ended.
    pub(super) fn disconnected(&mut self, boot: &str) {
        if let Some(life) = self.0.get_mut(boot) {
            life.connections = life.connections.saturating_sub(1);
            if life.connections == 0 && life.end.is_none() {
                life.end = Some(End::HungUp);
            }
        }
    }

    /// Whether it goes on.
    pub(super) fn is_live(&self, boot: &str, now: Instant) -> bool {
        self.0.get(boot).is_some_and(|life| life.is_live(now))
    }

    /// How many go on.
    pub(super) fn count(&self, now: Instant) -> u64 {
        let live = self.0.values().filter(|life| life.is_live(now));
        u64::try_from(live.count()).unwrap_or(u64::MAX)
    }

    /// Those that go on and read less of the policy language than `revision`, in the order of their
    /// names and boot ids.
    pub(super) fn behind(&self, revision: u32, now: Instant) -> Vec<NodeBehind> {
        self.behind_where(now, |life| life.reads.unwrap_or(UNREPORTED) < revision)
    }

    /// Those that go on and do not pin the signing key `key`, in the same order. A node that
    /// reports no keys pins `current` alone: filters had one key before they could report it.
    pub(super) fn without_pin(&self, key: &str, current: &str, now: Instant) -> Vec<NodeBehind> {
        self.behind_where(now, |life| match life.pins.as_slice() {
            [] => key != current,
            pins => pins.iter().all(|pin| pin != key),
        })
    }

    fn behind_where(&self, now: Instant, is_behind: impl Fn(&Life) -> bool) -> Vec<NodeBehind> {
        let live = self.0.iter().filter(|(_, life)| life.is_live(now));
        let mut behind: Vec<NodeBehind> = live
            .filter(|(_, life)| is_behind(life))
            .map(|(boot, life)| NodeBehind {
                name: life.name.clone(),
                boot: boot.clone(),
                reads: life.reads.unwrap_or(UNREPORTED),
            })
            .collect();
        behind.sort_by(|a, b| (&a.name, &a.boot).cmp(&(&b.name, &b.boot)));
        behind
    }

    /// Those that a list shows: all but the replaced ones, for an hour after they were last heard
    /// of.
    pub(super) fn listed(&self, now: Instant) -> Vec<String> {
        let listed = self.0.iter().filter(|(_, life)| {
            life.end != Some(End::Replaced) && now.saturating_duration_since(life.heard) <= LISTED
        });
        listed.map(|(boot, _)| boot.clone()).collect()
    }

    /// Forgets lives that are not listed any more, and the oldest when there are too many.
    fn forget(&mut self, now: Instant) {
        if self.0.len() < MOST / 2 {
            return;
        }
        let age = |life: &Life| now.saturating_duration_since(life.heard);
        self.0.retain(|_, life| age(life) <= LISTED);
        if self.0.len() >= MOST {
            let mut ages: Vec<Instant> = self.0.values().map(|life| life.heard).collect();
            ages.sort_unstable();
            let median = ages[ages.len() / 2];
            self.0.retain(|_, life| life.heard > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use chaperone_engine::audit::BootId;

    use super::*;

    fn node(name: &str, boot: u128) -> NodeId {
        NodeId {
            name: name.to_owned(),
            boot: BootId::from_random(boot),
        }
    }

    fn boot(number: u128) -> String {
        BootId::from_random(number).as_str().to_owned()
    }

    struct Story {
        lives: Lives,
        now: Instant,
    }

    impl Story {
        fn new() -> Self {
            Self {
                lives: Lives::default(),
                now: Instant::now(),
            }
        }

        fn reports(&mut self, name: &str, boots: &[u128]) {
            for number in boots {
                let node = node(name, *number);
                self.lives.heard(&node, Some(1), Duration::ZERO, self.now);
            }
        }

        fn passes(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn live(&self) -> Vec<u128> {
            let all = 1..20;
            all.filter(|number| self.lives.is_live(&boot(*number), self.now))
                .collect()
        }
    }

    #[test]
    fn two_missing_reports_end_a_life_and_one_does_not() {
        let mut story = Story::new();
        story.reports("envoy", &[1, 2]);
        story.passes(19);
        story.reports("envoy", &[2]);
        assert_eq!(story.live(), [1, 2]);
        story.passes(7);
        assert_eq!(story.live(), [2]);
        // It was only slow.
        story.reports("envoy", &[1]);
        assert_eq!(story.live(), [1, 2]);
        assert_eq!(story.lives.count(story.now), 2);
    }

    #[test]
    fn a_life_that_waits_as_long_as_it_asked_for_is_not_silent() {
        let mut story = Story::new();
        let wait = Duration::from_secs(55);
        story
            .lives
            .heard(&node("envoy", 1), Some(1), wait, story.now);
        story.passes(59);
        assert_eq!(story.live(), [1]);
        story.passes(2);
        assert_eq!(story.live(), [0; 0]);
    }

    #[test]
    fn what_was_silent_when_the_control_plane_ended_stays_ended() {
        const END: u64 = 1_000_000;
        let life = |number: u128, seconds_before: u64| NodeLife {
            name: "envoy".to_owned(),
            boot: boot(number),
            filter_version: None,
            reads: 1,
            enforced: None,
            refused: None,
            first_seen_at: UnixMillis(1),
            last_seen_at: UnixMillis(END - seconds_before * 1000),
            closed: false,
            acknowledged: 0,
            events: 0,
            dropped: 0,
            gaps: Vec::new(),
        };
        let left = vec![life(1, 0), life(2, 20), life(3, 30), life(4, 90)];
        // The process was away for ten minutes.
        let start = UnixMillis(END + 600_000);
        let now = Instant::now() + Duration::from_secs(10_000);
        let lives = Lives::left(left, start, now);
        let live = |number| lives.is_live(&boot(number), now);
        assert_eq!([1, 2, 3, 4].map(live), [true, true, false, false]);
        assert_eq!(lives.count(now), 2);
    }

    #[test]
    fn a_restarted_envoy_replaces_its_lives_at_once() {
        let mut story = Story::new();
        story.reports("envoy", &[1, 2, 3]);
        for number in [1, 2, 3] {
            story.lives.connected(&boot(number));
            story.lives.disconnected(&boot(number));
        }
        assert_eq!(story.live(), [1, 2, 3], "they may come back");
        story.reports("envoy", &[4, 5, 6]);
        assert_eq!(story.live(), [4, 5, 6]);
        assert_eq!(story.lives.listed(story.now).len(), 3);
    }

    #[test]
    fn of_envoys_that_share_a_name_only_the_one_that_ended_is_replaced() {
        let mut story = Story::new();
        story.reports("envoy", &[1, 2, 3, 4]);
        for number in 1..=4 {
            story.lives.connected(&boot(number));
        }
        story.lives.disconnected(&boot(1));
        story.lives.disconnected(&boot(2));
        story.reports("envoy", &[5]);
        story.reports("another", &[6]);
        assert_eq!(story.live(), [3, 4, 5, 6]);
    }

    #[test]
    fn a_new_life_replaces_none_of_another_name_and_none_that_connects_again() {
        let mut story = Story::new();
        story.reports("envoy", &[1, 2]);
        for number in [1, 2] {
            story.lives.connected(&boot(number));
            story.lives.disconnected(&boot(number));
        }
        story.reports("envoy", &[2]);
        story.reports("other", &[3]);
        story.reports("envoy", &[4]);
        assert_eq!(story.live(), [2, 3, 4]);
        // Wrongly taken for dead: it says so with its next report.
        story.reports("envoy", &[1]);
        assert_eq!(story.live(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_life_with_a_second_connection_has_not_hung_up() {
        let mut story = Story::new();
        story.reports("envoy", &[1]);
        story.lives.connected(&boot(1));
        story.lives.connected(&boot(1));
        story.lives.disconnected(&boot(1));
        story.reports("envoy", &[2]);
        assert_eq!(story.live(), [1, 2]);
    }

    #[test]
    fn a_goodbye_holds_against_what_it_overtook_until_the_node_goes_on() {
        let mut story = Story::new();
        story.reports("envoy", &[1]);
        story.lives.closed(&boot(1), true);
        story.reports("envoy", &[1]);
        assert_eq!(story.live(), [0; 0]);
        story.lives.closed(&boot(1), false);
        assert_eq!(story.live(), [1]);
    }

    #[test]
    fn nodes_behind_are_live_and_read_less() {
        let mut story = Story::new();
        for (number, reads) in [(1, 1), (2, 3), (3, 2), (4, 1), (6, 3)] {
            let node = node("envoy", number);
            story
                .lives
                .heard(&node, Some(reads), Duration::ZERO, story.now);
        }
        story.lives.closed(&boot(4), true);
        // It has sent events and said nothing of itself.
        story
            .lives
            .heard(&node("envoy", 5), None, Duration::ZERO, story.now);
        let behind = story.lives.behind(3, story.now);
        let behind: Vec<_> = behind
            .iter()
            .map(|node| (node.boot.clone(), node.reads))
            .collect();
        let mut expected = [(boot(1), 1), (boot(3), 2), (boot(5), 1)];
        expected.sort();
        assert_eq!(behind, expected);
    }

    #[test]
    fn nodes_without_a_pin_are_live_and_who_says_nothing_pins_the_current_key() {
        let mut story = Story::new();
        story.reports("envoy", &[1, 2, 3, 4, 5]);
        let mut pins = |number: u128, pins: &[&str]| {
            let pins: Vec<String> = pins.iter().map(|pin| (*pin).to_owned()).collect();
            story.lives.pins(&boot(number), &pins);
        };
        pins(1, &["old", "new"]);
        pins(2, &["old"]);
        pins(3, &["new"]);
        // The fourth says nothing of itself, and the fifth has ended.
        pins(5, &["old"]);
        story.lives.closed(&boot(5), true);
        let without = |key: &str| {
            let nodes = story.lives.without_pin(key, "old", story.now);
            let nodes = nodes.into_iter().map(|node| node.boot);
            nodes.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(without("new"), [boot(2), boot(4)].into());
        assert_eq!(without("old"), [boot(3)].into());
    }

    #[test]
    fn any_number_of_made_up_lives_is_forgotten_again() {
        let mut story = Story::new();
        for number in 0..11_000 {
            story.passes(1);
            story.reports("made up", &[number]);
        }
        assert!(story.lives.0.len() < 5_000, "of the last hour");
        assert!(story.lives.is_live(&boot(10_999), story.now));
    }
}
