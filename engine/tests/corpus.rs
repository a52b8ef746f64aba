//! The kept inputs of the fuzz targets, as tests: what fuzzing found once stays found.

#[path = "../fuzz/src/masking.rs"]
#[allow(unreachable_pub, reason = "public in the crate of the fuzz targets")]
mod masking;

use std::{fs, path::Path};

/// Runs a target on its kept inputs.
fn every_input_of(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("the corpus can be read").path();
        let input = fs::read(&path).expect("the input can be read");
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&input)));
        assert!(held.is_ok(), "see above; the input is {}", path.display());
        inputs += 1;
    }
    assert!(inputs > 0, "{} is empty", folder.display());
}

#[test]
fn text() {
    every_input_of("masking_text", |input| masking::body("text/plain", input));
}

#[test]
fn json() {
    every_input_of("masking_json", |input| {
        masking::body("application/json", input)
    });
}

#[test]
fn ndjson() {
    every_input_of("masking_ndjson", |input| {
        masking::body("application/x-ndjson", input)
    });
}

#[test]
fn form() {
    every_input_of("masking_form", |input| {
        masking::body("application/x-www-form-urlencoded", input)
    });
}

#[test]
fn multipart() {
    every_input_of("masking_multipart", |input| {
        masking::body("multipart/form-data;boundary=b", input)
    });
}

#[test]
fn sse() {
    every_input_of("masking_sse", |input| {
        masking::body("text/event-stream", input)
    });
}

#[test]
fn grpc() {
    every_input_of("masking_grpc", |input| {
        masking::body("application/grpc+proto", input)
    });
}

#[test]
fn unknown() {
    every_input_of("masking_unknown", |input| masking::body("", input));
}
