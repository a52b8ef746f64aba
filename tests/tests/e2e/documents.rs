//! What documents and shipped files say about the rest of the repository is true.

use std::fs;
use std::path::{Path, PathBuf};

use chaperone_tests::places;
use chaperone_tests::wasm::Interface;
use serde_json::Value;

/// `docs/failures.md` names a test for each failure and each code, `docs/upgrades.md` for each mix
/// of versions, and `docs/masking.md` for each promise and bound. A test that is renamed or removed
/// would leave a promise that nothing keeps.
#[test]
fn every_test_that_the_tables_of_promises_name_exists() {
    let root = places::repository();
    let pages = [
        ("docs/failures.md", 30),
        ("docs/upgrades.md", 15),
        ("docs/masking.md", 20),
    ];
    for (page, at_least) in pages {
        let document = fs::read_to_string(root.join(page)).unwrap();
        let mut checked = 0;
        for name in document.split('`').skip(1).step_by(2) {
            let (file, test) = match name.split_once("::") {
                Some((file, test)) if is_rust(file) => (file.to_owned(), Some(test)),
                Some((file, test)) => (format!("tests/tests/e2e/{file}.rs"), Some(test)),
                None if is_rust(name) => (name.to_owned(), None),
                None => continue,
            };
            let source = fs::read_to_string(root.join(&file));
            let found = source.is_ok_and(|source| {
                test.is_none_or(|test| source.contains(&format!("fn {test}(")))
            });
            assert!(found, "{page} names {name}, which does not exist");
            checked += 1;
        }
        assert!(checked > at_least, "{page} names only {checked} tests");
    }
}

fn is_rust(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|e| e == "rs")
}

/// Each row of these tables is a promise, so each has a test or says in words why it has none.
#[test]
fn every_mix_of_versions_has_a_test() {
    let root = places::repository();
    let document = fs::read_to_string(root.join("docs/upgrades.md")).unwrap();
    let table = document.split("## Mixed versions").nth(1).unwrap();
    let rows = table.lines().skip_while(|line| !line.starts_with("|---"));
    let rows: Vec<&str> = rows
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 8, "{rows:?}");
    for row in rows {
        let proof = row.trim_end_matches('|').rsplit('|').next().unwrap();
        assert!(proof.contains(".rs"), "no test proves this: {row}");
    }
}

/// `docs/failures.md` has the damage and the bounds of each drill, and names no drill that there is
/// not.
#[test]
fn every_drill_stands_in_the_failure_page() {
    let root = places::repository();
    let document = fs::read_to_string(root.join("docs/failures.md")).unwrap();
    let mut drills = Vec::new();
    for file in fs::read_dir(root.join("scripts/drills.d")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let source = fs::read_to_string(path).unwrap();
            let names = source.split("\n@drill(\"").skip(1);
            drills.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    drills.sort();
    assert!(drills.len() > 15, "only {drills:?} were found");
    // What each does, and its figures.
    for heading in ["| drill | the damage", "| drill | recorded"] {
        let (_, table) = document.split_once(heading).unwrap();
        let rows = table.lines().take_while(|line| !line.is_empty());
        let rows = rows.filter(|line| line.starts_with("| `"));
        let mut documented: Vec<String> = rows
            .filter_map(|row| row.split('|').nth(1))
            .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned))
            .collect();
        documented.sort();
        assert_eq!(documented, drills, "{heading}");
    }
}

/// A walk through the code leads nowhere when a function has been renamed or has moved.
#[test]
fn every_function_that_the_walkthrough_names_exists() {
    let root = places::repository();
    let document = fs::read_to_string(root.join("docs/walkthrough.md")).unwrap();
    let mut checked = 0;
    for name in document.split('`').skip(1).step_by(2) {
        let Some((file, function)) = name.split_once(".rs:") else {
            continue;
        };
        let source = fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
        let found = [format!("fn {function}("), format!("fn {function}<")]
            .iter()
            .any(|definition| source.contains(definition));
        assert!(
            found,
            "docs/walkthrough.md names {name}, which does not exist"
        );
        checked += 1;
    }
    assert!(checked > 50, "only {checked} functions are named");
}

