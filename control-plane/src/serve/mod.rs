//! Starting and stopping the control plane.
//!
//! [`serve`] is the whole of it: the binary calls it, `dev` calls it, tests call it. Nothing here
//! reads the environment or the command line.

mod first_tokens;
mod instance;
mod listener;
pub mod upkeep;

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chaperone_engine::approval::PendingLimits;
use chaperone_engine::identity::Issuer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::first_tokens::FirstTokensError;
use self::instance::InstanceError;
pub use self::listener::{ClientCertificates, TlsConfig};
use self::listener::{Listener, Tls, TlsError, descriptors};
use crate::access::Access;
use crate::administration::Administration;
use crate::app::App;
use crate::approvals::Approvals;
pub use crate::data_dir::DataDir;
use crate::data_dir::{DataDirError, Lock};
use crate::http;
pub use crate::http::connections::Patience;
use crate::http::connections::{Limits, Places};
use crate::keys::IssuerKeys;
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::policies::{BundleError, Policies, SigningKeys};
use crate::readiness::Readiness;
use crate::store::{Storage, StoreError};
use crate::trail::Trail;

/// Where the control plane listens when nothing else is said.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7070);

/// How long answers that are under way may take after the stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// How long closing the database may take.
const CLOSE: Duration = Duration::from_secs(5);

/// The settings of a control plane.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// Secrets, database, cached key sets. Made on first start.
    pub data_dir: PathBuf,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Certificates. Plain HTTP without: put TLS in front then before anything but loopback.
    pub tls: Option<TlsConfig>,
    /// Issuers that are added to those of every policy version.
    pub extra_issuers: Vec<Issuer>,
    /// For tests: every document needs at least this revision of the policy language. While the
    /// language has one revision, no document is one that some nodes cannot read.
    #[doc(hidden)]
    pub least_revision: u32,
    /// How many approvals may wait for an answer at once.
    pub pending: PendingLimits,
    /// The most connections at once; by default as many as the limit of open files allows, up to
    /// 8,192.
    pub max_connections: Option<u32>,
    /// For how long peers are waited for.
    pub patience: Patience,
}

impl ServeConfig {
    /// Everything else at its default.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: DEFAULT_LISTEN,
            tls: None,
            extra_issuers: Vec::new(),
            least_revision: 0,
            pending: PendingLimits::default(),
            max_connections: None,
            patience: Patience::DEFAULT,
        }
    }
}

/// Why the control plane does not start. Shown, it is a sentence that says what to do.
#[derive(Debug)]
pub struct ServeError(Why);

#[derive(Debug)]
enum Why {
    DataDir(DataDirError),
    Store(StoreError),
    Instance(InstanceError),
    Signals(std::io::Error),
    FirstTokens(FirstTokensError),
    LastVersion(BundleError),
    Tls(TlsError),
    Descriptors(u64),
    Listen(SocketAddr, std::io::Error),
    Address(std::io::Error),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Why::DataDir(error) => error.fmt(f),
            Why::Store(error) => error.fmt(f),
            Why::Instance(error) => error.fmt(f),
            Why::Signals(error) => write!(f, "cannot listen for signals: {error}"),
            Why::FirstTokens(error) => error.fmt(f),
            Why::LastVersion(error) => {
                write!(f, "the last policy version cannot be taken up: {error}")
            }
            Why::Tls(error) => error.fmt(f),
            Why::Descriptors(limit) => write!(
                f,
                "the limit of open files is {limit}, and at least {} are needed for its own files and the \
                 connections of a few callers; raise it with `ulimit -n 1024`, or LimitNOFILE= in a unit of systemd",
                Limits::LEAST_DESCRIPTORS
            ),
            Why::Listen(addr, error) => write!(f, "cannot listen on {addr}: {error}"),
            Why::Address(error) => write!(f, "cannot tell the address listened on: {error}"),
        }
    }
}

impl std::error::Error for ServeError {}

impl From<Why> for ServeError {
    fn from(why: Why) -> Self {
        Self(why)
    }
}

