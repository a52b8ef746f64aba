//! Everything up in order, watched, and down in order.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::args::RunArgs;
use super::control_plane::ControlPlane;
use super::envoy::{Envoy, Launch};
use super::envoy_config::{EnvoyConfig, MAIN_LISTENER, listener_name};
use super::issuer::{AUDIENCE, DevIssuer, ISSUER};
use super::plan::{RunPlan, loopback};
use super::ready::{Ready, ReadyConnection, ReadyIssuer};
use crate::cli::client::{Client, http_client};
use crate::cli::document::{compile, not_valid_policy, read_document};
use crate::cli::failure::Failure;
use crate::cli::files::{private_dir, replace, write_private};
use crate::cli::nodes::all_nodes;
use crate::cli::output::{Output, now};
use crate::cli::signals::Stop;
use crate::cli::user_state::{LastRun, UserState};

/// Envoy's node id.
const NODE: &str = "dev";
/// How long Envoy may take to start: it compiles the filter, once for each worker.
const START: Duration = Duration::from_secs(60);
/// How long the workers may take to fetch the policy.
const ENFORCE: Duration = Duration::from_secs(30);

/// Runs `chaperone dev` until it is told to stop.
///
/// # Errors
/// When something is wrong with the flags, cannot start, or ends by itself.
pub(crate) async fn run(args: RunArgs, out: Output) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    if let Some(file) = &args.ready_file {
        // Whoever waits for the file must not find the one of an earlier run.
        remove_stale(file)?;
    }
    let mut parts = Parts::default();
    let started = tokio::select! {
        started = start(&args, &mut parts, out) => started.map(Some),
        () = stop.told() => Ok(None),
    };
    let ended = match started {
        Ok(Some(())) => watch(&mut parts, &mut stop).await,
        Ok(None) => Ok(()),
        Err(failure) => Err(failure),
    };
    if let Some(file) = &args.ready_file {
        let _ = std::fs::remove_file(file);
    }
    if out.is_text() && ended.is_ok() {
        out.line("Stopping: requests under way and queued events first.")?;
    }
    tokio::select! {
        () = parts.stop() => {}
        // Told twice: in a hurry. Envoy is killed when it is dropped.
        () = stop.told() => {}
    }
    ended
}

/// What has been started so far, in the order of starting.
#[derive(Default)]
struct Parts {
    /// Removed with everything in it when this is dropped.
    run_dir: Option<tempfile::TempDir>,
    control_plane: Option<ControlPlane>,
    envoy: Option<Envoy>,
    state: Option<UserState>,
}

impl Parts {
    /// Stops what was started, the last first: Envoy's queued events need the control plane.
    async fn stop(&mut self) {
        if let Some(state) = self.state.take() {
            state.clear_last_run(std::process::id());
        }
        if let Some(envoy) = self.envoy.take() {
            envoy.stop().await;
        }
        if let Some(control_plane) = self.control_plane.take() {
            control_plane.stop().await;
        }
    }
}

async fn watch(parts: &mut Parts, stop: &mut Stop) -> Result<(), Failure> {
    let (Some(envoy), Some(control_plane)) = (&mut parts.envoy, &mut parts.control_plane) else {
        return Ok(());
    };
    tokio::select! {
        () = stop.told() => Ok(()),
        failure = envoy.died() => Err(failure),
        failure = control_plane.died() => Err(failure),
    }
}

