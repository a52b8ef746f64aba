//! Tests of the five promises and of every detector.

mod actions;
#[cfg(not(target_arch = "wasm32"))]
mod budgets;
mod cases;
mod detectors;
#[cfg(not(target_arch = "wasm32"))]
mod ends;
mod faults;
#[cfg(not(target_arch = "wasm32"))]
mod formats;
mod pii;
mod private_keys;
#[cfg(not(target_arch = "wasm32"))]
mod promises;
mod rules;
mod semantics;
mod streams;

use super::{Content, DetectorSet, Findings, FingerprintKey, Masker, Plan, mask_whole};
use std::sync::{Arc, OnceLock};

fn all() -> Arc<DetectorSet> {
    static SET: OnceLock<Arc<DetectorSet>> = OnceLock::new();
    Arc::clone(SET.get_or_init(|| Arc::new(DetectorSet::compile(&["secrets/*"]).unwrap())))
}

fn plan() -> Arc<Plan> {
    Arc::new(Plan::masking(all()))
}

fn key() -> FingerprintKey {
    FingerprintKey::from_bytes([7; 32])
}

fn whole(text: impl AsRef<[u8]>) -> (Vec<u8>, Findings) {
    let (body, findings) = mask_whole(&plan(), &key(), &Content::text(), text.as_ref());
    (body.into_bytes(), findings)
}

fn masked(text: &str) -> String {
    String::from_utf8(whole(text).0).unwrap()
}

/// Masks `text` cut at `cuts`, and checks on the way that what is held stays under the cap.
fn in_pieces(text: &[u8], cuts: &[usize]) -> (Vec<u8>, Findings) {
    let mut masker = Masker::new(plan(), key(), &Content::text());
    let mut out = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&text.len()]) {
        let chunk = masker.push(&text[from..to]);
        if chunk.is_unchanged() {
            assert_eq!(chunk.as_bytes(), &text[from..to]);
        }
        out.extend_from_slice(chunk.as_bytes());
        assert!(masker.held() < super::MAX_HELD);
        from = to;
    }
    out.extend_from_slice(masker.finish().as_bytes());
    assert_eq!(masker.held(), 0);
    (out, masker.findings().clone())
}

/// The replacement that a secret gets.
fn replacement(detector: &str, secret: &str) -> String {
    let short = detector.strip_prefix("secrets/").unwrap();
    format!("[masked:{short}:{}]", key().fingerprint(secret.as_bytes()))
}

/// A made-up token of Azure DevOps in its older form, with the checksum that makes it one.
pub(super) fn devops_pat() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let random: Vec<u8> = (0..28)
        .map(|i| b"EXAMPLE!"[i % 8] ^ (i as u8).wrapping_mul(37))
        .collect();
    let check = (super::detectors::checksum::crc32(&random) ^ 0xE0B9_692D).to_be_bytes();
    let mut bytes = random[..2].to_vec();
    bytes.push(check[0]);
    bytes.extend(&random[2..6]);
    bytes.extend([check[1], check[2]]);
    bytes.extend(&random[6..19]);
    bytes.push(check[3]);
    bytes.extend(&random[19..]);
    let bit = |at: usize| {
        bytes
            .get(at / 8)
            .is_some_and(|b| b >> (7 - at % 8) & 1 == 1)
    };
    (0..52)
        .map(|digit| {
            let value = (0..5).fold(0, |v, i| v << 1 | usize::from(bit(digit * 5 + i)));
            char::from(ALPHABET[value])
        })
        .collect()
}
