//! Talking to the management API.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chaperone_api::{PREFIX, Problem, ProblemCode};
use chaperone_certificates::{self as certificates, Unusable};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::causes;
use super::failure::Failure;
use super::output::clean;
use super::server_events::ServerEvents;
use super::user_state::UserState;

/// Holds the token itself.
const TOKEN_VARIABLE: &str = "CHAPERONE_TOKEN";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For calls that answer at once; streams have none.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the control plane is and how to be let in.
///
/// There is no flag for the token itself: other users can read a process's arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The control plane, as https://chaperone.example.com [default: the last started
    /// `chaperone dev`]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CHAPERONE_SERVER",
        hide_env_values = true,
        help_heading = "Control plane"
    )]
    server: Option<String>,
    /// File with an API token; CHAPERONE_TOKEN may hold the token itself
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CHAPERONE_TOKEN_FILE",
        hide_env_values = true,
        help_heading = "Control plane"
    )]
    token_file: Option<PathBuf>,
    /// File with the authorities that vouch for the control plane, PEM, in place of the system's
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CHAPERONE_CA_FILE",
        hide_env_values = true,
        help_heading = "Control plane"
    )]
    ca_file: Option<PathBuf>,
    /// File with a client certificate and its chain, PEM, where the control plane asks for one
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CHAPERONE_CLIENT_CERT",
        hide_env_values = true,
        help_heading = "Control plane"
    )]
    client_cert: Option<PathBuf>,
    /// File with its private key, PEM
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "CHAPERONE_CLIENT_KEY",
        hide_env_values = true,
        help_heading = "Control plane"
    )]
    client_key: Option<PathBuf>,
    /// Send the token over plain HTTP to another machine, where the network itself is encrypted
    #[arg(long, global = true, help_heading = "Control plane")]
    allow_http: bool,
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
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, Failure> {
        // The token of the last `chaperone dev` goes to that control plane and nowhere else.
        let last_run = match args.server {
            Some(_) => None,
            None => UserState::locate().ok().and_then(|state| state.last_run()),
        };
        let server = args
            .server
            .clone()
            .or_else(|| last_run.as_ref().map(|run| run.server.clone()));
        let server = server.ok_or_else(|| {
            Failure::usage("No control plane is named and no `chaperone dev` is running.")
                .next("Give --server URL or set CHAPERONE_SERVER.")
        })?;
        let told = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
        let token = match (&args.token_file, told.trim(), &last_run) {
            (Some(file), _, _) => read_token(file)?,
            (None, "", Some(run)) => read_token(&run.token_file)?,
            (None, "", None) => {
                return Err(Failure::usage(format!("No token for {server} is given."))
                    .next("Give --token-file FILE, or set CHAPERONE_TOKEN_FILE or CHAPERONE_TOKEN. The first one is admin.token in the control plane's data directory."));
            }
            (None, token, _) => token.to_owned(),
        };
        Self::over(http_client_of(args)?, &server, token, args.allow_http)
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
        Self::over(http_client()?, server, token, allow_http)
    }

    fn over(
        http: reqwest::Client,
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
        Ok(Self { http, base, token })
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
    ) -> Result<ServerEvents, Failure> {
        let request = self
            .request(Method::GET, path, query)
            .header("accept", "text/event-stream");
        Ok(ServerEvents::new(self.send(request).await?))
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
        understood(&self.base, &body)
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
        let why = causes::of(error, self.base.scheme());
        Failure::unreachable(format!(
            "The control plane at {} {}.",
            self.base, why.sentence
        ))
        .next(why.next)
    }
}

/// The answer in a body.
fn understood<T: DeserializeOwned>(base: &reqwest::Url, body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|e| {
        Failure::failed(format!(
            "{base} answered with something else than expected: {e}."
        ))
        .next("Are this command line and the control plane of the same version?")
    })
}

