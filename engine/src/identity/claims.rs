//! Claims of a token whose signature was verified: times, audience, and who the caller is.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::claim_path::{ClaimPath, Unclear};
use super::refusal::{Refusal, RefusalCode, TokenOwner};
use super::{ClaimMapping, Issuer, Principal};
use crate::base::time::UnixMillis;

type Claims = Map<String, Value>;

/// The agent when the policy names no claim: OpenID Connect's authorised party, OAuth's client
/// (RFC 9068 §2.2), and what Entra's version 1 tokens have in place of both.
const AGENT_CLAIMS: [&str; 3] = ["azp", "client_id", "appid"];

/// The session when the policy names no claim (OpenID Connect Front-Channel Logout §3).
const SESSION_CLAIM: &str = "sid";

/// The end of year 9999, in seconds: a later date is a unit mistaken (milliseconds) or an attack on
/// arithmetic.
const LAST_SECOND: u64 = 253_402_300_799;

/// When a token may be used, leeway included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    /// `exp` as it stands in the token.
    pub(super) expires_at: UnixMillis,
    /// First instant at which the token is accepted.
    pub(super) from: UnixMillis,
    /// First instant at which it is no longer accepted.
    pub(super) until: UnixMillis,
}

impl Validity {
    pub(super) fn check(self, now: UnixMillis) -> Result<(), Refusal> {
        if now >= self.until {
            let ago = now.since(self.expires_at).checked_div(1000).unwrap_or(0);
            return Err(Refusal::new(
                RefusalCode::TokenExpired,
                format!("The token expired {ago} seconds ago; get a new one."),
            ));
        }
        if now < self.from {
            return Err(Refusal::new(
                RefusalCode::TokenNotYetValid,
                "`nbf` or `iat` lies in the future; check the issuer's clock and this one.",
            ));
        }
        Ok(())
    }
}

/// Reads `exp` (required), `nbf` and `iat` (RFC 7519 §4.1.4 to §4.1.6).
pub(super) fn validity(claims: &Claims, leeway_seconds: u64) -> Result<Validity, Refusal> {
    let leeway = leeway_seconds.saturating_mul(1000);
    let expires_at = date(claims, "exp")?.ok_or_else(|| {
        Refusal::new(
            RefusalCode::ClaimMissing,
            "The token has no `exp`; a token that never expires is not accepted.",
        )
    })?;
    // A token from the future is a broken clock or a forged date; neither may pass.
    let from = date(claims, "nbf")?.max(date(claims, "iat")?);
    Ok(Validity {
        expires_at,
        from: from.map_or(UnixMillis(0), |t| UnixMillis(t.0.saturating_sub(leeway))),
        until: expires_at.saturating_add(leeway),
    })
}

/// A NumericDate: seconds since the epoch, possibly with a fraction (RFC 7519 §2).
fn date(claims: &Claims, name: &str) -> Result<Option<UnixMillis>, Refusal> {
    let number = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let millis = if let Some(seconds) = number.as_u64() {
        (seconds <= LAST_SECOND).then(|| seconds.saturating_mul(1000))
    } else {
        number
            .as_f64()
            .filter(|seconds| (0.0..=LAST_SECOND as f64).contains(seconds))
            .map(|seconds| (seconds * 1000.0) as u64)
    };
    match millis {
        Some(millis) => Ok(Some(UnixMillis(millis))),
        None => Err(invalid(name, "is not a date in seconds since 1970")),
    }
}

/// The token must name an audience that the policy accepts, as a string or in a list (RFC 7519
/// §4.1.3).
pub(super) fn check_audience(claims: &Claims, accepted: &[String]) -> Result<(), Refusal> {
    let found = match claims.get("aud") {
        None | Some(Value::Null) => return Err(missing("aud")),
        Some(Value::String(one)) => accepted.contains(one),
        Some(Value::Array(list)) => {
            let mut found = false;
            for audience in list {
                let Value::String(audience) = audience else {
                    return Err(invalid("aud", "is neither a string nor a list of strings"));
                };
                found |= accepted.contains(audience);
            }
            found
        }
        Some(_) => return Err(invalid("aud", "is neither a string nor a list of strings")),
    };
    if found {
        Ok(())
    } else {
        Err(Refusal::new(
            RefusalCode::AudienceMismatch,
            "The token's `aud` has none of the audiences that the policy accepts for this issuer.",
        ))
    }
}

/// Who the caller is.
pub(super) fn principal(claims: &Claims, issuer: &Issuer) -> Result<Principal, Refusal> {
    let mapping = &issuer.claims;
    let subject = string(claims, &mapping.subject)?.ok_or_else(|| missing(&mapping.subject))?;
    let agent = match &mapping.agent {
        Some(name) => string(claims, name)?,
        None => {
            let mut agent = None;
            for name in AGENT_CLAIMS {
                if agent.is_none() {
                    agent = string(claims, name)?;
                }
            }
            agent
        }
    };
    let session = string(claims, mapping.session.as_deref().unwrap_or(SESSION_CLAIM))?;
    Ok(Principal {
        issuer: issuer.issuer.clone(),
        subject,
        groups: groups(claims, mapping)?,
        agent,
        session,
    })
}

