//! Conversations as streams, generated: texts with secrets, cut into deltas, spoken in turns.
#![cfg(not(target_arch = "wasm32"))]

use super::super::cases::{Case, cases, harmless};
use proptest::{prelude::*, sample};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Chat,
    Responses,
    Messages,
    Gemini,
    Plain,
}

/// A stream and what it says.
#[derive(Clone)]
pub(super) struct Spoken {
    pub(super) protocol: Protocol,
    pub(super) stream: Vec<u8>,
    /// The texts that go on over events, by names that [`texts`] gives them too.
    pub(super) texts: BTreeMap<String, String>,
    pub(super) secrets: Vec<Case>,
    /// Where events end in the stream.
    pub(super) ends: Vec<usize>,
}

impl std::fmt::Debug for Spoken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?}: {}",
            self.protocol,
            String::from_utf8_lossy(&self.stream)
        )
    }
}

/// How an event is written.
#[derive(Debug, Clone)]
struct Style {
    line_end: &'static str,
    space: bool,
    pretty: bool,
    escapes: u8,
    comment: bool,
    id: bool,
}

fn style() -> impl Strategy<Value = Style> {
    let line_end = sample::select(vec!["\n", "\r\n", "\r"]);
    (line_end, any::<[bool; 4]>(), 0_u8..10).prop_map(
        |(line_end, [space, pretty, comment, id], escapes)| Style {
            line_end,
            space,
            pretty,
            escapes,
            comment,
            id,
        },
    )
}

/// A text, and the secrets in it.
type Planted = (String, Vec<Case>);

fn text(planted: bool) -> impl Strategy<Value = Planted> {
    let filler = prop_oneof![
        "[ -~\n]{0,30}",
        "[a-zé 😀\"\\\\]{0,10}",
        sample::select(harmless()),
    ];
    let secret = prop_oneof![1 => Just(None), 2 => sample::select(cases()).prop_map(Some)];
    prop::collection::vec((filler, secret), 1..3).prop_map(move |parts| {
        let (mut text, mut secrets) = (String::new(), Vec::new());
        for (filler, secret) in parts {
            text.push_str(&filler.replace(['@', ';', '-', '='], " "));
            text.push_str(" \"");
            if let (Some(case), true) = (secret, planted) {
                text.push_str(&format!("{}{}{}", case.before, case.secret, case.after));
                text.push_str("\" ");
                secrets.push(case);
            }
        }
        (text, secrets)
    })
}

pub(super) fn spoken(planted: bool) -> impl Strategy<Value = Spoken> {
    use Protocol::{Chat, Gemini, Messages, Plain, Responses};
    (
        sample::select(vec![Chat, Responses, Messages, Gemini, Plain]),
        prop::collection::vec(
            (
                text(planted),
                prop::collection::vec(any::<sample::Index>(), 0..12),
            ),
            1..5,
        ),
        prop::collection::vec(any::<sample::Index>(), 70),
        prop::collection::vec(style(), 1..4),
    )
        .prop_map(|(protocol, texts, turns, styles)| speak(protocol, &texts, &turns, &styles))
}

fn speak(
    protocol: Protocol,
    said: &[(Planted, Vec<sample::Index>)],
    turns: &[sample::Index],
    styles: &[Style],
) -> Spoken {
    let mut texts = BTreeMap::new();
    let mut secrets = Vec::new();
    let mut queues = Vec::new();
    for (number, ((text, cases), cuts)) in said.iter().enumerate() {
        // A line of data cannot hold a CR.
        let plain = |text: &str| match protocol {
            Protocol::Plain => text.replace('\r', ""),
            _ => text.to_owned(),
        };
        let text = &plain(text);
        let cases = cases.iter().cloned().map(|mut case| {
            case.secret = plain(&case.secret);
            case
        });
        let mut at: Vec<_> = cuts
            .iter()
            .map(|i| i.index(text.len() + 1))
            .filter(|&i| text.is_char_boundary(i))
            .collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<_> = at.windows(2).map(|w| text[w[0]..w[1]].to_owned()).collect();
        // Readers of plain text see lines; one text each.
        texts.insert(name(protocol, number), text.clone());
        secrets.extend(cases);
        queues.push((number, pieces.into_iter()));
    }
    let mut stream = Vec::new();
    let mut ends = Vec::new();
    let mut write = |name: &str, data: String, style: &Style| {
        let mut event = String::new();
        if style.comment {
            event.push_str(": a comment\n");
        }
        if !name.is_empty() {
            event.push_str(&format!("event: {name}\n"));
        }
        for line in data.split('\n') {
            let space = if style.space || line.starts_with(' ') {
                " "
            } else {
                ""
            };
            event.push_str(&format!("data:{space}{line}\n"));
        }
        if style.id {
            event.push_str(&format!("id: {}\n", ends.len()));
        }
        event.push('\n');
        stream.extend_from_slice(event.replace('\n', style.line_end).as_bytes());
        ends.push(stream.len());
    };
    let mut turns = turns.iter().cycle();
    let mut styles = styles.iter().cycle();
    let mut count = 0;
    while !queues.is_empty() {
        let turn = turns.next().unwrap().index(queues.len());
        let (number, queue) = &mut queues[turn];
        let number = *number;
        let style = styles.next().unwrap();
        match queue.next() {
            Some(piece) if protocol == Protocol::Plain => {
                write(&name(protocol, number), piece, style);
            }
            Some(piece) => {
                let event = delta(protocol, number, &piece, count);
                let kind = event["type"].as_str().unwrap_or_default().to_owned();
                write(&kind, json(&event, style), style);
            }
            None => {
                queues.remove(turn);
                if let Some(event) = end(protocol, number, count) {
                    let kind = event["type"].as_str().unwrap_or_default().to_owned();
                    write(&kind, json(&event, style), style);
                }
            }
        }
        count += 1;
    }
    if protocol == Protocol::Chat {
        write(
            "",
            "{\"choices\":[],\"usage\":{\"total_tokens\":7}}".to_owned(),
            styles.next().unwrap(),
        );
        write("", "[DONE]".to_owned(), styles.next().unwrap());
    }
    Spoken {
        protocol,
        stream,
        texts,
        secrets,
        ends,
    }
}

