//! Answers as model providers stream them, event by event: `OpenAI`'s chat completions and
//! responses, Anthropic's messages. Written after their API references, and read by their own
//! clients.
//!
//! Deltas of all channels take turns, so whatever stands in one channel is cut apart by the others.

use serde_json::{Value, json};

/// What a model says, channel by channel.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Of each choice (chat completions) or of each text block or message (the others).
    pub texts: Vec<String>,
    /// What it thinks.
    pub thinking: String,
    /// What it says instead of an answer; where the API has that.
    pub refusal: String,
    /// The arguments of each tool call, as JSON.
    pub arguments: Vec<String>,
}

/// The API of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/messages`
    Messages,
}

impl Api {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Responses, Self::Messages];

    /// What the clients in `tests/model-clients/` call a streamed call of it.
    #[must_use]
    pub fn streamed(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat.stream",
            Self::Responses => "openai.responses.stream",
            Self::Messages => "anthropic.messages.stream",
        }
    }

    /// … and one that is answered in one piece.
    #[must_use]
    pub fn whole(self) -> &'static str {
        match self {
            Self::Chat => "openai.chat",
            Self::Responses => "openai.responses",
            Self::Messages => "anthropic.messages",
        }
    }

    /// A request with this prompt, as the library's caller writes it.
    #[must_use]
    pub fn request(self, prompt: &str) -> Value {
        let user = json!([{"role": "user", "content": prompt}]);
        match self {
            Self::Chat => json!({"model": "example-1", "messages": user,
                "stream_options": {"include_usage": true}}),
            Self::Responses => json!({"model": "example-1", "input": user}),
            Self::Messages => json!({"model": "example-1", "max_tokens": 1000, "messages": user}),
        }
    }

    /// The events of a streamed answer that says `said`, in deltas of so many characters.
    #[must_use]
    pub fn stream(self, said: &Said, delta: usize) -> Vec<Event> {
        match self {
            Self::Chat => chat(said, delta),
            Self::Responses => responses(said, delta),
            Self::Messages => messages(said, delta),
        }
    }

    /// The same answer in one piece.
    #[must_use]
    pub fn answer(self, said: &Said) -> Value {
        match self {
            Self::Chat => chat_answer(said),
            Self::Responses => response(&response_items(said), "completed"),
            Self::Messages => messages_answer(said),
        }
    }
}

/// A server-sent event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its type, if it has one.
    pub name: Option<&'static str>,
    /// JSON, or `[DONE]`.
    pub data: Data,
}

/// The data of an event.
#[derive(Debug, Clone)]
pub enum Data {
    /// A document.
    Json(Value),
    /// `[DONE]`, with which `OpenAI` ends a stream of chat completions.
    Done,
}

/// How events are written: what the HTML standard's event streams leave to the server (§9.2).
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// `\n`, `\r\n` or `\r`.
    pub line_end: &'static str,
    /// With comments, ids and `retry` between.
    pub decorated: bool,
    /// JSON over many `data:` lines.
    pub pretty: bool,
    /// Everything outside of ASCII, and `/`, as escapes.
    pub escaped: bool,
}

impl Wire {
    /// As providers write it.
    pub const PLAIN: Self = Self {
        line_end: "\n",
        decorated: false,
        pretty: false,
        escaped: false,
    };

    /// Everything that readers must understand and that is rarely seen.
    pub const STRANGE: [Self; 4] = [
        Self {
            line_end: "\r\n",
            decorated: true,
            ..Self::PLAIN
        },
        Self {
            line_end: "\r",
            ..Self::PLAIN
        },
        Self {
            pretty: true,
            ..Self::PLAIN
        },
        Self {
            line_end: "\r\n",
            escaped: true,
            pretty: true,
            decorated: true,
        },
    ];

