//! Taking the token out of the Authorization header.

use super::*;
use RefusalCode::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn exactly_one_bearer_value_is_taken() {
    for value in [
        "Bearer abc.def-_~+/=",
        "bearer abc.def-_~+/=",
        "BEARER   abc.def-_~+/=  ",
        "\tBearer abc.def-_~+/=",
    ] {
        assert_eq!(
            bearer_token(&[value.as_bytes()]),
            Ok("abc.def-_~+/="),
            "{value:?}"
        );
    }
}

#[test]
fn everything_else_is_refused() {
    let long = format!("Bearer {}", "x".repeat(17 * 1024));
    let cases: &[(&[&[u8]], RefusalCode)] = &[
        (&[], TokenMissing),
        (&[b""], TokenMissing),
        (&[b"  "], TokenMissing),
        (&[b"Bearer"], TokenMissing),
        (&[b"Bearer   "], TokenMissing),
        (&[b"Bearer a", b"Bearer b"], SeveralTokens),
        (&[b"Bearer a", b"Bearer a"], SeveralTokens),
        (&[b"Bearer a", b""], SeveralTokens),
        (&[b"Bearer a, Bearer b"], SeveralTokens),
        (&[b"Bearer a,b"], SeveralTokens),
        (&[b"Basic dXNlcjpwYXNz"], WrongScheme),
        (&[b"DPoP abc"], WrongScheme),
        (&[b"abc.def.ghi"], WrongScheme),
        (&[b"Bearer\tabc"], WrongScheme),
        (&[b"Bearer: abc"], WrongScheme),
        (&[b"Bearer a b"], TokenMalformed),
        (&[b"Bearer a\tb"], TokenMalformed),
        (&[b"Bearer a\0b"], TokenMalformed),
        (&[b"Bearer \"abc\""], TokenMalformed),
        (&["Bearer ä".as_bytes()], TokenMalformed),
        (&[b"Bearer \xff\xfe"], TokenMalformed),
        (&[long.as_bytes()], TokenTooLarge),
    ];
    for (values, code) in cases {
        let refusal = bearer_token(values).unwrap_err();
        assert_eq!(refusal.code, *code, "{values:?}");
        is_a_sentence(&refusal);
    }
}

#[test]
fn the_challenge_names_an_error_only_when_a_token_was_sent() {
    assert_eq!(TokenMissing.challenge_error(), None);
    assert_eq!(TokenExpired.challenge_error(), Some("invalid_token"));
    assert_eq!(SeveralTokens.challenge_error(), Some("invalid_request"));
}
