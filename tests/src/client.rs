//! Requests as agents send them, over HTTP/1.1 or HTTP/2 with prior knowledge.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::script::{Aborted, Script};

/// Which HTTP a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1
    One,
    /// HTTP/2 without TLS, by prior knowledge.
    Two,
}

type Body = BoxBody<Bytes, Aborted>;

/// Why there is no answer, or no whole one.
#[derive(Debug)]
pub struct Failed(pub String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    method: String,
    target: String,
    host: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Script,
}

impl Call {
    /// A request with any method; `target` is path and query.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: None,
            headers: Vec::new(),
            body: Script::new(),
        }
    }

    /// GET
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// POST with a body.
    #[must_use]
    pub fn post(target: &str, body: impl Into<Script>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// The same request for another path and query.
    #[must_use]
    pub fn to(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// For this host (`Host`, or `:authority`); the address it is sent to otherwise.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// With a token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// With a header, beside those of the same name.
    ///
    /// # Panics
    /// When it is no header; a value may be any bytes that HTTP allows.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((
            HeaderName::from_bytes(name.as_bytes()).expect("a header name"),
            HeaderValue::from_bytes(value.as_ref()).expect("a header value"),
        ));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Script>) -> Self {
        self.body = body.into();
        self
    }

    fn into_request(self, http: Http, address: SocketAddr) -> Result<Request<Body>, Failed> {
        let host = self.host.unwrap_or_else(|| address.to_string());
        let uri: Uri = match http {
            Http::One => self.target.parse(),
            Http::Two => format!("http://{host}{}", self.target).parse(),
        }
        .map_err(|error| {
            Failed(format!(
                "{}: {error}; send it with the `raw` module",
                self.target
            ))
        })?;
        let body = match self.body.known() {
            Some(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed(),
            None => self.body.play().boxed(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self
            .method
            .parse()
            .map_err(|e| Failed(format!("{}: {e}", self.method)))?;
        *request.uri_mut() = uri;
        if http == Http::One {
            let host = HeaderValue::from_str(&host).map_err(|e| Failed(format!("{host}: {e}")))?;
            request.headers_mut().insert("host", host);
        }
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

/// Sends each request on a connection of its own.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    address: SocketAddr,
    http: Http,
}

impl Client {
    /// To this address.
    #[must_use]
    pub fn new(address: SocketAddr, http: Http) -> Self {
        Self { address, http }
    }

    /// HTTP/1.1 to this address.
    #[must_use]
    pub fn http1(address: SocketAddr) -> Self {
        Self::new(address, Http::One)
    }

    /// HTTP/2 to this address.
    #[must_use]
    pub fn http2(address: SocketAddr) -> Self {
        Self::new(address, Http::Two)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no connection, or it ends before the answer does.
    pub async fn send(&self, call: Call) -> Result<Answer, Failed> {
        self.start(call).await?.rest().await
    }

    /// Sends a request and gives the answer as soon as its headers are there.
    ///
    /// # Errors
    /// When there is no connection, or it ends before the answer begins.
    pub async fn start(&self, call: Call) -> Result<Answering, Failed> {
        self.connect().await?.start(call).await
    }

    /// Opens a connection, for several requests.
    ///
    /// # Errors
    /// When there is none.
    pub async fn connect(&self) -> Result<Connection, Failed> {
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(|e| Failed(format!("{}: {e}", self.address)))?;
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(stream);
        let (sender, driving) = match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
                (
                    Sender::One(sender),
                    tokio::spawn(async move { drop(connection.await) }),
                )
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io)
                    .await
                    .map_err(failed)?;
                (
                    Sender::Two(sender),
                    tokio::spawn(async move { drop(connection.await) }),
                )
            }
        };
        Ok(Connection {
            address: self.address,
            http: self.http,
            sender,
            driving: Driving(driving),
        })
    }
}

#[derive(Debug)]
enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// The task that moves a connection's bytes; the connection closes with it.
#[derive(Debug)]
struct Driving(JoinHandle<()>);

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An open connection. Dropped, it closes, in the middle of whatever it does.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    http: Http,
    sender: Sender,
    driving: Driving,
}

