#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| chaperone_engine_fuzz::body("multipart/form-data;boundary=b", input));
