//! Secrets in the headers of a response: a token in the query of `Location`, in `Set-Cookie`, in
//! `Link`.
//!
//! Every value is looked at; a list of names would miss the one that an upstream makes up. Names
//! stand before their values, as `name: value`, since some secrets are known by their names only.

use std::sync::Arc;

use chaperone_engine::masking::{Content, Findings, FingerprintKey, Masker, Plan};

use crate::host::{Direction, Headers, Host};

/// Headers with secrets.
#[derive(Debug)]
pub(super) struct Masked {
    pub(super) findings: Findings,
    /// The detector that does not let the response pass.
    pub(super) blocked: Option<String>,
    /// Every line of the headers of which one has changed, in order.
    pub(super) values: Headers,
}

/// Looks at all values. Nothing if there is nothing.
pub(super) fn mask(plan: &Arc<Plan>, key: &FingerprintKey, headers: &Headers) -> Option<Masked> {
    let masker = || Masker::new(Arc::clone(plan), key.clone(), &Content::text());
    // One look at all of them together is enough for nearly every response.
    let mut all = masker();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        all.push(name.as_bytes());
        all.push(b": ");
        all.push(value);
        all.push(b"\n");
    }
    all.finish();
    if all.findings().is_empty() && all.blocked().is_none() {
        return None;
    }
    let mut masked = Masked {
        findings: Findings::default(),
        blocked: None,
        values: Headers::new(),
    };
    let mut changed = Vec::new();
    let mut lines = Headers::new();
    for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with(':')) {
        let mut one = masker();
        let before = one.push(format!("{name}: ").as_bytes()).into_body();
        let mut line = before;
        line.append(one.push(value));
        line.append(one.finish());
        masked.findings.merge(one.findings());
        if let Some(blocked) = one.blocked() {
            masked.blocked = Some(blocked.detector.clone());
            return Some(masked);
        }
        let start = name.len().saturating_add(2);
        // A name is no secret, so it is still there; a line that has lost it is taken for a secret
        // whole.
        let new = match line.as_bytes().split_at_checked(start) {
            Some((before, after)) if before.starts_with(name.as_bytes()) => after,
            _ => line.as_bytes(),
        };
        if new != value.as_slice() {
            changed.push(name.as_str());
        }
        lines.push((name.clone(), new.to_vec()));
    }
    lines.retain(|(name, _)| changed.contains(&name.as_str()));
    masked.values = lines;
    Some(masked)
}

/// Puts the masked lines in the place of those in `headers`.
pub(super) fn replace(host: &dyn Host, headers: &Headers, values: &Headers) {
    let way = Direction::Response;
    for (at, (name, value)) in values.iter().enumerate() {
        let lines = headers.iter().filter(|(other, _)| other == name).count();
        let first = values.iter().take(at).all(|(other, _)| other != name);
        if lines == 1 {
            host.set_header(way, name, value);
            continue;
        }
        // Lines of one header, such as cookies, cannot always be joined (RFC 9110 §5.3).
        if first {
            host.remove_header(way, name);
        }
        host.add_header(way, name, value);
    }
}