    /// The bytes of these events.
    #[must_use]
    pub fn write(self, events: &[Event]) -> Vec<u8> {
        let mut lines = Vec::new();
        for (number, event) in events.iter().enumerate() {
            if self.decorated {
                lines.push(": keep-alive".to_owned());
                lines.push(format!("id: {number}"));
                if number % 5 == 0 {
                    lines.push("retry: 3000".to_owned());
                }
            }
            lines.extend(event.name.map(|name| format!("event: {name}")));
            for line in self.data(&event.data).split('\n') {
                lines.push(format!("data: {line}"));
            }
            lines.push(String::new());
        }
        lines
            .iter()
            .flat_map(|line| [line.as_str(), self.line_end])
            .collect::<String>()
            .into_bytes()
    }

    fn data(self, data: &Data) -> String {
        let Data::Json(value) = data else {
            return "[DONE]".to_owned();
        };
        let text = if self.pretty {
            serde_json::to_string_pretty(value).expect("a value is JSON")
        } else {
            value.to_string()
        };
        if self.escaped { escaped(&text) } else { text }
    }
}

/// JSON with everything outside of ASCII, and `/`, written as escapes, in upper and lower case.
fn escaped(json: &str) -> String {
    let mut out = String::new();
    for character in json.chars() {
        match character {
            '/' => out.push_str("\\/"),
            c if c.is_ascii() => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let digits = if *unit % 2 == 0 {
                        format!("\\u{unit:04x}")
                    } else {
                        format!("\\u{unit:04X}")
                    };
                    out.push_str(&digits);
                }
            }
        }
    }
    out
}

fn event(name: &'static str, mut data: Value) -> Event {
    data["type"] = json!(name);
    Event {
        name: Some(name),
        data: Data::Json(data),
    }
}

/// `text` in pieces of so many characters.
fn pieces(text: &str, size: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(size)
        .map(|piece| piece.iter().collect())
        .collect()
}

/// The pieces of several channels in turn: first piece of each, second piece of each, …
fn in_turn<C: Clone>(channels: &[(C, &str)], size: usize) -> Vec<(C, String)> {
    let channels: Vec<_> = channels
        .iter()
        .map(|(channel, text)| (channel, pieces(text, size)))
        .collect();
    let rounds = channels.iter().map(|(_, pieces)| pieces.len()).max();
    (0..rounds.unwrap_or(0))
        .flat_map(|round| {
            channels.iter().filter_map(move |(channel, pieces)| {
                Some(((*channel).clone(), pieces.get(round)?.clone()))
            })
        })
        .collect()
}

fn tool_id(index: usize) -> String {
    format!("call_example{index}")
}

fn chat_chunk(choices: &Value, usage: &Value) -> Event {
    Event {
        name: None,
        data: Data::Json(
            json!({"id": "chatcmpl-EXAMPLE", "object": "chat.completion.chunk",
            "created": 1_700_000_000, "model": "example-1", "system_fingerprint": "fp_EXAMPLE",
            "service_tier": "default", "choices": choices, "usage": usage}),
        ),
    }
}

/// Choice 0 has every channel, the others have a text each.
fn chat(said: &Said, delta: usize) -> Vec<Event> {
    let one = |choice: usize, delta: &Value| {
        let choice =
            json!({"index": choice, "delta": delta, "logprobs": null, "finish_reason": null});
        chat_chunk(&json!([choice]), &Value::Null)
    };
    let mut events = Vec::new();
    for (choice, _) in said.texts.iter().enumerate() {
        events.push(one(
            choice,
            &json!({"role": "assistant", "content": "", "refusal": null}),
        ));
    }
    for (index, _) in said.arguments.iter().enumerate() {
        let function = json!({"name": "shell", "arguments": ""});
        let call =
            json!({"index": index, "id": tool_id(index), "type": "function", "function": function});
        events.push(one(0, &json!({"tool_calls": [call]})));
    }
    let channels: Vec<(Channel, &str)> = channels_of(said);
    for (channel, piece) in in_turn(&channels, delta) {
        events.push(match channel {
            Channel::Text(choice) => one(choice, &json!({"content": piece})),
            Channel::Thinking => one(0, &json!({"reasoning_content": piece})),
            Channel::Refusal => one(0, &json!({"refusal": piece})),
            Channel::Arguments(index) => {
                let call = json!({"index": index, "function": {"arguments": piece}});
                one(0, &json!({"tool_calls": [call]}))
            }
        });
    }
    for (choice, _) in said.texts.iter().enumerate() {
        let why = if choice == 0 && !said.arguments.is_empty() {
            "tool_calls"
        } else {
            "stop"
        };
        let end = json!({"index": choice, "delta": {}, "logprobs": null, "finish_reason": why});
        events.push(chat_chunk(&json!([end]), &Value::Null));
    }
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33});
    events.push(chat_chunk(&json!([]), &usage));
    events.push(Event {
        name: None,
        data: Data::Done,
    });
    events
}

