//! The walls of the filter: which folder may name which, and that no files name each other in a
//! circle.

use std::collections::BTreeSet;
use std::path::Path;

use chaperone_walls::{House, Target, lies_in};

fn filter() -> House {
    House::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "lib.rs")
}

#[test]
fn only_the_host_and_the_entry_name_the_abi() {
    let abi = Target::Crate("chaperone_proxy_wasm".into());
    let names_it: BTreeSet<String> = filter()
        .imports()
        .into_iter()
        .filter(|import| import.to == abi)
        .map(|import| import.from)
        .collect();
    let expected = ["entry.rs", "host/envoy.rs"].map(String::from);
    assert_eq!(names_it, BTreeSet::from(expected));
}

/// The host knows nothing of those who use it, and the node nothing of the streams that ask it.
#[test]
fn no_import_of_the_filter_runs_up() {
    let house = filter();
    for (part, above) in [
        (
            "host",
            &["crypto", "entry", "node", "stream", "worker"] as &[&str],
        ),
        ("node", &["entry", "stream", "worker"]),
        ("stream", &["entry", "worker"]),
        ("worker", &["entry"]),
    ] {
        assert!(house.has(part), "{part}");
        let broken = house.forbidden(
            part,
            |to| matches!(to, Target::File(file) if above.iter().any(|one| lies_in(file, one))),
        );
        assert_eq!(broken, [], "{part}");
    }
}

#[test]
fn no_files_of_the_filter_name_each_other_in_a_circle() {
    assert_eq!(filter().circles(), []);
}