/// A recipe that names a file that is not there any more sends a newcomer away.
#[test]
fn every_path_that_the_pages_for_maintainers_name_exists() {
    let root = places::repository();
    let named = [
        "docs/architecture.md",
        "docs/masking.md",
        "docs/masking-formats.md",
        "docs/operations.md",
        "docs/upgrades.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ];
    let mut pages: Vec<PathBuf> = named.iter().map(|page| root.join(page)).collect();
    let recipes = fs::read_dir(root.join("docs/extending")).unwrap();
    pages.extend(recipes.map(|entry| entry.unwrap().path()));
    let folders = [
        "engine/",
        "filter/",
        "control-plane/",
        "scripts/",
        "envoy/",
        "tests/tests/",
        "tests/src/",
    ];
    let mut checked = 0;
    for page in &pages {
        let document = fs::read_to_string(page).unwrap();
        for name in document.split('`').skip(1).step_by(2) {
            let is_path = folders.iter().any(|folder| name.starts_with(folder))
                && !name.contains(['*', ' ', ':']);
            if is_path && !name.contains("NAME") {
                assert!(
                    root.join(name).exists(),
                    "{} names {name}, which does not exist",
                    page.display()
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 80, "only {checked} paths are named");
}

/// The compiler says nothing about a file that `main.rs` does not name: its tests would never run.
#[test]
fn every_file_of_tests_is_a_module() {
    let folder = places::repository().join("tests/tests/e2e");
    let main = fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            name == "main" || main.contains(&format!("\nmod {name};\n")),
            "tests/tests/e2e/main.rs does not name the module `{name}`"
        );
    }
}

/// The workspace's table of lints only denies `unsafe`, since one crate has to allow it.
#[test]
fn every_crate_but_the_sdk_forbids_unsafe_code() {
    let root = places::repository();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = manifest
        .lines()
        .find(|line| line.starts_with("members = "))
        .unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.contains(&"engine"), "{members:?}");
    for member in members {
        for file in ["lib.rs", "main.rs"] {
            let Ok(source) = fs::read_to_string(root.join(member).join("src").join(file)) else {
                continue;
            };
            assert_eq!(
                source.contains("\n#![forbid(unsafe_code)]\n"),
                member != "filter/sdk",
                "{member}/src/{file}"
            );
        }
    }
}

/// No table of cargo's has lints for all code but tests, so each of these crates says them at its
/// head.
#[test]
fn the_crates_of_the_wasm_module_deny_the_same_that_could_panic() {
    let heads = ["engine", "filter", "filter/sdk"].map(|member| {
        let file = places::repository().join(member).join("src/lib.rs");
        let source = fs::read_to_string(file).unwrap();
        let from = source.find("#![cfg_attr(\n    not(test),").unwrap();
        let to = source[from..].find(")]").unwrap();
        source[from..from + to].to_owned()
    });
    assert!(heads[0].contains("clippy::unwrap_used"), "{}", heads[0]);
    assert_eq!(heads[0], heads[1]);
    assert_eq!(heads[0], heads[2]);
}

/// Envoy gives a module only what `allowed_capabilities` names. What the module wants and is not
/// named fails; a callback that is not named is never called, and requests pass unseen; what is
/// named and not wanted is too much.
#[test]
fn the_shipped_capabilities_are_what_the_module_imports_and_exports() {
    /// Envoy takes these without asking the list.
    const ALWAYS: [&str; 3] = [
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_memory_allocate",
    ];
    let file = places::repository().join("envoy/envoy.yaml");
    let shipped: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut named = Vec::new();
    capabilities(&shipped, &mut named);
    let Interface { imports, exports } = Interface::of(&places::filter_wasm());
    let exports = exports
        .into_iter()
        .filter(|name| !ALWAYS.contains(&name.as_str()));
    let mut wanted: Vec<String> = imports.into_iter().chain(exports).collect();
    wanted.sort();
    named.sort();
    assert_eq!(named, wanted);
}

/// The names in a configuration's `allowed_capabilities`.
fn capabilities(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_object() {
                    Some(allowed) if name == "allowed_capabilities" => {
                        found.extend(allowed.keys().cloned());
                    }
                    _ => capabilities(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| capabilities(item, found)),
        _ => {}
    }
}
