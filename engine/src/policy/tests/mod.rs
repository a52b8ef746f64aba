//! Behaviour of the whole module, through its public interface.

#[cfg(feature = "authoring")]
mod all_at_once;
#[cfg(feature = "authoring")]
mod document;
#[cfg(feature = "authoring")]
mod errors;
mod evaluation;
#[cfg(all(feature = "authoring", not(target_arch = "wasm32")))]
mod files;
#[cfg(not(target_arch = "wasm32"))]
mod properties;
#[cfg(feature = "authoring")]
mod review;
#[cfg(feature = "authoring")]
mod review_deployments;
#[cfg(feature = "authoring")]
mod suggestions;

use super::{CompiledPolicy, Policy, parse_json};
use crate::identity::Principal;

/// A policy from its connections, rules and what else it has, as JSON without the outer braces.
fn policy(json: &str) -> Policy {
    let head = r#""apiVersion": "chaperone/v1",
        "issuers": [
            { "issuer": "https://idp.example.com", "audiences": ["chaperone"] },
            { "issuer": "https://other.example.com", "audiences": ["chaperone"] }
        ]"#;
    match parse_json(format!("{{ {head}, {json} }}").as_bytes()) {
        Ok(policy) => policy,
        Err(errors) => panic!("{errors}"),
    }
}

fn compiled(json: &str) -> CompiledPolicy {
    CompiledPolicy::compile(policy(json)).unwrap()
}

fn member_of(groups: &[&str]) -> Principal {
    Principal {
        issuer: "https://idp.example.com".into(),
        subject: "ada".into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        agent: Some("copilot".into()),
        session: None,
    }
}
