//! The walls of the control plane: which folder may name which.

use std::path::Path;

use chaperone_walls::{House, Import, Target, lies_in};

/// What people and programs see, and what hands them the services.
const FACES: &[&str] = &["http", "app"];

/// What all faces ask.
const SERVICES: &[&str] = &[
    "access",
    "administration",
    "approvals",
    "keys",
    "nodes",
    "policies",
    "trail",
];

/// What services and their start are made of.
const BELOW_SERVICES: &[&str] = &[
    "clock",
    "comment",
    "data_dir",
    "metrics",
    "random",
    "readiness",
    "store",
];

/// What keeps the state of services.
const STORES: &[&str] = &["storage"];

/// Starting and stopping: names all of the others.
const STARTING: &[&str] = &["serve"];

/// The program, from the top down.
const PROGRAM: &[&str] = &["commands", "dev", "cli"];

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

/// A folder that is in no list has no wall.
#[test]
fn every_folder_and_file_at_the_top_stands_on_one_floor() {
    for (house, floors) in [
        (
            control_plane(),
            &[FACES, SERVICES, BELOW_SERVICES, STORES, STARTING] as &[&[&str]],
        ),
        (program(), &[PROGRAM]),
    ] {
        let mut listed: Vec<&str> = floors.concat();
        listed.sort_unstable();
        let parts = house.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        assert_eq!(parts, listed, "name a new folder in one list of this file");
    }
}

#[test]
fn storage_knows_neither_the_web_framework_nor_wire_types() {
    let house = control_plane();
    assert!(house.has("storage/sqlite"));
    for store in STORES {
        none(&house.forbidden(store, |to| {
            let crates = ["axum", "http", "utoipa", "utoipa_axum", "chaperone_api"];
            names(to, &crates, &["app", "http", "serve"])
        }));
    }
}

#[test]
fn services_know_no_face_no_wire_type_and_no_database() {
    let house = control_plane();
    for service in SERVICES.iter().chain(BELOW_SERVICES) {
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
    for face in FACES {
        assert!(house.has(face), "{face}");
        none(&house.forbidden(face, |to| names(to, &["sqlx"], &["serve", "storage"])));
    }
}

/// `commands` stands on `dev`, and `dev` on `cli`. The server is started by `commands` and by
/// `dev`; `cli` knows only its wire types.
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
