//! What is known of a body before its first byte.

use crate::upstreams::DIALECTS;

/// What a body is, from its headers and from what is known of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    pub(in crate::masking) media_type: Option<Box<[u8]>>,
    pub(in crate::masking) path: Option<Box<[u8]>>,
    is_text: bool,
}

/// The formats that a content type can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::masking) enum Kind {
    /// JSON, JSON text sequences.
    Json,
    /// A value of JSON on each line.
    JsonLines,
    /// Server-sent events.
    EventStream,
    /// Percent-encoded pairs.
    Form,
    /// Parts between lines of two dashes and this.
    Multipart(Vec<u8>),
    /// gRPC, gRPC-Web.
    Grpc,
    /// Formats that count bytes, or that nobody knows: lengths stay as they are.
    Binary,
    /// `application/octet-stream` says nothing: anything from a picture to a kubeconfig.
    Octets,
    /// Text of any kind, and what has no type.
    Text,
    /// Text for sure.
    Plain,
}

impl Content {
    /// A body with this `Content-Type` (RFC 9110 §8.3), or with none.
    pub fn of(content_type: Option<&[u8]>) -> Self {
        Self {
            media_type: content_type.map(Into::into),
            path: None,
            is_text: false,
        }
    }

    /// Plain text, whatever it looks like.
    pub fn text() -> Self {
        Self {
            is_text: true,
            ..Self::default()
        }
    }

    /// The same for a body of a request to this path, or of its answer. Some APIs have secrets
    /// where only the path tells so (`/api/v1/namespaces/x/secrets/y`).
    #[must_use]
    pub fn at_path(mut self, path: &[u8]) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Whether bodies of this type can be read. Their characters must be ASCII where they are
    /// ASCII: a body in UTF-16 has secrets in it that no detector sees, so it is refused like an
    /// encoding that is not known.
    pub fn is_readable(&self) -> bool {
        let charset = self.parameter(b"charset").unwrap_or_default();
        let charset = charset.to_ascii_lowercase();
        let unreadable: [&[u8]; 8] = [
            b"utf-16", b"utf16", b"utf-32", b"utf32", b"ucs-", b"utf-7", b"unicode", b"ibm",
        ];
        let is_unreadable = |name: &&[u8]| charset.starts_with(name);
        !unreadable.iter().any(is_unreadable) && !charset.starts_with(b"iso-10646")
    }

