//! The walls of the control plane: which folder may name which.

use std::path::Path;

use chaperone_walls::{House, Import, Target, lies_in};

/// What all faces ask, and what stands below them.
const SERVICES: &[&str] = &["access", "approvals", "keys", "nodes", "policies", "trail"];

/// The library: the control plane itself.
fn control_plane() -> House {
    read("lib.rs")
}

/// The program around it.
fn program() -> House {
    read("main.rs")
}

fn read(root: &str) -> House {
    House::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), root)
}

#[track_caller]
fn none(broken: &[Import]) {
    let list: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "\n{}", list.join("\n"));
}

/// Whether `target` is one of these crates, or a file in one of these folders.
fn names(target: &Target, crates: &[&str], folders: &[&str]) -> bool {
    match target {
        Target::Crate(name) => crates.contains(&name.as_str()),
        Target::File(file) => folders.iter().any(|folder| lies_in(file, folder)),
    }
}

#[test]
fn storage_knows_neither_the_web_framework_nor_wire_types() {
    let house = control_plane();
    assert!(house.has("storage/sqlite"));
    none(&house.forbidden("storage", |to| {
        let crates = ["axum", "http", "utoipa", "utoipa_axum", "chaperone_api"];
        names(to, &crates, &["app", "http", "serve"])
    }));
}

#[test]
fn services_know_no_face_no_wire_type_and_no_database() {
    let house = control_plane();
    for service in SERVICES.iter().chain(&["comment", "store"]) {
        assert!(house.has(service), "{service}");
        none(&house.forbidden(service, |to| {
            let crates = [
                "axum",
                "http",
                "utoipa",
                "utoipa_axum",
                "sqlx",
                "chaperone_api",
            ];
            names(to, &crates, &["app", "http", "serve", "storage"])
        }));
    }
}

#[test]
fn faces_know_services_and_no_database() {
    let house = control_plane();
    for face in ["http", "app"] {
        assert!(house.has(face), "{face}");
        none(&house.forbidden(face, |to| names(to, &["sqlx"], &["serve", "storage"])));
    }
}

/// `commands` stands on `dev`, and `dev` on `cli`. The server is started by `commands` and by `dev`; `cli`
/// knows only its wire types.
#[test]
fn no_import_of_the_program_runs_up() {
    let house = program();
    for (part, crates, above) in [
        (
            "cli",
            &["chaperone"] as &[&str],
            &["dev", "commands"] as &[&str],
        ),
        ("dev", &[], &["commands"]),
    ] {
        assert!(house.has(part), "{part}");
        none(&house.forbidden(part, |to| names(to, crates, above)));
    }
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    assert_eq!(control_plane().circles(), []);
    assert_eq!(program().circles(), []);
}
