//! Kubernetes: where its API keeps secrets in JSON.
//!
//! # Sources
//!
//! - Secrets:
//!   <https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/>.
//! - What `kubectl apply` keeps:
//!   <https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/>.

/// What a member of an object is, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// What the object is; see [`Kind::of`].
    Kind,
    /// Of a Secret: its values in base64.
    Data,
    /// Of a Secret: its values as they are.
    StringData,
    /// Of a list: its objects.
    Items,
    /// Of an operation of a JSON patch (RFC 6902): what comes to stand there.
    Value,
    /// The whole object once more, as JSON in a string.
    LastApplied,
    Other,
}

/// The keys that matter in any object, whatever is known of it: those of [`Member::Kind`],
/// [`Member::Data`] and [`Member::StringData`].
pub(crate) const OF_ANY_OBJECT: [&[u8]; 3] = [b"kind", b"data", b"stringData"];

/// What an object says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Secret,
    SecretList,
    Other,
}

impl Member {
    #[inline]
    pub(crate) fn of(key: &[u8]) -> Self {
        match key {
            b"kind" => Self::Kind,
            b"data" => Self::Data,
            b"stringData" => Self::StringData,
            b"items" => Self::Items,
            b"value" => Self::Value,
            b"kubectl.kubernetes.io/last-applied-configuration" => Self::LastApplied,
            _ => Self::Other,
        }
    }
}

impl Kind {
    pub(crate) fn of(says: &[u8]) -> Self {
        match says {
            b"Secret" => Self::Secret,
            b"SecretList" => Self::SecretList,
            _ => Self::Other,
        }
    }
}

/// Whether a request to this path, or its answer, is about Secrets: `…/api/v1/…/secrets…`.
pub(crate) fn is_about_secrets(path: &[u8]) -> bool {
    let path = path.split(|b| *b == b'?').next().unwrap_or_default();
    let mut segments = path.split(|b| *b == b'/').skip_while(|s| *s != b"api");
    segments.nth(1) == Some(b"v1") && segments.any(|s| s == b"secrets")
}

/// Whether the value of this key may be a secret, or hold some, in an object that nothing else is
/// known of.
pub(crate) fn may_hold_secrets(key: &[u8]) -> bool {
    matches!(Member::of(key), Member::Data | Member::StringData) || key.ends_with(b"configuration")
}

/// Whether a key of so many bytes may be one that [`may_hold_secrets`]. Nearly none is, so that
/// most need not be read.
#[inline]
pub(crate) fn has_length_of_one(length: u32) -> bool {
    matches!(length, 4 | 10 | 13..)
}
