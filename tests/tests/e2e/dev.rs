//! `chaperone dev`: what whoever starts it relies on, and what its Envoy does not let clients do.

use chaperone_tests::api::text;
use chaperone_tests::chaperone::{Commands, Dev, DevOptions};
use chaperone_tests::client::{Call, Client, Http};
use chaperone_tests::upstream::{Reply, Upstream};
use chaperone_tests::wait;
use serde_json::{Value, json};

/// Developers may do anything on two connections, of which `other` has no upstream.
fn policy() -> Value {
    json!({
        "apiVersion": "chaperone/v1",
        "issuers": [{ "issuer": "https://login.example.com", "audiences": ["x"], "jwks": { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] } }],
        "connections": [
            { "name": "plain", "hosts": ["api.example"], "protocol": "http" },
            { "name": "other", "hosts": ["other.example"], "protocol": "http" },
        ],
        "rules": [{ "name": "all", "match": { "groups": ["dev"] }, "effect": "allow" }],
    })
}

async fn token(dev: &Dev) -> String {
    dev.token("ana", &["dev"]).await
}

/// The process ids of the Envoys that `parent` has started.
fn children(parent: u32) -> Vec<u32> {
    let tasks = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    tasks
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

fn lives(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state follows the name, which ends with the last parenthesis; Z is a zombie.
    status
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[tokio::test]
async fn a_client_cannot_make_envoy_send_its_request_twice() {
    let upstream = Upstream::start().await;
    upstream.always(Reply::status(503));
    let dev = Dev::start(policy(), &[("plain", &upstream)]).await;
    let call = Call::post("/once", "x")
        .bearer(&token(&dev).await)
        .header("x-envoy-retry-on", "5xx")
        .header("x-envoy-max-retries", "5");
    let answer = dev.client("plain").send(call).await.unwrap();
    assert_eq!(answer.status, 503);
    let seen = upstream.seen_at("/once");
    assert_eq!(seen.len(), 1, "approved once is sent once");
    for private in ["x-envoy-external-address", "x-forwarded-for"] {
        assert_eq!(seen[0].header(private), Vec::<&str>::new(), "{private}");
    }
}

#[tokio::test]
async fn a_header_that_only_a_sloppy_upstream_reads_as_another_does_not_pass() {
    let upstream = Upstream::start().await;
    let dev = Dev::start(policy(), &[("plain", &upstream)]).await;
    let token = token(&dev).await;
    let send = async |name: &str| {
        let call = Call::post("/a", "x").bearer(&token).header(name, "DELETE");
        dev.client("plain").send(call).await.unwrap()
    };
    let refused = send("x_http_method_override").await;
    assert_eq!(refused.code().as_deref(), Some("method_override"));
    dev.api().record(text(&refused.json()["record"])).await;
    assert!(upstream.seen().is_empty());

    // Older versions of Codex send it.
    assert_eq!(send("session_id").await.status, 200);
    assert_eq!(upstream.seen()[0].header("session_id"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_connection_is_reached_by_host_and_by_a_port_of_its_own_over_both_versions() {
    let upstream = Upstream::start().await;
    upstream.always(Reply::ok("here"));
    let dev = Dev::start(policy(), &[("plain", &upstream)]).await;
    let token = token(&dev).await;
    for http in [Http::One, Http::Two] {
        let gate = Client::new(dev.gate(), http);
        let to = |host: &str| Call::get("/").host(host).bearer(&token);
        for host in ["api.example", "api.example:8443", "API.example."] {
            assert_eq!(gate.send(to(host)).await.unwrap().text(), "here", "{host}");
        }
        let own = Client::new(dev.connection("plain"), http);
        assert_eq!(own.send(to("any.example")).await.unwrap().text(), "here");
        let unknown = gate.send(to("any.example")).await.unwrap();
        assert_eq!(unknown.code().as_deref(), Some("unknown_connection"));
        let nowhere = gate.send(to("other.example")).await.unwrap();
        assert_eq!(nowhere.status, 503);
        assert!(nowhere.text().contains("--upstream other=URL"));
    }
}

#[tokio::test]
async fn sigterm_ends_it_in_order_and_leaves_nothing_running() {
    let upstream = Upstream::start().await;
    let mut dev = Dev::start(policy(), &[("plain", &upstream)]).await;
    let envoys = children(dev.process.id().unwrap());
    assert_eq!(envoys.len(), 1);
    assert!(dev.process.stop().await.success());
    assert!(!envoys.iter().any(|id| lives(*id)), "Envoy has ended");
    assert!(!dev.folder().join("ready.json").exists());
    let left = std::fs::read_dir(dev.folder().join("tmp")).unwrap().count();
    assert_eq!(left, 0, "temporary files are gone");
}

#[tokio::test]
async fn killed_at_once_it_takes_envoy_along() {
    let upstream = Upstream::start().await;
    let mut dev = Dev::start(policy(), &[("plain", &upstream)]).await;
    let envoys = children(dev.process.id().unwrap());
    assert_eq!(envoys.len(), 1);
    dev.process.kill().await;
    wait::until("Envoy to end", async || (!lives(envoys[0])).then_some(())).await;
}

#[tokio::test]
async fn when_envoy_dies_it_says_so_with_the_end_of_the_log_and_fails() {
    let upstream = Upstream::start().await;
    let mut dev = Dev::start(policy(), &[("plain", &upstream)]).await;
    let envoy = children(dev.process.id().unwrap())[0].to_string();
    let killed = tokio::process::Command::new("kill")
        .args(["-KILL", &envoy])
        .status()
        .await;
    assert!(killed.unwrap().success());
    assert_eq!(dev.process.wait().await.code(), Some(1));
    let said = wait::until("the end of its output", async || {
        Some(dev.process.output()).filter(|said| said.contains("The whole log is"))
    })
    .await;
    assert!(said.contains("Policy 1.0 is in force"), "{said}");
    assert!(!dev.folder().join("ready.json").exists());
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_and_is_not_shared() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.yaml"), policy().to_string()).unwrap();
    let ran = Commands::local(folder.path())
        .run(&["dev", "--policy", "policy.yaml", "--listen", &address])
        .await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("--listen: cannot listen on"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn no_secret_stands_in_arguments_or_logs_and_the_configuration_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let upstream = Upstream::start().await;
    let credential = "Bearer EXAMPLE-of-the-upstream";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credential");
    std::fs::write(&file, format!("{credential}\n")).unwrap();
    let dev = DevOptions::new(policy())
        .upstream("plain", &upstream)
        .args(&["--credential", &format!("plain={}", file.display())])
        .start()
        .await;
    upstream.always(Reply::ok("here"));
    let call = Call::get("/").bearer(&token(&dev).await);
    assert_eq!(dev.client("plain").send(call).await.unwrap().status, 200);
    assert_eq!(upstream.seen()[0].header("authorization"), [credential]);

    let read = |name: &str| std::fs::read_to_string(dev.folder().join(name)).unwrap();
    let node_token = read("data/node.token");
    let envoy = children(dev.process.id().unwrap())[0];
    let arguments = std::fs::read_to_string(format!("/proc/{envoy}/cmdline")).unwrap();
    for (place, text) in [
        ("arguments", arguments),
        ("envoy.log", read("logs/envoy.log")),
        ("access.log", read("logs/access.log")),
        ("control-plane.log", read("logs/control-plane.log")),
        ("output", dev.process.output()),
    ] {
        for secret in [
            node_token.trim(),
            credential,
            read("data/admin.token").trim(),
        ] {
            assert!(!text.contains(secret), "a secret stands in the {place}");
        }
    }
    let run = std::fs::read_dir(dev.folder().join("tmp"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    for private in [run.path(), run.path().join("envoy.json")] {
        let mode = std::fs::metadata(&private).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", private.display());
    }
}
