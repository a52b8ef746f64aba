//! What `scripts/bench masking` measures, natively and inside of Envoy's V8: one cell is one
//! format, one set of rules, one kind of text and one size of chunks.

use aho_corasick::AhoCorasick;
use chaperone_engine::base::members::{Members, Wanted};
use chaperone_engine::masking::{
    Content, CustomDetector, DetectorSet, FingerprintKey, Masker, Plan, compile_custom,
};
use serde::Deserialize;
use std::{hint::black_box, sync::Arc, time::Duration, time::Instant};

/// What is measured: JSON on standard input, or the plugin's configuration.
#[derive(Deserialize)]
pub struct Order {
    /// How often each cell is measured; cells are interleaved.
    rounds: u32,
    /// How long one measurement takes at least.
    milliseconds: u64,
    /// A rule set of somebody's own, of which the first n are used.
    rules: Vec<CustomDetector>,
    /// How many of them, one set for each number.
    counts: Vec<usize>,
    /// The content types by a short name.
    formats: Vec<(String, String)>,
    /// Bytes in a chunk.
    chunks: Vec<usize>,
    /// Whether the two other ways are measured too.
    rivals: bool,
}

const PROSE: &[&str] = &[
    include_str!("../../../docs/architecture.md"),
    include_str!("../../../docs/control-plane.md"),
    include_str!("../../../docs/failures.md"),
    include_str!("../../../docs/filter.md"),
    include_str!("../../../docs/identity.md"),
    include_str!("../../../docs/operations.md"),
];
const CODE: &[&str] = &[
    include_str!("../../src/gate/mod.rs"),
    include_str!("../../src/policy/read/typed.rs"),
    include_str!("../../src/policy/check/rules.rs"),
    include_str!("../../src/policy/decide/glob.rs"),
    include_str!("../../src/policy/document/rule.rs"),
    include_str!("../../src/request/target.rs"),
    include_str!("../../src/audit/event.rs"),
];
/// More of it, with more quotes: an escape about every 20 bytes with what stands above.
const TESTS: &[&str] = &[
    include_str!("../../src/gate/admission/tests.rs"),
    include_str!("../../src/policy/tests/errors.rs"),
    include_str!("../../src/request/tests/targets.rs"),
];
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// Put together here so that no complete token stands in the source.
fn secret(number: usize) -> String {
    format!("gh{}{number:06}", "p_EXAMPLEexampleEXAMPLEexampleEXAM")
}

/// About 256 KiB of one format; `dense` has a secret in about every 450 bytes.
fn body(format: &str, dense: bool) -> Vec<u8> {
    let mut text = String::new();
    let mut number = 0;
    for (prose, code) in PROSE.iter().cycle().zip(CODE.iter().cycle()) {
        for line in prose.lines().chain(code.lines()) {
            text.push_str(line);
            if dense && text.len() / 450 > number {
                number += 1;
                text.push_str(" token ");
                text.push_str(&secret(number));
            }
            text.push('\n');
        }
        if text.len() > 256 << 10 {
            break;
        }
    }
    match format {
        "code" => files(dense).concat().into_bytes(),
        // As tools read and write files: source in strings, an escape about every 20 bytes.
        "json-code" => {
            let files: Vec<_> = files(dense)
                .into_iter()
                .map(|content| serde_json::json!({ "path": "src/main.rs", "content": content }))
                .collect();
            serde_json::to_vec(&serde_json::json!({ "files": files })).unwrap_or_default()
        }
        // As arguments of tools come: a document in a string.
        "json-json" => {
            let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
            let found = if dense { secret(0) } else { String::new() };
            let text = serde_json::json!({ "found": found, "items": document }).to_string();
            let call = serde_json::json!({ "name": "write", "arguments": text });
            serde_json::to_vec(&serde_json::json!([call, call])).unwrap_or_default()
        }
        "json-base64" => images(dense),
        "json" => {
            let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
            // As APIs answer: many short strings, some long ones, no spaces between.
            let paragraphs: Vec<&str> = text.split("\n\n").take(200).collect();
            let one = serde_json::json!({ "items": document, "paragraphs": paragraphs });
            serde_json::to_vec(&one).unwrap_or_default()
        }
        "sse" | "sse-responses" | "sse-messages" => {
            // As models send it: a word or a part of one in each event.
            let tokens = text.split_inclusive(' ').take(2000).enumerate();
            let mut stream: String = tokens
                .map(|(index, token)| event(format, index, token))
                .collect();
            stream.push_str("data: [DONE]\n\n");
            stream.into_bytes()
        }
        _ => text.into_bytes(),
    }
}

