//! Where Envoy and the filter are on this machine.

use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;

/// Where cargo puts the filter, below a workspace.
const BUILT_WASM: &str = "target/wasm32-wasip1/release-wasm/chaperone_filter.wasm";

/// Envoy: as told, or from PATH, or from `.tools/envoy-*/envoy` here or in a directory above.
///
/// # Errors
/// A sentence that says where it was looked for and how to get it.
pub(crate) fn envoy(told: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(path) = told {
        return executable(path).ok_or_else(|| {
            Failure::usage(format!("--envoy {} is no executable file.", path.display()))
        });
    }
    let on_path = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).find_map(|dir| executable(&dir.join("envoy")))
    });
    on_path.or_else(|| upwards(&start_points(), newest_in_tools)).ok_or_else(|| {
        Failure::usage("No Envoy is on PATH or in .tools/envoy-VERSION/envoy here or above. Run scripts/setup in Chaperone's source, or give --envoy FILE.")
    })
}

/// The filter: as told, or where cargo puts it here or in a directory above, or beside this
/// program.
///
/// # Errors
/// A sentence that says where it was looked for and how to get it.
pub(crate) fn wasm(told: Option<&Path>) -> Result<PathBuf, Failure> {
    let existing = |path: PathBuf| path.is_file().then(|| path.canonicalize().unwrap_or(path));
    if let Some(path) = told {
        return existing(path.to_owned())
            .ok_or_else(|| Failure::usage(format!("--wasm {} is no file.", path.display())));
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| existing(exe.parent()?.join("chaperone_filter.wasm")));
    beside.or_else(|| upwards(&start_points(), |dir| existing(dir.join(BUILT_WASM)))).ok_or_else(|| {
        Failure::usage(format!("The filter is not built: no {BUILT_WASM} here or above, and no chaperone_filter.wasm beside this program. Build it with `cargo build -p chaperone-filter --target wasm32-wasip1 --profile release-wasm`, or give --wasm FILE."))
    })
}

/// PEM file with the roots that this system trusts.
///
/// # Errors
/// A sentence that says where it was looked for.
pub(crate) fn system_roots() -> Result<PathBuf, Failure> {
    // What OpenSSL honours, then Debian and Alpine, Fedora, openSUSE, macOS and FreeBSD.
    const PLACES: [&str; 5] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/usr/local/etc/ssl/cert.pem",
    ];
    std::env::var_os("SSL_CERT_FILE")
        .map(PathBuf::from)
        .into_iter()
        .chain(PLACES.map(PathBuf::from))
        .find(|path| path.is_file())
        .ok_or_else(|| Failure::usage("No CA bundle was found to verify https upstreams with. Install ca-certificates, or give --upstream-ca NAME=FILE."))
}

fn start_points() -> Vec<PathBuf> {
    let exe = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.to_owned()));
    std::env::current_dir()
        .ok()
        .into_iter()
        .chain(exe)
        .collect()
}

fn upwards(from: &[PathBuf], look: impl Fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    from.iter().flat_map(|dir| dir.ancestors()).find_map(look)
}

/// Of the Envoys in `.tools/`, the one with the highest version.
fn newest_in_tools(dir: &Path) -> Option<PathBuf> {
    let mut found: Vec<(Vec<u64>, PathBuf)> = std::fs::read_dir(dir.join(".tools"))
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("envoy-")?.split('.').map(str::parse);
            let version = version.collect::<Result<Vec<u64>, _>>().ok()?;
            Some((version, executable(&entry.path().join("envoy"))?))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path)
}

fn executable(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_executable = std::fs::metadata(path)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    is_executable.then(|| path.canonicalize().unwrap_or_else(|_| path.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;

    #[test]
    fn of_several_envoys_the_newest_is_taken_by_number_and_not_by_spelling() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["1.36.2", "1.9.0", "1.40.0", "1.41.0.part"] {
            let place = dir.path().join(format!(".tools/envoy-{version}"));
            std::fs::create_dir_all(&place).unwrap();
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o755)
                .open(place.join("envoy"))
                .unwrap();
        }
        let found = newest_in_tools(dir.path()).unwrap();
        assert!(
            found.ends_with(".tools/envoy-1.40.0/envoy"),
            "{}",
            found.display()
        );
    }
}
