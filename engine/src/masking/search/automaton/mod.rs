//! A pattern as a small anchored automaton that can stop after any byte and go on later.
//!
//! `regex-automata` builds the machine once, when detectors are compiled; what runs on the request
//! path is a flat table of 16-bit states, one load per byte, that cannot backtrack and cannot
//! panic. A pattern that would need more than [`MAX_STATES`] states, or too much work to compile,
//! is refused when it is compiled.

mod flatten;

use self::flatten::Flattened;
use super::bytes::ByteSet;
use regex_automata::{
    MatchKind,
    dfa::{StartKind, dense},
    nfa::thompson,
    util::syntax,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Automata that are in use, by pattern. Most sets of one policy, and those of the next version,
/// have most of their patterns in common: a worker builds and keeps each of them once.
static IN_USE: Mutex<BTreeMap<Box<str>, Weak<Automaton>>> = Mutex::new(BTreeMap::new());

/// Most states that one pattern may have. At 64 byte classes this is 1 MiB of table.
pub(in crate::masking) const MAX_STATES: usize = 8192;

/// No match can come any more, and none ended before the byte just read.
const DEAD: u16 = 0;

/// A state between two bytes. Only meaningful to the automaton that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::masking) struct State(u16);

/// What one byte did to a match in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Step {
    /// A match ended just before this byte.
    pub(in crate::masking) matched_before: bool,
    /// The state to go on from, or `None` if neither this byte nor a later one can belong to a
    /// match.
    pub(in crate::masking) next: Option<State>,
}

/// The kind of byte before the place where a pattern begins. `^` and `\b` at its beginning ask for
/// no more than that, so a pattern has one state to begin with behind each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::masking) enum Look {
    /// Nothing: the text begins.
    Text,
    /// A line feed.
    LineFeed,
    /// A carriage return.
    CarriageReturn,
    /// A letter, a digit or `_`.
    Word,
    /// Any other byte.
    Other,
}

impl Look {
    /// One byte for each kind.
    const ALL: [(Self, Option<u8>); 5] = [
        (Self::Text, None),
        (Self::LineFeed, Some(b'\n')),
        (Self::CarriageReturn, Some(b'\r')),
        (Self::Word, Some(b'a')),
        (Self::Other, Some(b' ')),
    ];

    /// Behind a byte.
    #[inline]
    pub(in crate::masking) const fn behind(byte: u8) -> Self {
        match byte {
            b'\n' => Self::LineFeed,
            b'\r' => Self::CarriageReturn,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => Self::Word,
            _ => Self::Other,
        }
    }
}

/// A set of states, without memory of its own while they are few.
#[cfg(feature = "authoring")]
pub(in crate::masking) struct States {
    few: [u16; 8],
    /// One bit for each state, once they are many.
    all: Vec<u64>,
    words: usize,
}

#[cfg(feature = "authoring")]
impl States {
    /// Adds a state; `false` if it is there already.
    pub(in crate::masking) fn insert(&mut self, state: State) -> bool {
        if self.all.is_empty() {
            if self.few.contains(&state.0) {
                return false;
            }
            if let Some(free) = self.few.iter_mut().find(|slot| **slot == DEAD) {
                *free = state.0;
                return true;
            }
            self.all.resize(self.words, 0);
            for state in self.few {
                self.set(state);
            }
        }
        self.set(state.0)
    }

