//! From the machine that `regex-automata` builds to the flat table that runs.

use super::{Automaton, DEAD, Look, MAX_STATES};
use regex_automata::{
    Anchored,
    dfa::{Automaton as _, dense},
    util::{primitives::StateID, start},
};
use std::collections::HashMap;

/// The machine with one row of 256 entries per state, before equal columns are merged.
pub(super) struct Flattened {
    rows: Vec<[u16; 256]>,
    at_end: Vec<bool>,
    matched: Vec<bool>,
    starts: [u16; 5],
}

/// In [`Flattened`]: a match ended before the byte just read, and none can come any more.
const DONE: u16 = 1;

impl Flattened {
    pub(super) fn of(dfa: &dense::DFA<Vec<u32>>) -> Result<Self, String> {
        let mut flat = Self {
            rows: vec![[DEAD; 256]; 2],
            at_end: vec![false, false],
            matched: vec![false, true],
            starts: [DEAD; 5],
        };
        let mut numbers: HashMap<StateID, u16> = HashMap::new();
        let mut queue = Vec::new();
        for (i, (_, look)) in Look::ALL.into_iter().enumerate() {
            let start = dfa
                .start_state(
                    &start::Config::new()
                        .anchored(Anchored::Yes)
                        .look_behind(look),
                )
                .map_err(|e| format!("the pattern cannot be anchored: {e}"))?;
            let number = flat.number(dfa, start, &mut numbers, &mut queue)?;
            if let Some(entry) = flat.starts.get_mut(i) {
                *entry = number;
            }
        }
        while let Some((id, number)) = queue.pop() {
            // Neighbouring bytes mostly lead to the same state.
            let mut last = None;
            for byte in 0..=255_u8 {
                let next = dfa.next_state(id, byte);
                let to = match last {
                    Some((same, to)) if same == next => to,
                    _ => flat.number(dfa, next, &mut numbers, &mut queue)?,
                };
                last = Some((next, to));
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
            self.matched.push(matched_before);
            self.at_end.push(at_end);
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

    pub(super) fn into_automaton(self) -> Result<Automaton, String> {
        if self
            .starts
            .iter()
            .all(|&start| start == DEAD || start == DONE)
        {
            return Err("the pattern matches nothing".to_owned());
        }
        // Numbered anew, so that one comparison tells whether a match ended: first the states that
        // say no, then `DONE`, then the others that say yes.
        let mut order: Vec<u16> = (0_u16..).take(self.rows.len()).collect();
        order.sort_by_key(|&old| {
            let matched = self.matched.get(usize::from(old)).copied().unwrap_or(false);
            (matched, old)
        });
        let mut renumbered = vec![DEAD; self.rows.len()];
        for (new, &old) in (0_u16..).zip(&order) {
            if let Some(entry) = renumbered.get_mut(usize::from(old)) {
                *entry = new;
            }
        }
        let renumber = |old: u16| renumbered.get(usize::from(old)).copied().unwrap_or(DEAD);
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
        let mut table = Vec::with_capacity(order.len().saturating_mul(representatives.len()));
        let mut at_end = vec![0_u64; order.len().div_ceil(64)];
        for (new, &old) in (0_u16..).zip(&order) {
            let row = self.rows.get(usize::from(old));
            table.extend(representatives.iter().map(|&b| {
                renumber(
                    row.and_then(|row| row.get(usize::from(b)))
                        .copied()
                        .unwrap_or(DEAD),
                )
            }));
            if self.at_end.get(usize::from(old)).copied().unwrap_or(false)
                && let Some(word) = at_end.get_mut(usize::from(new >> 6))
            {
                *word |= 1_u64.wrapping_shl(u32::from(new));
            }
        }
        Ok(Automaton {
            classes,
            stride: representatives.len(),
            table: table.into_boxed_slice(),
            matched: renumber(DONE),
            at_end: at_end.into_boxed_slice(),
            starts: self.starts.map(|start| match start {
                DONE => DEAD,
                start => renumber(start),
            }),
        })
    }
}
