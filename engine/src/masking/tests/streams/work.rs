//! How much work streams are, as it is counted.

use super::{
    super::{cases::pem, key, plan},
    events,
};
use crate::masking::Masker;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Masks these chunks, and gives what leaves and the most work of one, beyond reading it.
fn most(chunks: &[String]) -> (String, u64) {
    let mut masker = Masker::new(plan(), key(), &events());
    let (mut out, mut most) = (Vec::new(), 0);
    for chunk in chunks {
        let before = masker.work();
        out.extend_from_slice(masker.push(chunk.as_bytes()).as_bytes());
        most = most.max(masker.work() - before - chunk.len() as u64);
    }
    out.extend_from_slice(masker.finish().as_bytes());
    (String::from_utf8(out).unwrap(), most)
}

/// An event of one of three kinds, each of which has as many numbers that differ as one can have.
fn event(kind: usize, number: usize) -> String {
    let members: Vec<String> = (0..15)
        .map(|n| format!("\"m{n}\":{{\"created\":{}}}", number * 100 + n))
        .collect();
    let choice = format!("{{\"index\":{kind},\"delta\":{{\"content\":\" w{number}\"}}}}");
    format!("data: {{\"choices\":[{choice}],{}}}\n\n", members.join(","))
}

#[test]
fn what_is_found_out_of_events_that_are_alike_falls_due_a_little_at_a_time() {
    let chunks: Vec<String> = (0..200)
        .map(|number| (0..3).map(|kind| event(kind, number)).collect())
        .collect();
    let (out, most) = most(&chunks);
    assert_eq!(out, chunks.concat());
    // Each number's place is asked about hundreds of anchors.
    assert!((50_000..150_000).contains(&most), "{most}");
}

#[test]
fn what_is_tied_to_a_text_counts_as_work_once() {
    let secret = pem("PRIVATE KEY", "\n", 60);
    let pieces: Vec<char> = secret.chars().collect();
    let chunks = |probabilities: &str| -> Vec<String> {
        let said = pieces.chunks(2).map(|piece| piece.iter().collect());
        let said = said.chain([" that was it".to_owned()]);
        said.map(|piece| {
            let content = serde_json::json!(piece);
            format!(
                "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content}}},\"logprobs\":[{probabilities}]}}]}}\n\n"
            )
        })
        .collect()
    };
    let work = |probabilities: &str| {
        let mut masker = Masker::new(plan(), key(), &events());
        let mut out = Vec::new();
        for chunk in chunks(probabilities) {
            out.extend_from_slice(masker.push(chunk.as_bytes()).as_bytes());
        }
        out.extend_from_slice(masker.finish().as_bytes());
        (masker.work(), String::from_utf8(out).unwrap())
    };
    let ((tied, out), (free, _)) = (work("0"), work(""));
    let events = pieces.len().div_ceil(2);
    // All of them went, but for the last.
    assert_eq!(out.matches("\"logprobs\":[0]").count(), 1);
    let each = (tied - free) / events as u64;
    assert!((16..60).contains(&each), "{each} for each of {events}");
}
