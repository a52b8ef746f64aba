//! Certificates and private keys in files: read, taken apart, and told what is wrong with them.
//!
//! Both ends use it: the listener of the control plane, and the command line with its client
//! certificate.
//!
//! # Promises
//! - No error, shown or debugged, holds a byte of a file. The parser's own errors do: they quote
//!   the line at which it stops, and where the newlines of a file were lost, that line is the whole
//!   key. So its errors end in this module, and sentences of our own leave it.
//! - Errors name the file, and say what to do.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use zeroize::Zeroizing;

/// Most bytes of one file. All public authorities together have a quarter of it.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// What a file should hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Certificate,
    Key,
}

impl Wanted {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        }
    }
}

/// Why a file cannot be used. Begins a sentence, and holds nothing of the file.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It is a pipe, a device or a directory: reading it may never end.
    NoFile(PathBuf),
    /// It is larger than anything that it should hold.
    TooLarge(PathBuf),
    /// It does not hold what it should.
    Contents(PathBuf, Fault),
    /// A certificate in it cannot be used.
    Certificate(PathBuf, &'static str),
    /// The key in it cannot be used.
    Key(PathBuf),
    /// Certificate and key belong to others.
    Mismatch(PathBuf, PathBuf),
    /// An authority in it cannot be used.
    Authority(PathBuf, &'static str),
}

/// What is wrong with the text of a file. Ends a sentence whose subject is the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    wanted: Wanted,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Empty,
    NoEnd,
    BadBegin,
    Indented,
    NotBase64,
    Encrypted,
    Der,
    ByteOrderMark,
    NotPem,
    /// It holds this, and nothing that is wanted.
    Other(&'static str),
    Unclear,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wanted = self.wanted.as_str();
        match self.why {
            Why::Empty => write!(f, "is empty, and should hold a {wanted} in PEM"),
            Why::NoEnd => f.write_str(
                "has a BEGIN line and no END line for it: its end is cut off, or its newlines were lost",
            ),
            Why::BadBegin => f.write_str(
                "has a BEGIN line that goes on behind its dashes: its newlines were lost, or are written as \\n",
            ),
            Why::Indented => f.write_str(
                "has a BEGIN that does not stand at the beginning of a line: take away what stands before it",
            ),
            Why::NotBase64 => f.write_str(
                "is damaged: what stands between its BEGIN and END lines is no base64",
            ),
            Why::Encrypted => f.write_str(
                "holds a private key that is encrypted with a passphrase, which nobody could give here: decrypt it \
                 with `openssl pkey -in FILE -out NEW`",
            ),
            Why::Der => write!(
                f,
                "is not PEM but binary: convert it with `openssl {} -inform der -in FILE -out NEW`, or from PKCS #12 \
                 with `openssl pkcs12 -in FILE -out NEW -nodes`",
                match self.wanted {
                    Wanted::Certificate => "x509",
                    Wanted::Key => "pkey",
                }
            ),
            Why::ByteOrderMark => f.write_str(
                "begins with a byte order mark: save it as plain ASCII or UTF-8 without one",
            ),
            Why::NotPem => write!(
                f,
                "is not PEM: a {wanted} begins with a line `-----BEGIN …-----`"
            ),
            Why::Other(what) => write!(f, "holds {what} and no {wanted}"),
            Why::Unclear => write!(f, "holds no {wanted} in PEM that can be read"),
        }
    }
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(file, error) => {
                write!(f, "{} cannot be read: {error}", file.display())
            }
            Self::NoFile(file) => write!(
                f,
                "{} is no regular file, so reading it might never end: give the file itself",
                file.display()
            ),
            Self::TooLarge(file) => write!(
                f,
                "{} is larger than 4 MiB, so it is no file of certificates or keys",
                file.display()
            ),
            Self::Contents(file, fault) => write!(f, "{} {fault}", file.display()),
            Self::Certificate(file, why) => write!(
                f,
                "{} holds a certificate that cannot be used: {why}",
                file.display()
            ),
            Self::Key(file) => write!(
                f,
                "{} holds a private key that is damaged, or of a kind that is not supported; RSA from 2048 bits on, \
                 ECDSA with P-256 or P-384, and Ed25519 are",
                file.display()
            ),
            Self::Mismatch(certificate, key) => write!(
                f,
                "the private key in {} is not the one of the first certificate in {}: one of the files is of another \
                 certificate, or the chain begins with an authority's",
                key.display(),
                certificate.display()
            ),
            Self::Authority(file, why) => write!(
                f,
                "{} holds an authority that cannot be used: {why}",
                file.display()
            ),
        }
    }
}

