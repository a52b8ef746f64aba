//! The control plane and the issuer's endpoints, in this process.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Mutex;

use chaperone::serve::{self, ServeConfig};
use chaperone_api::{PublishRequest, Published};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::args::RunArgs;
use super::issuer::DevIssuer;
use super::plan::{FilterKeys, loopback};
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::logging::log_filter;

/// What the control plane logs, unless `CHAPERONE_LOG` says otherwise.
const LOG_LEVELS: &str = "info";

/// The control plane and the issuer, running.
pub(crate) struct ControlPlane {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Where the issuer's endpoints are.
    pub(crate) issuer_address: SocketAddr,
    /// File with an admin token.
    pub(crate) admin_token_file: PathBuf,
    node_token_file: PathBuf,
    fingerprint_key_file: PathBuf,
    public_key: String,
    shutdown: CancellationToken,
    /// Taken when it has completed.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    issuer: JoinHandle<()>,
}

impl ControlPlane {
    /// Starts both.
    ///
    /// # Errors
    /// When a port is taken or the data directory cannot be used.
    pub(crate) async fn start(
        args: &RunArgs,
        data_dir: &Path,
        log_dir: &Path,
        issuer: &DevIssuer,
    ) -> Result<Self, Failure> {
        log_to(&log_dir.join("control-plane.log"))?;
        let extra = issuer
            .as_policy_issuer()
            .map_err(|e| Failure::failed(format!("The development issuer is unusable: {e}.")))?;
        let config = ServeConfig {
            listen: loopback(args.control_plane_port),
            extra_issuers: vec![extra],
            ..ServeConfig::new(data_dir)
        };
        let shutdown = CancellationToken::new();
        let running = serve::serve(config, shutdown.clone().cancelled_owned())
            .await
            .map_err(|e| Failure::failed(format!("The control plane does not start: {e}.")))?;
        let (issuer_address, issuer) = serve_issuer(args.issuer_port, issuer).await?;
        Ok(Self {
            address: running.addr,
            issuer_address,
            admin_token_file: running.data_dir.admin_token(),
            node_token_file: running.data_dir.node_token(),
            fingerprint_key_file: running.data_dir.fingerprint_key(),
            public_key: running.public_key.clone(),
            shutdown,
            stopped: Some(Box::pin(running.stopped())),
            issuer,
        })
    }

    /// What the filter needs to know.
    ///
    /// # Errors
    /// When a file of the data directory cannot be read.
    pub(crate) fn filter_keys(&self) -> Result<FilterKeys, Failure> {
        Ok(FilterKeys {
            node_token: secret(&self.node_token_file)?,
            public_key: self.public_key.clone(),
            fingerprint_key: secret(&self.fingerprint_key_file)?,
        })
    }

    /// Its management API, as administrator.
    ///
    /// # Errors
    /// When the token cannot be read.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let token = secret(&self.admin_token_file)?;
        Client::with_token(&format!("http://{}", self.address), token, false)
    }

    /// Waits until the control plane ends by itself, which it should not.
    pub(crate) async fn died(&mut self) -> Failure {
        if let Some(stopped) = &mut self.stopped {
            stopped.await;
            self.stopped = None;
        }
        Failure::failed("The control plane ended; control-plane.log says why.")
    }

    /// Stops both; everything that nodes have sent is stored.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        if let Some(stopped) = self.stopped {
            stopped.await;
        }
        self.issuer.abort();
    }
}

async fn serve_issuer(
    port: u16,
    issuer: &DevIssuer,
) -> Result<(SocketAddr, JoinHandle<()>), Failure> {
    let failed = |e: std::io::Error| Failure::failed(format!("The issuer cannot listen: {e}."));
    let listener = TcpListener::bind(loopback(port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let endpoints = issuer.endpoints(address);
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, endpoints).await {
            tracing::error!(%error, "the issuer's endpoints ended");
        }
    });
    Ok((address, task))
}

/// The terminal belongs to the addresses; what the control plane has to say goes to a file.
fn log_to(file: &Path) -> Result<(), Failure> {
    let open = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file);
    let open =
        open.map_err(|e| Failure::failed(format!("Cannot write {}: {e}.", file.display())))?;
    tracing_subscriber::fmt()
        .with_env_filter(log_filter(LOG_LEVELS)?)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_writer(Mutex::new(open))
        .try_init()
        .map_err(|e| Failure::failed(format!("Cannot log: {e}.")))
}

fn secret(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map(|text| text.trim().to_owned())
        .map_err(|e| Failure::failed(format!("Cannot read {}: {e}.", file.display())))
}

/// Publishes the policy of the command line, the way that everybody else does.
///
/// # Errors
/// What the control plane says against it.
pub(crate) async fn publish(
    api: &Client,
    document: String,
    file: &Path,
) -> Result<Published, Failure> {
    let comment = Some(format!("chaperone dev --policy {}", file.display()));
    api.post(
        "/policies",
        &PublishRequest {
            document,
            comment,
            expected_current: None,
            allow_unreadable: false,
        },
    )
    .await
}
