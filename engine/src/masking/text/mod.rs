//! One decoded text: which of the places where a secret could begin are secrets, and where they
//! stand in the raw bytes.
//!
//! A [`Tap`](tap::Tap) is the way in. It reads through further encodings (`fold`, `references`,
//! `meaning`), asks a [`Channel`](channel::Channel) which ranges are secrets, and makes edits of
//! the raw bytes of them. A channel decides one place after the other (`open`), runs one
//! [`Attempt`](attempt::Attempt) for each rule there, and keeps what was learned on the way
//! (`known`, and `tails` of what must follow a secret), so that no text is read over and over.
//!
//! `runaway` follows a secret that is longer than a text holds. `piece` says where a text stands in
//! the raw bytes, `escaping` how a replacement is written there, and `reading` where attempts are
//! compared.

pub(in crate::masking) mod attempt;
pub(in crate::masking) mod channel;
pub(in crate::masking) mod escaping;
pub(in crate::masking) mod fold;
pub(in crate::masking) mod known;
mod meaning;
mod open;
pub(in crate::masking) mod piece;
pub(in crate::masking) mod reading;
mod references;
mod runaway;
mod tails;
pub(in crate::masking) mod tap;