    fn set(&mut self, state: u16) -> bool {
        let bit = 1_u64.wrapping_shl(u32::from(state));
        let Some(word) = self.all.get_mut(usize::from(state >> 6)) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

/// What must follow a match, if one byte says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) struct Follow {
    /// One of these bytes.
    pub(in crate::masking) bytes: ByteSet,
    /// Or the end of the text.
    pub(in crate::masking) at_end: bool,
}

/// A compiled pattern, anchored at its start; every end at which it matches is reported.
pub(in crate::masking) struct Automaton {
    classes: [u8; 256],
    stride: usize,
    /// Rows of states. Those from `matched` on mean that a match ended before the byte that led
    /// into them; `matched` itself and [`DEAD`] have no way on.
    table: Box<[u16]>,
    matched: u16,
    /// One bit for each state: if the text ends here, a match ends with it.
    at_end: Box<[u64]>,
    /// The state to begin with behind each kind of [`Look`].
    starts: [u16; 5],
}

impl Automaton {
    /// The automaton of `pattern`, the one that is in use if there is one.
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    pub(in crate::masking) fn shared(pattern: &str) -> Result<Arc<Self>, String> {
        // What a panic elsewhere left behind is whole: nothing below can panic between two changes.
        let in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        let known = in_use.get(pattern).and_then(Weak::upgrade);
        drop(in_use);
        if let Some(known) = known {
            return Ok(known);
        }
        Ok(Self::share(pattern, Self::compile(pattern)?))
    }

    /// The automaton of `pattern` that is in use, or else `built`, which is then.
    pub(in crate::masking) fn share(pattern: &str, built: Self) -> Arc<Self> {
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = in_use.get(pattern).and_then(Weak::upgrade) {
            return known;
        }
        let automaton = Arc::new(built);
        if in_use.len().is_power_of_two() {
            in_use.retain(|_, automaton| automaton.strong_count() > 0);
        }
        in_use.insert(pattern.into(), Arc::downgrade(&automaton));
        automaton
    }

    /// How many states it has.
    pub(in crate::masking) fn states(&self) -> usize {
        self.table.len().checked_div(self.stride).unwrap_or(0)
    }

    /// Compiles `pattern` (the syntax of the `regex` crate, over bytes, ASCII classes).
    ///
    /// # Errors
    /// A sentence for the author of the pattern: its syntax is wrong, or it needs too many states.
    pub(in crate::masking) fn compile(pattern: &str) -> Result<Self, String> {
        Self::compile_within(pattern, 1 << 22)
    }

    /// The same with a limit, in bytes, on the machine that is built first.
    pub(in crate::masking) fn compile_within(pattern: &str, limit: usize) -> Result<Self, String> {
        #[cfg(test)]
        COMPILED.set(COMPILED.get().wrapping_add(1));
        // `MatchKind::All`: ends are what matters, the longest one wins; no alternative may hide
        // another.
        let dfa = dense::Builder::new()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(
                thompson::Config::new()
                    .utf8(false)
                    .nfa_size_limit(Some(1 << 22)),
            )
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .match_kind(MatchKind::All)
                    .dfa_size_limit(Some(limit))
                    .determinize_size_limit(Some(limit.saturating_mul(2))),
            )
            .build(pattern)
            .map_err(|error| refusal(&error))?;
        Flattened::of(&dfa)?.into_automaton()
    }

    /// The state before the first byte, or `None` if the pattern cannot match behind what stands
    /// there.
    #[inline]
    pub(in crate::masking) fn start(&self, look: Look) -> Option<State> {
        let [text, line, carriage, word, other] = self.starts;
        let start = match look {
            Look::Text => text,
            Look::LineFeed => line,
            Look::CarriageReturn => carriage,
            Look::Word => word,
            Look::Other => other,
        };
        (start != DEAD).then_some(State(start))
    }

    /// Reads one byte.
    #[inline]
    pub(in crate::masking) fn step(&self, state: State, byte: u8) -> Step {
        #[cfg(test)]
        count_step();
        let class = self.classes.get(usize::from(byte)).copied().unwrap_or(0);
        let at = usize::from(state.0)
            .wrapping_mul(self.stride)
            .wrapping_add(usize::from(class));
        let next = self.table.get(at).copied().unwrap_or(DEAD);
        Step {
            matched_before: next >= self.matched,
            next: (next != DEAD && next != self.matched).then_some(State(next)),
        }
    }

