//! May this request go on, and how? Can its answer be handled?
//!
//! The proxy reads heads and hands them over as facts; every decision that follows from them is
//! made here, in two functions: [`Gate::admit`] for requests, [`ResponseHead::admit`] for answers.
//!
//! # Promises
//! - The order of the checks is part of the interface: whoever is not known learns nothing about
//!   the policy ([`Gate::identify`] comes before [`Gate::admit`]), and whom the policy denies
//!   learns nothing about masking.
//! - A request that the proxy could neither hold nor mask is refused before anything of it goes on,
//!   and so is an answer before anything of it arrives.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Code, Gate, Refused, Routed};
use crate::identity::Principal;
use crate::masking::{Content, Encoding, Plan};
use crate::policy::{Decision, Direction, Effect};
use crate::request::headers::HeadersRead;

/// The head of a request, as the proxy read it. A text is `None` where it is missing, or no UTF-8.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// `:method`.
    pub method: Option<&'a str>,
    /// `:authority`, or `Host`.
    pub authority: Option<&'a str>,
    /// Path and query.
    pub path: Option<&'a str>,
    /// What its headers say besides.
    pub headers: &'a HeadersRead,
    /// What says where the request goes.
    pub destination: Destination<'a>,
    /// It is CONNECT or an upgrade: its bytes are no body.
    pub is_upgrade: bool,
    /// It is gRPC: its caller may wait for an answer before it ends the body.
    pub is_grpc: bool,
    /// The body that follows, if one does.
    pub body: Option<BodyHead<'a>>,
}

/// What says where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// Its host.
    Host,
    /// The proxy's route, which names a connection; `None` if this route names none. It must not
    /// fall back to the host then, which the agent chooses.
    Route(Option<&'a str>),
}

/// What the head says about the body.
#[derive(Debug, Clone, Copy)]
pub struct BodyHead<'a> {
    /// `content-type`.
    pub content_type: Option<&'a [u8]>,
    /// How it is encoded; `None` if that cannot be read.
    pub encoding: Option<Encoding>,
    /// The proxy can keep all of it before the verdict.
    pub can_be_held: bool,
}

/// A request that was routed and decided on.
#[derive(Debug)]
pub struct Judged<'gate> {
    /// Where it goes and what it does there.
    pub routed: Routed<'gate>,
    /// What the policy says.
    pub decision: Decision,
    /// What is to be masked.
    pub masking: Masking,
    /// How it goes on, or why it does not.
    pub next: Result<Next, Refused>,
}

/// What is to be done with the bodies of one request; `None` where no masking applies.
#[derive(Debug, Clone, Default)]
pub struct Masking {
    /// With the request's.
    pub request: Option<Arc<Plan>>,
    /// With the answer's.
    pub response: Option<Arc<Plan>>,
}

impl Masking {
    /// With those of one direction.
    pub fn plan(&self, direction: Direction) -> Option<&Arc<Plan>> {
        match direction {
            Direction::Request => self.request.as_ref(),
            Direction::Response => self.response.as_ref(),
        }
    }

    /// Whether what was masked in the request is to stand in the answer again. The answer is
    /// changed for it even where nothing is masked in responses.
    pub fn restores(&self) -> bool {
        self.request.as_ref().is_some_and(|plan| plan.remembers())
    }

    /// Whether the answer's body may change.
    pub fn changes_response(&self) -> bool {
        self.response.is_some() || self.restores()
    }
}

/// What happens next to a request that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It goes on, and its body is masked as it streams.
    Forward,
    /// A human is asked. There is no body, or it cannot be seen before the verdict.
    Ask,
    /// The whole body is read first.
    ReadBody(ReadFor),
}

/// What a whole body is read for, which says what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFor {
    /// A human is asked about it. Longer than is kept, it is refused.
    Approval,
    /// Nothing of a body with a secret that the policy blocks is to go on. Longer than is kept, it
    /// goes on as it streams, until such a secret ends it.
    Blocking,
}

