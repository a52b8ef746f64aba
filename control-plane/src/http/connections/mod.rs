//! The connections of the listener: who holds each, and which has to go.
//!
//! Descriptors are few, and everybody comes to one port: nodes, people, and whoever else can reach
//! it. So that none of them can keep the others out, [`Places`] counts connections by their
//! [`Holder`](holder::Holder), and each kind of holder has a share that the other kinds cannot
//! take.
//!
//! # How a node's connection is known
//! By its proof: a connection is a stranger's until a call on it carries a token that is good.
//! Three ways were weighed. *By source*: nodes come from addresses that nobody knows beforehand. *A
//! second listener*: it keeps strangers out only where the network does, and every configuration of
//! a filter would name another port. *After authentication*: nothing to configure, and it leaves
//! one question, namely how a node that comes anew gets past a crowd of strangers. A newcomer is
//! therefore never refused. When all places are taken, a connection of the kind that is furthest
//! above its share makes room: of the holder with the most connections the oldest without a
//! request. A node sends its token with its first bytes, so it is no newcomer for long.
//!
//! # Slow peers
//! [`Patience`] bounds the time in which a request must be sent and an answer be taken. Requests
//! that wait by agreement (long polls and event streams) are exempt: nothing is owed while they
//! wait.
//!
//! | module | is about |
//! |---|---|
//! | `patience` | how long a peer is waited for |
//! | `limits` | how many connections there may be, and the shares |
//! | `holder` | who holds a connection |
//! | `peer` | one connection: its holder, its requests, its times |
//! | `places` | all connections, and who makes room |

mod holder;
mod limits;
mod patience;
mod peer;
mod places;

pub(crate) use self::limits::Limits;
pub use self::patience::Patience;
pub(crate) use self::peer::{Certificate, Peer, UnderWay};
pub(crate) use self::places::{Place, Places};
