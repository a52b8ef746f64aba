//! `commands` stands on `dev`, and `dev` on `cli`; no import runs back. The server is started by
//! `commands` and by `dev`, and `cli` knows only its wire types.

use std::path::Path;

/// Every file below `folder`, with its text.
fn sources(folder: &str) -> Vec<(String, String)> {
    let mut folders = vec![
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(folder),
    ];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                sources.push((path.display().to_string(), text));
            }
        }
    }
    sources
}

#[test]
fn no_import_runs_up() {
    for (folder, above) in [
        (
            "cli",
            &["crate::dev", "crate::commands", "chaperone::"] as &[&str],
        ),
        ("dev", &["crate::commands"]),
    ] {
        let sources = sources(folder);
        assert!(sources.len() > 10, "{folder} is not where it was");
        for (file, text) in sources {
            for name in above {
                let found = text.lines().find(|line| line.contains(name));
                assert_eq!(found, None, "{file} uses {name}");
            }
        }
    }
}
