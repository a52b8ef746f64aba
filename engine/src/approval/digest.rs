//! Which parts of a request an approval binds to.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256 over the parts that an approval binds to, as 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestDigest(String);

impl RequestDigest {
    /// The digest as hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The body, as far as it is known when the digest is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyBinding<'a> {
    /// The whole body, possibly empty, by its SHA-256.
    Whole([u8; 32]),
    /// The body cannot be seen before the verdict (the "headers" hold profile). The digest is then
    /// bound to this one stream by its record id: a later request with another body can never
    /// match it.
    Unseen {
        /// The record of the one stream that the approval is good for.
        record: &'a str,
    },
}

/// The parts of a request that an approval binds to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundRequest<'a> {
    /// Issuer of the subject: the same `sub` of another issuer is another person.
    pub issuer: &'a str,
    /// Verified subject.
    pub subject: &'a str,
    /// Verified agent, if the token names one.
    pub agent: Option<&'a str>,
    /// Connection name.
    pub connection: &'a str,
    /// Method as sent.
    pub method: &'a str,
    /// Host, lower case, without port.
    pub host: &'a str,
    /// Path exactly as it goes upstream, without query.
    pub path: &'a str,
    /// Query exactly as it goes upstream; `None` differs from empty.
    pub query: Option<&'a str>,
    /// `content-type` as it goes upstream: the same bytes mean another thing under another type.
    pub content_type: Option<&'a [u8]>,
    /// `content-encoding` as it goes upstream, every line of it: as with the type, it says what the
    /// bytes mean.
    pub content_encoding: Option<&'a [u8]>,
    /// The body.
    pub body: BodyBinding<'a>,
}

impl BoundRequest<'_> {
    /// The digest. Every part goes in with its length before it, so no two different requests can
    /// be spelled as the same bytes by moving text from one part into the next.
    pub fn digest(&self) -> RequestDigest {
        let mut hash = Sha256::new();
        hash.update(b"chaperone/approval/v1\0");
        let mut part = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => {
                hash.update([1]);
                hash.update((bytes.len() as u64).to_be_bytes());
                hash.update(bytes);
            }
            None => hash.update([0]),
        };
        part(Some(self.issuer.as_bytes()));
        part(Some(self.subject.as_bytes()));
        part(self.agent.map(str::as_bytes));
        part(Some(self.connection.as_bytes()));
        part(Some(self.method.as_bytes()));
        part(Some(self.host.as_bytes()));
        part(Some(self.path.as_bytes()));
        part(self.query.map(str::as_bytes));
        part(self.content_type);
        part(self.content_encoding);
        match self.body {
            BodyBinding::Whole(sha256) => {
                part(Some(b"whole"));
                part(Some(&sha256));
            }
            BodyBinding::Unseen { record } => {
                part(Some(b"unseen"));
                part(Some(record.as_bytes()));
            }
        }
        RequestDigest(crate::base::digest::hex(&hash.finalize()))
    }
}

/// SHA-256 of a body, for [`BodyBinding::Whole`].
pub fn body_sha256(body: &[u8]) -> [u8; 32] {
    let mut hash = BodyHash::default();
    hash.update(body);
    hash.sha256()
}

/// The same of a body that is read in parts.
#[derive(Debug, Clone, Default)]
pub struct BodyHash(Sha256);

impl BodyHash {
    /// Reads the next part.
    pub fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    /// Of all parts.
    pub fn sha256(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