fn chat_answer(said: &Said) -> Value {
    let calls: Vec<Value> = said
        .arguments
        .iter()
        .enumerate()
        .map(|(index, arguments)| {
            json!({"id": tool_id(index), "type": "function",
                "function": {"name": "shell", "arguments": arguments}})
        })
        .collect();
    let choices: Vec<Value> = said
        .texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let mut message = json!({"role": "assistant", "content": text, "refusal": null});
            if index == 0 {
                message["tool_calls"] = json!(calls);
                message["reasoning_content"] = json!(said.thinking);
                message["refusal"] = json!(said.refusal);
            }
            json!({"index": index, "message": message, "finish_reason": "stop", "logprobs": null})
        })
        .collect();
    json!({"id": "chatcmpl-EXAMPLE", "object": "chat.completion", "created": 1_700_000_000,
        "model": "example-1", "choices": choices,
        "usage": {"prompt_tokens": 11, "completion_tokens": 22, "total_tokens": 33}})
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Thinking,
    Text(usize),
    Refusal,
    Arguments(usize),
}

/// Those that have something in them.
fn channels_of(said: &Said) -> Vec<(Channel, &str)> {
    let texts = said.texts.iter().enumerate();
    let arguments = said.arguments.iter().enumerate();
    [(Channel::Thinking, said.thinking.as_str())]
        .into_iter()
        .chain(texts.map(|(index, text)| (Channel::Text(index), text.as_str())))
        .chain([(Channel::Refusal, said.refusal.as_str())])
        .chain(arguments.map(|(index, text)| (Channel::Arguments(index), text.as_str())))
        .filter(|(_, text)| !text.is_empty())
        .collect()
}

/// The output of a response: reasoning with a summary, a message with all texts and the refusal,
/// calls.
fn response_items(said: &Said) -> Vec<Value> {
    let mut parts: Vec<Value> = said
        .texts
        .iter()
        .map(|text| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}))
        .collect();
    if !said.refusal.is_empty() {
        parts.push(json!({"type": "refusal", "refusal": said.refusal}));
    }
    let summary = json!([{"type": "summary_text", "text": said.thinking}]);
    let mut items = vec![
        json!({"id": "rs_EXAMPLE", "type": "reasoning", "summary": summary}),
        json!({"id": "msg_EXAMPLE", "type": "message", "role": "assistant",
            "status": "completed", "content": parts}),
    ];
    items.extend(said.arguments.iter().enumerate().map(|(index, arguments)| {
        json!({"id": format!("fc_example{index}"), "type": "function_call", "status": "completed",
            "call_id": tool_id(index), "name": "shell", "arguments": arguments})
    }));
    items
}

