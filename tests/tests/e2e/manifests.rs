//! The configurations in `envoy/`, as far as they can be tried without a cluster: the fields of the
//! Kubernetes ones exist, Envoy takes what they make of its configuration, and the module's image
//! is one that Istio and Envoy Gateway load.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use chaperone_tests::crds::Definitions;
use chaperone_tests::oci::{self, Image};
use chaperone_tests::places;
use serde_json::{Value, json};
use tokio::process::Command;

/// Stand-ins for what is written in capitals. None of them is a secret.
const FILLED_IN: [(&str, &str); 4] = [
    ("NODE_TOKEN", "chp_node_0000000000000000"),
    // The public key of the Ed25519 test vector 1 (RFC 8032 §7.1).
    ("PUBLIC_KEY", "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
    (
        "FINGERPRINT_KEY",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ),
    (
        "DIGEST_OF_THE_MANIFEST",
        "bd8de7d5d51fcc3679b6f914efa76722f4e0c1ea7a2331254a8342d2e2aee229",
    ),
];

/// Every document of every file below `envoy/` that is for Kubernetes, with the name of its file.
fn manifests() -> Vec<(String, Value)> {
    let root = places::repository().join("envoy");
    let files = [root.clone(), root.join("istio")].map(|folder| fs::read_dir(folder).unwrap());
    let mut found = Vec::new();
    for path in files
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
    {
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        if path.extension().is_some_and(|e| e == "yaml") && name != "envoy.yaml" {
            for document in filled_in(&path).split("\n---\n") {
                let value =
                    serde_saphyr::from_str(document).unwrap_or_else(|e| panic!("{name}: {e}"));
                found.push((name.clone(), value));
            }
        }
    }
    assert!(found.len() > 10, "only {} manifests", found.len());
    found
}

fn filled_in(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    FILLED_IN.iter().fold(text, |text, (capitals, value)| {
        text.replace(capitals, value)
    })
}

/// The document of this kind in this file.
fn manifest(file: &str, kind: &str) -> Value {
    let mut all = manifests().into_iter();
    all.find(|(name, value)| name == file && value["kind"] == kind)
        .unwrap_or_else(|| panic!("{file} has no {kind}"))
        .1
}

#[test]
fn every_shipped_manifest_is_one_that_its_api_server_takes() {
    let definitions = Definitions::restated();
    for (file, manifest) in manifests() {
        let faults = definitions.faults(&manifest);
        assert!(
            faults.is_empty(),
            "{file}, {}: {faults:#?}",
            manifest["kind"]
        );
    }
}

/// The check above would be worth nothing if it took everything.
#[test]
fn a_manifest_that_its_api_server_refuses_is_refused_here() {
    let definitions = Definitions::restated();
    for (file, kind, path, value, fault) in [
        (
            "istio/headers.yaml",
            "WasmPlugin",
            "/spec/failStrategy",
            json!("FAIL_CLOSED"),
            "spec.failStrategy: expected one of",
        ),
        (
            "istio/headers.yaml",
            "WasmPlugin",
            "/spec/sha256",
            json!("SHA256_OF_THE_MODULE"),
            "spec.sha256: expected",
        ),
        (
            "istio/headers.yaml",
            "WasmPlugin",
            "/spec/priority",
            json!("100"),
            "spec.priority: expected \"integer\"",
        ),
        (
            "istio/routes.yaml",
            "VirtualService",
            "/spec/http/0",
            json!({"timeout": "0s"}),
            "spec.http[0].timeout: unknown field",
        ),
        (
            "istio/routes.yaml",
            "VirtualService",
            "/spec/http/1/retries",
            json!({"attempt": 0}),
            "spec.http[1].retries.attempt: unknown field",
        ),
        (
            "istio/routes.yaml",
            "Gateway",
            "/spec/servers/0/port",
            json!({"number": 80}),
            "spec.servers[0].port: `protocol` is missing",
        ),
        (
            "envoy-gateway.yaml",
            "EnvoyExtensionPolicy",
            "/spec/wasm/0/failOpen",
            json!("false"),
            "spec.wasm[0].failOpen: expected \"boolean\"",
        ),
        (
            "envoy-gateway.yaml",
            "EnvoyExtensionPolicy",
            "/spec/wasm/0/code/image/sha256",
            json!("sha256:00"),
            "spec.wasm[0].code.image.sha256: expected",
        ),
        (
            "envoy-gateway.yaml",
            "ClientTrafficPolicy",
            "/spec/timeout/http/streamIdleTimeout",
            json!("5 minutes"),
            "spec.timeout.http.streamIdleTimeout: expected",
        ),
        (
            "envoy-gateway.yaml",
            "HTTPRoute",
            "/spec/rules",
            json!([]),
            "spec.rules: expected minItems 1",
        ),
        (
            "envoy-gateway.yaml",
            "HTTPRoute",
            "/kind",
            json!("HttpRoute"),
            "is not in tests/crds",
        ),
    ] {
        let mut changed = manifest(file, kind);
        *changed
            .pointer_mut(path)
            .unwrap_or_else(|| panic!("{file} has no {path}")) = value;
        let faults = definitions.faults(&changed).join("\n");
        assert!(faults.contains(fault), "{file} {path}: {faults}");
    }
}

/// The filter's settings in a manifest are ones that its documentation knows.
#[test]
fn every_shipped_manifest_configures_the_filter_with_settings_that_exist() {
    let reference = fs::read_to_string(places::repository().join("docs/filter.md")).unwrap();
    for (file, settings) in [
        ("envoy-gateway.yaml", settings_of_envoy_gateway()),
        ("istio/headers.yaml", settings_of_wasm_plugin()),
        ("istio/body.yaml", settings_of_envoy_filter()),
    ] {
        for setting in settings.as_object().unwrap().keys() {
            let known = ["", ".cluster"].map(|member| format!("| `{setting}{member}` |"));
            assert!(
                known.iter().any(|row| reference.contains(row)),
                "{file} sets {setting}, which docs/filter.md does not know"
            );
        }
    }
}

fn settings_of_envoy_gateway() -> Value {
    manifest("envoy-gateway.yaml", "EnvoyExtensionPolicy")["spec"]["wasm"][0]["config"].clone()
}

fn settings_of_wasm_plugin() -> Value {
    manifest("istio/headers.yaml", "WasmPlugin")["spec"]["pluginConfig"].clone()
}

fn settings_of_envoy_filter() -> Value {
    let filter = manifest("istio/body.yaml", "EnvoyFilter");
    let inserted = patches(&filter, "HTTP_FILTER").remove(0);
    let text = inserted["typed_config"]["config"]["configuration"]["value"]
        .as_str()
        .unwrap()
        .to_owned();
    serde_json::from_str(&text).unwrap()
}

/// A retry sends upstream once more what was approved once, and Istio retries where nothing is
/// said.
#[test]
fn no_route_that_is_shipped_for_istio_retries() {
    let mut routes = 0;
    for (file, manifest) in manifests() {
        for route in manifest["spec"]["http"].as_array().into_iter().flatten() {
            assert_eq!(route["retries"]["attempts"], 0, "{file}: {route}");
            routes += 1;
        }
    }
    assert_eq!(routes, 2);
}

/// Istio merges a patch as protobuf does, where `false`, 0 and an empty text are the same as
/// nothing: such a line would be a protection that one believes in and does not have.
#[test]
fn no_patch_for_istio_says_what_a_merge_does_not_hear() {
    fn unheard(value: &Value) -> bool {
        match value {
            Value::Object(members) => members.values().any(unheard),
            Value::Array(items) => items.iter().any(unheard),
            other => *other == json!(false) || *other == json!(0) || *other == json!(""),
        }
    }
    let filter = manifest("istio/body.yaml", "EnvoyFilter");
    for patch in filter["spec"]["configPatches"].as_array().unwrap() {
        let patch = &patch["patch"];
        assert!(
            patch["operation"] != "MERGE" || !unheard(&patch["value"]),
            "{patch}"
        );
    }
}

/// What the patches of an `EnvoyFilter` for one place say.
fn patches(filter: &Value, applied_to: &str) -> Vec<Value> {
    let all = filter["spec"]["configPatches"].as_array().unwrap();
    let here = all.iter().filter(|patch| patch["applyTo"] == applied_to);
    here.map(|patch| patch["patch"]["value"].clone()).collect()
}

/// Protobuf's merge, as far as JSON shows it: messages member by member, lists appended, values
/// replaced.
fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(members), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(members.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(items), Value::Array(patch)) => items.extend(patch.iter().cloned()),
        (into, patch) => *into = patch.clone(),
    }
}

