//! Arguments that `mask` and `detectors` share: which format, whose key; and how both fail.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chaperone_engine::gate::PlanError;
use chaperone_engine::masking::{Content, FingerprintKey};
use chaperone_engine::policy::PolicyErrors;
use zeroize::Zeroizing;

use super::failure::Failure;

/// The format of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum BodyFormat {
    /// Look at the first bytes
    #[default]
    Auto,
    /// Plain text, and everything that has no format of its own
    Text,
    /// JSON, one document or several
    Json,
    /// JSON lines
    Ndjson,
    /// Server-sent events, with the streams of the model protocols in them
    Sse,
    /// Form fields, application/x-www-form-urlencoded
    Form,
    /// Parts, multipart/form-data; the boundary is read from the first line
    Multipart,
    /// gRPC messages
    Grpc,
    /// Binary: a replacement has the length of the secret
    Binary,
}

impl BodyFormat {
    /// The media type that stands for it, if one does.
    const fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Auto | Self::Multipart | Self::Text => None,
            Self::Json => Some("application/json"),
            Self::Ndjson => Some("application/x-ndjson"),
            Self::Sse => Some("text/event-stream"),
            Self::Form => Some("application/x-www-form-urlencoded"),
            Self::Grpc => Some("application/grpc"),
            Self::Binary => Some("application/protobuf"),
        }
    }
}

/// What kind of body comes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ContentArgs {
    /// What the input is
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: BodyFormat,
    /// The same, as a Content-Type header says it
    #[arg(long, value_name = "TYPE", conflicts_with = "format")]
    content_type: Option<String>,
}

impl ContentArgs {
    /// Whether [`content`](Self::content) wants to see the first line.
    pub(crate) fn needs_first_line(&self) -> bool {
        self.content_type.is_none() && self.format == BodyFormat::Multipart
    }

    /// The content that the masker is made for. `beginning` is at least the first line of the body
    /// if it [is needed](Self::needs_first_line).
    ///
    /// # Errors
    /// When a multipart body does not begin with its boundary.
    pub(crate) fn content(&self, beginning: &[u8]) -> Result<Content, Failure> {
        if let Some(content_type) = &self.content_type {
            return Ok(Content::of(Some(content_type.as_bytes())));
        }
        if self.format != BodyFormat::Multipart {
            return Ok(match self.format {
                BodyFormat::Text => Content::text(),
                other => Content::of(other.media_type().map(str::as_bytes)),
            });
        }
        let line = beginning.split(|b| *b == b'\n').next().unwrap_or_default();
        let boundary = line.strip_suffix(b"\r").unwrap_or(line).strip_prefix(b"--");
        let boundary = boundary.and_then(|b| std::str::from_utf8(b).ok());
        match boundary {
            Some(boundary) if (1..=70).contains(&boundary.len()) && !boundary.contains('"') => {
                let content_type = format!("multipart/form-data; boundary=\"{boundary}\"");
                Ok(Content::of(Some(content_type.as_bytes())))
            }
            _ => Err(
                Failure::usage("The input does not begin with a multipart boundary.").next(
                    "Say which it is: --content-type 'multipart/form-data; boundary=BOUNDARY'.",
                ),
            ),
        }
    }
}

/// Whose fingerprints replacements have.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeyArgs {
    /// File with the key of the fingerprints, 32 bytes in base64, such as fingerprint.key in the
    /// data directory of `chaperone serve` [default: a random key, so that fingerprints are good
    /// for this run only]
    #[arg(long, value_name = "FILE")]
    fingerprint_key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// The key.
    ///
    /// # Errors
    /// When the file does not hold one.
    pub(crate) fn key(&self) -> Result<FingerprintKey, Failure> {
        let mut bytes = Zeroizing::new([0; 32]);
        let Some(file) = &self.fingerprint_key_file else {
            getrandom::fill(&mut bytes[..])
                .map_err(|e| Failure::failed(format!("There is no randomness: {e}.")))?;
            return Ok(FingerprintKey::from_bytes(*bytes));
        };
        let text = std::fs::read_to_string(file)
            .map(Zeroizing::new)
            .map_err(|e| Failure::usage(format!("Cannot read {}: {e}.", file.display())))?;
        let decoded = Zeroizing::new(STANDARD.decode(text.trim()).unwrap_or_default());
        let key = <[u8; 32]>::try_from(&decoded[..]).map_err(|_| {
            Failure::usage(format!(
                "{} does not hold 32 bytes in base64.",
                file.display()
            ))
        })?;
        bytes.copy_from_slice(&key);
        Ok(FingerprintKey::from_bytes(*bytes))
    }
}

/// What is wrong with what was written on the command line.
pub(crate) fn misused(errors: &PolicyErrors) -> Failure {
    let sentences: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    Failure::usage(format!("Wrong options: {}.", sentences.join(". ")))
}

/// How a command ends when its detectors cannot be made ready.
pub(crate) fn cannot_mask(why: impl Into<PlanError>) -> Failure {
    Failure::failed(format!("The detectors cannot be used: {}.", why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(format: BodyFormat, beginning: &[u8]) -> Result<Content, Failure> {
        let args = ContentArgs {
            format,
            content_type: None,
        };
        args.content(beginning)
    }

    #[test]
    fn a_multipart_body_tells_its_boundary() {
        let body = b"--X-b0undary\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X-b0undary--\r\n";
        assert_eq!(
            content(BodyFormat::Multipart, body).unwrap(),
            Content::of(Some(b"multipart/form-data; boundary=\"X-b0undary\""))
        );
        for wrong in [&b"preamble\r\n--b\r\n"[..], b"", b"--\r\n", b"--a\"b\r\n"] {
            assert!(content(BodyFormat::Multipart, wrong).is_err());
        }
    }

    #[test]
    fn a_key_file_holds_32_bytes_in_base64() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fingerprint.key");
        let args = KeyArgs {
            fingerprint_key_file: Some(file.clone()),
        };
        std::fs::write(&file, STANDARD.encode([7; 32]) + "\n").unwrap();
        let same = FingerprintKey::from_bytes([7; 32]).fingerprint(b"secret");
        assert_eq!(args.key().unwrap().fingerprint(b"secret"), same);
        std::fs::write(&file, STANDARD.encode([7; 31])).unwrap();
        assert!(args.key().is_err());
    }
}
