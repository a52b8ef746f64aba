//! Requests that are refused without anybody being known to have sent them: a few are recorded one
//! by one, the rest are counted and recorded together.
//!
//! A record of its own takes three events and a row in the database, and whoever has no token can
//! ask for thousands a second. Recorded one by one they would fill the queue, which keeps good
//! requests out, and then the disk. So each *kind* of refusal, its cause and where it came from,
//! has a small allowance of records, and all kinds together have one. What is beyond is counted in
//! a window of its kind, which becomes one event.
//!
//! # Promises
//! - Every refusal is told to be recorded alone, or is counted in exactly one [`Aggregated`].
//! - A window is due [`WINDOW_MS`] after it began. `now` comes from a clock that nobody sets.
//! - Memory is bounded whatever is sent: so many kinds, beyond which a window takes all of one
//!   cause; and so many examples in each window, which whoever hands them in has cut short.

use std::collections::HashMap;

use super::event::{Aggregated, RecordId, RefusedExample};
use crate::base::time::UnixMillis;
use crate::identity::TokenOwner;

/// How long refusals of one kind are gathered.
pub const WINDOW_MS: u64 = 10_000;
/// Kinds that are told apart at once. Causes are few, and each may have a window for its rest
/// beside these.
const MAX_KINDS: usize = 64;
/// Examples in a window.
const MAX_EXAMPLES: usize = 3;
/// Records of one kind, at once and then for each second.
const ALONE: Allowance = Allowance {
    at_once: 20,
    per_second: 1,
};
/// Records of all kinds.
const ALONE_IN_ALL: Allowance = Allowance {
    at_once: 100,
    per_second: 10,
};
/// When a kind that was not seen any more is forgotten: its allowance is whole again by then.
const FORGET_MS: u64 = 30_000;

/// What makes two refusals one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The code; none where Envoy answered before it asked the gate.
    pub code: Option<&'static str>,
    /// HTTP status of the answer.
    pub status: u16,
    /// Where the request came from, where that is known.
    pub source: Option<String>,
    /// Whose token it was, where its signature was good.
    pub token_owner: Option<TokenOwner>,
}

impl Refusal {
    /// All of this cause, wherever they come from.
    fn rest(&self) -> Self {
        Self {
            source: None,
            token_owner: None,
            ..*self
        }
    }
}

/// How a refused request is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// In a record of its own.
    Alone,
    /// Together with others, in this record.
    Together(RecordId),
}

/// Refusals of one node.
#[derive(Debug)]
pub struct Refusals {
    kinds: HashMap<Refusal, Kind>,
    alone: Budget,
    /// When the next window is due, or a kind is to be forgotten; no use in looking before.
    look_at: Option<UnixMillis>,
}

#[derive(Debug)]
struct Kind {
    alone: Budget,
    window: Option<Window>,
    seen: UnixMillis,
}

#[derive(Debug)]
struct Window {
    record: RecordId,
    began: UnixMillis,
    requests: u64,
    first: UnixMillis,
    last: UnixMillis,
    examples: Vec<RefusedExample>,
}

/// So many at once, and so many more each second.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    at_once: u64,
    per_second: u64,
}

/// What was used of an [`Allowance`], in thousandths.
#[derive(Debug, Clone, Copy)]
struct Budget {
    used: u64,
    at: UnixMillis,
}

impl Budget {
    const WHOLE: Self = Self {
        used: 0,
        at: UnixMillis(0),
    };

    /// Whether one more is allowed now. A clock that steps back gives nothing, one that steps ahead
    /// at most what is allowed at once.
    fn has(&mut self, allowance: Allowance, now: UnixMillis) -> bool {
        let back = now.since(self.at).saturating_mul(allowance.per_second);
        self.used = self.used.saturating_sub(back);
        self.at = now;
        self.used.saturating_add(1_000) <= allowance.at_once.saturating_mul(1_000)
    }

    fn take(&mut self) {
        self.used = self.used.saturating_add(1_000);
    }
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            kinds: HashMap::new(),
            alone: Budget::WHOLE,
            look_at: None,
        }
    }
}

