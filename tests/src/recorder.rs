//! Stands between Envoy and the control plane and keeps each exchange of theirs, byte for byte.
//!
//! A recording is what two versions that are never built together can be tested with: the filter of
//! one day and the control plane of another. `tests/recorded/README.md` says how one is made.
//!
//! The node token travels in a header. Headers are not kept, so a recording holds no credential.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::{Call, Client};

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The path that was asked for.
    pub path: String,
    /// The body of the request.
    pub request: String,
    /// The status of the answer.
    pub status: u16,
    /// The body of the answer.
    pub answer: String,
}

/// Writes exchanges as a recording: for each four lines, which are the path, the request's body,
/// the status and the answer's body, and then an empty line.
///
/// # Panics
/// When a body has a line break, which JSON that is written without white space never has.
#[must_use]
pub fn written(exchanges: &[Exchange]) -> String {
    let mut text = String::new();
    for exchange in exchanges {
        let Exchange {
            path,
            request,
            status,
            answer,
        } = exchange;
        assert!(!request.contains('\n') && !answer.contains('\n'), "{path}");
        let _ = write!(text, "POST {path}\n{request}\n{status}\n{answer}\n\n");
    }
    text
}

/// What was recorded so far. An exchange has its place by when its request arrived.
#[derive(Debug, Default)]
struct Tape {
    exchanges: Vec<Option<Exchange>>,
    control_plane: Option<SocketAddr>,
}

/// A running recorder; it ends when the last one is dropped.
#[derive(Debug, Clone)]
pub struct Recorder {
    address: SocketAddr,
    tape: Arc<Mutex<Tape>>,
    _accepting: Arc<Accepting>,
}

#[derive(Debug)]
struct Accepting(JoinHandle<()>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Recorder {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let tape = Arc::new(Mutex::new(Tape::default()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&tape)));
        Self {
            address,
            tape,
            _accepting: Arc::new(Accepting(accepting)),
        }
    }

    /// Where it listens: what Envoy takes for the control plane.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands everything on to the control plane at this address.
    pub fn hand_on_to(&self, control_plane: SocketAddr) {
        self.lock().control_plane = Some(control_plane);
    }

    /// Everything that was asked and answered so far.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.lock().exchanges.iter().flatten().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tape> {
        self.tape.lock().expect("no holder panics")
    }
}

async fn accept(listener: TcpListener, tape: Arc<Mutex<Tape>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let tape = Arc::clone(&tape);
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let tape = Arc::clone(&tape);
                async move {
                    // In a task of its own: Envoy goes away before its last batch is answered.
                    let answer = tokio::spawn(exchange(request, tape)).await;
                    Ok::<_, Infallible>(answer.unwrap_or_else(|_| nobody_there()))
                }
            });
            // An error here is what Envoy did, e.g. going away.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn exchange(request: Request<Incoming>, tape: Arc<Mutex<Tape>>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return nobody_there();
    };
    let body = body.to_bytes();
    let path = head.uri.path().to_owned();
    let (place, control_plane) = {
        let mut tape = tape.lock().expect("no holder panics");
        tape.exchanges.push(None);
        (tape.exchanges.len() - 1, tape.control_plane)
    };
    let Some(control_plane) = control_plane else {
        return nobody_there();
    };
    let mut call = Call::post(&path, body.to_vec());
    for (name, value) in &head.headers {
        if !["host", "content-length", "transfer-encoding"].contains(&name.as_str()) {
            call = call.header(name.as_str(), value);
        }
    }
    let Ok(answer) = Client::http1(control_plane).send(call).await else {
        return nobody_there();
    };
    let text = answer.text();
    tape.lock().expect("no holder panics").exchanges[place] = Some(Exchange {
        path,
        request: String::from_utf8_lossy(&body).into_owned(),
        status: answer.status,
        answer: text.clone(),
    });
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = StatusCode::from_u16(answer.status).expect("a status that HTTP has");
    for (name, value) in &answer.headers {
        if !["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

/// As Envoy answers where nobody listens: 503, without the control plane's marker.
fn nobody_there() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
