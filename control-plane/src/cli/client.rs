//! Talking to the management API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chaperone_api::{PREFIX, Problem};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::output::clean;
use crate::dev::UserState;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For calls that answer at once; streams have none.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the control plane is and how to be let in, as flags and environment say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    /// `--server` or `CHAPERONE_SERVER`.
    pub(crate) server: Option<String>,
    /// `--token-file` or `CHAPERONE_TOKEN_FILE`.
    pub(crate) token_file: Option<PathBuf>,
    /// `CHAPERONE_TOKEN`. There is no flag: other users can read a process's arguments.
    pub(crate) token: Option<String>,
    /// `--allow-http`.
    pub(crate) allow_http: bool,
}

/// A connection to the management API.
pub(crate) struct Client {
    http: reqwest::Client,
    base: reqwest::Url,
    token: String,
}

impl Client {
    /// Resolves where to go and how.
    ///
    /// # Errors
    /// When no server or token is named, or the token would travel in the clear.
    pub(crate) fn new(target: &Target) -> Result<Self, Failure> {
        // The token of the last `chaperone dev` goes to that control plane and nowhere else.
        let current = match target.server {
            Some(_) => None,
            None => UserState::locate().ok().and_then(|state| state.current()),
        };
        let server = target
            .server
            .clone()
            .or_else(|| current.as_ref().map(|c| c.server.clone()));
        let server = server.ok_or_else(|| {
            Failure::usage("No control plane is named and no `chaperone dev` is running.")
                .next("Give --server URL or set CHAPERONE_SERVER.")
        })?;
        let token = match (&target.token_file, &target.token, &current) {
            (Some(file), _, _) => read_token(file)?,
            (None, Some(token), _) => token.trim().to_owned(),
            (None, None, Some(current)) => read_token(&current.token_file)?,
            (None, None, None) => {
                return Err(Failure::usage(format!("No token for {server} is given."))
                    .next("Give --token-file FILE, or set CHAPERONE_TOKEN_FILE or CHAPERONE_TOKEN. The first one is admin.token in the control plane's data directory."));
            }
        };
        Self::with_token(&server, token, target.allow_http)
    }

    /// For a control plane and a token that are known.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn with_token(
        server: &str,
        token: String,
        allow_http: bool,
    ) -> Result<Self, Failure> {
        let base = parse_server(server, allow_http)?;
        if !reqwest::header::HeaderValue::from_str(&token).is_ok_and(|value| !value.is_empty()) {
            return Err(
                Failure::usage("The token is empty or has characters that no token has.")
                    .next("A token file holds the token and nothing else."),
            );
        }
        Ok(Self {
            http: http_client()?,
            base,
            token,
        })
    }

    /// GET with a query.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(String, String)],
    ) -> Result<T, Failure> {
        self.call(self.request(Method::GET, path, query).timeout(CALL_TIMEOUT))
            .await
    }

    /// POST with a JSON body.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body)
            .map_err(|e| Failure::failed(format!("Cannot write the request: {e}.")))?;
        let request = self
            .request(Method::POST, path, &[])
            .timeout(CALL_TIMEOUT)
            .header("content-type", "application/json")
            .body(body);
        self.call(request).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(
            self.request(Method::DELETE, path, &[])
                .timeout(CALL_TIMEOUT),
        )
        .await
        .map(|_| ())
    }

    /// Opens a stream of server-sent events.
    pub(crate) async fn stream(
        &self,
        path: &str,
        query: &[(String, String)],
    ) -> Result<EventStream, Failure> {
        let request = self
            .request(Method::GET, path, query)
            .header("accept", "text/event-stream");
        Ok(EventStream {
            response: self.send(request).await?,
            parser: SseParser::default(),
        })
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(String, String)],
    ) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{PREFIX}{path}",
            self.base.path().trim_end_matches('/')
        ));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.request(method, url).bearer_auth(&self.token)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, Failure> {
        let response = self.send(request).await?;
        let body = response.bytes().await.map_err(|e| self.unreachable(&e))?;
        serde_json::from_slice(&body).map_err(|e| {
            Failure::failed(format!(
                "{} answered with something else than expected: {e}.",
                self.base
            ))
            .next("Are this command line and the control plane of the same version?")
        })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Failure> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.bytes().await.unwrap_or_default();
        Err(refusal(status, &body))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        // reqwest's own text stops at "error sending request"; the cause is in the chain.
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Failure::unreachable(format!("The control plane at {} does not answer: {cause}.", self.base))
            .next("Is `chaperone serve` or `chaperone dev` running there? --server and CHAPERONE_SERVER say where to look.")
    }
}

/// Percent-encodes one path segment: an id from the command line stays one segment.
pub(crate) fn segment(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

/// What the control plane said no with.
fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    let problem: Option<Problem> = serde_json::from_slice(body).ok();
    let Some(problem) = problem else {
        return Failure::failed(format!(
            "The server answered {status} in no form that Chaperone uses."
        ))
        .next("Is --server the control plane, and nothing between that answers for it?");
    };
    let mut message = clean(&problem.detail).into_owned();
    for error in &problem.errors {
        message.push_str(&format!(
            "\n  {}: {}",
            clean(&error.place),
            clean(&error.message)
        ));
    }
    for node in &problem.nodes {
        message.push_str(&format!(
            "\n  {} ({}): reads revision {}",
            clean(&node.name),
            clean(&node.boot),
            node.reads
        ));
    }
    let failure = Failure::failed(message);
    match status {
        StatusCode::UNAUTHORIZED => failure
            .next("Give a token of this control plane with --token-file or CHAPERONE_TOKEN_FILE."),
        StatusCode::FORBIDDEN => {
            failure.next("`chaperone token list` shows which token may do what.")
        }
        _ => failure,
    }
}

