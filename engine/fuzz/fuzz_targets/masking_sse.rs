#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chaperone_engine_fuzz::body("text/event-stream", input));
