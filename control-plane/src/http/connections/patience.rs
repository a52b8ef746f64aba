//! For how long the control plane waits for a peer.

use std::time::Duration;

/// For how long the control plane waits for a peer before it closes the connection.
///
/// Long polls and event streams wait as long as they are meant to. None of these bounds ends
/// them while they wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// From the first byte of a request to the end of its headers; from the connection to the first
    /// request, with the TLS handshake in it; and between two requests of one who has shown no good
    /// token.
    pub head: Duration,
    /// From the headers to the end of the body. A body of 16 MiB takes this long at 300 KB/s.
    pub body: Duration,
    /// Without one byte of an answer being taken.
    pub answer: Duration,
    /// The whole life of a connection on which no good token was shown. Probes and scrapers connect
    /// anew.
    pub stranger: Duration,
    /// Between two requests of a person or a program with a good token.
    pub idle: Duration,
    /// Between two requests of a node. Longer than the hour for which Envoy keeps an idle
    /// connection, so that it is Envoy that closes: a request could cross our close on its way, and
    /// would be lost.
    pub node_idle: Duration,
    /// For the answers under way on a connection that is to be closed.
    pub drain: Duration,
}

impl Patience {
    /// The times of `chaperone serve`.
    pub const DEFAULT: Self = Self {
        head: Duration::from_secs(10),
        body: Duration::from_secs(60),
        answer: Duration::from_secs(30),
        stranger: Duration::from_secs(60),
        idle: Duration::from_secs(120),
        node_idle: Duration::from_secs(65 * 60),
        drain: Duration::from_secs(10),
    };
}

impl Default for Patience {
    fn default() -> Self {
        Self::DEFAULT
    }
}