    /// The format that the content type says.
    pub(in crate::masking) fn kind(&self) -> Kind {
        if self.is_text {
            return Kind::Plain;
        }
        let media_type = self.media_type.as_deref().unwrap_or_default();
        let essence = media_type.split(|b| *b == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii().to_ascii_lowercase();
        let (group, name) = match essence.iter().position(|b| *b == b'/') {
            Some(at) => (
                essence.get(..at).unwrap_or_default(),
                essence.get(at.saturating_add(1)..).unwrap_or_default(),
            ),
            None => (&*essence, &[][..]),
        };
        let suffix = name.rsplit(|b| *b == b'+').next().unwrap_or_default();
        if name.starts_with(b"grpc") {
            return Kind::Grpc;
        }
        let mut lines = DIALECTS.iter().flat_map(|dialect| dialect.lines);
        if lines.any(|lines| *essence == **lines) {
            return Kind::JsonLines;
        }
        match (group, suffix) {
            (
                b"application" | b"text",
                b"x-ndjson" | b"ndjson" | b"x-jsonlines" | b"jsonlines" | b"jsonl" | b"x-jsonl",
            ) => Kind::JsonLines,
            (
                b"application" | b"text",
                b"json" | b"json5" | b"x-json" | b"json-seq" | b"csp-report",
            )
            | (b"model" | b"image" | b"message", b"json") => Kind::Json,
            (b"text", b"event-stream") => Kind::EventStream,
            (b"application", b"x-www-form-urlencoded") => Kind::Form,
            (b"multipart", _) => match self.parameter(b"boundary") {
                Some(boundary) if (1..=MAX_BOUNDARY).contains(&boundary.len()) => {
                    Kind::Multipart(boundary)
                }
                _ => Kind::Text,
            },
            (b"image", b"xml") => Kind::Text,
            (b"image" | b"audio" | b"video" | b"font", _) => Kind::Binary,
            (_, b"octet-stream") => Kind::Octets,
            (
                _,
                b"protobuf"
                | b"x-protobuf"
                | b"vnd.google.protobuf"
                | b"vnd.kubernetes.protobuf"
                | b"proto"
                | b"cbor"
                | b"msgpack"
                | b"x-msgpack"
                | b"vnd.msgpack"
                | b"avro"
                | b"bson"
                | b"thrift"
                | b"vnd.apache.thrift.binary"
                | b"zip"
                | b"gzip"
                | b"x-gzip"
                | b"x-tar"
                | b"zstd"
                | b"x-bzip2"
                | b"x-7z-compressed"
                | b"pdf"
                | b"wasm"
                | b"vnd.amazon.eventstream"
                | b"vnd.apache.parquet"
                | b"vnd.apache.arrow.stream"
                | b"java-archive",
            ) => Kind::Binary,
            _ => Kind::Text,
        }
    }

    /// A parameter of the content type, without its quotes (RFC 9110 §5.6.6).
    pub(in crate::masking) fn parameter(&self, name: &[u8]) -> Option<Vec<u8>> {
        parameter(self.media_type.as_deref()?, name)
    }
}

/// Longest boundary that RFC 2046 §5.1.1 allows.
const MAX_BOUNDARY: usize = 70;

/// A parameter of a header's value: `form-data; name="a; b"`.
pub(in crate::masking) fn parameter(value: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut rest = value;
    while let Some(at) = rest.iter().position(|b| *b == b';') {
        rest = rest
            .get(at.saturating_add(1)..)
            .unwrap_or_default()
            .trim_ascii_start();
        let equals = rest.iter().position(|b| matches!(b, b'=' | b';'));
        let (found, after) = rest.split_at_checked(equals?)?;
        let Some(after) = after.strip_prefix(b"=") else {
            rest = after;
            continue;
        };
        let (value, after) = unquoted(after.trim_ascii_start());
        if found.trim_ascii().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// A token or a quoted string, and what follows it.
fn unquoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|b| *b == b';').unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
        return (value.trim_ascii().to_vec(), rest);
    };
    let mut value = Vec::new();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'"', _) => break,
            (b'\\', [escaped, after @ ..]) => {
                value.push(*escaped);
                rest = after;
            }
            _ => value.push(*first),
        }
    }
    (value, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn kind(content_type: &str) -> Kind {
        Content::of(Some(content_type.as_bytes())).kind()
    }

    #[test]
    fn a_content_type_says_a_format() {
        for (content_type, expected) in [
            ("application/json", Kind::Json),
            (" Application/JSON ; charset=utf-8", Kind::Json),
            ("application/vnd.api+json", Kind::Json),
            ("application/merge-patch+json", Kind::Json),
            ("application/x-ndjson", Kind::JsonLines),
            ("application/stream+json", Kind::JsonLines),
            ("application/json-seq", Kind::Json),
            ("text/event-stream;charset=utf-8", Kind::EventStream),
            ("application/x-www-form-urlencoded", Kind::Form),
            ("application/grpc+proto", Kind::Grpc),
            ("application/grpc-web", Kind::Grpc),
            ("image/png", Kind::Binary),
            ("image/svg+xml", Kind::Text),
            ("application/octet-stream", Kind::Octets),
            (
                "multipart/form-data; boundary=\"a;\\\"b\"; x=y",
                Kind::Multipart(b"a;\"b".to_vec()),
            ),
            (
                "multipart/mixed; charset=x;BOUNDARY=ab",
                Kind::Multipart(b"ab".to_vec()),
            ),
            ("multipart/form-data", Kind::Text),
            ("application/yaml", Kind::Text),
            ("nonsense", Kind::Text),
            ("", Kind::Text),
        ] {
            assert_eq!(kind(content_type), expected, "{content_type}");
        }
    }

    #[test]
    fn characters_that_are_not_ascii_make_a_body_unreadable() {
        let readable = |text: &str| Content::of(Some(text.as_bytes())).is_readable();
        assert!(readable("text/plain; charset=utf-8"));
        assert!(readable("text/plain; charset=iso-8859-1"));
        assert!(readable("application/json"));
        assert!(!readable("text/plain; charset=\"UTF-16LE\""));
        assert!(!readable("text/plain; charset=utf-32"));
    }
}
