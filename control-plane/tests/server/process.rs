//! A control plane in a process of its own: for what only happens to whole processes, and for files
//! that a test changes. SQLite in the test's own process would lose its locks by that (POSIX).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use crate::kit::Server;

/// Long enough for a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Process {
    pub(crate) server: Server,
    child: Running,
}

/// Ends with whoever has it, also when a test fails.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Process {
    /// Starts one, with its log in a file beside the data directory.
    pub(crate) async fn start(data_dir: &Path) -> Self {
        let log = data_dir.with_extension("log");
        let child = serve(data_dir)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut child = Running(child);
        let told = || {
            let log = std::fs::read_to_string(&log).unwrap();
            let (_, address) = log.split_once("the control plane listens addr=")?;
            Some(address.split_whitespace().next()?.to_owned())
        };
        let address = until("it listens", || {
            if let Some(status) = child.0.try_wait().unwrap() {
                let log = std::fs::read_to_string(&log).unwrap();
                panic!("it does not start: {status}\n{log}");
            }
            told()
        });
        Self {
            server: Server::at(&format!("http://{}", address.await), data_dir),
            child,
        }
    }

    /// Lets it write nothing more into any file, or everything again.
    pub(crate) fn may_write(&self, may: bool) {
        let limit = Rlimit {
            current: (!may).then_some(0),
            maximum: None,
        };
        prlimit(Some(self.pid()), Resource::Fsize, limit).unwrap();
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        kill_process(self.pid(), Signal::TERM).unwrap();
        until("it stops", || self.child.0.try_wait().unwrap()).await
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child.0)
    }
}

fn serve(data_dir: &Path) -> Command {
    let mut command = chaperone();
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data_dir);
    command
}

pub(crate) fn chaperone() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaperone"));
    command
        .env_remove("CHAPERONE_LOG")
        .env_remove("CHAPERONE_DATA_DIR")
        .stdin(Stdio::null());
    command
}

/// One with further arguments and its log in a file; it may not have begun to listen.
pub(crate) fn serve_with(data_dir: &Path, arguments: &[String], log: &Path) -> Running {
    let child = serve(data_dir)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(log).unwrap())
        .spawn();
    Running(child.unwrap())
}

/// A start that must fail: why it does.
pub(crate) fn refused_to_start(data_dir: &Path) -> String {
    refused_to_start_with(data_dir, &[])
}

/// The same with further arguments.
pub(crate) fn refused_to_start_with(data_dir: &Path, arguments: &[String]) -> String {
    let output = serve(data_dir).args(arguments).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let (_, why) = error
        .split_once("error: The control plane does not start: ")
        .unwrap_or_else(|| panic!("{error}"));
    why.to_owned()
}

/// Runs `chaperone db COMMAND` on the data directory.
pub(crate) fn db(command: &str, data_dir: &Path) -> Output {
    chaperone()
        .args(["db", command, "--data-dir"])
        .arg(data_dir)
        .output()
        .unwrap()
}

/// All that a command has printed.
pub(crate) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// The database's files in a data directory.
pub(crate) fn database_files(data_dir: &Path) -> [PathBuf; 3] {
    ["chaperone.db", "chaperone.db-wal", "chaperone.db-shm"].map(|name| data_dir.join(name))
}

/// Waits until it is so.
pub(crate) async fn until<T>(what: &str, mut so: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = so() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"))
}
