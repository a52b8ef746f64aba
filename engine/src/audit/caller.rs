//! Where a request came from, as it is recorded: texts that come from outside, made short and
//! clean.

use std::net::SocketAddr;

/// Characters of a source that is no address of the Internet, e.g. the path of a Unix socket.
const MAX_SOURCE: usize = 128;

/// Characters of a user agent that are recorded.
pub const MAX_USER_AGENT: usize = 256;

/// Characters of a user agent that are looked at for secrets before it is cut to
/// [`MAX_USER_AGENT`]. It is cut last: the beginning of a secret that was cut apart before would no
/// longer be known for one.
const READ_USER_AGENT: usize = 4096;

/// The address in Envoy's `source.address`, without its port: the next connection of the same
/// client has another one. `None` for an empty text.
pub fn source_address(address: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(address);
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(socket.ip().to_canonical().to_string());
    }
    clean(&text, MAX_SOURCE)
}

/// A `user-agent` header, before it is masked. `None` for an empty one.
pub fn user_agent(value: &[u8]) -> Option<String> {
    clean(&String::from_utf8_lossy(value), READ_USER_AGENT)
}

/// A masked user agent, cut to what is recorded.
pub fn shortened(mut masked: String) -> String {
    // Masked text may hold more than ASCII.
    if let Some((end, _)) = masked.char_indices().nth(MAX_USER_AGENT) {
        masked.truncate(end);
    }
    masked
}

/// Printable ASCII only: no line breaks that forge a line, no escape sequences for terminals, and
/// no controls of writing direction.
fn clean(text: &str, limit: usize) -> Option<String> {
    let printable = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    let clean: String = text.trim().chars().take(limit).map(printable).collect();
    (!clean.is_empty()).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_source_is_an_address_without_its_port() {
        for (from, recorded) in [
            ("203.0.113.7:40112", "203.0.113.7"),
            // Envoy knows no port of an address that it took from `x-forwarded-for`.
            ("203.0.113.7:0", "203.0.113.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            // One client, one name, whichever socket it reached.
            ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
            ("/run/agents.sock", "/run/agents.sock"),
            ("a\nb\u{202e}c", "a?b?c"),
        ] {
            assert_eq!(source_address(from.as_bytes()).as_deref(), Some(recorded));
        }
        assert_eq!(source_address(b""), None);
        assert_eq!(source_address(&[b'x'; 500]).unwrap().len(), MAX_SOURCE);
    }

    #[test]
    fn a_user_agent_is_printable_and_short() {
        let clean = user_agent(b" cli/1.0 (\x1b[31m\xff) ").unwrap();
        assert_eq!(clean, "cli/1.0 (?[31m?)");
        let long = user_agent(&[b'a'; 100_000]).unwrap();
        assert_eq!(long.len(), READ_USER_AGENT);
        assert_eq!(shortened(long).len(), MAX_USER_AGENT);
        assert_eq!(shortened("ä".repeat(300)).chars().count(), MAX_USER_AGENT);
        assert_eq!(user_agent(b"  "), None);
    }
}
