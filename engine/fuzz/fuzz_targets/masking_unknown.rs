#![no_main]

// Nothing is known of the body but its bytes.
libfuzzer_sys::fuzz_target!(|input: &[u8]| chaperone_engine_fuzz::body("", input));
