//! How much one callback may make of its bytes, and how much work it may do.
//!
//! Envoy counts what it takes from a connection and slows the sender down; what a callback makes of
//! it is counted when the callback has returned, which is too late. So whatever makes much of
//! little asks here first, and what there is no room for stays as it came:
//! [`Pipe::has_rest`](super::pipe::Pipe::has_rest).
//!
//! A text can be so dense in what may be a secret that it is read a thousand times slower than
//! others. All streams of a worker wait while one is read. So the work of a callback is bounded,
//! too.

use crate::node::Work;

/// Bytes that are asked for at once.
const STEP: usize = 256 * 1024;
/// So many times what came may always be made of it: JSON and text become three to ten times as
/// long, and are never held up.
pub(super) const FREE_TIMES: usize = 8;
/// As much more may be made of a body, however short. Counted once for a body and not for each
/// callback: a sender could cut its body into as many frames as it likes.
pub(super) const FREE: usize = 256 * 1024;

/// Whether the worker has so many bytes more for a callback that has taken so many.
pub(super) type More<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// The room of one callback.
pub(super) struct Room<'a> {
    free: usize,
    taken: usize,
    more: Option<&'a mut More<'a>>,
    work: Work<'a>,
    leaves: Leaves,
}

/// How much may be left because it is too much work. What is more is worked on at once, however
/// long that takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaves {
    /// Whatever there is.
    Any,
    /// So many bytes as they came.
    Most(usize),
    /// The body has ended: as much as becomes so many bytes.
    Becoming(usize),
}

impl<'a> Room<'a> {
    /// What is free, and beyond that what the worker has.
    pub(super) fn of(more: &'a mut More<'a>, work: Work<'a>) -> Self {
        Self {
            free: 0,
            taken: 0,
            more: Some(more),
            work,
            leaves: Leaves::Any,
        }
    }

    /// Bounds what may be left.
    pub(super) const fn leave(&mut self, leaves: Leaves) {
        self.leaves = leaves;
    }

    /// Whether the callback has done its work: no more may be done, and what is left of the bytes
    /// may be left. `rest`: how many there are; `becomes`: how many will have been made of these
    /// and all others.
    pub(super) fn is_done(&mut self, rest: usize, becomes: usize) -> bool {
        if !self.work.is_over() {
            return false;
        }
        let may_stay = match self.leaves {
            Leaves::Any => true,
            Leaves::Most(most) => rest <= most,
            Leaves::Becoming(most) => becomes <= most,
        };
        if !may_stay {
            self.work.more();
        }
        may_stay
    }

    /// As much as there is, as far as the work goes.
    pub(super) fn worked(work: Work<'a>) -> Self {
        Self {
            free: usize::MAX,
            taken: 0,
            more: None,
            work,
            leaves: Leaves::Any,
        }
    }

    /// So many bytes and not one more.
    pub(super) const fn make_no_more_than(&mut self, bytes: usize) {
        self.free = bytes;
        self.more = None;
    }

    /// The work that may still be done.
    pub(super) const fn work(&mut self) -> &mut Work<'a> {
        &mut self.work
    }

    /// So many bytes came of a body that has `credit` left.
    pub(super) fn came(&mut self, bytes: usize, credit: usize) {
        if self.more.is_some() {
            self.free = bytes.saturating_mul(FREE_TIMES).saturating_add(credit);
        }
    }

    /// The credit that the body has left when so many bytes were made.
    pub(super) fn credit(&self, made: usize) -> usize {
        let room = self.free.saturating_add(self.taken);
        room.saturating_sub(made).min(FREE)
    }

    /// Whether more may be made, when so many bytes have been.
    pub(super) fn has(&mut self, made: usize) -> bool {
        while made >= self.free.saturating_add(self.taken) {
            let Some(more) = &mut self.more else {
                return false;
            };
            if !more(STEP, self.taken) {
                return false;
            }
            self.taken = self.taken.saturating_add(STEP);
        }
        true
    }
}
