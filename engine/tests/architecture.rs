//! Which module may import which: no import of the engine runs up, and no files import each other
//! in a circle.
//!
//! The order of the engine's modules stands in one place, the table at the head of `src/lib.rs`.
//! What is an import is `chaperone_walls`'s to say.

use std::collections::BTreeSet;
use std::path::Path;

use chaperone_walls::{House, Target, lies_in};

/// Folders whose files may import each other in a circle: some of what they read holds more of the
/// same (a document in a string of a document, a body in a part of a body), and the rest is still
/// to be untied. All of a circle must lie in them.
const CIRCLES_ALLOWED: [&str; 2] = ["masking/formats", "masking/search"];

fn engine() -> House {
    House::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "lib.rs")
}

#[test]
fn no_import_of_the_engine_runs_up() {
    let order = order_of_modules();
    let floor = |file: &str| {
        let module = top(file);
        let floor = order.iter().position(|name| name == module);
        floor.unwrap_or_else(|| panic!("`{module}` is missing in the table at the head of lib.rs"))
    };
    let mut upward = Vec::new();
    for import in engine().imports() {
        if let Target::File(to) = &import.to
            && import.from != "lib.rs"
            && to != "lib.rs"
            && top(&import.from) != top(to)
            && floor(to) > floor(&import.from)
        {
            upward.push(import.to_string());
        }
    }
    assert!(
        upward.is_empty(),
        "A module imports only modules above it in the table of lib.rs; these run the other way:\n{}",
        upward.join("\n")
    );
}

#[test]
fn no_files_of_the_engine_import_each_other_in_a_circle() {
    let may = |file: &String| {
        let mut folders = CIRCLES_ALLOWED.iter();
        folders.any(|folder| lies_in(file, folder))
    };
    let circles = engine().circles();
    let (allowed, circles): (Vec<_>, Vec<_>) = circles
        .into_iter()
        .partition(|circle| circle.iter().all(may));
    assert!(
        circles.is_empty(),
        "Circles of imports:\n{}",
        told(&circles)
    );
    for folder in CIRCLES_ALLOWED {
        let mut files = allowed.iter().flatten();
        assert!(
            files.any(|file| lies_in(file, folder)),
            "`{folder}` has no circle any more: take it out of CIRCLES_ALLOWED"
        );
    }
}

/// The first folder, or the file itself where it stands in none.
fn top(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn told(circles: &[BTreeSet<String>]) -> String {
    let told = |files: &BTreeSet<String>| {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        files.join(", ")
    };
    let lines: Vec<String> = circles.iter().map(told).collect();
    lines.join("\n")
}

/// The modules in the order of the table at the head of `lib.rs`, the lowest first.
fn order_of_modules() -> Vec<String> {
    let lib = include_str!("../src/lib.rs");
    let rows = lib.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    let order: Vec<String> = rows
        .filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect();
    assert!(
        order.len() > 5,
        "the table at the head of lib.rs is gone: {order:?}"
    );
    order
}
