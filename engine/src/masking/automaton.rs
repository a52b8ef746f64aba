//! A pattern as a small anchored automaton that can stop after any byte and go on later.
//!
//! `regex-automata` builds the machine once, when detectors are compiled; what runs on the request
//! path is a flat table of 16-bit states, one load per byte, that cannot backtrack and cannot panic.
//! A pattern that would need more than [`MAX_STATES`] states is refused when it is compiled.

use regex_automata::{
    Anchored, MatchKind,
    dfa::{Automaton as _, StartKind, dense},
    nfa::thompson,
    util::{primitives::StateID, start, syntax},
};
use std::collections::HashMap;

/// Most states that one pattern may have. At 64 byte classes this is 1 MiB of table.
pub(super) const MAX_STATES: usize = 8192;

/// No match can come any more, and none ended before the byte just read.
const DEAD: u16 = 0;
/// A match ended before the byte just read, and none can come any more.
const DONE: u16 = 1;

/// The match ended before the byte that led into this state.
const MATCHED_BEFORE: u8 = 1;
/// If the text ends in this state, a match ends with it.
const MATCHED_AT_END: u8 = 2;

/// A state between two bytes. Only meaningful to the automaton that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State(u16);

/// What one byte did to a match in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// A match ended just before this byte.
    pub(super) matched_before: bool,
    /// The state to go on from, or `None` if neither this byte nor a later one can belong to a match.
    pub(super) next: Option<State>,
}

impl Step {
    /// Nothing ended and nothing can come.
    pub(super) const DEAD: Self = Self {
        matched_before: false,
        next: None,
    };
}

/// A compiled pattern, anchored at its start; every end at which it matches is reported.
pub(super) struct Automaton {
    classes: [u8; 256],
    stride: usize,
    table: Box<[u16]>,
    flags: Box<[u8]>,
    start: State,
}

impl Automaton {
    /// Compiles `pattern` (the syntax of the `regex` crate, over bytes, ASCII classes).
    ///
    /// # Errors
    /// A sentence for the author of the pattern: its syntax is wrong, or it needs too many states.
    pub(super) fn compile(pattern: &str) -> Result<Self, String> {
        // `MatchKind::All`: ends are what matters, the longest one wins; no alternative may hide another.
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
                    .dfa_size_limit(Some(1 << 22))
                    .determinize_size_limit(Some(1 << 23)),
            )
            .build(pattern)
            .map_err(|e| format!("the pattern cannot be compiled: {e}"))?;
        let start = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|e| format!("the pattern cannot be anchored: {e}"))?;
        Flattened::of(&dfa, start)?.into_automaton()
    }

    /// The state before the first byte.
    pub(super) fn start(&self) -> State {
        self.start
    }

    /// Reads one byte.
    #[inline]
    pub(super) fn step(&self, state: State, byte: u8) -> Step {
        let class = self.classes.get(usize::from(byte)).copied().unwrap_or(0);
        let at = usize::from(state.0)
            .wrapping_mul(self.stride)
            .wrapping_add(usize::from(class));
        match self.table.get(at).copied().unwrap_or(DEAD) {
            DEAD => Step::DEAD,
            DONE => Step {
                matched_before: true,
                next: None,
            },
            next => Step {
                matched_before: self.flag(next, MATCHED_BEFORE),
                next: Some(State(next)),
            },
        }
    }

    /// Whether a match ends here if the text does.
    pub(super) fn matches_at_end(&self, state: State) -> bool {
        self.flag(state.0, MATCHED_AT_END)
    }

    /// Bytes of memory that this automaton occupies.
    pub(super) fn memory(&self) -> usize {
        size_of::<Self>()
            .saturating_add(size_of_val(&*self.table))
            .saturating_add(size_of_val(&*self.flags))
    }

    #[inline]
    fn flag(&self, state: u16, flag: u8) -> bool {
        self.flags
            .get(usize::from(state))
            .is_some_and(|flags| flags & flag != 0)
    }
}

/// The machine with one row of 256 entries per state, before equal columns are merged.
struct Flattened {
    rows: Vec<[u16; 256]>,
    flags: Vec<u8>,
    start: u16,
}

impl Flattened {
    fn of(dfa: &dense::DFA<Vec<u32>>, start: StateID) -> Result<Self, String> {
        let mut flat = Self {
            rows: vec![[DEAD; 256]; 2],
            flags: vec![0, MATCHED_BEFORE],
            start: DEAD,
        };
        let mut numbers: HashMap<StateID, u16> = HashMap::new();
        let mut queue = Vec::new();
        flat.start = flat.number(dfa, start, &mut numbers, &mut queue)?;
        while let Some((id, number)) = queue.pop() {
            for byte in 0..=255_u8 {
                let to = flat.number(dfa, dfa.next_state(id, byte), &mut numbers, &mut queue)?;
                if let Some(entry) = flat
                    .rows
                    .get_mut(usize::from(number))
                    .and_then(|row| row.get_mut(usize::from(byte)))
                {
                    *entry = to;
                }
            }
        }
        Ok(flat)
    }