impl From<DataDirError> for ServeError {
    fn from(error: DataDirError) -> Self {
        Self(Why::DataDir(error))
    }
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        Self(Why::Store(error))
    }
}

impl From<InstanceError> for ServeError {
    fn from(error: InstanceError) -> Self {
        Self(Why::Instance(error))
    }
}

/// A control plane that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens; the port is the real one when the configuration said 0.
    pub addr: SocketAddr,
    /// Ed25519 key that filters pin, standard base64, as of the start.
    pub public_key: String,
    /// Where its secrets lie.
    pub data_dir: DataDir,
    finished: JoinHandle<()>,
}

impl Running {
    /// Returns when it has stopped: all answers given, all events stored, the database closed.
    pub async fn stopped(self) {
        // A task that panicked has said so in the log.
        drop(self.finished.await);
    }
}

/// Starts a control plane and returns when it answers. It stops when `shutdown` completes.
///
/// # Errors
/// [`ServeError`]; nothing is left running then.
pub async fn serve(
    config: ServeConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Running, ServeError> {
    survive_file_size_limit().map_err(Why::Signals)?;
    let descriptors = descriptors();
    if let Some(limit) = descriptors.filter(|limit| *limit < Limits::LEAST_DESCRIPTORS) {
        return Err(Why::Descriptors(limit).into());
    }
    let dir = DataDir::open(&config.data_dir)?;
    let lock = dir.lock()?;
    // Filters need the second; the control plane itself has no use for it.
    drop(DataDir::key(&dir.signing_key())?);
    drop(DataDir::key(&dir.fingerprint_key())?);

    let storage = instance::open(&dir).await?;
    let access = Access::load(Arc::new(storage.clone())).await?;
    first_tokens::enter(&access, &dir)
        .await
        .map_err(Why::FirstTokens)?;

    let metrics = Arc::new(Metrics::new());
    let administration = Administration::new(Arc::new(storage.clone()));
    let keys = Arc::new(IssuerKeys::new(
        &dir.keys(),
        administration.clone(),
        Arc::clone(&metrics),
    ));
    let nodes = Nodes::load(Arc::new(storage.clone()), Arc::clone(&metrics)).await?;
    let nodes = Arc::new(nodes);
    let signing = SigningKeys::open(dir.clone(), administration.clone())?;
    let public_key = signing.public_key().to_base64();
    let policies = Policies::load(
        Arc::new(storage.clone()),
        Arc::clone(&nodes),
        Arc::clone(&keys),
        Arc::clone(&metrics),
        signing,
        config.extra_issuers,
        config.least_revision,
    )
    .await
    .map_err(Why::LastVersion)?;

    let tls = match config.tls {
        None => None,
        Some(tls) => Some(Tls::load(tls).await.map_err(Why::Tls)?),
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| Why::Listen(config.listen, error))?;
    let addr = listener.local_addr().map_err(Why::Address)?;
    if tls.is_none() && !addr.ip().is_loopback() {
        tracing::warn!(%addr, "listening beyond loopback in plain HTTP: tokens and trail can be read on the way; give --tls-cert and --tls-key, or put TLS in front");
    }

    let limits = Limits::new(config.max_connections, descriptors);
    let wanted = config.max_connections.map(|wanted| wanted as usize);
    if wanted.is_some_and(|wanted| wanted > limits.all()) {
        tracing::warn!(
            ?wanted,
            connections = limits.all(),
            ?descriptors,
            "the limit of open files does not allow that many connections"
        );
    }
    let places = Arc::new(Places::new(limits, config.patience, Arc::clone(&metrics)));

    let finish = CancellationToken::new();
    let (trail, task) = Trail::start(
        Arc::new(storage.clone()),
        administration.clone(),
        Arc::clone(&metrics),
        finish.clone(),
    );
    let writer = Writer { task, finish };
    let marked = CancellationToken::new();
    let mark = Mark {
        task: instance::keep_mark(dir.clone(), storage.clone(), marked.clone()),
        finish: marked,
    };
    let approvals = Approvals::new(
        Arc::new(storage.clone()),
        administration.clone(),
        Arc::clone(&metrics),
        config.pending,
    );
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let readiness = Readiness::new(Arc::clone(&storage), Arc::clone(&metrics));
    let app = Arc::new(App {
        readiness: Arc::new(readiness),
        storage,
        trail,
        approvals: Arc::new(approvals),
        access,
        administration,
        policies: Arc::new(policies),
        nodes,
        keys,
        metrics,
        stop: CancellationToken::new(),
    });
    tracing::info!(%addr, data_dir = %config.data_dir.display(), tls = tls.is_some(), connections = limits.all(), "the control plane listens");
    let listener = Listener {
        socket: listener,
        places,
        router: http::router(Arc::clone(&app)),
        tls: tls.map(Arc::new),
        stop: app.stop.clone(),
    };
    let finished = tokio::spawn(run(app, listener, writer, mark, lock, shutdown));
    Ok(Running {
        addr,
        public_key,
        data_dir: dir,
        finished,
    })
}

/// The task that stores events, and how to end it.
struct Writer {
    task: JoinHandle<()>,
    finish: CancellationToken,
}

/// The task that notes in the data directory how far its database has come, and how to end it.
struct Mark {
    task: JoinHandle<()>,
    finish: CancellationToken,
}

/// From now on a write beyond the process's limit on the size of files (`ulimit -f`) fails like one
/// on a full disk. Left alone, the signal that comes with it ends the process without a word.
fn survive_file_size_limit() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let exceeded = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    // It stays handled when nobody listens any more.
    drop(signal(exceeded)?);
    Ok(())
}