    /// Reads `bytes` until no match can come any more, and calls `matched` with every offset at
    /// which one ended. Gives the state behind the last byte if there is one, and adds how many
    /// bytes it read to `count`.
    #[inline]
    pub(in crate::masking) fn read(
        &self,
        mut state: State,
        bytes: &[u8],
        mut matched: impl FnMut(usize),
        count: &mut u64,
    ) -> Option<State> {
        for (at, &byte) in bytes.iter().enumerate() {
            let step = self.step(state, byte);
            if step.matched_before {
                matched(at);
            }
            let Some(next) = step.next else {
                *count = count.saturating_add(at as u64).saturating_add(1);
                return None;
            };
            state = next;
        }
        *count = count.saturating_add(bytes.len() as u64);
        Some(state)
    }

    /// An empty set of this automaton's states.
    #[cfg(feature = "authoring")]
    pub(in crate::masking) fn no_states(&self) -> States {
        States {
            few: [DEAD; 8],
            all: Vec::new(),
            words: self.at_end.len(),
        }
    }

    /// Whether a match ends here if the text does.
    pub(in crate::masking) fn matches_at_end(&self, state: State) -> bool {
        self.at_end
            .get(usize::from(state.0 >> 6))
            .is_some_and(|word| word.wrapping_shr(u32::from(state.0)) & 1 != 0)
    }

    /// Whether it matches at the end of a text, behind what stands there.
    pub(in crate::masking) fn stands_at_end(&self, look: Look) -> bool {
        self.start(look)
            .is_some_and(|state| self.matches_at_end(state))
    }

    /// Whether a match from the beginning of `text` on ends anywhere in it.
    pub(in crate::masking) fn ends_in(&self, text: &[u8]) -> bool {
        let mut now = self.start(Look::Text);
        for &byte in text {
            let Some(state) = now else { return false };
            let step = self.step(state, byte);
            if step.matched_before {
                return true;
            }
            now = step.next;
        }
        now.is_some_and(|state| self.matches_at_end(state))
    }

    /// What may follow, if the pattern asks for one byte and no more, whatever stands before it.
    pub(in crate::masking) fn follow(&self) -> Option<Follow> {
        let mut all = self.starts.map(|start| self.follow_from(State(start)));
        let [first, others @ ..] = &mut all;
        let first = first.take();
        others
            .iter()
            .all(|other| *other == first)
            .then_some(first)?
    }

    fn follow_from(&self, start: State) -> Option<Follow> {
        if start.0 == DEAD {
            return None;
        }
        let mut bytes = ByteSet::EMPTY;
        for byte in 0..=255 {
            let step = self.step(start, byte);
            let Some(next) = step.next else {
                if step.matched_before {
                    bytes = bytes.with(byte);
                }
                continue;
            };
            // A match shows one byte late: behind this byte it must be there whatever comes.
            let is_done = |byte| {
                let step = self.step(next, byte);
                step.matched_before && step.next.is_none()
            };
            if step.matched_before || !self.matches_at_end(next) || !(0..=255).all(is_done) {
                return None;
            }
            bytes = bytes.with(byte);
        }
        let at_end = self.matches_at_end(start);
        Some(Follow { bytes, at_end })
    }

    /// Whether the empty text can match.
    pub(in crate::masking) fn matches_nothing(&self) -> bool {
        let mut starts = self.starts.iter().filter(|&&start| start != DEAD);
        starts.any(|&start| self.matches_at_end(State(start)))
    }

    /// The bytes that may follow in a match (or end one, when the pattern looks ahead), from any of
    /// `states`.
    pub(in crate::masking) fn followers(&self, states: &[State]) -> ByteSet {
        let bytes = 0..=255;
        bytes
            .filter(|&byte| {
                states.iter().any(|&state| {
                    let step = self.step(state, byte);
                    step.matched_before || step.next.is_some()
                })
            })
            .collect()
    }

    /// The states after one byte of `set`, from any of `states`; sorted.
    pub(in crate::masking) fn after(&self, states: &[State], set: ByteSet) -> Vec<State> {
        let mut wanted = [false; 256];
        for byte in set.iter() {
            let class = self.classes.get(usize::from(byte)).copied().unwrap_or(0);
            if let Some(wanted) = wanted.get_mut(usize::from(class)) {
                *wanted = true;
            }
        }
        let mut after = Vec::new();
        for state in states {
            let row = self.row(*state).iter().zip(&wanted);
            let next = row.filter(|&(&next, &wanted)| wanted && self.goes_on(next));
            after.extend(next.map(|(&next, _)| State(next)));
        }
        after.sort_unstable();
        after.dedup();
        after
    }

