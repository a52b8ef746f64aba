//! The policy's settings of issuers: whom to trust, for which audience, and where in a token the
//! caller's subject, groups, agent and session stand.

use serde::{Deserialize, Serialize};

use super::Algorithm;

/// Leeway when the policy does not say: clocks that NTP keeps are well inside a minute.
pub const DEFAULT_LEEWAY_SECONDS: u64 = 60;

/// The largest leeway. More than that is not clock skew but a token lifetime by another name.
pub const MAX_LEEWAY_SECONDS: u64 = 300;

/// The longest issuer, audience or claim name.
const MAX_NAME_BYTES: usize = 2048;

/// An OpenID provider, or any other party that signs JWTs, whose tokens the gate accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// The exact value of the `iss` claim, compared byte for byte (a trailing slash matters).
    pub issuer: String,
    /// Accepted audiences: a token must name at least one of them in `aud`.
    pub audiences: Vec<String>,
    /// Which claims hold the caller's subject, groups, agent and session.
    #[serde(default, skip_serializing_if = "ClaimMapping::is_default")]
    pub claims: ClaimMapping,
    /// Accepted signature algorithms; all that the issuer's keys permit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<Algorithm>>,
    /// Seconds of clock skew to forgive in `exp`, `nbf` and `iat`. At most 300.
    #[serde(default = "default_leeway")]
    #[cfg_attr(feature = "authoring", schemars(range(max = 300)))]
    pub leeway_seconds: u64,
    /// Where to fetch the key set. When neither this nor `jwks` is given it is found by OpenID
    /// discovery, at `<issuer>/.well-known/openid-configuration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The key set itself (RFC 7517 §5), for issuers that cannot be reached. Never fetched then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
}

/// Where in a token's claims the caller stands.
///
/// A claim's name, or names with dots between them, which lead into objects: `groups`,
/// `realm_access.roles`. Names that have dots work as they are, too: `https://example.com/groups`,
/// `kubernetes.io`. To say which dots belong to a name, write `\.` for them
/// (`resource_access.my\.app.roles`), or a JSON Pointer (`/resource_access/my.app/roles`,
/// RFC 6901). A token in which several readings lead to a value is refused, and so is one that has
/// something else than an object on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "authoring", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ClaimMapping {
    /// The claim with the subject, a string. Required in every token.
    pub subject: String,
    /// The claim with the groups: a list of strings, or one string, which is one group (it is not
    /// split: `Domain Admins` is not a member of `Admins`). A token without it has no groups.
    pub groups: String,
    /// The claim with the agent, a string. When not given: the first of `azp`, `client_id`, `appid`
    /// that the token has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The claim with the issuer's session, a string. When not given: `sid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl Default for ClaimMapping {
    fn default() -> Self {
        Self {
            subject: "sub".to_owned(),
            groups: "groups".to_owned(),
            agent: None,
            session: None,
        }
    }
}

impl ClaimMapping {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const fn default_leeway() -> u64 {
    DEFAULT_LEEWAY_SECONDS
}

/// Something in an [`Issuer`] that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerProblem {
    /// The field below the issuer, for example `claims.groups`.
    pub field: &'static str,
    /// The fault, and the form that was expected.
    pub problem: String,
}

impl std::fmt::Display for IssuerProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

// === impl Issuer ===

impl Issuer {
    /// Everything that is wrong with this issuer; empty when it can be used.
    ///
    /// The key set's contents are not looked at: [`KeySet::parse`](super::KeySet::parse) reports
    /// them key by key, because one bad key must not make an issuer unusable.
    pub fn problems(&self) -> Vec<IssuerProblem> {
        let mut found = Vec::new();
        let mut problem = |field, problem: &str| {
            found.push(IssuerProblem {
                field,
                problem: problem.to_owned(),
            });
        };
        if let Err(why) = usable_name(&self.issuer) {
            problem("issuer", why);
        }
        if self.audiences.is_empty() {
            // Without an audience a token made for any other service of the issuer would do.
            problem("audiences", "name at least one accepted audience");
        }
        for audience in &self.audiences {
            if let Err(why) = usable_name(audience) {
                problem("audiences", why);
            }
        }
        if self.algorithms.as_ref().is_some_and(Vec::is_empty) {
            problem(
                "algorithms",
                "an empty list accepts no token; leave it out to accept all that the keys permit",
            );
        }
        if self.leeway_seconds > MAX_LEEWAY_SECONDS {
            problem("leeway_seconds", "at most 300");
        }
        let claims = [
            ("claims.subject", Some(&self.claims.subject)),
            ("claims.groups", Some(&self.claims.groups)),
            ("claims.agent", self.claims.agent.as_ref()),
            ("claims.session", self.claims.session.as_ref()),
        ];
        for (field, name) in claims {
            if let Some(Err(why)) = name.map(|n| usable_name(n)) {
                problem(field, why);
            }
        }
        match (&self.jwks_uri, &self.jwks) {
            (Some(_), Some(_)) => problem("jwks", "give either jwks_uri or jwks, not both"),
            (None, Some(jwks)) if !jwks.is_object() => {
                problem("jwks", "expected a JSON Web Key Set: an object with `keys`");
            }
            (None, Some(_)) => {}
            (Some(uri), None) if !fetchable(uri) => problem(
                "jwks_uri",
                "expected an https URL (http only for a loopback address): whoever can change the answer can sign tokens",
            ),
            (None, None) if usable_name(&self.issuer).is_ok() && !fetchable(&self.issuer) => {
                problem(
                    "issuer",
                    "not an https URL, so its keys cannot be found by OpenID discovery; give jwks_uri or jwks",
                )
            }
            _ => {}
        }
        found
    }
}

fn usable_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        Err("must not be empty")
    } else if name.len() > MAX_NAME_BYTES {
        Err("longer than 2048 bytes")
    } else if name.chars().any(char::is_control) {
        Err("contains a control character")
    } else {
        Ok(())
    }
}

/// Whether a key set may be fetched from there. Plain http lets anyone on the path replace the
/// keys, so it is for the own machine only.
fn fetchable(url: &str) -> bool {
    if let Some(rest) = url.strip_prefix("https://") {
        return !authority(rest).is_empty();
    }
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let authority = authority(rest);
    if authority.contains('@') {
        // `http://localhost:1@evil.example/`: the host is what follows the `@`.
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or("", |(host, _)| host),
        None => authority
            .split_once(':')
            .map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn authority(after_scheme: &str) -> &str {
    after_scheme
        .split(['/', '?', '#', '\\'])
        .next()
        .unwrap_or_default()
}
