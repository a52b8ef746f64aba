//! Prints how fast the masker reads clean and dense text: `cargo run --release --example masking_speed`.
//! For the number that counts, build it for `wasm32-wasip1` with `-C target-feature=+simd128` and
//! run it in V8.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement for people"
)]

use chaperone_engine::masking::{Content, DetectorSet, FingerprintKey, Masker, Plan};
use std::{hint::black_box, sync::Arc, time::Instant};

const PROSE: &str = "The quick brown fox said that it's a clean day, and the password of the house was never \
    written down. Streams of text come in tokens; each of them is short, most hold nothing at all. ";
const CODE: &str = "    fn push(&mut self, key: &str, value: Option<u64>) -> Result<(), Error> {\n        let path = \
    self.base_path.join(key);\n        self.access_tokens.insert(path, value.unwrap_or_default());\n        Ok(())\n    }\n";
const JSON: &str = "{\"id\":\"/subscriptions/0000/resourceGroups/rg-1/providers/Microsoft.Storage/storageAccounts/x1\",\
    \"name\":\"x1\",\"tags\":{\"env\":\"prod\",\"owner\":\"a@b.example\"},\"properties\":{\"value\":12,\"creationTime\":\
    \"2026-01-01T00:00:00Z\",\"primaryEndpoints\":{\"blob\":\"https://x1.blob.core.windows.net/\"}}},";

fn corpus(unit: &str, mib: usize) -> Vec<u8> {
    unit.bytes().cycle().take(mib << 20).collect()
}

fn main() {
    let begin = Instant::now();
    let set = Arc::new(DetectorSet::compile(&["secrets/*"]).unwrap());
    println!(
        "{} detectors compiled in {:.1} ms, {} KiB",
        set.detectors().count(),
        begin.elapsed().as_secs_f64() * 1e3,
        set.memory() >> 10
    );
    let plan = Arc::new(Plan::masking(Arc::clone(&set)));
    // Put together here so that no complete token stands in the source.
    let dense = format!(
        "{PROSE}token=gh{}, {JSON}",
        "p_EXAMPLEexampleEXAMPLEexampleEXAMPLEex0"
    );
    let texts = [
        ("prose", corpus(PROSE, 1)),
        ("code", corpus(CODE, 1)),
        ("json", corpus(JSON, 1)),
        ("a secret per 450 B", corpus(&dense, 1)),
        (
            "binary",
            (0..1_u32 << 20)
                .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect(),
        ),
    ];
    for (name, text) in &texts {
        for size in [100, 4096, 65536] {
            // The best of many short runs: on a busy machine the others measure the neighbours.
            let mut best = f64::MAX;
            let mut found = 0;
            for _ in 0..60 {
                let mut masker = Masker::new(
                    Arc::clone(&plan),
                    FingerprintKey::from_bytes([7; 32]),
                    &Content::text(),
                );
                let begin = Instant::now();
                for chunk in text.chunks(size) {
                    black_box(masker.push(black_box(chunk)).as_bytes());
                }
                black_box(masker.finish());
                best = best.min(begin.elapsed().as_secs_f64());
                found = masker.findings().total();
            }
            println!(
                "{name:20} chunks of {size:6} B: {:7.0} MB/s, {found} secrets",
                text.len() as f64 / best / 1e6
            );
        }
    }
}
