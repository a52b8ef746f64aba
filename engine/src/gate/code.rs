//! Every reason for which the gate refuses a request: one table for answers, records and metrics.
//! `docs/failures.md` says for each what it means and what helps; a test keeps it complete.

use crate::identity::RefusalCode;
use crate::upstreams::OperationError;

macro_rules! codes {
    ($( $variant:ident = $name:literal, $status:literal, $title:literal; )+) => {
        /// Why a request was refused. The names are part of the interface: a name never changes its
        /// meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            /// The caller could not be verified; 401 with the identity's own code.
            Identity(RefusalCode),
            $( #[doc = $title] $variant, )+
        }

        impl Code {
            /// Every code but those of [`RefusalCode`], which has a list of its own.
            pub const OWN: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The stable name, for example `denied`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Identity(code) => code.as_str(),
                    $( Self::$variant => $name, )+
                }
            }

            /// The HTTP status of the answer.
            pub const fn status(self) -> u16 {
                match self {
                    Self::Identity(code) => code.http_status(),
                    $( Self::$variant => $status, )+
                }
            }

            /// The `title` of the problem (RFC 9457 §3.1.3): the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self {
                    Self::Identity(code) => code.summary(),
                    $( Self::$variant => $title, )+
                }
            }
        }
    };
}

codes! {
    Denied = "denied", 403, "The policy does not allow this request.";
    UnknownConnection = "unknown_connection", 403, "The policy has no connection for this host.";
    AmbiguousPath = "ambiguous_path", 400, "The path could be read in more than one way.";
    InvalidHost = "invalid_host", 400, "The host cannot be read in one way.";
    InvalidMethod = "invalid_method", 400, "The method is not one that is let through.";
    MethodOverride = "method_override", 400, "The request overrides its own method.";
    BatchNotSupported = "batch_not_supported", 403, "A batch cannot be decided as one request.";
    InvalidHeaders = "invalid_headers", 400, "The request's headers cannot be read.";
    UpgradeNotSupported = "upgrade_not_supported", 403, "Upgrades cannot be masked or held.";
    UnreadableRequest = "unreadable_request_encoding", 415, "The request body's encoding cannot be read, and masking applies.";
    BodyTooLarge = "body_too_large", 413, "The rule needs the whole body, and it is larger than the gate keeps.";
    BodyUnfinished = "body_unfinished", 408, "The rule needs the whole body, and its end did not come.";
    ExpandedRequest = "expanded_request_too_large", 413, "The request's body becomes too much of what was sent.";
    ExpandedResponse = "expanded_response_too_large", 502, "The response's body becomes too much of what was sent.";
    UnreadableEncoding = "unreadable_encoding", 502, "The response's encoding cannot be read, and masking applies.";
    SecretBlocked = "secret_blocked", 403, "A secret was found that the policy does not let pass.";
    ApprovalRequired = "approval_required", 403, "A human must approve this request; send it again once they have.";
    ApprovalTimeout = "approval_timeout", 403, "Nobody answered while the request waited.";
    ApprovalDenied = "approval_denied", 403, "A human denied this request.";
    ApprovalExpired = "approval_expired", 403, "Nobody answered in time.";
    TooManyPending = "too_many_pending", 429, "Too many requests already wait for a human's answer.";
    NoPolicy = "no_policy", 503, "The gate has no policy yet.";
    ControlPlaneUnavailable = "control_plane_unavailable", 503, "The control plane does not answer, and this request needs a human.";
    AuditUnavailable = "audit_unavailable", 503, "The record cannot be made durable, and the rule requires it.";
    AuditFull = "audit_full", 503, "Records are waiting to be stored and there is no room for more.";
    ClaimedIdentity = "claimed_identity", 400, "The request asks the upstream to act for somebody else.";
}

impl Code {
    /// Every code there is.
    pub fn all() -> impl Iterator<Item = Self> {
        RefusalCode::ALL
            .iter()
            .map(|code| Self::Identity(*code))
            .chain(Self::OWN.iter().copied())
    }
}

impl From<OperationError> for Code {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Method | OperationError::EchoingMethod => Self::InvalidMethod,
            OperationError::MethodOverride => Self::MethodOverride,
            OperationError::ClaimedIdentity => Self::ClaimedIdentity,
            OperationError::AmbiguousPath(_) => Self::AmbiguousPath,
            OperationError::Batch => Self::BatchNotSupported,
        }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
