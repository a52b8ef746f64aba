//! Fetching key sets: OpenID discovery (OpenID Connect Discovery 1.0 §4) and JWKS (RFC 7517).
//!
//! Whoever can change the answer can sign tokens, so: https only (http for loopback hosts), no
//! redirects, the discovery document must name the issuer that was asked (§4.3), and an https
//! issuer cannot send us to a plain one. Answers are bounded in time and size.

use std::time::Duration;

use chaperone_engine::identity::{Issuer, JwksError, MAX_KEY_SET_BYTES};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use tokio::sync::OnceCell;

/// From the first byte to the last, for each of the two requests.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Discovery documents are a few kilobytes.
const MAX_DISCOVERY_BYTES: usize = 256 * 1024;

/// Why an issuer's keys were not taken over. A sentence for people.
#[derive(Debug)]
pub(crate) enum KeysError {
    /// Text that is no URL.
    NoUrl {
        /// Its beginning.
        text: String,
        /// Why not.
        why: String,
    },
    /// A URL that carries a user or a password, which is not repeated here.
    Credentials,
    /// A URL of a scheme that keys may not come over.
    Insecure {
        /// Its beginning.
        text: String,
    },
    /// No client for the world could be made.
    NoClient(String),
    /// The request failed.
    Request {
        /// Where it went.
        url: String,
        /// Why, with what caused it.
        why: String,
    },
    /// The answer is not 200.
    Status {
        /// Where it came from.
        url: String,
        /// Its status.
        status: reqwest::StatusCode,
    },
    /// The answer is too large.
    TooLarge {
        /// Where it came from.
        url: String,
        /// How many bytes are taken.
        limit: usize,
    },
    /// The answer is no discovery document.
    NoDiscovery {
        /// Where it came from.
        url: String,
        /// Why not.
        error: serde_json::Error,
    },
    /// The discovery document is that of another issuer.
    OtherIssuer {
        /// Where it came from.
        url: String,
        /// The beginning of the issuer's name in it.
        found: String,
        /// The issuer that was asked.
        wanted: String,
    },
    /// An https issuer sends us to a plain URL.
    Downgraded {
        /// The discovery document.
        url: String,
        /// The key set that it names.
        keys: String,
    },
    /// The answer is not JSON.
    NoKeySet {
        /// Where it came from.
        url: String,
        /// Why not.
        error: serde_json::Error,
    },
    /// The answer is no key set.
    Refused {
        /// Where it came from.
        url: String,
        /// Why not.
        error: JwksError,
    },
    /// The gate can use none of the keys.
    NoneUsable {
        /// Where they came from.
        url: String,
    },
}

impl std::fmt::Display for KeysError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoUrl { text, why } => write!(f, "{text:?} is no URL: {why}"),
            Self::Credentials => f.write_str("a URL of keys must not carry credentials"),
            Self::Insecure { text } => write!(
                f,
                "{text:?}: keys are fetched over https, over http only from a loopback host"
            ),
            Self::NoClient(error) => write!(
                f,
                "no TLS client ({error}); is the system's certificate store installed?"
            ),
            Self::Request { url, why } => write!(f, "{url}: {why}"),
            Self::Status { url, status } => write!(f, "{url} answered {status}, expected 200"),
            Self::TooLarge { url, limit } => write!(f, "{url} is larger than {limit} bytes"),
            Self::NoDiscovery { url, error } => {
                write!(f, "{url} is no OpenID discovery document: {error}")
            }
            Self::OtherIssuer { url, found, wanted } => write!(
                f,
                "{url} describes the issuer {found:?}, not {wanted:?}; the policy must spell the \
                 issuer exactly as its tokens do"
            ),
            Self::Downgraded { url, keys } => write!(
                f,
                "{url} names a key set that is not served over https: {keys}"
            ),
            Self::NoKeySet { url, error } => write!(f, "{url} is no key set: {error}"),
            Self::Refused { url, error } => write!(f, "{url}: {error}"),
            Self::NoneUsable { url } => write!(
                f,
                "{url} holds no usable key; the keys before stay in force"
            ),
        }
    }
}

/// Fetches from anywhere that is allowed.
#[derive(Debug)]
pub(crate) struct Fetcher {
    /// For http, which is for loopback hosts alone: no certificate store is needed.
    plain: Result<Client, String>,
    /// For https on loopback hosts: never through a proxy.
    local: OnceCell<Client>,
    /// For the world.
    world: OnceCell<Client>,
}

/// A key set as it came, and from where.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) url: String,
    pub(crate) body: Vec<u8>,
}

