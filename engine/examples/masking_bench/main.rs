//! `scripts/bench masking`, natively: reads its order from standard input, writes a JSON object for
//! each result.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    missing_docs,
    reason = "a measurement"
)]

mod kernel;

fn main() -> Result<(), String> {
    let order = std::io::read_to_string(std::io::stdin()).map_err(|e| e.to_string())?;
    kernel::run(&order, |result| println!("{result}"))
}
