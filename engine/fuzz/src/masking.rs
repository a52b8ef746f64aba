//! Masking a body in one format: the promises, for any bytes.

use chaperone_engine::masking::{
    Content, DetectorSet, Findings, FingerprintKey, MAX_RAW_HELD, Masker, Plan, mask_whole,
};
use std::sync::{Arc, OnceLock};

/// More than a masker may hold: inputs are shorter than that, so the bound is asked of one that is
/// repeated.
const LONG: usize = 2 * MAX_RAW_HELD;

fn plan() -> Arc<Plan> {
    static PLAN: OnceLock<Arc<Plan>> = OnceLock::new();
    Arc::clone(PLAN.get_or_init(|| {
        let set = DetectorSet::compile(&["secrets/*"]).expect("the catalogue compiles");
        Arc::new(Plan::masking(Arc::new(set)))
    }))
}

fn key() -> FingerprintKey {
    FingerprintKey::from_bytes([7; 32])
}

/// The first byte chooses how the rest is cut; the rest is a body of this content type.
pub fn body(content_type: &str, input: &[u8]) {
    let Some((&seed, body)) = input.split_first() else {
        return;
    };
    let content = Content::of(Some(content_type.as_bytes()));
    let (whole, findings) = mask_whole(&plan(), &key(), &content, body);

    // 1. Chunk invariance.
    let sizes: &[usize] = match seed % 4 {
        0 => &[1],
        1 => &[3, 1, 7],
        2 => &[64, 5],
        _ => &[usize::MAX],
    };
    let (cut, again) = in_pieces(&content, body, sizes, usize::from(seed / 4));
    assert_eq!(
        String::from_utf8_lossy(&cut),
        String::from_utf8_lossy(whole.as_bytes()),
        "cut by {sizes:?}"
    );
    assert_eq!(again, findings, "cut by {sizes:?}");

    // 3. Nothing else changes.
    if findings.is_empty() {
        assert_eq!(whole.as_bytes(), body);
    }

    // 4. Bounded. It takes long, so not of all.
    if seed % 16 == 15 && !body.is_empty() {
        let mut masker = Masker::new(plan(), key(), &content);
        for _ in 0..LONG.div_ceil(body.len()).min(LONG / 64) {
            masker.push(body);
            is_bounded(&masker);
        }
    }
}

fn is_bounded(masker: &Masker) {
    let held = masker.held();
    assert!(held < MAX_RAW_HELD, "{held} bytes held");
}

fn in_pieces(content: &Content, body: &[u8], sizes: &[usize], first: usize) -> (Vec<u8>, Findings) {
    let mut masker = Masker::new(plan(), key(), content);
    let mut out = Vec::new();
    let (head, mut rest) = body.split_at(first.min(body.len()));
    out.extend_from_slice(masker.push(head).as_bytes());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        let masked = masker.push(chunk);
        if masked.is_unchanged() {
            assert_eq!(masked.as_bytes(), chunk);
        }
        out.extend_from_slice(masked.as_bytes());
        is_bounded(&masker);
        rest = after;
    }
    out.extend_from_slice(masker.finish().as_bytes());
    assert_eq!(masker.held(), 0);
    (out, masker.findings().clone())
}