/// `envoy.yaml` with files that are there and what is written in capitals replaced.
fn plain_envoy(folder: &Path) -> Value {
    let text = filled_in(&places::repository().join("envoy/envoy.yaml"));
    let credential = folder.join("models.credential");
    fs::write(&credential, "Bearer EXAMPLE").unwrap();
    let text = text
        .replace(
            "/etc/chaperone/models.credential",
            credential.to_str().unwrap(),
        )
        .replace(
            "/etc/chaperone/chaperone_filter.wasm",
            places::filter_wasm().to_str().unwrap(),
        );
    serde_saphyr::from_str(&text).unwrap()
}

/// What Envoy says to a configuration when it does not start with it.
async fn validate(envoy: &Path, folder: &Path, config: &Value) -> Output {
    let file = folder.join("envoy.json");
    fs::write(&file, config.to_string()).unwrap();
    let mut command = Command::new(envoy);
    command.args(["--mode", "validate", "--concurrency", "1", "--config-path"]);
    command.arg(&file).output().await.unwrap()
}

#[track_caller]
fn assert_taken(what: &str, envoy: &Path, said: &Output) {
    let log = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success(),
        "{} refuses {what}:\n{log}",
        envoy.display()
    );
}

fn both_envoys() -> [PathBuf; 2] {
    [places::oldest_envoy(), places::envoy()]
}