impl Gate {
    /// Whether the request of a known caller may go on, and how.
    ///
    /// # Errors
    /// [`Refused`] when it cannot be said where the request goes or what it does there, so that no
    /// rule was asked.
    pub fn admit(
        &self,
        principal: &Principal,
        head: &RequestHead<'_>,
    ) -> Result<Judged<'_>, Refused> {
        let routed = self.read(head)?;
        let decision = self.decide(principal, &routed);
        let masking = self.masking(&routed.connection.name);
        let next = next_step(head, &decision, &masking);
        Ok(Judged {
            routed,
            decision,
            masking,
            next,
        })
    }

    fn read(&self, head: &RequestHead<'_>) -> Result<Routed<'_>, Refused> {
        if let Some((name, claim)) = head.headers.claimed() {
            return Err(Refused::claimed(name, claim));
        }
        if head.method == Some("CONNECT") && head.path.is_none() {
            // It names a host and a port, and no path that a rule could be asked about.
            return Err(Refused::new(
                Code::UpgradeNotSupported,
                "CONNECT asks for a tunnel, whose bytes can be neither decided on nor masked nor held; send the requests \
                 themselves.",
            ));
        }
        let missing = |part: &str| {
            let detail = format!("{part} is missing or no readable text.");
            Refused::new(Code::InvalidHeaders, detail)
        };
        let authority = head.authority.ok_or_else(|| missing("The host"))?;
        let method = head.method.ok_or_else(|| missing("The method"))?;
        let path = head.path.ok_or_else(|| missing("The path"))?;
        let pinned = match head.destination {
            Destination::Host => None,
            Destination::Route(Some(name)) => Some(name),
            Destination::Route(None) => {
                return Err(Refused::new(
                    Code::UnknownConnection,
                    "No connection has this host: Envoy's route for it names none (metadata chaperone.connection).",
                ));
            }
        };
        self.route(pinned, authority, method, path)
    }
}

fn next_step(
    head: &RequestHead<'_>,
    decision: &Decision,
    masking: &Masking,
) -> Result<Next, Refused> {
    let effect = decision.effect;
    if effect == Effect::Deny {
        return Err(Refused::denied(decision));
    }
    let masks = masking.request.is_some() || masking.response.is_some();
    if head.is_upgrade && (masks || effect != Effect::Allow) {
        return Err(Refused::new(
            Code::UpgradeNotSupported,
            "An upgraded connection carries bytes that cannot be masked or held.",
        ));
    }
    if masking.request.is_some() && head.body.is_some_and(|body| !body.is_readable()) {
        return Err(Refused::new(
            Code::UnreadableRequest,
            "Send the body in UTF-8 or another character set with ASCII in it, and without content-encoding or with \
             gzip or deflate: what cannot be read cannot be masked.",
        ));
    }
    let can_be_held = head.body.is_some_and(|body| body.can_be_held);
    let blocks = masking.request.as_ref().is_some_and(|plan| plan.blocks());
    Ok(match effect {
        Effect::Approve if can_be_held => Next::ReadBody(ReadFor::Approval),
        Effect::Approve => Next::Ask,
        // Held to its end, a gRPC stream whose caller waits for an answer first would never end.
        _ if can_be_held && blocks && !head.is_grpc => Next::ReadBody(ReadFor::Blocking),
        _ => Next::Forward,
    })
}

impl BodyHead<'_> {
    /// Whether it can be read, and so masked.
    pub fn is_readable(&self) -> bool {
        self.encoding.is_some() && Content::of(self.content_type).is_readable()
    }
}

/// The head of an answer whose body is to be masked or restored.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// `:status`; 0 if it cannot be read.
    pub status: u16,
    /// The request was HEAD.
    pub answers_head: bool,
    /// What its body is.
    pub content: &'a Content,
    /// How it is encoded; `None` if that cannot be read.
    pub encoding: Option<Encoding>,
}

impl ResponseHead<'_> {
    /// Whether the answer may arrive: how its body is encoded, `None` if it has no body.
    ///
    /// # Errors
    /// [`Refused`] when the body cannot be masked.
    pub fn admit(&self) -> Result<Option<Encoding>, Refused> {
        // RFC 9110 §6.4.1: these have no body whatever their headers say.
        if self.answers_head || matches!(self.status, 204 | 304) {
            return Ok(None);
        }
        let Some(encoding) = self.encoding.filter(|_| self.content.is_readable()) else {
            return Err(Refused::new(
                Code::UnreadableEncoding,
                "The upstream encoded its response although it was asked not to, or sends it in a character set \
                 without ASCII, and what cannot be read cannot be masked.",
            ));
        };
        if self.status == 206 {
            // No range was asked for: it was taken out of the request, because a secret that a
            // range cuts in two is a secret in neither half.
            return Err(Refused::new(
                Code::UnreadableEncoding,
                "The upstream sent a part that nobody asked for, and a part cannot be masked.",
            ));
        }
        Ok(Some(encoding))
    }
}
