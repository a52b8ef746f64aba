//! The commands that need no control plane, run as people and scripts run them.

mod detectors;
mod mask;
mod policy;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Runs `chaperone` with these arguments and this standard input.
fn chaperone(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chaperone"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Beside reading, or both sides wait with full pipes. A command may end before it has read all.
    let writes = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writes.join().unwrap();
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A directory with these files.
fn files(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let paths = files
        .iter()
        .map(|(name, text)| {
            let path: PathBuf = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    (dir, paths)
}

/// What looks like a GitHub token.
fn github() -> String {
    format!("ghp_{}", "Example0".repeat(5).split_at(36).0)
}

const POLICY: &str = r#"apiVersion: chaperone/v1
issuers:
  - { issuer: "https://issuer.example", audiences: [chaperone] }
connections:
  - { name: models, hosts: [api.example.com], protocol: http }
  - { name: arm, hosts: [management.azure.com], protocol: azure-arm }
rules: []
detectors:
  - { name: custom/acme, description: Acme token, regex: 'acme_[a-z0-9]{12}', severity: critical }
masking:
  - { name: mine, detectors: ["custom/*"], on: [request], connections: [models], keep: 3 }
  - { name: github, detectors: [secrets/github-pat], on: [request], connections: [models], action: block }
  - { name: passwords, keys: [password], on: [response], connections: [models] }
"#;