#[tokio::test]
async fn both_envoys_take_the_configuration_for_plain_envoy_as_it_is_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let config = plain_envoy(folder.path());
    for envoy in both_envoys() {
        let said = validate(&envoy, folder.path(), &config).await;
        assert_taken("envoy.yaml", &envoy, &said);
        // A check that takes everything is none.
        let mut wrong = config.clone();
        wrong["static_resources"]["listeners"][0]["per_connection_bufer_limit_bytes"] = json!(1);
        let said = validate(&envoy, folder.path(), &wrong).await;
        assert!(!said.status.success(), "{} takes anything", envoy.display());
    }
}

/// Istio applies the patches to a configuration of its own. What they say is Envoy's, so Envoy can
/// judge it on another one.
#[tokio::test]
async fn both_envoys_take_what_the_patches_for_istio_make() {
    let folder = tempfile::tempdir().unwrap();
    let filter = manifest("istio/body.yaml", "EnvoyFilter");
    let mut config = plain_envoy(folder.path());
    config["static_resources"]["clusters"][0]["name"] =
        settings_of_envoy_filter()["control_plane"]["cluster"].clone();
    let listener = &mut config["static_resources"]["listeners"][0];
    // What Istio has and the patches do not touch.
    listener["per_connection_buffer_limit_bytes"] = json!(32_768);
    for patch in patches(&filter, "LISTENER") {
        merge(listener, &patch);
    }
    let manager = &mut listener["filter_chains"][0]["filters"][0];
    for name in [
        "strip_any_host_port",
        "strip_trailing_host_dot",
        "internal_address_config",
    ] {
        manager["typed_config"]
            .as_object_mut()
            .unwrap()
            .remove(name);
    }
    for patch in patches(&filter, "NETWORK_FILTER") {
        merge(manager, &patch);
    }
    let mut inserted = patches(&filter, "HTTP_FILTER").remove(0);
    inserted["typed_config"]["config"]["vm_config"]["code"]["local"]["filename"] =
        json!(places::filter_wasm());
    manager["typed_config"]["http_filters"][0] = inserted;
    for envoy in both_envoys() {
        let said = validate(&envoy, folder.path(), &config).await;
        assert_taken("istio/body.yaml", &envoy, &said);
    }
}

/// Istio and Envoy Gateway hand `pluginConfig` and `config` to the module as JSON. Envoy configures
/// the module when it validates, so a setting that the filter refuses is refused here, too.
#[tokio::test]
async fn the_filter_takes_the_settings_for_istio_and_envoy_gateway() {
    let folder = tempfile::tempdir().unwrap();
    for (name, settings) in [
        ("istio/headers.yaml", settings_of_wasm_plugin()),
        ("envoy-gateway.yaml", settings_of_envoy_gateway()),
    ] {
        let mut config = plain_envoy(folder.path());
        let manager =
            &mut config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
        let plugin = &mut manager["typed_config"]["http_filters"][0]["typed_config"]["config"];
        plugin
            .as_object_mut()
            .unwrap()
            .remove("allow_on_headers_stop_iteration");
        plugin["configuration"]["value"] = json!(settings.to_string());
        let said = validate(&places::envoy(), folder.path(), &config).await;
        assert_taken(name, &places::envoy(), &said);
        let mut wrong = settings.clone();
        wrong["profile"] = json!("bodi");
        let manager =
            &mut config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0];
        let plugin = &mut manager["typed_config"]["http_filters"][0]["typed_config"]["config"];
        plugin["configuration"]["value"] = json!(wrong.to_string());
        let said = validate(&places::envoy(), folder.path(), &config).await;
        assert!(!said.status.success(), "the filter takes anything");
    }
}

