//! Paths that are refused, and what holds for those that are not.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let cases: &[(&str, TargetError)] = &[
        ("", TargetError::NotOriginForm),
        ("*", TargetError::NotOriginForm),
        ("?x", TargetError::NotOriginForm),
        ("http://elsewhere.example/x", TargetError::NotOriginForm),
        ("elsewhere.example:443", TargetError::NotOriginForm),
        ("//elsewhere.example/x", TargetError::EmptySegment),
        ("//", TargetError::EmptySegment),
        ("/a//b", TargetError::EmptySegment),
        ("/a//", TargetError::EmptySegment),
        ("/.", TargetError::DotSegment),
        ("/a/../b", TargetError::DotSegment),
        ("/a/..", TargetError::DotSegment),
        ("/a/%2e%2E/b", TargetError::DotSegment),
        ("/a/.%2e", TargetError::DotSegment),
        ("/a/..;x=1/b", TargetError::DotSegment),
        ("/a/.;/b", TargetError::DotSegment),
        ("/a/.../b", TargetError::DotSegment),
        ("/a/..%20/b", TargetError::DotSegment),
        ("/a/%20/b", TargetError::DotSegment),
        ("/a%2fb", TargetError::EncodedSlash),
        ("/a/..%2Fb", TargetError::EncodedSlash),
        ("/a\\b", TargetError::Backslash),
        ("/a%5cb", TargetError::Backslash),
        ("/a%00", TargetError::Control),
        ("/a%0d%0aX", TargetError::Control),
        ("/a%7f", TargetError::Control),
        ("/a%C2%85", TargetError::Control),
        ("/a b", TargetError::Control),
        ("/a\tb", TargetError::Control),
        ("/a?b\r\nX: y", TargetError::Control),
        ("/a#b", TargetError::Fragment),
        ("/a?b#c", TargetError::Fragment),
        ("/a%", TargetError::PercentEncoding),
        ("/a%2", TargetError::PercentEncoding),
        ("/a%zz", TargetError::PercentEncoding),
        ("/a%u002e", TargetError::PercentEncoding),
        ("/a%%32e", TargetError::PercentEncoding),
        ("/%252e%252e/a", TargetError::DoubleEncoding),
        ("/%25%32%65/a", TargetError::DoubleEncoding),
        ("/a%252fb", TargetError::DoubleEncoding),
        ("/%2561dmin", TargetError::DoubleEncoding),
        ("/%25u002e", TargetError::DoubleEncoding),
        ("/%25252e", TargetError::DoubleEncoding),
        ("/caf\u{e9}", TargetError::NotAscii),
        ("/x?caf\u{e9}", TargetError::NotAscii),
        ("/%c0%ae%c0%ae/a", TargetError::NotUtf8),
        ("/%c0%af", TargetError::NotUtf8),
        ("/%ff", TargetError::NotUtf8),
        ("/%ef%bc%8e%ef%bc%8e/a", TargetError::ConfusingCharacter),
        ("/a%ef%bc%8fb", TargetError::ConfusingCharacter),
        ("/a%e2%80%aeb", TargetError::ConfusingCharacter),
        ("/adm%e2%80%8bin", TargetError::ConfusingCharacter),
    ];
    for (path, expected) in cases {
        assert_eq!(RequestTarget::parse(path), Err(*expected), "{path:?}");
    }
    assert_eq!(
        RequestTarget::parse_bytes(b"/\xff"),
        Err(TargetError::NotAscii)
    );
    assert_eq!(
        RequestTarget::parse(&format!("/{}", "a".repeat(9000))),
        Err(TargetError::TooLong)
    );
}

#[test]
fn ordinary_paths_pass() {
    for path in [
        "/",
        "/v1/chat/completions",
        "/a/",
        "/.well-known/openid-configuration",
        "/a..b",
        "/..a",
        "/a.",
        "/repos/o/r/labels/c%23",
        "/100%25",
        "/%E4%BD%A0",
        "/a?x=/../&y=%2e%2e",
        "/a?",
        "/v1/models/x:generate",
        "/a+b",
    ] {
        assert!(RequestTarget::parse(path).is_ok(), "{path}");
    }
}