/// Source as text, about 256 KiB in some files.
fn files(dense: bool) -> Vec<String> {
    let (mut files, mut length, mut number) = (Vec::new(), 0, 0);
    for code in CODE.iter().chain(TESTS).cycle() {
        let mut file = String::new();
        for line in code.lines() {
            file.push_str(line);
            if dense && (length + file.len()) / 450 > number {
                number += 1;
                file.push_str(" // ");
                file.push_str(&secret(number));
            }
            file.push('\n');
        }
        length += file.len();
        files.push(file);
        if length > 256 << 10 {
            return files;
        }
    }
    files
}

/// An answer with images: strings of base64, each of some kilobytes.
fn images(dense: bool) -> Vec<u8> {
    // Bytes that do not repeat (xorshift64).
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let images: Vec<_> = (0..16)
        .map(|number| {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let image: String = (0..16 << 10)
                .map(|_| char::from(alphabet[random() as usize % alphabet.len()]))
                .collect();
            let prompt: Vec<String> = (0..36 * usize::from(dense))
                .map(|part| secret(36 * number + part))
                .collect();
            serde_json::json!({ "b64_json": image, "revised_prompt": prompt.join(" ") })
        })
        .collect();
    let answer = serde_json::json!({ "created": 1_700_000_000, "data": images });
    serde_json::to_vec(&answer).unwrap_or_default()
}

/// One event as OpenAI sends it for chat completions or for responses, or Anthropic.
fn event(format: &str, index: usize, token: &str) -> String {
    // It hides from who sees only lengths how long the token is.
    let padding = "abcdefghijklmnop".get(token.len() % 16..);
    match format {
        "sse-responses" => {
            let data = serde_json::json!({
                "type": "response.output_text.delta", "sequence_number": index, "item_id": "msg_EXAMPLE0123456789",
                "output_index": 0, "content_index": 0, "delta": token, "logprobs": [], "obfuscation": padding,
            });
            format!("event: response.output_text.delta\ndata: {data}\n\n")
        }
        "sse-messages" => {
            let delta = serde_json::json!({ "type": "text_delta", "text": token });
            let data =
                serde_json::json!({ "type": "content_block_delta", "index": 0, "delta": delta });
            format!("event: content_block_delta\ndata: {data}\n\n")
        }
        _ => {
            let data = serde_json::json!({
                "id": "chatcmpl-EXAMPLE", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m",
                "choices": [{ "index": 0, "delta": { "content": token }, "finish_reason": null }],
            });
            format!("data: {data}\n\n")
        }
    }
}

type Work = Box<dyn Fn() -> u64>;

struct Cell {
    what: serde_json::Value,
    bytes: usize,
    /// One pass over the body; gives how many secrets it found.
    work: Work,
    rates: Vec<f64>,
    found: u64,
}

fn key() -> FingerprintKey {
    FingerprintKey::from_bytes([7; 32])
}

