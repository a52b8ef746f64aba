//! Taking the token out of the Authorization header (RFC 6750 §2.1).

use super::refusal::{Refusal, RefusalCode};
use super::token::MAX_TOKEN_BYTES;

/// The bearer token of a request, from all its `Authorization` values as they came in.
///
/// # Errors
///
/// Anything but exactly one Bearer credential: two, even equal ones, and two joined by a comma are
/// refused, because the next hop may take the other one.
pub fn bearer_token<'a>(authorization_values: &[&'a [u8]]) -> Result<&'a str, Refusal> {
    let refuse = |code, detail: &str| Err(Refusal::new(code, detail));
    let value = match authorization_values {
        [] => {
            return refuse(
                RefusalCode::TokenMissing,
                "Send the token as `Authorization: Bearer <token>`.",
            );
        }
        [one] => *one,
        _ => {
            return refuse(
                RefusalCode::SeveralTokens,
                "Send exactly one Authorization header.",
            );
        }
    };
    if value.len() > MAX_TOKEN_BYTES.saturating_add(64) {
        return refuse(
            RefusalCode::TokenTooLarge,
            "The Authorization header is larger than 16 KiB.",
        );
    }
    if memchr::memchr(b',', value).is_some() {
        // Neither a token (RFC 6750 §2.1) nor a scheme has a comma: proxies join repeated headers
        // so.
        return refuse(
            RefusalCode::SeveralTokens,
            "The Authorization header holds several values.",
        );
    }
    let Ok(value) = std::str::from_utf8(value) else {
        return refuse(
            RefusalCode::TokenMalformed,
            "The Authorization header is not text.",
        );
    };
    let value = value.trim_matches([' ', '\t']);
    if value.is_empty() {
        return refuse(
            RefusalCode::TokenMissing,
            "The Authorization header is empty.",
        );
    }
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return refuse(
            RefusalCode::WrongScheme,
            "The Authorization header must use the Bearer scheme.",
        );
    }
    let token = token.trim_start_matches(' ');
    if token.is_empty() {
        return refuse(
            RefusalCode::TokenMissing,
            "The Authorization header has no token behind `Bearer`.",
        );
    }
    // The `b64token` of RFC 6750 §2.1: no blank, no control character, nothing outside ASCII.
    let in_alphabet = |b: u8| matches!(b, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if !token.bytes().all(in_alphabet) {
        return refuse(
            RefusalCode::TokenMalformed,
            "The token has characters that no bearer token has.",
        );
    }
    Ok(token)
}
