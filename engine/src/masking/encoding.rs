//! Content encodings: what cannot be read is refused where masking applies, never passed unmasked.

/// Whether a body with this `Content-Encoding` (RFC 9110 §8.4; `None`: no such header) can be masked: when
/// it has none, or only `identity`. For several header lines, join them with commas.
pub fn readable_encoding(content_encoding: Option<&[u8]>) -> bool {
    content_encoding.is_none_or(|list| {
        list.split(|&b| b == b',').all(|coding| {
            let coding = coding.trim_ascii();
            coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_bodies_without_encoding_can_be_read() {
        for readable in [
            None,
            Some("identity"),
            Some(" Identity , identity"),
            Some(""),
        ] {
            assert!(
                readable_encoding(readable.map(str::as_bytes)),
                "{readable:?}"
            );
        }
        for unreadable in ["gzip", "identity, br", "zstd", "identityy", "\u{e9}"] {
            assert!(
                !readable_encoding(Some(unreadable.as_bytes())),
                "{unreadable:?}"
            );
        }
    }
}