/// Whoever runs two of them has one dashboard for both.
#[test]
fn the_labels_of_metrics_are_the_same_wherever_they_are_shipped() {
    let plain = filled_in(&places::repository().join("envoy/envoy.yaml"));
    let plain: Value = serde_saphyr::from_str(&plain).unwrap();
    let proxy = manifest("envoy-gateway.yaml", "EnvoyProxy");
    let bootstrap = proxy["spec"]["bootstrap"]["value"].as_str().unwrap();
    let bootstrap: Value = serde_saphyr::from_str(bootstrap).unwrap();
    assert_eq!(bootstrap, json!({"stats_config": plain["stats_config"]}));
}

/// `scripts/oci-image WASM FOLDER`, with more arguments.
async fn oci_image(module: &Path, folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(places::repository().join("scripts/oci-image"));
    command
        .arg(module)
        .arg(folder)
        .args(more)
        .output()
        .await
        .unwrap()
}

/// Istio (`pkg/wasm/imagefetcher.go`) and Envoy Gateway (`internal/wasm/imagefetcher.go`) compare
/// the digest of the manifest, want a last layer of this type, and take the file of this name out
/// of it.
#[tokio::test]
async fn the_image_is_one_that_istio_and_envoy_gateway_load_and_the_printed_digest_is_the_one_they_want()
 {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("image");
    let said = oci_image(
        &places::filter_wasm(),
        &layout,
        &["--tag", "0.1.0", "--platform", "linux/arm64"],
    )
    .await;
    assert!(said.status.success(), "{said:?}");

    let image = Image::read(&layout);
    assert_eq!(
        String::from_utf8(said.stdout).unwrap(),
        format!("{}\n", image.digest)
    );
    assert_eq!(image.tag, "0.1.0");
    assert_eq!(
        image.manifest["mediaType"],
        "application/vnd.oci.image.manifest.v1+json"
    );
    assert_eq!(
        image.manifest["config"]["mediaType"],
        "application/vnd.oci.image.config.v1+json"
    );
    let [layer] = image.layers.as_slice() else {
        panic!("{}", image.manifest);
    };
    assert_eq!(
        image.manifest["layers"][0]["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+gzip"
    );
    let (name, module) = oci::only_file(layer);
    assert_eq!(name, "plugin.wasm");
    assert_eq!(
        oci::hash(module),
        oci::hash(&fs::read(places::filter_wasm()).unwrap())
    );
    assert_eq!(image.config["os"], "linux");
    assert_eq!(image.config["architecture"], "arm64");
    assert_eq!(
        image.config["rootfs"]["diff_ids"],
        json!([format!("sha256:{}", oci::hash(layer))])
    );

    // What is built twice from one module has one digest: somebody else can verify a pin.
    let again = folder.path().join("again");
    let more = ["--tag", "other", "--platform", "linux/arm64"];
    let said = oci_image(&places::filter_wasm(), &again, &more).await;
    assert_eq!(String::from_utf8(said.stdout).unwrap().trim(), image.digest);
}

#[tokio::test]
async fn no_image_is_made_of_what_is_no_module_or_where_something_stands_already() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.wasm");
    fs::write(&text, "no module").unwrap();
    let layout = folder.path().join("image");
    for (module, target, sentence) in [
        (text.as_path(), layout.as_path(), "is no wasm module"),
        (
            Path::new("/nowhere.wasm"),
            layout.as_path(),
            "cannot be read",
        ),
        (
            places::filter_wasm().as_path(),
            folder.path(),
            "exists already",
        ),
    ] {
        let said = oci_image(module, target, &[]).await;
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && said.stdout.is_empty(), "{said:?}");
        assert!(
            error.starts_with("error: ") && error.contains(sentence),
            "{error}"
        );
    }
    assert!(!layout.exists());
}
