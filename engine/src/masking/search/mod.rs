//! Where could a secret begin? Detectors made ready, and the one pass over a text that finds these
//! places.
//!
//! A [`DetectorSet`](set::DetectorSet) is the way in. `compile` makes rules ready: patterns become
//! [automata](automaton), anchors become targets of the [`prefilter`]. [`discovery`] finds the
//! places in a chunk, and [`cut`] those that the end of a chunk cuts.
//!
//! # Words
//!
//! The parts of a rule (anchor, lead, left, context, tail, must) are drawn at the head of
//! [`detectors::rule`](crate::masking::detectors::rule).
//!
//! | word | is |
//! |---|---|
//! | start | a place of a text, and a rule whose secret begins there if there is one. Whether there is one is decided elsewhere (`text`) |
//! | look | what stands before a place, as far as `^` and `\b` at the beginning of a pattern ask for it: one of five kinds. It chooses the first state of an automaton |
//! | behind | the last six bytes before a place: what [`Left`](crate::masking::detectors::rule::Left) asks about |
//! | break | a place at which a word may begin whatever stands before, since an escape was read through there |
//! | head | one anchor of one rule, with the bytes before it in the match and the next ones after it |
//! | target | the bytes that the prefilter looks for: an anchor and what follows it. Heads that agree in them share one |
//! | run | in the prefilter three bytes in a row of a target; in a rule the bytes of one class before its anchor ([`Lead::Run`](crate::masking::detectors::rule::Lead::Run)) |
//! | clue | a run, and the place in a target at which it stands |
//! | cut | begun and not ended when a chunk ends. A head that is cut is carried on, and refuted or completed by the next chunk |
//! | carried, trail | all that discovery knows at the end of a chunk and needs in the next one; `trail` is the variable that has it |
//! | checkpoint | a place at every 128 bytes of a chunk. Contexts that come by in the same state become one there |

pub(in crate::masking) mod automaton;
pub(in crate::masking) mod bytes;
pub(in crate::masking) mod compile;
pub(in crate::masking) mod cut;
pub(in crate::masking) mod discovery;
pub(in crate::masking) mod prefilter;
pub(in crate::masking) mod set;
