//! Looking for what must stand nowhere.

use std::path::{Path, PathBuf};

use base64::Engine as _;

/// Every file below `folder`, databases and their write-ahead logs included, that holds `secret`:
/// plain, in hexadecimal, or in base64 at any alignment.
///
/// # Panics
/// When a file cannot be read, because then nothing is proved, or the secret is too short to search
/// for.
#[must_use]
pub fn that_hold(folder: &Path, secret: &str) -> Vec<PathBuf> {
    assert!(
        secret.len() >= 8,
        "a secret of {} bytes would be found by chance",
        secret.len()
    );
    let needles = spellings(secret.as_bytes());
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
        {
            let path = entry.expect("a folder can be listed").path();
            let kind = std::fs::symlink_metadata(&path)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes =
                    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                if needles.iter().any(|needle| contains(&bytes, needle)) {
                    found.push(path);
                }
            }
        }
    }
    found
}

/// Whether `bytes` has `needle` in it.
#[must_use]
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    find(bytes, needle).is_some()
}

/// Where `bytes` has `needle` in it first.
#[must_use]
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![
        secret.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
    ];
    for shift in 0..3 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(secret);
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(shifted);
        // The characters at both ends also depend on what stands beside the secret.
        let inner = &text[(shift * 8).div_ceil(6)..secret.len().saturating_add(shift) * 8 / 6];
        all.push(inner.as_bytes().to_vec());
        all.push(inner.replace('+', "-").replace('/', "_").into_bytes());
    }
    all
}
