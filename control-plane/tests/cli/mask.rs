//! `chaperone mask`.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{POLICY, chaperone, files, github, stderr, stdout};

#[test]
fn secrets_are_replaced_and_all_else_passes_byte_for_byte() {
    let input = [b"\x00\xff before \r\n", github().as_bytes(), b"\n\n after"].concat();
    let output = chaperone(&["mask"], &input);
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
    let (before, rest) = output.stdout.split_at(12);
    assert_eq!(before, b"\x00\xff before \r\n");
    let rest = String::from_utf8(rest.to_vec()).unwrap();
    assert!(rest.starts_with("[masked:github-pat:"), "{rest}");
    assert!(rest.ends_with("]\n\n after"), "{rest}");
}

#[test]
fn the_output_is_the_same_however_the_input_is_cut() {
    let (_dir, paths) = files(&[("key", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=")]);
    let input = format!(r#"{{"a": "{}", "b": {{"password": "hunter2"}}}}"#, github());
    let mask = |more: &[&str]| {
        let common = [
            "mask",
            "--format",
            "json",
            "--keys",
            "default",
            "--fingerprint-key-file",
            &paths[0],
        ];
        let args: Vec<&str> = common.iter().chain(more).copied().collect();
        let output = chaperone(&args, input.as_bytes());
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let whole = mask(&[]);
    let parsed: Value = serde_json::from_str(&whole).unwrap();
    for value in [&parsed["a"], &parsed["b"]["password"]] {
        assert!(value.as_str().unwrap().starts_with("[masked:"), "{whole}");
    }
    for chunk in ["1", "2", "7", "0"] {
        assert_eq!(mask(&["--chunk", chunk]), whole, "--chunk {chunk}");
    }
    assert_eq!(mask(&["--chunk", "0", "--seed", "5"]), whole);
}

#[test]
fn a_blocked_secret_ends_the_output_before_it_with_an_exit_code_of_its_own() {
    let input = format!("fine {} not seen", github());
    let output = chaperone(&["mask", "--action", "block"], input.as_bytes());
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(stdout(&output), "fine ");
    let said = stderr(&output);
    assert!(
        said.starts_with("error: A secret (secrets/github-pat, fingerprint "),
        "{said}"
    );
    assert!(!said.contains(&github()));
}

#[test]
fn statistics_count_what_was_found_and_never_show_it() {
    let input = format!("{} and {}", github(), github());
    let args = ["mask", "--action", "report", "--stats", "--chunk", "10"];
    let output = chaperone(&args, input.as_bytes());
    assert_eq!(stdout(&output), input);
    let said = stderr(&output);
    assert!(!said.contains(&github()));
    let stats: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(stats["findings"]["secrets/github-pat"]["reported"], 2);
    assert_eq!(stats["bytes_in"], input.len());
    assert_eq!(stats["bytes_out"], input.len());
    assert!(stats["seconds"].as_f64().unwrap() > 0.0);
    assert!(stats["held_max"].is_u64());
}

#[test]
fn a_policy_says_what_is_masked_on_a_connection_in_a_direction() {
    let (_dir, paths) = files(&[("policy.yaml", POLICY)]);
    let mask = |connection: &str, direction: &str, input: &str| {
        let args = [
            "mask",
            "--policy",
            &paths[0],
            "--connection",
            connection,
            "--direction",
            direction,
        ];
        chaperone(&args, input.as_bytes())
    };
    let output = mask("models", "request", "acme_01234example, ");
    let masked = stdout(&output);
    assert!(
        masked.starts_with("[masked:acme:") && masked.ends_with(":ple], "),
        "{masked}"
    );

    assert_eq!(mask("models", "request", &github()).status.code(), Some(4));

    let output = mask("models", "response", r#"{"password": "hunter2"}"#);
    assert!(
        stdout(&output).contains("[masked:password:"),
        "{}",
        stdout(&output)
    );

    // Whoever believes that it masks is told that it does not.
    let output = mask("arm", "response", "acme_01234example");
    assert_eq!(stdout(&output), "acme_01234example");
    assert!(stderr(&output).starts_with("note: this policy does nothing with responses"));

    let output = mask("modles", "response", "");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("It has models, arm."),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_read() {
    for (args, said) in [
        (
            &["mask", "--detectors", "secrets/githb-pat"][..],
            "did you mean `secrets/github-pat`?",
        ),
        (
            &["mask", "--action", "block", "--keep", "4"],
            "`keep` is only for `action: mask`",
        ),
        (
            &["mask", "--policy", "p.yaml", "--keep", "4"],
            "cannot be used with",
        ),
        (&["mask", "--seed", "4"], "--chunk"),
        (&["mask", "--format", "xml"], "possible values"),
        (
            &["mask", "--format", "multipart"],
            "--content-type 'multipart/form-data; boundary=BOUNDARY'",
        ),
    ] {
        let output = chaperone(args, b"no boundary\n");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains(said),
            "{args:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{args:?}");
    }
}

#[test]
fn bytes_that_are_no_secret_leave_while_the_input_is_still_open() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chaperone"))
        .arg("mask")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut got = [0; 6];
    for _ in 0..3 {
        stdin.write_all(b"hello\n").unwrap();
        stdout.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello\n");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_is_nothing_to_complain_about() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chaperone"))
        .arg("mask")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let text = vec![b'x'; 1024 * 1024];
    // The command ends before it has read all of it.
    let _ = stdin.write_all(&text);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(stderr(&output), "");
}

#[test]
fn json_errors_are_asked_for_like_everywhere() {
    let output = chaperone(
        &["mask", "--action", "block", "-o", "json"],
        github().as_bytes(),
    );
    let said: Value = serde_json::from_str(&stderr(&output)).unwrap();
    assert_eq!(said["error"]["next"], json!(null));
    assert!(
        said["error"]["message"]
            .as_str()
            .unwrap()
            .contains("secrets/github-pat")
    );
}
