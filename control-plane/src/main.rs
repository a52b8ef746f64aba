//! The `chaperone` binary.
fn main() {}
