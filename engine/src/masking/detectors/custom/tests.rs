//! What custom detectors find.

#[cfg(not(target_arch = "wasm32"))]
mod generated;
#[cfg(all(feature = "authoring", not(target_arch = "wasm32")))]
mod gitleaks;
#[cfg(all(feature = "authoring", not(target_arch = "wasm32")))]
mod lists;
mod semantics;
#[cfg(all(feature = "authoring", not(target_arch = "wasm32")))]
mod work;

use std::sync::Arc;

use super::*;
use crate::masking::{Content, DetectorSet, FingerprintKey, Masker, Plan};

/// A detector with nothing but a regex.
fn regex(regex: &str) -> CustomDetector {
    CustomDetector {
        name: "custom/x".to_owned(),
        description: String::new(),
        severity: crate::masking::Severity::High,
        regex: regex.to_owned(),
        secret_group: None,
        keywords: Vec::new(),
        entropy: None,
        allow: Vec::new(),
    }
}

fn plan(detectors: &[CustomDetector]) -> Result<Arc<Plan>, DetectorError> {
    let compiled = compile_custom(detectors, &[])?;
    let set = DetectorSet::compile_with(&["custom/*"], &compiled)?;
    Ok(Arc::new(Plan::masking(Arc::new(set))))
}

/// The masked text, each replacement as `#`.
fn masked(plan: &Arc<Plan>, parts: &[&[u8]]) -> Vec<u8> {
    let key = FingerprintKey::from_bytes([7; 32]);
    let mut masker = Masker::new(Arc::clone(plan), key, &Content::text());
    let mut out = Vec::new();
    for part in parts {
        out.extend(masker.push(part).into_body().into_bytes());
    }
    out.extend(masker.finish().into_bytes());
    let mut short = Vec::new();
    let mut rest = out.as_slice();
    while let Some(at) = memchr::memmem::find(rest, b"[masked:") {
        let end = memchr::memchr(b']', &rest[at..]).unwrap();
        short.extend_from_slice(&rest[..at]);
        short.push(b'#');
        rest = &rest[at + end + 1..];
    }
    short.extend_from_slice(rest);
    short
}

/// What a detector makes of a text, the same for every two-cut.
fn find(detector: &CustomDetector, text: &str) -> String {
    let plan = plan(std::slice::from_ref(detector)).unwrap();
    let bytes = text.as_bytes();
    let whole = masked(&plan, &[bytes]);
    for cut in 0..bytes.len() {
        assert_eq!(
            masked(&plan, &[&bytes[..cut], &bytes[cut..]]),
            whole,
            "cut at {cut} of {text:?}"
        );
    }
    String::from_utf8(whole).unwrap()
}
