//! The request target: the text in the request line, or in `:path`.
//!
//! Most ways around a gate are two readers of one path: the gate sees `/public/%2e%2e/admin`, the
//! server sees `/admin`. Normalising such paths means guessing which server stands behind us, and
//! forwarding something other than what was decided on. So they are refused, and what is accepted
//! has one reading.

use super::headers::{Claim, claim_of_parameter};
use crate::base::percent;
use std::borrow::Cow;
use std::fmt;

/// Longest path accepted, in bytes. Longer than any API needs; bounds the work per request.
const MAX_PATH_BYTES: usize = 8 * 1024;

/// A request target in origin-form (RFC 9112 §3.2.1) whose path has one reading.
///
/// # Promises
///
/// For every value that exists: no segment is empty, or a dot segment, before or after decoding any
/// number of times; no segment holds `/`, `\`, a control character or a character that is
/// invisible; and parsing [`path`](Self::path) gives the same segments again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget {
    raw_path: String,
    path: String,
    segments: Vec<String>,
    query: Option<String>,
}

impl RequestTarget {
    /// Parses a path with an optional query, as Envoy gives it in `:path`.
    ///
    /// # Errors
    /// When the path could be read in more than one way; see [`TargetError`].
    pub fn parse(path_and_query: &str) -> Result<Self, TargetError> {
        let (raw_path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        if raw_path.len() > MAX_PATH_BYTES {
            return Err(TargetError::TooLong);
        }
        check_bytes(path_and_query)?;
        let Some(rest) = raw_path.strip_prefix('/') else {
            // Absolute-form (`http://host/path`), authority-form (CONNECT) and `*`. An upstream
            // that gets the absolute form believes its host and not the Host header that was
            // decided on.
            return Err(TargetError::NotOriginForm);
        };

        // One trailing slash is dropped from what is matched: nearly every server serves `/a/` and
        // `/a` alike, so a rule that denies one must deny both. It is still forwarded as sent.
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let mut segments = Vec::new();
        if !rest.is_empty() || raw_path.len() > 1 {
            for raw_segment in rest.split('/') {
                let segment = decode(raw_segment)?;
                check_segment(&segment)?;
                segments.push(segment);
            }
        }

        let mut path = String::with_capacity(raw_path.len());
        for segment in &segments {
            path.push('/');
            encode_into(segment, &mut path);
        }
        if path.is_empty() {
            path.push('/');
        }
        Ok(Self {
            raw_path: raw_path.to_owned(),
            path,
            segments,
            query: query.map(str::to_owned),
        })
    }

    /// Parses a `:path` header value, which may be any bytes.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and for bytes outside ASCII.
    pub fn parse_bytes(path_and_query: &[u8]) -> Result<Self, TargetError> {
        let text = std::str::from_utf8(path_and_query).map_err(|_| TargetError::NotAscii)?;
        Self::parse(text)
    }

    /// Splits an `http` or `https` URL into its authority, as written, and its target.
    ///
    /// For what people write (policy tests, command lines); a request on the wire in this form is
    /// refused. A fragment is refused too.
    ///
    /// # Errors
    /// When the scheme is another, or the target is refused by [`parse`](Self::parse).
    pub fn from_url(url: &str) -> Result<(&str, Self), TargetError> {
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| {
                let (head, tail) = url.split_at_checked(scheme.len())?;
                head.eq_ignore_ascii_case(scheme).then_some(tail)
            })
            .ok_or(TargetError::NotHttpUrl)?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let target = if target.starts_with('/') {
            Self::parse(target)
        } else if target.is_empty() || target.starts_with('?') {
            Self::parse(&format!("/{target}"))
        } else {
            Self::parse(target).and(Err(TargetError::Fragment))
        }?;
        Ok((authority, target))
    }

    /// The path in its normal form (RFC 3986 §6.2.2): percent-encoded only where needed, in upper
    /// case, without a trailing slash. This is what rules and the trail see.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path exactly as it was sent.
    #[must_use]
    pub fn raw_path(&self) -> &str {
        &self.raw_path
    }

    /// The percent-decoded segments; none for `/`.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The text after the first `?`, exactly as it was sent.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// What a parameter of the query asks for that the rest of the request does not, as headers may
    /// ([`headers`](super::headers)): the first one that does.
    #[must_use]
    pub fn claimed(&self) -> Option<Claim> {
        self.query_names()
            .find_map(|name| claim_of_parameter(&name))
    }

    /// The decoded names of the query's parameters, in order, repeated ones repeated.
    fn query_names(&self) -> impl Iterator<Item = String> + '_ {
        self.query
            .as_deref()
            .unwrap_or_default()
            // `;` was a separator in HTML 4 and still is for some servers; reading both finds more.
            .split(['&', ';'])
            .map(|pair| pair.split('=').next().unwrap_or_default())
            .map(|name| String::from_utf8_lossy(&percent::decoded(name.as_bytes())).into_owned())
    }
}

