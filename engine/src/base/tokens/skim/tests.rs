//! Who need not be told all is told the same of what matters as who is told all, byte by byte.

use super::{Containers, Skimming, Skims, WINDOW};
use crate::base::tokens::{NotJson, Sink, State, Tokenizer};

/// What matters: escapes, keys that interest and what follows them, strings that may be documents,
/// and which containers are open, some of which are marked.
#[derive(Default)]
struct Told {
    units: Vec<(Vec<u8>, u64, u32)>,
    keys: Vec<Vec<u8>>,
    documents: Vec<u64>,
    /// For each whether it is an array, and its mark: that of the last interesting key in it.
    containers: Vec<(bool, Option<u64>)>,
    /// The key that is being read.
    key: Option<Vec<u8>>,
    begun: Option<u64>,
    interests: bool,
    asks_for_documents: bool,
}

/// Every third length, by the last two bytes first.
fn interests(name: &[u8]) -> bool {
    name.len() % 3 == 1 && name.last().is_some_and(|last| *last < b'n')
}

impl Sink for Told {
    fn structure(&mut self, byte: u8, _: u64) {
        self.interests &= byte == b':';
        match byte {
            b'{' | b'[' => self.containers.push((byte == b'[', None)),
            b'}' | b']' => drop(self.containers.pop()),
            _ => {}
        }
    }

    fn string_start(&mut self, is_key: bool, raw: u64) {
        self.key = is_key.then(Vec::new);
        self.begun = (!is_key).then_some(raw);
    }

    fn plain(&mut self, text: &[u8], _: u64) {
        if let Some(begun) = self.begun.take_if(|_| !text.is_empty())
            && matches!(text[0], b' ' | b'\n' | b'\r' | b'\t' | b'{' | b'[')
        {
            self.documents.push(begun);
        }
        if let Some(key) = &mut self.key {
            key.extend_from_slice(text);
        }
    }

    fn unit(&mut self, text: &[u8], raw: u64, raw_len: u32) {
        self.documents.extend(self.begun.take());
        if let Some(key) = &mut self.key {
            key.extend_from_slice(text);
        }
        self.units.push((text.to_vec(), raw, raw_len));
    }

    fn string_end(&mut self, raw: u64) {
        self.begun = None;
        if let Some(key) = self.key.take() {
            self.interests = interests(&key);
            if self.interests {
                self.keys.push(key);
                self.containers.last_mut().unwrap().1 = Some(raw);
            }
        }
    }
}

impl Skimming for Told {
    fn skims(&self) -> Option<Skims> {
        let is_idle = !self.interests && self.begun.is_none() && self.key.is_none();
        let known = self.containers.iter().rposition(|(_, mark)| mark.is_some());
        is_idle.then(|| Skims {
            documents: self.asks_for_documents,
            known: known.map_or(0, |known| u8::try_from(known).unwrap() + 1),
        })
    }

    fn may_interest(&self, last: u8, _: u8) -> u32 {
        u32::from(last < b'n')
    }

    fn interests(&self, name: &[u8]) -> bool {
        interests(name)
    }

    fn skimmed(&mut self, open: Containers) {
        self.containers.truncate(usize::from(open.known));
        for at in self.containers.len()..usize::from(open.depth) {
            let is_array = open.is_array(u8::try_from(at).unwrap());
            self.containers.push((is_array, None));
        }
    }
}

type Left = (State, u128, u8, Option<u64>, bool);

fn told(chunks: &[&[u8]], documents: bool, skims: bool) -> (Told, Result<(), NotJson>, Vec<Left>) {
    let (mut tokenizer, mut left, mut raw) = (Tokenizer::new(), Vec::new(), 0);
    let mut told = Told {
        asks_for_documents: documents,
        ..Told::default()
    };
    for chunk in chunks {
        let read = match skims {
            true => tokenizer.read_skimming(chunk, raw, &mut told),
            false => tokenizer.read_slowly(chunk, raw, &mut told),
        };
        if read.is_err() {
            return (told, read, left);
        }
        left.push((
            tokenizer.state,
            tokenizer.containers,
            tokenizer.depth,
            tokenizer.pending(),
            tokenizer.in_string(),
        ));
        raw += chunk.len() as u64;
    }
    (told, Ok(()), left)
}

