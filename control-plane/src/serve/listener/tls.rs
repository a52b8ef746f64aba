//! TLS on the listener: certificates from files, which may be replaced while it runs.
//!
//! rustls with ring, as everywhere in this program. A crate that brings a whole server with TLS
//! (axum-server) was weighed: its loop takes connections as `axum::serve` does, without bounds.
//!
//! # Promises
//! - Files that cannot be used never replace those in use: the log says why, and the listener goes on.
//! - Replacing files ends no connection: each keeps what it was made with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// How often the files are read to see whether they have changed. Their bytes are compared: times of files say
/// nothing where a directory is swapped by a link, as Kubernetes does with secrets.
const LOOK: Duration = Duration::from_secs(2);

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
    /// A file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A file is not PEM of what it should hold.
    NotPem(PathBuf, &'static str, PemError),
    /// A file holds none of what it should hold.
    Empty(PathBuf, &'static str),
    /// An authority cannot be used.
    Authority(PathBuf, rustls::Error),
    /// The authorities together cannot be used.
    Authorities(PathBuf, VerifierBuilderError),
    /// Certificate and key do not go together, or cannot be used.
    Unusable(PathBuf, PathBuf, rustls::Error),
}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(file, error) => {
                write!(f, "{} cannot be read: {error}", file.display())
            }
            Self::NotPem(file, what, error) => {
                write!(f, "{} is not PEM of {what}: {error}", file.display())
            }
            Self::Empty(file, what) => write!(f, "{} holds no {what}", file.display()),
            Self::Authority(file, error) => {
                write!(
                    f,
                    "{} holds an authority that cannot be used: {error}",
                    file.display()
                )
            }
            Self::Authorities(file, error) => {
                write!(
                    f,
                    "the authorities in {} cannot be used: {error}",
                    file.display()
                )
            }
            Self::Unusable(certificate, key, error) => write!(
                f,
                "the certificate in {} and the key in {} cannot be used together: {error}",
                certificate.display(),
                key.display()
            ),
        }
    }
}

/// What connections are secured with.
pub(in crate::serve) struct Tls {
    config: TlsConfig,
    current: RwLock<Arc<ServerConfig>>,
}

/// The bytes of the files.
#[derive(PartialEq)]
struct Files {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    authorities: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(in crate::serve) fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let current = made(&config, &read(&config)?)?;
        warn_if_others_can_read(&config.key);
        Ok(Self {
            config,
            current: RwLock::new(current),
        })
    }

    /// Whether clients are asked for certificates.
    pub(super) fn asks_for_certificates(&self) -> bool {
        self.config.clients.is_some()
    }

    /// For a connection that comes now.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current).into()
    }

    /// Takes up files that are replaced, for as long as it is polled.
    pub(super) async fn follow(self: Arc<Self>) {
        let mut last = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let config = self.config.clone();
            let looked = tokio::task::spawn_blocking(move || read(&config));
            let Ok(files) = looked.await else { return };
            last = self.took_up(last, files);
        }
    }

    /// Takes the files up if they are others than `last`, which is returned for the next time.
    fn took_up(
        &self,
        last: Option<Result<Files, String>>,
        files: Result<Files, TlsError>,
    ) -> Option<Result<Files, String>> {
        let files = files.map_err(|error| error.to_string());
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
                    warn_if_others_can_read(&self.config.key);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the files for TLS have changed and cannot be used; those before stay in use");
            }
        }
        Some(files)
    }
}

fn read(config: &TlsConfig) -> Result<Files, TlsError> {
    let bytes =
        |file: &Path| fs::read(file).map_err(|error| TlsError::Unreadable(file.to_owned(), error));
    let clients = config.clients.as_ref();
    Ok(Files {
        certificate: bytes(&config.certificate)?,
        key: Zeroizing::new(bytes(&config.key)?),
        authorities: clients
            .map(|clients| bytes(&clients.authorities))
            .transpose()?,
    })
}

fn made(config: &TlsConfig, files: &Files) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&config.certificate, &files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&files.key)
        .map_err(|error| TlsError::NotPem(config.key.clone(), "a private key", error))?;
    let unusable =
        |error| TlsError::Unusable(config.certificate.clone(), config.key.clone(), error);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match config.clients.as_ref().zip(files.authorities.as_ref()) {
        None => builder.with_no_client_auth(),
        Some((clients, authorities)) => {
            let file = &clients.authorities;
            let mut roots = RootCertStore::empty();
            for authority in certificates(file, authorities)? {
                roots
                    .add(authority)
                    .map_err(|error| TlsError::Authority(file.clone(), error))?;
            }
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
    let mut made = builder.with_single_cert(chain, key).map_err(unusable)?;
    made.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(made))
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::NotPem(file.to_owned(), "certificates", error))?;
    if all.is_empty() {
        return Err(TlsError::Empty(file.to_owned(), "certificate"));
    }
    Ok(all)
}

/// Not refused, as the secrets of the data directory are: the key is the operator's own file, and where
/// secrets are mounted its mode is often not theirs to choose.
fn warn_if_others_can_read(key: &Path) {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata(key).is_ok_and(|metadata| metadata.mode() & 0o004 != 0) {
        tracing::warn!(file = %key.display(), "everybody on this machine can read the private key of the listener");
    }
}
