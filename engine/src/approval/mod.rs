//! What exactly does a human approve, and what does an approval give?
//!
//! An approval binds to a [`RequestDigest`]: SHA-256 over subject, agent, connection, method,
//! host, path, query and body. What is approved is that request and no other; the same request
//! sent again has the same digest, so identical requests share one pending question and a ticket
//! finds its answer.
//!
//! `docs/extending/approval-answer.md` says how to add an answer beside yes and no.
//!
//! | file | says |
//! |---|---|
//! | `digest` | which parts of a request an approval binds to |
//! | `question` | which states a question has, and how time changes them |
//! | `answer` | which answers of humans count |
//! | `standing` | which question a record gets, and the answer of that question |
//! | `room` | how many questions may be open |
//!
//! ```text
//! pending ──approve──► approved ──(once: spent by one record)──► spent
//!    │  └──deny──────► denied
//!    └──silence──────► expired
//! ```
//! A decision is final: from any state but `pending` a second one is a [`Conflict`].
//!
//! Nothing here stores anything. A store loads questions, asks these functions, and writes the
//! outcome in the same transaction.

mod answer;
mod digest;
mod question;
mod room;
mod standing;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Approver, Conflict, EVERY_GROUP};
pub use digest::{BodyBinding, BodyHash, BoundRequest, RequestDigest, body_sha256};
pub use question::{Approval, ApprovalState};
pub use room::PendingLimits;
pub use standing::{Binding, Change, Standing, Told, take_question};
