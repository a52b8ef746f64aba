//! The fast reading against the slow one, over documents, faults, bytes of any kind, and every way
//! of cutting them.

use super::{MAX_DEPTH, NotJson, Sink, Tokenizer, skim};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// What was said. Parts that follow each other are one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    Structure(u8, u64),
    Start(bool, u64),
    Plain(Vec<u8>, u64),
    Unit(Vec<u8>, u64, u32),
    End(u64),
    Scalar(Vec<u8>, u64),
}

#[derive(Default)]
struct Calls(Vec<Call>);

impl Sink for Calls {
    fn structure(&mut self, byte: u8, raw: u64) {
        self.0.push(Call::Structure(byte, raw));
    }

    fn string_start(&mut self, is_key: bool, raw: u64) {
        self.0.push(Call::Start(is_key, raw));
    }

    fn plain(&mut self, text: &[u8], raw: u64) {
        match self.0.last_mut() {
            Some(Call::Plain(last, at)) if *at + last.len() as u64 == raw => {
                last.extend_from_slice(text);
            }
            _ if text.is_empty() => {}
            _ => self.0.push(Call::Plain(text.to_vec(), raw)),
        }
    }

    fn unit(&mut self, text: &[u8], raw: u64, raw_len: u32) {
        self.0.push(Call::Unit(text.to_vec(), raw, raw_len));
    }

    fn string_end(&mut self, raw: u64) {
        self.0.push(Call::End(raw));
    }

    fn scalar(&mut self, text: &[u8], raw: u64) {
        match self.0.last_mut() {
            Some(Call::Scalar(last, at)) if *at + last.len() as u64 == raw => {
                last.extend_from_slice(text);
            }
            _ => self.0.push(Call::Scalar(text.to_vec(), raw)),
        }
    }
}

/// All that can be known of a reading: what was said, the fault, and after each chunk what is
/// pending.
type Reading = (Vec<Call>, Result<(), NotJson>, Vec<(Option<u64>, bool, u8)>);

fn reading(chunks: &[&[u8]], fast: bool) -> Reading {
    let (mut tokenizer, mut calls, mut states) = (Tokenizer::new(), Calls::default(), Vec::new());
    let mut raw = 0;
    for chunk in chunks {
        let read = match fast {
            true => tokenizer.read(chunk, raw, &mut calls),
            false => tokenizer.read_slowly(chunk, raw, &mut calls),
        };
        if read.is_err() {
            return (calls.0, read, states);
        }
        let state = (
            tokenizer.pending(),
            tokenizer.in_string(),
            tokenizer.depth(),
        );
        states.push(state);
        raw += chunk.len() as u64;
    }
    tokenizer.finish(&mut calls);
    (calls.0, Ok(()), states)
}

/// The bytes in pieces that end at these places.
fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|at| at % (bytes.len() + 1)).collect();
    places.sort_unstable();
    let (mut chunks, mut from) = (Vec::new(), 0);
    for to in places {
        chunks.push(&bytes[from..to]);
        from = to;
    }
    chunks.push(&bytes[from..]);
    chunks
}

/// That both say the same of these chunks, and the fast one the same as of the whole.
fn same(bytes: &[u8], chunks: &[&[u8]]) {
    let fast = reading(chunks, true);
    assert_eq!(&fast, &reading(chunks, false));
    let whole = reading(&[bytes], true);
    assert_eq!(&fast.0, &whole.0);
    assert_eq!(&fast.1, &whole.1);
    skim::tests::same(chunks);
}

