//! Issuers whose tokens can never be good.

use super::callers::unfilled;
use super::findings::Findings;
use crate::identity::{Algorithm, ClaimPath, Issuer, KeySet, PublicKey};
use crate::policy::error::Place;
use crate::policy::wording::shorten;

/// Tenants of Entra ID that are none: its tokens name the tenant that the account is in.
const NO_TENANTS: [&str; 3] = ["common", "organizations", "consumers"];

pub(super) fn review(place: &Place, issuer: &Issuer, found: &mut Findings) {
    names(place, issuer, found);
    if let Some(jwks) = &issuer.jwks {
        keys(place, issuer, jwks, found);
    }
}

fn names(place: &Place, issuer: &Issuer, found: &mut Findings) {
    if let Some(template) = unfilled(&issuer.issuer) {
        found.errors.at(
            place.key("issuer"),
            format!("`{template}` was not filled in: a token's `iss` has the tenant's own id there, and is compared byte for byte; \
                     write one issuer for each tenant"),
        );
    }
    if let Some(template) = issuer.jwks_uri.as_deref().and_then(unfilled) {
        found.errors.at(
            place.key("jwks_uri"),
            format!("`{template}` was not filled in, so no key could be fetched from there"),
        );
    }
    let entra = [
        "https://login.microsoftonline.com/",
        "https://sts.windows.net/",
    ];
    let tenant = entra
        .iter()
        .find_map(|host| issuer.issuer.strip_prefix(host))
        .and_then(|rest| rest.split('/').next());
    if let Some(tenant) = tenant.filter(|tenant| NO_TENANTS.contains(tenant)) {
        found.warnings.at(
            place.key("issuer"),
            format!("no token of Entra ID has `{tenant}` in its `iss`: it has the id of the tenant that the account is in. \
                     Write one issuer for each tenant, as in `https://login.microsoftonline.com/TENANT-ID/v2.0`"),
        );
    }
    if issuer.issuer.trim() != issuer.issuer {
        found.errors.at(
            place.key("issuer"),
            "it begins or ends with a space, and a token's `iss` is compared byte for byte",
        );
    }
    for (index, audience) in issuer.audiences.iter().enumerate() {
        let place = place.key("audiences").index(index);
        if audience.contains('*') {
            found.errors.at(
                place,
                format!("an audience is compared exactly, and no token is for `{}`; name the audience that tokens for this gate have", shorten(audience)),
            );
        } else if let Some(template) = unfilled(audience) {
            found
                .errors
                .at(place, format!("`{template}` was not filled in"));
        }
    }
    let claims = [
        ("subject", Some(&issuer.claims.subject)),
        ("groups", Some(&issuer.claims.groups)),
        ("agent", issuer.claims.agent.as_ref()),
        ("session", issuer.claims.session.as_ref()),
    ];
    for (key, claim) in claims {
        if let Some(why) = claim.and_then(|claim| unclear(claim)) {
            found.errors.at(place.key("claims").key(key), why);
        }
        let Some(claim) =
            claim.filter(|claim| claim.starts_with('$') || claim.contains(['[', '*']))
        else {
            continue;
        };
        let plain = claim.trim_start_matches("$.").trim_start_matches('$');
        let plain = plain.split('[').next().unwrap_or(plain);
        found.warnings.at(
            place.key("claims").key(key),
            format!("this is the name of a claim, or names with dots between them, and no JSONPath; did you mean `{plain}`?"),
        );
    }
}

/// Why nobody could say which claim this names. A version that is in force already keeps its
/// reading, so this is asked of new documents alone.
fn unclear(claim: &str) -> Option<String> {
    let path = match ClaimPath::parse(claim) {
        Ok(path) => path,
        Err(why) => return Some(why.to_owned()),
    };
    path.is_ambiguous().then(|| {
        format!(
            "which of the dots in `{}` separate names, and which belong to one? Write `\\.` for a dot that belongs to a name \
             (`resource_access.my\\.app.roles`), or put `/` before each name (`/resource_access/my.app/roles`)",
            shorten(claim)
        )
    })
}

/// Keys that nothing can be verified with. A set from an address is looked at when it is fetched.
fn keys(issuer_place: &Place, issuer: &Issuer, jwks: &serde_json::Value, found: &mut Findings) {
    let place = issuer_place.key("jwks");
    let (set, problems) = match KeySet::from_value(jwks) {
        Ok(read) => read,
        Err(why) => {
            found.errors.at(place, why.to_string());
            return;
        }
    };
    let place = place.key("keys");
    if set.is_empty() && problems.is_empty() {
        found.errors.at(
            place,
            "there is no key, so every token of this issuer would be refused; leave `jwks` out to have the keys fetched",
        );
        return;
    }
    for problem in &problems {
        let message = format!("this key cannot be used: {}", problem.reason);
        let place = place.index(problem.index);
        if set.is_empty() {
            found.errors.at(
                place,
                format!(
                    "{message}. There is no other, so every token of this issuer would be refused"
                ),
            );
        } else {
            found.warnings.at(place, message);
        }
    }
    let Some(algorithms) = issuer.algorithms.as_ref().filter(|list| !list.is_empty()) else {
        return;
    };
    let usable = |key: &PublicKey| {
        algorithms
            .iter()
            .any(|algorithm: &Algorithm| key.permits(*algorithm))
    };
    if !set.is_empty() && !set.keys().iter().any(usable) {
        found.errors.between(
            place,
            &[issuer_place.key("algorithms")],
            "none of these keys is for one of the issuer's `algorithms`, so every token of it would be refused",
        );
    }
}