/// That these chunks are told the same by the fast and the slow way.
pub(in crate::base::tokens) fn same(chunks: &[&[u8]]) {
    for documents in [true, false] {
        let (skimmed, slowly) = (
            told(chunks, documents, true),
            told(chunks, documents, false),
        );
        assert_eq!(skimmed.0.units, slowly.0.units);
        assert_eq!(skimmed.0.keys, slowly.0.keys);
        if documents {
            assert_eq!(skimmed.0.documents, slowly.0.documents);
        }
        assert_eq!(skimmed.1, slowly.1);
        assert_eq!(skimmed.2, slowly.2, "what is left open after each chunk");
        if skimmed.1.is_ok() {
            assert_eq!(skimmed.0.containers, slowly.0.containers);
            assert_eq!(skimmed.0.key, slowly.0.key);
        }
    }
}

/// The beginning of a document, which is read in the ordinary way, and nothing more.
fn begun() -> String {
    format!("[{}", " ".repeat(WINDOW - 1))
}

/// All sequences of so many of these.
fn sequences(of: &[&str], length: u32) -> impl Iterator<Item = String> {
    let count = of.len().pow(length);
    (0..count).map(move |number| {
        let digits = (0..length).map(|digit| number / of.len().pow(digit) % of.len());
        digits.map(|digit| of[digit]).collect()
    })
}

#[test]
fn each_token_in_each_place_is_read_the_same() {
    let places = [
        "[",
        "[[",
        "{",
        "[{",
        "[{\"k\"",
        "[{\"k\":",
        "[{\"k\":\"v\"",
        "[{\"k\":\"v\",",
        "[[\"v\"",
        "[[\"v\",",
        "[[1",
        "[{\"k\":[]",
        "[[{}",
    ];
    let tokens = [
        "{", "}", "[", "]", ",", ":", "\"v\"", "1", "null", " ", "-", "\u{1e}", "\\",
    ];
    let more = [
        " ".repeat(200),
        format!("\"{}\"", "x".repeat(200)),
        format!(",\"{}\"", "x".repeat(200)),
        format!(":[{}]", " ".repeat(200)),
    ];
    for place in places {
        for some in sequences(&tokens, 2).chain(sequences(&tokens[..9], 3)) {
            for more in &more {
                same(&[format!("{}{place}{some}{more}", begun()).as_bytes()]);
            }
        }
    }
}

#[test]
fn numbers_and_what_is_nearly_one_are_read_the_same() {
    let parts = ["0", "1", "79", "-", "+", ".", "e", "E", "t", "null", "true"];
    let more = " ".repeat(99);
    for length in 1..5 {
        for some in sequences(&parts, length) {
            let text = format!("{}-1.5e+10,{some},0.25,{some}{more}", begun());
            same(&[text.as_bytes()]);
        }
    }
    for some in sequences(&["0", "1", "-", ".", "e", "+"], 6) {
        same(&[format!("{}{some},7{more}", begun()).as_bytes()]);
    }
}

#[test]
fn what_is_known_of_containers_ends_with_them() {
    let long = "x".repeat(200);
    for between in ["},{", "}],[{", "}]},{\"bb\":[{", "},[],{}, [{}],{"] {
        let text = format!(r#"[{{"c":[{{"a":1,"bb":"{long}"{between}"bb":"{long}"#);
        same(&[text.as_bytes()]);
    }
}

#[test]
fn containers_are_skimmed_as_deep_as_they_are_read() {
    for depth in [50, 57, 58, 59, 62, 63, 64, 65, 66, 100, 127, 128, 129] {
        for (open, close) in [("[", "]"), ("{\"k\":", "}"), ("[{\"k\":", "}]")] {
            let text = |opens: usize, closes: usize| {
                let (opens, closes) = (open.repeat(opens), close.repeat(closes));
                let blanks = " ".repeat(100);
                format!("{}{opens}{blanks}0{blanks}{closes}{blanks}", begun())
            };
            for closes in [depth - 1, depth, depth + 1] {
                same(&[text(depth, closes).as_bytes()]);
            }
        }
    }
}

#[test]
fn keys_and_pairs_of_escapes_are_read_the_same_wherever_they_stand() {
    for at in 0..140 {
        let before = format!("[\"{}\",", "x".repeat(at));
        for length in [1, 4, 61, 64, 67, 130, 199] {
            let key = "a".repeat(length);
            let text = format!(
                "{before}{{\"{key}\":\"{0}\",\"{key}\\n\":{0}",
                "y".repeat(99)
            );
            for end in (0..text.len()).step_by(7).chain([text.len()]) {
                same(&[&text.as_bytes()[..end]]);
            }
        }
        let pairs = "\\ud83d\\ude00".repeat(90);
        same(&[format!("{before}\"{pairs}\\ud83d\\n{pairs}\"]").as_bytes()]);
    }
}
