//! One secret has one fingerprint, however it came, and what only begins like one passes.

use super::{
    super::{
        super::{Content, mask_whole},
        cases::{ALNUM, filler, pem},
        key, plan, replacement,
    },
    cut,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::{prelude::*, sample};
use serde_json::{Value, json};

/// A delta as each provider sends it, with all that stands around it.
const PROVIDERS: [fn(&str) -> Value; 5] = [
    |piece| json!({"id": "chatcmpl-BAvkkgxgzMDYBGkI0Xt5GdKZ7oLrV", "object": "chat.completion.chunk", "created": 1_741_570_280, "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_f9f4fb6dbf", "choices": [{"index": 0, "delta": {"content": piece}, "logprobs": null, "finish_reason": null}], "usage": null, "obfuscation": "Zx81kQ"}),
    |piece| json!({"type": "response.output_text.delta", "sequence_number": 7, "item_id": "msg_67c9fdcf37fc8190ba82116e33fb28c501b8b0e29761116d", "output_index": 0, "content_index": 0, "delta": piece, "logprobs": [], "obfuscation": "8fJ2kPq1"}),
    |piece| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}),
    |piece| json!({"candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}, "index": 0}], "usageMetadata": {"promptTokenCount": 8, "totalTokenCount": 9}, "modelVersion": "gemini-2.5-flash", "responseId": "w3kQaPnrL5"}),
    |piece| json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "x", "choices": [{"index": 0, "text": piece, "finish_reason": null}]}),
];

/// Where the text stands in each.
const PLACES: [&str; 5] = [
    "/choices/0/delta/content",
    "/delta",
    "/delta/text",
    "/candidates/0/content/parts/0/text",
    "/choices/0/text",
];

fn stream(provider: usize, text: &str, size: usize) -> String {
    let pieces: Vec<char> = text.chars().collect();
    let pieces = pieces.chunks(size).map(String::from_iter);
    pieces
        .map(|piece| format!("data: {}\n\n", PROVIDERS[provider](&piece)))
        .collect()
}

fn says(provider: usize, stream: &[u8]) -> String {
    let events = super::read(stream);
    let data = events.iter().filter_map(|event| event.data.as_deref());
    let values = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
    values
        .map(|value| {
            value
                .pointer(PLACES[provider])
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

fn secret() -> impl Strategy<Value = (&'static str, String)> {
    prop_oneof![
        (1_usize..250).prop_map(|n| ("secrets/private-key", pem("RSA PRIVATE KEY", "\n", n))),
        (80_usize..16_000).prop_map(|n| (
            "secrets/github-fine-grained-pat",
            format!("github_pat_{}", filler(n, ALNUM))
        )),
        (80_usize..16_000).prop_map(|n| {
            let header = URL_SAFE_NO_PAD.encode("{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
            (
                "secrets/jwt",
                format!(
                    "{header}.eyJ{}.{}",
                    filler(n / 2, ALNUM),
                    filler(n / 2, ALNUM)
                ),
            )
        }),
    ]
}

fn masked_as(content_type: &str, body: &str) -> String {
    let content = Content::of(Some(content_type.as_bytes()));
    let (body, _) = mask_whole(&plan(), &key(), &content, body.as_bytes());
    String::from_utf8(body.into_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: crate::testing::cases(6), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_secret_has_one_fingerprint_in_all_formats_and_streams(
        (name, secret) in secret(), size in 2_usize..12, provider in 0_usize..5, at in prop::collection::vec(any::<sample::Index>(), 0..10),
    ) {
        let placeholder = replacement(name, &secret);
        let (text, expected) = (format!("it is {secret}\n! and so on"), format!("it is {placeholder}\n! and so on"));
        prop_assert_eq!(masked_as("text/plain", &text), expected.clone());
        prop_assert_eq!(
            masked_as("application/json", &json!({ "a": text }).to_string()),
            json!({ "a": expected }).to_string()
        );
        let escaped: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let form = masked_as("application/x-www-form-urlencoded", &format!("a={escaped}"));
        let (fingerprint, form) = (placeholder.rsplit(':').next().unwrap(), form.replace("%5D", "]"));
        prop_assert!(form.contains(fingerprint), "{}", form);
        let stream = stream(provider, &text, size);
        let (out, _) = cut(stream.as_bytes(), &[]);
        prop_assert_eq!(says(provider, &out), expected);
        let mut cuts: Vec<_> = at.iter().map(|at| at.index(stream.len())).collect();
        cuts.sort_unstable();
        prop_assert!(cut(stream.as_bytes(), &cuts).0 == out);
    }

    #[test]
    fn base64_of_other_json_passes_in_streams(length in 245_usize..2000, size in 1_usize..6, provider in 0_usize..5) {
        let json = json!({"version": 3, "sources": ["a.ts"], "mappings": filler(length, ALNUM)}).to_string();
        let text = format!("write {} here", URL_SAFE_NO_PAD.encode(json));
        let stream = stream(provider, &text, size);
        let (out, findings) = cut(stream.as_bytes(), &[]);
        prop_assert!(findings.is_empty());
        prop_assert_eq!(String::from_utf8(out).unwrap(), stream);
    }
}