/// Why a request target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// Absolute-form, authority-form, asterisk-form, or nothing at all.
    NotOriginForm,
    /// Only from [`RequestTarget::from_url`]: not an `http` or `https` URL.
    NotHttpUrl,
    /// A path of more than 8 KiB.
    TooLong,
    /// A byte outside ASCII that is not percent-encoded.
    NotAscii,
    /// A control character or a space, raw or encoded.
    Control,
    /// A `#`: fragments are not sent (RFC 9110 §7.1), and servers differ in what they make of one.
    Fragment,
    /// `.` or `..`, in any spelling.
    DotSegment,
    /// Two slashes in a row, which some servers merge.
    EmptySegment,
    /// A backslash, raw or encoded, which Windows servers read as a slash.
    Backslash,
    /// An encoded slash, which some servers decode before they split the path.
    EncodedSlash,
    /// A `%` that two hexadecimal digits do not follow.
    PercentEncoding,
    /// Percent-encoding that does not spell UTF-8 (this includes overlong forms of `.` and `/`).
    NotUtf8,
    /// Something that is still percent-encoded after decoding.
    DoubleEncoding,
    /// A character that is invisible, reorders text, or that Unicode compatibility mappings turn
    /// into `.`, `/`, `\` or `%`.
    ConfusingCharacter,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self {
            Self::NotOriginForm => "it does not begin with a slash",
            Self::NotHttpUrl => "it is not an http or https URL",
            Self::TooLong => "it is longer than 8 KiB",
            Self::NotAscii => "it has bytes outside ASCII that are not percent-encoded",
            Self::Control => "it has a control character or a raw space",
            Self::Fragment => "it has a fragment (`#`)",
            Self::DotSegment => "it has a dot segment (`.` or `..`)",
            Self::EmptySegment => "it has an empty segment (`//`)",
            Self::Backslash => "it has a backslash",
            Self::EncodedSlash => "it has an encoded slash (`%2F`)",
            Self::PercentEncoding => "it has a `%` that two hexadecimal digits do not follow",
            Self::NotUtf8 => "its percent-encoding does not spell UTF-8",
            Self::DoubleEncoding => "it is percent-encoded twice",
            Self::ConfusingCharacter => {
                "it has an invisible character or one that servers may read as a separator"
            }
        };
        write!(f, "The path is ambiguous: {why}.")
    }
}

impl std::error::Error for TargetError {}

/// Bytes that must not stand raw anywhere in a target, query included.
fn check_bytes(path_and_query: &str) -> Result<(), TargetError> {
    for byte in path_and_query.bytes() {
        match byte {
            b'#' => return Err(TargetError::Fragment),
            0..=0x20 | 0x7f => return Err(TargetError::Control),
            0x80.. => return Err(TargetError::NotAscii),
            _ => {}
        }
    }
    Ok(())
}

/// Bytes that must not stand in a segment once it is decoded.
fn check_segment(segment: &str) -> Result<(), TargetError> {
    if segment.is_empty() {
        return Err(TargetError::EmptySegment);
    }
    // `..;x` is `..` to servlet containers; `...`, `.. ` and ` ` are `.`, `..` and nothing to
    // Windows.
    let name = segment.split(';').next().unwrap_or_default();
    if name.chars().all(|c| c == '.' || c == ' ') && (name.contains('.') || name == segment) {
        return Err(TargetError::DotSegment);
    }
    for c in segment.chars() {
        match c {
            '/' => return Err(TargetError::EncodedSlash),
            '\\' => return Err(TargetError::Backslash),
            c if c.is_control() => return Err(TargetError::Control),
            c if is_confusing(c) => return Err(TargetError::ConfusingCharacter),
            _ => {}
        }
    }
    if is_still_encoded(segment) {
        return Err(TargetError::DoubleEncoding);
    }
    Ok(())
}

/// Whether a text that is decoded already could be decoded once more: `%2e`, or IIS's `%u002e`.
///
/// All of it is refused, not only what hides a separator: `/%2561dmin` is `/admin` to an upstream
/// that decodes twice.
fn is_still_encoded(segment: &str) -> bool {
    segment.split('%').skip(1).any(|tail| {
        let mut following = tail.bytes();
        match (following.next(), following.next()) {
            (Some(b'u' | b'U'), _) => true,
            (Some(a), Some(b)) => a.is_ascii_hexdigit() && b.is_ascii_hexdigit(),
            _ => false,
        }
    })
}

/// Characters that an approver cannot see, or that compatibility mappings (NFKC, Windows best fit)
/// turn into `.`, `/`, `\` or `%`.
fn is_confusing(c: char) -> bool {
    matches!(
        c,
        // Zero width, direction marks and overrides, line separators, byte order mark.
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}'
        // Full stops.
        | '\u{2024}'..='\u{2026}' | '\u{fe19}' | '\u{fe30}' | '\u{fe52}' | '\u{ff0e}' | '\u{3002}' | '\u{ff61}'
        // Slashes and letters with a slash between them.
        | '\u{2044}' | '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}'
        // Backslashes; the yen and won signs are backslashes in Japanese and Korean code pages.
        | '\u{a5}' | '\u{20a9}' | '\u{2216}' | '\u{29f5}' | '\u{29f9}' | '\u{fe68}' | '\u{ff3c}'
        // Percent signs.
        | '\u{fe6a}' | '\u{ff05}'
        // Tags and variation selectors: invisible, and able to carry text.
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Percent-decodes one segment, strictly.
fn decode(segment: &str) -> Result<String, TargetError> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            decoded.push(
                percent::pair(bytes.next(), bytes.next()).ok_or(TargetError::PercentEncoding)?,
            );
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).map_err(|_| TargetError::NotUtf8)
}

/// Decodes those percent-encodings that mean the same decoded (RFC 3986 §2.3: letters, digits and
/// `-._~`) and leaves all others; for paths and queries that people and detectors read.
#[must_use]
pub fn decode_unreserved(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let mut pair = after.bytes();
        let byte = percent::pair(pair.next(), pair.next()).map(char::from);
        match byte.filter(|c| c.is_ascii_alphanumeric() || "-._~".contains(*c)) {
            Some(c) => {
                out.push(c);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Percent-encodes the bytes that are not allowed in a segment (RFC 3986 `pchar`), and `;`, which
/// servers that know path parameters would otherwise cut at.
fn encode_into(segment: &str, out: &mut String) {
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b'=' | b':' | b'@' => out.push(char::from(byte)),
            _ => {
                out.push('%');
                for nibble in [byte.wrapping_shr(4), byte & 0x0f] {
                    let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                    out.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
}
