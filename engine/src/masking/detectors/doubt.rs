//! What begins like a secret and cannot be one: found before it ends, so that nothing waits for it,
//! and it is not masked because it is too long to wait for.
//!
//! Base64 of a JSON object begins like a JSON Web Token (`eyJ`), and streams are full of it: page
//! cursors, source maps, pictures of a state. A token has a dot after its header, and a header is a
//! small object with registered names (RFC 7515 §4.1, RFC 7516 §4.1).
//!
//! A token is not let pass because its header is odd: a short one may be anything. Only what has no
//! dot among its first [`DOUBTED`] characters must be what it would have to be: JSON, with a
//! registered name among its own.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// After so many bytes without a match a rule is asked whether there can be one.
pub(in crate::masking) const DOUBTED: usize = 256;

/// Parameters of headers: of RFC 7515, 7516, 7518, 7797, 8225, and claims that are repeated in them
/// (RFC 7519 §5.3); `ver` and `sv` are of Salesforce and Zoom.
const NAMES: &[&[u8]] = &[
    b"alg",
    b"enc",
    b"typ",
    b"cty",
    b"kid",
    b"jku",
    b"jwk",
    b"x5u",
    b"x5c",
    b"x5t",
    b"x5t#S256",
    b"crit",
    b"zip",
    b"epk",
    b"apu",
    b"apv",
    b"iv",
    b"tag",
    b"p2s",
    b"p2c",
    b"b64",
    b"url",
    b"nonce",
    b"ppt",
    b"iss",
    b"sub",
    b"aud",
    b"exp",
    b"sv",
    b"ver",
];

/// Whether a text of [`DOUBTED`] bytes of base64url and dots does not begin with the header of a
/// JSON Web Token.
pub(in crate::masking) fn is_no_header(text: &[u8]) -> bool {
    let whole = text.len().saturating_sub(text.len() % 4);
    let text = text.get(..whole).unwrap_or_default();
    if text.contains(&b'.') {
        return false;
    }
    match URL_SAFE_NO_PAD.decode(text) {
        Ok(json) => !begins_header(&json),
        Err(_) => true,
    }
}

/// Whether this is the beginning of an object that has not ended, with a registered name.
fn begins_header(json: &[u8]) -> bool {
    let mut depth = 0_u8;
    let mut is_named = false;
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        at = at.saturating_add(1);
        match byte {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    // Its dot has to follow, and did not.
                    return is_named && at == json.len();
                }
            }
            b'"' => {
                let rest = json.get(at..).unwrap_or_default();
                let Some(length) = string(rest) else {
                    return false;
                };
                let (says, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                let after = after.get(1..).unwrap_or_default();
                let is_key = after.trim_ascii_start().first() == Some(&b':');
                is_named |= depth == 1 && is_key && NAMES.contains(&says);
                at = at.saturating_add(length).saturating_add(1);
            }
            b':' | b',' | b' ' | b'\n' | b'\r' | b'\t' | b'0'..=b'9' | b'+' | b'-' | b'.' => {}
            b'a'..=b'z' | b'E' if depth > 0 => {}
            _ => return false,
        }
    }
    is_named
}

/// The length of a string that begins here, or of the part that is there; `None` if it is none.
fn string(rest: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    for (at, &byte) in rest.iter().enumerate() {
        match byte {
            0..0x20 => return None,
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    // What is cut in the middle of a character is no fault.
    let last = rest.len().saturating_sub(4);
    std::str::from_utf8(rest)
        .map_or_else(|error| error.valid_up_to() >= last, |_| true)
        .then_some(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn refuted(json: &str) -> bool {
        let text = URL_SAFE_NO_PAD.encode(json);
        is_no_header(&text.as_bytes()[..DOUBTED.min(text.len())])
    }

    #[test]
    fn long_headers_are_headers() {
        let long = "MIIC".repeat(100);
        for header in [
            format!("{{\"x5c\":[\"{long}\"],\"alg\":\"RS256\"}}"),
            format!("{{\"alg\":\"ES256\",\"jwk\":{{\"kty\":\"EC\",\"x\":\"{long}\"}}}}"),
            format!("{{\"jwk\":{{\"x\":\"{long}\"}},\"alg\":\"ES256\"}}"),
            format!(
                "{{ \"org.example\" : [1, -2.5e3, true, null], \"typ\" : \"JWT\", \"é\":\"{long}\"}}"
            ),
        ] {
            assert!(!refuted(&header), "{header}");
        }
    }

    #[test]
    fn other_objects_are_none() {
        let long = "words ".repeat(100);
        for text in [
            format!("{{\"version\":3,\"sources\":[\"{long}\"]}}"),
            format!("{{\"cursor\":{{\"alg\":1,\"text\":\"{long}\"}}}}"),
            format!("{{\"alg\":\"none\"}} {long}"),
            format!("{{\"alg\"~\"{long}\"}}"),
            format!("{{\"alg\":\"{}\u{1}{long}\"}}", "x"),
            format!("{{\"text\":\"alg\",\"more\":\"\\\"alg\\\":{long}\"}}"),
        ] {
            assert!(refuted(&text), "{text}");
        }
    }

    #[test]
    fn what_has_a_dot_is_not_judged() {
        assert!(!is_no_header(
            format!("eyJ{}.{}", "x".repeat(100), "y".repeat(152)).as_bytes()
        ));
    }
}
