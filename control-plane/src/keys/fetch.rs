//! Fetching key sets: OpenID discovery (OpenID Connect Discovery 1.0 §4) and JWKS (RFC 7517).
//!
//! Whoever can change the answer can sign tokens, so: https only (http for loopback hosts), no
//! redirects, the discovery document must name the issuer that was asked (§4.3), and an https issuer
//! cannot send us to a plain one. Answers are bounded in time and size.

use std::sync::OnceLock;
use std::time::Duration;

use chaperone_engine::identity::{Issuer, MAX_KEY_SET_BYTES};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;

/// From the first byte to the last, for each of the two requests.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Discovery documents are a few kilobytes.
const MAX_DISCOVERY_BYTES: usize = 256 * 1024;

/// Fetches from anywhere that is allowed.
#[derive(Debug)]
pub(crate) struct Fetcher {
    /// For loopback hosts: never through a proxy, and no certificate store needed.
    local: Result<Client, String>,
    /// For the world; a minimal system without a certificate store has none.
    world: OnceLock<Result<Client, String>>,
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
        let local = client()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .map_err(|e| causes(&e));
        Self {
            local,
            world: OnceLock::new(),
        }
    }

    /// The key set of an issuer whose keys are not inline.
    ///
    /// # Errors
    /// A sentence for people.
    pub(crate) async fn key_set(&self, issuer: &Issuer) -> Result<Fetched, String> {
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

    async fn discover(&self, issuer: &str) -> Result<Url, String> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        // §4.1: any terminating slash is removed before the well-known part is appended.
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let url = allowed(&format!("{base}/.well-known/openid-configuration"))?;
        let body = self.get(url.clone(), MAX_DISCOVERY_BYTES).await?;
        let document: Discovery = serde_json::from_slice(&body)
            .map_err(|error| format!("{url} is no OpenID discovery document: {error}"))?;
        if document.issuer != issuer {
            let found: String = document.issuer.chars().take(200).collect();
            return Err(format!(
                "{url} describes the issuer {found:?}, not {issuer:?}; the policy must spell the \
                 issuer exactly as its tokens do"
            ));
        }
        let keys = allowed(&document.jwks_uri)?;
        if url.scheme() == "https" && keys.scheme() != "https" {
            return Err(format!(
                "{url} names a key set that is not served over https: {keys}"
            ));
        }
        Ok(keys)
    }

    async fn get(&self, url: Url, limit: usize) -> Result<Vec<u8>, String> {
        let failed = |error: reqwest::Error| format!("{url}: {}", causes(&error.without_url()));
        let client = if is_loopback(&url) {
            &self.local
        } else {
            self.world
                .get_or_init(|| client().build().map_err(|e| causes(&e)))
        };
        let client = client.as_ref().map_err(|error| {
            format!("no TLS client ({error}); is the system's certificate store installed?")
        })?;
        let mut response = client.get(url.clone()).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!(
                "{url} answered {}, expected 200",
                response.status()
            ));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > limit {
                return Err(format!("{url} is larger than {limit} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn client() -> reqwest::ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(Duration::from_secs(3))
        .user_agent(concat!("chaperone/", env!("CARGO_PKG_VERSION")))
}

/// The URL, if keys may come from there.
fn allowed(url: &str) -> Result<Url, String> {
    let shown: String = url.chars().take(200).collect();
    let parsed = Url::parse(url).map_err(|error| format!("{shown:?} is no URL: {error}"))?;
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("a URL of keys must not carry credentials".to_owned());
    }
    match parsed.scheme() {
        "https" => Ok(parsed),
        "http" if is_loopback(&parsed) => Ok(parsed),
        _ => Err(format!(
            "{shown:?}: keys are fetched over https, over http only from a loopback host"
        )),
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