impl Refusals {
    /// One request was refused. `has_room`: there is room for a record of its own. `open` gives the
    /// record of a window that begins, `example` describes the request; both are asked only if that
    /// is needed.
    pub fn take(
        &mut self,
        refusal: Refusal,
        now: UnixMillis,
        has_room: bool,
        open: impl FnOnce() -> RecordId,
        example: impl FnOnce() -> RefusedExample,
    ) -> Recorded {
        let refusal = if self.kinds.len() < MAX_KINDS || self.kinds.contains_key(&refusal) {
            refusal
        } else {
            refusal.rest()
        };
        let kind = self.kinds.entry(refusal).or_insert(Kind {
            alone: Budget::WHOLE,
            window: None,
            seen: now,
        });
        kind.seen = now;
        let (own, all) = (
            kind.alone.has(ALONE, now),
            self.alone.has(ALONE_IN_ALL, now),
        );
        if own && all && has_room {
            kind.alone.take();
            self.alone.take();
            self.look_at.get_or_insert(now.saturating_add(FORGET_MS));
            return Recorded::Alone;
        }
        let window = kind.window.get_or_insert_with(|| Window {
            record: open(),
            began: now,
            requests: 0,
            first: now,
            last: now,
            examples: Vec::new(),
        });
        window.requests = window.requests.saturating_add(1);
        window.first = window.first.min(now);
        window.last = window.last.max(now);
        if window.examples.len() < MAX_EXAMPLES {
            window.examples.push(example());
        }
        let due = window.began.saturating_add(WINDOW_MS);
        self.look_at = Some(self.look_at.map_or(due, |at| at.min(due)));
        Recorded::Together(window.record.clone())
    }

    /// A window that is due, with its record. Ask until there is none; what is not asked for stays
    /// and goes on counting.
    pub fn due(&mut self, now: UnixMillis) -> Option<(RecordId, Aggregated)> {
        let at = self.look_at?;
        // Earlier than all that is waited for could be: the clock has stepped back.
        let stepped = at.since(now) > FORGET_MS;
        if now < at && !stepped {
            return None;
        }
        let is_due = |window: &Window| now.since(window.began) >= WINDOW_MS || now < window.began;
        if let Some(found) = self.close(is_due) {
            return Some(found);
        }
        self.kinds.retain(|_, kind| {
            let idle = now.since(kind.seen) >= FORGET_MS || now < kind.seen;
            kind.window.is_some() || !idle
        });
        let ends = self.kinds.values().map(|kind| match &kind.window {
            Some(window) => window.began.saturating_add(WINDOW_MS),
            None => kind.seen.saturating_add(FORGET_MS),
        });
        self.look_at = ends.min();
        None
    }

    /// Windows that still count: each will be an event.
    pub fn open_windows(&self) -> usize {
        let windows = self.kinds.values().map(|kind| &kind.window);
        windows.filter(|window| window.is_some()).count()
    }

    /// Any window with its record: the node ends. Ask until there is none.
    pub fn end(&mut self) -> Option<(RecordId, Aggregated)> {
        self.close(|_| true)
    }

