//! Event streams: generated conversations in the words of each protocol, cut anywhere.

mod arguments;
mod blocked;
mod bounds;
mod conversations;
#[cfg(not(target_arch = "wasm32"))]
mod ending;
#[cfg(not(target_arch = "wasm32"))]
mod fingerprints;
mod framing;
mod kubernetes;
#[cfg(not(target_arch = "wasm32"))]
mod promises;
mod records;
#[cfg(not(target_arch = "wasm32"))]
mod templates;
mod texts;
#[cfg(not(target_arch = "wasm32"))]
mod work;

use super::{
    super::{Content, Findings, Masker, Plan},
    key, plan,
};
use std::sync::Arc;

pub(super) fn events() -> Content {
    Content::of(Some(b"text/event-stream; charset=utf-8"))
}

/// Masks a stream cut at `cuts`.
fn cut_with(plan: &Arc<Plan>, stream: &[u8], cuts: &[usize]) -> (Vec<u8>, Findings) {
    let mut masker = Masker::new(Arc::clone(plan), key(), &events());
    let mut out = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&stream.len()]) {
        out.extend_from_slice(masker.push(&stream[from..to]).as_bytes());
        assert!(masker.held() <= 289 * 1024, "{} bytes wait", masker.held());
        from = to;
    }
    out.extend_from_slice(masker.finish().as_bytes());
    assert_eq!(masker.held(), 0);
    (out, masker.findings().clone())
}

fn cut(stream: &[u8], cuts: &[usize]) -> (Vec<u8>, Findings) {
    cut_with(&plan(), stream, cuts)
}

fn masked(stream: &str) -> String {
    String::from_utf8(cut(stream.as_bytes(), &[]).0).unwrap()
}

/// An event as its reader sees it (WHATWG HTML §9.2.6), in a way of its own: the stream is there as
/// a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Event {
    name: String,
    data: Option<String>,
    others: Vec<String>,
}

fn read(stream: &[u8]) -> Vec<Event> {
    let text = String::from_utf8(stream.to_vec()).unwrap();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut events = vec![Event::default()];
    for line in text.trim_start_matches('\u{FEFF}').lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        let event = events.last_mut().unwrap();
        match field {
            "" if line.is_empty() => events.push(Event::default()),
            "data" => match &mut event.data {
                Some(data) => *data = format!("{data}\n{value}"),
                data => *data = Some(value.to_owned()),
            },
            "event" => event.name = value.to_owned(),
            _ => event.others.push(line.to_owned()),
        }
    }
    events
}