fn response(output: &[Value], status: &str) -> Value {
    let usage = json!({"input_tokens": 11, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 22, "output_tokens_details": {"reasoning_tokens": 5}, "total_tokens": 33});
    json!({"id": "resp_EXAMPLE", "object": "response", "created_at": 1_700_000_000, "status": status,
        "error": null, "incomplete_details": null, "instructions": null, "metadata": {},
        "model": "example-1", "output": output, "parallel_tool_calls": true, "temperature": 1.0,
        "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage})
}

/// Where a delta of a response belongs, and what ends its part.
struct Part {
    kind: &'static str,
    place: Value,
    text: String,
}

fn responses(said: &Said, delta: usize) -> Vec<Event> {
    let items = response_items(said);
    let mut events = vec![
        event(
            "response.created",
            json!({"response": response(&[], "in_progress")}),
        ),
        event(
            "response.in_progress",
            json!({"response": response(&[], "in_progress")}),
        ),
    ];
    // All items begin, then their deltas take turns, then all end: nothing in the API forbids it.
    let mut parts = Vec::new();
    for (output, item) in items.iter().enumerate() {
        let mut empty = item.clone();
        for list in ["content", "summary"] {
            if empty[list].is_array() {
                empty[list] = json!([]);
            }
        }
        if empty["arguments"].is_string() {
            empty["arguments"] = json!("");
        }
        empty["status"] = json!("in_progress");
        events.push(event(
            "response.output_item.added",
            json!({"output_index": output, "item": empty}),
        ));
        let place = json!({"item_id": item["id"], "output_index": output});
        parts.extend(begin_parts(item, &place, &mut events));
    }
    let channels: Vec<(usize, &str)> = parts
        .iter()
        .map(|part| part.text.as_str())
        .enumerate()
        .collect();
    for (index, piece) in in_turn(&channels, delta) {
        let part = &parts[index];
        let mut data = part.place.clone();
        data["delta"] = json!(piece);
        events.push(event(names(part.kind).0, data));
    }
    for part in &parts {
        let mut data = part.place.clone();
        data[names(part.kind).2] = json!(part.text);
        events.push(event(names(part.kind).1, data));
    }
    for (output, item) in items.iter().enumerate() {
        for (name, list, index) in [
            ("response.content_part.done", "content", "content_index"),
            (
                "response.reasoning_summary_part.done",
                "summary",
                "summary_index",
            ),
        ] {
            for (number, part) in item[list].as_array().into_iter().flatten().enumerate() {
                let mut data = json!({"item_id": item["id"], "output_index": output, "part": part});
                data[index] = json!(number);
                events.push(event(name, data));
            }
        }
        events.push(event(
            "response.output_item.done",
            json!({"output_index": output, "item": item}),
        ));
    }
    events.push(event(
        "response.completed",
        json!({"response": response(&items, "completed")}),
    ));
    for (number, event) in events.iter_mut().enumerate() {
        if let Data::Json(data) = &mut event.data {
            data["sequence_number"] = json!(number);
        }
    }
    events
}

/// The parts of an item that come in deltas; their beginnings are added to `events`.
fn begin_parts(item: &Value, place: &Value, events: &mut Vec<Event>) -> Vec<Part> {
    let mut parts = Vec::new();
    for (number, part) in item["summary"].as_array().into_iter().flatten().enumerate() {
        let mut place = place.clone();
        place["summary_index"] = json!(number);
        let mut data = place.clone();
        data["part"] = json!({"type": "summary_text", "text": ""});
        events.push(event("response.reasoning_summary_part.added", data));
        parts.push(Part {
            kind: "summary_text",
            place,
            text: string(&part["text"]),
        });
    }
    for (number, part) in item["content"].as_array().into_iter().flatten().enumerate() {
        let mut place = place.clone();
        place["content_index"] = json!(number);
        let (kind, text) = if part["type"] == "refusal" {
            ("refusal", string(&part["refusal"]))
        } else {
            ("output_text", string(&part["text"]))
        };
        let mut data = place.clone();
        data["part"] = match kind {
            "refusal" => json!({"type": "refusal", "refusal": ""}),
            _ => json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []}),
        };
        events.push(event("response.content_part.added", data));
        if kind == "output_text" {
            place["logprobs"] = json!([]);
        }
        parts.push(Part { kind, place, text });
    }
    if let Some(arguments) = item["arguments"].as_str() {
        parts.push(Part {
            kind: "function_call",
            place: place.clone(),
            text: arguments.to_owned(),
        });
    }
    parts
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The events of a kind of part (a delta, its end) and the member that has the whole at the end.
fn names(kind: &str) -> (&'static str, &'static str, &'static str) {
    match kind {
        "summary_text" => (
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "text",
        ),
        "refusal" => ("response.refusal.delta", "response.refusal.done", "refusal"),
        "function_call" => (
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "arguments",
        ),
        _ => (
            "response.output_text.delta",
            "response.output_text.done",
            "text",
        ),
    }
}

/// The blocks of a message, with the deltas that fill them.
fn message_blocks(said: &Said) -> Vec<(Value, &'static str, &'static str, &str)> {
    let mut blocks = Vec::new();
    if !said.thinking.is_empty() {
        let block = json!({"type": "thinking", "thinking": "", "signature": ""});
        blocks.push((block, "thinking_delta", "thinking", said.thinking.as_str()));
    }
    for text in &said.texts {
        let block = json!({"type": "text", "text": ""});
        blocks.push((block, "text_delta", "text", text.as_str()));
    }
    for (index, arguments) in said.arguments.iter().enumerate() {
        let block = json!({"type": "tool_use", "id": format!("toolu_example{index}"),
            "name": "shell", "input": {}});
        blocks.push((
            block,
            "input_json_delta",
            "partial_json",
            arguments.as_str(),
        ));
    }
    blocks
}

/// All blocks begin, then their deltas take turns, then all end.
fn messages(said: &Said, delta: usize) -> Vec<Event> {
    let message = json!({"id": "msg_EXAMPLE", "type": "message", "role": "assistant",
        "model": "example-1", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 11, "output_tokens": 1}});
    let mut events = vec![event("message_start", json!({"message": message}))];
    let blocks = message_blocks(said);
    for (index, (block, ..)) in blocks.iter().enumerate() {
        let start = json!({"index": index, "content_block": block});
        events.push(event("content_block_start", start));
    }
    events.push(event("ping", json!({})));
    let channels: Vec<(usize, &str)> = blocks
        .iter()
        .enumerate()
        .map(|(index, (_, _, _, text))| (index, *text))
        .collect();
    for (index, piece) in in_turn(&channels, delta) {
        let (_, kind, member, _) = blocks[index];
        let mut data = json!({"index": index, "delta": {"type": kind}});
        data["delta"][member] = json!(piece);
        events.push(event("content_block_delta", data));
    }
    for (index, (block, ..)) in blocks.iter().enumerate() {
        if block["type"] == "thinking" {
            let delta = json!({"type": "signature_delta", "signature": "RVhBTVBMRQ=="});
            events.push(event(
                "content_block_delta",
                json!({"index": index, "delta": delta}),
            ));
        }
        events.push(event("content_block_stop", json!({"index": index})));
    }
    let why = if said.arguments.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    };
    events.push(event(
        "message_delta",
        json!({"delta": {"stop_reason": why, "stop_sequence": null},
            "usage": {"input_tokens": 11, "output_tokens": 22}}),
    ));
    events.push(event("message_stop", json!({})));
    events
}

fn messages_answer(said: &Said) -> Value {
    let content: Vec<Value> = message_blocks(said)
        .into_iter()
        .map(|(mut block, _, member, text)| {
            if member == "partial_json" {
                block["input"] = serde_json::from_str(text).expect("arguments are JSON");
            } else {
                block[member] = json!(text);
            }
            block
        })
        .collect();
    json!({"id": "msg_EXAMPLE", "type": "message", "role": "assistant", "model": "example-1",
        "content": content, "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 11, "output_tokens": 22}})
}
