//! Authorities and the hosts they name.

use super::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn a_host_has_one_spelling() {
    for (authority, host) in [
        ("Management.Azure.COM", "management.azure.com"),
        ("management.azure.com:443", "management.azure.com"),
        ("management.azure.com.", "management.azure.com"),
        ("management.azure.com.:443", "management.azure.com"),
        ("localhost:8080", "localhost"),
        ("my_service.default", "my_service.default"),
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:8080", "[::1]"),
        ("[0:0:0:0:0:0:0:1]", "[::1]"),
        ("[2001:DB8::A]", "[2001:db8::a]"),
    ] {
        assert_eq!(host_of(authority), Ok(host.to_owned()), "{authority}");
    }
}

#[test]
fn what_is_no_host_is_refused() {
    for (authority, error) in [
        ("", HostError::Empty),
        (".", HostError::Empty),
        (":80", HostError::Empty),
        ("user@host", HostError::UserInfo),
        ("allowed.example@evil.example", HostError::UserInfo),
        ("host:", HostError::Port),
        ("host:65536", HostError::Port),
        ("host:+80", HostError::Port),
        ("host:80:90", HostError::Port),
        ("a..b", HostError::Malformed),
        ("host..", HostError::Malformed),
        ("ho st", HostError::Malformed),
        ("h%6fst", HostError::Malformed),
        ("host/path", HostError::Malformed),
        ("host,other", HostError::Malformed),
        ("m\u{e4}nagement.azure.com", HostError::Malformed),
        ("2130706433", HostError::Malformed),
        ("0x7f.1", HostError::Malformed),
        ("127.1", HostError::Malformed),
        ("a.0x7f", HostError::Malformed),
        ("::1", HostError::Port),
        ("[::1", HostError::Malformed),
        ("[::1]x", HostError::Malformed),
        ("[fe80::1%25eth0]", HostError::Malformed),
        ("[127.0.0.1]", HostError::Malformed),
    ] {
        assert_eq!(host_of(authority), Err(error), "{authority}");
    }
    assert!(host_of(&"a".repeat(64)).is_err());
}