    fn close(&mut self, wanted: impl Fn(&Window) -> bool) -> Option<(RecordId, Aggregated)> {
        let (refusal, kind) = self
            .kinds
            .iter_mut()
            .find(|(_, kind)| kind.window.as_ref().is_some_and(&wanted))?;
        let window = kind.window.take()?;
        let aggregated = Aggregated {
            requests: window.requests,
            first: window.first,
            last: window.last,
            code: refusal.code.map(str::to_owned),
            status: refusal.status,
            source: refusal.source.clone(),
            token_owner: refusal.token_owner.clone(),
            examples: window.examples,
        };
        Some((window.record, aggregated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::RequestLine;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn refusal(source: &str) -> Refusal {
        Refusal {
            code: Some("token_missing"),
            status: 401,
            source: Some(source.to_owned()),
            token_owner: None,
        }
    }

    fn example(at: UnixMillis) -> RefusedExample {
        RefusedExample {
            at,
            request: RequestLine::default(),
            user_agent: None,
            request_id: None,
        }
    }

    /// A node that hands in refusals.
    #[derive(Default)]
    struct Node {
        refusals: Refusals,
        opened: u64,
        alone: u64,
        together: u64,
        told: Vec<(RecordId, Aggregated)>,
    }

    impl Node {
        fn take(&mut self, refusal: Refusal, now: UnixMillis) -> Recorded {
            let opened = &mut self.opened;
            let open = || {
                *opened += 1;
                RecordId(opened.to_string())
            };
            let recorded = self
                .refusals
                .take(refusal, now, true, open, || example(now));
            match recorded {
                Recorded::Alone => self.alone += 1,
                Recorded::Together(_) => self.together += 1,
            }
            recorded
        }

        fn tick(&mut self, now: UnixMillis) {
            while let Some(due) = self.refusals.due(now) {
                self.told.push(due);
            }
        }

        fn counted(&self) -> u64 {
            self.told.iter().map(|(_, told)| told.requests).sum()
        }
    }

    #[test]
    fn a_few_stand_alone_and_the_rest_become_one_event() {
        let mut node = Node::default();
        for n in 0..10_000 {
            node.take(refusal("203.0.113.7"), NOW.saturating_add(n / 10));
            node.tick(NOW.saturating_add(n / 10));
        }
        assert_eq!(node.told, [], "the window is not over");
        assert_eq!(node.refusals.open_windows(), 1);
        node.tick(NOW.saturating_add(WINDOW_MS + 1_000));
        let (record, told) = node.told.pop().unwrap();
        assert_eq!(node.told, []);
        assert_eq!(node.refusals.open_windows(), 0);
        assert_eq!(record, RecordId("1".to_owned()));
        assert_eq!(told.requests, node.together);
        assert!((20..=22).contains(&node.alone), "{}", node.alone);
        assert_eq!(told.code.as_deref(), Some("token_missing"));
        assert_eq!(told.source.as_deref(), Some("203.0.113.7"));
        assert_eq!((told.status, told.examples.len()), (401, MAX_EXAMPLES));
        assert_eq!(
            (told.first, told.last),
            (NOW.saturating_add(2), NOW.saturating_add(999))
        );
        assert_eq!(told.examples[0].at, told.first);
    }

    #[test]
    fn the_answers_name_the_record_that_will_tell_of_them() {
        let mut node = Node::default();
        let mut named = Vec::new();
        for _ in 0..50 {
            if let Recorded::Together(record) = node.take(refusal("a"), NOW) {
                named.push(record);
            }
        }
        node.tick(NOW.saturating_add(WINDOW_MS));
        assert_eq!(named.len(), 30);
        assert!(named.iter().all(|record| *record == node.told[0].0));
    }

    #[test]
    fn someone_who_comes_slowly_is_recorded_one_by_one_for_ever() {
        let mut node = Node::default();
        for n in 0..10_000 {
            node.take(refusal("a"), NOW.saturating_add(n * 1_000));
            node.tick(NOW.saturating_add(n * 1_000));
        }
        assert_eq!((node.alone, node.together), (10_000, 0));
    }

    #[test]
    fn a_source_that_varies_is_counted_within_bounds_and_forgotten() {
        let mut node = Node::default();
        for n in 0..100_000 {
            let mut refusal = refusal(&n.to_string());
            refusal.token_owner = Some(TokenOwner {
                issuer: "i".to_owned(),
                subject: n.to_string(),
            });
            node.take(refusal, NOW);
        }
        let alone = MAX_KINDS as u64 + ALONE.at_once;
        assert_eq!(node.alone, alone, "one of each kind, and the rest's");
        assert!(node.refusals.kinds.len() <= MAX_KINDS + 1);
        node.tick(NOW.saturating_add(WINDOW_MS));
        assert_eq!(node.counted() + node.alone, 100_000);
        let rest = node.told.iter().max_by_key(|(_, told)| told.requests);
        let rest = &rest.unwrap().1;
        assert!(rest.requests > 99_000 && rest.source.is_none() && rest.token_owner.is_none());
        node.tick(NOW.saturating_add(FORGET_MS));
        assert_eq!(node.refusals.kinds.len(), 0);
        assert_eq!(node.refusals.look_at, None);
    }

    #[test]
    fn a_window_is_due_when_the_clock_has_stepped_back() {
        let mut node = Node::default();
        for _ in 0..30 {
            node.take(refusal("a"), NOW);
        }
        node.tick(UnixMillis(NOW.0 - 86_400_000));
        assert_eq!(node.counted(), 10);
    }

    #[test]
    fn without_room_nothing_stands_alone() {
        let mut refusals = Refusals::default();
        let open = || RecordId("1".to_owned());
        let recorded = refusals.take(refusal("a"), NOW, false, open, || example(NOW));
        assert_eq!(recorded, Recorded::Together(open()));
        assert_eq!(refusals.end().unwrap().1.requests, 1);
        assert_eq!(refusals.end(), None);
    }

    #[cfg(not(target_arch = "wasm32"))]
    mod properties {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn whatever_comes_and_whatever_the_clock_does_each_is_recorded_once(
                steps in prop::collection::vec((0u8..6, 0u64..100, 0i64..20_000), 1..300)
            ) {
                let mut node = Node::default();
                let mut now = NOW;
                let mut sent = 0;
                for (what, source, step) in steps {
                    let step = u64::try_from(step).unwrap();
                    now = if what == 0 { UnixMillis(now.0 - step) } else { now.saturating_add(step / 10) };
                    if what == 1 {
                        node.tick(now);
                    } else {
                        sent += 1;
                        node.take(refusal(&source.to_string()), now);
                    }
                }
                while let Some(told) = node.refusals.end() {
                    node.told.push(told);
                }
                prop_assert_eq!(node.alone + node.counted(), sent);
                for (_, told) in &node.told {
                    prop_assert!(told.first <= told.last && told.examples.len() <= MAX_EXAMPLES);
                }
            }
        }
    }
}
