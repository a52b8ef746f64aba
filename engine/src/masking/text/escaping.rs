//! How what stands where a secret was is written, so that its format stays what it is.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// How a replacement is written where this text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::masking) enum Escaping {
    /// As it is.
    Plain,
    /// In a JSON string, inside of so many further JSON strings (RFC 8259 §7).
    Json { nested: u8 },
    /// In a line of `data` of an event stream: a line's end begins another such line (WHATWG HTML
    /// §9.2.6).
    EventData,
    /// Percent-encoded (application/x-www-form-urlencoded).
    Percent,
    /// In base64, alone (RFC 4648 §4).
    Base64,
    /// As it is, cut or filled up to the secret's own length, for formats that count bytes.
    SameLength,
}

impl Escaping {
    /// Writes a replacement for `length` raw bytes.
    pub(in crate::masking) fn write(self, text: &[u8], length: u64) -> Vec<u8> {
        match self {
            Self::Plain => text.to_vec(),
            Self::Json { nested } => {
                (0..=nested).fold(text.to_vec(), |text, _| json_escaped(&text))
            }
            Self::EventData => event_data(text),
            Self::Percent => percent_encoded(text),
            Self::Base64 => BASE64_STANDARD.encode(text).into_bytes(),
            Self::SameLength => {
                let length = usize::try_from(length).unwrap_or(0);
                let filled = text.iter().copied().chain(std::iter::repeat(b'*'));
                filled.take(length).collect()
            }
        }
    }
}

fn json_escaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 => out.extend(format!("\\u{byte:04x}").bytes()),
            _ => out.push(byte),
        }
    }
    out
}

fn event_data(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        let (line, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(line);
        out.extend_from_slice(b"\ndata: ");
        let skip = if end.starts_with(b"\r\n") { 2 } else { 1 };
        rest = end.get(skip..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

fn percent_encoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(byte),
            _ => out.extend(format!("%{byte:02X}").bytes()),
        }
    }
    out
}