    /// The number of a state of `dfa`; a state not seen before is numbered and queued.
    fn number(
        &mut self,
        dfa: &dense::DFA<Vec<u32>>,
        id: StateID,
        numbers: &mut HashMap<StateID, u16>,
        queue: &mut Vec<(StateID, u16)>,
    ) -> Result<u16, String> {
        if let Some(&number) = numbers.get(&id) {
            return Ok(number);
        }
        if dfa.is_quit_state(id) {
            return Err("the pattern uses a construct that only works on Unicode text".to_owned());
        }
        let matched_before = dfa.is_match_state(id);
        let at_end = dfa.is_match_state(dfa.next_eoi_state(id));
        // Matches show one byte late (that is how `\b` can look ahead). A state from which nothing
        // leads on means that the byte just read was only looked at: it must not be swallowed.
        let leads_on = at_end || (0..=255_u8).any(|b| !dfa.is_dead_state(dfa.next_state(id, b)));
        let number = if leads_on {
            let number = u16::try_from(self.rows.len())
                .ok()
                .filter(|&n| usize::from(n) < MAX_STATES)
                .ok_or_else(|| {
                    format!("the pattern needs more than {MAX_STATES} states; make its repetitions smaller")
                })?;
            self.rows.push([DEAD; 256]);
            let mut flags = 0;
            if matched_before {
                flags |= MATCHED_BEFORE;
            }
            if at_end {
                flags |= MATCHED_AT_END;
            }
            self.flags.push(flags);
            queue.push((id, number));
            number
        } else if matched_before {
            DONE
        } else {
            DEAD
        };
        numbers.insert(id, number);
        Ok(number)
    }

    fn into_automaton(self) -> Result<Automaton, String> {
        let start = self.flags.get(usize::from(self.start));
        if self.start == DEAD || self.start == DONE || start.is_some_and(|&f| f != 0) {
            return Err("the pattern matches nothing or the empty text".to_owned());
        }
        let mut classes = [0_u8; 256];
        let mut columns: HashMap<Vec<u16>, u8> = HashMap::new();
        let mut representatives = Vec::new();
        for byte in 0..=255_u8 {
            let column: Vec<u16> = self
                .rows
                .iter()
                .map(|row| row.get(usize::from(byte)).copied().unwrap_or(DEAD))
                .collect();
            let next = u8::try_from(representatives.len()).unwrap_or(u8::MAX);
            let class = *columns.entry(column).or_insert_with(|| {
                representatives.push(byte);
                next
            });
            if let Some(entry) = classes.get_mut(usize::from(byte)) {
                *entry = class;
            }
        }
        let table = self
            .rows
            .iter()
            .flat_map(|row| {
                representatives
                    .iter()
                    .map(|&b| row.get(usize::from(b)).copied().unwrap_or(DEAD))
            })
            .collect();
        Ok(Automaton {
            classes,
            stride: representatives.len(),
            table,
            flags: self.flags.into_boxed_slice(),
            start: State(self.start),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Every end at which `pattern` matches a prefix of `text`, and where it gave up (if it did).
    fn run(pattern: &str, text: &str) -> (Vec<usize>, Option<usize>) {
        let automaton = Automaton::compile(pattern).unwrap();
        let mut state = automaton.start();
        let mut ends = Vec::new();
        for (i, b) in text.bytes().enumerate() {
            let step = automaton.step(state, b);
            if step.matched_before {
                ends.push(i);
            }
            match step.next {
                Some(next) => state = next,
                None => return (ends, Some(i)),
            }
        }
        if automaton.matches_at_end(state) {
            ends.push(text.len());
        }
        (ends, None)
    }

    #[test]
    fn every_end_of_a_match_is_reported() {
        assert_eq!(run("a{2,}", "aaaa"), (vec![2, 3, 4], None));
        assert_eq!(run("ab?c?", "abcd"), (vec![1, 2, 3], Some(3)));
    }

    #[test]
    fn it_gives_up_at_the_first_byte_that_cannot_belong() {
        assert_eq!(run("ab{3}", "abbx"), (vec![], Some(3)));
        assert_eq!(run("ab{3}", "abbb  "), (vec![4], Some(4)));
    }

    #[test]
    fn a_word_boundary_looks_at_the_next_byte_without_taking_it() {
        assert_eq!(run(r"a{3}\b", "aaa-"), (vec![3], Some(3)));
        assert_eq!(run(r"a{3}\b", "aaab"), (vec![], Some(3)));
        assert_eq!(run(r"a{3}\b", "aaa"), (vec![3], None));
    }

    #[test]
    fn bytes_that_are_not_text_are_bytes_like_others() {
        let automaton = Automaton::compile("a[^b]+b").unwrap();
        let mut state = automaton.start();
        for b in [b'a', 0xff, 0x00, b'b'] {
            state = automaton.step(state, b).next.unwrap();
        }
        assert!(automaton.matches_at_end(state));
    }

    #[test]
    fn patterns_that_cannot_run_are_refused_with_a_reason() {
        assert!(Automaton::compile("a(").is_err());
        assert!(Automaton::compile("").is_err());
        assert!(Automaton::compile("[ab]*a[ab]{14}").is_err());
    }
}
