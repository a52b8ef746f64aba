//! `chaperone serve` as a process of its own, where a limit or a variable of the environment
//! matters.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The running program. It ends with this.
pub(crate) struct Program {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) admin: String,
    pub(crate) node: String,
    _child: Child,
}

/// Starts `chaperone serve` on `data_dir`, with at most `descriptors` open files.
pub(crate) async fn start(
    data_dir: &Path,
    descriptors: u32,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Program {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\""))
        .arg(env!("CARGO_BIN_EXE_chaperone"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
        .arg("--data-dir")
        .arg(data_dir)
        .args(arguments)
        .env_remove("CHAPERONE_LOG")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listens = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it ended");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            if line["fields"]["message"] == "the control plane listens" {
                return line["fields"]["addr"].as_str().unwrap().parse().unwrap();
            }
        }
    };
    let address = tokio::time::timeout(Duration::from_secs(60), listens)
        .await
        .expect("it starts");
    // Or it would stand still at a full pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let read = |name: &str| {
        let text = std::fs::read_to_string(data_dir.join(name)).unwrap();
        text.trim().to_owned()
    };
    Program {
        address,
        admin: read("admin.token"),
        node: read("node.token"),
        _child: child,
    }
}