impl std::error::Error for Unusable {}

/// The bytes of a file that may not keep its reader: a regular file, and not a large one. Opening a
/// pipe would wait for somebody who writes into it.
///
/// # Errors
/// When it is not one, or cannot be read.
pub fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let unreadable = |error| Unusable::Unreadable(file.to_owned(), error);
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(nonblocking).unwrap_or_default())
        .open(file)
        .map_err(unreadable)?;
    let metadata = opened.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Unusable::NoFile(file.to_owned()));
    }
    whole(file, opened)
}

/// As [`read`], of whatever the user of a command has named: a pipe of the shell, too.
///
/// # Errors
/// When it cannot be read.
pub fn read_any(file: &Path) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let opened = std::fs::File::open(file);
    whole(
        file,
        opened.map_err(|error| Unusable::Unreadable(file.to_owned(), error))?,
    )
}

fn whole(file: &Path, opened: std::fs::File) -> Result<Zeroizing<Vec<u8>>, Unusable> {
    let mut bytes = Zeroizing::new(Vec::new());
    opened
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Unusable::Unreadable(file.to_owned(), error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Unusable::TooLarge(file.to_owned()));
    }
    Ok(bytes)
}

/// The certificates in the text of a file, one at least.
///
/// # Errors
/// When there is none, or one is damaged.
pub fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let unusable = |error: &PemError| {
        Unusable::Contents(file.to_owned(), fault(Wanted::Certificate, pem, error))
    };
    let all: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&error))?;
    if all.is_empty() {
        return Err(unusable(&PemError::NoItemsFound));
    }
    Ok(all)
}

/// The authorities in the text of a file.
///
/// # Errors
/// When there is none, or one cannot be used.
pub fn authorities(file: &Path, pem: &[u8]) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(file, pem)? {
        roots
            .add(authority)
            .map_err(|error| Unusable::Authority(file.to_owned(), why(&error)))?;
    }
    Ok(roots)
}

/// A certificate with its chain and the key that belongs to it, from the texts of two files.
///
/// # Errors
/// When one of them cannot be used, or they do not go together.
pub fn identity(
    (certificate, chain): (&Path, &[u8]),
    (key, secret): (&Path, &[u8]),
) -> Result<CertifiedKey, Unusable> {
    let chain = certificates(certificate, chain)?;
    let secret = PrivateKeyDer::from_pem_slice(secret)
        .map_err(|error| Unusable::Contents(key.to_owned(), fault(Wanted::Key, secret, &error)))?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, secret, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            Unusable::Mismatch(certificate.to_owned(), key.to_owned())
        }
        rustls::Error::InvalidCertificate(_) | rustls::Error::Other(_) => {
            Unusable::Certificate(certificate.to_owned(), why(&error))
        }
        // Of all others only the key can be the cause.
        _ => Unusable::Key(key.to_owned()),
    })
}

/// Why a certificate cannot be used.
fn why(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::BadEncoding) => "it is damaged",
        // Of a library below rustls, which is told apart by its text alone.
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
        | rustls::Error::Other(other)
            if other.0.to_string().contains("UnsupportedCertVersion") =>
        {
            "it is of version 1 of X.509; make one of version 3, with the names of the host as subject alternative \
             names"
        }
        _ => "it is damaged, or uses something of X.509 that is not supported",
    }
}

