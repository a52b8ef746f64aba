//! An OCI image layout (image-spec 1.1, `image-layout.md`) as a registry client and the loaders of
//! Istio and Envoy Gateway read it.
//!
//! It shares nothing with the script that writes such layouts, so that a mistake there is not made
//! twice.

use std::path::Path;

use miniz_oxide::inflate::decompress_to_vec;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The image of a layout that holds one.
#[derive(Debug)]
pub struct Image {
    /// SHA-256 of the manifest, in hexadecimal: what a registry calls the image.
    pub digest: String,
    /// The image's name in the layout.
    pub tag: String,
    /// The manifest.
    pub manifest: Value,
    /// The configuration.
    pub config: Value,
    /// The layers, unpacked from gzip.
    pub layers: Vec<Vec<u8>>,
}

impl Image {
    /// Reads a layout. Every blob must have the digest and the size by which it is named.
    ///
    /// # Panics
    /// When it is no layout of one image.
    #[must_use]
    pub fn read(folder: &Path) -> Self {
        let json = |name: &str| -> Value {
            let bytes = std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"))
        };
        assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
        let index = json("index.json");
        let [described] = index["manifests"].as_array().expect("manifests").as_slice() else {
            panic!("expected one manifest: {index}");
        };
        let manifest = blob(folder, described);
        let digest = hash(&manifest);
        let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest is JSON");
        assert_eq!(manifest["mediaType"], described["mediaType"]);
        let config = blob(folder, &manifest["config"]);
        let layers = manifest["layers"].as_array().expect("layers").iter();
        Self {
            digest,
            tag: described["annotations"]["org.opencontainers.image.ref.name"]
                .as_str()
                .expect("a name")
                .to_owned(),
            config: serde_json::from_slice(&config).expect("a configuration is JSON"),
            layers: layers.map(|layer| gunzip(&blob(folder, layer))).collect(),
            manifest,
        }
    }
}

/// The one file of a tar archive (POSIX ustar): its name and its content.
///
/// # Panics
/// When there are more, or none.
#[must_use]
pub fn only_file(archive: &[u8]) -> (String, &[u8]) {
    let (header, rest) = archive.split_at(512);
    let text = |from: usize, to: usize| {
        let field = &header[from..to];
        let end = field
            .iter()
            .position(|b| matches!(b, 0 | b' '))
            .unwrap_or(field.len());
        std::str::from_utf8(&field[..end]).expect("a header is ASCII")
    };
    let size = usize::from_str_radix(text(124, 136), 8).expect("a size in octal");
    assert_eq!(header[156], b'0', "expected a regular file");
    let (content, padding) = rest.split_at(size);
    assert!(padding.iter().all(|b| *b == 0), "expected one file");
    (text(0, 100).to_owned(), content)
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn blob(folder: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().expect("a digest");
    let hex = digest.strip_prefix("sha256:").expect("a SHA-256");
    let bytes = std::fs::read(folder.join("blobs/sha256").join(hex)).expect("a blob");
    assert_eq!(hash(&bytes), hex);
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

/// A gzip member without optional fields (RFC 1952).
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    assert_eq!(
        &bytes[..4],
        [0x1f, 0x8b, 8, 0],
        "expected gzip without extra fields"
    );
    assert_eq!(
        &bytes[4..8],
        [0; 4],
        "a time in the header changes the digest"
    );
    decompress_to_vec(&bytes[10..bytes.len() - 8]).expect("a deflate stream")
}
