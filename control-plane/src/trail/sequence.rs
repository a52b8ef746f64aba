//! Which of a node's numbers are stored, and which are missing?
//!
//! A node sends its events in order, one batch at a time, and forgets them only when they are
//! acknowledged. So a batch that begins beyond the next expected number means that the numbers in
//! between will never come: they were acknowledged to a database that has been lost since. Holding
//! back the acknowledgement until they arrive would stall the node for good, and with it, under
//! `on_audit_full: block`, all its traffic. They are recorded as a *gap* instead, which stays
//! visible with the node, and the batch is taken.
//!
//! # Promises
//! - A number is taken as new at most once.
//! - Every number up to [`Sequence::acknowledged`] was either taken or is in a gap.

/// Numbers `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The numbers of one life of one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    acknowledged: u64,
    /// Ascending, apart from each other.
    gaps: Vec<Range>,
}

impl Sequence {
    /// As it was stored.
    pub(crate) fn new(acknowledged: u64, gaps: Vec<Range>) -> Self {
        Self { acknowledged, gaps }
    }

    /// Everything up to here is stored or known to be missing.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// What is missing.
    pub(crate) fn gaps(&self) -> &[Range] {
        &self.gaps
    }

    /// How many numbers are missing.
    pub(crate) fn missing(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.last - gap.first + 1).sum()
    }

    /// Takes one number; `false` when it was taken before.
    pub(crate) fn take(&mut self, seq: u64) -> bool {
        if seq > self.acknowledged {
            let expected = self.acknowledged.saturating_add(1);
            if seq > expected {
                self.gaps.push(Range {
                    first: expected,
                    last: seq - 1,
                });
            }
            self.acknowledged = seq;
            return true;
        }
        let Some(at) = self
            .gaps
            .iter()
            .position(|gap| gap.first <= seq && seq <= gap.last)
        else {
            return false;
        };
        let gap = self.gaps.remove(at);
        let rest = [
            Range {
                first: gap.first,
                last: seq.saturating_sub(1),
            },
            Range {
                first: seq.saturating_add(1),
                last: gap.last,
            },
        ];
        let rest = rest.into_iter().filter(|range| range.first <= range.last);
        self.gaps.splice(at..at, rest);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_lost_before_a_batch_is_a_gap_and_does_not_stall_the_node() {
        let mut sequence = Sequence::default();
        assert!(sequence.take(8));
        assert_eq!(sequence.acknowledged(), 8);
        assert_eq!(sequence.gaps(), [Range { first: 1, last: 7 }]);
    }

    #[test]
    fn a_batch_sent_twice_is_taken_once() {
        let mut sequence = Sequence::default();
        assert!((1..=5).all(|seq| sequence.take(seq)));
        assert!(!(1..=5).any(|seq| sequence.take(seq)));
        assert_eq!(sequence, Sequence::new(5, vec![]));
    }

    proptest! {
        #[test]
        fn whatever_arrives_in_whatever_order_every_number_is_taken_once_or_missing(
            numbers in prop::collection::vec(1u64..60, 0..80)
        ) {
            let mut sequence = Sequence::default();
            let mut model = BTreeSet::new();
            for seq in numbers {
                prop_assert_eq!(sequence.take(seq), model.insert(seq));
            }
            let highest = model.last().copied().unwrap_or(0);
            prop_assert_eq!(sequence.acknowledged(), highest);
            let missing: Vec<u64> =
                sequence.gaps().iter().flat_map(|gap| gap.first..=gap.last).collect();
            let expected: Vec<u64> = (1..=highest).filter(|seq| !model.contains(seq)).collect();
            prop_assert_eq!(missing, expected);
        }
    }
}