impl Fetcher {
    pub(crate) fn new() -> Self {
        // Once per process; a second control plane in the same process finds it there.
        drop(rustls::crypto::ring::default_provider().install_default());
        let plain = client()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .map_err(|e| causes(&e));
        Self {
            plain,
            local: OnceCell::new(),
            world: OnceCell::new(),
        }
    }

    /// The key set of an issuer whose keys are not inline.
    ///
    /// # Errors
    /// A sentence for people.
    pub(crate) async fn key_set(&self, issuer: &Issuer) -> Result<Fetched, KeysError> {
        let url = match &issuer.jwks_uri {
            Some(uri) => allowed(uri)?,
            None => self.discover(&issuer.issuer).await?,
        };
        let body = self.get(url.clone(), MAX_KEY_SET_BYTES).await?;
        Ok(Fetched {
            url: url.into(),
            body,
        })
    }

    async fn discover(&self, issuer: &str) -> Result<Url, KeysError> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        // §4.1: any terminating slash is removed before the well-known part is appended.
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let url = allowed(&format!("{base}/.well-known/openid-configuration"))?;
        let body = self.get(url.clone(), MAX_DISCOVERY_BYTES).await?;
        let document: Discovery = match serde_json::from_slice(&body) {
            Ok(document) => document,
            Err(error) => {
                let url = url.into();
                return Err(KeysError::NoDiscovery { url, error });
            }
        };
        if document.issuer != issuer {
            return Err(KeysError::OtherIssuer {
                url: url.into(),
                found: document.issuer.chars().take(200).collect(),
                wanted: issuer.to_owned(),
            });
        }
        let keys = allowed(&document.jwks_uri)?;
        if url.scheme() == "https" && keys.scheme() != "https" {
            return Err(KeysError::Downgraded {
                url: url.into(),
                keys: keys.into(),
            });
        }
        Ok(keys)
    }

    /// The client for a URL. One for https trusts whom the system trusts, and a minimal system
    /// without a certificate store has none until it gets one.
    async fn client(&self, url: &Url) -> Result<&Client, String> {
        match (url.scheme(), is_loopback(url)) {
            ("http", _) => self.plain.as_ref().map_err(Clone::clone),
            (_, true) => {
                let local = self.local.get_or_try_init(|| secured(client().no_proxy()));
                local.await
            }
            (_, false) => self.world.get_or_try_init(|| secured(client())).await,
        }
    }

    async fn get(&self, url: Url, limit: usize) -> Result<Vec<u8>, KeysError> {
        let failed = |error: reqwest::Error| KeysError::Request {
            url: url.to_string(),
            why: causes(&error.without_url()),
        };
        let client = self.client(&url).await.map_err(KeysError::NoClient)?;
        let mut response = client.get(url.clone()).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            let status = response.status();
            let url = url.into();
            return Err(KeysError::Status { url, status });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit {
                let url = url.into();
                return Err(KeysError::TooLarge { url, limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// A client with the system's authorities. Reading them takes a while, and the files may lie
/// anywhere.
async fn secured(client: reqwest::ClientBuilder) -> Result<Client, String> {
    let built = tokio::task::spawn_blocking(|| client.build().map_err(|e| causes(&e)));
    built.await.unwrap_or_else(|error| Err(error.to_string()))
}

fn client() -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(Duration::from_secs(3))
        .user_agent(concat!("chaperone/", env!("CARGO_PKG_VERSION")))
}

/// The URL, if keys may come from there.
fn allowed(url: &str) -> Result<Url, KeysError> {
    let text = || url.chars().take(200).collect::<String>();
    let parsed = Url::parse(url).map_err(|error| KeysError::NoUrl {
        text: text(),
        why: error.to_string(),
    })?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(KeysError::Credentials);
    }
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if is_loopback(&parsed) => Ok(parsed),
        _ => Err(KeysError::Insecure { text: text() }),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// An error with what caused it: reqwest's own text says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for url in [
            "https://login.example.com/keys",
            "http://127.0.0.1:8080/keys",
            "http://[::1]:8080/keys",
            "http://localhost/keys",
        ] {
            assert!(allowed(url).is_ok(), "{url}");
        }
        for url in [
            "http://login.example.com/keys",
            "http://localhost.example.com/keys",
            "http://127.0.0.1@login.example.com/",
            "https://user:pass@login.example.com/",
            "file:///etc/passwd",
            "keys",
        ] {
            assert!(allowed(url).is_err(), "{url}");
        }
    }
}
