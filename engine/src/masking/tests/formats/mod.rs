//! The promises for each format, over generated bodies of which every byte of the masked output is
//! known.

mod binary;
pub(super) mod blocking;
mod evasions;
mod form;
mod json;
mod keys;
mod kubernetes;
mod logprobs;
mod multipart;
mod nested;
mod quiet;
mod rubble;

use super::{cases::Case, cases::cases, key, plan, replacement};
use crate::masking::{Content, Findings, MAX_RAW_HELD, Masker, Plan};
use proptest::{prelude::*, sample};
use std::sync::Arc;

/// A body with what masking must make of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Body {
    pub(super) raw: Vec<u8>,
    pub(super) masked: Vec<u8>,
    pub(super) secrets: Vec<String>,
}

impl Body {
    /// Bytes that stay.
    pub(super) fn push(&mut self, bytes: impl AsRef<[u8]>) {
        self.raw.extend_from_slice(bytes.as_ref());
        self.masked.extend_from_slice(bytes.as_ref());
    }

    /// Bytes that are replaced.
    pub(super) fn replace(&mut self, raw: impl AsRef<[u8]>, masked: impl AsRef<[u8]>) {
        self.raw.extend_from_slice(raw.as_ref());
        self.masked.extend_from_slice(masked.as_ref());
    }

    /// Writes a text as `write` encodes its parts.
    pub(super) fn text(&mut self, parts: &[Part], mut write: impl FnMut(&str) -> Vec<u8>) {
        for part in parts {
            match part {
                Part::Harmless(text) => self.push(write(text)),
                Part::Secret(case) => {
                    self.push(write(&case.before));
                    let masked = replacement(case.detector, &case.secret);
                    self.replace(write(&case.secret), masked);
                    self.push(write(&case.after));
                    self.secrets.push(case.secret.clone());
                }
            }
        }
    }
}

/// A part of a text.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Harmless(String),
    Secret(Case),
}

/// A text with secrets that do not touch.
pub(super) fn text() -> impl Strategy<Value = Vec<Part>> {
    let filler = prop_oneof![
        "[ g-k0-9.,\"\\\\/\n\té😀{}:_+%&=-]{0,30}",
        sample::select(vec!["gh", "-----BEGIN ", "sk-", "eyJ", "\u{1}", ""])
            .prop_map(str::to_owned),
    ];
    let secret = prop_oneof![1 => sample::select(cases()).prop_map(Some), 2 => Just(None)];
    prop::collection::vec((filler, secret), 0..3).prop_map(|pieces| {
        let mut parts = Vec::new();
        for (filler, secret) in pieces {
            parts.push(Part::Harmless(format!("{filler} \"")));
            if let Some(case) = secret {
                parts.push(Part::Secret(case));
                parts.push(Part::Harmless("\" ".to_owned()));
            }
        }
        parts
    })
}

/// Deterministic choices for writers, from a generated seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// A number below `n`.
    pub(super) fn roll(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

pub(super) fn masked_as(
    plan: &Arc<Plan>,
    content: &Content,
    bytes: &[u8],
    cuts: &[usize],
) -> (Vec<u8>, Findings) {
    let mut masker = Masker::new(Arc::clone(plan), key(), content);
    let mut out = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&bytes.len()]) {
        let chunk = masker.push(&bytes[from..to]);
        if chunk.is_unchanged() {
            assert_eq!(chunk.as_bytes(), &bytes[from..to]);
        }
        out.extend_from_slice(chunk.as_bytes());
        assert!(
            masker.held() < MAX_RAW_HELD,
            "{} bytes are held",
            masker.held()
        );
        from = to;
    }
    out.extend_from_slice(masker.finish().as_bytes());
    assert_eq!(masker.held(), 0);
    (out, masker.findings().clone())
}

/// Masks as a whole.
pub(super) fn whole_as(content_type: &str, bytes: impl AsRef<[u8]>) -> String {
    let content = Content::of(Some(content_type.as_bytes()));
    String::from_utf8(masked_as(&plan(), &content, bytes.as_ref(), &[]).0).unwrap()
}

/// All promises for one body: as a whole, in single bytes, and cut at random.
pub(super) fn holds(
    content: &Content,
    body: &Body,
    at: &[sample::Index],
) -> Result<(), TestCaseError> {
    let plan = plan();
    let n = body.raw.len();
    let (whole, findings) = masked_as(&plan, content, &body.raw, &[]);
    prop_assert_eq!(
        String::from_utf8_lossy(&whole),
        String::from_utf8_lossy(&body.masked),
        "{}",
        String::from_utf8_lossy(&body.raw)
    );
    prop_assert_eq!(findings.total(), body.secrets.len() as u64);
    for secret in &body.secrets {
        let random = &secret.as_bytes()[secret.len() / 2..];
        for window in random.windows(8) {
            prop_assert!(
                !whole.windows(8).any(|w| w == window)
                    || body.masked.windows(8).any(|w| w == window)
            );
        }
    }
    let mut cuts: Vec<usize> = at.iter().map(|at| at.index(n + 1)).collect();
    cuts.sort_unstable();
    prop_assert_eq!(
        masked_as(&plan, content, &body.raw, &cuts),
        (whole.clone(), findings.clone())
    );
    let all: Vec<usize> = (1..n.max(1)).collect();
    prop_assert_eq!(
        masked_as(&plan, content, &body.raw, &all),
        (whole, findings)
    );
    Ok(())
}

/// Every way to cut a body in two gives what the whole gives.
pub(super) fn every_two_cut_holds(content: &Content, bytes: &[u8]) {
    let plan = plan();
    let whole = masked_as(&plan, content, bytes, &[]);
    for cut in 0..=bytes.len() {
        assert_eq!(
            masked_as(&plan, content, bytes, &[cut]),
            whole,
            "cut at {cut}"
        );
    }
}
