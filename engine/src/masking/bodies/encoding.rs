//! Content encodings: what cannot be read is refused where masking applies, never passed unmasked.

/// A content coding (RFC 9110 §8.4.1) that bodies can be read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// `gzip` (RFC 1952), also by its old name `x-gzip`.
    Gzip,
    /// `deflate`: a zlib stream (RFC 1950), or the raw DEFLATE (RFC 1951) that some senders take it
    /// for.
    Deflate,
}

impl Encoding {
    /// The coding of a body with this `Content-Encoding` (`None`: no such header; for several
    /// header lines, join them with commas). `None` if it cannot be read: another coding, or one
    /// coding over another, which nobody sends but to hide something.
    pub fn of(content_encoding: Option<&[u8]>) -> Option<Self> {
        let mut encoding = Self::Identity;
        for coding in content_encoding.unwrap_or_default().split(|&b| b == b',') {
            let coding = coding.trim_ascii();
            let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
            let next = if coding.is_empty() || is("identity") {
                continue;
            } else if is("gzip") || is("x-gzip") {
                Self::Gzip
            } else if is("deflate") {
                Self::Deflate
            } else {
                return None;
            };
            if encoding != Self::Identity {
                return None;
            }
            encoding = next;
        }
        Some(encoding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn one_known_coding_can_be_read() {
        for (header, encoding) in [
            (None, Encoding::Identity),
            (Some("identity"), Encoding::Identity),
            (Some(" Identity , identity"), Encoding::Identity),
            (Some(""), Encoding::Identity),
            (Some("GZip"), Encoding::Gzip),
            (Some("identity, x-gzip,"), Encoding::Gzip),
            (Some("deflate"), Encoding::Deflate),
        ] {
            assert_eq!(
                Encoding::of(header.map(str::as_bytes)),
                Some(encoding),
                "{header:?}"
            );
        }
    }

    #[test]
    fn other_codings_and_several_cannot() {
        for header in [
            "br",
            "zstd",
            "identity, br",
            "gzip, gzip",
            "deflate, gzip",
            "compress",
            "identityy",
            "gzip;q=1",
            "\u{e9}",
        ] {
            assert_eq!(Encoding::of(Some(header.as_bytes())), None, "{header:?}");
        }
    }
}