#[test]
fn every_cut_is_read_the_same() {
    let long = "x".repeat(150);
    let blanks = " ".repeat(40);
    let text = format!(
        "\u{feff}{{\"a\\\"b\":{blanks}[1,-2.50e+3,true,false,null,\"\\u0041\\ud83d\\ude00\\ud83d\\\\\"],\"{long}\":\"{long}\\n{long}\"}}\
         \n\u{1e}\"{long}\" [] {{}}"
    );
    let bytes = text.as_bytes();
    for at in 0..=bytes.len() {
        same(bytes, &cut(bytes, &[at]));
        for later in [at + 1, at + 2, at + 16, at + 64] {
            same(bytes, &cut(bytes, &[at, later.min(bytes.len())]));
        }
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    same(bytes, &single);
}

#[test]
fn every_cut_of_numbers_that_are_too_long_is_read_the_same() {
    for length in 60..70 {
        for text in [
            format!("[{}]", "1".repeat(length)),
            format!("[0.{}]", "1".repeat(length)),
        ] {
            for at in 0..=text.len() {
                same(text.as_bytes(), &cut(text.as_bytes(), &[at]));
            }
        }
    }
}

#[test]
fn depth_is_bounded_as_it_was() {
    let open = vec![b'['; usize::from(MAX_DEPTH) + 2];
    same(&open, &[&open]);
}

/// Generated cases run natively only.
#[cfg(not(target_arch = "wasm32"))]
mod generated {
    use super::{cut, same};
    use proptest::prelude::*;

    /// Pieces of JSON and of what is nearly JSON. Long ones fill the windows that are read at once.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let fixed = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\\",
            "\\\"",
            "\\\\",
            "\\n",
            "\\u0041",
            "\\ud83d\\ude00",
            "\\ud83d",
            "\\u12",
            "\\q",
            "\"\"",
            "\"key\"",
            "\"key\":",
            "\":\"",
            "\",\"",
            "{\"",
            "\"}",
            "[\"",
            "\"]",
            " ",
            "\n",
            "\t",
            "\r\n    ",
            "0",
            "-",
            "-1.5e+10",
            "1234567890",
            ".5",
            "1e",
            "true",
            "false",
            "null",
            "tru",
            "nullx",
            "\u{1e}",
            "\u{feff}",
            "é",
            "\u{0}",
        ]);
        prop_oneof![
            8 => fixed.prop_map(|text| text.as_bytes().to_vec()),
            1 => (0..200_usize).prop_map(|length| vec![b'a'; length]),
            1 => (0..90_usize).prop_map(|length| vec![b' '; length]),
            1 => (0..90_usize).prop_map(|length| vec![b'\\'; length]),
            1 => (0..90_usize).prop_map(|length| vec![b'7'; length]),
        ]
    }

    /// A value of JSON, written with blanks or without.
    fn document() -> impl Strategy<Value = Vec<u8>> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "[a-z\"\\\\\n/é😀]{0,100}".prop_map(Into::into),
        ];
        let value = leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::btree_map("[a-z\"\n]{0,70}", inner, 0..8)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        });
        (value, any::<bool>()).prop_map(|(value, pretty)| {
            let written = match pretty {
                true => serde_json::to_vec_pretty(&value),
                false => serde_json::to_vec(&value),
            };
            written.unwrap_or_default()
        })
    }

    fn places() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(any::<usize>(), 0..6)
    }

    proptest! {
        #[test]
        fn documents_are_read_the_same(bytes in document(), places in places()) {
            same(&bytes, &cut(&bytes, &places));
        }

        #[test]
        fn documents_with_a_fault_are_read_the_same(
            bytes in document(), at in any::<usize>(), byte in any::<u8>(), places in places(),
        ) {
            let mut bytes = bytes;
            let length = bytes.len();
            if let Some(slot) = bytes.get_mut(at % length.max(1)) {
                *slot = byte;
            }
            same(&bytes, &cut(&bytes, &places));
        }

        #[test]
        fn pieces_of_json_are_read_the_same(
            pieces in prop::collection::vec(piece(), 0..60), places in places(),
        ) {
            let bytes = pieces.concat();
            same(&bytes, &cut(&bytes, &places));
            // In a string most of them are no fault.
            let quoted = [b"[\"".as_slice(), &bytes].concat();
            same(&quoted, &cut(&quoted, &places));
        }

        #[test]
        fn bytes_of_any_kind_are_read_the_same(
            bytes in prop::collection::vec(any::<u8>(), 0..200), places in places(),
        ) {
            same(&bytes, &cut(&bytes, &places));
        }
    }
}