#[test]
fn a_target_keeps_what_was_sent_beside_what_is_matched() {
    let target = RequestTarget::parse("/%61/B%20/?q=%61").unwrap();
    assert_eq!(target.path(), "/a/B%20");
    assert_eq!(target.raw_path(), "/%61/B%20/");
    assert_eq!(target.segments(), ["a", "B "]);
    assert_eq!(target.query(), Some("q=%61"));
}

#[test]
fn a_url_is_split_into_authority_and_target() {
    let (authority, target) = RequestTarget::from_url("HTTPS://Host:8443/a/b?c").unwrap();
    assert_eq!(
        (authority, target.path(), target.query()),
        ("Host:8443", "/a/b", Some("c"))
    );
    let (authority, target) = RequestTarget::from_url("http://host").unwrap();
    assert_eq!((authority, target.path()), ("host", "/"));
    let (authority, target) = RequestTarget::from_url("http://host?x").unwrap();
    assert_eq!(
        (authority, target.path(), target.query()),
        ("host", "/", Some("x"))
    );
    for url in [
        "ftp://host/",
        "host/a",
        "/a",
        "http://host#x",
        "http://host\\x",
        "http://host/../a",
        "",
    ] {
        assert!(RequestTarget::from_url(url).is_err(), "{url}");
    }
}

/// Every way in which some server may decode: again and again.
#[cfg(not(target_arch = "wasm32"))]
fn decodings(segment: &str) -> Vec<String> {
    let mut all = vec![segment.to_owned()];
    for _ in 0..4 {
        let last = all.last().unwrap().clone();
        let mut out = Vec::new();
        let bytes = last.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            if let Some(value) = last
                .get(i + 1..i + 3)
                .and_then(|hex| u8::from_str_radix(hex, 16).ok())
                .filter(|_| bytes[i] == b'%')
            {
                out.push(value);
                i += 3;
            } else {
                out.push(bytes[i]);
                i += 1;
            }
        }
        all.push(String::from_utf8_lossy(&out).into_owned());
    }
    all
}

/// Generated cases; natively only, as proptest asks the host for randomness.
#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Text that is mostly made of what attacks on paths are made of.
    fn hostile_path() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            4 => prop::sample::select(vec![
                "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", "%25", "%", "25", "2e", "2f", ";", "?", "#", "%00",
                "%u002e", "%c0%ae", "%ef%bc%8e", "%20", " ", "+", "a", "%61", "%3b", "%c3%a9",
            ]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(|c| c.to_string()),
        ];
        prop::collection::vec(part, 0..16).prop_map(|parts| format!("/{}", parts.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(crate::testing::cases(2000)))]

        #[test]
        fn an_accepted_path_has_no_dot_segment_after_any_decoding(path in hostile_path()) {
            if let Ok(target) = RequestTarget::parse(&path) {
                for segment in target.segments() {
                    for text in decodings(segment) {
                        prop_assert!(!text.is_empty() && text != "." && text != "..", "{path:?}");
                        prop_assert!(!text.contains(['/', '\\', '\0']), "{path:?}");
                    }
                }
            }
        }

        #[test]
        fn an_accepted_path_means_the_same_when_it_is_read_again(path in hostile_path()) {
            if let Ok(once) = RequestTarget::parse(&path) {
                let again = RequestTarget::parse(once.path());
                prop_assert_eq!(again.as_ref().map(RequestTarget::segments), Ok(once.segments()));
                prop_assert_eq!(again.as_ref().map(RequestTarget::path), Ok(once.path()));
            }
        }

        #[test]
        fn no_text_panics(path in any::<String>(), bytes in any::<Vec<u8>>()) {
            let _ = RequestTarget::parse_bytes(&bytes);
            let _ = RequestTarget::from_url(&path);
            let _ = host_of(&path);
            let _ = RequestTarget::parse(&path).map(|target| target.claimed());
        }
    }
}

#[test]
fn what_means_the_same_decoded_is_read_decoded_and_nothing_else_is() {
    use crate::request::decode_unreserved;
    for (sent, read) in [
        ("/a/b", "/a/b"),
        ("ghp%5Fx%2dy%7e", "ghp_x-y~"),
        ("%2F%25%20%c3%a9", "%2F%25%20%c3%a9"),
        ("%4", "%4"),
        ("%%41%", "%A%"),
        ("%\u{e9}%41", "%\u{e9}A"),
    ] {
        assert_eq!(decode_unreserved(sent), read, "{sent}");
    }
}
