//! What it costs to make detectors ready, natively, part by part.
//!
//! `cargo run --release -p chaperone-engine --example compiling -- DETECTORS.yaml`
//!
//! The file is one of `chaperone detectors import`. Each part is the least of several rounds.

#![allow(clippy::print_stdout)] // It is a program that prints.

use std::time::{Duration, Instant};

use chaperone_engine::masking::{DetectorSet, catalogue, compile_custom};
use chaperone_engine::policy::parse_detectors;

const ROUNDS: usize = 5;

fn least<T>(mut part: impl FnMut() -> T) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        let made = part();
        let took = began.elapsed();
        drop(made);
        took
    });
    times.min().unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give a file of detectors")?;
    let file = parse_detectors(&std::fs::read_to_string(path)?)?;
    let (detectors, allow) = (&file.detectors, &file.detectors_allow);
    println!(
        "{} detectors, {} built in",
        detectors.len(),
        catalogue().len()
    );
    let built_in = ["secrets/*", "pii/*"];
    println!(
        "the catalogue's set      {:?}",
        least(|| DetectorSet::compile(&built_in))
    );
    println!(
        "planning                 {:?}",
        least(|| compile_custom(detectors, allow))
    );
    let planned = compile_custom(detectors, allow)?;
    let set = || DetectorSet::compile_with(&["custom/*"], &planned);
    println!("the set of them          {:?}", least(set));
    let made = set()?;
    println!("the set, automata there  {:?}", least(set));
    println!("memory                   {}", made.memory());
    Ok(())
}
