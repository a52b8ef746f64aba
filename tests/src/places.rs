//! Where the parts are that tests run.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lies in the repository")
        .to_owned()
}

/// The Envoy that tests run on: `CHAPERONE_ENVOY`, or the newest in `.tools/`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn envoy() -> PathBuf {
    from_environment("CHAPERONE_ENVOY").unwrap_or_else(|| {
        envoys()
            .pop()
            .unwrap_or_else(|| panic!("there is no Envoy in .tools/: run ./scripts/setup --tests"))
    })
}

/// The oldest Envoy that is supported: `CHAPERONE_ENVOY_OLDEST`, or the oldest in `.tools/`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn oldest_envoy() -> PathBuf {
    from_environment("CHAPERONE_ENVOY_OLDEST").unwrap_or_else(|| {
        envoys()
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("there is no Envoy in .tools/: run ./scripts/setup --tests"))
    })
}

/// The filter as it is shipped: `CHAPERONE_WASM`, or what the release build left.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn filter_wasm() -> PathBuf {
    from_environment("CHAPERONE_WASM").unwrap_or_else(|| {
        built(
            "wasm32-wasip1/release-wasm/chaperone_filter.wasm",
            "cargo build -p chaperone-filter --target wasm32-wasip1 --profile release-wasm",
        )
    })
}

/// The module that asks Envoy about statuses: `CHAPERONE_PROBE`, or what the release build left.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn probe_wasm() -> PathBuf {
    from_environment("CHAPERONE_PROBE").unwrap_or_else(|| {
        built(
            "wasm32-wasip1/release-wasm/examples/statuses.wasm",
            "cargo build -p chaperone-proxy-wasm --example statuses --target wasm32-wasip1 --profile release-wasm",
        )
    })
}

/// The `chaperone` binary: `CHAPERONE_BIN`, or what the debug build left.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn chaperone() -> PathBuf {
    from_environment("CHAPERONE_BIN")
        .unwrap_or_else(|| built("debug/chaperone", "cargo build -p chaperone"))
}

/// A port of 127.0.0.1 that is free now and that this process does not hand out twice.
///
/// Prefer port 0 where the server can say what it got; Envoy's listeners cannot easily.
///
/// # Panics
/// When the machine has none.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().expect("no holder panics");
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener
            .local_addr()
            .expect("a bound socket has an address")
            .port();
        if !given.contains(&port) {
            given.push(port);
            return port;
        }
    }
}

fn from_environment(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(name)?);
    assert!(
        path.is_file(),
        "{name} is {}, which is no file",
        path.display()
    );
    Some(path)
}

/// `path` below the folder that cargo builds in.
fn built(path: &str, command: &str) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let path = repository().join(target).join(path);
    assert!(
        path.is_file(),
        "{} is missing: run {command}",
        path.display()
    );
    path
}

/// `.tools/envoy-VERSION/envoy`, oldest first.
fn envoys() -> Vec<PathBuf> {
    let mut found: Vec<(Vec<u32>, PathBuf)> = std::fs::read_dir(repository().join(".tools"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name
                .strip_prefix("envoy-")?
                .split('.')
                .map(|part| part.parse().ok())
                .collect::<Option<_>>()?;
            let binary = entry.path().join("envoy");
            binary.is_file().then_some((version, binary))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, binary)| binary).collect()
}