/// What is wrong with a text that the parser has refused.
fn fault(wanted: Wanted, pem: &[u8], error: &PemError) -> Fault {
    let why = match error {
        _ if wanted == Wanted::Key && is_encrypted(pem) => Why::Encrypted,
        PemError::MissingSectionEnd { .. } => Why::NoEnd,
        PemError::IllegalSectionStart { .. } => Why::BadBegin,
        PemError::Base64Decode(_) => Why::NotBase64,
        PemError::NoItemsFound => instead(pem),
        _ => Why::Unclear,
    };
    Fault { wanted, why }
}

fn holds(text: &[u8], part: &str) -> bool {
    text.windows(part.len())
        .any(|window| window == part.as_bytes())
}

fn is_encrypted(pem: &[u8]) -> bool {
    holds(pem, "BEGIN ENCRYPTED PRIVATE KEY") || holds(pem, "Proc-Type: 4,ENCRYPTED")
}

/// What a file holds that has no section of the kind that is wanted.
fn instead(pem: &[u8]) -> Why {
    const KINDS: &[(&str, &str)] = &[
        ("BEGIN CERTIFICATE REQUEST", "a request for a certificate"),
        (
            "BEGIN NEW CERTIFICATE REQUEST",
            "a request for a certificate",
        ),
        (
            "BEGIN TRUSTED CERTIFICATE",
            "a certificate in a form that OpenSSL alone reads",
        ),
        ("BEGIN CERTIFICATE", "a certificate"),
        ("BEGIN X509 CRL", "a list of revoked certificates"),
        ("BEGIN PKCS7", "a bundle of PKCS #7"),
        ("BEGIN PUBLIC KEY", "a public key"),
        (
            "BEGIN OPENSSH PRIVATE KEY",
            "a key in a form that OpenSSH alone reads",
        ),
        ("PRIVATE KEY-----", "a private key"),
        ("BEGIN EC PARAMETERS", "parameters of a curve"),
    ];
    match pem {
        [] => return Why::Empty,
        [0x30, 0x80..=0x84, ..] => return Why::Der,
        [0xEF, 0xBB, 0xBF, ..] | [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => return Why::ByteOrderMark,
        _ if pem.iter().all(u8::is_ascii_whitespace) => return Why::Empty,
        _ if !holds(pem, "-----BEGIN ") => return Why::NotPem,
        _ => {}
    }
    let mut lines = pem.split(|byte| matches!(byte, b'\n' | b'\r'));
    if !lines.any(|line| line.starts_with(b"-----BEGIN ")) {
        return Why::Indented;
    }
    let found = KINDS.iter().find(|(label, _)| holds(pem, label));
    found.map_or(Why::Unclear, |(_, what)| Why::Other(what))
}

/// A certificate that is not valid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lapse {
    /// Since then.
    Expired(SystemTime),
    /// Until then.
    NotYet(SystemTime),
}

