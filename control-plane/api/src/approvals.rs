//! Approvals as approvers see them.

use chaperone_engine::approval::Answer;
pub use chaperone_engine::approval::ApprovalState;
use chaperone_engine::audit::RequestLine;
use chaperone_engine::base::time::UnixMillis;
use chaperone_engine::identity::Principal;
use chaperone_engine::link::BodyPreview;
use chaperone_engine::policy::ApproveTerms;
use chaperone_engine::upstreams::Operation;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::schema;

/// One question: may this request pass?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Approval {
    /// Its id, as the agent was told.
    pub id: String,
    /// `pending`, `approved`, `denied`, `expired` or `spent`.
    #[schema(value_type = String)]
    pub state: ApprovalState,
    /// Who asks.
    #[schema(value_type = schema::Principal)]
    pub principal: Principal,
    /// Connection by name.
    pub connection: String,
    /// What the request does.
    #[schema(value_type = schema::Operation)]
    pub operation: Operation,
    /// The request, masked.
    #[schema(value_type = schema::RequestLine)]
    pub request: RequestLine,
    /// `content-type` of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The beginning of the masked body; absent where the gate does not see it, and in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::BodyPreview>)]
    pub body: Option<BodyPreview>,
    /// How much of the body approvers can see, in lists, too.
    #[serde(default)]
    pub body_shown: BodyShown,
    /// The rule that wants a human.
    pub rule: String,
    /// Its reason.
    pub reason: String,
    /// Its terms.
    #[schema(value_type = schema::ApproveTerms)]
    pub terms: ApproveTerms,
    /// Policy version under which the question was asked.
    pub policy_version: u64,
    /// What the approval binds to: SHA-256, 64 hex digits.
    pub digest: String,
    /// Name of the node that asked first.
    pub node: String,
    /// The record that asked first.
    pub record: String,
    /// How many records have asked.
    pub records: u64,
    /// When the question was asked.
    #[schema(value_type = u64)]
    pub asked_at: UnixMillis,
    /// When silence denies it.
    #[schema(value_type = u64)]
    pub expires_at: UnixMillis,
    /// When it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub decided_at: Option<UnixMillis>,
    /// When the grant ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub grant_ends_at: Option<UnixMillis>,
    /// The record that has used the one-time grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent_by: Option<String>,
    /// What people answered, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<ApprovalAnswer>,
}

/// How much of a request's body its approvers can see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyShown {
    /// All of it, masked; also when the request has none.
    Whole,
    /// Its beginning: it is longer than the gate's preview.
    Beginning,
    /// Nothing: the gate does not see it, since it is encoded or decides on headers alone.
    #[default]
    Nothing,
}

impl BodyShown {
    /// How much a preview shows.
    pub fn by(preview: Option<&BodyPreview>) -> Self {
        match preview {
            None => Self::Nothing,
            Some(preview) if preview.truncated => Self::Beginning,
            Some(_) => Self::Whole,
        }
    }

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Beginning => "beginning",
            Self::Nothing => "nothing",
        }
    }
}

/// What one person answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalAnswer {
    /// The person's subject.
    pub by: String,
    /// `approve` or `deny`.
    #[schema(value_type = String)]
    pub answer: Answer,
    /// Their words: a comment, or the reason of a denial, which the agent is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// When.
    #[schema(value_type = u64)]
    pub at: UnixMillis,
}

/// Says yes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// A word to the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    /// Why; the agent is told. Not empty.
    pub reason: String,
}

/// Which approvals. All that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ApprovalFilter {
    /// `pending`, `approved`, `denied`, `expired` or `spent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub state: Option<ApprovalState>,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Connection by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    /// The rule that wants a human.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}
