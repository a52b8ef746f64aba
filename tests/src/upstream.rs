//! A server that answers as scripted and remembers everything that reached it.
//!
//! It speaks HTTP/1.1 and HTTP/2 (prior knowledge) on the same port.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::script::{Aborted, Gate, Script};
use crate::wait;

/// One request as the upstream saw it, up to now: a body that is still arriving grows.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As sent.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The host that was asked for, from `Host` or `:authority`.
    pub host: String,
    /// The version of the protocol.
    pub version: Version,
    /// All headers, in order, values as bytes.
    pub headers: HeaderMap,
    /// The body as far as it has arrived.
    pub body: Vec<u8>,
    /// What followed the body.
    pub trailers: HeaderMap,
    /// How the body ended, `None` while it has not.
    pub end: Option<End>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Complete,
    /// The connection or stream broke off.
    Aborted,
}

impl Seen {
    /// All values of a header, readable ones only.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect()
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Every byte of it in one place, to search for what must not be in there.
    #[must_use]
    pub fn everything(&self) -> Vec<u8> {
        let mut all = format!("{} {}\n{}\n", self.method, self.target, self.host).into_bytes();
        for (name, value) in self.headers.iter().chain(&self.trailers) {
            all.extend_from_slice(name.as_str().as_bytes());
            all.extend_from_slice(b": ");
            all.extend_from_slice(value.as_bytes());
            all.push(b'\n');
        }
        all.extend_from_slice(&self.body);
        all
    }
}

/// What the upstream answers.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Script,
    before: Option<Gate>,
    is_early: bool,
}

impl Reply {
    /// An empty answer.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Script::new(),
            before: None,
            is_early: false,
        }
    }

    /// 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<Script>) -> Self {
        Self::status(200).body(body)
    }

    /// 200 with JSON.
    #[must_use]
    pub fn json(value: &serde_json::Value) -> Self {
        Self::ok(value).header("content-type", "application/json")
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Script>) -> Self {
        self.body = body.into();
        self
    }

    /// With a header, beside those of the same name.
    ///
    /// # Panics
    /// When it is no header; a value may be any bytes that HTTP allows.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(
            hyper::header::HeaderName::from_bytes(name.as_bytes()).expect("a header name"),
            hyper::header::HeaderValue::from_bytes(value.as_ref()).expect("a header value"),
        );
        self
    }

    /// Not before the gate is open.
    #[must_use]
    pub fn after(mut self, gate: &Gate) -> Self {
        self.before = Some(gate.clone());
        self
    }

    /// Without reading the request's body first; it is read meanwhile.
    #[must_use]
    pub fn early(mut self) -> Self {
        self.is_early = true;
        self
    }
}

type Answering = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    answering: Option<Answering>,
}

/// A running upstream; it ends when it is dropped.
pub struct Upstream {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl Upstream {
    /// Starts one on a free port. It answers everything with 200 and `hello from upstream`.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts one at this address, e.g. in the place of something that was stopped.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await;
        let listener = listener.unwrap_or_else(|e| panic!("{address}: {e}"));
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            accepting,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on answers as `answering` says, which sees each request with its body (unless the
    /// reply is [`early`](Reply::early): it is asked twice then, first when the headers are there).
    pub fn answer(&self, answering: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
        self.lock().answering = Some(Arc::new(answering));
    }

    /// From now on gives everything this answer.
    pub fn always(&self, reply: Reply) {
        self.answer(move |_| reply.clone());
    }

    /// Everything that reached it, in order of arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// What reached it with this path.
    #[must_use]
    pub fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen()
            .into_iter()
            .filter(|seen| seen.path() == path)
            .collect()
    }

    /// Forgets what it saw.
    pub fn forget(&self) {
        self.lock().seen.clear();
    }

    /// Waits until `count` requests with this path have arrived in full, and gives them.
    ///
    /// # Panics
    /// When they do not.
    pub async fn wait_for(&self, path: &str, count: usize) -> Vec<Seen> {
        wait::until(
            &format!("{count} requests for {path} at the upstream"),
            async || {
                let seen = self.seen_at(path);
                let complete = seen
                    .iter()
                    .filter(|seen| seen.end == Some(End::Complete))
                    .count();
                (complete >= count).then_some(seen)
            },
        )
        .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    // Dropped with this task, which ends the connections too.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service =
                hyper::service::service_fn(move |request| serve(request, Arc::clone(&state)));
            // An error here is what a client did, e.g. going away.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<BoxBody<Bytes, Aborted>>, Infallible> {
    let (head, body) = request.into_parts();
    let host = head
        .uri
        .authority()
        .map(ToString::to_string)
        .or_else(|| {
            head.headers
                .get("host")
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .unwrap_or_default();
    let seen = Seen {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or_else(|| head.uri.to_string(), ToString::to_string),
        host,
        version: head.version,
        headers: head.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
        end: None,
    };
    let index = {
        let mut state = state.lock().expect("no holder panics");
        state.seen.push(seen.clone());
        state.seen.len() - 1
    };
    let first = reply_to(&state, &seen);
    let reply = if first.is_early {
        tokio::spawn(receive(body, index, seen, Arc::clone(&state)));
        first
    } else {
        let seen = receive(body, index, seen, Arc::clone(&state)).await;
        reply_to(&state, &seen)
    };
    if let Some(gate) = &reply.before {
        gate.opened().await;
    }
    let body = match reply.body.known() {
        Some(bytes) => http_body_util::Full::new(bytes)
            .map_err(|never| match never {})
            .boxed(),
        None => reply.body.play().boxed(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).expect("a status that HTTP has");
    *response.headers_mut() = reply.headers;
    Ok(response)
}

fn reply_to(state: &Mutex<State>, seen: &Seen) -> Reply {
    // Not called while locked: an answer may look at what was seen.
    let answering = state.lock().expect("no holder panics").answering.clone();
    match answering {
        Some(answering) => answering(seen),
        None => Reply::ok("hello from upstream\n").header("content-type", "text/plain"),
    }
}

/// Reads a body, and keeps the record of the request up to date meanwhile.
async fn receive(
    mut body: Incoming,
    index: usize,
    mut seen: Seen,
    state: Arc<Mutex<State>>,
) -> Seen {
    let store = |seen: &Seen| {
        // Gone when the test made the upstream forget.
        if let Some(entry) = state.lock().expect("no holder panics").seen.get_mut(index) {
            entry.clone_from(seen);
        }
    };
    loop {
        match body.frame().await {
            None => {
                seen.end = Some(End::Complete);
                break;
            }
            Some(Err(_)) => {
                seen.end = Some(End::Aborted);
                break;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => seen.body.extend_from_slice(&data),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        seen.trailers = trailers;
                    }
                }
            },
        }
        store(&seen);
    }
    store(&seen);
    seen
}