/// Query parameters of a filter struct, as the API spells them; what was not asked stays out.
pub(crate) fn query(filter: &impl Serialize) -> Result<Vec<(String, String)>, Failure> {
    let value = serde_json::to_value(filter)
        .map_err(|e| Failure::failed(format!("Cannot write the query: {e}.")))?;
    let members = value.as_object().into_iter().flatten();
    Ok(members
        .filter_map(|(name, value)| {
            let text = match value {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Some((name.clone(), text))
        })
        .collect())
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
        return ended(
            status,
            format!("The server answered {status} in no form that Chaperone uses."),
        )
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
    let unpinned = problem.code == ProblemCode::UnpinnedByNodes.as_str();
    for node in &problem.nodes {
        let (name, boot) = (clean(&node.name), clean(&node.boot));
        message.push_str(&format!("\n  {name} ({boot})"));
        if !unpinned {
            message.push_str(&format!(": reads revision {}", node.reads));
        }
    }
    let failure = ended(status, message);
    if problem.code == ProblemCode::UnreadableByNodes.as_str() {
        return failure.next("`--allow-unreadable` lets these nodes stay behind.");
    }
    if unpinned {
        return failure.next("`--allow-unpinned` leaves these nodes behind.");
    }
    match status {
        StatusCode::UNAUTHORIZED => failure
            .next("Give a token of this control plane with --token-file or CHAPERONE_TOKEN_FILE."),
        StatusCode::FORBIDDEN => {
            failure.next("`chaperone token list` shows which token may do what.")
        }
        _ => failure,
    }
}

/// A 5xx says that nothing is wrong with the call: it may work in a while.
fn ended(status: StatusCode, message: String) -> Failure {
    if status.is_server_error() {
        Failure::unreachable(message)
    } else {
        Failure::failed(message)
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
    built(http_client_builder())
}

/// The same with the authorities and the certificate that the command line names.
fn http_client_of(args: &ServerArgs) -> Result<reqwest::Client, Failure> {
    let mut builder = http_client_builder();
    if let Some(file) = &args.ca_file {
        let authorities = certificates::read_any(file).and_then(|pem| {
            // One that cannot be used is told here, where the file has a name.
            certificates::authorities(file, &pem)?;
            certificates::certificates(file, &pem)
        });
        let authorities: Result<Vec<_>, _> = authorities
            .map_err(|error| unusable(&error))?
            .iter()
            .map(|authority| reqwest::Certificate::from_der(authority))
            .collect();
        builder = builder.tls_certs_only(authorities.map_err(|_| cannot_set_up())?);
    }
    builder = match (&args.client_cert, &args.client_key) {
        (None, None) => builder,
        (Some(certificate), Some(key)) => {
            builder.identity(client_identity(certificate, key)?.ok_or_else(cannot_set_up)?)
        }
        _ => {
            return Err(
                Failure::usage("A client certificate and its key are given together.")
                    .next("Give --client-cert FILE and --client-key FILE, or neither."),
            );
        }
    };
    built(builder)
}

fn http_client_builder() -> reqwest::ClientBuilder {
    // The first one wins; a second call finds the same provider in place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        // What the other side has against a client certificate comes after the handshake. HTTP/2
        // answers "channel closed" then, HTTP/1 passes it on. A command makes one call at a time
        // anyway.
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("chaperone/", env!("CARGO_PKG_VERSION")))
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, Failure> {
    builder
        .build()
        .map_err(|e| Failure::failed(format!("Cannot set up TLS: {}.", causes::chain(&e))))
}

/// A client certificate and its key. `None` when reqwest cannot use what rustls can; its own errors
/// are not shown, for nobody promises that they do not quote what it was given.
fn client_identity(certificate: &Path, key: &Path) -> Result<Option<reqwest::Identity>, Failure> {
    let read = |file: &Path| certificates::read_any(file).map_err(|error| unusable(&error));
    let (chain, secret) = (read(certificate)?, read(key)?);
    certificates::identity((certificate, &chain), (key, &secret))
        .map_err(|error| unusable(&error))?;
    let mut pem = zeroize::Zeroizing::new(Vec::with_capacity(chain.len() + secret.len() + 1));
    pem.extend_from_slice(&chain);
    pem.push(b'\n');
    pem.extend_from_slice(&secret);
    Ok(reqwest::Identity::from_pem(&pem).ok())
}

/// A file that was named on the command line cannot be used.
fn unusable(error: &Unusable) -> Failure {
    Failure::usage(format!("{error}."))
}

fn cannot_set_up() -> Failure {
    Failure::failed("Cannot set up TLS with these certificates.")
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
    fn filters_go_out_without_what_was_not_asked() {
        let filter = chaperone_api::RecordFilter {
            subject: Some("alice".into()),
            status: Some(403),
            ..Default::default()
        };
        let expected = [("subject", "alice"), ("status", "403")];
        let mut pairs = query(&filter).unwrap();
        pairs.sort();
        let mut expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
        expected.sort();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn an_answer_of_another_version_asks_for_the_same_one() {
        let base = "http://127.0.0.1:7070".parse().unwrap();
        let record = r#"{"id":"r","node":"n","boot":"b","received_at":1,"state":"postponed"}"#;
        let failure = understood::<chaperone_api::Record>(&base, record.as_bytes());
        let said = failure.unwrap_err().to_string();
        assert!(said.contains("postponed"), "{said}");
        assert!(said.contains("of the same version?"), "{said}");
    }

    #[test]
    fn an_id_stays_one_path_segment() {
        assert_eq!(segment("ap_1-a~"), "ap_1-a~");
        assert_eq!(segment("../policies"), "%2E%2E%2Fpolicies");
    }

    #[test]
    fn a_refusal_says_what_the_control_plane_said() {
        let body = r#"{"type":"urn:x","title":"t","status":422,"detail":"The policy has 1 error.","code":"invalid_policy","errors":[{"place":"rules[0]","message":"no effect"}]}"#;
        let failure = refusal(StatusCode::UNPROCESSABLE_ENTITY, body.as_bytes());
        assert_eq!(
            failure.to_string(),
            "The policy has 1 error.\n  rules[0]: no effect"
        );
        let problem = Problem::new(ProblemCode::UnreadableByNodes, "One node cannot read it.");
        let failure = refusal(StatusCode::CONFLICT, &serde_json::to_vec(&problem).unwrap());
        let said = failure.to_string();
        assert!(said.contains("--allow-unreadable"), "{said}");
        let failure = refusal(StatusCode::BAD_GATEWAY, b"<html>");
        assert!(failure.to_string().contains("502"), "{failure}");
    }
}
