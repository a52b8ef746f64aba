//! What a request does, in the upstream's own terms, and how upstreams write their answers.
//!
//! # Operations
//!
//! A rule that says `operations: ["*/read"]` is only as good as the answer to "is this request a
//! read?". This module gives that answer from the method and the request target alone, for each
//! [`Protocol`] that a connection may speak:
//!
//! | protocol | operation | where |
//! |---|---|---|
//! | `http` | `GET /v1/models` | `http.rs` |
//! | `azure-arm` | `Microsoft.Storage/storageAccounts/listKeys/action` | `azure_arm/` |
//!
//! # Answers
//!
//! Masking has to know where the texts of an answer stand that go on over many events. Each family
//! of upstreams has its `Dialect` for that. A protocol is what a policy says of a connection; a
//! dialect is seen in the body itself, whichever connection it came from. What is known of whole
//! documents stands in the same files: where OpenAI's answers have log probabilities, and where
//! Kubernetes keeps secrets. This module states facts only; how they are used is `masking`'s to
//! say.
//!
//! # A new upstream
//!
//! All that is known of one upstream stands in its own file: an `Upstream` if its requests have
//! names of their own, a `Dialect` if its answers are written in one that is not known yet. A new
//! one is such a file and a row in the table `upstreams!` or in `DIALECTS`. `docs/operations.md`
//! and `docs/extending/deltas.md` have the recipes.
//!
//! # Promises
//!
//! - Only a target with one reading gets an operation: [`RequestTarget`] has no other values.
//! - A request whose meaning is not known never looks like one whose meaning is: it becomes
//!   `unknown/http-post` and the like, which none of `*/read`, `*/write`, `*/delete`, `*/action`
//!   matches.

mod ag_ui;
mod anthropic;
mod azure_arm;
mod cohere;
mod common;
mod dialect;
mod gemini;
mod http;
mod json_rpc;
pub(crate) mod kubernetes;
mod ollama;
mod openai;
mod operation;
mod text_generation_inference;
mod upstream;
mod vercel;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use common::{DELTA, DELTAS, INDEX, TYPE, error_event, error_line};
pub(crate) use dialect::{Dialect, ErrorEvent, Index, Last, Part, Refused, Sign, Stem, Typed};
pub(crate) use openai::LOG_PROBABILITIES;
pub use operation::{Operation, OperationError};

use crate::request::RequestTarget;
use crate::request::headers::Claim;
#[cfg(feature = "authoring")]
pub use upstream::Requests;
use upstream::Upstream;

/// The table of upstreams: the variant that policies name, and the file that has its `Upstream`.
macro_rules! upstreams {
    ($($(#[$doc:meta])* $variant:ident => $file:ident,)+) => {
        /// How a connection's upstream names what is done to it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
        #[serde(rename_all = "kebab-case")]
        pub enum Protocol {
            $($(#[$doc])* $variant,)+
        }

        impl Protocol {
            /// Every protocol, in the order in which documentation lists them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn upstream(self) -> &'static Upstream {
                match self {
                    $(Self::$variant => &$file::UPSTREAM,)+
                }
            }
        }
    };
}

upstreams! {
    /// Any HTTP API: the operation is the method and the path, `GET /v1/models`.
    Http => http,
    /// Azure Resource Manager: the operation is the Azure RBAC action,
    /// `Microsoft.Storage/storageAccounts/read`.
    AzureArm => azure_arm,
}

/// The table of dialects, whichever upstreams speak them.
pub(crate) static DIALECTS: &[&Dialect] = &[
    &common::COMMON,
    &openai::CHAT_COMPLETIONS,
    &openai::RESPONSES,
    &anthropic::MESSAGES,
    &gemini::CANDIDATES,
    &cohere::CHAT,
    &ollama::LINES,
    &text_generation_inference::TOKENS,
    &vercel::DATA_STREAM,
    &ag_ui::EVENTS,
    &json_rpc::MESSAGES,
];

impl Protocol {
    /// The name that policies use.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.upstream().name
    }

    /// Whether the upstream compares paths without case: `/RESOURCEGROUPS/x` is `/resourceGroups/x`
    /// to Azure. Patterns of rules are then compared without case, too; else a deny rule could be
    /// evaded.
    #[must_use]
    pub fn folds_paths(self) -> bool {
        self.upstream().folds_paths
    }

    /// The operations that such requests have: a regular expression over operations in lower case.
    #[cfg(feature = "authoring")]
    #[must_use]
    pub fn operations(self, requests: &Requests<'_>) -> String {
        (self.upstream().operations)(requests)
    }

    /// How its operations look, in words that go on after "operations of ... are".
    #[cfg(feature = "authoring")]
    #[must_use]
    pub fn example(self) -> &'static str {
        self.upstream().example
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Operation {
    /// The operation of `method` on `target` at an upstream that speaks `protocol`.
    ///
    /// # Errors
    /// When the request must be refused whatever the policy says: the method is no method or hides
    /// another, the path means different things to different readers, or one request carries many.
    pub fn of(
        protocol: Protocol,
        method: &str,
        target: &RequestTarget,
    ) -> Result<Self, OperationError> {
        check_method(method)?;
        match target.claimed() {
            None => {}
            Some(Claim::Method) => return Err(OperationError::MethodOverride),
            Some(Claim::Identity) => return Err(OperationError::ClaimedIdentity),
            Some(Claim::Path | Claim::Host) => {
                return Err(OperationError::AmbiguousPath(
                    "a query parameter names another target",
                ));
            }
        }
        (protocol.upstream().describe)(method, target)
    }
}

/// The longest method of a request that is let in at all.
pub(crate) const MAX_METHOD_BYTES: usize = 32;

/// Methods whose answer is the request as the upstream got it. A proxy that puts a credential in
/// would hand it to the agent that way, whatever a rule says of the path (RFC 9110 §9.3.8 asks
/// clients to send nothing secret with TRACE, and the agent cannot know). IIS echoes `TRACK` alike,
/// and takes `DEBUG` for the start of a debugger.
pub(crate) const ECHOING_METHODS: [&str; 3] = ["TRACE", "TRACK", "DEBUG"];

/// Methods are tokens and case-sensitive (RFC 9110 §9.1), but ASP.NET and others compare without
/// case: `delete` would pass a rule that denies `DELETE` and still delete.
fn check_method(method: &str) -> Result<(), OperationError> {
    let is_upper_token =
        |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if method.is_empty() || method.len() > MAX_METHOD_BYTES || !method.bytes().all(is_upper_token) {
        return Err(OperationError::Method);
    }
    if ECHOING_METHODS.contains(&method) {
        return Err(OperationError::EchoingMethod);
    }
    Ok(())
}