async fn start(args: &RunArgs, parts: &mut Parts, out: Output) -> Result<(), Failure> {
    let Some(policy_file) = &args.policy else {
        return Err(Failure::usage("--policy FILE is missing."));
    };
    let document = read_document(policy_file)?;
    let (policy, _) =
        compile(&document).map_err(|errors| not_valid_policy(policy_file, &errors))?;

    let run_dir = tempfile::Builder::new()
        .prefix("chaperone-dev-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|e| Failure::failed(format!("Cannot make a directory for this run: {e}.")))?;
    let run_path = run_dir.path().to_owned();
    parts.run_dir = Some(run_dir);
    let plan = RunPlan::new(args, &policy, &run_path)?;
    let log_dir = directory(args.log_dir.as_deref(), &run_path.join("logs"))?;
    // The control plane makes it, with the mode that it insists on.
    let data_dir = match &args.data_dir {
        Some(dir) => std::path::absolute(dir)
            .map_err(|e| Failure::usage(format!("--data-dir {}: {e}.", dir.display())))?,
        None => run_path.join("data"),
    };

    let state = UserState::locate()?;
    let issuer = DevIssuer::load_or_create(&state)?;
    let control_plane = ControlPlane::start(args, &data_dir, &log_dir, &issuer).await?;
    let server = format!("http://{}", control_plane.address);
    let issuer_url = format!("http://{}", control_plane.issuer_address);
    let token_file = control_plane.admin_token_file.clone();
    let keys = control_plane.filter_keys()?;
    let api = control_plane.client()?;
    let control_plane_address = control_plane.address;
    parts.control_plane = Some(control_plane);
    let published = super::control_plane::publish(&api, document, policy_file).await?;
    if out.is_text() {
        for warning in &published.warnings {
            out.line(format!("warning: {warning}"))?;
        }
    }
    let version = published.version.version;

    let config = EnvoyConfig {
        node: NODE.to_owned(),
        admin: loopback(args.admin_port),
        listen: args.listen,
        control_plane: control_plane_address,
        wasm: plan.wasm.clone(),
        plugin: plan.plugin(NODE, args.profile, &keys),
        profile: args.profile,
        connections: plan.connections.clone(),
        access_log: log_dir.join("access.log"),
    };
    let config_file = run_path.join("envoy.json");
    write_private(&config_file, config.to_json().to_string().as_bytes())
        .map_err(|e| Failure::failed(format!("Cannot write {}: {e}.", config_file.display())))?;
    let since = now();
    let launch = Launch {
        binary: &plan.envoy,
        config: &config_file,
        admin_address: run_path.join("envoy-admin"),
        log: log_dir.join("envoy.log"),
        log_is_kept: args.log_dir.is_some(),
        concurrency: args.concurrency,
        log_level: &args.envoy_log_level,
    };
    let envoy = Envoy::start(launch, http_client()?, START).await?;
    let envoy = parts.envoy.insert(envoy);
    enforced(envoy, &api, version, since, args.concurrency).await?;

    let url = |name: &str| {
        envoy
            .listeners
            .get(name)
            .map(|address| format!("http://{address}"))
            .ok_or_else(|| envoy.broken(&format!("has no listener {name}")))
    };
    let mut connections = std::collections::BTreeMap::new();
    for served in &plan.connections {
        if let Some(upstream) = &served.upstream {
            let ready = ReadyConnection {
                url: url(&listener_name(&served.name))?,
                hosts: served.hosts.clone(),
                upstream: upstream.upstream.url(),
            };
            connections.insert(served.name.clone(), ready);
        }
    }
    let ready = Ready {
        pid: std::process::id(),
        gate: url(MAIN_LISTENER)?,
        connections,
        server: server.clone(),
        token_file: token_file.clone(),
        envoy_admin: format!("http://{}", envoy.admin),
        issuer: ReadyIssuer {
            url: issuer_url,
            issuer: ISSUER.to_owned(),
            audience: AUDIENCE.to_owned(),
        },
        policy_version: version,
        node: NODE.to_owned(),
        log_dir,
        data_dir,
    };
    let this_run = LastRun {
        server,
        token_file,
        pid: std::process::id(),
    };
    state.set_last_run(&this_run).map_err(|e| {
        Failure::failed(format!(
            "Cannot tell the command line where this control plane is: {e}."
        ))
    })?;
    parts.state = Some(state);
    if let Some(file) = &args.ready_file {
        let json = serde_json::to_vec_pretty(&ready).map_err(std::io::Error::other);
        json.and_then(|json| replace(file, &json, 0o644))
            .map_err(|e| Failure::failed(format!("Cannot write {}: {e}.", file.display())))?;
    }
    if out.is_text() {
        out.line(ready.to_string())?
    } else {
        out.json(&ready)?
    }
    Ok(())
}

/// Waits until every worker of this Envoy enforces `version`.
///
/// # Errors
/// When Envoy ends, or it takes too long; with the end of its log.
async fn enforced(
    envoy: &mut Envoy,
    api: &Client,
    version: u64,
    since: chaperone_engine::base::time::UnixMillis,
    workers: u32,
) -> Result<(), Failure> {
    let deadline = Instant::now() + ENFORCE;
    // Envoy's main thread runs the filter too. Without counting it, it would stand in for a worker
    // that has not reported yet and answers 503 `no_policy`.
    let all = workers as usize + 1;
    loop {
        envoy.check()?;
        // With --data-dir the control plane also knows the workers of earlier runs.
        let nodes: Vec<_> = all_nodes(api)
            .await?
            .into_iter()
            .filter(|node| node.name == NODE && node.first_seen_at >= since)
            .collect();
        let ready = nodes
            .iter()
            .filter(|node| {
                node.enforced
                    .is_some_and(|serial| serial.policy_version >= version)
            })
            .count();
        if ready == nodes.len() && ready >= all {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let refused = nodes.iter().find_map(|node| node.refused.as_deref());
            let why = refused.map(|why| format!(": {why}")).unwrap_or_default();
            return Err(envoy.broken(&format!(
                "runs, but only {ready} of {all} threads enforce the policy{why}"
            )));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn directory(told: Option<&Path>, otherwise: &Path) -> Result<PathBuf, Failure> {
    let dir = told.unwrap_or(otherwise);
    let made = match told {
        Some(dir) => std::fs::create_dir_all(dir),
        None => private_dir(dir),
    };
    made.and_then(|()| dir.canonicalize())
        .map_err(|e| Failure::failed(format!("Cannot make the directory {}: {e}.", dir.display())))
}

fn remove_stale(file: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Failure::usage(format!(
            "--ready-file: cannot replace {}: {e}.",
            file.display()
        ))),
        _ => Ok(()),
    }
}
