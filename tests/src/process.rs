//! Processes with captured output, which end with the test that started them.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::wait;

/// How long a process may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(15);

/// A running process, in a process group of its own so that what it starts ends with it.
///
/// Dropped, it is asked to end and then killed. When the test panics its last lines are printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: u32,
    input: tokio::sync::Mutex<ChildStdin>,
    output: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts `command`; `name` is what messages call it.
    ///
    /// Its standard input is a pipe that closes when the process is dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|e| {
            panic!(
                "{name} cannot be started ({:?}): {e}",
                command.as_std().get_program()
            )
        });
        let group = child
            .id()
            .expect("a process that was just started has an id");
        let input = tokio::sync::Mutex::new(child.stdin.take().expect("stdin is piped"));
        let output = Arc::new(Mutex::new(Vec::new()));
        capture(child.stdout.take().expect("stdout is piped"), &output);
        capture(child.stderr.take().expect("stderr is piped"), &output);
        Self {
            name: name.to_owned(),
            child,
            group,
            input,
            output,
        }
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    /// When it does not read it, with its output.
    pub async fn write_line(&self, line: &str) {
        let written = self
            .input
            .lock()
            .await
            .write_all(format!("{line}\n").as_bytes())
            .await;
        written.unwrap_or_else(|e| panic!("{} reads nothing ({e}):\n{}", self.name, self.output()));
    }

    /// Everything it wrote so far, both streams, line by line.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.lock().expect("no holder panics").join("\n")
    }

    /// Waits until it has written a line that contains `text`, and gives that line.
    ///
    /// # Panics
    /// When it ends first, or does not in time.
    pub async fn wait_for_line(&mut self, text: &str) -> String {
        let what = format!("{} to write {text:?}", self.name);
        wait::until(&what, async || {
            let found = self.line_with(text);
            if found.is_none() {
                self.assert_running();
                // It may have written the line between the two looks.
                return self.line_with(text);
            }
            found
        })
        .await
    }

    /// # Panics
    /// When it has ended, with its output.
    pub fn assert_running(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            panic!("{} ended ({status}):\n{}", self.name, self.output());
        }
    }

    /// The process's id, `None` once it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Panics
    /// When it does not end in time.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM").await;
        match tokio::time::timeout(GRACE, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!(
                "{} did not end within {GRACE:?} of SIGTERM:\n{}",
                self.name,
                self.output()
            ),
        }
    }

    /// Ends it at once (SIGKILL), as a crash would.
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Stops it without ending it (SIGSTOP): it keeps its sockets and answers nothing.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub async fn thaw(&self) {
        self.signal("CONT").await;
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn wait(&mut self) -> ExitStatus {
        match tokio::time::timeout(wait::PATIENCE, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!("{} does not end:\n{}", self.name, self.output()),
        }
    }

    /// To the process alone. `kill` the program, since calling `kill` the function is unsafe code.
    async fn signal(&self, signal: &str) {
        if let Some(id) = self.child.id() {
            let _ = Command::new("kill")
                .args([&format!("-{signal}"), &id.to_string()])
                .status()
                .await;
        }
    }

    /// The first line that it wrote that `is_wanted`.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn line(&self, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
        let output = self.output.lock().expect("no holder panics");
        output.iter().find(|line| is_wanted(line)).cloned()
    }

    fn line_with(&self, text: &str) -> Option<String> {
        self.line(|line| line.contains(text))
    }

    /// To everything that it started too. Blocking: used where nothing else can be.
    fn signal_group(&self, signal: &str) {
        let _ = std::process::Command::new("kill")
            .args([&format!("-{signal}"), "--", &format!("-{}", self.group)])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let output = self
                .output
                .lock()
                .map(|lines| lines.clone())
                .unwrap_or_default();
            let tail = output.len().saturating_sub(80);
            eprintln!("--- the last lines of {} ---", self.name);
            for line in &output[tail..] {
                // A client's answer is one line, and can be megabytes.
                eprintln!("{}", line.chars().take(2000).collect::<String>());
            }
            eprintln!("---");
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal_group("TERM");
            let deadline = Instant::now() + Duration::from_secs(3);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // Also when the leader has ended: what it started may not have.
        self.signal_group("KILL");
    }
}

fn capture(stream: impl AsyncRead + Unpin + Send + 'static, output: &Arc<Mutex<Vec<String>>>) {
    let output = Arc::clone(output);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line).into_owned();
            output.lock().expect("no holder panics").push(line);
        }
    });
}