async fn run(
    app: Arc<App>,
    listener: Listener,
    writer: Writer,
    mark: Mark,
    lock: Lock,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let background = background(&app);
    let stop = app.stop.clone();
    let storage = Arc::clone(&app.storage);
    let places = Arc::clone(&listener.places);
    let mut serving = tokio::spawn(listener.run());

    tokio::select! {
        () = shutdown => {}
        ended = &mut serving => {
            tracing::error!(?ended, "the server ended by itself");
        }
    }
    tracing::info!("the control plane stops");
    // Long polls and streams answer at once, so only real work is waited for.
    stop.cancel();
    if tokio::time::timeout(DRAIN, &mut serving).await.is_err() {
        tracing::warn!("some answers took too long and were cut off");
        places.close_all();
        serving.abort();
        drop(serving.await);
    }
    for task in background {
        task.abort();
        drop(task.await);
    }
    // Connections that were cut off may live on, so nothing here waits for them.
    writer.finish.cancel();
    drop(writer.task.await);
    mark.finish.cancel();
    // It waits for the disk, which may not answer any more.
    drop(tokio::time::timeout(CLOSE, mark.task).await);
    if tokio::time::timeout(CLOSE, storage.close()).await.is_err() {
        tracing::warn!("the database was still in use; SQLite will tidy up at the next start");
    }
    drop(lock);
    tracing::info!("the control plane has stopped");
}

/// Starts the tasks that go on without being asked.
fn background(app: &Arc<App>) -> Vec<JoinHandle<()>> {
    let refresh = tokio::spawn(Arc::clone(&app.keys).run());
    let (keys, policies) = (Arc::clone(&app.keys), Arc::clone(&app.policies));
    let reseal = tokio::spawn(async move {
        loop {
            // Once at the start, too: the last run may have ended between a fetch and its bundle.
            if let Err(error) = policies.keys_changed().await {
                tracing::error!(%error, "a bundle with new keys could not be made");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            keys.changed().await;
        }
    });
    let approvals = Arc::clone(&app.approvals);
    let expire = tokio::spawn(async move { approvals.expire().await });
    let nodes = Arc::clone(&app.nodes);
    let nodes = tokio::spawn(async move { nodes.keep_in_order().await });
    vec![refresh, reseal, expire, nodes]
}
