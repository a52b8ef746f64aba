//! The generated configuration, given to the real Envoy.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::envoy_config::{EnvoyConfig, Profile, Served, ServedUpstream};
use super::plan::loopback;
use super::upstream::UpstreamUrl;

/// The smallest module that Envoy loads: ABI version, allocator, memory. What is judged here is
/// Envoy's configuration; the filter's own is its parser's business.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0\x01\t\x02`\0\0`\x01\x7f\x01\x7f\x03\x03\x02\0\x01\x05\x03\x01\0\x01\x07M\x04\x06memory\x02\0\x17proxy_abi_version_0_2_1\0\0\x18proxy_on_memory_allocate\0\x01\x0b_initialize\0\0\n\t\x02\x02\0\x0b\x04\0A\0\x0b";

/// Every Envoy in `.tools`; `scripts/setup --tests` puts the usual and the oldest one there.
fn envoys() -> Vec<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools");
    let entries = std::fs::read_dir(tools)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    entries
        .map(|entry| entry.path().join("envoy"))
        .filter(|path| path.is_file())
        .collect()
}

fn upstream(url: &str, http2: bool, roots: &Path, credential: Option<PathBuf>) -> ServedUpstream {
    let upstream = UpstreamUrl::parse(url)
        .unwrap()
        .into_upstream(roots.to_owned(), http2);
    ServedUpstream {
        upstream,
        listen: loopback(0),
        credential,
    }
}

/// A connection of every kind that there is.
fn config(dir: &Path, profile: Profile) -> EnvoyConfig {
    let roots = super::find::system_roots().unwrap();
    let credential = dir.join("credential");
    std::fs::write(&credential, "Bearer EXAMPLE").unwrap();
    let wasm = dir.join("empty.wasm");
    std::fs::write(&wasm, EMPTY_MODULE).unwrap();
    let served = |name: &str, hosts: &[&str], upstream| Served {
        name: name.to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        upstream,
    };
    EnvoyConfig {
        node: "dev".into(),
        admin: loopback(0),
        listen: loopback(0),
        control_plane: loopback(7070),
        wasm,
        plugin: json!({ "profile": profile.as_str(), "limits": { "body_bytes": 65_536 } }),
        profile,
        connections: vec![
            served(
                "plain",
                &["a.example"],
                Some(upstream("http://127.0.0.1:9", false, &roots, None)),
            ),
            served(
                "tls",
                &["api.example.com", "*.example.com"],
                Some(upstream(
                    "https://api.example.com",
                    true,
                    &roots,
                    Some(credential),
                )),
            ),
            served(
                "six",
                &["six.example"],
                Some(upstream("https://[::1]:8443", false, &roots, None)),
            ),
            served("nowhere", &["b.example"], None),
        ],
        access_log: dir.join("access.log"),
    }
}

/// Gives a configuration to every Envoy there is.
fn assert_valid(file: &Path) {
    let envoys = envoys();
    if envoys.is_empty() {
        eprintln!("not judged: there is no Envoy in .tools; scripts/setup puts one there");
    }
    for envoy in envoys {
        let output = Command::new(&envoy)
            .args([
                "--mode",
                "validate",
                "--disable-hot-restart",
                "--log-level",
                "warning",
                "--config-path",
            ])
            .arg(file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{said}", envoy.display());
        // Tomorrow's error: an option that the next version no longer knows. One is known: 1.40
        // wants it in vm_config, where 1.36 does not know it.
        let deprecated = said.lines().find(|line| {
            line.contains("eprecated") && !line.contains("capability_restriction_config")
        });
        assert_eq!(deprecated, None, "{}", envoy.display());
    }
}

#[test]
fn every_envoy_takes_the_generated_configuration_in_both_profiles() {
    for profile in [Profile::Headers, Profile::Body] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("envoy.json");
        std::fs::write(&file, config(dir.path(), profile).to_json().to_string()).unwrap();
        assert_valid(&file);
    }
}

#[test]
fn every_route_to_a_connection_pins_it_whatever_the_host_header_says() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Profile::Body).to_json();
    let listeners = config["static_resources"]["listeners"].as_array().unwrap();
    assert_eq!(
        listeners.len(),
        4,
        "one for all, one for each connection with an upstream"
    );
    let mut pinned = Vec::new();
    for listener in listeners {
        let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
        assert_eq!(
            manager["http_filters"][0]["name"], "chaperone",
            "the gate is the first filter"
        );
        for host in manager["route_config"]["virtual_hosts"].as_array().unwrap() {
            for route in host["routes"].as_array().unwrap() {
                let connection = &route["metadata"]["filter_metadata"]["chaperone"]["connection"];
                match connection.as_str() {
                    Some(name) => pinned.push((listener["name"].clone(), name.to_owned())),
                    // Not pinned means not forwarded.
                    None => assert_eq!(route["direct_response"]["status"], 403),
                }
            }
        }
    }
    let on = |listener: &str| {
        let names = pinned
            .iter()
            .filter(|(at, _)| at == listener)
            .map(|(_, name)| name.as_str());
        names.collect::<Vec<_>>()
    };
    assert_eq!(on("main"), ["plain", "tls", "six", "nowhere"]);
    assert_eq!(on("connection-tls"), ["tls"]);
}

#[test]
fn https_upstreams_are_verified_for_their_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), Profile::Body).to_json();
    let context = |cluster: &str| {
        let clusters = config["static_resources"]["clusters"].as_array().unwrap();
        let cluster = clusters.iter().find(|c| c["name"] == cluster).unwrap();
        cluster["transport_socket"]["typed_config"].clone()
    };
    let names = |context: &serde_json::Value| {
        context["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"].clone()
    };
    let tls = context("upstream-tls");
    assert_eq!(tls["sni"], "api.example.com");
    assert_eq!(
        names(&tls),
        json!([{ "san_type": "DNS", "matcher": { "exact": "api.example.com" } }])
    );
    let six = context("upstream-six");
    assert!(six["sni"].is_null(), "an address is no server name");
    assert_eq!(
        names(&six),
        json!([{ "san_type": "IP_ADDRESS", "matcher": { "exact": "::1" } }])
    );
}

/// The shipped file with the module and the credential of this test in their places.
fn shipped(dir: &Path) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/envoy.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let wasm = dir.join("empty.wasm");
    std::fs::write(&wasm, EMPTY_MODULE).unwrap();
    let credential = dir.join("credential");
    std::fs::write(&credential, "Bearer EXAMPLE").unwrap();
    let text = text.replace(
        "/etc/chaperone/chaperone_filter.wasm",
        wasm.to_str().unwrap(),
    );
    let text = text.replace(
        "/etc/chaperone/models.credential",
        credential.to_str().unwrap(),
    );
    let roots = super::find::system_roots().unwrap();
    text.replace(
        "/etc/ssl/certs/ca-certificates.crt",
        roots.to_str().unwrap(),
    )
}

#[test]
fn every_envoy_takes_the_shipped_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("envoy.yaml");
    std::fs::write(&file, shipped(dir.path())).unwrap();
    assert_valid(&file);
}

#[test]
fn shipped_configurations_allow_the_filter_what_dev_allows_it() {
    for file in ["../envoy/envoy.yaml", "../envoy/istio/body.yaml"] {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let (_, list) = text.split_once("allowed_capabilities:\n").unwrap();
        let names: Vec<&str> = list
            .lines()
            .map_while(|line| line.trim().strip_suffix(": {}"))
            .collect();
        assert_eq!(names, super::capabilities::ALLOWED, "{file}");
    }
}
