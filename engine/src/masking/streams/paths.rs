//! The agent protocols that are known: what one edits to add one.
//!
//! A protocol is a few lines in [`PATHS`], or in [`TYPES`] where the type of an event says that its
//! `delta` is a piece; in [`LAST`] if one of its events ends all texts; and a
//! [`Protocol`](super::protocols::Protocol) if its clients know an event that means an error, which
//! [`ending`](super::ending) writes.

use std::sync::OnceLock;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The next piece of a text; readers put the pieces together as they are.
    Piece,
    /// The same, and the text is JSON (arguments of a tool).
    Json,
    /// Perhaps the next piece of a text, perhaps a text of its own.
    Perhaps,
    /// A text of its own.
    Own,
    /// If it is one of [`REASONS`], the texts end that belong to the same element.
    End,
}

/// Paths from the root of an event's JSON. The elements of `[]` each have texts of their own, told
/// apart by their member `index`, or else by their place; those of `[+]` go on with one text. What
/// stands elsewhere in an object called `delta` is [`Part::Perhaps`].
const PATHS: &[(&str, Part)] = &[
    // OpenAI chat completions, and all that imitate them (`reasoning`, `reasoning_content`,
    // Mistral's `thinking`).
    ("choices[].delta.content", Part::Piece),
    ("choices[].delta.content[].text", Part::Piece),
    ("choices[].delta.content[].thinking[].text", Part::Piece),
    ("choices[].delta.reasoning", Part::Piece),
    ("choices[].delta.reasoning_content", Part::Piece),
    ("choices[].delta.refusal", Part::Piece),
    ("choices[].delta.audio.transcript", Part::Piece),
    (
        "choices[].delta.tool_calls[].function.arguments",
        Part::Json,
    ),
    ("choices[].delta.tool_calls[].function.name", Part::Perhaps),
    ("choices[].delta.tool_calls[].custom.input", Part::Piece),
    ("choices[].delta.function_call.arguments", Part::Json),
    ("choices[].text", Part::Piece),
    ("choices[].finish_reason", Part::End),
    // Anthropic messages. A block may begin with text.
    ("content_block.text", Part::Piece),
    ("content_block.thinking", Part::Piece),
    ("delta.text", Part::Piece),
    ("delta.thinking", Part::Piece),
    ("delta.partial_json", Part::Json),
    ("delta.citation", Part::Own),
    // Anthropic's earlier completions.
    ("completion", Part::Perhaps),
    // Google Gemini.
    ("candidates[].content.parts[+].text", Part::Piece),
    ("candidates[].finishReason", Part::End),
    // Cohere.
    ("delta.message.content.text", Part::Piece),
    ("delta.message.tool_calls.function.arguments", Part::Json),
    // Ollama, llama.cpp, Text Generation Inference, and others.
    ("message.content", Part::Perhaps),
    ("response", Part::Perhaps),
    ("content", Part::Perhaps),
    ("token.text", Part::Perhaps),
    ("text", Part::Perhaps),
    ("answer", Part::Perhaps),
];

/// Members of a `delta` that are said whole each time.
pub(super) const NAMES: &[&[u8]] = &[
    b"role",
    b"id",
    b"type",
    b"name",
    b"object",
    b"status",
    b"model",
    b"call_id",
    b"format",
    b"stop_reason",
    b"stop_sequence",
];

/// Types of events whose `delta` is the next piece of a text, by the end of their names, and what
/// stands there when the text ends: OpenAI's responses and its audio, Vercel's streams, AG-UI.
pub(super) const TYPES: &[(&[u8], &[u8])] = &[
    (b".delta", b".done"),
    (b"-delta", b"-end"),
    (b"_CONTENT", b"_END"),
    (b"_ARGS", b"_END"),
];

