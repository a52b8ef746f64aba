//! The listener: takes connections and has them answered.
//!
//! `axum::serve` does neither bound the number of connections nor the time that a peer takes, and
//! on a failed accept it waits a second. So the loop stands here, over hyper-util's connection,
//! which speaks both HTTP/1 and HTTP/2. The rules for connections stand in
//! [`http::connections`](crate::http::connections).
//!
//! # Promises
//! - No error of accepting ends the listener or makes it spin.
//! - Nothing that a peer does or leaves undone keeps another from being answered.

mod connection;
mod descriptors;
mod seldom;
mod socket;
mod tls;

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use self::descriptors::descriptors;
use self::seldom::Seldom;
pub use self::tls::{ClientCertificates, TlsConfig};
pub(super) use self::tls::{Tls, TlsError};
use crate::http::connections::Places;

/// How often connections are looked at for peers that have been waited for for too long.
const SWEEP: Duration = Duration::from_millis(500);

/// How often they are looked at, once the control plane stops, for those that need not be waited
/// for.
const DISMISS: Duration = Duration::from_millis(100);

/// Pause after an accept that failed for lack of something.
const PAUSE: Duration = Duration::from_millis(50);

/// Everything that connections are made with.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    pub(super) places: Arc<Places>,
    pub(super) router: Router,
    /// Plain HTTP without.
    pub(super) tls: Option<Arc<Tls>>,
    /// Nothing new is taken once this is cancelled, and requests under way are answered.
    pub(super) stop: CancellationToken,
}

impl Listener {
    /// Runs until it is stopped and the last connection has ended.
    pub(super) async fn run(self) {
        let Self {
            socket,
            places,
            router,
            tls,
            stop,
        } = self;
        let following = tls.clone().map(|tls| tokio::spawn(tls.follow()));
        let router = TowerToHyperService::new(router);
        let connections = TaskTracker::new();
        let mut trouble = Seldom::default();
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = sweep.tick() => places.sweep(),
                accepted = accept(&socket) => match accepted {
                    Ok((stream, address)) => {
                        let place = places.enter(address.ip());
                        let (router, tls) = (router.clone(), tls.clone());
                        let serving = connection::serve(stream, place, tls, router, stop.clone());
                        connections.spawn(serving);
                    }
                    Err(error) => {
                        places.make_room();
                        if let Some(failed_before) = trouble.due() {
                            tracing::error!(
                                %error,
                                failed_before,
                                "a connection could not be taken; others have to go. Raise the limit of open files, or lower --max-connections"
                            );
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        drop(socket);
        if let Some(following) = following {
            following.abort();
        }
        connections.close();
        let stopped = Instant::now();
        let mut dismiss = tokio::time::interval(DISMISS);
        loop {
            tokio::select! {
                () = connections.wait() => break,
                _ = dismiss.tick() => places.dismiss(stopped),
                _ = sweep.tick() => places.sweep(),
            }
        }
    }
}

/// The next connection.
///
/// # Errors
/// Those of the process (descriptors or memory have run out), never those of one connection.
async fn accept(socket: &TcpListener) -> io::Result<(TcpStream, std::net::SocketAddr)> {
    loop {
        match socket.accept().await {
            Err(error) if is_of_one_connection(&error) => {}
            accepted => return accepted,
        }
    }
}

/// Whether the peer has gone before it was taken, so that the next one can be taken at once.
/// accept(2) passes on errors of the network, too.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn errors_of_a_connection_are_told_from_those_of_the_process() {
        let of_one = |errno: Errno| is_of_one_connection(&errno.into());
        for errno in [
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::INTR,
            Errno::HOSTUNREACH,
        ] {
            assert!(of_one(errno), "{errno}");
        }
        for errno in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOBUFS,
            Errno::NOMEM,
            Errno::BADF,
        ] {
            assert!(!of_one(errno), "{errno}");
        }
    }
}