/// Measures everything; `say` gets one JSON object for each result.
pub fn run(order: &str, mut say: impl FnMut(&serde_json::Value)) -> Result<(), String> {
    let order: Order = serde_json::from_str(order).map_err(|e| e.to_string())?;
    let mut cells = Vec::new();
    let mut sets = Vec::new();
    let mut measure = |name: String, make: &dyn Fn() -> Result<DetectorSet, String>| {
        let before = memory_in_use();
        let begin = Instant::now();
        let set = Arc::new(make()?);
        say(&serde_json::json!({
            "kind": "rules", "set": name, "detectors": set.detectors().count(), "bytes": set.memory(),
            "grown": before.zip(memory_in_use()).map(|(a, b)| b - a),
            "compile_ms": begin.elapsed().as_secs_f64() * 1e3,
        }));
        sets.push((name, set));
        Ok::<_, String>(())
    };
    measure("default".to_owned(), &|| {
        DetectorSet::compile(&["secrets/*"]).map_err(|e| e.to_string())
    })?;
    for &count in &order.counts {
        let some = order.rules.get(..count).unwrap_or(&order.rules);
        measure(format!("{} rules", some.len()), &|| {
            let detectors = compile_custom(some, &[]).map_err(|e| e.to_string())?;
            DetectorSet::compile_with(&["custom/*"], &detectors).map_err(|e| e.to_string())
        })?;
    }
    for (format, content_type) in &order.formats {
        for dense in [false, true] {
            let body = Arc::new(body(format, dense));
            let content = Content::of(Some(content_type.as_bytes()));
            for (name, set) in &sets {
                let plan = Arc::new(Plan::masking(Arc::clone(set)));
                for &chunk in &order.chunks {
                    let (plan, body, content) =
                        (Arc::clone(&plan), Arc::clone(&body), content.clone());
                    cells.push(Cell {
                        what: serde_json::json!({ "kind": "speed", "way": "chaperone", "format": format, "set": name,
                            "text": if dense { "dense" } else { "clean" }, "chunk": chunk }),
                        bytes: body.len(),
                        work: Box::new(move || {
                            let mut masker = Masker::new(Arc::clone(&plan), key(), &content);
                            for chunk in body.chunks(chunk) {
                                black_box(masker.push(black_box(chunk)).as_bytes());
                            }
                            black_box(masker.finish());
                            masker.findings().total()
                        }),
                        rates: Vec::new(),
                        found: 0,
                    });
                }
            }
        }
    }
    if order.rivals {
        for dense in [false, true] {
            for &count in &order.counts {
                let some = order.rules.get(..count).unwrap_or(&order.rules);
                rivals(some, dense, &mut cells)?;
            }
        }
    }
    members(&mut cells)?;
    for _ in 0..order.rounds {
        for cell in &mut cells {
            let begin = Instant::now();
            let mut passes = 0_u32;
            while begin.elapsed() < Duration::from_millis(order.milliseconds) || passes == 0 {
                cell.found = (cell.work)();
                passes += 1;
            }
            let bytes = cell.bytes as f64 * f64::from(passes);
            cell.rates.push(bytes / 1e6 / begin.elapsed().as_secs_f64());
        }
    }
    for mut cell in cells {
        cell.rates.sort_by(f64::total_cmp);
        if let Some(object) = cell.what.as_object_mut() {
            object.insert(
                "mb_per_s".to_owned(),
                cell.rates[cell.rates.len() / 2].into(),
            );
            object.insert("best".to_owned(), cell.rates[cell.rates.len() - 1].into());
            object.insert("found".to_owned(), cell.found.into());
        }
        say(&cell.what);
    }
    for (format, content_type) in &order.formats {
        streams(format, content_type, &sets[0].1, &mut say);
    }
    Ok(())
}

/// Two members of a chat request of 64 KiB, and the same by `serde_json`.
fn members(cells: &mut Vec<Cell>) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Two {
        model: String,
        stream: bool,
    }
    let text: String = PROSE.iter().zip(CODE).flat_map(|(p, c)| [*p, *c]).collect();
    let messages: Vec<_> = text
        .split("\n\n")
        .scan(0, |length, part| {
            *length += part.len() + part.matches(['\n', '"']).count() + 32;
            (*length < 64 << 10).then(|| serde_json::json!({ "role": "user", "content": part }))
        })
        .collect();
    let request = serde_json::json!({ "messages": messages, "model": "m", "stream": true });
    let body = Arc::new(serde_json::to_vec(&request).map_err(|e| e.to_string())?);
    let wanted = Wanted::of(&["model", "stream"], 256).map_err(|e| e.to_string())?;
    let (wanted, whole) = (Arc::new(wanted), Arc::clone(&body));
    let ways: [(&str, Work); 2] = [
        (
            "two members",
            Box::new(move || {
                let (mut members, mut found) = (Members::new(Arc::clone(&wanted)), 0);
                let read = members.push(black_box(&body), &mut |_| found += 1);
                black_box(
                    read.and_then(|()| members.finish(&mut |_| found += 1))
                        .is_ok(),
                );
                found
            }),
        ),
        (
            "two members, serde_json",
            Box::new(move || {
                let two: Result<Two, _> = serde_json::from_slice(black_box(&whole));
                two.map_or(0, |two| 1 + u64::from(two.stream && !two.model.is_empty()))
            }),
        ),
    ];
    let bytes = serde_json::to_vec(&request).map_or(0, |body| body.len());
    cells.extend(ways.map(|(way, work)| Cell {
        what: serde_json::json!({ "kind": "speed", "way": way, "format": "json", "set": "none",
            "text": "clean", "chunk": bytes }),
        bytes,
        work,
        rates: Vec::new(),
        found: 0,
    }));
    Ok(())
}

