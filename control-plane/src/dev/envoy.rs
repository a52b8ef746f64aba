//! Envoy as a child: started, watched, asked through its admin interface, and stopped.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use crate::cli::failure::Failure;

/// How often to look while waiting for Envoy.
const STEP: Duration = Duration::from_millis(50);
/// How much of the log a failure shows.
const TAIL_LINES: usize = 25;
/// How long requests under way and queued events may take when Envoy stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long Envoy may take to exit once it was told to.
const EXIT: Duration = Duration::from_secs(5);

/// The hidden command through which Envoy is started.
pub(crate) const CHILD_COMMAND: &str = "dev-child";

/// Arguments of the hidden command.
#[derive(Debug, clap::Args)]
pub(crate) struct ChildArgs {
    /// The process that must live for the child to live.
    #[arg(long)]
    parent: u32,
    /// Program and arguments.
    #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Turns this process into Envoy, tied to the life of its parent: `chaperone dev` killed with -9
/// leaves no Envoy behind that guards a port with a policy nobody knows of.
///
/// The kernel's parent-death signal survives `exec`; setting it in the child between fork and exec
/// needs unsafe code, setting it here does not. Other systems than Linux have no such signal: there
/// Envoy outlives a killed `dev`.
///
/// Returns only when it fails.
pub(crate) fn become_child(args: &ChildArgs) -> Failure {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
        if let Err(e) = set_parent_process_death_signal(Some(Signal::KILL)) {
            return Failure::failed(format!("Cannot tie Envoy to this process: {e}."));
        }
        // The parent may have died before the signal was set.
        let parent = getppid()
            .map(Pid::as_raw_nonzero)
            .map(|pid| pid.get().unsigned_abs());
        if parent != Some(args.parent) {
            return Failure::failed("The process that started Envoy is gone.");
        }
    }
    let Some((program, arguments)) = args.command.split_first() else {
        return Failure::usage("No program is named.");
    };
    let error = std::process::Command::new(program).args(arguments).exec();
    Failure::failed(format!(
        "Cannot start {}: {error}.",
        Path::new(program).display()
    ))
}

/// What Envoy is started with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    /// The binary.
    pub(crate) binary: &'a Path,
    /// Its configuration, readable by this user alone.
    pub(crate) config: &'a Path,
    /// Where it writes its admin address.
    pub(crate) admin_address: PathBuf,
    /// Where standard output and error go.
    pub(crate) log: PathBuf,
    /// Whether that file stays when the run is over.
    pub(crate) log_is_kept: bool,
    /// Worker threads.
    pub(crate) concurrency: u32,
    /// `--log-level`, and levels by component after a comma.
    pub(crate) log_level: &'a str,
}

/// A running Envoy.
pub(crate) struct Envoy {
    child: Child,
    log: PathBuf,
    log_is_kept: bool,
    http: reqwest::Client,
    /// The admin interface.
    pub(crate) admin: SocketAddr,
    /// Listeners by name, with the addresses that they really have.
    pub(crate) listeners: BTreeMap<String, SocketAddr>,
}

