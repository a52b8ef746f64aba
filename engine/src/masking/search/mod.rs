//! Where could a secret begin? Detectors made ready, and the one pass over a text that finds these
//! places.
//!
//! A [`DetectorSet`](set::DetectorSet) is the way in. `compile` makes rules ready: patterns become
//! [automata](automaton), anchors become targets of the [`prefilter`]. [`discovery`] finds the
//! places in a chunk, and [`cut`] those that the end of a chunk cuts.

pub(in crate::masking) mod automaton;
pub(in crate::masking) mod bytes;
pub(in crate::masking) mod compile;
pub(in crate::masking) mod cut;
pub(in crate::masking) mod discovery;
pub(in crate::masking) mod prefilter;
pub(in crate::masking) mod set;