impl Connection {
    /// Sends a request and reads the whole answer; the connection stays open for the next.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub async fn send(&mut self, call: Call) -> Result<Answer, Failed> {
        let start = Instant::now();
        let response = self.request(call).await?;
        Answering::new(response, start, None).rest().await
    }

    /// Sends a request and gives the answer as soon as its headers are there.
    ///
    /// # Errors
    /// When the connection ends before the answer begins.
    pub async fn start(mut self, call: Call) -> Result<Answering, Failed> {
        let start = Instant::now();
        let response = self.request(call).await?;
        Ok(Answering::new(response, start, Some(self)))
    }

    async fn request(&mut self, call: Call) -> Result<hyper::Response<Incoming>, Failed> {
        let request = call.into_request(self.http, self.address)?;
        match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await.map_err(failed)?;
                sender.send_request(request).await.map_err(failed)
            }
            Sender::Two(sender) => {
                sender.ready().await.map_err(failed)?;
                sender.send_request(request).await.map_err(failed)
            }
        }
    }

    /// Whether the other side has closed it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.driving.0.is_finished()
    }
}

/// An answer that is still arriving. Dropped, it closes its connection: the client goes away.
#[derive(Debug)]
pub struct Answering {
    /// The status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    start: Instant,
    /// From sending to the headers.
    pub until_headers: Duration,
    body: Incoming,
    chunks: Vec<(Duration, Bytes)>,
    trailers: HeaderMap,
    _connection: Option<Connection>,
}

impl Answering {
    fn new(
        response: hyper::Response<Incoming>,
        start: Instant,
        connection: Option<Connection>,
    ) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            start,
            until_headers: start.elapsed(),
            body,
            chunks: Vec::new(),
            trailers: HeaderMap::new(),
            _connection: connection,
        }
    }

    /// The next piece of the body as it arrives, `None` at its end.
    ///
    /// # Errors
    /// When it ends before its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Failed> {
        while let Some(frame) = self.body.frame().await {
            match frame.map_err(failed)?.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    self.chunks.push((self.start.elapsed(), data.clone()));
                    return Ok(Some(data));
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.trailers = trailers;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Reads until the body so far contains `text`, and gives the body so far.
    ///
    /// # Errors
    /// When the body ends without it.
    pub async fn until(&mut self, text: &str) -> Result<Vec<u8>, Failed> {
        loop {
            let so_far = joined(&self.chunks);
            if crate::files::contains(&so_far, text.as_bytes()) {
                return Ok(so_far);
            }
            if self.chunk().await?.is_none() {
                return Err(Failed(format!("the answer ended without {text:?}")));
            }
        }
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// When it ends before its end.
    pub async fn rest(mut self) -> Result<Answer, Failed> {
        while self.chunk().await?.is_some() {}
        Ok(Answer {
            status: self.status,
            headers: self.headers,
            until_headers: self.until_headers,
            took: self.start.elapsed(),
            chunks: self.chunks,
            trailers: self.trailers,
        })
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// From sending to the headers.
    pub until_headers: Duration,
    /// From sending to the end.
    pub took: Duration,
    /// The body in pieces as they arrived, each with the time since sending.
    pub chunks: Vec<(Duration, Bytes)>,
    /// What followed the body.
    pub trailers: HeaderMap,
}

impl Answer {
    /// The body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        joined(&self.chunks)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none, with the answer.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body()).unwrap_or_else(|e| {
            panic!(
                "no JSON ({e}) in the answer {}: {}",
                self.status,
                self.text()
            )
        })
    }

    /// The first value of a header, if it is readable.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The `code` of a problem document (RFC 9457), `None` when the answer is none.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        if !self
            .header("content-type")?
            .starts_with("application/problem+json")
        {
            return None;
        }
        let problem: serde_json::Value = serde_json::from_slice(&self.body()).ok()?;
        Some(problem.get("code")?.as_str()?.to_owned())
    }
}

fn joined(chunks: &[(Duration, Bytes)]) -> Vec<u8> {
    chunks
        .iter()
        .flat_map(|(_, chunk)| chunk.iter().copied())
        .collect()
}

fn failed(error: hyper::Error) -> Failed {
    use std::error::Error as _;
    match error.source() {
        Some(source) => Failed(format!("{error}: {source}")),
        None => Failed(error.to_string()),
    }
}
