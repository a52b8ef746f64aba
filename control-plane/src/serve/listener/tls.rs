//! TLS on the listener: certificates from files, which may be replaced while it runs.
//!
//! rustls with ring, as everywhere in this program. A crate that brings a whole server with TLS
//! (axum-server) was weighed: its loop takes connections as `axum::serve` does, without bounds.
//!
//! # Promises
//! - Files that cannot be used never replace those in use: the log says why, and the listener goes
//!   on.
//! - Replacing files ends no connection: each keeps the settings that it was made with.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chaperone_certificates::{self as certificates, Lapse, Unusable};
use rustls::pki_types::CertificateDer;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{CertificateError, ServerConfig};
use tokio::task::JoinError;
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use super::seldom::Seldom;

/// How often the files are read to see whether they have changed. Their bytes are compared: times
/// of files say nothing where a directory is swapped by a link, as Kubernetes does with secrets.
const LOOK: Duration = Duration::from_secs(2);

/// After this long without an answer of the file system the log says so.
const HANGS: Duration = Duration::from_secs(10);

/// Where certificates and keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate with the chain that leads to its authority, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Whose certificates are asked of clients.
    pub clients: Option<ClientCertificates>,
}

/// Whose certificates are asked of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The authorities that vouch for them, PEM.
    pub authorities: PathBuf,
    /// Whether nobody is let in without one. Otherwise only nodes have to show one.
    pub of_everyone: bool,
}

/// Why the files cannot be used. Begins a sentence.
#[derive(Debug)]
pub(crate) enum TlsError {
    /// A file cannot be used.
    File(Unusable),
    /// The authorities together cannot be used.
    Authorities(PathBuf, VerifierBuilderError),
    /// rustls and its cryptography do not go together.
    Protocols(rustls::Error),
    /// Reading the files broke off.
    BrokeOff(JoinError),
}

impl From<Unusable> for TlsError {
    fn from(error: Unusable) -> Self {
        Self::File(error)
    }
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Authorities(file, error) => {
                write!(
                    f,
                    "the authorities in {} cannot be used: {error}",
                    file.display()
                )
            }
            Self::Protocols(error) => write!(f, "TLS cannot be set up: {error}"),
            Self::BrokeOff(error) => write!(f, "reading the files for TLS broke off: {error}"),
        }
    }
}

/// The settings of TLS, which are made anew when the files change.
pub(in crate::serve) struct Tls {
    config: TlsConfig,
    current: RwLock<Made>,
    refusals: Mutex<Seldom>,
}

/// The settings that were made of the files.
#[derive(Clone)]
struct Made {
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
}