/// Each rule in turn, and keywords first, then the rules whose keyword occurs: over whole texts,
/// since neither can go on in the next chunk.
fn rivals(rules: &[CustomDetector], dense: bool, cells: &mut Vec<Cell>) -> Result<(), String> {
    let mut text = body("text", dense);
    // They are slow; a smaller text keeps the run short.
    text.truncate(64 << 10);
    let text = Arc::new(text);
    let compiled = rules
        .iter()
        .map(|rule| {
            // As fast as it gets: bytes, no Unicode tables.
            let regex = regex::bytes::RegexBuilder::new(&rule.regex)
                .unicode(false)
                .size_limit(64 << 20)
                .build()
                .map_err(|e| format!("{}: {e}", rule.name))?;
            Ok((regex, rule.keywords.clone()))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let rules = Arc::new(compiled);
    let (set, length) = (format!("{} rules", rules.len()), text.len());
    let mut cell = |way: &str, work: Work| {
        cells.push(Cell {
            what: serde_json::json!({ "kind": "speed", "way": way, "format": "text", "set": set,
                "text": if dense { "dense" } else { "clean" }, "chunk": length }),
            bytes: length,
            work,
            rates: Vec::new(),
            found: 0,
        });
    };
    let (rules_, text_) = (Arc::clone(&rules), Arc::clone(&text));
    cell(
        "regex, each rule in turn",
        Box::new(move || {
            rules_
                .iter()
                .map(|(regex, _)| regex.find_iter(&text_).count() as u64)
                .sum()
        }),
    );
    let (mut keywords, mut owners) = (Vec::new(), Vec::new());
    for (number, (_, words)) in rules.iter().enumerate() {
        for word in words {
            keywords.push(word.to_lowercase());
            owners.push(number);
        }
    }
    let search = AhoCorasick::new(&keywords).map_err(|e| e.to_string())?;
    cell(
        "keywords, then regex",
        Box::new(move || {
            let mut wanted: Vec<bool> = rules.iter().map(|(_, words)| words.is_empty()).collect();
            for found in search.find_overlapping_iter(&text.to_ascii_lowercase()) {
                wanted[owners[found.pattern().as_usize()]] = true;
            }
            let asked = rules.iter().zip(wanted).filter(|(_, wanted)| *wanted);
            asked
                .map(|((regex, _), _)| regex.find_iter(&text).count() as u64)
                .sum()
        }),
    );
    Ok(())
}

/// What a stream takes while nothing is held: many of them, each in the middle of a clean body.
fn streams(
    format: &str,
    content_type: &str,
    set: &Arc<DetectorSet>,
    say: &mut impl FnMut(&serde_json::Value),
) {
    if memory_in_use().is_none() {
        return;
    }
    let plan = Arc::new(Plan::masking(Arc::clone(set)));
    let body = body(format, false);
    let content = Content::of(Some(content_type.as_bytes()));
    // Whole events: in the middle of one something is held.
    let end = body
        .windows(2)
        .take(8192)
        .rposition(|w| w == b"\n\n")
        .map_or(4096, |at| at + 2);
    // Memory that was freed before is used first; what counts is how it grows from then on.
    const ENOUGH: usize = 16 << 20;
    let grown = |since: usize| memory_in_use().unwrap_or(since) - since;
    let begin = memory_in_use().unwrap_or(0);
    let (mut maskers, mut full) = (Vec::with_capacity(1 << 17), None);
    while maskers.len() < maskers.capacity() {
        let mut masker = Masker::new(Arc::clone(&plan), key(), &content);
        black_box(masker.push(&body[..end]).as_bytes());
        maskers.push(masker);
        let (from, count) = *full.get_or_insert((begin, 0));
        if count == 0 && grown(from) > 0 {
            full = Some((from + grown(from), maskers.len()));
        } else if count > 0 && grown(from) > ENOUGH {
            break;
        }
    }
    let held = maskers.iter().map(Masker::held).max();
    if let Some((from, count)) = full.filter(|(_, count)| *count > 0) {
        let bytes = grown(from) / (maskers.len() - count).max(1);
        say(
            &serde_json::json!({ "kind": "stream", "format": format, "held": held, "bytes": bytes }),
        );
    }
}

/// Bytes of linear memory; it never shrinks, so differences are what was needed beyond what was
/// free.
#[cfg(target_arch = "wasm32")]
fn memory_in_use() -> Option<usize> {
    Some(core::arch::wasm32::memory_size(0) << 16)
}

/// Resident memory is too coarse to be worth a number.
#[cfg(not(target_arch = "wasm32"))]
fn memory_in_use() -> Option<usize> {
    None
}