    /// One byte of `set` for each way on that its bytes can take.
    #[cfg(feature = "authoring")]
    pub(in crate::masking) fn samples(&self, set: ByteSet) -> Vec<u8> {
        let mut seen = [false; 256];
        let mut samples: Vec<u8> = set.iter().collect();
        samples.retain(|&byte| {
            let class = self.classes.get(usize::from(byte)).copied().unwrap_or(0);
            let seen = seen.get_mut(usize::from(class));
            seen.is_some_and(|seen| !std::mem::replace(seen, true))
        });
        samples
    }

    /// How many ways on each state has at most.
    #[cfg(feature = "authoring")]
    pub(in crate::masking) fn ways(&self) -> usize {
        self.stride
    }

    /// The states after one byte of any kind, from any of `states`.
    #[cfg(feature = "authoring")]
    pub(in crate::masking) fn after_any(&self, states: &[State]) -> Vec<State> {
        let mut after: Vec<State> = Vec::new();
        let mut seen = self.no_states();
        for state in states {
            let mut last = DEAD;
            for &next in self.row(*state) {
                // Neighbours are mostly the same.
                if next != last && self.goes_on(next) && seen.insert(State(next)) {
                    after.push(State(next));
                }
                last = next;
            }
        }
        after
    }

    /// Where each class of bytes leads from a state.
    fn row(&self, state: State) -> &[u16] {
        let from = usize::from(state.0).saturating_mul(self.stride);
        let row = self.table.get(from..from.saturating_add(self.stride));
        row.unwrap_or_default()
    }

    fn goes_on(&self, next: u16) -> bool {
        next != DEAD && next != self.matched
    }

    /// The states to begin with, whatever stands before.
    pub(in crate::masking) fn beginnings(&self) -> Vec<State> {
        let mut starts: Vec<State> = Look::ALL
            .iter()
            .filter_map(|&(look, _)| self.start(look))
            .collect();
        starts.sort_unstable();
        starts.dedup();
        starts
    }

    /// Bytes of memory that this automaton occupies.
    pub(in crate::masking) fn memory(&self) -> usize {
        size_of::<Self>()
            .saturating_add(size_of_val(&*self.table))
            .saturating_add(size_of_val(&*self.at_end))
    }
}

#[cfg(test)]
thread_local! {
    static COMPILED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
fn count_step() {
    STEPS.set(STEPS.get().wrapping_add(1));
}

/// How many automata this thread has begun to build so far, whether or not they fit.
#[cfg(test)]
pub(crate) fn compiled() -> u64 {
    COMPILED.get()
}

/// How many bytes the automata of this thread have read so far, each counted once for each attempt
/// that reads it.
#[cfg(test)]
pub(in crate::masking) fn steps() -> u64 {
    STEPS.get()
}

impl fmt::Debug for Automaton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Automaton")
            .field("states", &self.states())
            .finish_non_exhaustive()
    }
}

/// What the author of a pattern can do about it.
fn refusal(error: &dense::BuildError) -> String {
    let nfa = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<thompson::BuildError>());
    if error.is_size_limit_exceeded() || nfa.is_some_and(|e| e.size_limit().is_some()) {
        return "the pattern is too large: make its repetitions and classes smaller".to_owned();
    }
    // The library names the cause, such as a syntax error and its place, one level down.
    let cause = std::error::Error::source(error).map(|cause| {
        let deeper = std::error::Error::source(cause).map(ToString::to_string);
        deeper.unwrap_or_else(|| cause.to_string())
    });
    match cause {
        Some(cause) => format!("the pattern cannot be compiled: {cause}"),
        None => format!("the pattern cannot be compiled: {error}"),
    }
}

#[cfg(test)]
mod tests;