fn read_token(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map(|text| text.trim().to_owned())
        .map_err(|e| {
            Failure::usage(format!(
                "Cannot read the token from {}: {e}.",
                file.display()
            ))
        })
}

fn parse_server(server: &str, allow_http: bool) -> Result<reqwest::Url, Failure> {
    let url: reqwest::Url = server.parse().map_err(|e| {
        Failure::usage(format!("{server} is not a URL: {e}.")).next(
            "A control plane is named like https://chaperone.example.com or http://127.0.0.1:7070.",
        )
    })?;
    let loopback = match url.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback || allow_http => Ok(url),
        "http" => Err(Failure::usage(format!(
            "{server} is plain HTTP to another machine: everybody on the way could read the token."
        ))
        .next("Use https, or --allow-http where the network itself is encrypted.")),
        _ => Err(Failure::usage(format!(
            "{server} must begin with https:// or http://."
        ))),
    }
}

/// An HTTP client with TLS by ring, which the whole program uses.
pub(crate) fn http_client() -> Result<reqwest::Client, Failure> {
    // The first one wins; a second call finds the same provider in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("chaperone/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| Failure::failed(format!("Cannot set up TLS: {e}.")))
}

// === server-sent events ===

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// Its kind; `message` when the server names none.
    pub(crate) kind: String,
    /// Its data.
    pub(crate) data: String,
}

/// Whether the server says that we read too slowly; tells the person on standard error.
pub(crate) fn missed(event: &ServerEvent) -> bool {
    if event.kind != "missed" {
        return false;
    }
    let warning = format!(
        "warning: read too slowly, missed {} updates\n",
        clean(&event.data)
    );
    // If standard error is gone there is nobody to tell.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), warning.as_bytes());
    true
}

/// An open stream of events.
pub(crate) struct EventStream {
    response: reqwest::Response,
    parser: SseParser,
}

impl EventStream {
    /// The next event; nothing when the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerEvent>, Failure> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.parser.push(&bytes),
                Ok(None) => return Ok(None),
                Err(e) => {
                    return Err(Failure::unreachable(format!("The stream broke off: {e}.")));
                }
            }
        }
    }
}

/// Reads `text/event-stream` (WHATWG HTML §9.2), as far as our server writes it.
#[derive(Debug, Default)]
struct SseParser {
    bytes: Vec<u8>,
}

impl SseParser {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<ServerEvent> {
        loop {
            let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.bytes.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block);
            let mut event = ServerEvent {
                kind: "message".to_owned(),
                data: String::new(),
            };
            let mut data = Vec::new();
            for line in block.lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => event.kind = value.to_owned(),
                    "data" => data.push(value),
                    _ => {}
                }
            }
            // A comment alone keeps the connection alive and is no event.
            if !data.is_empty() {
                event.data = data.join("\n");
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_travel_in_the_clear_unless_told_so() {
        for server in [
            "http://127.0.0.1:7070",
            "http://localhost:1",
            "http://[::1]:2",
            "https://x.example",
        ] {
            assert!(parse_server(server, false).is_ok(), "{server}");
        }
        for server in [
            "http://10.0.0.1:7070",
            "http://127.0.0.1.example.com",
            "ftp://x",
            "x",
        ] {
            assert!(parse_server(server, false).is_err(), "{server}");
        }
        assert!(parse_server("http://10.0.0.1:7070", true).is_ok());
    }

    #[test]
    fn an_id_stays_one_path_segment() {
        assert_eq!(segment("ap_1-a~"), "ap_1-a~");
        assert_eq!(segment("../policies"), "%2E%2E%2Fpolicies");
    }

    #[test]
    fn events_are_read_however_the_bytes_are_cut() {
        let text = ": hello\n\nevent: approval\ndata: {\"a\":1}\n\ndata: x\ndata: ü\n\n";
        for size in 1..text.len() {
            let mut parser = SseParser::default();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.push(chunk);
                while let Some(event) = parser.next() {
                    events.push((event.kind, event.data));
                }
            }
            let expected = [("approval", "{\"a\":1}"), ("message", "x\nü")];
            assert_eq!(
                events,
                expected.map(|(k, d)| (k.to_owned(), d.to_owned())),
                "{size}"
            );
        }
    }

    #[test]
    fn a_refusal_says_what_the_control_plane_said() {
        let body = r#"{"type":"urn:x","title":"t","status":422,"detail":"The policy has 1 error.","code":"invalid_policy","errors":[{"place":"rules[0]","message":"no effect"}]}"#;
        let failure = refusal(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes());
        assert_eq!(
            failure.to_string(),
            "The policy has 1 error.\n  rules[0]: no effect"
        );
        let failure = refusal(StatusCode::BAD_GATEWAY, b"<html>");
        assert!(failure.to_string().contains("502"), "{failure}");
    }
}