impl Envoy {
    /// Starts Envoy and waits until it is live. Call it on the main thread: the kernel sends the
    /// parent-death signal when the thread that forked ends.
    ///
    /// # Errors
    /// When it exits or takes longer than `timeout`; with the end of its log.
    pub(crate) async fn start(
        launch: Launch<'_>,
        http: reqwest::Client,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let cannot = |e: std::io::Error| {
            Failure::failed(format!(
                "Cannot start Envoy ({}): {e}.",
                launch.binary.display()
            ))
        };
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&launch.log)
            .map_err(cannot)?;
        let child = Command::new(std::env::current_exe().map_err(cannot)?)
            .arg(CHILD_COMMAND)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(launch.binary)
            .arg("--config-path")
            .arg(launch.config)
            .arg("--admin-address-path")
            .arg(&launch.admin_address)
            .args(["--disable-hot-restart", "--concurrency"])
            .arg(launch.concurrency.to_string())
            .arg("--log-level")
            .arg(launch.log_level)
            // The access log is there when the request is answered, near enough.
            .args(["--file-flush-interval-msec", "200"])
            // Ctrl-C goes to the whole process group of a terminal; Envoy must outlive it to drain.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(cannot)?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self {
            child,
            log: launch.log,
            log_is_kept: launch.log_is_kept,
            http,
            admin: unknown,
            listeners: BTreeMap::new(),
        };
        let deadline = Instant::now() + timeout;
        let mut late = "was not ready";
        loop {
            if let Some(address) = read_address(&launch.admin_address) {
                envoy.admin = address;
                if envoy
                    .get("/ready")
                    .await
                    .is_some_and(|text| text.trim() == "LIVE")
                {
                    // Its main thread starts the workers now, and answers nobody meanwhile.
                    late = "did not say where it listens";
                    let page = envoy.get("/listeners?format=json").await;
                    if let Some(listeners) = page.as_deref().and_then(listeners) {
                        envoy.listeners = listeners;
                        break;
                    }
                }
            }
            envoy.check()?;
            if Instant::now() >= deadline {
                let seconds = timeout.as_secs();
                return Err(envoy.broken(&format!("{late} after {seconds} seconds")));
            }
            tokio::time::sleep(STEP).await;
        }
        Ok(envoy)
    }

    /// Fails when Envoy has ended.
    ///
    /// # Errors
    /// With how it ended and the end of its log.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status)),
            Err(e) => Err(self.broken(&format!("cannot be watched: {e}"))),
        }
    }

    /// Waits until Envoy ends by itself, which it should not.
    pub(crate) async fn died(&mut self) -> Failure {
        match self.child.wait().await {
            Ok(status) => self.ended(status),
            Err(e) => self.broken(&format!("cannot be watched: {e}")),
        }
    }

    fn ended(&self, status: ExitStatus) -> Failure {
        self.broken(&format!("ended ({status})"))
    }

    /// A failure with the end of the log.
    pub(crate) fn broken(&self, what: &str) -> Failure {
        let next = if self.log_is_kept {
            format!("The whole log is {}.", self.log.display())
        } else {
            "With --log-dir DIR the whole log is kept.".to_owned()
        };
        Failure::failed(format!(
            "Envoy {what}. The end of its log:\n{}",
            tail(&self.log)
        ))
        .next(next)
    }

    /// One of the admin's pages.
    async fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://{}{path}", self.admin);
        let response = self
            .http
            .get(url)
            .timeout(Duration::from_secs(2))
            .send()
            .await
            .ok()?;
        if response.status().is_success() {
            response.text().await.ok()
        } else {
            None
        }
    }

    async fn post(&self, path: &str) -> bool {
        let url = format!("http://{}{path}", self.admin);
        let request = self.http.post(url).timeout(Duration::from_secs(2));
        request
            .send()
            .await
            .is_ok_and(|response| response.status().is_success())
    }

    /// Requests under way and events that wait for the control plane, together.
    async fn unfinished(&self) -> Option<u64> {
        let stats = self
            .get("/stats?usedonly&filter=(downstream_rq_active|queue_events)")
            .await?;
        Some(unfinished(&stats))
    }

    /// Stops Envoy: first no new connections, then the requests under way, then the events that
    /// wait for the control plane, then the process. The control plane must still be there.
    pub(crate) async fn stop(mut self) {
        if self.post("/drain_listeners").await {
            let deadline = Instant::now() + DRAIN;
            // A request that has just ended may have an event to queue yet, so twice.
            let mut quiet = 0;
            while quiet < 2 && Instant::now() < deadline {
                match self.unfinished().await {
                    Some(0) => quiet += 1,
                    Some(_) => quiet = 0,
                    None => break,
                }
                tokio::time::sleep(STEP).await;
            }
        }
        let asked = self.post("/quitquitquit").await;
        if !asked || tokio::time::timeout(EXIT, self.child.wait()).await.is_err() {
            // It does not answer: nothing is left to be saved.
            let _ = self.child.kill().await;
        }
    }
}

/// Adds up the lines of `/stats`, but for the admin interface's own requests: ours is one of them.
fn unfinished(stats: &str) -> u64 {
    let of_agents = stats
        .lines()
        .filter(|line| !line.starts_with("http.admin."));
    of_agents
        .filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok())
        .sum()
}

/// Envoy writes `127.0.0.1:45123`, once it listens.
fn read_address(file: &Path) -> Option<SocketAddr> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Reads `/listeners?format=json`.
fn listeners(text: &str) -> Option<BTreeMap<String, SocketAddr>> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    json.get("listener_statuses")?
        .as_array()?
        .iter()
        .map(|listener| {
            let address = listener.get("local_address")?.get("socket_address")?;
            let ip = address.get("address")?.as_str()?.parse().ok()?;
            let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
            Some((
                listener.get("name")?.as_str()?.to_owned(),
                SocketAddr::new(ip, port),
            ))
        })
        .collect()
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL_LINES);
    lines
        .iter()
        .skip(from)
        .map(|line| format!("  {line}\n"))
        .collect::<String>()
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_question_is_no_request_under_way() {
        let idle = "http.admin.downstream_rq_active: 1\nhttp.main.downstream_rq_active: 0\nwasmcustom.chaperone.queue_events: 0\n";
        assert_eq!(unfinished(idle), 0);
        let busy =
            "http.connection-arm.downstream_rq_active: 2\nwasmcustom.chaperone.queue_events: 3\n";
        assert_eq!(unfinished(busy), 5);
    }

    #[test]
    fn listeners_are_read_as_envoy_lists_them() {
        let text = r#"{"listener_statuses":[{"name":"main","local_address":{"socket_address":{"address":"127.0.0.1","port_value":43211}}}]}"#;
        let expected = BTreeMap::from([("main".to_owned(), "127.0.0.1:43211".parse().unwrap())]);
        assert_eq!(listeners(text), Some(expected));
        assert_eq!(listeners("{}"), None);
    }
}
