//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderValue, Request, Response, Version, header};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::socket::Socket;
use super::tls::Tls;
use crate::http::connections::{Certificate, Peer, Place, UnderWay};

/// The service that answers requests.
pub(super) type Answers = TowerToHyperService<Router>;

/// Most bytes of a request's headers, and most that are read ahead of a body. A token and a path
/// fit many times; strangers have a quarter of all connections, so this bounds the memory that they
/// take.
const READ_BYTES: usize = 32 * 1024;

/// Most bytes of all headers of one request in HTTP/2.
const HEADER_LIST_BYTES: u32 = 32 * 1024;

/// Requests at once on one connection of HTTP/2. A worker of Envoy has fewer, and opens another
/// connection for more; so does every proxy. Each can hold headers and a part of an answer.
const STREAMS: u32 = 16;

/// Most bytes of an answer that are handed to a connection at a time. The rest stays where it can
/// be shared, and it is seen when the peer does not ask for it.
const PART: usize = 16 * 1024;

/// Pings of HTTP/2, by which a peer that has vanished is found out while its requests wait.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// Serves one connection until it ends, its peer has been waited for for too long, or `stop` is
/// cancelled and all requests under way are answered.
pub(super) async fn serve(
    stream: TcpStream,
    place: Place,
    tls: Option<Arc<Tls>>,
    router: Answers,
    stop: CancellationToken,
) {
    let peer = Arc::clone(place.peer());
    let source = stream.peer_addr().ok();
    let socket = Socket::new(stream, Arc::clone(&peer));
    let speaking = async {
        match tls {
            None => speak(socket, &peer, router, &stop).await,
            Some(tls) => match secured(&tls, socket, &peer).await {
                Ok(secured) => speak(secured, &peer, router, &stop).await,
                Err(error) => {
                    place.handshake_failed();
                    tracing::debug!(%error, "a TLS handshake failed");
                    tls.tell_refusal(&error, source);
                }
            },
        }
    };
    tokio::select! {
        () = speaking => {}
        () = peer.closed() => {}
    }
    drop(place);
}

/// The handshake. It has as much time as the first request
/// ([`Patience::head`](crate::http::connections::Patience)).
async fn secured(tls: &Tls, socket: Socket, peer: &Peer) -> io::Result<TlsStream<Socket>> {
    let stream = tls.acceptor().accept(socket).await?;
    let (_, session) = stream.get_ref();
    // A certificate that is not good has ended the handshake.
    let shown = session.peer_certificates().is_some();
    peer.show_certificate(match (tls.asks_for_certificates(), shown) {
        (false, _) => Certificate::NotAsked,
        (true, false) => Certificate::Missing,
        (true, true) => Certificate::Good,
    });
    Ok(stream)
}

async fn speak<S>(stream: S, peer: &Arc<Peer>, router: Answers, stop: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // `Peer` knows when headers are late; hyper's own timer cannot tell that from waiting for
        // the next request.
        .header_read_timeout(None)
        .max_buf_size(READ_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG)
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(2 * PART)
        .max_header_list_size(HEADER_LIST_BYTES);
    let answering = Answering {
        router,
        peer: Arc::clone(peer),
    };
    let connection = builder.serve_connection(TokioIo::new(stream), answering);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = async { tokio::select! { () = peer.drained() => {}, () = stop.cancelled() => {} } } => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// The router, which is told whose connection a request came on.
struct Answering {
    router: Answers,
    peer: Arc<Peer>,
}

impl hyper::service::Service<Request<Incoming>> for Answering {
    type Response = Response<Counted>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let multiplexed = request.version() == Version::HTTP_2;
        let under_way = self.peer.begin(multiplexed);
        let peer = Arc::clone(&self.peer);
        request.extensions_mut().insert(Arc::clone(&self.peer));
        let router = self.router.clone();
        Box::pin(async move {
            let turn = peer.turn().await;
            let mut answer = hyper::service::Service::call(&router, request).await?;
            if !multiplexed && peer.is_draining() {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(answer.map(|body| Counted::new(body, under_way, turn)))
        })
    }
}

/// The body of an answer. The request is under way until it is taken.
struct Counted {
    body: axum::body::Body,
    /// The bytes of the body's last part that were not handed out yet.
    rest: Bytes,
    under_way: UnderWay,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Counted {
    fn new(
        body: axum::body::Body,
        under_way: UnderWay,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Self {
        if !body.is_end_stream() {
            under_way.offered();
        }
        Self {
            body,
            rest: Bytes::new(),
            under_way,
            _turn: turn,
        }
    }
}

impl Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    /// Polled when the peer takes more. In HTTP/2 that is when the window of the stream has room:
    /// the bytes that were handed out before fit into it.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        this.under_way.taken();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let part = this.rest.split_to(this.rest.len().min(PART));
        this.under_way.offered();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut all = SizeHint::new();
        if let Some(upper) = body.upper() {
            all.set_upper(upper.saturating_add(rest));
        }
        all.set_lower(body.lower().saturating_add(rest));
        all
    }
}