/// The bytes of the files.
#[derive(PartialEq)]
struct Files {
    certificate: Zeroizing<Vec<u8>>,
    key: Zeroizing<Vec<u8>>,
    authorities: Option<Zeroizing<Vec<u8>>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(in crate::serve) async fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let from = config.clone();
        // On a thread of its own: a file system that does not answer must not keep signals from
        // being heard.
        let looked = tokio::task::spawn_blocking(move || read(&from)).await;
        let looked = looked.map_err(TlsError::BrokeOff)??;
        let current = made(&config, &looked.files)?;
        warn_if(looked.exposed, &config.key);
        Ok(Self {
            config,
            current: RwLock::new(current),
            refusals: Mutex::default(),
        })
    }

    /// Whether clients are asked for certificates.
    pub(super) fn asks_for_certificates(&self) -> bool {
        self.config.clients.is_some()
    }

    /// Says that a handshake has failed for the client's certificate, if that is why. The client
    /// has no sentence to read, so whoever looks for the cause looks here.
    pub(super) fn tell_refusal(&self, error: &io::Error, source: Option<SocketAddr>) {
        let Some(why) = refusal(error) else { return };
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refused_before) = refusals.due() {
            let source = source.map(|source| source.ip().to_string());
            tracing::info!(
                source,
                refused_before,
                "a TLS handshake was refused for the client's certificate: {why}"
            );
        }
    }

    /// For a connection that comes now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.made().config.into()
    }

    fn made(&self) -> Made {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Takes up files that are replaced, for as long as it is polled.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut last = None;
        let mut lapse = None;
        loop {
            self.warn_of_lapse(&mut lapse);
            tokio::time::sleep(LOOK).await;
            let config = self.config.clone();
            let mut looked = tokio::task::spawn_blocking(move || read(&config));
            let files = match tokio::time::timeout(HANGS, &mut looked).await {
                Ok(files) => files,
                // One read that waits is enough: a second one would wait beside it.
                Err(_) => {
                    tracing::error!(
                        "the file system does not answer a read of the files for TLS; certificates are not taken up anew until it does"
                    );
                    let files = looked.await;
                    tracing::info!("the files for TLS can be read again");
                    files
                }
            };
            let Ok(files) = files else { return };
            last = self.took_up(last, files);
        }
    }

    /// Says that a certificate in use is not valid now, when that begins or is another one.
    fn warn_of_lapse(&self, said: &mut Option<Lapse>) {
        let lapse = certificates::lapse(&self.made().chain);
        if lapse == *said {
            return;
        }
        *said = lapse;
        let file = self.config.certificate.display();
        let at = humantime::format_rfc3339_seconds;
        match lapse {
            Some(Lapse::Expired(since)) => {
                tracing::warn!(%file, since = %at(since), "a certificate of the listener has expired: clients refuse it. Put a new one in its place");
            }
            Some(Lapse::NotYet(until)) => {
                tracing::warn!(%file, until = %at(until), "a certificate of the listener is not valid yet: clients refuse it. Is the clock of this machine right?");
            }
            None => {}
        }
    }

    /// Takes the files up if they are others than `last`, which is returned for the next time.
    fn took_up(
        &self,
        last: Option<Result<Files, String>>,
        looked: Result<Looked, TlsError>,
    ) -> Option<Result<Files, String>> {
        let (files, exposed) = match looked {
            Ok(Looked { files, exposed }) => (Ok(files), exposed),
            Err(error) => (Err(error.to_string()), false),
        };
        if last.as_ref() == Some(&files) {
            return last;
        }
        let made = match &files {
            Ok(files) => made(&self.config, files).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        match made {
            Ok(made) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = made;
                // The first look finds the files of the start.
                if last.is_some() {
                    tracing::info!("the certificate of the listener was replaced");
                    warn_if(exposed, &self.config.key);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the files for TLS have changed and cannot be used; those before stay in use");
            }
        }
        Some(files)
    }
}

/// The files as they were found.
struct Looked {
    files: Files,
    /// Everybody on the machine can read the key.
    exposed: bool,
}

fn read(config: &TlsConfig) -> Result<Looked, TlsError> {
    let clients = config.clients.as_ref();
    let files = Files {
        certificate: certificates::read(&config.certificate)?,
        key: certificates::read(&config.key)?,
        authorities: clients
            .map(|clients| certificates::read(&clients.authorities))
            .transpose()?,
    };
    let exposed = others_can_read(&config.key);
    Ok(Looked { files, exposed })
}

fn made(config: &TlsConfig, files: &Files) -> Result<Made, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let identity = certificates::identity(
        (&config.certificate, &files.certificate),
        (&config.key, &files.key),
    )?;
    let chain = identity.cert.clone();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Protocols)?;
    let builder = match config.clients.as_ref().zip(files.authorities.as_ref()) {
        None => builder.with_no_client_auth(),
        Some((clients, authorities)) => {
            let file = &clients.authorities;
            let roots = certificates::authorities(file, authorities)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if clients.of_everyone {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            let verifier = verifier
                .build()
                .map_err(|error| TlsError::Authorities(file.clone(), error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut made = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    made.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Made {
        config: Arc::new(made),
        chain,
    })
}

fn others_can_read(key: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(key).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

/// Not refused, as the secrets of the data directory are: the key is the operator's own file, and
/// where secrets are mounted its mode is often not theirs to choose.
fn warn_if(exposed: bool, key: &Path) {
    if exposed {
        tracing::warn!(file = %key.display(), "everybody on this machine can read the private key of the listener");
    }
}

/// Why the certificate of a client was refused, if that is why a handshake has failed.
fn refusal(error: &io::Error) -> Option<&'static str> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::NoCertificatesPresented => {
            "it shows none, and --tls-client-certs everyone asks for one"
        }
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "no authority in --tls-client-ca vouches for it"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "it is not valid yet"
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "its extended key usage does not name clients"
            }
            _ => "it is damaged, or uses something of X.509 that is not supported",
        },
        _ => return None,
    })
}
