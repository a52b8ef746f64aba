//! Why a caller was not let in: stable codes and sentences.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($( $variant:ident = $name:literal, $summary:literal; )+) => {
        /// Why a token was refused. Names are part of the interface: answers, records, metrics and
        /// docs use them, so a name never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
        pub enum RefusalCode {
            $( #[doc = $summary] #[serde(rename = $name)] $variant, )+
        }

        impl RefusalCode {
            /// Every code, for metrics and for the table in the docs.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )+ ];

            /// The stable name, for example `token_expired`.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// One sentence for people about the fault.
            pub const fn summary(self) -> &'static str {
                match self { $( Self::$variant => $summary, )+ }
            }
        }
    };
}

codes! {
    TokenMissing = "token_missing", "The request carries no bearer token.";
    SeveralTokens = "several_tokens", "The request carries more than one Authorization value.";
    WrongScheme = "wrong_scheme", "The Authorization header does not use the Bearer scheme.";
    TokenTooLarge = "token_too_large", "The token is larger than the gate reads.";
    TokenMalformed = "token_malformed", "The token is not a signed JWT in compact form.";
    DuplicateClaim = "duplicate_claim", "A JSON object in the token has the same member twice.";
    AlgorithmNotAllowed = "algorithm_not_allowed", "The token's algorithm is not allowed for this issuer or this key.";
    TypeNotAllowed = "type_not_allowed", "The token's `typ` says that it is not an access or identity token.";
    CriticalHeader = "critical_header", "The token demands a header extension that the gate does not know.";
    EmbeddedKey = "embedded_key", "The token brings its own key or a link to one.";
    UnknownIssuer = "unknown_issuer", "The token's issuer is not in the policy.";
    UnknownKey = "unknown_key", "The issuer's key set has no key that the token names.";
    SignatureInvalid = "signature_invalid", "The signature does not verify.";
    TokenExpired = "token_expired", "The token has expired.";
    TokenNotYetValid = "token_not_yet_valid", "The token is not valid yet.";
    AudienceMismatch = "audience_mismatch", "The token was made for somebody else.";
    ClaimMissing = "claim_missing", "A claim that the gate needs is not in the token.";
    ClaimInvalid = "claim_invalid", "A claim that the gate needs has the wrong type or an impossible value.";
    GroupsOverage = "groups_overage", "The caller is in too many groups for the token, so the groups are not in it.";
}

impl RefusalCode {
    /// The HTTP status of the answer. Always 401: the gate does not know who is calling.
    pub const fn http_status(self) -> u16 {
        401
    }

    /// The `error` attribute of the `WWW-Authenticate: Bearer` challenge (RFC 6750 §3.1). `None`
    /// when no token was presented: the challenge then says only that one is needed.
    pub const fn challenge_error(self) -> Option<&'static str> {
        match self {
            Self::TokenMissing | Self::WrongScheme => None,
            Self::SeveralTokens => Some("invalid_request"),
            _ => Some("invalid_token"),
        }
    }
}

impl std::fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A token that was not accepted.
///
/// Safe to log and to send back: `detail` holds no byte of the token beyond a shortened, printable
/// `kid` and issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub code: RefusalCode,
    /// A sentence that says how to mend it.
    pub detail: String,
    /// Set when fetching the issuer's key set again may help.
    pub unknown_key: Option<UnknownKey>,
    /// Whom the token was made for, where its signature was good. For the trail; the answer does
    /// not say it.
    pub owner: Option<Box<TokenOwner>>,
}

/// Whom a token was made for, as its issuer has signed. Whether they sent it is another question: a
/// refused one that is too old, or was made for another audience, may be stolen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TokenOwner {
    /// The issuer, one of the policy's.
    pub issuer: String,
    /// The subject, by the claim that the policy names.
    pub subject: String,
}

/// A key that a known issuer's set does not have, so that a refresh can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
pub struct UnknownKey {
    /// An issuer of the policy, never one that only the token names.
    pub issuer: String,
    /// The key id that the token asks for, shortened and printable. Chosen by whoever sent the
    /// token: use it to explain, not to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            unknown_key: None,
            owner: None,
        }
    }

    /// Of a token whose signature is good, and that was made for `owner`.
    pub(crate) fn of(self, owner: Option<TokenOwner>) -> Self {
        Self {
            owner: owner.map(Box::new),
            ..self
        }
    }

    pub(crate) fn unknown_key(issuer: &str, kid: Option<&str>, detail: impl Into<String>) -> Self {
        Self {
            code: RefusalCode::UnknownKey,
            detail: detail.into(),
            unknown_key: Some(UnknownKey {
                issuer: issuer.to_owned(),
                kid: kid.map(printable),
            }),
            owner: None,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Refusal {}

/// Characters of an unverified value that a message may carry.
const PRINTABLE_LIMIT: usize = 100;

/// An unverified value made safe for logs, headers and terminals: printable ASCII only (no line
/// breaks that forge log lines, no escape sequences, no bidirectional controls), and short.
pub(crate) fn printable(value: &str) -> String {
    let mut out: String = value
        .chars()
        .take(PRINTABLE_LIMIT)
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .collect();
    if value.chars().nth(PRINTABLE_LIMIT).is_some() {
        out.push_str("...");
    }
    out
}