/// The first certificate of a chain that is not valid now. That its authority is unknown here is no
/// matter: the time is looked at before.
pub fn lapse(chain: &[CertificateDer<'_>]) -> Option<Lapse> {
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let nobody = RootCertStore::empty();
    let at = |time: UnixTime| SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs());
    chain.iter().find_map(|certificate| {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        let verified = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &nobody,
            &[],
            UnixTime::now(),
            algorithms.all,
        );
        match verified {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after,
                ..
            })) => Some(Lapse::Expired(at(not_after))),
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => Some(Lapse::NotYet(at(not_before))),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl x509 -req` without extensions.
    const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBJDCBywIUCX/oMUe9+VRWCFfvK1rQOWPJ6SkwCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEzMDAxNTYzM1oYDzIxMjYxMTA2MDE1NjMz
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AASpSoYuWVQER8TzWqCU3j1eKpX+ENX6yksTlY0qQMkHPFet1MyDqyjZJ/MsrnzB
XtqidImanhq1iUZWs3MHT9CmMAoGCCqGSM49BAMCA0gAMEUCIQCtdmj1k4F/RvKA
sbeIsgmQX7mtTgpNJZzBpbV4F4QdowIgfJa8V0p7sPuNncbbkoY+mt7ToxztG6XV
df2vYi3q15g=
-----END CERTIFICATE-----
";

    fn pair() -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn told(certificate: &str, key: &str) -> String {
        let paths = (Path::new("tls.crt"), Path::new("tls.key"));
        let error = identity((paths.0, certificate.as_bytes()), (paths.1, key.as_bytes()));
        let error = error.expect_err("it cannot be used");
        format!("{error}\n{error:?}")
    }

    /// Whether any part of the secret is in it, as it stands in the file or in decimal.
    fn quotes(text: &str, key: &str) -> bool {
        let body: String = key.lines().filter(|line| !line.contains("----")).collect();
        let decimal = |part: &[u8]| {
            let numbers: Vec<String> = part.iter().map(u8::to_string).collect();
            numbers.join(", ")
        };
        body.as_bytes().windows(8).any(|part| {
            text.contains(&String::from_utf8_lossy(part).into_owned())
                || text.contains(&decimal(part))
        })
    }

    /// Ways in which copying and templates damage PEM.
    fn damaged(key: &str) -> Vec<(String, &'static str)> {
        let lines: Vec<&str> = key.lines().collect();
        let cut = lines[..lines.len() - 1].join("\n");
        vec![
            (key.replace('\n', " "), "no END line"),
            (key.replace('\n', "\\n"), "written as \\n"),
            (key.replace('\n', ""), "no END line"),
            (
                format!("\"{}\"", key.replace('\n', "\\n")),
                "beginning of a line",
            ),
            (cut, "no END line"),
            (
                key.replace("-----\n", "----\n"),
                "goes on behind its dashes",
            ),
            (
                lines.join("\n  ").replace("-----BEGIN", "  -----BEGIN"),
                "beginning of a line",
            ),
            (key.replacen("M", "!", 1), "no base64"),
            (key.replace("PRIVATE", "ENCRYPTED PRIVATE"), "passphrase"),
            (key.replace("PRIVATE", "OPENSSH PRIVATE"), "OpenSSH"),
            (String::new(), "is empty"),
            ("garbage".to_owned(), "is not PEM"),
            (format!("\u{feff}{key}"), "byte order mark"),
        ]
    }

    #[test]
    fn no_error_quotes_the_key_and_each_says_what_is_wrong() {
        let (certificate, key) = pair();
        for (damaged, said) in damaged(&key) {
            let text = told(&certificate, &damaged);
            assert!(text.contains(said), "{said}: {text}");
            assert!(text.starts_with("tls.key "), "{text}");
            assert!(!quotes(&text, &key), "{text}");
            // A file with both, given as the certificate.
            let text = told(&format!("{certificate}{damaged}"), &damaged);
            assert!(!quotes(&text, &key), "{text}");
        }
        assert!(quotes(&key, &key), "the test sees what it looks for");
        assert!(
            told(VERSION_1, &key)
                .contains("tls.crt holds a certificate that cannot be used: it is of version 1")
        );
        let other = pair().1;
        assert!(told(&certificate, &other).contains("is not the one of"));
        assert!(told(&key, &key).contains("tls.crt holds a private key and no certificate"));
        assert!(
            told(&certificate, &certificate).contains("holds a certificate and no private key")
        );
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let pipe = temp.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        for file in [pipe.as_path(), temp.path(), Path::new("/dev/zero")] {
            let error = read(file).unwrap_err().to_string();
            assert!(error.contains("no regular file"), "{error}");
        }
        let large = temp.path().join("large");
        let file = std::fs::File::create(&large).unwrap();
        file.set_len(MOST_BYTES + 1).unwrap();
        assert!(read(&large).unwrap_err().to_string().contains("4 MiB"));
    }

    #[test]
    fn certificates_that_are_not_valid_now_are_told() {
        let key = rcgen::KeyPair::generate().unwrap();
        let valid = |from: i32, to: i32| {
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
            lapse(&[params.self_signed(&key).unwrap().der().clone()])
        };
        assert_eq!(valid(2000, 4000), None);
        assert!(matches!(valid(2000, 2001), Some(Lapse::Expired(_))));
        assert!(matches!(valid(3000, 3001), Some(Lapse::NotYet(_))));
    }
}