/// Names under which texts stand that go on over events, wherever an event has them: an upstream
/// may wrap what a protocol says, or speak one that is not known here. Such a text may as well be
/// whole each time.
///
/// What strings of these names say must decide nothing about the event: a
/// [template](super::template) goes by that.
pub(super) const TEXTS: &[&[u8]] = &[
    b"text",
    b"content",
    b"delta",
    b"thinking",
    b"reasoning",
    b"reasoning_content",
    b"refusal",
    b"transcript",
    b"arguments",
    b"partial_json",
    b"input",
    b"output",
    b"answer",
    b"response",
    b"completion",
    b"generated_text",
    b"code",
    b"chunk",
    b"token",
    b"stringValue",
    b"value",
    b"v",
];

/// Names of strings and numbers that differ from event to event and say nothing about texts:
/// numbers, times, and what hides how long a text is. An event that differs from the last one in
/// nothing else but its texts is read fast (see [`template`](super::template)).
pub(super) const VARYING: &[&[u8]] = &[
    b"sequence_number",
    b"obfuscation",
    b"created",
    b"created_at",
    b"timestamp",
    // Anthropic's at Amazon Bedrock.
    b"p",
];

/// Why a model stops. Whatever else stands there may stand in every event, and ends nothing.
pub(super) const REASONS: &[&[u8]] = &[
    b"stop",
    b"length",
    b"tool_calls",
    b"function_call",
    b"content_filter",
    b"end_turn",
    b"max_tokens",
    b"stop_sequence",
    b"tool_use",
    b"STOP",
    b"MAX_TOKENS",
    b"SAFETY",
    b"RECITATION",
    b"MALFORMED_FUNCTION_CALL",
    b"eos_token",
    b"error",
];

/// Types of events after which no text goes on.
pub(super) const LAST: &[&[u8]] = &[
    b"message_stop",
    b"message-end",
    b"response.completed",
    b"response.incomplete",
    b"response.failed",
    b"error",
    b"finish",
    b"RUN_FINISHED",
    b"RUN_ERROR",
];

/// [`PATHS`] as a tree.
#[derive(Debug, Default)]
pub(super) struct Node {
    children: Vec<(&'static [u8], Node)>,
    pub(super) each: Option<Box<Each>>,
    pub(super) part: Option<Part>,
    pub(super) in_delta: bool,
}

#[derive(Debug, Default)]
pub(super) struct Each {
    pub(super) node: Node,
    pub(super) joined: bool,
}

impl Node {
    pub(super) fn child(&self, name: &[u8]) -> Option<&Self> {
        self.children
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, node)| node)
    }

    fn add(&mut self, path: &'static str, part: Part) {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let (key, mut arrays) = match first.find('[') {
            Some(at) => first.split_at_checked(at).unwrap_or((first, "")),
            None => (first, ""),
        };
        let in_delta = self.in_delta || key == "delta";
        let at = match self.children.iter().position(|(k, _)| *k == key.as_bytes()) {
            Some(at) => at,
            None => {
                self.children.push((key.as_bytes(), Self::default()));
                self.children.len().saturating_sub(1)
            }
        };
        let Some((_, mut node)) = self.children.get_mut(at).map(|(k, n)| (k, n)) else {
            return;
        };
        node.in_delta = in_delta;
        while let Some((array, more)) = arrays.split_once(']') {
            let each = node.each.get_or_insert_default();
            each.joined = array == "[+";
            each.node.in_delta = in_delta;
            node = &mut each.node;
            arrays = more;
        }
        if rest.is_empty() {
            node.part = Some(part);
        } else {
            node.add(rest, part);
        }
    }
}

/// Where nothing is known.
pub(super) fn loose() -> &'static Node {
    static LOOSE: OnceLock<Node> = OnceLock::new();
    LOOSE.get_or_init(Node::default)
}

pub(super) fn tree() -> &'static Node {
    static TREE: OnceLock<Node> = OnceLock::new();
    TREE.get_or_init(|| {
        let mut root = Node::default();
        for (path, part) in PATHS {
            root.add(path, *part);
        }
        root
    })
}
