//! The same bytes, cut where a reader is most likely to stumble.

use crate::script::Script;

/// Ways to cut `bytes`, each with its name and with at most some [`DENSE`] cuts.
#[must_use]
pub fn hostile(bytes: &[u8]) -> Vec<(&'static str, Script)> {
    let inside: Vec<usize> = (1..bytes.len())
        .filter(|at| is_inside(bytes, *at))
        .collect();
    let events: Vec<usize> = (1..bytes.len())
        .filter(|at| ends_event(bytes, *at))
        .collect();
    // Several events in one packet, and the last of them torn in its middle.
    let torn = events
        .iter()
        .step_by(3)
        .map(|at| at.saturating_sub(9).max(1));
    let odd = (bytes.len() / DENSE) | 13;
    let every = inside.len() / DENSE + 1;
    vec![
        ("in one piece", Script::new().chunk(bytes.to_vec())),
        ("event by event", at(bytes, events.iter().copied())),
        ("several events in a packet", at(bytes, torn)),
        (
            "inside of escapes, characters and line ends",
            at(bytes, inside.iter().step_by(every).copied()),
        ),
        ("in pieces of an odd size", Script::new().cut(bytes, odd)),
    ]
}

/// How many cuts take the upstream about two seconds to send.
pub const DENSE: usize = 700;

/// `bytes` one by one, from `start` on for [`DENSE`] bytes; what is around them in two pieces.
#[must_use]
pub fn after_every_byte(bytes: &[u8], start: usize) -> Script {
    let end = start.saturating_add(DENSE).min(bytes.len());
    at(bytes, start..end)
}

/// `bytes` cut at these places, which rise.
#[must_use]
pub fn at(bytes: &[u8], places: impl IntoIterator<Item = usize>) -> Script {
    let mut script = Script::new();
    let mut start = 0;
    for place in places {
        if place > start && place < bytes.len() {
            script = script.chunk(bytes[start..place].to_vec());
            start = place;
        }
    }
    script.chunk(bytes[start..].to_vec())
}

/// Whether a cut before the byte at `at` tears an escape, a character or a line end apart.
fn is_inside(bytes: &[u8], at: usize) -> bool {
    let before = bytes[at - 1];
    let (tears_character, tears_line_end) = (bytes[at] & 0xc0 == 0x80, before == b'\r');
    let tears_escape =
        before == b'\\' || (2..6).any(|back| at >= back && bytes[at - back..].starts_with(b"\\u"));
    tears_character || tears_line_end || tears_escape
}

fn ends_event(bytes: &[u8], at: usize) -> bool {
    let (done, rest) = bytes.split_at(at);
    ["\n\n", "\r\n\r\n", "\r\r"]
        .iter()
        .any(|end| done.ends_with(end.as_bytes()))
        && !rest.starts_with(b"\n")
}
