//! `scripts/bench masking`, natively: reads its order from standard input, writes a JSON object for each
//! result.
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
    if let Some(file) = std::env::args().nth(1) {
        // The rules of a gitleaks configuration, as detectors of a policy.
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
        let imported =
            chaperone_engine::masking::import(&text).map_err(|e| format!("{file}: {e}"))?;
        println!("{}", serde_json::to_string(&imported.detectors).unwrap());
        return Ok(());
    }
    let order = std::io::read_to_string(std::io::stdin()).map_err(|e| e.to_string())?;
    kernel::run(&order, |result| println!("{result}"))
}
