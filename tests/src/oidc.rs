//! A certified OpenID provider: npm's `oidc-provider`, see `tests/oidc-provider/server.mjs`.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::chaperone::address_of;
use crate::client::{Answer, Call, Client};
use crate::places;
use crate::process::Process;

/// Somebody who can get tokens with the client credentials grant (RFC 6749 §4.4).
#[derive(Debug, Clone, Copy)]
pub struct Account<'a> {
    /// The client's id, which is its tokens' subject.
    pub id: &'a str,
    /// The `groups` claim of its tokens.
    pub groups: &'a [&'a str],
}

impl Account<'_> {
    /// Made up, and looks it.
    fn secret(&self) -> String {
        format!("EXAMPLE-secret-of-{}", self.id)
    }

    fn to_json(self) -> Value {
        json!({"id": self.id, "secret": self.secret(), "groups": self.groups})
    }
}

/// The running provider.
#[derive(Debug)]
pub struct OpenIdProvider {
    issuer: String,
    control: SocketAddr,
    process: Process,
}

impl OpenIdProvider {
    /// Starts it; its keys are for `algorithm`: `RS256`, `PS256`, `ES256` or `EdDSA`.
    ///
    /// # Panics
    /// When node or the packages are missing.
    pub async fn start(algorithm: &str, accounts: &[Account<'_>]) -> Self {
        let folder = places::repository().join("tests/oidc-provider");
        assert!(
            folder.join("node_modules/oidc-provider").is_dir(),
            "the OpenID provider is not installed: run ./scripts/setup --tests (or npm ci in tests/oidc-provider)"
        );
        let clients: Vec<Value> = accounts.iter().map(|account| account.to_json()).collect();
        let mut command = Command::new("node");
        command
            .arg("server.mjs")
            .arg(json!({"algorithm": algorithm, "clients": clients}).to_string());
        command.current_dir(folder);
        let mut process = Process::start("the OpenID provider", command);
        let line = process.wait_for_line("\"control\"").await;
        let ready: Value = serde_json::from_str(&line).expect("the provider's first line is JSON");
        let text = |name: &str| {
            ready[name]
                .as_str()
                .unwrap_or_else(|| panic!("no {name} in {line}"))
                .to_owned()
        };
        Self {
            issuer: text("issuer"),
            control: address_of(&text("control")),
            process,
        }
    }

    /// Its name, which is its URL.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// This issuer as it stands in a policy's `issuers`, found by discovery.
    #[must_use]
    pub fn in_policy(&self) -> Value {
        json!({"issuer": self.issuer, "audiences": [crate::issuer::AUDIENCE]})
    }

    /// A token of this account, for an audience (a resource indicator, RFC 8707).
    ///
    /// # Panics
    /// When the provider refuses.
    pub async fn token(&self, account: Account<'_>, audience: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&resource={audience}",
            account.id,
            account.secret()
        );
        let call =
            Call::post("/token", form).header("content-type", "application/x-www-form-urlencoded");
        let answer = send(address_of(&self.issuer), call).await;
        match answer.json()["access_token"].as_str() {
            Some(token) => token.to_owned(),
            None => panic!(
                "the provider gives no token: {}\n{}",
                answer.text(),
                self.process.output()
            ),
        }
    }

    /// The key set as it is served now.
    ///
    /// # Panics
    /// When the provider does not answer.
    pub async fn jwks(&self) -> Value {
        send(address_of(&self.issuer), Call::get("/jwks"))
            .await
            .json()
    }

    /// Signs with a new key from now on, and gives its id; without `keep_old` the key set has no
    /// other.
    ///
    /// # Panics
    /// When the provider does not answer.
    pub async fn rotate(&self, keep_old: bool) -> String {
        let answer = self.control(&format!("/rotate?keep_old={keep_old}")).await;
        answer["kid"]
            .as_str()
            .expect("a new key has an id")
            .to_owned()
    }

    /// Whether discovery and keys can be fetched; 503 when not.
    pub async fn set_available(&self, is_available: bool) {
        self.control(&format!("/available?is={is_available}")).await;
    }

    /// How often the key set has been asked for.
    ///
    /// # Panics
    /// When the provider does not answer.
    pub async fn key_set_requests(&self) -> u64 {
        send(self.control, Call::get("/requests")).await.json()["/jwks"]
            .as_u64()
            .unwrap_or(0)
    }

    async fn control(&self, target: &str) -> Value {
        let answer = send(self.control, Call::post(target, "")).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    }
}

async fn send(address: SocketAddr, call: Call) -> Answer {
    Client::http1(address)
        .send(call)
        .await
        .unwrap_or_else(|e| panic!("the OpenID provider does not answer: {e}"))
}