/// Whom the token was made for, if that can be read.
pub(super) fn owner(claims: &Claims, issuer: &Issuer) -> Option<TokenOwner> {
    Some(TokenOwner {
        issuer: issuer.issuer.clone(),
        subject: string(claims, &issuer.claims.subject).ok()??,
    })
}

fn groups(claims: &Claims, mapping: &ClaimMapping) -> Result<Vec<String>, Refusal> {
    let name = &mapping.groups;
    if overage(claims, name)? {
        return Err(Refusal::new(
            RefusalCode::GroupsOverage,
            format!(
                "The caller has too many groups for `{name}`, so the issuer left them out of the token; \
                 assign the needed groups to the application, or map `groups` to an app-role claim."
            ),
        ));
    }
    let list = match lookup(claims, name)? {
        None => return Ok(Vec::new()),
        Some(Value::String(one)) if is_document(one) => {
            return Err(invalid(
                name,
                "is JSON in a string; the issuer has to give the list itself",
            ));
        }
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => {
            let strings: Option<Vec<&String>> = list
                .iter()
                .map(|group| match group {
                    Value::String(group) => Some(group),
                    _ => None,
                })
                .collect();
            // Leaving out what is not understood could leave out the group that a rule denies.
            strings.ok_or_else(|| invalid(name, "is neither a string nor a list of strings"))?
        }
        Some(_) => return Err(invalid(name, "is neither a string nor a list of strings")),
    };
    let mut seen = HashSet::new();
    let mut groups = Vec::new();
    for group in list {
        if group.chars().any(char::is_control) {
            return Err(invalid(name, "contains a control character"));
        }
        if !group.is_empty() && seen.insert(group) {
            groups.push(group.clone());
        }
    }
    Ok(groups)
}

/// Whether a string is a list or an object of JSON, as rules of some providers write groups. Taken
/// as the name of one group it would let the caller past every rule that denies one in it.
fn is_document(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with(['[', '{']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Whether the issuer says that the groups are elsewhere: a distributed claim (OpenID Connect Core
/// §5.6.2), which is how Entra ID reports more groups than fit, or Entra's `hasgroups`.
///
/// Taking such a token as "no groups" would let the caller past every rule that denies a group.
fn overage(claims: &Claims, name: &str) -> Result<bool, Refusal> {
    let path = path(name)?;
    let elsewhere = claims
        .get("_claim_names")
        .and_then(Value::as_object)
        .is_some_and(|names| names.keys().any(|member| path.begins_with(member)));
    let flagged = path.begins_with("groups")
        && !claims.contains_key("groups")
        && claims
            .get("hasgroups")
            .is_some_and(|flag| flag.as_bool() == Some(true) || flag.as_str() == Some("true"));
    Ok(elsewhere || flagged)
}

fn path(name: &str) -> Result<ClaimPath<'_>, Refusal> {
    ClaimPath::parse(name).map_err(|why| unclear(name, Unclear::Path(why)))
}

/// The claim at a path; `null` is as good as absent.
fn lookup<'a>(claims: &'a Claims, name: &str) -> Result<Option<&'a Value>, Refusal> {
    path(name)?
        .find(claims)
        .map_err(|reason| unclear(name, reason))
}

/// A claim that must be a non-empty string where it is there.
fn string(claims: &Claims, name: &str) -> Result<Option<String>, Refusal> {
    match lookup(claims, name)? {
        None => Ok(None),
        Some(Value::String(value)) if value.is_empty() => Err(invalid(name, "is empty")),
        Some(Value::String(value)) if value.chars().any(char::is_control) => {
            // It goes into logs, headers and terminals.
            Err(invalid(name, "contains a control character"))
        }
        Some(Value::String(value)) => Ok(Some(value.clone())),
        Some(_) => Err(invalid(name, "is not a string")),
    }
}

fn missing(name: &str) -> Refusal {
    Refusal::new(
        RefusalCode::ClaimMissing,
        format!("The token has no `{name}`."),
    )
}

fn invalid(name: &str, why: &str) -> Refusal {
    Refusal::new(RefusalCode::ClaimInvalid, format!("`{name}` {why}."))
}

/// What is not understood is refused: taken for absent it would mean "no groups" or "no agent".
fn unclear(name: &str, reason: Unclear) -> Refusal {
    match reason {
        Unclear::NoObject => invalid(name, "leads through a claim that is no object"),
        Unclear::Several => Refusal::new(
            RefusalCode::ClaimInvalid,
            format!(
                "`{name}` stands in the token at several places, depending on which of its dots separate; \
                 the policy has to write `\\.` for a dot that belongs to a name."
            ),
        ),
        Unclear::Path(why) => Refusal::new(
            RefusalCode::ClaimInvalid,
            format!("The policy's `{name}` cannot be read: {why}."),
        ),
    }
}
