//! All of the engine put together, once per policy version.
//!
//! A [`Gate`] is a bundle made ready: rules indexed, key sets parsed, detectors compiled. It is
//! built when a bundle arrives and asked for every request, in the order of the request's way:
//! [`identify`](Gate::identify), then [`admit`](Gate::admit), which routes, decides and says what
//! masking asks for; last [`ResponseHead::admit`]. The filter asks it on the request path; the
//! control plane makes one before it publishes. A stream keeps the gate that it began under.
//!
//! # Promises
//! - Everything that can be done once per policy version is done in [`Gate::from_bundle`].
//! - A bundle that cannot be made ready whole is refused whole: there is no gate with half a
//!   policy.
//! - Whatever is not understood about a request ends in a [`Refused`], never in a default.

mod admission;
mod code;
mod error;
mod making;
mod plans;
mod problem;
mod refused;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use admission::{
    BodyHead, Destination, Judged, Masking, Next, ReadFor, RequestHead, ResponseHead,
};
pub use code::Code;
pub use error::{GateError, Oversize, PlanError};
pub use making::GateMaking;
pub use plans::{InTarget, MAX_COMPILED_BYTES, MaskingPlans, look_in_target};
pub use problem::{MEDIA_TYPE, Problem, problem_type};
pub use refused::Refused;

use crate::base::time::UnixMillis;
use crate::bundle::{Bundle, Serial};
use crate::identity::{
    Principal, Refusal, SignatureVerifier, TokenCache, VerifiedToken, Verifier, bearer_token,
};
use crate::masking::Plan;
use crate::policy::{CompiledPolicy, Connection, Decision, Direction, RequestFacts};
use crate::request::{RequestTarget, host_of};
use crate::upstreams::Operation;

/// A bundle made ready.
#[derive(Debug)]
pub struct Gate {
    serial: Serial,
    verifier: Verifier,
    policy: CompiledPolicy,
    masking: MaskingPlans,
}

/// Where a request goes and what it does there.
#[derive(Debug, Clone, PartialEq)]
pub struct Routed<'gate> {
    /// The connection.
    pub connection: &'gate Connection,
    /// Host, lower case, without port.
    pub host: String,
    /// Method, upper case.
    pub method: String,
    /// Path and query.
    pub target: RequestTarget,
    /// What it does.
    pub operation: Operation,
}

impl Gate {
    /// Makes a bundle ready.
    ///
    /// Single bad keys never stop it (an issuer's own keys are not the policy author's to mend);
    /// everything else does.
    ///
    /// # Errors
    /// [`GateError`], whose words say which part of the bundle cannot be used.
    pub fn from_bundle(bundle: Bundle) -> Result<Self, GateError> {
        GateMaking::new(bundle, None).finish()
    }

    /// Makes the bundle ready that follows this gate's, and takes over compiled detectors that have
    /// not changed. Detectors take longest to compile by far, and rarely change from version to
    /// version.
    ///
    /// # Errors
    /// As [`from_bundle`](Self::from_bundle).
    pub fn next(&self, bundle: Bundle) -> Result<Self, GateError> {
        GateMaking::new(bundle, Some(self)).finish()
    }

    /// Which policy version, and which revision of its keys.
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The compiled policy, for explanations and tests.
    pub fn policy(&self) -> &CompiledPolicy {
        &self.policy
    }

    /// Who is calling? `authorization` is every value of that header, in order.
    ///
    /// # Errors
    /// [`Refusal`] with a stable code; its `unknown_key` asks for a refresh of the key set.
    pub fn identify(
        &self,
        authorization: &[&[u8]],
        now: UnixMillis,
        cache: &mut TokenCache,
        crypto: &dyn SignatureVerifier,
    ) -> Result<Arc<VerifiedToken>, Refusal> {
        cache.verify(&self.verifier, bearer_token(authorization)?, now, crypto)
    }

    /// Which connection, which operation? `pinned` is the connection that the proxy's route names;
    /// it wins over the host, since the route is what decides where the request goes. A route that
    /// names a connection which the policy does not have is refused.
    ///
    /// # Errors
    /// [`Refused`] when host, method or path cannot be read in one way only, or no connection fits.
    pub fn route(
        &self,
        pinned: Option<&str>,
        authority: &str,
        method: &str,
        path_and_query: &str,
    ) -> Result<Routed<'_>, Refused> {
        let host =
            host_of(authority).map_err(|e| Refused::new(Code::InvalidHost, e.to_string()))?;
        let unknown = |detail: String| Refused::new(Code::UnknownConnection, detail);
        let connection = match pinned {
            Some(name) => self.policy.connection_named(name).ok_or_else(|| {
                unknown(format!(
                    "The route names the connection {name:?}, which this policy version does not have."
                ))
            }),
            None => self.policy.connection_for_host(&host).ok_or_else(|| {
                unknown(format!(
                    "No connection of the policy has the host {host:?}."
                ))
            }),
        }?;
        if !self.policy.can_judge_host(connection, &host) {
            let name = &connection.name;
            return Err(unknown(format!(
                "The route names the connection {name:?}, whose hosts {host:?} is none of, and rules of \
                 this policy look at the host; send one of the connection's."
            )));
        }
        let target = RequestTarget::parse(path_and_query)
            .map_err(|e| Refused::new(Code::AmbiguousPath, e.to_string()))?;
        let operation = Operation::of(connection.protocol, method, &target)
            .map_err(|e| Refused::new(Code::from(e), e.to_string()))?;
        Ok(Routed {
            connection,
            host,
            method: method.to_owned(),
            target,
            operation,
        })
    }

    /// May they?
    pub fn decide(&self, principal: &Principal, routed: &Routed<'_>) -> Decision {
        self.policy.decide(&RequestFacts {
            principal,
            connection: routed.connection,
            method: &routed.method,
            host: &routed.host,
            path: routed.target.path(),
            operation: &routed.operation,
        })
    }

    /// What is to be done with the bodies of a connection.
    pub fn masking(&self, connection: &str) -> Masking {
        Masking {
            request: self.masking.plan(connection, Direction::Request),
            response: self.masking.plan(connection, Direction::Response),
        }
    }

    /// What is masked in all that is recorded or shown; see [`MaskingPlans::shown`].
    pub fn shown(&self) -> Option<Arc<Plan>> {
        self.masking.shown()
    }
}
