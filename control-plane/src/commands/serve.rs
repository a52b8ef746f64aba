//! `chaperone serve`: the control plane as a service.

use std::net::SocketAddr;
use std::path::PathBuf;

use chaperone::serve::{self, ClientCertificates, DEFAULT_LISTEN, ServeConfig, TlsConfig};
use chaperone_engine::approval::PendingLimits;
use tokio_util::sync::CancellationToken;

use crate::cli::failure::Failure;
use crate::cli::logging::log_filter;
use crate::cli::signals::Stop;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first start makes signing.key, fingerprint.key, node.token and admin.token in the data
directory, readable by its owner alone; none of them is ever printed or logged.

CHAPERONE_LOG sets what is logged, as in CHAPERONE_LOG=info,chaperone=debug.

Example:
  chaperone serve --data-dir /var/lib/chaperone
  CHAPERONE_SERVER=http://127.0.0.1:7070 CHAPERONE_TOKEN_FILE=/var/lib/chaperone/admin.token \\
      chaperone policy publish policy.yaml"
)]
pub(crate) struct ServeArgs {
    /// Where keys, tokens and the database are
    #[arg(
        long,
        value_name = "DIR",
        env = "CHAPERONE_DATA_DIR",
        hide_env_values = true
    )]
    data_dir: PathBuf,
    /// Where to listen. Without --tls-cert in plain HTTP: only for this machine, or behind what
    /// speaks TLS
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// File with the certificate of the listener and its chain, PEM; taken up anew when it changes
    #[arg(
        long,
        value_name = "FILE",
        env = "CHAPERONE_TLS_CERT",
        hide_env_values = true,
        requires = "tls_key"
    )]
    tls_cert: Option<PathBuf>,
    /// File with its private key, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "CHAPERONE_TLS_KEY",
        hide_env_values = true,
        requires = "tls_cert"
    )]
    tls_key: Option<PathBuf>,
    /// File with the authorities that vouch for clients, PEM: nodes must show a certificate then
    #[arg(
        long,
        value_name = "FILE",
        env = "CHAPERONE_TLS_CLIENT_CA",
        hide_env_values = true,
        requires = "tls_cert"
    )]
    tls_client_ca: Option<PathBuf>,
    /// Who must show a certificate of these authorities
    #[arg(
        long,
        value_name = "WHO",
        env = "CHAPERONE_TLS_CLIENT_CERTS",
        hide_env_values = true,
        value_enum,
        default_value_t,
        requires_if("everyone", "tls_client_ca")
    )]
    tls_client_certs: ClientCerts,
    /// How many approvals may wait for an answer at once; what asks for more is refused
    #[arg(long, value_name = "COUNT", default_value_t = PendingLimits::default().in_all)]
    max_pending: u64,
    /// How many of them may be of one subject
    #[arg(long, value_name = "COUNT", default_value_t = PendingLimits::default().of_subject)]
    max_pending_per_subject: u64,
    /// The most connections at once; half of them are kept for nodes [default: what the limit of
    /// open files allows, up to 8192]
    #[arg(
        long,
        value_name = "N",
        env = "CHAPERONE_MAX_CONNECTIONS",
        hide_env_values = true
    )]
    max_connections: Option<u32>,
    /// How to log, to standard error
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum ClientCerts {
    /// Whoever calls with a node's token.
    #[default]
    Nodes,
    /// Everybody, probes too: without one there is no connection.
    Everyone,
}

impl ServeArgs {
    fn tls(&self) -> Option<TlsConfig> {
        let (certificate, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        let clients = self
            .tls_client_ca
            .clone()
            .map(|authorities| ClientCertificates {
                authorities,
                of_everyone: self.tls_client_certs == ClientCerts::Everyone,
            });
        Some(TlsConfig {
            certificate,
            key,
            clients,
        })
    }
}

/// Runs the control plane until it is told to stop.
///
/// # Errors
/// When it cannot start, or ends by itself.
pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let filter = log_filter("info")?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // A log that cannot be written, for its disk is full as well, must not end what logs: this
        // would be told on standard error, which panics when that cannot be written either.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    let set = match args.log_format {
        LogFormat::Text => log
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    set.map_err(|e| Failure::failed(format!("Cannot log: {e}.")))?;

    let mut stop = Stop::new()?;
    let shutdown = CancellationToken::new();
    let config = ServeConfig {
        listen: args.listen,
        tls: args.tls(),
        pending: PendingLimits {
            of_subject: args.max_pending_per_subject,
            in_all: args.max_pending,
        },
        max_connections: args.max_connections,
        ..ServeConfig::new(args.data_dir)
    };
    let starting = serve::serve(config, shutdown.clone().cancelled_owned());
    let started = tokio::select! {
        started = starting => started,
        // A start may wait: for a disk, or a file of a network.
        () = stop.told() => return Err(Failure::failed("Stopped before it had started.")),
    };
    let running =
        started.map_err(|e| Failure::failed(format!("The control plane does not start: {e}.")))?;
    let stopped = running.stopped();
    tokio::pin!(stopped);
    tokio::select! {
        () = stop.told() => {}
        () = &mut stopped => {
            return Err(Failure::failed("The control plane ended by itself; its log says why."));
        }
    }
    shutdown.cancel();
    tokio::select! {
        () = &mut stopped => Ok(()),
        () = stop.told() => Err(Failure::failed("Stopped before everything was stored: told twice.")),
    }
}