/// Writes JSON with escapes where none are needed, and over several lines.
fn json(value: &Value, style: &Style) -> String {
    let text = if style.pretty {
        serde_json::to_string_pretty(value).unwrap()
    } else {
        value.to_string()
    };
    let mut out = String::new();
    let (mut inside, mut escaped) = (false, false);
    for (at, c) in text.chars().enumerate() {
        let plain = inside && !escaped && c.is_ascii_alphanumeric();
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
        if plain && style.escapes == 1 && at % 5 == 0 {
            out.push_str(&format!("\\u{:04X}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn name(protocol: Protocol, number: usize) -> String {
    match (protocol, number) {
        (Protocol::Chat, 0) => "0/content".to_owned(),
        (Protocol::Chat, 1) => "1/content".to_owned(),
        (Protocol::Chat, 2) => "0/reasoning_content".to_owned(),
        (Protocol::Chat, n) => format!("0/tool/{n}"),
        (_, n) => n.to_string(),
    }
}

fn delta(protocol: Protocol, number: usize, piece: &str, count: usize) -> Value {
    match (protocol, number) {
        (Protocol::Chat, 0) => {
            json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices":
            [{"delta": {"role": "assistant", "content": piece}, "finish_reason": null, "index": 0}], "usage": null})
        }
        (Protocol::Chat, 1) => {
            json!({"choices": [{"index": 1, "delta": {"content": piece}}, {"index": 2, "delta": {"content": "x"}}]})
        }
        (Protocol::Chat, 2) => {
            json!({"choices": [{"index": 0, "delta": {"reasoning_content": piece}}]})
        }
        (Protocol::Chat, n) => json!({"choices": [{"index": 0, "delta": {"tool_calls":
            [{"function": {"arguments": piece}, "index": n, "id": format!("call_{n}"), "type": "function"}]}}]}),
        (Protocol::Responses, n) => {
            let kind = if n % 2 == 0 {
                "output_text"
            } else {
                "function_call_arguments"
            };
            json!({"type": format!("response.{kind}.delta"), "sequence_number": count, "item_id": format!("msg_{count}"),
                "output_index": n / 2, "content_index": 0, "delta": piece, "logprobs": []})
        }
        (Protocol::Messages, n) => {
            let delta = match n % 3 {
                0 => json!({"type": "text_delta", "text": piece}),
                1 => json!({"type": "thinking_delta", "thinking": piece}),
                _ => json!({"type": "input_json_delta", "partial_json": piece}),
            };
            json!({"type": "content_block_delta", "index": n, "delta": delta})
        }
        (_, n) => {
            json!({"candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}, "index": n}], "modelVersion": "x"})
        }
    }
}

fn end(protocol: Protocol, number: usize, count: usize) -> Option<Value> {
    Some(match protocol {
        Protocol::Responses => {
            let kind = if number.is_multiple_of(2) {
                "output_text"
            } else {
                "function_call_arguments"
            };
            json!({"type": format!("response.{kind}.done"), "sequence_number": count, "output_index": number / 2, "content_index": 0})
        }
        Protocol::Messages => json!({"type": "content_block_stop", "index": number}),
        Protocol::Gemini => json!({"candidates": [{"finishReason": "STOP", "index": number}]}),
        _ => return None,
    })
}

/// The texts that a client puts together from the events of a stream.
pub(super) fn texts(protocol: Protocol, events: &[super::Event]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::<String, String>::new();
    for event in events {
        let Some(data) = &event.data else { continue };
        if protocol == Protocol::Plain {
            texts.entry(event.name.clone()).or_default().push_str(data);
            continue;
        }
        if data == "[DONE]" {
            continue;
        }
        let json: Value = serde_json::from_str(data).unwrap();
        let mut add = |name: String, piece: &Value| {
            if let Some(piece) = piece.as_str() {
                texts.entry(name).or_default().push_str(piece);
            }
        };
        match protocol {
            Protocol::Chat => {
                for choice in json["choices"].as_array().unwrap() {
                    let (index, delta) = (&choice["index"], &choice["delta"]);
                    for kind in ["content", "reasoning_content"] {
                        add(format!("{index}/{kind}"), &delta[kind]);
                    }
                    for call in delta["tool_calls"].as_array().into_iter().flatten() {
                        add(
                            format!("{index}/tool/{}", call["index"]),
                            &call["function"]["arguments"],
                        );
                    }
                }
            }
            Protocol::Responses => {
                let odd = json["type"].as_str().unwrap().contains("arguments");
                let index = json["output_index"].as_u64().unwrap() * 2 + u64::from(odd);
                add(index.to_string(), &json["delta"]);
            }
            Protocol::Messages => {
                for kind in ["text", "thinking", "partial_json"] {
                    add(json["index"].to_string(), &json["delta"][kind]);
                }
            }
            _ => {
                let candidate = &json["candidates"][0];
                add(
                    candidate["index"].to_string(),
                    &candidate["content"]["parts"][0]["text"],
                );
            }
        }
    }
    texts
}
