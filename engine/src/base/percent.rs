//! Percent-encoding (RFC 3986 §2.1): the one place where it is decoded.
//!
//! Only `masking::fold` reads it in a way of its own: it looks for one encoded character in a text
//! that is none, cut anywhere.

/// The byte that two hexadecimal digits mean.
pub(crate) fn pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let byte = (digit(high)? << 4) | digit(low)?;
    u8::try_from(byte).ok()
}

/// Decodes every `%` that encodes a byte; any other `%` stands for itself. For looking at names.
pub(crate) fn decoded(text: &[u8]) -> Vec<u8> {
    let mut rest = text;
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%'
            && let Some(value) = pair(tail.first().copied(), tail.get(1).copied())
        {
            decoded.push(value);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_encoded_is_decoded_once_and_all_else_stays() {
        for (text, expected) in [
            ("pass%77ord", "password"),
            ("%2525", "%25"),
            ("a+b", "a+b"),
            ("%", "%"),
            ("%4", "%4"),
            ("%4g%61", "%4ga"),
        ] {
            assert_eq!(decoded(text.as_bytes()), expected.as_bytes(), "{text}");
        }
    }
}
